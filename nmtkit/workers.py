"""Work in processes of their own: python -m nmtkit.workers.

A process reads from its standard input, as pickles, first a function that makes its work and then orders, and answers
each order on its standard output. It ends when its input ends, so none outlives the process that started it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

PATIENCE = 10
"""Seconds that a process has to end by itself."""


class LostWorkerError(ValueError):
    """A process has ended before its work was done."""


class Worker:
    """A process that answers orders, one after another. Ctrl-C in the terminal does not reach it.

    Args:
        task: what the process does, and `fix`, what the user can do if it ends too early, for error messages.
        make: called in the process with `arguments`, returns the function that turns an order into an answer; a
            function at the top of a module, because it is pickled.
    """

    def __init__(self, task: str, fix: str, make: Callable[..., Callable[[Any], Any]], *arguments: Any) -> None:
        self._task, self._fix = task, fix
        paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nmtkit.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,
        )
        self.send((make, arguments))

    def send(self, order: Any) -> None:
        """Give an order, without waiting for its answer."""
        assert self.process.stdin
        with suppress(OSError):  # `receive` says that the process has ended
            self.process.stdin.write(pickle.dumps(order))
            self.process.stdin.flush()

    def receive(self) -> Any:
        """The answer to the first order that has none yet; an error that the process met is raised here.

        Raises:
            LostWorkerError: if the process has ended.
        """
        assert self.process.stdout
        try:
            answer, error = pickle.load(self.process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            raise self._lost() from None
        if isinstance(error, str):
            raise RuntimeError(f"a process that {self._task} failed: {error}")
        if error is not None:
            raise error
        return answer

    def stop(self) -> None:
        """End the process; orders that have no answer are forgotten."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                assert stream
                stream.close()

    def _lost(self) -> LostWorkerError:
        try:
            code = self.process.wait(PATIENCE)
            how = f"was killed by signal {-code} (out of memory?)" if code < 0 else f"ended with exit code {code}"
        except subprocess.TimeoutExpired:
            how = "does not answer"
        return LostWorkerError(f"a process that {self._task} {how}; {self._fix}")


def main() -> None:
    """What a process does until its input ends; signals to stop are the business of the process that started it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else gets between the answers
    orders: SimpleQueue[Any] = SimpleQueue()

    def read() -> None:  # so that the sender never waits for an answer to be taken
        with suppress(EOFError, pickle.UnpicklingError):
            while True:
                orders.put((pickle.load(sys.stdin.buffer),))
        orders.put(None)

    threading.Thread(target=read, daemon=True).start()
    work: Callable[[Any], Any] | None = None
    while (order := orders.get()) is not None:
        answer: tuple[Any, ValueError | MemoryError | str | None]
        try:
            if work is None:
                make, arguments = order[0]
                work = make(*arguments)
                continue
            answer = work(order[0]), None
        except (ValueError, MemoryError) as error:
            answer = None, error
        except Exception as error:
            answer = None, f"{type(error).__name__}: {' '.join(str(error).split())}"
        try:
            pickle.dump(answer, output)
            output.flush()
        except BrokenPipeError:
            os._exit(1)


if __name__ == "__main__":
    main()
