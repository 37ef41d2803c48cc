"""Processes that answer orders: in order, with the errors that they met, and not longer than who started them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from nmtkit.workers import LostWorkerError, Worker


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
