"""Processes that answer orders: in order, with the errors that they met, and not longer than who started them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nmtkit.workers import AHEAD, LostWorkerError, Worker, Workers


def adder(first: int) -> Callable[[Any], Any]:
    """What the process does: adds, or fails in ways that the order names."""
    if first < 0:
        raise ValueError("begin with 0 or more")

    def work(order: Any) -> Any:
        if isinstance(order, int):
            print("this is not an answer")
            return first + order
        if order == "value":
            raise ValueError("line 3: is wrong")
        if order == "end":
            os._exit(3)
        return len(order) + [][1]

    return work


def worker(first: int = 10) -> Worker:
    return Worker("adds numbers", "add them yourself", adder, first)


def test_answers_come_in_the_order_of_the_orders() -> None:
    process = worker()
    for number in range(20):  # all before the first answer is taken
        process.send(number)
    assert [process.receive() for _ in range(20)] == list(range(10, 30))
    process.stop()


def test_large_orders_do_not_wait_for_answers_to_be_taken() -> None:
    process = Worker("copies", "copy yourself", copier)
    for _ in range(4):
        process.send(b"x" * 1_000_000)
    assert [len(process.receive()) for _ in range(4)] == [1_000_000] * 4
    process.stop()


def copier() -> Callable[[bytes], bytes]:
    return bytes


def test_an_error_is_raised_where_the_answer_would_be_and_the_process_goes_on() -> None:
    process = worker()
    for order in ("value", [], 5):
        process.send(order)
    with pytest.raises(ValueError, match=r"^line 3: is wrong$"):
        process.receive()
    with pytest.raises(RuntimeError, match=r"^a process that adds numbers failed: IndexError: list index"):
        process.receive()
    assert process.receive() == 15
    process.stop()


def test_an_error_at_the_start_is_told_too() -> None:
    process = worker(-1)
    process.send(1)
    with pytest.raises(ValueError, match="begin with 0 or more"):
        process.receive()
    process.stop()


@pytest.mark.parametrize(("order", "how"), [("end", "ended with exit code 3"), (None, "was killed by signal 9")])
def test_a_process_that_has_ended_is_told_in_one_line(order: str | None, how: str) -> None:
    process = worker()
    if order is None:
        process.process.kill()
        process.process.wait()
    process.send(order or 1)
    with pytest.raises(LostWorkerError, match=rf"^a process that adds numbers {how}.*; add them yourself$"):
        process.receive()
    process.send(1)  # nobody waits for it
    process.stop()


def test_it_ends_when_its_input_ends() -> None:
    process = worker()
    assert process.process.stdin
    process.process.stdin.close()
    started = time.monotonic()
    assert process.process.wait(20) == 0 and time.monotonic() - started < 20


WAITS, RELEASES = -1.0, -2.0
"""Instead of seconds: an order that waits for another, and that other."""


def sleeper(folder: str) -> Callable[[tuple[int, float]], tuple[int, int]]:
    """What a process does: answers after some time, with its own number."""
    Path(folder, str(os.getpid())).touch()

    def work(order: tuple[int, float]) -> tuple[int, int]:
        number, seconds = order
        if seconds == RELEASES:
            Path(folder, "released").touch()
        for _ in range(600 if seconds == WAITS else 0):
            if Path(folder, "released").exists():
                break
            time.sleep(0.05)
        time.sleep(max(0, seconds))
        if number < 0:
            os._exit(5)
        return number, os.getpid()

    return work


def workers(folder: Path, count: int = 2) -> Workers:
    return Workers(count, "sleeps", "sleep yourself", sleeper, str(folder))


def test_several_answer_in_order_and_none_waits_for_a_slow_one(tmp_path: Path) -> None:
    """The first order ends when the third is done, which the other process does."""
    orders = [(0, WAITS), (1, 0.0), (2, RELEASES), *((number, 0.0) for number in range(3, 8))]
    with workers(tmp_path) as processes:
        answers = [(order, result()) for order, result in processes.answers(orders)]
    assert [order for order, _ in answers] == orders
    assert [number for _, (number, _) in answers] == list(range(8))
    (_, slow), (_, second), (_, third) = (answer for _, answer in answers[:3])
    assert second == third != slow


def test_no_more_processes_start_than_have_something_to_do(tmp_path: Path) -> None:
    with workers(tmp_path, 1000) as processes:
        assert [result()[0] for _, result in processes.answers([(1, 0.0)])] == [1]
    assert len(list(tmp_path.iterdir())) == 1


def test_few_orders_are_read_ahead(tmp_path: Path) -> None:
    taken = 0

    def orders() -> Iterator[tuple[int, float]]:
        nonlocal taken
        for number in range(50):
            taken += 1
            yield number, 0.0

    with workers(tmp_path) as processes:
        for number, (_, result) in enumerate(processes.answers(orders())):
            assert taken <= number + 2 * AHEAD
            assert result()[0] == number
    assert taken == 50


def test_an_error_of_the_orders_comes_after_the_answers_to_those_before(tmp_path: Path) -> None:
    def orders() -> Iterator[tuple[int, float]]:
        yield 0, 0.3
        yield 1, 0.0
        raise ValueError("line 3: damaged")

    answered = []
    with workers(tmp_path) as processes, pytest.raises(ValueError, match="line 3"):
        for _, result in processes.answers(orders()):
            answered.append(result()[0])
    assert answered == [0, 1]


def test_one_that_ends_is_told_in_its_turn_and_the_block_ends_the_others_at_once(tmp_path: Path) -> None:
    answered = []
    started = time.monotonic()
    with (
        pytest.raises(LostWorkerError, match=r"^a process that sleeps ended with exit code 5; sleep yourself$"),
        workers(tmp_path) as processes,
    ):
        for _, result in processes.answers([(0, 0.2), (-1, 0.0), (2, 60.0), (3, 60.0)]):
            answered.append(result()[0])
    assert answered == [0] and time.monotonic() - started < 40
    for path in tmp_path.iterdir():
        assert not Path("/proc", path.name).exists()


def test_a_process_ends_at_once_when_who_started_it_is_gone(tmp_path: Path) -> None:
    """Not when its work is done, which may take hours."""
    process = Worker("sleeps", "sleep yourself", sleeper, str(tmp_path))
    process.send((1, 60.0))
    while not list(tmp_path.iterdir()):
        time.sleep(0.05)
    time.sleep(0.2)  # it sleeps
    assert process.process.stdin
    process.process.stdin.close()
    assert process.process.wait(20) == 0
    process.stop()
