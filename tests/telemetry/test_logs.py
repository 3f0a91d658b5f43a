"""What a log line looks like, who is heard, and what it never says."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local_swarm.telemetry.logs import configure, get_logger, hide, stop

JSON = {"LSWARM_LOG_FORMAT": "json"}
SECRET = "sk-4f9a7c"


@pytest.fixture(autouse=True)
def _quiet_afterwards() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("local_swarm")
    levels = root.level, ours.level
    yield
    stop()
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def lines() -> Callable[..., Callable[[], list[dict[str, Any]]]]:
    """Start logging as JSON; the result gives the lines so far."""

    def start(**options: Any) -> Callable[[], list[dict[str, Any]]]:
        stream = io.StringIO()
        configure(stream=stream, env=JSON, **options)
        return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    return start


def test_an_event_is_one_line_for_people():
    stream = io.StringIO()
    configure(stream=stream, env={})
    get_logger("gateway").info("worker ready", worker="w0", port=8001)
    (line,) = stream.getvalue().splitlines()
    assert "worker ready" in line
    assert "worker=w0" in line
    assert "port=8001" in line
    assert "\x1b" not in line


def test_a_value_cannot_break_the_line_or_paint_the_terminal():
    stream = io.StringIO()
    configure(stream=stream, env={})
    get_logger("gateway").info("refused", path="/v1\nfake line \x1b[31m")
    logging.getLogger("library").warning("odd\r\nline \x1b[2J")
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


def test_an_event_is_one_object_for_programs(lines):
    read = lines()
    get_logger("local_swarm.gateway.app").warning("slow", elapsed_s=1.5)
    (line,) = read()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "slow",
        "elapsed_s": 1.5,
        "level": "warning",
        "logger": "local_swarm.gateway.app",
    }


def test_libraries_take_the_same_way_from_warning_on(lines):
    read = lines(level="info")
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("trouble %s", "here")
    get_logger("gateway").debug("detail")
    get_logger("gateway").info("event")
    assert [line["event"] for line in read()] == ["trouble here", "event"]


def test_debug_hears_libraries_too(lines):
    read = lines(level="debug")
    logging.getLogger("library").debug("chatter")
    assert [line["event"] for line in read()] == ["chatter"]


def test_configuring_again_replaces_and_does_not_double(lines):
    first, second = lines(), lines()
    get_logger("gateway").info("once")
    assert (len(first()), len(second())) == (0, 1)


def test_before_configure_nothing_is_written(capsys):
    get_logger("gateway").error("early")
    assert capsys.readouterr() == ("", "")


def test_known_secrets_and_telling_keys_are_hidden_wherever_they_lie(lines):
    read = lines(secrets=[SECRET])
    hide("late-secret")
    get_logger("gateway").error(
        f"bad key {SECRET}",
        api_key="other",
        headers={"Authorization": "Bearer x", "X-Api-Key": "y", "Host": "h"},
        argv=["--key", f"={SECRET}"],
        error=ValueError(SECRET),
        note="late-secret",
    )
    (line,) = read()
    assert SECRET not in json.dumps(line)
    assert line["event"] == "bad key [hidden]"
    assert line["api_key"] == line["note"] == "[hidden]"
    assert line["headers"] == {"Authorization": "[hidden]", "X-Api-Key": "[hidden]", "Host": "h"}


def test_secrets_are_hidden_in_tracebacks_and_in_what_libraries_say(lines):
    read = lines(secrets=[SECRET])
    try:
        raise RuntimeError(f"refused {SECRET}")
    except RuntimeError:
        get_logger("gateway").exception("failed")
    logging.getLogger("library").warning("sent Authorization: Bearer abc.def and %s", SECRET)
    failed, sent = read()
    assert "refused [hidden]" in failed["exception"]
    assert sent["event"] == "sent Authorization: Bearer [hidden] and [hidden]"


def test_prompts_are_shown_only_when_asked_for(lines):
    read = lines()
    get_logger("gateway").info("asked", messages=[{"content": "private"}])
    assert read()[0]["messages"] == "[hidden]"
    read = lines(prompts=True)
    get_logger("gateway").info("asked", messages=[{"content": "private"}])
    assert read()[0]["messages"] == [{"content": "private"}]


def test_what_contains_itself_is_still_logged(lines):
    read = lines()
    loop: list[object] = []
    loop.append(loop)
    get_logger("gateway").info("odd", loop=loop)
    assert read()[0]["event"] == "odd"
