"""Runs a client's cases, each by itself, and prints one line of JSON with what each saw."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

Case = Callable[[], Any]


def base_url() -> str:
    """The gateway's address, with /v1."""
    return sys.argv[1]


def report(*cases: Case) -> None:
    print(json.dumps({case.__name__: _seen(case) for case in cases}))


def _seen(case: Case) -> Any:
    try:
        return case()
    except Exception:
        return {"failed": traceback.format_exc()}
