"""What one candidate answered, once it is taken out of what the model wrote."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """What an answer is, in the order in which a tie between kinds is settled."""

    TOOL_CALLS = "tool calls"
    CODE = "code"
    EDIT = "edits"
    JSON = "JSON"
    SHORT = "short answers"
    TEXT = "text"
    EMPTY = "nothing"


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is the answer itself; `sound` says that it is a whole one of its kind.

    Python is sound when it compiles, code of another `language` (empty for Python) when its
    grammar, where there is one, takes it, data and edits when they parse; text and short answers
    always are. Edits, data and short answers come in one spelling for all that mean the same.
    `rest` are the other blocks of code around `text`, in order. `mended`: the program was there
    only with marks around it, without its layout or with an unfinished end, which whoever gets
    the model's own text has to put right.
    """

    kind: Kind
    text: str
    sound: bool = True
    language: str = ""
    rest: tuple[Answer, ...] = ()
    mended: bool = False

    def same_class(self, other: Answer) -> bool:
        """Whether both are answers in the same form, as two Python programs are."""
        return (self.kind, self.language) == (other.kind, other.language)
