"""The output items of a response, as chat deltas build them, and the events that tell of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from local_swarm.wire.family import new_id

Event = tuple[str, dict[str, Any]]
"""Its name without "response.", and its fields."""
CALL = "function_call"
ID_PREFIXES = {"reasoning": "rs_", "message": "msg_", CALL: "fc_"}
PARTS = {"reasoning": "reasoning_text", "message": "output_text"}


@dataclass(slots=True)
class Item:
    """One thing said, thought or called; `pieces` are its text, or a call's arguments."""

    kind: str
    index: int
    id: str
    call_id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def as_json(self, status: str, *, begun: bool = True) -> dict[str, Any]:
        """`begun` is False for the event that announces it: there is nothing in it yet."""
        head = {"id": self.id, "type": self.kind, "status": status}
        if self.kind == CALL:
            arguments = self.text if begun else ""
            return {**head, "call_id": self.call_id, "name": self.name, "arguments": arguments}
        content = [self.part()] if begun else []
        if self.kind == "reasoning":
            return {**head, "summary": [], "content": content}
        return {**head, "role": "assistant", "content": content}

    def part(self) -> dict[str, Any]:
        """What a thought or a message has as its one part of content."""
        part: dict[str, Any] = {"type": PARTS[self.kind], "text": self.text}
        if self.kind == "message":
            part |= {"annotations": [], "logprobs": self.logprobs}
        return part

    def place(self) -> dict[str, Any]:
        """Where an event of this item belongs."""
        place: dict[str, Any] = {"item_id": self.id, "output_index": self.index}
        return place if self.kind == CALL else {**place, "content_index": 0}


class Output:
    """Each method yields the events that tell what it did. One item is open at a time: whatever is
    said in another way than before begins a new one."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._open: Item | None = None
        self._calls: dict[object, Item] = {}  # by the call's index

    def take(self, delta: dict[str, Any], logprobs: list[Any]) -> Iterator[Event]:
        if thought := delta.get("reasoning_content"):
            yield from self._say("reasoning", thought, [])
        if text := delta.get("content"):
            yield from self._say("message", text, logprobs)
        for fragment in delta.get("tool_calls") or ():
            yield from self._call(fragment)

    def close(self, status: str = "completed") -> Iterator[Event]:
        """Ends the item that is open."""
        item, self._open = self._open, None
        if item is None:
            return
        text, place = item.text, item.place()
        if item.kind == CALL:
            yield "function_call_arguments.done", {**place, "name": item.name, "arguments": text}
        else:
            extra = {"logprobs": item.logprobs} if item.kind == "message" else {}
            yield f"{PARTS[item.kind]}.done", {**place, "text": text, **extra}
            yield "content_part.done", {**place, "part": item.part()}
        done = {"output_index": item.index, "item": item.as_json(status)}
        yield "output_item.done", done

    def _say(self, kind: str, text: str, logprobs: list[Any]) -> Iterator[Event]:
        if self._open is None or self._open.kind != kind:
            item = self._new(kind)
            yield from self._announce(item)
            yield "content_part.added", {**item.place(), "part": item.part()}
        item = self.items[-1]
        item.pieces.append(text)
        item.logprobs.extend(logprobs)
        extra = {"logprobs": logprobs} if kind == "message" else {}
        yield f"{PARTS[kind]}.delta", {**item.place(), "delta": text, **extra}

    def _call(self, fragment: dict[str, Any]) -> Iterator[Event]:
        index, function = fragment.get("index", 0), fragment.get("function") or {}
        if index not in self._calls:
            item = self._calls[index] = self._new(CALL)
            item.call_id = fragment.get("id") or new_id("call_")
            item.name = function.get("name") or ""
            yield from self._announce(item)
        item = self._calls[index]
        if arguments := function.get("arguments"):
            item.pieces.append(arguments)
            yield "function_call_arguments.delta", {**item.place(), "delta": arguments}

    def _new(self, kind: str) -> Item:
        return Item(kind, len(self.items), new_id(ID_PREFIXES[kind]))

    def _announce(self, item: Item) -> Iterator[Event]:
        yield from self.close()
        self.items.append(item)
        self._open = item
        added = item.as_json("in_progress", begun=False)
        yield "output_item.added", {"output_index": item.index, "item": added}
