"""The histories of trainings as curves: each quantity update by update, its best value, and whether the model overfits.

A training may still run: its history is read as far as it is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from nmtkit.evaluation.metric import Direction
from nmtkit.training.history import HISTORY, read_history
from nmtkit.training.overfitting import Overfitting, overfitting

DEV = "dev_"
"""The beginning of the keys of scores of the dev set."""
TRAIN_LOSS, DEV_LOSS = "train_loss", f"{DEV}loss"
Line = Mapping[str, float]


@dataclass(frozen=True)
class Quantity:
    """What was measured.

    Attributes:
        key: its key in the lines of a history.
        direction: which values are the better ones; None if neither are.
    """

    key: str
    direction: Direction | None


@dataclass(frozen=True)
class Point:
    """A value of a quantity, after `step` updates and `seconds` of training."""

    step: int
    seconds: float
    value: float


@dataclass(frozen=True)
class Curve:
    """A quantity over a training; without values that are not finite.

    Attributes:
        points: at least one, in the order of the updates.
        not_finite: the number of values left out.
    """

    quantity: Quantity
    points: tuple[Point, ...]
    not_finite: int = 0

    @property
    def best(self) -> Point | None:
        """The first of the best points; None for a quantity without a direction."""
        direction = self.quantity.direction
        return max(self.points, key=lambda point: direction.gain(point.value, 0)) if direction else None


@dataclass(frozen=True)
class History:
    """The history of a training.

    Attributes:
        name: the name of the training among others.
        curves: those of the quantities that the history holds.
        step: number of updates.
        epoch: number of whole passes over the data.
        seconds: time spent, validations included.
        validations: number of validations.
        skipped: number of updates left out because loss or gradient was not finite.
    """

    name: str
    folder: str
    curves: tuple[Curve, ...]
    step: int
    epoch: int
    seconds: float
    validations: int
    skipped: int
    overfitting: Overfitting | None

    def curve(self, key: str) -> Curve | None:
        """The curve of a quantity, if the history holds it."""
        return next((curve for curve in self.curves if curve.quantity.key == key), None)


def read(folder: Path, name: str) -> History:
    """The history of the training in a model folder; ValueError if there is none."""
    path = folder / HISTORY
    if not path.exists():
        wrong = f"holds no {HISTORY}, which train writes" if folder.is_dir() else "is no folder"
        raise ValueError(f"{folder}: {wrong}; name a model folder that nmtkit train made")
    lines = read_history(path)
    history = of_lines(lines, name, str(folder)) if lines else None
    if history is None or not history.curves:
        raise ValueError(f"{path}: holds nothing to show; the first line comes after log_every updates")
    return history


def of_lines(lines: Sequence[Line], name: str, folder: str) -> History:
    """The history that these lines make, at least one."""
    keys = {key for line in lines for key in line}
    curves = tuple(curve for quantity in _quantities(keys) if (curve := _curve(lines, quantity)) is not None)
    step, epoch, seconds = (max(_number(line, key) for line in lines) for key in ("step", "epoch", "seconds"))
    validations = sum(DEV_LOSS in line for line in lines)
    skipped = sum(_number(line, "skipped") for line in lines)
    return History(name, folder, curves, int(step), int(epoch), seconds, validations, int(skipped), overfitting(lines))


def all_quantities(histories: Sequence[History]) -> list[Quantity]:
    """The quantities of any of the histories, in the usual order."""
    return list(_quantities({curve.quantity.key for history in histories for curve in history.curves}))


def _quantities(keys: Set[str]) -> Iterator[Quantity]:
    """The quantities among these keys: losses and scores first."""
    scores = sorted(key for key in keys if key.startswith(DEV) and key != DEV_LOSS)
    order = [
        *(Quantity(key, Direction.LOWER) for key in (TRAIN_LOSS, DEV_LOSS)),
        *(Quantity(key, Direction.HIGHER) for key in scores),
        *(Quantity(key, None) for key in ("learning_rate", "gradient_norm", "tokens_per_second", "waiting")),
    ]
    return (quantity for quantity in order if quantity.key in keys)


def _curve(lines: Sequence[Line], quantity: Quantity) -> Curve | None:
    """The curve of a quantity; None if no value is finite."""
    measured = [line for line in lines if quantity.key in line]
    points = tuple(
        Point(int(line["step"]), _number(line, "seconds"), line[quantity.key])
        for line in measured
        if math.isfinite(line[quantity.key])
    )
    return Curve(quantity, points, len(measured) - len(points)) if points else None


def _number(line: Line, key: str) -> float:
    """A value of a line; 0 if it is missing or not finite."""
    value = line.get(key, 0)
    return value if math.isfinite(value) else 0
