"""A request that is passed through: the client's JSON object, every value the bytes it came as."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from local_swarm.errors import InvalidRequest
from local_swarm.wire.media import refuse_remote_media

OWNED = frozenset({"id_slot"})
"""What the swarm decides itself: the ledger names the slot."""
OPENING_BYTES = 1024  # of a prompt, by which a conversation is known again

_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class PassedBody:
    """`fields` are never changed; the properties read the few that the gateway acts on."""

    fields: Mapping[str, msgspec.Raw]

    @classmethod
    def parse(cls, raw: bytes) -> PassedBody:
        """Of JSON known to be valid. Raises InvalidRequest for anything but an object."""
        try:
            return cls(_DECODER.decode(raw))
        except msgspec.DecodeError as exc:
            raise InvalidRequest("The body must be a JSON object.") from exc

    def value(self, key: str) -> Any:
        raw = self.fields.get(key)
        return None if raw is None else msgspec.json.decode(raw)

    @property
    def model(self) -> str:
        model = self.value("model")
        if model is not None and not isinstance(model, str):
            raise InvalidRequest("model must be a string.", param="model")
        return model or ""

    @property
    def stream(self) -> bool:
        stream = self.value("stream")
        if stream is not None and not isinstance(stream, bool):
            raise InvalidRequest("stream must be true or false.", param="stream")
        return bool(stream)

    @property
    def n(self) -> int:
        """How many slots each prompt takes at once; what is out of range is the worker's to say.

        `n_cmpl` is llama-server's own name of it.
        """
        return max(1, self._whole("n"), self._whole("n_cmpl"))

    def _whole(self, key: str) -> int:
        value = self.value(key)
        if value is None:
            return 1
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
            raise InvalidRequest(f"{key} must be a whole number.", param=key)
        return int(value)

    @property
    def prompts(self) -> int:
        """How many prompts it has: a list of texts or token lists is several, one that mixes
        texts and tokens is one."""
        prompt = self.value("prompt")
        if not isinstance(prompt, list) or any(isinstance(part, int) for part in prompt):
            return 1
        return max(1, len(prompt))

    @property
    def opening(self) -> str:
        """The same for requests whose prompts begin alike."""
        raw = bytes(self.fields.get("prompt") or self.fields.get("input_extra") or b"")
        return hashlib.sha256(raw[:OPENING_BYTES]).hexdigest()

    def upstream(self, slot: int | None, **put: Any) -> dict[str, Any]:
        """What the worker is asked: the client's own fields, the slot, and `put` in their place."""
        body: dict[str, Any] = {k: v for k, v in self.fields.items() if k not in OWNED}
        if slot is not None:
            body["id_slot"] = slot
        return {**body, **put}

    def check_media(self) -> None:
        """Workers would fetch a remote address: that is refused. Raises InvalidRequest."""
        for key in ("system", "messages", "input"):
            if key in self.fields:
                refuse_remote_media(self.value(key), key)
