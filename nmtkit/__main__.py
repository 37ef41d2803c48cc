"""`python -m nmtkit` and the `nmtkit` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    from nmtkit.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
