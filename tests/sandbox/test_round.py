"""What a worker says is not trusted either."""

from __future__ import annotations

import socket
import struct

import pytest

from local_swarm.domain.execution import Ended, Job, Outcome, Report
from local_swarm.sandbox import Limits
from local_swarm.sandbox.inside.frames import framed
from local_swarm.sandbox.round import Round

JOB = Job("x = 1", ("x",))
OTHER = Job("x = 2", ("x",))
LOST = Report((Outcome(Ended.NOT_RUN),), Outcome(Ended.LIMIT))
SOUND = framed([["value", ""], ["value", "1"]])


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\1",
        struct.pack("<I", 2**32 - 1),
        struct.pack("<I", 3) + b"{]}",
        framed(None),
        framed({"holes": []}),
        framed([]),
        framed([["value", ""]]),
        framed([["value", ""], ["unheard", ""]]),
        framed([["value", ""], ["value"]]),
    ],
)
def test_a_worker_that_talks_nonsense_costs_its_job(said: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        this = Round(Limits(), [JOB])
        assert this.go_on([ours]) is False
        assert this.report(JOB) == LOST
        assert not this.is_open()


def test_the_jobs_of_the_other_workers_are_done_again() -> None:
    (ours, theirs), (mine, its) = socket.socketpair(), socket.socketpair()
    with ours, theirs, mine, its:
        theirs.close()
        this = Round(Limits(), [JOB, OTHER])
        assert this.go_on([mine, ours]) is False
        assert this.is_open()
        its.sendall(SOUND)
        assert this.go_on([mine]) is True
        assert not this.is_open()
        assert {this.report(JOB), this.report(OTHER)} == {
            LOST,
            Report((Outcome(Ended.VALUE, "1"),), Outcome(Ended.VALUE)),
        }
