"""What a test tells the fake server to do: answers, speed and faults.

The script is a JSON object, given by FAKE_LLAMA_SCRIPT (JSON, or the path of a file with it) or
by POST /_fake/script, which replaces the whole script. All keys are optional:

    load_s            seconds of 503 "Loading model" after the port is open
    load_from         ... only from this life on (needs counter_file)
    start_exit        exit with this code instead of starting
    start_exit_times  ... only in the first so many lives (needs counter_file)
    counter_file      a file in which each start adds a line: the number of the life
    check_model       exit 1 when the file given with -m does not exist or is no GGUF
    flood             bytes of each line that it writes to its log without end; 0: one endless line
    closes_output     true: closes stdout and stderr once it listens
    grandchildren     so many processes that only sleep; with grandchildren_apart each in a
                      session of its own, out of reach of a signal to the group
    sigterm           "exit" (default), "ignore", or "ignore_busy" (while a request runs)
    first_token_s     seconds before the first token of a request
    token_s           seconds per token of each choice
    order_seed        interleave choices in a random but seeded order (default: round robin)
    cancel_non_stream stop non-streamed work when its client leaves (default false, as measured)
    answers           a list of answers, or {prompt substring: list}; "" matches every prompt
    embeddings        true: embeddings and reranking answer {"echo": the body}; "letters": they
                      answer with vectors of how often each letter occurs; else they are 501
    slot              fields added to each slot of GET /slots
    answers_by        what picks from the list: "choice" (default), "slot", "request", "seed"
    faults            a list of faults, the first that matches a request is used:
        kind          crash | hang | hold | cut | error | status | content_type | grow
        at_token      after so many tokens, over all choices (default 0: before any byte)
        when          only when the prompt (or body) contains this
        path          only for paths that start with this; default: the generating ones
        times         only for so many requests; lives: only in the first so many lives
        exit, signal  for crash (default signal 9);  status, message, type: for error and status
                      hold waits for POST /_fake/release; hang waits for ever; grow takes memory
                      until there is none, then aborts as the engine does

An answer is a text or {"content", "reasoning", "tool_calls": [{"name", "arguments", "id"}],
"finish_reason"}; `arguments` may be an object.
"""

from __future__ import annotations

import json
import os
import random
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORDS = ("the", "value", "of", "this", "list", "is", "sorted", "by", "key", "and", "item")


@dataclass
class Answer:
    """What one choice says; `pieces` are its tokens."""

    content: str = ""
    reasoning: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None

    @classmethod
    def parse(cls, raw: str | dict[str, Any]) -> Answer:
        return cls(content=raw) if isinstance(raw, str) else cls(**raw)


def pieces(text: str) -> list[str]:
    """The fake's tokens: a word with the space before it, a sign, or white space."""
    return re.findall(r" ?\w+| ?[^\w\s]|\s", text)


def piece_id(piece: str) -> int:
    return zlib.crc32(piece.encode()) & 0xFFFFFF


@dataclass
class Script:
    """The script as it stands; see the module's docstring for the keys."""

    raw: dict[str, Any]
    life: int = 1
    hits: dict[int, int] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> Script:
        text = os.environ.get("FAKE_LLAMA_SCRIPT", "").strip()
        if text and not text.startswith("{"):
            text = Path(text).read_text()
        script = cls(json.loads(text or "{}"))
        script.life = count_life(script.raw.get("counter_file"))
        return script

    def get(self, key: str, default: Any = None) -> Any:
        return self.raw.get(key, default)

    def fault(self, path: str, text: str, generating: bool) -> dict[str, Any] | None:
        """The fault this request meets, counted as used."""
        for index, fault in enumerate(self.raw.get("faults", [])):
            wanted = fault.get("path")
            if not (generating if wanted is None else path.startswith(wanted)):
                continue
            if fault.get("when", "") not in text or self.life > fault.get("lives", self.life):
                continue
            if self.hits.get(index, 0) >= fault.get("times", float("inf")):
                continue
            self.hits[index] = self.hits.get(index, 0) + 1
            return dict(fault)
        return None

    def answer(
        self, prompt: str, *, seed: int, choice: int, slot: int, request: int, greedy: bool
    ) -> Answer:
        """The scripted answer, or one that depends on prompt, seed and choice alone."""
        listed = self._listed(prompt)
        if not listed:
            return Answer(default_text(prompt, 0 if greedy else seed + choice))
        by = {"slot": slot, "request": request, "seed": seed + choice}
        index = by.get(self.get("answers_by", "choice"), choice)
        return Answer.parse(listed[index % len(listed)])

    def _listed(self, prompt: str) -> list[Any]:
        answers = self.get("answers", [])
        if isinstance(answers, list):
            return answers
        return next((listed for part, listed in answers.items() if part in prompt), [])


def default_text(prompt: str, seed: int) -> str:
    rng = random.Random(f"{seed}:{prompt}")
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(6, 16)))


def count_life(counter_file: str | None) -> int:
    if not counter_file:
        return 1
    with open(counter_file, "a+") as file:
        file.write(f"{os.getpid()}\n")
        file.flush()
        file.seek(0)
        return len(file.readlines())
