"""What `lswarm` costs before it does anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("aiohttp", "xllamacpp", "asyncio", "rich", "structlog", "huggingface_hub", "rapidfuzz")


def imported_by(*args: str) -> set[str]:
    code = (
        "import sys\n"
        "sys.argv = ['lswarm', *sys.argv[1:]]\n"
        "from local_swarm.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("up", "--help")])
def test_help_imports_nothing_heavy(args: tuple[str, ...]) -> None:
    imported = imported_by(*args)
    assert imported.isdisjoint(HEAVY)
    assert not any(name.startswith("local_swarm.cli.render") for name in imported)


def test_showing_a_plan_does_not_load_what_shows_code() -> None:
    code = "import sys, local_swarm.cli.render; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "rich.table" in done.stdout.split()
    assert set(done.stdout.split()).isdisjoint({"pygments", "rich.syntax", "asyncio"})


def test_voting_can_be_imported_without_starting_anything() -> None:
    code = "import sys, local_swarm.consensus; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint({"aiohttp", "xllamacpp", "asyncio", "click"})


def test_every_command_is_listed_with_its_help() -> None:
    from click.testing import CliRunner

    from local_swarm.cli.group import COMMANDS, HELP, lswarm

    assert COMMANDS.keys() == HELP.keys()
    shown = CliRunner().invoke(lswarm, ["--help"]).output
    for name in COMMANDS:
        assert name in shown
        one = CliRunner().invoke(lswarm, [name, "--help"])
        assert one.exit_code == 0
