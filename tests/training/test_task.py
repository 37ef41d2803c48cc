"""The trainer trains whatever is a task: here one without pairs, sources and BLEU, that fits a line through points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmtkit.training.loop import Trainer
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import Share
from nmtkit.training.task import Scores, Size

POINTS = torch.linspace(-1, 1, 24).unsqueeze(1)
VALUES = 3 * POINTS - 1


@dataclass(frozen=True)
class Line:
    """A batch is a tensor of indices; the loss is the squared error."""

    seed: int = 1
    at_once: int = 1

    @property
    def item(self) -> str:
        return "point"

    def windows(self, epoch: int) -> int:
        return 2

    def batches(self, epoch: int, window: int) -> Sequence[Tensor]:
        generator = torch.Generator().manual_seed(self.seed + epoch)
        return torch.randperm(len(POINTS), generator=generator).split(12)[window].split(7)

    def size(self, batch: Tensor) -> Size:
        return Size(len(batch), len(batch), 2 * len(batch))

    def halves(self, batch: Tensor) -> Sequence[Tensor]:
        return [half for half in batch.tensor_split(2) if len(half)]

    def load(self, batch: Tensor, epoch: int, pin: bool = False) -> tuple[Tensor, Tensor]:
        assert not pin
        return POINTS[batch], VALUES[batch]

    def loss(self, model: Any, content: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        points, values = content
        return (model(points) - values).square().sum(), len(points)

    def validate(self, model: Any, share: Share) -> float:
        assert not model.training
        own = list(share.of(len(POINTS)))
        with torch.no_grad():
            return float((model(POINTS[own]) - VALUES[own]).square().sum())

    def score(self, facts: float, warming: bool = False) -> Scores:
        return {"loss": facts / len(POINTS)}

    def shown(self, scores: Scores) -> str:
        return f"error {scores['loss']:.4f}"

    def samples(self, facts: float) -> Sequence[str]:
        return [f"  the errors add up to {facts:.4f}" + 200 * "!"]


class Slope(nn.Linear):
    """The model: a slope and an intercept."""

    device = torch.device("cpu")


def options(updates: int) -> TrainingOptions:
    few: dict[str, Any] = {"learning_rate": 0.2, "warmup": 5, "validate_every": 20, "snapshot_every": 10}
    return TrainingOptions(updates=updates, average=1, best_by="loss", log_every=20, clip_norm=0.0, **few)


def trained(folder: Path, *updates: int) -> Trainer:
    """Trained for so many updates, and then gone on with."""
    for number in updates:
        torch.manual_seed(1)
        made: Any = Slope(1, 1)
        trainer = Trainer(made, Line(), options(number), folder, lambda *_: None)
        trainer.resume()
        trainer.run()
    return trainer


def test_another_task_is_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = trained(tmp_path, 200)
    weight, bias = (one.item() for one in trainer.model.parameters())
    assert (weight, bias) == (pytest.approx(3, abs=0.05), pytest.approx(-1, abs=0.05))
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert {name for line in lines for name in line if name.startswith("dev_")} == {"dev_loss"}
    assert lines[-1]["epoch"] == 199 // 4, "two windows of two batches an epoch"
    shown = capsys.readouterr().err
    assert "validation at update 200: error 0.0000" in shown
    assert shown.count("  the errors add up to ") == 10, "under each validation"
    assert "  the errors add up to 0.0000!!" in shown and max(map(len, shown.splitlines())) == 120


def test_another_task_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    (tmp_path / "twice").mkdir()
    once, twice = trained(tmp_path / "once", 30), trained(tmp_path / "twice", 10, 30)
    assert all(torch.equal(*pair) for pair in zip(once.model.parameters(), twice.model.parameters(), strict=True))
