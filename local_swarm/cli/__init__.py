"""The door for people: one file per command, imported when it is used.

Data goes to stdout, talk to stderr. An error is one sentence saying what happened and one saying
what to do; `-v` adds the traceback.
"""

from __future__ import annotations

import sys
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """The `lswarm` command. Exits with the codes of docs/architecture.md."""
    import click

    from local_swarm.cli.group import lswarm
    from local_swarm.errors import LocalSwarmError

    try:
        code = lswarm.main(prog_name="lswarm", standalone_mode=False)
    except LocalSwarmError as exc:
        _explain(exc)
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> None:
    if "-v" in sys.argv or "--verbose" in sys.argv:
        import traceback

        traceback.print_exception(error)
    message, hint = getattr(error, "message", str(error)), getattr(error, "hint", "")
    print(f"lswarm: {message}", file=sys.stderr)
    if hint:
        print(f"        {hint}", file=sys.stderr)
