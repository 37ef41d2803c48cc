"""Work in processes of their own: python -m nmtkit.workers.

A process reads from its standard input, as pickles, first a function that makes its work and then orders, and answers
each order on its standard output. It ends at once when its input ends, so none outlives the process that started it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeVar

Order = TypeVar("Order")

PATIENCE = 10
"""Seconds that a process has to end by itself."""
AHEAD = 2
"""Orders for each of several processes that are given before the first answer is taken."""


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
        if isinstance(error, tuple):
            text, trace = error
            failure = RuntimeError(f"a process that {self._task} failed: {text}")
            failure.add_note(f"In that process:\n{trace}")
            raise failure
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


class Workers:
    """Several processes that do the same. Each starts when an order finds no other idle, and ends with the block.

    Args:
        count: the most processes.
        task, fix, make, arguments: as for `Worker`.
    """

    def __init__(
        self, count: int, task: str, fix: str, make: Callable[..., Callable[[Any], Any]], *arguments: Any
    ) -> None:
        self._start: Callable[[], Worker] = lambda: Worker(task, fix, make, *arguments)
        self._most = AHEAD * count
        self._threads = ThreadPoolExecutor(count)  # a thread gives an order to a process and waits for its answer
        self._processes: list[Worker] = []
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        self._lock, self._stopped = threading.Lock(), False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.stop()
        self._threads.shutdown(cancel_futures=True)

    def answers(self, orders: Iterable[Order]) -> Iterator[tuple[Order, Callable[[], Any]]]:
        """Each order with a function that returns its answer or raises what `Worker.receive` does, in their order.

        An order goes to the first process that is idle. Few orders are read before their answers are taken; an error
        that ends the orders is raised after the answers to those before it.
        """
        waiting: deque[tuple[Order, Future[Any]]] = deque()
        iterator, failure = iter(orders), None
        while True:
            try:
                order = next(iterator)
            except StopIteration:
                break
            except Exception as error:
                failure = error
                break
            waiting.append((order, self._threads.submit(self._ask, order)))
            while waiting and (len(waiting) == self._most or waiting[0][1].done()):
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())
        if failure is not None:
            raise failure

    def _ask(self, order: Any) -> Any:
        process = self._process()
        try:
            process.send(order)
            return process.receive()
        finally:
            self._idle.put(process)

    def _process(self) -> Worker:
        """One that is idle, or a new one."""
        with suppress(Empty):
            return self._idle.get_nowait()
        with self._lock:
            assert not self._stopped
            self._processes.append(self._start())
            return self._processes[-1]


def _result(order: Order, answer: Future[Any]) -> tuple[Order, Callable[[], Any]]:
    return order, answer.result


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
                orders.put(pickle.load(sys.stdin.buffer))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    work: Callable[[Any], Any] | None = None
    while True:
        order = orders.get()
        answer: tuple[Any, ValueError | MemoryError | tuple[str, str] | None]
        try:
            if work is None:
                make, arguments = order
                work = make(*arguments)
                continue
            answer = work(order), None
        except (ValueError, MemoryError) as error:
            answer = None, error
        except Exception as error:
            answer = None, (f"{type(error).__name__}: {' '.join(str(error).split())}", traceback.format_exc())
        try:
            pickle.dump(answer, output)
            output.flush()
        except BrokenPipeError:
            os._exit(1)


if __name__ == "__main__":
    main()
