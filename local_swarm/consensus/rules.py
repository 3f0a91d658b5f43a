"""Whether an answer keeps the rules of its own request; one that breaks them abstains.

A schema is the client's: applying it may take long (its patterns are regular expressions), so
call this off an event loop. `abiding` looks only at what is quick to read of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from local_swarm.consensus.ballot import Entry
from local_swarm.consensus.forms import schema
from local_swarm.consensus.forms.canonical import MAX_JSON_CHARS, canonical_json
from local_swarm.domain.candidate import Candidate, ToolCall
from local_swarm.domain.rules import Breach, Calls, Rules

_CALL_FAULTS = frozenset({Breach.UNKNOWN_FUNCTION, Breach.BAD_ARGUMENTS, Breach.WRONG_ARGUMENTS})


_Fits = Callable[[Any, "dict[str, Any] | None"], bool]


def abiding(rules: Rules, entries: Sequence[Entry]) -> list[Entry]:
    """The entries that keep the rules, as far as that is quick to see; all where none does. The
    others have no say in a vote, however many they are."""
    return keeping(rules, entries) or list(entries)


def keeping(rules: Rules, entries: Sequence[Entry]) -> list[Entry]:
    """The entries that keep the rules, as far as that is quick to see; maybe none."""
    if not rules:
        return list(entries)
    return [e for e in entries if _first_breach(rules, e.candidate, schema.fits) is None]


def breaks(rules: Rules, candidate: Candidate) -> Breach | None:
    """The first rule that the candidate breaks; None when it keeps them all. Never raises: what
    cannot be judged (a schema that is none, JSON of more than 256 Ki characters) breaks nothing."""
    return _first_breach(rules, candidate, _fits)


def _first_breach(rules: Rules, candidate: Candidate, fits: _Fits) -> Breach | None:
    calls = candidate.tool_calls
    if not calls and rules.calls is Calls.REQUIRED:
        return Breach.NO_CALL
    if calls and rules.calls is Calls.NONE:
        return Breach.FORBIDDEN_CALL
    if len(calls) > 1 and rules.one_call:
        return Breach.SEVERAL_CALLS
    for call in calls:
        if (breach := _call_breaks(rules, call, fits)) is not None:
            return breach
    if rules.json and not calls:
        return _content_breaks(rules.schema, candidate.text, fits)
    return None


def is_bearable(rules: Rules, breach: Breach, candidate: Candidate) -> bool:
    """Whether the client can still use the answer when there is no better one: it was cut off by
    the limit (`finish_reason` says so), or a call that was offered and not demanded is wrong (the
    client tells the model, and the conversation goes on)."""
    if candidate.finish_reason == "length":
        return True
    return rules.calls is Calls.AUTO and breach in _CALL_FAULTS


def _call_breaks(rules: Rules, call: ToolCall, fits: _Fits) -> Breach | None:
    if rules.function and call.name != rules.function:
        return Breach.OTHER_FUNCTION
    if rules.functions is None:
        return None
    if call.name not in rules.functions:
        return Breach.UNKNOWN_FUNCTION
    if len(call.arguments) > MAX_JSON_CHARS:
        return None
    arguments = canonical_json(call.arguments.strip() or "{}")
    if arguments is None or not arguments.startswith("{"):
        return Breach.BAD_ARGUMENTS
    is_right = fits(json.loads(arguments), rules.functions[call.name])
    return None if is_right else Breach.WRONG_ARGUMENTS


def _content_breaks(asked: dict[str, Any] | None, text: str, fits: _Fits) -> Breach | None:
    if len(text) > MAX_JSON_CHARS:
        return None
    content = canonical_json(text)
    if content is None or (asked is None and not content.startswith("{")):
        return Breach.NOT_JSON
    return None if fits(json.loads(content), asked) else Breach.WRONG_JSON


def _fits(value: Any, asked: dict[str, Any] | None) -> bool:
    """True also where the schema cannot be applied. A reference to an address is not followed."""
    if not asked:
        return True
    # Here, as they take a tenth of a second to import and most swarms never see a schema.
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry

    try:
        kind = validator_for(asked, default=Draft202012Validator)
        kind.check_schema(asked)
        return bool(kind(asked, registry=Registry()).is_valid(value))
    except Exception:  # whatever a client's schema makes a validator do
        return True
