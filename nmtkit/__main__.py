"""`python -m nmtkit` and the `nmtkit` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from nmtkit.cli.main import app

    app()


if __name__ == "__main__":
    main()
