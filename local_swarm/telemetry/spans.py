"""OpenTelemetry spans, where `opentelemetry-api` is installed (`local_swarm[otel]`); else nothing.

Who runs the program sets up the exporter, as OpenTelemetry has it (`opentelemetry-instrument
lswarm up`). Attributes are numbers, ids and names: never what a user or a model wrote.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

try:
    from opentelemetry import propagate, trace
except ImportError:  # the extra is not installed
    HAVE_OTEL = False
else:
    HAVE_OTEL = True

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

P = ParamSpec("P")
T = TypeVar("T")
Attribute = str | int | float | bool
CARRIED = ("traceparent", "tracestate")


def span(
    name: str, headers: Mapping[str, str] | None = None, **attributes: Attribute
) -> AbstractContextManager[None]:
    """A span around the block, below the one that is open. `headers` are a request's own: the
    `traceparent` (W3C) in them is the parent. An exception that leaves the block marks it with its
    type alone: its message may quote the request."""
    return _span(name, headers, attributes) if _is_told() else contextlib.nullcontext()


@contextlib.contextmanager
def _span(
    name: str, headers: Mapping[str, str] | None, attributes: Mapping[str, Attribute]
) -> Iterator[None]:
    carried = {key: headers[key] for key in CARRIED if key in headers} if headers else None
    context = propagate.extract(carried) if carried else None
    opened = _tracer().start_as_current_span(
        f"lswarm.{name}",
        context,
        attributes=_named(attributes),
        record_exception=False,
        set_status_on_exception=False,
    )
    with opened as current:
        try:
            yield
        except Exception as exc:
            current.set_status(trace.StatusCode.ERROR, type(exc).__name__)
            raise


def describe(**attributes: Attribute) -> None:
    """Adds to the span that is open."""
    if _is_told():
        trace.get_current_span().set_attributes(_named(attributes))


def traced(
    name: str,
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """A span around every call of an async function."""

    def decorate(
        function: Callable[P, Coroutine[Any, Any, T]],
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        if not HAVE_OTEL:
            return function

        @wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> T:
            with span(name):
                return await function(*args, **kwargs)

        return run

    return decorate


def _is_told() -> bool:
    """Whether anybody hears of spans: the API alone has no provider but its own placeholder."""
    if not HAVE_OTEL:
        return False
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def _tracer() -> Tracer:
    return trace.get_tracer("local_swarm")


def _named(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {f"lswarm.{key}": value for key, value in attributes.items()}
