"""A llama-server that has no model and does what its script says, as a process of its own.

    python tests/fakes/fake_llama_server.py --host 127.0.0.1 --port 9000 -c 4096 -np 4 --alias demo

It takes llama-server's flags (unknown ones are only recorded) and speaks its HTTP: /health,
/v1/models, /v1/chat/completions (and its /input_tokens), /v1/completions, /completion, /tokenize,
/detokenize, /apply-template, /infill, /v1/messages/count_tokens, /slots, /props, /metrics. Answers
are deterministic. `fake_script.py` tells what FAKE_LLAMA_SCRIPT and POST /_fake/script can ask
for. Further control, without a key:

    GET  /_fake/state     {pid, argv, env, life, requests, counts, slots, busy, deferred, cancelled}
    POST /_fake/script    a new script
    POST /_fake/release   lets requests on hold go on
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_generate import KINDS, Broken, Generation, Refused, crash
from fake_http import Request, Responder, connection_handler
from fake_script import Script, piece_id, pieces
from fake_slots import Slots
from fake_wire import apply_template, error_body, vectors

PUBLIC = {"/health", "/v1/health"}
EMBEDDING = {"/v1/embeddings", "/embeddings", "/embedding", "/rerank"}
SLEEPS = "import time; time.sleep(3600)"
SHOWN_ENV = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


@dataclass
class Flags:
    """The flags the fake acts on."""

    model: str = "fake.gguf"
    alias: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    ctx_size: int = 4096
    parallel: int = 1
    kv_unified: bool = False
    metrics: bool = False
    no_slots: bool = False


SHORT = {"-m": "model", "-a": "alias", "-c": "ctx_size", "-np": "parallel", "-kvu": "kv_unified"}


def parse_flags(argv: Sequence[str]) -> Flags:
    """Not argparse: it reads `-ctk f16` as `-c tk`."""
    flags = Flags()
    words = iter(argv)
    for word in words:
        name = SHORT.get(word, word.removeprefix("--").replace("-", "_"))
        if word.startswith("-") and hasattr(flags, name):
            kind = type(getattr(flags, name))
            setattr(flags, name, True if kind is bool else kind(next(words)))
    return flags


class Fake:
    """The server's whole state."""

    def __init__(self, flags: Flags, argv: Sequence[str], script: Script) -> None:
        share = flags.ctx_size if flags.kv_unified else flags.ctx_size // flags.parallel
        self.flags, self.argv, self.script = flags, list(argv), script
        self.model = flags.alias or Path(flags.model).name
        self.slots = Slots(flags.parallel, -(-share // 256) * 256)
        self.keys = [key for key in os.environ.get("LLAMA_API_KEY", "").split(",") if key]
        slow = script.life >= script.get("load_from", 1)
        self.ready_at = time.monotonic() + (script.get("load_s", 0) if slow else 0)
        self.hold = asyncio.Event()
        self.vocabulary: dict[int, str] = {}
        self.requests: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.cancelled = 0
        self.predicted = 0

    async def handle(self, request: Request, responder: Responder) -> None:
        if request.path.startswith("/_fake/"):
            await self.control(request, responder)
            return
        self.counts[request.path] += 1
        try:
            self.check(request)
            if request.path in KINDS and request.method == "POST":
                await self.generate(request, responder)
                return
            fault = self.script.fault(request.path, request.body.decode(), generating=False)
            await self.obey(fault)
            status, body, *rest = self.answer(request)
            await responder.send(status, body, *rest)
        except Refused as refusal:
            if refusal.status:
                await responder.send(refusal.status, refusal.body, refusal.content_type)
        except Broken:
            await responder.cut()
        except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as exc:
            # As the engine: what it reads without checking is told in its JSON library's words.
            message = f"[json.exception.type_error.302] {type(exc).__name__}: {exc}"
            await responder.send(500, error_body(500, message, "server_error"))

    def check(self, request: Request) -> None:
        if time.monotonic() < self.ready_at:
            raise Refused(503, error_body(503, "Loading model", "unavailable_error"))
        given = request.headers.get("authorization") or request.headers.get("x-api-key", "")
        if self.keys and request.path not in PUBLIC:
            if given.removeprefix("Bearer ") in self.keys:
                return
            raise Refused(401, error_body(401, "Invalid API Key", "authentication_error"))

    async def obey(self, fault: dict[str, Any] | None) -> None:
        """Faults of requests that generate nothing."""
        kind = (fault or {}).get("kind")
        if fault is None:
            return
        if kind == "crash":
            crash(fault)
        if kind == "cut":
            raise Broken
        if kind in ("hang", "hold"):
            await (asyncio.Event() if kind == "hang" else self.hold).wait()
        if kind in ("status", "error"):
            status = fault.get("status", 500)
            message = fault.get("message", "scripted failure")
            raise Refused(status, error_body(status, message, fault.get("type", "server_error")))
        if kind == "content_type":
            raise Refused(200, "<html>scripted</html>", "text/html")

    async def generate(self, request: Request, responder: Responder) -> None:
        record = self.remember(request)
        generation = Generation(
            request, responder, self.script, self.slots, self.model, record, self.hold
        )
        work = asyncio.ensure_future(generation.run())
        gone = asyncio.ensure_future(request.client_gone())
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        stoppable = generation.body.get("stream") or self.script.get("cancel_non_stream")
        if gone.done():
            responder.keep_alive = False
            if not work.done() and stoppable:
                work.cancel()
        gone.cancel()
        await asyncio.wait({work, gone})
        self.predicted += generation.tokens
        if work.cancelled() or isinstance(work.exception(), ConnectionError):
            self.cancelled += 1
            record["status"] = "cancelled"
            return
        record["status"] = "failed" if work.exception() else "done"
        work.result()

    def remember(self, request: Request) -> dict[str, Any]:
        shown = {k: v for k, v in request.headers.items() if k != "authorization"}
        number = len(self.requests)
        record: dict[str, Any] = {"number": number, "path": request.path, "headers": shown}
        record |= {"status": "waiting", "slots": [], "tokens": 0, "body": None, "fault": None}
        self.requests.append(record)
        return record

    def answer(self, request: Request) -> tuple[Any, ...]:
        """(status, body) and maybe a content type, for whatever does not generate."""
        call = (request.method, request.path)
        if call in (("GET", "/health"), ("GET", "/v1/health")):
            return 200, {"status": "ok"}
        if call in (("GET", "/v1/models"), ("GET", "/models")):
            return 200, self.models()
        if call == ("GET", "/slots") and not self.flags.no_slots:
            if request.query.get("fail_on_no_slot") and self.slots.busy == len(self.slots.all):
                return 503, error_body(503, "no slot available", "unavailable_error")
            return 200, [{**slot.view(), **self.script.get("slot", {})} for slot in self.slots.all]
        if call == ("GET", "/props"):
            return 200, self.props()
        if call == ("GET", "/metrics") and self.flags.metrics:
            return 200, self.metrics(), "text/plain; version=0.0.4"
        if request.method == "POST" and request.path in (
            "/tokenize",
            "/detokenize",
            "/apply-template",
        ):
            return 200, self.tokens(request.path, request.json())
        if call == ("POST", "/v1/chat/completions/input_tokens"):
            tokens = len(pieces(apply_template(request.json())))
            return 200, {"object": "response.input_tokens", "input_tokens": tokens}
        if call == ("POST", "/v1/messages/count_tokens"):
            return 200, {"input_tokens": len(pieces(apply_template(request.json())))}
        if self.script.get("embeddings") and request.path in EMBEDDING and request.method == "POST":
            body = request.json()
            self.remember(request)["body"] = body
            answer = {"model": self.model, "echo": body}
            if self.script.get("embeddings") == "letters":
                answer = {"object": "list", "model": self.model, "data": vectors(body["input"])}
            return 200, answer
        if request.path in ("/props", "/metrics", "/slots", *EMBEDDING):
            message = f"This server does not support {request.path}"
            return 501, error_body(501, message, "not_supported_error")
        return 404, error_body(404, "File Not Found", "not_found_error")

    def tokens(self, path: str, body: Any) -> dict[str, Any]:
        if path == "/apply-template":
            return {"prompt": apply_template(body)}
        if path == "/detokenize":
            return {"content": "".join(self.vocabulary.get(t, "\ufffd") for t in body["tokens"])}
        found = {p: piece_id(p) for p in pieces(body["content"])}
        self.vocabulary |= {id_: piece for piece, id_ in found.items()}
        ids = [found[p] for p in pieces(body["content"])]
        if body.get("with_pieces"):
            return {"tokens": [{"id": i, "piece": self.vocabulary[i]} for i in ids]}
        return {"tokens": ids}

    def models(self) -> dict[str, Any]:
        n_ctx = self.slots.all[0].n_ctx
        meta = {"n_ctx": n_ctx, "n_ctx_train": 32768, "n_vocab": 1 << 24, "size": 1 << 20}
        entry = {"id": self.model, "aliases": [self.model], "object": "model", "meta": meta}
        return {"object": "list", "data": [{**entry, "created": 0, "owned_by": "llamacpp"}]}

    def props(self) -> dict[str, Any]:
        return {
            "default_generation_settings": {"params": {}, "n_ctx": self.slots.all[0].n_ctx},
            "total_slots": len(self.slots.all),
            "model_alias": self.model,
            "model_path": self.flags.model,
            "chat_template": "{# ChatML #}",
            "build_info": "b0-fake",
            "is_sleeping": False,
        }

    def metrics(self) -> str:
        values = {
            "prompt_tokens_total": sum(slot.prompt_tokens for slot in self.slots.all),
            "tokens_predicted_total": self.predicted,
            "requests_processing": self.slots.busy,
            "requests_deferred": self.slots.deferred,
        }
        return "".join(
            f"# TYPE llamacpp:{name} gauge\nllamacpp:{name} {value}\n"
            for name, value in values.items()
        )

    async def control(self, request: Request, responder: Responder) -> None:
        if request.path == "/_fake/script":
            self.script = Script(request.json(), life=self.script.life)
        elif request.path == "/_fake/release":
            self.hold.set()
            self.hold = asyncio.Event()
        await responder.send(200, self.state())

    def state(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "argv": self.argv,
            "env": {k: os.environ[k] for k in SHOWN_ENV if k in os.environ},
            "life": self.script.life,
            "requests": self.requests,
            "counts": dict(self.counts),
            "slots": [slot.view() for slot in self.slots.all],
            "busy": self.slots.busy,
            "deferred": self.slots.deferred,
            "cancelled": self.cancelled,
        }

    def on_signal(self) -> None:
        how = self.script.get("sigterm", "exit")
        if how == "exit" or (how == "ignore_busy" and not self.slots.busy):
            os._exit(0)
        print("fake llama-server: ignoring the signal as told", file=sys.stderr, flush=True)


def check_start(flags: Flags, script: Script) -> None:
    """Exits where the script, or a bad model, says so."""
    code = script.get("start_exit")
    if code is not None and script.life <= script.get("start_exit_times", script.life):
        print("fake llama-server: exiting at start as told", file=sys.stderr)
        sys.exit(code)
    if script.get("check_model"):
        try:
            with open(flags.model, "rb") as file:
                good = file.read(4) == b"GGUF"
        except OSError:
            good = False
        if not good:
            print(f"fake llama-server: failed to load model '{flags.model}'", file=sys.stderr)
            sys.exit(1)


def flood(line_bytes: int) -> None:
    """Fills the log as fast as somebody reads it, for ever."""
    text = b"x" * 65536 if line_bytes == 0 else (b"x" * (line_bytes - 1) + b"\n") * 64
    while True:
        os.write(2, text)


def have_grandchildren(script: Script) -> None:
    for _ in range(script.get("grandchildren", 0)):
        apart = bool(script.get("grandchildren_apart"))
        subprocess.Popen([sys.executable, "-S", "-c", SLEEPS], start_new_session=apart)


def misbehave(script: Script) -> None:
    """What the script wants from the moment that it listens."""
    have_grandchildren(script)
    if script.get("flood") is not None:
        threading.Thread(target=flood, args=(script.get("flood"),), daemon=True).start()
    if script.get("closes_output"):
        os.close(1)
        os.close(2)


async def serve(flags: Flags, argv: Sequence[str], script: Script) -> None:
    fake = Fake(flags, argv, script)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, fake.on_signal)
    try:
        server = await asyncio.start_server(
            connection_handler(fake.handle), flags.host, flags.port, limit=1 << 20
        )
    except OSError as error:
        print(f"fake llama-server: cannot listen on port {flags.port}: {error}", file=sys.stderr)
        sys.exit(1)
    port = server.sockets[0].getsockname()[1]
    print(f"fake llama-server listening on http://{flags.host}:{port}", file=sys.stderr, flush=True)
    misbehave(script)
    await server.serve_forever()


def main(argv: Sequence[str]) -> None:
    flags, script = parse_flags(argv), Script.from_environment()
    check_start(flags, script)
    asyncio.run(serve(flags, argv, script))


if __name__ == "__main__":
    main(sys.argv[1:])
