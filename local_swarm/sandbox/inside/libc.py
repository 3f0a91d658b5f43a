"""System calls that Python has no function for."""

from __future__ import annotations

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: int | bytes | ctypes.Structure | None) -> int:
    """Calls a function of libc that gives -1 when it fails. Raises OSError then."""
    given = [_passed(argument) for argument in arguments]
    result: int = getattr(_LIBC, name)(*given)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def _passed(argument: int | bytes | ctypes.Structure | None) -> object:
    if isinstance(argument, int):
        return ctypes.c_long(argument)  # whole registers, also where a function is variadic
    return ctypes.byref(argument) if isinstance(argument, ctypes.Structure) else argument
