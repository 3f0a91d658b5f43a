"""Which language a piece of code is in: by its tag, else by what only that language writes."""

from __future__ import annotations

import re

PLAIN = frozenset(("text", "txt", "plain", "plaintext", "code", "output"))
"""Tags that say that it is not code."""

SHELLS = frozenset(("bash", "powershell", "fish"))
DIFFS = frozenset(("diff", "patch", "udiff"))
MARKUP = frozenset(("markdown", "md"))

MAX_SEEN_CHARS = 8_192
"""A language is told by the beginning of a longer text."""

_TAG = re.compile(r"[{.]*([^\s{}:,;=]+)")
_PYTHON = frozenset(("python", "py", "python3", "py3", "pycon", "python2", "ipython", "cython"))
_ALIASES = {
    **dict.fromkeys(("sh", "shell", "zsh", "console", "terminal", "shellscript"), "bash"),
    **dict.fromkeys(("ps1", "pwsh", "bat", "cmd", "batch"), "powershell"),
    **dict.fromkeys(("sqlite", "postgresql", "postgres", "mysql", "tsql", "plsql"), "sql"),
    **dict.fromkeys(("jsonc", "json5"), "json"),
    "js": "javascript",
    "jsx": "javascript",
    "mjs": "javascript",
    "node": "javascript",
    "ts": "typescript",
    "golang": "go",
    "rs": "rust",
    "rb": "ruby",
    "yml": "yaml",
    "makefile": "make",
    "c++": "cpp",
    "cc": "cpp",
    "cxx": "cpp",
    "h": "c",
    "hpp": "cpp",
    "cs": "csharp",
    "c#": "csharp",
    "kt": "kotlin",
    "hs": "haskell",
}


def named(tag: str) -> str:
    """The one name of the language that a fence's tag means; empty for Python and where the tag
    says nothing."""
    word = _TAG.match(tag.lower())
    name = word.group(1) if word is not None else ""
    if name in _PYTHON or name in PLAIN or name.endswith(".py"):
        return ""
    return _ALIASES.get(name, name)


def _cues(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.MULTILINE) for pattern in patterns)


