"""The state of a run: all that an interrupted training needs to end with the same weights, in one file.

Tensors (weights, both Adam moments, random generators) are the safetensors file's, plain values are JSON in its
header, so one rename replaces all of it. Snapshots for averaging are files of their own, named by their step.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmtkit.checkpoint import load_tensors, load_weights, save_tensors, unique_weights
from nmtkit.models.build import average
from nmtkit.models.interface import Model

STATE = "state.safetensors"
KIND, SNAPSHOT = "the state of a training run", "a snapshot of weights"


@dataclass
class Position:
    """Where a run is.

    Attributes:
        step: updates made.
        epoch: passes over the data, from 0.
        batch: batches of this epoch already used.
        best: the best validation score so far (higher is better); None before the first validation.
        best_step: its step.
        stale: validations since then.
        snapshots: steps of the snapshots kept.
        seconds: spent so far, over all sessions of the run.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    snapshots: list[int] = field(default_factory=list)
    seconds: float = 0.0


class RunState:
    """The training folder of a run: its state file and snapshots."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / STATE

    def exists(self) -> bool:
        return self.path.exists()

    def save(self, model: Model, optimizer: torch.optim.Optimizer, position: Position) -> None:
        """Write everything, whole or not at all; then drop snapshots that are no longer needed."""
        tensors = {f"model.{name}": tensor for name, tensor in unique_weights(model).items()}
        for index, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        self.folder.mkdir(exist_ok=True)
        save_tensors(self.path, tensors, {"kind": KIND, "position": asdict(position)})
        wanted = {self._snapshot(step) for step in position.snapshots}
        for path in self.folder.glob("snapshot-*.safetensors"):
            if path not in wanted:
                path.unlink()

    def load(self, model: Model, optimizer: torch.optim.Optimizer) -> Position:
        """Put everything back where `save` took it from."""
        tensors, header = load_tensors(self.path, KIND)
        load_weights(model, _part(tensors, "model."))
        slots: dict[int, dict[str, Any]] = {}
        for name, tensor in _part(tensors, "optimizer.").items():
            index, slot = name.split(".")
            slots.setdefault(int(index), {})[slot] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])
        return Position(**header["position"])

    def take_snapshot(self, model: Model, position: Position, keep: int) -> None:
        """Add the weights of now to the snapshots, of which the last `keep` count."""
        self.folder.mkdir(exist_ok=True)
        save_tensors(self._snapshot(position.step), unique_weights(model), {"kind": SNAPSHOT})
        position.snapshots = [*position.snapshots, position.step][-keep:]

    def mean_of_snapshots(self, position: Position) -> dict[str, Tensor]:
        """The average of the snapshots that count."""
        return average([load_tensors(self._snapshot(step), SNAPSHOT)[0] for step in position.snapshots])

    def _snapshot(self, step: int) -> Path:
        return self.folder / f"snapshot-{step}.safetensors"


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
