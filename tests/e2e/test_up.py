"""`lswarm up` on the real engine, as its users meet it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import openai
import psutil
import pytest

from tests.e2e.conftest import LSWARM, PATIENCE_S, Lswarm, Up

pytestmark = pytest.mark.engine
QUESTION = [{"role": "user", "content": "Write a Python function `double(x)` that doubles x."}]


def client_of(swarm: Up) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{swarm.url}/v1", api_key="none", max_retries=0)


def test_openai_python_gets_voted_plain_and_streamed_answers(up: Callable[..., Up]) -> None:
    swarm = up()
    with client_of(swarm) as client:
        plain = client.chat.completions.create(
            model=swarm.model, messages=QUESTION, seed=1, max_tokens=200
        )
        assert plain.choices[0].message.content
        assert plain.choices[0].finish_reason in ("stop", "length")
        assert plain.usage is not None
        assert plain.usage.completion_tokens > 0
        facts = plain.model_extra["swarm"]
        assert (facts["voters"], facts["answered"]) == (3, 3)
        chunks = list(
            client.chat.completions.create(
                model=swarm.model,
                messages=QUESTION,
                max_tokens=200,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        assert chunks[-1].usage is not None
        assert chunks[-2].choices[0].finish_reason in ("stop", "length")
        solo = list(
            client.chat.completions.create(
                model=f"{swarm.model}:solo", messages=QUESTION, stream=True, max_tokens=200
            )
        )
        assert solo[-1].choices[0].finish_reason in ("stop", "length")
        ids = [model.id for model in client.models.list()]
        assert ids == [swarm.model, f"{swarm.model}:solo", "swarm"]
    assert swarm.terminate() == 0


def test_status_and_down_find_the_running_swarm(up: Callable[..., Up], lswarm: Lswarm) -> None:
    swarm = up("--workers", "2", "--slots", "2", "--ctx", "512")
    status = lswarm.json("status")
    assert status["ready"] is True
    assert [w["state"] for w in status["workers"]] == ["ready", "ready"]
    assert all(w["observed_bytes"] > 0 for w in status["workers"])
    assert "worker" in lswarm("status").stdout
    assert lswarm("logs").stdout
    children = psutil.Process(swarm.process.pid).children(recursive=True)
    done = lswarm("down")
    assert done.returncode == 0, done.stderr
    assert swarm.process.wait(PATIENCE_S) == 0
    assert not [c for c in children if c.is_running()]
    gone = lswarm("status")
    assert gone.returncode == 8
    assert "lswarm up" in gone.stderr


def test_a_second_swarm_on_the_port_says_so_and_changes_nothing(
    up: Callable[..., Up], lswarm: Lswarm
) -> None:
    swarm = up("--ctx", "512")
    second = lswarm("up", "--model", "builtin:demo", "--port", swarm.port)
    assert second.returncode == 7
    assert "already" in second.stderr
    assert len(swarm.workers()) == 1
    assert lswarm.json("status")["ready"] is True


def test_a_taken_port_is_exit_code_7_and_leaves_nothing(lswarm: Lswarm) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = lswarm("up", "--model", "builtin:demo", "--port", port)
    assert done.returncode == 7
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_no_worker_outlives_a_killed_supervisor(up: Callable[..., Up]) -> None:
    swarm = up("--workers", "2", "--slots", "2", "--ctx", "512")
    children = psutil.Process(swarm.process.pid).children(recursive=True)
    assert len(children) >= 3  # two workers and the process that votes
    swarm.process.kill()
    swarm.process.wait()
    _, alive = psutil.wait_procs(children, timeout=3)
    assert [c for c in alive if c.status() != psutil.STATUS_ZOMBIE] == []


def test_the_children_want_the_configured_key(up: Callable[..., Up], lswarm: Lswarm) -> None:
    up("--ctx", "512", LSWARM_ENGINE__API_KEY="my-key")
    (worker,) = lswarm.json("status")["workers"]
    url = f"http://127.0.0.1:{worker['port']}/v1/models"
    url_slots = f"http://127.0.0.1:{worker['port']}/slots"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url_slots, timeout=PATIENCE_S)
    assert caught.value.code == 401
    caught.value.close()
    request = urllib.request.Request(url, headers={"Authorization": "Bearer my-key"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        assert response.status == 200


def test_the_key_of_the_children_is_nowhere_to_be_seen(
    up: Callable[..., Up], lswarm: Lswarm
) -> None:
    swarm = up("--ctx", "512", LSWARM_ENGINE__API_KEY="very-secret-key")
    (worker,) = swarm.workers()
    assert "very-secret-key" not in " ".join(worker.cmdline())
    swarm.terminate()
    for log in lswarm.home.rglob("*.log"):
        assert "very-secret-key" not in log.read_text(), log


def test_files_of_the_current_folder_are_never_run(up: Callable[..., Up], lswarm: Lswarm) -> None:
    for name in ("socket", "ctypes", "msgspec", "rapidfuzz", "xllamacpp", "local_swarm"):
        (lswarm.home / f"{name}.py").write_text("open('was-run', 'w')")
    swarm = up("--ctx", "1024")
    with client_of(swarm) as client:
        answer = client.chat.completions.create(model="swarm", messages=QUESTION, max_tokens=50)
        assert answer.model_extra["swarm"]["strategy"] == "auto"
    assert not (lswarm.home / "was-run").exists()


def test_up_detached_returns_when_ready(lswarm: Lswarm) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    done = lswarm("up", "--model", "builtin:demo", "--ctx", "512", "--port", port, "--detach")
    try:
        assert done.stdout.startswith(f"READY http://127.0.0.1:{port}/v1 "), done.stderr
        assert lswarm.json("status")["ready"] is True
    finally:
        assert lswarm("down").returncode == 0


def test_sigterm_lets_a_running_request_finish(up: Callable[..., Up]) -> None:
    swarm = up()
    body = json.dumps({"messages": QUESTION, "stream": True, "max_tokens": 200}).encode()
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        swarm.process.send_signal(signal.SIGTERM)
        assert response.read().rstrip().endswith(b"data: [DONE]")
    assert swarm.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["up", "--model", "/no/such/file.gguf"], 5, "/no/such/file.gguf"),
        (["up", "--voters", "99"], 3, "voters"),
        (["up", "--no-such-flag"], 2, "no-such-flag"),
        (["up", "--strategy", "democracy"], 3, "democracy"),
        (["up", "--port", "0", "--", "--api-key", "x"], 2, "--api-key"),
        (["plan", "--model", "builtin:nothing"], 5, "builtin:nothing"),
        (["plan", "--ctx", "100000000"], 3, "ctx"),
        (["status"], 8, "lswarm up"),
        (["down"], 8, "lswarm up"),
        (["ask"], 2, "question"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_mistakes_end_with_their_exit_code_and_say_what_to_do(
    lswarm: Lswarm, args: list[str], code: int, says: str
) -> None:
    done = lswarm(*args)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_truncated_model_is_refused_with_what_is_missing(lswarm: Lswarm, tmp_path: Path) -> None:
    import local_swarm.assets

    whole = Path(local_swarm.assets.__path__[0]) / "demo.gguf"
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole.read_bytes()[:200_000])
    done = lswarm("up", "--model", str(cut), "--port", "0")
    assert done.returncode == 5
    assert "cut.gguf" in done.stderr


def test_ctrl_c_before_ready_leaves_nothing_and_is_exit_code_130(
    lswarm: Lswarm, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [*LSWARM, "up", "--model", "builtin:demo", "--port", "0"],
        env=lswarm.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    while "starting" not in process.stderr.readline():
        pass
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert not [child for child in children if child.is_running()]
    assert list((lswarm.home / "run").glob("*.json")) == []


def test_a_second_signal_ends_it_at_once(up: Callable[..., Up]) -> None:
    swarm = up()
    body = json.dumps({"messages": QUESTION, "stream": True}).encode()
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S):
        children = psutil.Process(swarm.process.pid).children(recursive=True)
        swarm.process.send_signal(signal.SIGTERM)
        swarm.process.send_signal(signal.SIGINT)
        assert swarm.process.wait(PATIENCE_S) in (0, 130)
    assert not [child for child in children if child.is_running()]


def test_the_next_start_cleans_up_after_a_killed_one(up: Callable[..., Up]) -> None:
    first = up("--ctx", "512")
    first.process.kill()
    first.process.wait()
    second = up("--ctx", "512")
    runs = (Path(second.home) / "run").glob("*.json")
    assert [run.stem for run in runs] == [f"swarm-{second.port}"]


def test_ask_with_several_swarms_wants_to_know_which(up: Callable[..., Up], lswarm: Lswarm) -> None:
    up("--ctx", "512")
    up("--ctx", "512")
    done = lswarm("ask", "anything")
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_federation_is_refused_until_it_exists_and_can_be_switched_off(
    up: Callable[..., Up], lswarm: Lswarm
) -> None:
    wanted = {"LSWARM_FEDERATION__ENABLED": "true"}
    done = lswarm("up", "--port", "0", **wanted)
    assert done.returncode == 3
    assert "federation" in done.stderr
    assert up("--ctx", "512", **wanted).terminate() == 0  # says --no-federation
