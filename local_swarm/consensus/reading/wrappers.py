"""What stands around an answer, and is no part of it: thoughts, a chat template's own marks, the
prompts of a console, line numbers, quotation marks."""

from __future__ import annotations

import re
from itertools import pairwise

_NAMES = "think|thinking|thought|reasoning"
_OPENED = r"(?:\s[^<>]*)?>"
_REASONING = re.compile(
    rf"\A(?:\s*<({_NAMES}){_OPENED}(?:.*?</\1>|.*\Z))+", re.DOTALL | re.IGNORECASE
)
_REASONING_END = re.compile(rf"</({_NAMES})>[ \t]*(?:\n|\Z)", re.IGNORECASE)

_TURN_BEGINS = re.compile(
    r"\A\s*(?:(?:<s>|<bos>|<\|begin_of_text\|>|<\|im_start\|>|<\|start_header_id\|>|<\|assistant\|>"
    r"|<start_of_turn>|\[/INST\]|<\|end_header_id\|>)"
    r"(?:[ \t]*(?:assistant|model)(?=\s|<\|))?\s*)+"
)
_TURN_ENDS = re.compile(
    r"(?:<\|(?:im_end|endoftext|eot_id|eom_id|end|end_of_text|return|user|im_start|fim_\w+)\|>"
    r"|<end_of_turn>|<eos>|<\uff5cend\u2581of\u2581sentence\uff5c>)(?=\s|<|\Z)|</s>\s*\Z"
)

_CHANNEL = re.compile(r"<\|channel\|>[ \t]*final\b[^<\n]*<\|message\|>")
"""Where the answer itself begins in a turn of several channels; the others hold thoughts."""

_TAG_LINE = re.compile(r"\s*(?:python3?|py)[ \t]*:?[ \t]*\n(?=.*\S)", re.IGNORECASE | re.DOTALL)
_NUMBERED = re.compile(r"[ \t]*(\d{1,4})(?:[ \t]*[|:.)] ?|[ \t]|\Z)(.*)", re.DOTALL)
_CONSOLE = re.compile(r"[ \t]*(?:>>>|\.\.\.)(?: (.*)|)", re.DOTALL)
_FEW_LINES = 2
_MARKS = ('"""', "'''", "`", '"', "'")


def without_template(text: str) -> str:
    """Without the marks of a chat template that the engine did not take for such. What follows the
    end of a turn is another turn, which nobody asked for."""
    if "<" not in text and "[/INST]" not in text:
        return text
    final = _CHANNEL.search(text)
    text = _TURN_BEGINS.sub("", text if final is None else text[final.end() :], count=1)
    end = _TURN_ENDS.search(text)
    return text if end is None else text[: end.start()]


def drop_reasoning(text: str) -> str:
    """Without what the model thought aloud before answering. A thought without an end is all
    thought; an end without a beginning (the template opened it) ends one."""
    text = _REASONING.sub("", text, count=1)
    end = _REASONING_END.search(text)
    if end is None:
        return text
    opening = re.compile(rf"<{end.group(1)}{_OPENED}", re.IGNORECASE)
    return text if opening.search(text, 0, end.start()) else text[end.end() :]


def untagged(text: str) -> str | None:
    """What is below the name of the language, if that stands on a line of its own: the tag of a
    fence whose marks were lost."""
    match = _TAG_LINE.match(text)
    return None if match is None else text[match.end() :]


def unquoted(text: str) -> str | None:
    """What is between the quotation marks or backticks around the whole of it, if there are, or
    between triple ones in what was to be JSON."""
    inner = text.strip()
    for mark in _MARKS:
        if len(inner) > 2 * len(mark) and inner.startswith(mark) and inner.endswith(mark):
            inner = inner[len(mark) : -len(mark)]
            return inner if mark not in inner else None
    first, last = inner.find('"""'), inner.rfind('"""')
    if inner.startswith("{") and 0 <= first < last:
        return inner[first + 3 : last]
    return None


def unnumbered(text: str) -> str | None:
    """Without line numbers, if every line has one and they count up."""
    matches = [_NUMBERED.fullmatch(line) for line in text.split("\n") if line.strip()]
    if len(matches) < _FEW_LINES or None in matches:
        return None
    numbers = [int(match.group(1)) for match in matches if match is not None]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        return None
    return "\n".join(match.group(2) for match in matches if match is not None)


def typed(text: str) -> str | None:
    """What was typed in a session with the Python console, without what that printed; None where
    it is no such session."""
    if not text.lstrip().startswith(">>>"):
        return None
    matches = (_CONSOLE.fullmatch(line) for line in text.split("\n"))
    return "\n".join(match.group(1) or "" for match in matches if match is not None)
