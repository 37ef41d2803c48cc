"""A training in a process of its own, so that its memory is free afterwards: python -m nmtkit.training.process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from nmtkit import interrupts
from nmtkit.console import set_quiet, tell
from nmtkit.memory import ran_out


def train_apart(config: Path, output: Path, tokenizer: Path | None, command: str) -> int:
    """Train what a configuration file says; returns the exit code, 0 for success, after any error was printed.

    Args:
        tokenizer: a ready tokenizer.
        command: the command that does the same, for the provenance.
    """
    words = [str(config), str(output), str(tokenizer or ""), command]
    return call([sys.executable, "-m", "nmtkit.training.process", *words])


def call(command: Sequence[str]) -> int:
    """Run a command to its end and return its exit code; each signal to stop is passed on to the command once.

    It has its own session: otherwise a Ctrl-C in the terminal would reach it twice, which means to stop at once.
    """
    with subprocess.Popen(command, start_new_session=True) as process:
        if threading.current_thread() is not threading.main_thread():
            return process.wait()

        def forward(number: int, frame: object) -> None:
            process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

        before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            return process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def main(config: str, output: str, tokenizer: str, command: str) -> int:
    """The process that `train_apart` runs; returns its exit code."""
    with interrupts.starting():
        from nmtkit.training.config import read
        from nmtkit.training.recipe import train

        interrupts.started()
        try:
            configuration = read(config)
            set_quiet(configuration.keys.get("quiet") is True)
            changes = {"output": output, **({"tokenizer": tokenizer} if tokenizer else {})}
            train(configuration.changed(changes).run(command))
        except KeyboardInterrupt:
            tell("interrupted")
            return interrupts.INTERRUPTED
        except (ValueError, OSError, MemoryError, RuntimeError) as error:
            tell(f"nmtkit: {_message(error)}")
            return 1
    return 0


def _message(error: Exception) -> str:
    """An error as one line that says what to do."""
    text = " ".join(str(error).split())
    if ran_out(error):
        return (
            f"out of memory: choose a smaller batch_tokens or vocab_size {f'({text[:120]})' if text else ''}".rstrip()
        )
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else text
    return f"{text[:300]} (internal error)" if isinstance(error, RuntimeError) else text


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    interrupts.leave(code)
    sys.exit(code)
