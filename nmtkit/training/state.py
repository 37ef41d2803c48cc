"""The state of a run: all that an interrupted training needs to end with the same weights, in one file.

Tensors (weights, both Adam moments, and others that the trainer names) are in a safetensors file, plain values are JSON
in its header, so one rename replaces all of it. The file is named after its step, and the last two are kept. Snapshots
for averaging are separate files, named likewise. Every file carries a SHA-256 over its content and the run that it
belongs to, and is checked before it is used: the state before replaces a damaged state, and a damaged snapshot is left
out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmtkit.checkpoint import load_tensors, load_weights, read_header, save_tensors, tensors_hash, unique_weights
from nmtkit.console import warn
from nmtkit.models.build import average
from nmtkit.models.interface import Model
from nmtkit.training.position import Position

KIND, SNAPSHOT = "the state of a training run", "a snapshot of weights"
KEPT = 2
"""Number of states kept: the newest, and the one before in case the newest is damaged."""
NOTHING: Mapping[str, Tensor] = {}


class RunState:
    """The training folder of a run: its state files and snapshots.

    Args:
        run: identifies the run (`FolderOptions.run_hash`); a file of another run is refused.
    """

    def __init__(self, folder: Path, run: str = "") -> None:
        self.folder, self.run = folder, run
        self._kept: dict[int, list[int]] = {}  # snapshots of each state that is known to be good, by its step

    def exists(self) -> bool:
        return bool(self.paths())

    def paths(self) -> list[Path]:
        """The state files, newest first; a file of an older version, without a step in its name, comes last."""
        paths = [*self.folder.glob("state-*.safetensors"), *self.folder.glob("state.safetensors")]
        return sorted(paths, key=_step_of, reverse=True)

    def step(self) -> int:
        """The number of updates of the newest state whose header can be read; 0 if there is none."""
        for path in self.paths():
            try:
                return int(read_header(path, KIND)["position"]["step"])
            except ValueError:
                continue
        return 0

    def save(
        self, model: Model, optimizer: torch.optim.Optimizer, position: Position, more: Mapping[str, Tensor] = NOTHING
    ) -> None:
        """Write everything, whole or not at all; then drop older states, and snapshots that no kept state needs.

        Args:
            more: other tensors by name, which `load` restores in place.
        """
        tensors = {f"model.{name}": tensor for name, tensor in unique_weights(model).items()}
        tensors |= {f"more.{name}": tensor for name, tensor in more.items()}
        for index, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
        self._write(self.path(position.step), tensors, KIND, position=position.header())
        self._kept[position.step] = list(position.snapshots)
        self._kept = {step: self._kept[step] for step in sorted(self._kept)[-KEPT:]}
        states = {self.path(step) for step in self._kept}
        snapshots = {self._snapshot(step) for steps in self._kept.values() for step in steps}
        for path in [*self.paths(), *self.folder.glob("snapshot-*.safetensors")]:
            if path not in states | snapshots:
                path.unlink()

    def load(self, model: Model, optimizer: torch.optim.Optimizer, more: Mapping[str, Tensor] = NOTHING) -> Position:
        """Restore everything that `save` saved from the newest undamaged state; writes nothing.

        Warns of a damaged state, and of damaged snapshots, which are then left out.

        Raises:
            ValueError: if every state is damaged.
        """
        damaged: list[ValueError] = []
        for path in self.paths():
            try:
                position = self._read(path, model, optimizer, more)
            except ValueError as error:
                damaged.append(error)
                continue
            for reason in damaged:
                warn(f"{reason}; going on from update {position.step} instead")
            self._kept = {position.step: list(position.snapshots), **self._before(path)}
            position.snapshots = [step for step in position.snapshots if self._usable(step, model)]
            return position
        others = ", ".join(path.name for path in self.paths()[1:])
        either = f" ({others} cannot be used either)" if others else ""
        raise ValueError(f"{damaged[0]}{either}, or choose another --output to start over")

    def _before(self, path: Path) -> dict[int, list[int]]:
        """The snapshots of the state before `path`, by its step; empty if its header cannot be read."""
        for older in self.paths()[self.paths().index(path) + 1 :]:
            try:
                position = read_header(older, KIND)["position"]
            except ValueError:
                continue
            return {int(position["step"]): list(position["snapshots"])}
        return {}

    def take_snapshot(self, model: Model, position: Position, keep: int) -> None:
        """Add the current weights to the snapshots, of which the last `keep` are averaged."""
        self._write(self._snapshot(position.step), unique_weights(model), SNAPSHOT)
        position.snapshots = [*position.snapshots, position.step][-keep:]

    def mean_of_snapshots(self, position: Position) -> dict[str, Tensor]:
        """The mean of the current snapshots."""
        return self._mean(position.snapshots)

    def best_again(self, position: Position) -> dict[str, Tensor] | None:
        """The best weights, if all snapshots that they are the mean of still exist undamaged."""
        try:
            return self._mean(position.best_snapshots) if position.best_snapshots else None
        except ValueError:
            return None

    def _mean(self, steps: list[int]) -> dict[str, Tensor]:
        return average([self._own(self._snapshot(step), SNAPSHOT)[0] for step in steps])

    def path(self, step: int) -> Path:
        """The path of the state after an update."""
        return self.folder / f"state-{step}.safetensors"

    def _snapshot(self, step: int) -> Path:
        return self.folder / f"snapshot-{step}.safetensors"

    def _write(self, path: Path, tensors: dict[str, Tensor], kind: str, **facts: Any) -> None:
        self.folder.mkdir(exist_ok=True)
        save_tensors(path, tensors, {"kind": kind, "run": self.run, "content": tensors_hash(tensors), **facts})

    def _own(self, path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and header of a file of this run; a file of an older version does not name its run."""
        tensors, header = load_tensors(path, kind)
        if self.run and header.get("run", self.run) != self.run:
            raise ValueError(f"{path}: belongs to another run; put back the file of this one")
        return tensors, header

    def _read(self, path: Path, model: Model, optimizer: torch.optim.Optimizer, more: Mapping[str, Tensor]) -> Position:
        tensors, header = self._own(path, KIND)
        weights, others = _part(tensors, "model."), _part(tensors, "more.")
        slots: dict[int, dict[str, Any]] = {}
        for name, tensor in _part(tensors, "optimizer.").items():
            index, slot = name.split(".")
            slots.setdefault(int(index), {})[slot] = tensor
        shapes = {index: tuple(parameter.shape) for index, parameter in enumerate(_trained(optimizer))}
        moments = all(
            index in shapes and (slot == "step" or tuple(tensor.shape) == shapes[index])
            for index, own in slots.items()
            for slot, tensor in own.items()
        )
        if not _same(weights, unique_weights(model)) or not _same(others, more) or not moments:
            raise ValueError(f"{path}: holds the state of another model; restore a copy")
        load_weights(model, weights)
        for name, tensor in more.items():
            tensor.copy_(others[name])
        optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
        return Position.from_header(header["position"])

    def _usable(self, step: int, model: Model) -> bool:
        """Whether a snapshot can be averaged; warns of one that cannot."""
        path = self._snapshot(step)
        reason = f"{path}: {'holds the weights of another model' if path.exists() else 'is gone'}"
        try:
            if path.exists() and _same(self._own(path, SNAPSHOT)[0], unique_weights(model)):
                return True
        except ValueError as error:
            reason = str(error)
        warn(f"{reason}; the mean of the last snapshots is made without it")
        return False


def _step_of(path: Path) -> int:
    number = re.fullmatch(r"state-([0-9]+)\.safetensors", path.name)
    return int(number[1]) if number else -1


def _trained(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The parameters in the order in which the optimiser numbers them."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _same(tensors: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    """Whether tensors have the same names and shapes as others."""
    return tensors.keys() == others.keys() and all(tensors[name].shape == others[name].shape for name in others)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