_JAVASCRIPT = _cues(
    r"^[ \t]*(?:export[ \t]+)?(?:const|let|var)[ \t]+[\w$\[{][^\n=]*=",
    r"^[ \t]*(?:export[ \t]+)?(?:default[ \t]+)?(?:async[ \t]+)?"
    r"function\b[ \t]*\*?[ \t]*\w*[ \t]*\(",
    r"=>[ \t]*[{(\w]",
    r"^[ \t]*(?:export[ \t]+)?(?:default[ \t]+)?class[ \t]+\w+(?:[ \t]+extends[ \t]+[\w.]+)?[ \t]*"
    r"\{",
    r"\bthis\.\w",
    r"\bconsole\.\w+\(",
    r"[!=]==",
    r"\brequire\(['\"]|\bmodule\.exports\b",
    r"^import[ \t][^\n]+[ \t]from[ \t]+['\"]",
)
_CUES: dict[str, tuple[re.Pattern[str], ...]] = {
    "typescript": _cues(
        r"^[ \t]*(?:export[ \t]+)?(?:interface|type)[ \t]+\w+[^\n]*[{=]",
        r"\)[ \t]*:[ \t]*[\w<>\[\], |]+[ \t]*(?:\{|=>)",
        r"\w\??:[ \t]*(?:string|number|boolean|unknown|any|void)\b",
    ),
    "javascript": _JAVASCRIPT,
    "go": _cues(
        r"^package[ \t]+\w+[ \t]*$",
        r"^func[ \t]+(?:\([^\n()]*\)[ \t]*)?\w+(?:\[[^\n\]]*\])?\([^\n]*\{",
        r"^[ \t]*\w[\w, \t]*:=[ \t]*\S",
        r"^import[ \t]+(?:\(|\")",
        r"\bfmt\.[A-Z]\w*\(",
    ),
    "rust": _cues(
        r"^[ \t]*(?:pub[ \t]+)?(?:async[ \t]+)?fn[ \t]+\w+[ \t]*[(<]",
        r"\blet[ \t]+mut[ \t]",
        r"->[ \t]*(?:Option|Result|Vec|String|Self|&|[iuf](?:8|16|32|64|128|size)\b)",
        r"^[ \t]*use[ \t]+\w+::",
        r"\b(?:println|vec|format|assert|assert_eq|panic)!",
        r"^[ \t]*impl\b[^\n]*\{",
        r"#\[derive\(",
    ),
    "c": _cues(
        r"^[ \t]*#[ \t]*include[ \t]*[<\"]\w[\w/]*\.h[>\"]",
        r"^[ \t]*(?:static[ \t]+|const[ \t]+|unsigned[ \t]+)*(?:int|void|char|float|double|long|"
        r"size_t|bool)[ \t]+\**\w+[ \t]*\([^\n;]*\)?[ \t]*\{?$",
        r"\b(?:printf|malloc|sizeof|strlen|free)[ \t]*\(",
        r"^[ \t]*(?:int|char|float|double|long|size_t)[ \t]+\**\w+[^\n()]*;",
    ),
    "cpp": _cues(
        r"^[ \t]*#[ \t]*include[ \t]*<\w+>",
        r"\bstd::\w",
        r"\busing[ \t]+namespace[ \t]+\w",
        r"\bc(?:out|err)[ \t]*<<|\bcin[ \t]*>>",
        r"^[ \t]*template[ \t]*<",
        r"\b(?:vector|map|set|pair|unordered_map)<\w",
    ),
    "java": _cues(
        r"^[ \t]*(?:public|private|protected)[ \t]+(?:static[ \t]+|final[ \t]+|abstract[ \t]+)*"
        r"(?:(?:class|interface|enum|record)[ \t]+\w+|[\w<>\[\], ]+[ \t]+\w+[ \t]*\()",
        r"\bSystem\.out\.print",
        r"^import[ \t]+(?:static[ \t]+)?java[\w.]*",
        r"\bnew[ \t]+\w+(?:<[^\n>]*>)?\([^\n]*;",
        r"^[ \t]*(?:String|List<\w+>|Map<[^\n>]+>|int\[\])[ \t]+\w+[ \t]*[=;]",
    ),
    "bash": _cues(
        r"^#![^\n]*\b(?:ba|z|da|k)?sh\b",
        r"^[ \t]*(?:fi|done|esac)[ \t]*(?:$|[;|&])",
        r"^[ \t]*(?:if|while)[ \t]+(?:!\s+)?\[\[?[ \t][^\n]*\]",
        r"^[ \t]*(?:\$[ \t])?(?:echo|export|sudo|cd|mkdir|grep|sed|awk|curl|wget|chmod|apt|apt-get|"
        r"pip|pip3|npm|npx|git|docker|ls|rm|cp|mv|cat|find|tar)[ \t]+[-\w./\"'$~]",
        r"(?:^|[\s\"=])\$(?:\{|\(|[A-Za-z_@#]\w*(?:[\s\"/]|$))",
        r"\|[ \t]*(?:grep|awk|sed|sort|head|tail|xargs|wc|uniq)\b",
    ),
    "sql": _cues(
        r"^[ \t]*(?:WITH[ \t]+\w+[ \t]+AS[ \t]*\(|SELECT[ \t\n]+[^;]{1,800}?\bFROM[ \t\n]+\w)",
        r"^[ \t]*(?:with[ \t]+\w+[ \t]+as[ \t]*\(|select[ \t\n]+[^;]{1,800}?\bfrom[ \t\n]+\w)",
        r"^[ \t]*(?:INSERT[ \t]+INTO|DELETE[ \t]+FROM|(?:ALTER|DROP)[ \t]+TABLE)[ \t]+\w",
        r"^[ \t]*(?:insert[ \t]+into|delete[ \t]+from|(?:alter|drop)[ \t]+table)[ \t]+\w",
        r"(?i)^[ \t]*create[ \t]+(?:or[ \t]+replace[ \t]+|unique[ \t]+)?(?:table|view|index)[ \t]",
        r"(?i)^[ \t]*update[ \t]+\w+[ \t\n]+set[ \t]+\w+[ \t]*=",
        r"(?i)\b(?:group|order)[ \t]+by[ \t]+\w|\b(?:inner|left|right|cross)[ \t]+join[ \t]+\w",
    ),
    "php": _cues(r"<\?php", r"^[ \t]*\$\w+[ \t]*=[^\n]*;", r"^[ \t]*function[ \t]+\w+\([^\n]*\$\w"),
    "html": _cues(
        r"(?i)<!doctype[ \t]+html|<html\b", r"(?i)</(?:div|body|head|p|ul|table|script)>"
    ),
    "ruby": _cues(r"^[ \t]*def[ \t]+[\w.?!]+[^:\n]*$", r"^[ \t]*end[ \t]*$", r"\bputs[ \t]+\S"),
    "csharp": _cues(r"^using[ \t]+System\b", r"\bConsole\.Write", r"^[ \t]*namespace[ \t]+[\w.]+"),
    "kotlin": _cues(r"^[ \t]*fun[ \t]+[\w.<>]+[ \t]*\(", r"^[ \t]*va[lr][ \t]+\w+[ \t]*[:=]"),
}
_BUILDS_ON = {"typescript": "javascript", "cpp": "c"}
_RANK = {language: at for at, language in enumerate(_CUES)}


def first_sign(text: str) -> int | None:
    """Where the text first writes what only one of the languages does."""
    text = text[:MAX_SEEN_CHARS]
    found = (cue.search(text) for cues in _CUES.values() for cue in cues)
    starts = (match.end() - len(match.group().lstrip()) for match in found if match is not None)
    return min(starts, default=None)


def guesses(text: str) -> list[tuple[str, int]]:
    """The languages that the text may be in, the likeliest first, each with how many different
    things it writes that this language does. Python is not among them: ask the compiler."""
    text = text[:MAX_SEEN_CHARS]
    own = {
        language: sum(cue.search(text) is not None for cue in cues)
        for language, cues in _CUES.items()
    }
    scores = {
        language: score + (own[_BUILDS_ON[language]] if language in _BUILDS_ON else 0)
        for language, score in own.items()
        if score
    }
    return sorted(scores.items(), key=lambda pair: (-pair[1], _RANK[pair[0]]))
