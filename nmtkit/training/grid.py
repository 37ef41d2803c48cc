"""A grid: variants of a model trained on one corpus with equal data and budget, to be compared.

The file is a configuration of `nmtkit train` for all of them, and a table for each variant with what differs:

    train = "data/jane/train"
    dev = "data/jane/dev"
    source_lang = "fr"
    target_lang = "en"
    seeds = [1, 2]

    [training]
    updates = 600

    [variants.without]
    preset = "rnn-no-attention"

    [variants.additive]
    preset = "bahdanau"
    model = { normaliser = "sparsemax" }

A variant's table `model` is laid over the common one. A variant of another family (named by its table, or that of its
preset) takes neither the common preset nor the common table `model`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmtkit.files import read_toml, write_text
from nmtkit.interrupts import INTERRUPTED
from nmtkit.models.options import PRESETS
from nmtkit.settings import nearest
from nmtkit.training.config import SHORT, load
from nmtkit.training.process import train_apart
from nmtkit.training.recipe import check

OWN = ("preset", "dropout", "learning-rate", "warmup", "label-smoothing", "model")
"""The keys that a variant may have; data, tokenizer and budget are the same for all."""
OF_TOKENIZER = ("tokenizer", *(key for key, (table, _) in SHORT.items() if table == "tokenizer"))
"""The keys that say how to make a tokenizer, which only the first variant needs."""


@dataclass(frozen=True)
class Training:
    """One training of a grid.

    Attributes:
        variant: name of the variant.
        seed: seed of this training.
        folder: folder of the model.
        tokenizer: the tokenizer that it shares; None if it makes one.
    """

    variant: str
    seed: int
    folder: Path
    tokenizer: Path | None = None

    @property
    def config(self) -> Path:
        """The configuration of the training, a file beside the folder."""
        return self.folder.with_name(f"{self.folder.name}.toml")

    def command(self) -> str:
        """The command that repeats the training."""
        shared = ["--tokenizer", str(self.tokenizer)] if self.tokenizer else []
        return shlex.join(["nmtkit", "train", "--config", str(self.config), "--output", str(self.folder), *shared])


@dataclass(frozen=True)
class Grid:
    """The content of a grid file.

    Attributes:
        common: what all variants share, as a configuration of `nmtkit train`.
        variants: what each variant changes, by its name.
        seeds: each variant is trained once with each.
        path: path of the file, for error messages.
    """

    common: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]
    path: Path = Path()

    def folders(self, output: Path) -> dict[str, list[Path]]:
        """The model folders of each variant, one per seed."""
        return {name: [output / f"{name}-{seed}" for seed in self.seeds] for name in self.variants}

    def trainings(self, output: Path) -> list[Training]:
        """All trainings in order; each makes its own tokenizer."""
        return [
            Training(name, seed, folder)
            for name, folders in self.folders(output).items()
            for seed, folder in zip(self.seeds, folders, strict=True)
        ]

    def configurations(self, output: Path) -> list[Path]:
        """The configuration files that `train_all` writes, one beside each folder."""
        return [training.config for training in self.trainings(output)]

    def write(self, training: Training) -> None:
        """Write the configuration of a training beside its folder."""
        common = {
            key: value
            for key, value in self.common.items()
            if training.tokenizer is None or key.replace("-", "_") not in OF_TOKENIZER
        }
        values = {**_merged(common, self.variants[training.variant]), "seed": training.seed}
        write_text(training.config, to_toml(values))


def read_grid(path: Path) -> Grid:
    """Read a grid file; ValueError names file, key and fix."""
    values = read_toml(path)
    variants, seeds = values.pop("variants", None), values.pop("seeds", [1])
    if not isinstance(variants, dict) or not variants:
        raise ValueError(f"{path}: has no variants; write [variants.NAME] and what differs below")
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ValueError(f"{path}: seeds = {seeds!r} is not a list of whole numbers; write for example [1, 2, 3]")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{path}: seeds = {seeds!r} has one twice; each must be another")
    if "seed" in values or "output" in values:
        raise ValueError(f"{path}: leave out seed and output: write seeds = [1], and --output on the command line")
    for name, own in variants.items():
        if not re.fullmatch(r"[\w.+-]+", name):
            raise ValueError(f"{path}: the variant {name!r} names a folder: use letters, digits, . _ + -")
        if not isinstance(own, dict):
            raise ValueError(f"{path}: variants.{name} = {own!r} is not a table; write [variants.{name}]")
        for key in own:
            if key.replace("_", "-") not in OWN:
                raise ValueError(
                    f"{path}: variants.{name} has {key!r}, but data and budget are the same for all;{nearest(key, OWN)}"
                )
    return Grid(values, variants, tuple(seeds), path)


def train_all(grid: Grid, output: Path, say: Callable[[str], None]) -> None:
    """Train every variant with every seed, one after the other; finished models are not trained again.

    The first makes its tokenizer, which all others share. All are checked before the first begins.

    Raises:
        ValueError: if a training would fail, or fails after it has said why.
        KeyboardInterrupt: if one was interrupted and has saved its state.
    """
    if (output / "options.json").exists():
        raise ValueError(f"{output}: is a model folder; name another for the models of the grid")
    output.mkdir(parents=True, exist_ok=True)
    first, *others = grid.trainings(output)
    sharing = [replace(training, tokenizer=first.folder) for training in others]
    there = (first.folder / "tokenizer.model").exists()
    for training in (first, *(sharing if there else others)):
        grid.write(training)
        say(_check(grid, training))
    for training in (first, *sharing):
        grid.write(training)
        say(f"{training.folder.name}: {training.command()}")
        code = train_apart(training.config, training.folder, training.tokenizer, training.command())
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise ValueError(
                f"{training.folder.name}: training failed, see above; mend it, and the same command goes on"
            )


def _check(grid: Grid, training: Training) -> str:
    """What would be trained; ValueError if that would fail."""
    changes = {"tokenizer": training.tokenizer} if training.tokenizer else {}
    try:
        return check(load(training.config, output=training.folder, **changes))
    except (ValueError, OSError) as error:
        raise ValueError(f"{grid.path}: {training.command()}: {error}") from None


def _merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The common values with a variant's changes; tables are laid over each other, unless the family differs."""
    mine, theirs = _family(own), _family(common)
    named = "family" in own.get("model", {})
    if mine is not None and mine != theirs and (theirs is not None or named):
        common = {key: value for key, value in common.items() if key not in ("preset", "model")}
    tables = {
        key: {**common.get(key, {}), **value} if isinstance(value, Mapping) else value for key, value in own.items()
    }
    return {**common, **tables}


def _family(values: Mapping[str, Any]) -> str | None:
    """The family that the table `model` or the preset names."""
    model, preset = values.get("model", {}), values.get("preset")
    if isinstance(model, Mapping) and "family" in model:
        return str(model["family"])
    return PRESETS[preset].family if isinstance(preset, str) and preset in PRESETS else None


def to_toml(values: Mapping[str, Any]) -> str:
    """Values as TOML: texts, numbers, booleans, lists of them, and one level of tables, which come last."""
    return "".join(_lines(values))


def _lines(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if not isinstance(value, Mapping):
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # which TOML wants escaped
            yield f"{key} = {text}\n"
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield f"\n[{key}]\n"
            yield from _lines(value)
