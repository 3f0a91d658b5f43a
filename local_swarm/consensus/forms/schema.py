"""What a JSON value means by the schema that it was written for, read off without judging it.

Only what is quick to read counts: types, `enum` and `const`, properties, items, the choices of
`anyOf` and `oneOf`, references into the schema itself. Patterns, formats and bounds are for `rules`
to judge, which may take long; here the work is bounded whatever the schema is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from local_swarm.consensus.forms.canonical import read_json, spell

MOST_STEPS = 20_000
"""So many parts of a schema are looked at for one value; what lies behind them asks for nothing."""

_MOST_REFERENCES = 8
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,39})(?:\.\d{1,40})?(?:[eE][-+]?\d{1,3})?")
_WORDS = {"true": True, "false": False, "null": None}
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


def fits(value: Any, schema: Mapping[str, Any] | None) -> bool:
    """Whether nothing that is quick to read speaks against it."""
    try:
        return _Reader(schema).fits(value, schema)
    except RecursionError:  # a schema may hold itself
        return True


def meant(value: Any, schema: Mapping[str, Any] | None) -> Any:
    """The value with everything said: a value of another type as one of the asked type where
    nothing is lost by that ("5" for an integer), defaults filled in, a null that is not asked for
    left out. `value` itself stays as it is."""
    try:
        return _Reader(schema).meant(value, schema)
    except RecursionError:
        return value


class _Reader:
    """Reads one value by one schema; `root` is what references point into."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MOST_STEPS

    def fits(self, value: Any, schema: Any) -> bool:
        if schema is False:
            return False
        asked = self._followed(schema)
        return (
            _is_one_of(value, _types(asked))
            and _is_listed(value, asked)
            and (not isinstance(value, dict) or self._properties_fit(value, asked))
            and (not isinstance(value, list) or self._items_fit(value, asked))
            and all(self.fits(value, part) for part in _listed(asked, "allOf"))
            and all(
                any(self.fits(value, one) for one in choices)
                for name in ("anyOf", "oneOf")
                if (choices := _listed(asked, name))
            )
        )

    def meant(self, value: Any, schema: Any) -> Any:
        asked = self._followed(schema)
        value = _of_type(value, _types(asked))
        for part in _listed(asked, "allOf"):
            value = self.meant(value, part)
        for name in ("anyOf", "oneOf"):
            value = self._chosen(value, _listed(asked, name))
        if isinstance(value, dict):
            return self._object(value, asked)
        items = asked.get("items")
        if isinstance(value, list) and isinstance(items, dict) and "prefixItems" not in asked:
            return [self.meant(item, items) for item in value]
        return value

    def _chosen(self, value: Any, choices: list[Any]) -> Any:
        """By the first choice that it fits as it is, else by the first that it can be made fit."""
        for choice in choices:
            if self.fits(value, choice):
                return self.meant(value, choice)
        for choice in choices:
            if self.fits(made := self.meant(value, choice), choice):
                return made
        return value

    def _object(self, value: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        properties, required = _properties(asked), _listed(asked, "required")
        others = asked.get("additionalProperties")
        said = {}
        for name, item in value.items():
            if item is not None or not self._says_nothing(name, properties, required):
                said[name] = self.meant(item, properties.get(name, others))
        for name, of_item in properties.items():
            if name not in said and isinstance(of_item, dict) and "default" in of_item:
                said[name] = self.meant(_plain(of_item["default"]), of_item)
        return said

    def _says_nothing(self, name: str, properties: Mapping[str, Any], required: list[Any]) -> bool:
        """Whether null for this property is the same as leaving it out: it is optional, and has no
        default that the null would speak against."""
        if name not in properties or name in required:
            return False
        of_item = properties[name]
        has_default = isinstance(of_item, dict) and "default" in of_item
        return not (has_default and self.fits(None, of_item))

    def _properties_fit(self, value: dict[str, Any], asked: Mapping[str, Any]) -> bool:
        properties = _properties(asked)
        if any(name not in value for name in _listed(asked, "required")):
            return False
        is_closed = asked.get("additionalProperties") is False and "patternProperties" not in asked
        if is_closed and any(name not in properties for name in value):
            return False
        return all(
            self.fits(item, properties[name]) for name, item in value.items() if name in properties
        )

    def _items_fit(self, value: list[Any], asked: Mapping[str, Any]) -> bool:
        items = asked.get("items")
        if not isinstance(items, dict) or "prefixItems" in asked:
            return True
        return all(self.fits(item, items) for item in value)

    def _followed(self, schema: Any) -> Mapping[str, Any]:
        """The schema itself, or what it refers to; empty where that is nothing to read."""
        for _ in range(_MOST_REFERENCES):
            self._left -= 1
            if not isinstance(schema, dict) or self._left < 0:
                return {}
            if "$ref" not in schema:
                return schema
            schema = _pointed(self._root, schema["$ref"])
        return {}


def _pointed(root: Any, reference: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        root = root.get(name) if isinstance(root, dict) else None
    return root


def _properties(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = asked.get("properties")
    return properties if isinstance(properties, dict) else {}


def _listed(asked: Mapping[str, Any], name: str) -> list[Any]:
    parts = asked.get(name)
    return parts if isinstance(parts, list) else []


def _types(asked: Mapping[str, Any]) -> list[str]:
    """What `type` names; nothing where it names something else than JSON's types."""
    named = asked.get("type")
    types = named if isinstance(named, list) else [named]
    return [str(one) for one in types] if all(one in _TYPES for one in types) else []


def _is_one_of(value: Any, types: Iterable[str]) -> bool:
    own = _type_of(value)
    return not types or own in types or (own == "integer" and "number" in types)


def _type_of(value: Any) -> str:
    """A whole number is an integer, however it is written."""
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    kinds = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _is_listed(value: Any, asked: Mapping[str, Any]) -> bool:
    listed = [asked["const"]] if "const" in asked else asked.get("enum")
    if not isinstance(listed, list):
        return True
    return spell(_plain(value)) in [spell(_plain(one)) for one in listed]


def _plain(value: Any) -> Any:
    """Whole numbers as int: a schema came by another parser than the answers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _of_type(value: Any, types: list[str]) -> Any:
    if _is_one_of(value, types):
        return _plain(value) if isinstance(value, float) else value
    if isinstance(value, str):
        return _read_as(value, types)
    if "string" in types and isinstance(value, (bool, int, float)):
        return spell(value)
    return value


def _read_as(text: str, types: list[str]) -> Any:
    """What was written into a string, if it is of one of the types."""
    bare = text.strip()
    if bare.lower() in _WORDS:
        value = _WORDS[bare.lower()]
    elif _NUMBER.fullmatch(bare) or bare[:1] in ("{", "["):
        try:
            value = read_json(bare)
        except ValueError:
            return text
    else:
        return text
    return value if _is_one_of(value, types) else text
