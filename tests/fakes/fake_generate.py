"""One generating request, from the body to the last byte, with the fault it was told to have."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from dataclasses import dataclass, field
from typing import Any

from fake_http import Request, Responder, dumps
from fake_script import Script, pieces
from fake_slots import Slot, Slots
from fake_wire import Choice, Shape, apply_template, context_error, error_body, flatten

KINDS = {
    "/v1/chat/completions": "chat",
    "/chat/completions": "chat",
    "/v1/completions": "text",
    "/completions": "native",
    "/completion": "native",
    "/infill": "native",
}


class Refused(Exception):
    """A request that gets an error instead of an answer."""

    def __init__(self, status: int, body: Any, content_type: str = "application/json") -> None:
        super().__init__(status)
        self.status, self.body, self.content_type = status, body, content_type


class Broken(Exception):
    """The script cuts the connection here."""


@dataclass
class Generation:
    """`record` is what /_fake/state shows of it; `hold` is set by POST /_fake/release."""

    request: Request
    responder: Responder
    script: Script
    slots: Slots
    model: str
    record: dict[str, Any]
    hold: asyncio.Event
    fault: dict[str, Any] | None = None
    tokens: int = 0
    body: dict[str, Any] = field(default_factory=dict)
    held: list[Slot] = field(default_factory=list)

    async def run(self) -> None:
        self.body = self.parse()
        kind = KINDS[self.request.path]
        prompt = apply_template(self.body) if kind == "chat" else self.text()
        self.fault = self.script.fault(self.request.path, prompt, generating=True)
        await self.early_fault()
        tokens, n = pieces(prompt), self.n()
        n_ctx = self.slots.all[0].n_ctx
        if len(tokens) >= n_ctx:
            raise Refused(400, context_error(len(tokens), n_ctx))
        id_slot = self.body.get("id_slot", -1)
        taken = await self.slots.acquire(n, -1 if id_slot is None else id_slot, tokens)
        self.held = list(taken)
        self.record |= {"slots": [slot.id for slot in taken], "status": "running"}
        try:
            choices = self.choices(prompt, taken, n_ctx - len(tokens))
            await self.answer(kind, choices, taken, len(tokens))
        finally:
            self.let_go(*self.held)

    def let_go(self, *slots: Slot) -> None:
        """Frees slots once: afterwards they may belong to another request."""
        self.held = [slot for slot in self.held if slot not in slots]
        self.slots.release(*slots)

    def text(self) -> str:
        if self.request.path == "/infill":
            return f"{self.body['input_prefix']}<fill>{self.body.get('input_suffix', '')}"
        return flatten(self.body.get("prompt"))

    def parse(self) -> dict[str, Any]:
        try:
            body = self.request.json()
        except ValueError as error:
            message = f"[json.exception.parse_error.101] {error}"
            raise Refused(400, error_body(400, message, "invalid_request_error")) from None
        chat = KINDS[self.request.path] == "chat"
        needed = "messages" if chat else "prompt"
        if self.request.path == "/infill":
            needed = "input_prefix"
        if not isinstance(body, dict) or needed not in body:
            message = f"'{needed}' is required"
            raise Refused(400, error_body(400, message, "invalid_request_error"))
        if chat and not isinstance(body["messages"], list):
            message = "Expected 'messages' to be an array"
            raise Refused(400, error_body(400, message, "invalid_request_error"))
        self.record["body"] = body
        return body

    def n(self) -> int:
        n, most = self.body.get("n") or self.body.get("n_cmpl") or 1, len(self.slots.all)
        if self.body.get("n") == 0 or not 1 <= n <= most:
            n = self.body.get("n", n)
            message = f"Field 'n': Value must be between 1 <= value <= {most}, but got {n}"
            raise Refused(400, error_body(400, message, "invalid_request_error"))
        return int(n)

    def choices(self, prompt: str, taken: list[Slot], room: int) -> list[Choice]:
        asked = [self.body.get(k) for k in ("max_completion_tokens", "max_tokens", "n_predict")]
        limit = min([room, *[int(value) for value in asked if value is not None and value >= 0]])
        return [
            Choice(
                index,
                self.script.answer(
                    prompt,
                    seed=self.body.get("seed") or 0,
                    choice=index,
                    slot=slot.id,
                    request=self.record["number"],
                    greedy=self.body.get("temperature") == 0,
                ),
                limit,
                endless=bool(self.body.get("ignore_eos")),
            )
            for index, slot in enumerate(taken)
        ]

    async def answer(
        self, kind: str, choices: list[Choice], taken: list[Slot], prompt_tokens: int
    ) -> None:
        usage = bool((self.body.get("stream_options") or {}).get("include_usage"))
        logprobs = bool(self.body.get("logprobs"))
        id_ = f"chatcmpl-fake{os.getpid()}x{self.record['number']}"
        shape = Shape(kind, id_, self.model, prompt_tokens, taken[0].cached, usage, logprobs)
        stream = bool(self.body.get("stream"))
        await asyncio.sleep(self.script.get("first_token_s", 0))
        rng = random.Random(self.script.get("order_seed"))
        live = list(choices)
        while live:
            await asyncio.sleep(self.script.get("token_s", 0))
            for choice in self.order(live, rng):
                if choice.sent >= len(choice.deltas):
                    live.remove(choice)
                    if not live:
                        await self.late_fault(at_end=True)
                    self.let_go(taken[choice.index])
                    await self.emit(stream, shape.closing(choice))
                    continue
                await self.late_fault()
                await self.step(choice, shape, stream, taken[choice.index])
        if stream:
            if kind != "native":
                await self.responder.write(b"data: [DONE]\n\n")
            await self.responder.finish()
        else:
            await self.responder.send(200, shape.whole(choices))

    def order(self, live: list[Choice], rng: random.Random) -> list[Choice]:
        if self.script.get("order_seed") is None:
            return list(live)
        return rng.sample(live, rng.randint(1, len(live)))

    async def step(self, choice: Choice, shape: Shape, stream: bool, slot: Slot) -> None:
        delta = choice.deltas[choice.sent]
        opening = shape.opening(choice) if choice.sent == 0 else []
        choice.sent += 1
        self.tokens += 1
        self.record["tokens"] = self.tokens
        slot.decoded = choice.sent
        slot.tokens.append(str(delta))
        await self.emit(stream, [*opening, *shape.token(choice, delta)])

    async def emit(self, stream: bool, chunks: list[dict[str, Any]]) -> None:
        if not stream:
            return
        if not self.responder.started:
            await self.responder.start()
        for chunk in chunks:
            await self.responder.write(b"data: " + dumps(chunk) + b"\n\n")

    async def early_fault(self) -> None:
        fault = self.fault or {}
        self.record["fault"] = fault.get("kind")
        status, kind = fault.get("status", 500), fault.get("kind")
        message = fault.get("message", "scripted failure")
        if kind == "status" or (kind == "error" and not fault.get("at_token")):
            type_ = fault.get("type", "server_error")
            raise Refused(status, error_body(status, message, type_))
        if kind == "content_type":
            raise Refused(200, f"<html>{message}</html>", "text/html")
        if not fault.get("at_token"):
            await self.late_fault()

    async def late_fault(self, *, at_end: bool = False) -> None:
        """Fires the fault when its token has come, or at the end of an answer too short for it."""
        fault = self.fault
        if fault is None or (self.tokens < fault.get("at_token", 0) and not at_end):
            return
        self.fault = None
        if fault["kind"] == "crash":
            crash(fault)
        elif fault["kind"] == "grow":
            grow()
        elif fault["kind"] == "hang":
            await asyncio.Event().wait()
        elif fault["kind"] == "hold":
            self.record["held"] = True
            await self.hold.wait()
            self.record["held"] = False
        elif fault["kind"] == "cut":
            raise Broken
        elif fault["kind"] == "error":
            await self.in_stream_error(fault)

    async def in_stream_error(self, fault: dict[str, Any]) -> None:
        status = fault.get("status", 500)
        message = fault.get("message", "scripted failure")
        body = error_body(status, message, fault.get("type", "server_error"))
        if not self.responder.started:
            raise Refused(status, body)
        await self.responder.write(b"data: " + dumps(body) + b"\n\n")
        await self.responder.finish()
        self.responder.keep_alive = False
        raise Refused(0, None)


def crash(fault: dict[str, Any]) -> None:
    """Ends the process at once, by exit code or (default) by signal."""
    print("fake llama-server: crashing as told", file=sys.stderr, flush=True)
    if "exit" in fault:
        os._exit(int(fault["exit"]))
    os.kill(os.getpid(), int(fault.get("signal", signal.SIGKILL)))


def grow() -> None:
    """Takes memory, page by page, until the system gives no more or ends the process."""
    taken = []
    try:
        while True:
            taken.append(b"x" * (8 << 20))
    except MemoryError:
        taken.clear()
        print("terminate called after throwing an instance of 'std::bad_alloc'", file=sys.stderr)
        sys.stderr.flush()
        os.abort()
