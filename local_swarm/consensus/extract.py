"""Get the answer out of what a model wrote: reasoning, fences and talk taken off.

What comes out is only compared; the text that is returned to the client is always the model's own.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from local_swarm.consensus import repair, syntax
from local_swarm.consensus.canonical import canonical_calls, canonical_json
from local_swarm.consensus.repair import Header
from local_swarm.domain.candidate import Candidate


class Kind(str, Enum):
    """What an answer is, in the order in which a tie between kinds is settled."""

    TOOL_CALLS = "tool calls"
    CODE = "code"
    JSON = "JSON"
    TEXT = "text"
    EMPTY = "nothing"


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is the answer itself; `sound` says that it is a whole one of its kind.

    Python is sound when it compiles, data when it parses; text and code of another `language`
    (empty for Python) always are. `rest` are the other blocks of code around `text`, in order.
    """

    kind: Kind
    text: str
    sound: bool = True
    language: str = ""
    rest: tuple[Answer, ...] = ()

    def same_class(self, other: Answer) -> bool:
        """Whether both are answers in the same form, as two Python programs are."""
        return (self.kind, self.language) == (other.kind, other.language)


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its language tag as it was written, and what it holds."""

    tag: str
    body: str

    @property
    def language(self) -> str:
        """One name for every language; empty for Python and where the tag says nothing."""
        word = _TAG.match(self.tag.lower())
        name = word.group(1) if word is not None else ""
        if name in _PYTHON or name in _PLAIN or name.endswith(".py"):
            return ""
        return _ALIASES.get(name, name)

    @property
    def is_plain(self) -> bool:
        """Whether the tag says that it is not code."""
        return self.tag.lower() in _PLAIN


_TAG = re.compile(r"[{.]*([^\s{}:,;=]+)")
_PYTHON = frozenset(("python", "py", "python3", "py3", "pycon", "python2", "ipython", "cython"))
_PLAIN = frozenset(("text", "txt", "plain", "plaintext", "code", "output"))
_ALIASES = {
    **dict.fromkeys(("sh", "shell", "zsh", "console", "terminal", "shellscript"), "bash"),
    **dict.fromkeys(("ps1", "pwsh", "bat", "cmd", "batch"), "powershell"),
    "js": "javascript",
    "jsx": "javascript",
    "ts": "typescript",
    "tsx": "typescript",
    "golang": "go",
    "rs": "rust",
    "rb": "ruby",
    "yml": "yaml",
    "makefile": "make",
    "c++": "cpp",
    "cs": "csharp",
    "c#": "csharp",
    "kt": "kotlin",
    "hs": "haskell",
}
_SHELLS = frozenset(("bash", "powershell", "fish"))
_NAMES = "think|thinking|thought|reasoning"
_OPENED = r"(?:\s[^<>]*)?>"
_REASONING = re.compile(
    rf"\A(?:\s*<({_NAMES}){_OPENED}(?:.*?</\1>|.*\Z))+", re.DOTALL | re.IGNORECASE
)
_REASONING_END = re.compile(rf"</({_NAMES})>[ \t]*(?:\n|\Z)", re.IGNORECASE)
_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})(.*)", re.DOTALL)
_MAX_BLOCKS = 16
_PROSE_SHARE = 3
"""An answer with so many times more talk than commands is not code."""


def extract(candidate: Candidate, header: Header | None = None) -> Answer:
    """The answer in one candidate. `header` is the function that the prompt asks for, if any.

    Total: any text gives an answer.
    """
    if candidate.tool_calls:
        return _tool_calls(candidate)
    text = drop_reasoning(_one_newline(candidate.text))
    if all(not line.strip() or _fence_line(line)[1] for line in text.split("\n")):
        return Answer(Kind.EMPTY, "")
    blocks = fences(text)
    if not blocks or _is_talk(text, blocks):
        return _bare(text, header) if not blocks else Answer(Kind.TEXT, text)
    return _fenced(text, blocks, header)


def _one_newline(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def drop_reasoning(text: str) -> str:
    """Without what the model thought aloud before answering. A thought without an end is all
    thought; an end without a beginning (the template opened it) ends one."""
    text = _REASONING.sub("", text, count=1)
    end = _REASONING_END.search(text)
    if end is None:
        return text
    opening = re.compile(rf"<{end.group(1)}{_OPENED}", re.IGNORECASE)
    return text if opening.search(text, 0, end.start()) else text[end.end() :]


def fences(text: str) -> list[Fence]:
    """The fenced blocks, in order. A fence that is never closed runs to the end; one that is
    indented deeper than the opening one closes nothing: it stands in a docstring."""
    blocks: list[Fence] = []
    body: list[str] = []
    opener = tag = ""
    margin = 0
    for line in _one_newline(text).split("\n"):
        indent, marks, info = _fence_line(line)
        if not opener and marks:
            opener, tag, body, margin = marks, info.partition(" ")[0], [], indent
        elif opener and marks.startswith(opener) and not info and indent <= margin:
            blocks.append(Fence(tag, "\n".join(body)))
            opener = ""
        elif opener:
            body.append(line)
    if opener:
        blocks.append(Fence(tag, "\n".join(body)))
    return [block for block in blocks if block.body.strip()]


def _affordable(blocks: Sequence[Fence]) -> list[Fence]:
    """The first few, as long as all of them together are no longer than a source may be; at least
    one, if there is one."""
    kept, length = list(blocks[:1]), len(blocks[0].body) if blocks else 0
    for block in blocks[1:_MAX_BLOCKS]:
        length += len(block.body)
        if length <= syntax.MAX_SOURCE_CHARS:
            kept.append(block)
    return kept


def _fence_line(line: str) -> tuple[int, str, str]:
    """The indentation and the marks of a fence and what follows them; no marks for any other
    line."""
    match = _FENCE.match(line)
    if match is None or "`" in match.group(3):
        return (0, "", "")
    return (len(match.group(1).expandtabs()), match.group(2), match.group(3).strip())


def _tool_calls(candidate: Candidate) -> Answer:
    canonical = canonical_calls(candidate.tool_calls)
    return Answer(Kind.TOOL_CALLS, canonical.text, canonical.sound)


def _is_talk(text: str, blocks: Sequence[Fence]) -> bool:
    """Whether it is prose that shows a command or two, not an answer in code."""
    commands = "".join(block.body for block in blocks)
    if not all(block.language in _SHELLS or _says_no_code(block) for block in blocks):
        return False
    code = len("".join(commands.split()))
    return len("".join(text.split())) - code > _PROSE_SHARE * code


def _says_no_code(block: Fence) -> bool:
    return not block.language and not repair.looks_like_code(block.body)


def _fenced(text: str, blocks: Sequence[Fence], header: Header | None) -> Answer:
    """The block that defines the asked function itself, else the best other one. (A block that
    became sound as the body of the asked function says less: nearly any code can.)"""

    def worth(pair: tuple[Fence, Answer]) -> tuple[bool, bool, bool, bool, bool, bool, int]:
        block, answer = pair
        is_code = answer.kind is Kind.CODE
        return (
            header is not None and syntax.defines(textwrap.dedent(block.body), header.name),
            block.language not in _SHELLS and (answer.sound or bool(block.tag)),
            answer.sound,
            is_code and header is not None and syntax.defines(answer.text, header.name),
            is_code and (bool(answer.language) or syntax.defines_something(answer.text)),
            is_code,
            len(answer.text),
        )

    affordable = _affordable(blocks)
    main, answer = max(((block, _block(block, header)) for block in affordable), key=worth)
    if answer.kind is Kind.TEXT:
        return Answer(Kind.TEXT, text)
    read = set(map(id, affordable))
    rest = [
        _block(block, None) if id(block) in read else Answer(Kind.CODE, block.body, sound=False)
        for block in blocks
        if block is not main and not block.is_plain
    ]
    return replace(answer, rest=tuple(rest))


def _block(block: Fence, header: Header | None) -> Answer:
    if (document := _document(block.body)) is not None:
        return document
    if block.is_plain:
        return _bare(block.body, header)
    if block.language == "json":
        return Answer(Kind.JSON, block.body.strip(), sound=False)
    if block.language:
        return Answer(Kind.CODE, block.body.strip("\n"), language=block.language)
    program = repair.whole_program(block.body, header)
    if program is not None:
        return Answer(Kind.CODE, program)
    return Answer(Kind.CODE, block.body.strip("\n"), sound=False)


def _bare(text: str, header: Header | None) -> Answer:
    if (document := _document(text)) is not None:
        return document
    if not repair.looks_like_code(text):
        return Answer(Kind.TEXT, text)
    program = repair.whole_program(text, header)
    if program is not None:
        return Answer(Kind.CODE, program)
    if syntax.defines_something(text):
        return Answer(Kind.CODE, text.strip("\n"), sound=False)
    return Answer(Kind.TEXT, text)


def _document(text: str) -> Answer | None:
    """A JSON object or array; a lone number or word is text."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    canonical = canonical_json(text)
    return None if canonical is None else Answer(Kind.JSON, canonical)
