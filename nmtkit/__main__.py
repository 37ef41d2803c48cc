"""`python -m nmtkit` and the `nmtkit` command."""

from __future__ import annotations

import os
import sys

from nmtkit import interrupts

NULL = {"stdin": os.O_WRONLY, "stdout": os.O_RDONLY, "stderr": os.O_WRONLY}
"""How the null device stands in for a closed stream: input and results fail when they are used, messages vanish."""


def main() -> None:
    """Run the command line."""
    _open_streams()
    with interrupts.starting():
        from nmtkit.cli.main import run

        code = run()
    interrupts.leave(code)
    sys.exit(code)


def _open_streams() -> None:
    """Let no file that is opened later take the place of a standard stream that was closed."""
    for number, (name, mode) in enumerate(NULL.items()):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, mode), number)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False))


if __name__ == "__main__":
    main()
