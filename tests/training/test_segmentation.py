"""Training on segmentations drawn anew: off it starts nothing, on it needs a tokenizer that can be read back."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
from support.training_toys import TRANSFORMER, changed, corpus, fingerprints, only_line, parallel, tokenizer, toy_run

from nmtkit.batches.batch import make_batch
from nmtkit.batches.corpus import load_corpus
from nmtkit.features import read_sources
from nmtkit.specials import BOS, EOS, PAD
from nmtkit.tokenizer.samplers import Samplers
from nmtkit.tokenizer.sampling import TARGET, Sampler
from nmtkit.tokenizer.subwords import Subwords
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.vectors import VectorSide
from nmtkit.training import segmentation
from nmtkit.training.data import Data
from nmtkit.training.options import TrainingOptions
from nmtkit.training.plan import resolve
from nmtkit.training.recipe import train
from nmtkit.training.run import Run
from nmtkit.training.translation import TranslationTask
from nmtkit.training.validation import DevSet

ON = TrainingOptions(subword_regularization=0.3, seed=8)
PAIRS = corpus(20)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def task(most: tuple[int, int] = (99, 99)) -> TranslationTask:
    return TranslationTask(PAIRS, DevSet([], [], PAIRS), tokenizer(), ON, Sampler(tokenizer(), 0.3, 8, most))


def test_a_batch_holds_what_is_drawn_for_the_epoch() -> None:
    lines, batch = parallel(20, 5), [4, 9, 0, 17]
    contents = [task().load(batch, epoch) for epoch in (0, 0, 1)]
    for content in contents:
        for row, index in enumerate(batch):
            source, target = content.source_BS[row].tolist(), content.target_out_BT[row].tolist()
            assert source[len(source) - source.count(PAD) - 1] == EOS
            for text, ids in zip(lines, (source, target), strict=True):
                assert tokenizer().target.decode(ids) == text[index]
            assert content.mask_BS[row].tolist() == [token != PAD for token in source]
            assert content.target_in_BT[row].tolist() == [BOS, *target[:-1]]
    first, again, later = contents
    assert all(torch.equal(one, two) for one, two in zip(vars(first).values(), vars(again).values(), strict=True))
    assert first.target_out_BT.tolist() != later.target_out_BT.tolist()
    assert first.predicted > task().size(batch).predicted


def test_halves_of_a_batch_have_its_segmentations() -> None:
    whole = task().load([3, 4, 5, 6], 2)
    halves = [task().load(half, 2) for half in task().halves([3, 4, 5, 6])]
    rows = [row for half in halves for row in half.target_out_BT.tolist()]
    assert [[token for token in row if token] for row in whole.target_out_BT.tolist()] == [
        [token for token in row if token] for row in rows
    ]


def test_pairs_that_would_be_too_long_keep_their_pieces() -> None:
    plain = make_batch(PAIRS, range(20))
    limited = task((0, 0)).load(list(range(20)), 0)
    assert all(torch.equal(one, two) for one, two in zip(vars(plain).values(), vars(limited).values(), strict=True))


def vectors(folder: Path) -> Tokenizer:
    """Files whose source is vectors, and their tokenizer."""
    rng = np.random.default_rng(1)
    for name, count, seed in (("train", 20, 5), ("dev", 4, 6)):
        matrices = [rng.standard_normal((3 + i % 3, 7)).astype(np.float32) for i in range(count)]
        np.savez(folder / f"{name}.npz", *matrices)
        text = "".join(line + "\n" for line in parallel(count, seed)[1])
        (folder / f"{name}.de").write_text(text, encoding="utf-8")
    return Tokenizer(VectorSide(7), tokenizer().target)


def test_of_vectors_the_target_alone_is_drawn(tmp_path: Path) -> None:
    made = vectors(tmp_path)
    pairs = load_corpus(*read_sources(tmp_path / "train.npz", tmp_path / "train.de"), made, 99, 99)
    content = TranslationTask(pairs, DevSet([], [], pairs), made, ON, Sampler(made, 0.3, 8, (1, 99))).load([2, 3], 0)
    assert torch.equal(content.source_BS, make_batch(pairs, [2, 3]).source_BS)
    expected = Sampler(made, 0.3, 8, (1, 99)).draw(TARGET, 0, [2, 3], [pairs.target[i].tolist() for i in (2, 3)])
    assert [[token for token in row if token] for row in content.target_out_BT.tolist()] == expected


def test_a_run_on_vectors(tmp_path: Path) -> None:
    data, text = Data(tmp_path / "train", tmp_path / "dev", "npz", "de"), toy_run(tmp_path, updates=2)
    run = replace(text, data=data, model=replace(TRANSFORMER, tie_source=False))
    vectors(tmp_path)
    train(changed(run, subword_regularization=0.3))
    assert (run.output / "weights.safetensors").exists()


def test_any_number_of_processes_makes_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, started = [], []
    begin = Samplers.__enter__

    def enter(samplers: Samplers) -> Samplers:
        started.append(samplers.at_once)
        return begin(samplers)

    monkeypatch.setattr(Samplers, "__enter__", enter)
    for cores in (1, 3, 99):
        monkeypatch.setattr(segmentation, "cores", lambda cores=cores: cores)
        runs.append(toy_run(tmp_path, f"{cores}", updates=6, subword_regularization=0.3))
        train(runs[-1])
    assert started == [1, 2, 4]
    assert fingerprints(runs[0].output) == fingerprints(runs[1].output) == fingerprints(runs[2].output)
    train(toy_run(tmp_path, "other", updates=6, subword_regularization=0.2))
    assert fingerprints(tmp_path / "other") != fingerprints(runs[0].output)


def test_switched_off_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation, "Samplers", None)
    monkeypatch.setattr(segmentation, "Sampler", None)
    train(toy_run(tmp_path, updates=2))


def foreign(run: Run) -> Run:
    """With a tokenizer whose pieces reach over spaces."""
    path, lines = run.output.parent / "foreign.model", [*parallel(200, 0)[0], *parallel(200, 0)[1]]
    with path.open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=stream, vocab_size=300, model_type="bpe", minloglevel=2,
            pad_id=0, bos_id=1, unk_id=2, eos_id=3, split_by_whitespace=False,
        )  # fmt: skip
    subwords = Subwords.load(path)
    return replace(run, tokenizer=Tokenizer(subwords, subwords))


def test_a_tokenizer_that_cannot_be_read_back_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    run = foreign(toy_run(tmp_path, updates=2))
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train(changed(run, subword_regularization=0.1))
    assert only_line(caught.value, "subword_regularization = 0.1", "set it to 0", "train-tokenizer")
    assert not run.output.exists()
    train(run)


def test_a_process_that_is_killed_ends_the_training_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = toy_run(tmp_path, updates=50, subword_regularization=0.1, save_every=2, validate_every=50)
    draw = Samplers.draw

    def killing(samplers: Samplers, side: int, epoch: int, numbers: Any, sequences: Any) -> list[list[int]]:
        if epoch == 1:
            for worker in samplers.workers:
                worker.process.kill()
        return draw(samplers, side, epoch, numbers, sequences)

    with monkeypatch.context() as patch:
        patch.setattr(Samplers, "draw", killing)
        with pytest.raises(ValueError, match="signal 9") as caught:
            train(run)
    assert only_line(caught.value, "goes on from the last saved state")
    train(run)
    train(toy_run(tmp_path, "whole", updates=50, subword_regularization=0.1, save_every=2, validate_every=50))
    assert fingerprints(run.output) == fingerprints(tmp_path / "whole")


def test_the_folder_says_that_segmentations_were_drawn_and_another_number_is_another_run(tmp_path: Path) -> None:
    run = toy_run(tmp_path, updates=2, subword_regularization=0.1)
    train(run)
    options = json.loads((run.output / "options.json").read_text(encoding="utf-8"))
    assert options["training"]["subword_regularization"] == 0.1
    with pytest.raises(ValueError, match="subword_regularization was 0.1, now 0.2"):
        train(changed(run, updates=4, subword_regularization=0.2))
    assert segmentation.make_sampler(resolve(toy_run(tmp_path, "off")), tokenizer(), PAIRS) is None
