"""Where a run is, and what it has measured and recorded so far."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nmtkit.training.feed import Place
from nmtkit.training.updater import Reading


@dataclass
class Meter:
    """Sums over the updates since the last line of progress.

    Attributes:
        loss: summed over the pieces predicted, in nats.
        predicted: number of pieces predicted, as `Size` counts them.
        read: number of pieces that also went through the model.
        seconds: time spent on updates.
        updates: number of updates.
        rate: the learning rate of the last update.
        waited: seconds in which updates waited for their data.
        norm: summed norms of the gradients, before they were clipped.
        skipped: number of updates left out because loss or gradient was not finite.
    """

    loss: float = 0.0
    predicted: int = 0
    read: int = 0
    seconds: float = 0.0
    updates: int = 0
    rate: float = 0.0
    waited: float = 0.0
    norm: float = 0.0
    skipped: int = 0

    def add(self, read: int, rate: float) -> None:
        """Count an update."""
        self.read += read
        self.updates += 1
        self.rate = rate

    def take(self, reading: Reading) -> None:
        """Add what updates have measured."""
        self.loss += reading.loss
        self.predicted += reading.predicted
        self.norm += reading.norm
        self.skipped += reading.skipped

    def mean_loss(self) -> float:
        """Mean loss per piece, in nats."""
        return self.loss / max(self.predicted, 1)

    def shown(self) -> dict[str, str]:
        """Loss, speed and learning rate, as people read them."""
        return {"loss": f"{self.mean_loss():.3f}", "tokens/s": f"{self.speed():,.0f}", "rate": f"{self.rate:.2e}"}

    def speed(self) -> float:
        """Pieces per second, without padding."""
        return (self.read + self.predicted) / max(self.seconds + self.waited, 1e-9)

    def facts(self) -> dict[str, float]:
        """The line of the history: mean loss and gradient norm, speed, rate, and the share of time without data."""
        loss = {"train_loss": self.mean_loss()} if self.predicted else {}  # none of updates that were all left out
        return {
            **loss,
            "tokens_per_second": self.speed(),
            "learning_rate": self.rate,
            "gradient_norm": self.norm / max(self.updates - self.skipped, 1),
            "waiting": self.waited / max(self.seconds + self.waited, 1e-9),
            "skipped": self.skipped,
        }


WRITTEN = {"predicted": "target_tokens", "read": "source_tokens"}
"""Fields of `Meter` that have another name in a state file."""


@dataclass
class Position:
    """Where a run is, and what it has recorded so far.

    Attributes:
        step: number of updates made.
        epoch: passes over the data, from 0.
        window: number of windows of this epoch already used up.
        batch: number of batches of this window already used.
        best: the best validation score so far (higher is better); None before the first validation.
        best_step: the step of the best validation.
        stale: number of validations since the best.
        snapshots: steps of the snapshots kept.
        seconds: time spent so far, over all sessions of the run.
        best_loss: dev loss of the best validation, which decides between equal scores.
        meter: sums since the last line of progress.
        history: the lines of history.jsonl, from which the file is rewritten when a run goes on.
        best_snapshots: steps of the snapshots whose mean the best weights are.
    """

    step: int = 0
    epoch: int = 0
    window: int = 0
    batch: int = 0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    snapshots: list[int] = field(default_factory=list)
    seconds: float = 0.0
    best_loss: float | None = None
    meter: Meter = field(default_factory=Meter)
    history: list[str] = field(default_factory=list)
    best_snapshots: list[int] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """The place in the data."""
        return Place(self.epoch, self.window, self.batch)

    @place.setter
    def place(self, place: Place) -> None:
        self.epoch, self.window, self.batch = place.epoch, place.window, place.batch

    def spent(self, seconds: float) -> None:
        """Count time spent on updates."""
        self.seconds += seconds
        self.meter.seconds += seconds

    def waited(self, seconds: float) -> None:
        """Count time in which an update waited for its data."""
        self.seconds += seconds
        self.meter.waited += seconds

    @classmethod
    def from_header(cls, values: dict[str, Any]) -> Position:
        """The inverse of `header`; values that a state of an older version lacks are those of the start."""
        written = values.get("meter", {})
        names = [field.name for field in fields(Meter)]
        meter = {name: written[key] for name in names if (key := WRITTEN.get(name, name)) in written}
        return cls(**{**values, "meter": Meter(**meter)})

    def header(self) -> dict[str, Any]:
        """The position as the header of a state file."""
        meter = {WRITTEN.get(name, name): value for name, value in asdict(self.meter).items()}
        return {**asdict(self), "meter": meter}
