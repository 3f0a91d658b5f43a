"""Logs: structlog in front, the standard library behind, one line per event to stderr.

Our own events and those of libraries take the same way: time, level and logger are added, secrets
and prompts taken out, then a line is written for people (`event key=value`) or, with
`LSWARM_LOG_FORMAT=json`, for programs. Libraries are heard from `warning` on, and at every level
when ours is `debug`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import EventDict, Processor

from local_swarm.telemetry.redact import Redaction

ROOT = "local_swarm"
_HANDLER = "local_swarm"
_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
)
_redaction = Redaction()

structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED,
        ProcessorFormatter.wrap_for_formatter,
    ],
    wrapper_class=BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
)
logging.getLogger(ROOT).addHandler(logging.NullHandler())


def get_logger(name: str) -> BoundLogger:
    """The logger of a module, `get_logger(__name__)`; silent until `configure`."""
    full = name if name == ROOT or name.startswith(f"{ROOT}.") else f"{ROOT}.{name}"
    logger: BoundLogger = structlog.stdlib.get_logger(full)
    return logger


def hide(*secrets: str) -> None:
    """Secrets that must not appear in any line from now on."""
    _redaction.hide(*secrets)


def redacted(text: str) -> str:
    """The text without the secrets that lines must not show."""
    return _redaction.text(text)


def configure(
    *,
    level: str = "info",
    prompts: bool = False,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    env: Mapping[str, str] = os.environ,
) -> None:
    """Start logging, or start it anew; called once by whoever owns the process.

    Writes to `stream` (stderr); what starts the program keeps it. `level` is a name of
    `[logs] level`. With `prompts`, fields that hold what users and models wrote are shown.
    """
    _redaction.prompts = prompts
    _redaction.hide(*secrets)
    as_json = env.get("LSWARM_LOG_FORMAT", "").lower() == "json"
    stop()
    target = sys.stderr if stream is None else stream
    _add(
        logging.StreamHandler(target),
        _HANDLER,
        _renderers(as_json, colors=_colors(target, env)),
    )
    _set_levels(getattr(logging, level.upper()))


def stop() -> None:
    """Take our handlers away and close them; other people's handlers stay."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.name == _HANDLER]:
        root.removeHandler(handler)
        handler.close()


def _set_levels(level: int) -> None:
    libraries = level if level == logging.DEBUG else max(level, logging.WARNING)
    logging.getLogger().setLevel(libraries)
    logging.getLogger(ROOT).setLevel(level)


def _add(handler: logging.Handler, name: str, renderers: list[Processor]) -> None:
    handler.set_name(name)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[ProcessorFormatter.remove_processors_meta, _redaction, *renderers],
        )
    )
    logging.getLogger().addHandler(handler)


def _renderers(as_json: bool, *, colors: bool) -> list[Processor]:
    if as_json:
        return [structlog.processors.JSONRenderer(ensure_ascii=False)]
    plain = structlog.dev.plain_traceback
    return [_printable, structlog.dev.ConsoleRenderer(0, colors, exception_formatter=plain)]


def _printable(_: Any, __: str, event_dict: EventDict) -> EventDict:
    """No text breaks the line or steers the terminal; a traceback keeps its lines."""
    return {
        key: repr(value)[1:-1]
        if isinstance(value, str) and not value.isprintable() and key not in ("exception", "stack")
        else value
        for key, value in event_dict.items()
    }


def _colors(stream: TextIO, env: Mapping[str, str]) -> bool:
    return stream.isatty() and "NO_COLOR" not in env
