"""Processes of a training: what they add up and agree on, that they make the updates of one, and that none hangs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ranks_toys import kill, together, torchrun, workers
from support.training_toys import FAMILIES, corpus, fingerprints, model, only_line, tokenizer, write_data
from torch import Tensor

from nmtkit.batches.corpus import join
from nmtkit.tokenizer.sampling import Sampler
from nmtkit.training.feed import Feed, Place
from nmtkit.training.loop import Trainer
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import BUCKET, Ranks, Share, _buckets, _reported, joined
from nmtkit.training.state import RunState
from nmtkit.training.translation import TranslationTask
from nmtkit.training.validation import DevSet


@given(st.integers(0, 200), st.integers(1, 20))
def test_shares_cut_the_whole_into_neighbours(count: int, size: int) -> None:
    shares = [Share(rank, size).of(count) for rank in range(size)]
    assert [number for share in shares for number in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.lists(st.tuples(st.integers(0, 3 * BUCKET // 8), st.booleans()), max_size=12))
def test_buckets_hold_every_tensor_once_and_are_small(sizes: list[tuple[int, bool]]) -> None:
    tensors = [torch.empty(size, dtype=torch.float64 if wide else torch.float32, device="meta") for size, wide in sizes]
    buckets = list(_buckets(tensors))
    assert sorted(id(tensor) for bucket in buckets for tensor in bucket) == sorted(map(id, tensors))
    for bucket in buckets:
        assert len({tensor.dtype for tensor in bucket}) == 1
        assert len(bucket) == 1 or sum(tensor.nbytes for tensor in bucket) <= BUCKET


def exchange(ranks: Ranks) -> dict[str, Any]:
    rank = ranks.share.rank
    torch.manual_seed(rank)
    summed = [torch.randn(3, 2, dtype=torch.float64), torch.randn(5), torch.tensor(rank), torch.randn(BUCKET // 4 + 1)]
    own = [tensor.clone() for tensor in summed]
    ranks.sum_(summed)
    copied = [torch.tensor([-0.0, float("nan"), rank])]
    ranks.copy_(copied)
    failed: list[str] = []
    try:
        ranks.together(lambda: int("one" if rank == 1 else "1"))
    except (ValueError, SystemExit) as error:
        failed.append(f"{type(error).__name__}: {error}")
    return {
        "own": own,
        "sum": summed,
        "copied": copied,
        "gathered": ranks.gather({"rank": rank}),
        "any": (ranks.any(rank == 2), ranks.any(False)),
        "from first": ranks.from_first(lambda: f"of {rank}"),
        "failed": failed,
    }


def test_one_process_needs_nobody() -> None:
    ranks, tensor = Ranks(), torch.tensor([1.5])
    ranks.sum_([tensor])
    ranks.copy_([tensor])
    assert tensor.tolist() == [1.5] and ranks.gather(3) == [3] and ranks.any(True) and not ranks.any(False)
    assert ranks.from_first(lambda: 7) == 7 and ranks.first and not ranks.several


def test_one_gpu_for_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[Any] = []
    monkeypatch.setattr("nmtkit.training.ranks.pick_device", torch.device)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    ranks = Ranks(Share(5, 8), Share(1, 4))
    with pytest.raises(ValueError, match="device = 'cuda:0' is one GPU, but each process needs its own"):
        ranks.device("cuda:0")
    assert ranks.device("cuda") == torch.device("cuda:1") and chosen == [torch.device("cuda:1")]
    assert Ranks().device("cuda:0") == torch.device("cuda:0") and ranks.device("cpu") == torch.device("cpu")


def test_an_error_of_this_process_is_not_called_that_of_another() -> None:
    with pytest.raises(torch.OutOfMemoryError), _reported():
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(ValueError, match=r"another process .* \(Connection closed by peer\)$"), _reported():
        raise RuntimeError("Connection closed\n by peer")


def test_an_environment_that_is_not_torchruns_is_one_line() -> None:
    with pytest.raises(ValueError, match="WORLD_SIZE = 2") as caught, joined({"WORLD_SIZE": "2", "RANK": "0"}):
        pass
    assert only_line(caught.value, "LOCAL_RANK", "torchrun")


PAIRS = join([(corpus(31, seed=8), 1), (corpus(5, seed=9), 3)])
"""Two corpora, of which the second is used three times in an epoch."""
OPTIONS = TrainingOptions(
    batch_tokens=40, accumulate=5, learning_rate=0.005, warmup=20, label_smoothing=0.1, average=2, valid_beam=2,
    snapshot_every=20, validate_every=60, log_every=1, save_every=60, seed=4, updates=150, patience=0,
)  # fmt: skip


class InWindows(TranslationTask):
    """The pairs in three windows an epoch."""

    def windows(self, epoch: int) -> int:
        return 3

    def batches(self, epoch: int, window: int) -> list[list[int]]:
        return list(super().batches(epoch, 0))[window::3]


def task(options: TrainingOptions) -> TranslationTask:
    alpha = options.subword_regularization
    sampler = Sampler(tokenizer(), alpha, options.seed, (99, 99)) if alpha else None
    return InWindows(PAIRS, DevSet([], [], PAIRS), tokenizer(), options, sampler)


def first_gradient(ranks: Ranks, family: str, dropout: float, alpha: float = 0.0) -> tuple[dict[str, Tensor], float]:
    options = replace(OPTIONS, subword_regularization=alpha)
    made = model(replace(FAMILIES[family], dropout=dropout), seed=2, shake=0.2).double().train()
    trainer = Trainer(made, task(options), options, Path(), lambda *_: None, "", ranks)
    with Feed(trainer.task, Place(), OPTIONS.accumulate, ranks.share) as feed:
        work = next(iter(feed))
    loss, pieces = trainer.updater._gradients(work, 1)
    assert (pieces > sum(trainer.task.size(batch).predicted for batch in work.batches)) == (alpha > 0)
    return {name: parameter.grad for name, parameter in made.named_parameters()}, loss.item()  # type: ignore[misc]


def losses(ranks: Ranks, folder: str, precision: str) -> list[float]:
    """Of every update."""
    torch.set_num_threads(1)
    made = model(replace(FAMILIES["transformer"], dropout=0.2), seed=2).to(getattr(torch, precision))
    place = Path(folder) / f"{ranks.share.size}-{precision}"
    if ranks.first:
        place.mkdir()
    trainer = Trainer(made, task(OPTIONS), OPTIONS, place, lambda *_: None, "", ranks)
    trainer.validate = lambda weights, ranks=ranks: ({"loss": 1.0, "bleu": 0.0}, [])  # type: ignore[method-assign]
    trainer.run()
    return [line["train_loss"] for line in map(json.loads, trainer.position.history) if "train_loss" in line]


def everything(ranks: Ranks, folder: str) -> dict[str, Any]:
    """All that the tests compare, since processes take long to start."""
    return {
        "exchange": exchange(ranks),
        **{family: first_gradient(ranks, family, 0.3) for family in FAMILIES},
        "drawn": first_gradient(ranks, "transformer", 0.3, alpha=0.3),
        **{precision: losses(ranks, folder, precision) for precision in ("float32", "float64")},
    }


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_processes_do_together_what_one_does(size: int, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    alone = everything(Ranks(), str(tmp_path / "alone"))
    results = together(size, everything, str(tmp_path))
    they_add_agree_and_fail_as_one([result["exchange"] for result in results])
    for family in (*FAMILIES, "drawn"):
        they_have_its_gradient([result[family] for result in results], *alone[family])
    they_have_its_losses(results, alone)


def they_add_agree_and_fail_as_one(results: list[dict[str, Any]]) -> None:
    for place in range(4):
        total = sum(result["own"][place].double() for result in results)
        for result in results:
            torch.testing.assert_close(result["sum"][place].double(), total, atol=1e-5, rtol=0)
            assert torch.equal(result["sum"][place], results[0]["sum"][place])
    for result in results:
        [copied] = result["copied"]
        assert str(copied.tolist()) == "[-0.0, nan, 0.0]"
        assert result["gathered"] == [{"rank": rank} for rank in range(len(results))]
        assert (result["any"], result["from first"]) == ((len(results) > 2, False), "of 0")
    failed = [failed[:10] for result in results for failed in result["failed"]]
    assert failed == ["SystemExit", "ValueError", "SystemExit"][: len(results)]


def they_have_its_gradient(
    results: list[tuple[dict[str, Tensor], float]], slopes: dict[str, Tensor], loss: float
) -> None:
    """In float64, with dropout; five batches for two and three processes."""
    assert max(slope.abs().max() for slope in slopes.values()) > 0.01
    for found, found_loss in results:
        assert found.keys() == slopes.keys() and found_loss == pytest.approx(loss, abs=1e-12)
        for name, slope in slopes.items():
            torch.testing.assert_close(found[name], slope, atol=1e-12, rtol=0)


def they_have_its_losses(results: list[dict[str, Any]], alone: dict[str, Any]) -> None:
    """Of 150 updates, in float64; in float32 rounding differs."""
    expected = alone["float64"]
    assert len(expected) == 150 and expected[-1] < 0.6 * expected[0]
    for result in results:
        assert result["float64"] == pytest.approx(expected, abs=1e-9)
        assert result["float32"] == results[0]["float32"], "all processes see the same"
        assert result["float32"] == pytest.approx(alone["float32"], abs=1e-2)


def ids(ranks: Ranks, start: Place, updates: int) -> list[tuple[list[list[int]], list[list[int]]]]:
    """The batches of each update: of all processes, and of this one."""
    with Feed(task(OPTIONS), start, OPTIONS.accumulate, ranks.share) as feed:
        works = [work for work, _ in zip(feed, range(updates), strict=False)]
    return [([*work.batches], [part.batch for part in work.own]) for work in works]


@pytest.mark.parametrize("size", [2, 3, 7])
def test_processes_share_the_batches_of_every_update(size: int) -> None:
    whole = ids(Ranks(), Place(), 300)
    parts = [ids(Ranks(Share(rank, size)), Place(), 300) for rank in range(size)]
    for update, (batches, own) in enumerate(whole):
        assert own == batches
        assert all(part[update][0] == batches for part in parts)
        dealt = [part[update][1] for part in parts]
        assert [dealt[place % size][place // size] for place in range(len(batches))] == batches
        assert sum(map(len, dealt)) == len(batches)
    assert len({len(batches) for batches, _ in whole}) > 1, "some updates are shorter"


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 40), st.integers(1, 4))
def test_a_feed_goes_on_wherever_it_was(used: int, size: int) -> None:
    with Feed(task(OPTIONS), Place(), OPTIONS.accumulate) as feed:
        works = [work for work, _ in zip(feed, range(used + 5), strict=False)]
    start = works[used - 1].after if used else Place()
    found = ids(Ranks(Share(0, size)), start, 5)
    assert [batches for batches, _ in found] == [[*work.batches] for work in works[used:]]


def command(folder: Path, output: str, updates: int = 40) -> list[str]:
    """The words of a training of a toy."""
    if not (folder / "train.en").exists():
        write_data(folder, 60, 6)
        tokenizer().save(folder)
        toy = """
            preset = "transformer-tiny"
            [model]
            width = 16
            feedforward = 16
            heads = 2
            encoder_layers = 1
            decoder_layers = 1
            dropout = 0.2
            [training]
            batch_tokens = 40
            accumulate = 3
            validate_every = 20
            snapshot_every = 5
            save_every = 5
            log_every = 5
            average = 2
            valid_beam = 2
            learning_rate = 0.01
            warmup = 10
        """
        (folder / "toy.toml").write_text("\n".join(map(str.strip, toy.splitlines())), encoding="utf-8")
    files = ["--train", str(folder / "train"), "--dev", str(folder / "dev"), "-s", "en", "-t", "de"]
    model = ["--config", str(folder / "toy.toml"), "--tokenizer", str(folder), "--output", str(folder / output)]
    return ["train", *files, *model, "--updates", str(updates), "--device", "cpu"]


def finished(folder: Path, output: str, size: int, updates: int = 40) -> str:
    """Train to the end; what standard error says."""
    process = torchrun(size, *command(folder, output, updates))
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def step(folder: Path, output: str) -> int:
    history = folder / output / "history.jsonl"
    lines = history.read_text(encoding="utf-8").splitlines() if history.exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def test_torchrun_trains_once_speaks_once_and_goes_on_alone(tmp_path: Path) -> None:
    said = finished(tmp_path, "two", 2)
    assert said.count("validation at update 20") == said.count("done: ") == 1
    assert "in 2 processes" in said and said.count("accumulate = 3: some have nothing to do") == 1
    options = json.loads((tmp_path / "two" / "options.json").read_text(encoding="utf-8"))
    assert options["provenance"]["processes"] == 2
    assert finished(tmp_path, "two", 1, updates=45).count("resuming at update 40: 5 updates left") == 1
    assert step(tmp_path, "two") == 45


def test_an_error_is_told_once(tmp_path: Path) -> None:
    process = torchrun(2, *command(tmp_path, "two"), "--preset", "transformer-tny")
    _, said = process.communicate(timeout=60)
    assert process.returncode and said.count("nmtkit: ") == 1 and "transformer-tny" in said
    (tmp_path / "train.de").unlink()
    process = torchrun(2, *command(tmp_path, "two"))
    _, said = process.communicate(timeout=60)
    assert process.returncode and said.count("nmtkit: ") == 1 and "train.de: no such file" in said


def losses_of(folder: Path, output: str) -> dict[int, tuple[int, float]]:
    """Epoch and loss by update."""
    lines = map(json.loads, (folder / output / "history.jsonl").read_text(encoding="utf-8").splitlines())
    return {line["step"]: (line["epoch"], line["train_loss"]) for line in lines if "train_loss" in line}


def wait_for(folder: Path, output: str, wanted: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while step(folder, output) < wanted and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    """The batches are those of one process, so the losses are, up to rounding."""
    finished(tmp_path, "whole", 1, 120)
    for size, wanted in ((2, 30), (1, 70)):
        process = torchrun(size, *command(tmp_path, "again", 120))
        wait_for(tmp_path, "again", wanted, process)
        assert process.poll() is None
        kill(process)
    assert "in 3 processes" not in finished(tmp_path, "again", 3, 120)  # it goes on, which is another line
    found, expected = losses_of(tmp_path, "again"), losses_of(tmp_path, "whole")
    assert found.keys() == expected.keys() and len(expected) == 24
    for update, (epoch, loss) in expected.items():
        assert found[update][0] == epoch and found[update][1] == pytest.approx(loss, rel=1e-3)


@pytest.mark.slow
def test_a_scheduler_stops_all_of_them_after_the_same_update(tmp_path: Path) -> None:
    """Its signal goes to torchrun, which passes it on; the run then loses no update."""
    finished(tmp_path, "whole", 2, 120)
    process = torchrun(2, *command(tmp_path, "again", 120))
    wait_for(tmp_path, "again", 30, process)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode and said.count("stopping after this update") == 1
    saved = RunState(tmp_path / "again" / "training").step()
    assert 30 <= saved < 120
    assert f"resuming at update {saved}: {120 - saved} updates left" in finished(tmp_path, "again", 2, 120)
    assert fingerprints(tmp_path / "again") == fingerprints(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("all_of_them", [True, False])
def test_twenty_kills_of_one_or_of_all_leave_the_same_weights(all_of_them: bool, tmp_path: Path) -> None:
    finished(tmp_path, "whole", 2, 120)
    rng, kills = random.Random(7 + all_of_them), 0
    for _ in range(60):
        if kills == 20:
            break
        process = torchrun(2, *command(tmp_path, "again", 120))
        wait_for(tmp_path, "again", step(tmp_path, "again") + 1, process)
        time.sleep(rng.uniform(0, 0.05))
        living = workers(process)
        if process.poll() is not None or not living:  # it is done, though torchrun may still be about to end
            process.communicate(timeout=60)
            break
        if all_of_them:
            kill(process)
        else:
            os.kill(rng.choice(living), signal.SIGKILL)
            process.communicate(timeout=60)
            assert process.returncode
        kills += 1
    assert kills >= 5
    finished(tmp_path, "again", 2, 120)
    assert fingerprints(tmp_path / "again") == fingerprints(tmp_path / "whole")
