"""The keys of one architecture in a GGUF header, checked as they are read."""

from __future__ import annotations

from local_swarm.errors import ModelError
from local_swarm.models.gguf import Header

MAX_HEADS = 1 << 16
MAX_LENGTH = 1 << 31


class Keys:
    """Reads `ARCH.key` by its `key`. Every method raises `ModelError` naming a senseless key."""

    def __init__(self, header: Header) -> None:
        arch = header.metadata.get("general.architecture")
        if not isinstance(arch, str) or not arch:
            raise refusal(header, "it does not name its architecture (general.architecture)")
        self.header = header
        self.arch = arch

    def count(self, key: str, default: int | None = None, *, most: int = MAX_LENGTH) -> int:
        """A whole number, 1 to `most`; `default` where the key is absent, else it is required.

        0 may be written where it is the default.
        """
        full = f"{self.arch}.{key}"
        value = self.header.metadata.get(full)
        if value is None:
            if default is None:
                raise refusal(self.header, f"it has no {full}, so it is no language model we know")
            return default
        return self._whole(full, value, least=0 if default == 0 else 1, most=most)

    def maybe(self, key: str) -> int | None:
        """A whole number, None where the key is absent or holds something else."""
        value = self.header.metadata.get(f"{self.arch}.{key}")
        return value if type(value) is int and 0 <= value <= MAX_LENGTH else None

    def per_layer(
        self, key: str, layers: int, default: int | tuple[int, ...], *, most: int = MAX_HEADS
    ) -> tuple[int, ...]:
        """One number for each layer, from an array or one number for all."""
        full = f"{self.arch}.{key}"
        value = self.header.metadata.get(full, default)
        if not isinstance(value, tuple):
            return (self._whole(full, value, least=0, most=most),) * layers
        if len(value) < layers:
            raise refusal(self.header, f"{full} has {len(value)} entries for {layers} layers")
        return tuple(self._whole(full, v, least=0, most=most) for v in value[:layers])

    def flags(self, key: str, layers: int) -> tuple[bool, ...] | None:
        """One flag for each layer from an array, False beyond its end; None without an array."""
        value = self.header.metadata.get(f"{self.arch}.{key}")
        if not isinstance(value, tuple):
            return None
        return tuple(bool(value[n]) if n < len(value) else False for n in range(layers))

    def _whole(self, full: str, value: object, *, least: int, most: int) -> int:
        if type(value) is not int or not least <= value <= most:
            raise refusal(self.header, f"{full} is {str(value)[:80]}")
        return value


def refusal(header: Header, what: str) -> ModelError:
    return ModelError(f"{header.path} cannot be used: {what}.", hint="Choose another .gguf model.")
