"""OpenAI's completions request, a prompt to go on with, as a typed view over the client's JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec

from local_swarm.errors import InvalidRequest
from local_swarm.wire.request import (
    MAX_SAMPLES,
    VotedRequest,
    common_fields,
    integer,
    json_object,
    optional,
)

COMPLETIONS_PATH = "/v1/completions"
OPENING_BYTES = 1024  # of a prompt, by which a conversation is known again


@dataclass(frozen=True, slots=True)
class CompletionRequest(VotedRequest):
    """`prompts` has one prompt (a text, a list of tokens, or one that mixes them), or several.
    `echo`: the gateway says each prompt before its answer, for not every engine does."""

    prompts: list[Any]
    echo: bool

    path: ClassVar[str] = COMPLETIONS_PATH

    @classmethod
    def parse(cls, body: object, *, strategy_header: str | None = None) -> CompletionRequest:
        """`best_of` asks for so many voters: choosing the best of several is what a vote does.

        Raises InvalidRequest naming the field.
        """
        original = json_object(body)
        prompts = _prompts(original.get("prompt"))
        best_of = integer(original, "best_of", None, 1, MAX_SAMPLES)
        echo = _is_ours(original, prompts)
        ours = {"best_of", "echo"} if echo else {"best_of"}
        body = {k: v for k, v in original.items() if k not in ours}
        if len(prompts) == 1:
            body["prompt"] = prompts[0]
        fields = common_fields(body, original, strategy_header)
        request = cls(**fields, prompts=prompts, echo=echo)
        if best_of is not None and best_of < request.n:
            raise InvalidRequest(f"best_of must be at least n ({request.n}).", param="best_of")
        if request.n > 1 < len(prompts):
            raise InvalidRequest(
                f"n is {request.n}, and there are {len(prompts)} prompts.",
                hint="Send each prompt in a request of its own.",
                param="n",
            )
        if best_of is None or best_of == 1 or request.swarm.samples is not None:
            return request
        return replace(request, swarm=replace(request.swarm, samples=best_of))

    def parts(self) -> Sequence[CompletionRequest]:
        if len(self.prompts) == 1:
            return (self,)
        return [
            replace(self, body={**self.body, "prompt": prompt}, prompts=[prompt])
            for prompt in self.prompts
        ]

    @property
    def prompt(self) -> str:
        first = self.prompts[0]
        return first if isinstance(first, str) else ""

    @property
    def conversation(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self.prompts[0])[:OPENING_BYTES]).hexdigest()


def _prompts(prompt: object) -> list[Any]:
    """A list of texts or token lists is several prompts; one with a token in it is one."""
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt and all(_is_part(part) for part in prompt):
        return [prompt] if any(isinstance(part, int) for part in prompt) else list(prompt)
    raise InvalidRequest(
        "prompt must be a text, a list of tokens, or a list of these.", param="prompt"
    )


def _is_ours(body: Mapping[str, Any], prompts: list[Any]) -> bool:
    """Whether the echo asked for can be given here: of texts, without what only an engine knows of
    their tokens."""
    texts = all(isinstance(prompt, str) for prompt in prompts)
    return bool(optional(body, "echo", bool)) and texts and not body.get("logprobs")


def _is_part(part: object) -> bool:
    if isinstance(part, list):
        return bool(part) and all(isinstance(p, (int, str)) for p in part)
    return isinstance(part, (str, int)) and not isinstance(part, bool)
