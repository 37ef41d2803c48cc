"""Samplers in processes: they draw what one draws here, and end with the training, however it ends."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nmtkit.specials import EOS
from nmtkit.tokenizer.samplers import Samplers
from nmtkit.tokenizer.sampling import Sampler
from nmtkit.tokenizer.subwords import Subwords
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.vectors import VectorSide


@pytest.fixture
def sampler(subwords: Subwords, models: dict[str, Subwords]) -> Sampler:
    """With a vocabulary for each side."""
    return Sampler(Tokenizer(models["bpe"], subwords), 0.3, 5, (30, 20))


@pytest.fixture
def two(sampler: Sampler) -> Iterator[Samplers]:
    with Samplers(sampler, 2) as samplers:
        yield samplers


def gone(process: int) -> bool:
    """Whether a process has ended within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("processes", [1, 3])
def test_any_number_of_processes_draws_the_same_in_any_order(
    processes: int, sampler: Sampler, lines: list[str]
) -> None:
    sides = (sampler.tokenizer.source, sampler.tokenizer.target)
    orders = [
        (side, epoch, numbers, [[*sides[side].encode(lines[number]), EOS] for number in numbers])
        for side in (0, 1)
        for epoch in (0, 9)
        for numbers in ([3], list(range(100, 130)), [7, 5, 7])
    ]
    expected = [sampler.draw(*order) for order in orders]
    shuffled = random.Random(processes).sample(range(len(orders)), len(orders))
    with Samplers(sampler, processes) as samplers, ThreadPoolExecutor(5) as threads:
        assert samplers.at_once == processes
        drawn = dict(zip(shuffled, threads.map(lambda place: samplers.draw(*orders[place]), shuffled), strict=True))
    assert [drawn[place] for place in range(len(orders))] == expected


def test_the_target_of_vectors_is_drawn(models: dict[str, Subwords]) -> None:
    sampler = Sampler(Tokenizer(VectorSide(7), models["bpe"]), 0.3, 5, (30, 20))
    ids = [[*models["bpe"].encode("a dog runs"), EOS]]
    with Samplers(sampler, 1) as samplers:
        assert samplers.draw(1, 4, [8], ids) == sampler.draw(1, 4, [8], ids)


def test_a_process_needs_no_torch() -> None:
    code = "import nmtkit.tokenizer.samplers, sys; print(*sorted({'torch', 'safetensors'} & {*sys.modules}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_processes_end_with_the_block(sampler: Sampler) -> None:
    with pytest.raises(KeyboardInterrupt), Samplers(sampler, 2) as samplers:
        workers = samplers.workers
        raise KeyboardInterrupt
    assert [worker.process.returncode for worker in workers] == [-signal.SIGKILL] * 2


def test_signals_to_stop_are_for_the_training(two: Samplers) -> None:
    ids = [[*two.sampler.tokenizer.source.encode("a dog"), EOS]]
    drawn = two.draw(0, 0, [1], ids)
    two.draw(0, 0, [1], ids)  # both have begun
    for worker in two.workers:
        assert os.getsid(worker.process.pid) != os.getsid(0)
        for number in (signal.SIGINT, signal.SIGTERM):
            worker.process.send_signal(number)
    time.sleep(0.2)
    assert [two.draw(0, 0, [1], ids) for _ in range(4)] == 4 * [drawn]


def test_a_killed_process_is_told_in_one_line_and_none_waits_for_it(two: Samplers) -> None:
    ids = [[*two.sampler.tokenizer.source.encode("a dog"), EOS]]
    for worker in two.workers:
        worker.process.kill()
    for _ in range(3):
        with pytest.raises(ValueError, match=r"^a process that draws segmentations was killed by signal 9 .*state$"):
            two.draw(0, 0, [1], ids)


def test_an_error_in_a_process_is_told_in_one_line_and_it_goes_on(two: Samplers) -> None:
    ids = [[*two.sampler.tokenizer.source.encode("a dog"), EOS]]
    for _ in range(3):
        with pytest.raises(RuntimeError, match=r"^a process that draws segmentations failed: IndexError: .*"):
            two.draw(7, 0, [1], ids)
    assert two.draw(0, 0, [1], ids) == two.sampler.draw(0, 0, [1], ids)


def test_processes_end_if_the_training_is_killed(models: dict[str, Subwords], tmp_path: Path) -> None:
    models["bpe"].save(tmp_path / "a.model")
    code = (
        "import time; from nmtkit.tokenizer.samplers import *\n"
        f"tokenizer = Tokenizer.load({str(tmp_path / 'a.model')!r})\n"
        "with Samplers(Sampler(tokenizer, 0.1, 1, (99, 99)), 2) as samplers:\n"
        "    samplers.draw(0, 0, [1], [[300, 3]])\n"
        "    print(*(worker.process.pid for worker in samplers.workers), flush=True)\n"
        "    time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout
        processes = [int(word) for word in training.stdout.readline().split()]
        assert len(processes) == 2 and not any(gone_already(process) for process in processes)
        training.kill()
        assert all(map(gone, processes))


def gone_already(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()
