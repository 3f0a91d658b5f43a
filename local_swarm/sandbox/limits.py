"""What a job may use."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """CPU time where nothing else is said, so that a busy machine does not change what comes out;
    wall time bounds what only waits. A job is one program with its expressions, a run is all that
    is given to `Sandbox.run` at once.

    `memory_bytes` is private memory, the interpreter's own (about 20 MiB) included. A text longer
    than `value_chars` is shortened (see `inside.canonical`); `report_chars` bounds the texts of a
    job. A job whose program and expressions have more than `job_chars` is not run.
    """

    load_s: float = 0.25
    expression_s: float = 0.1
    job_s: float = 0.4
    job_wall_s: float = 1.0
    run_wall_s: float = 3.0
    memory_bytes: int = 256 * MIB
    value_chars: int = 4096
    report_chars: int = 65536
    job_chars: int = 262_144
