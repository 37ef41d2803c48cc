"""A grid: variants of a model trained on one corpus with equal data and budget, to be compared.

The file is a configuration of `nmtkit train` for all of them, and a table for each variant with what differs:

    train = "data/jane/train"
    dev = "data/jane/dev"
    source-lang = "fr"
    target-lang = "en"
    updates = 600
    seeds = [1, 2]

    [variants.without]
    preset = "rnn-no-attention"

    [variants.additive]
    preset = "bahdanau"
    model = { normaliser = "sparsemax" }

A variant's table `model` is laid over that of all. One of another family than they have (its table names it, or its
preset is of it) takes neither the preset nor the table `model` of all.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmtkit.files import read_toml, write_text
from nmtkit.interrupts import INTERRUPTED
from nmtkit.models.options import PRESETS
from nmtkit.settings import nearest

OWN = ("preset", "dropout", "learning-rate", "warmup", "label-smoothing", "model")
"""What a variant may have of its own; data, tokenizer and budget are the same for all."""


OF_TOKENIZER = ("vocab-size", "tokenizer-kind", "joint-vocab", "separate-vocab", "tokenizer")
"""How a tokenizer is made: only the first variant needs it."""


@dataclass(frozen=True)
class Grid:
    """What a grid file says.

    Attributes:
        common: of all variants, as a configuration of `nmtkit train`.
        variants: what each has of its own, by name.
        seeds: each variant is trained once with each.
    """

    common: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]

    def folders(self, output: Path) -> dict[str, list[Path]]:
        """The model folders of each variant, a seed each."""
        return {name: [output / f"{name}-{seed}" for seed in self.seeds] for name in self.variants}

    def configurations(self, output: Path) -> list[Path]:
        """The files that `train_all` writes beside those folders, one each."""
        return [_configuration(folder) for folders in self.folders(output).values() for folder in folders]


def read_grid(path: Path) -> Grid:
    """A grid file; ValueError names file, key and fix."""
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
    return Grid(values, variants, tuple(seeds))


Check = Callable[[Sequence[str]], None]
"""Raises where a call of nmtkit with these words would fail."""


def train_all(grid: Grid, output: Path, say: Callable[[str], None], check: Check | None = None) -> None:
    """Train every variant with every seed, one after the other; what is finished is not trained again.

    The first makes its tokenizer, which all others share.

    Args:
        check: asked about every training before the first begins.

    Raises:
        ValueError: where a training fails, which has said why.
        KeyboardInterrupt: where one was interrupted and has saved its state.
    """
    if (output / "options.json").exists():
        raise ValueError(f"{output}: is a model folder; name another for the models of the grid")
    output.mkdir(parents=True, exist_ok=True)
    trainings = [
        (name, seed, folder)
        for name, folders in grid.folders(output).items()
        for seed, folder in zip(grid.seeds, folders, strict=True)
    ]
    first = trainings[0][2]
    if check:
        made = (first / "tokenizer.model").exists()
        for name, seed, folder in trainings:
            check(_prepare(grid, name, seed, folder, first if made and folder != first else None))
    for name, seed, folder in trainings:
        words = _prepare(grid, name, seed, folder, None if folder == first else first)
        say(f"{folder.name}: nmtkit {' '.join(words)}")
        code = call([sys.executable, "-m", "nmtkit", *words])
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise ValueError(f"{folder.name}: training failed, see above; mend it, and the same command goes on")


def _prepare(grid: Grid, name: str, seed: int, folder: Path, tokenizer: Path | None) -> list[str]:
    """Write the configuration of a training beside its folder; the words that call it."""
    common = {
        key: value
        for key, value in grid.common.items()
        if tokenizer is None or key.replace("_", "-") not in OF_TOKENIZER
    }
    config = _configuration(folder)
    write_text(config, to_toml({**_merged(common, grid.variants[name]), "seed": seed}))
    shared = [] if tokenizer is None else ["--tokenizer", str(tokenizer)]
    return ["train", "--config", str(config), "--output", str(folder), *shared]


def _configuration(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.toml")


def call(command: Sequence[str]) -> int:
    """Run a command to its end and return its exit code; what asks us to stop asks the command, once each time.

    It has a session of its own: a Ctrl-C in the terminal would reach it besides, and twice means at once.
    """
    with subprocess.Popen(command, start_new_session=True) as process:
        if threading.current_thread() is not threading.main_thread():
            return process.wait()

        def forward(number: int, frame: object) -> None:
            process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

        before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            return process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A variant's values over those of all; tables are laid over each other, unless its model is of another family."""
    mine, theirs = _family(own), _family(common)
    named = "family" in own.get("model", {})
    if mine is not None and mine != theirs and (theirs is not None or named):
        common = {key: value for key, value in common.items() if key not in ("preset", "model")}
    tables = {
        key: {**common.get(key, {}), **value} if isinstance(value, Mapping) else value for key, value in own.items()
    }
    return {**common, **tables}


def _family(values: Mapping[str, Any]) -> str | None:
    """The family that a table or a preset names."""
    model, preset = values.get("model", {}), values.get("preset")
    if isinstance(model, Mapping) and "family" in model:
        return str(model["family"])
    return PRESETS[preset].family if isinstance(preset, str) and preset in PRESETS else None


def to_toml(values: Mapping[str, Any]) -> str:
    """Texts, numbers, truths, lists of them, and one level of tables, which come last."""
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
