"""The model folder of a run: begun, gone on with, refused where that would lose something, mended where it can be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmtkit import checkpoint, files
from nmtkit.console import warn
from nmtkit.settings import to_mapping
from nmtkit.tokenizer.tokenizer import FILES, Tokenizer
from nmtkit.training.loop import HISTORY, Trainer
from nmtkit.training.options import CONTINUABLE, TrainingOptions
from nmtkit.training.state import RunState

TRAINING = "training"
"""The folder of states and snapshots inside a model folder."""


def begun(folder: Path) -> bool:
    """Whether it is a model folder already."""
    return (folder / checkpoint.OPTIONS).exists()


def run_hash(options: Mapping[str, Any]) -> str:
    """SHA-256 over all of options.json that determines the weights: what a run is known by.

    The options of training count without those that may change when a run goes on.
    """
    facts = {key: options.get(key) for key in ("model", "tokenizer", "languages", "data")}
    training = {key: value for key, value in options["training"].items() if key not in CONTINUABLE}
    return hashlib.sha256(json.dumps({**facts, "training": training}, sort_keys=True).encode()).hexdigest()


def refuse_new(folder: Path, tokenizer: Tokenizer | None) -> None:
    """Refuse to begin a model in a folder that holds anything else.

    The tokenizer's own files may be there: of a start that was killed, or put there by `nmtkit train-tokenizer`.

    Args:
        tokenizer: of the model; None: not made yet, and so not there.
    """
    if not folder.exists() or begun(folder):  # by another training in the meantime, which its lock tells
        return
    if not folder.is_dir():
        raise ValueError(f"{folder}: is a file; name a folder for the model")
    own = tokenizer.files() if tokenizer else {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or (path.name in FILES and not tokenizer):
            continue
        if path.name in FILES and path.read_bytes() != own.get(path.name):
            raise ValueError(
                f"{path}: is another tokenizer than this model's; give it with --tokenizer, or name a new folder"
            )
        if path.name not in FILES:
            what = f"holds a model whose {checkpoint.OPTIONS} is gone" if _model(folder) else f"holds {path.name}"
            raise ValueError(f"{folder}: {what}; name a new or empty folder for the model")


def refuse_lost(folder: Path) -> None:
    """Refuse to go on with a model whose training state is gone, since to start over would overwrite it.

    Likewise where a folder stands in the place of a file, which could not be written hours later.
    """
    files = [folder / name for name in (checkpoint.BEST, checkpoint.LAST, HISTORY)]
    for path in [*files, *(folder / TRAINING).glob("*.safetensors")]:
        if path.is_dir():
            raise ValueError(f"{path}: is a folder where a file belongs; move it away")
    if _model(folder) and not RunState(folder / TRAINING).exists():
        raise ValueError(
            f"{folder}: holds a trained model, but no training state: {folder / TRAINING} is gone or empty. Put it "
            f"back to go on, or choose another --output to start anew"
        )


def own_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder; ValueError where it is not the one that the model was begun with."""
    tokenizer = Tokenizer.load(folder, checkpoint.RESTORE)
    if tokenizer.hash() != checkpoint.read_options(folder)["tokenizer"].get("sha256", tokenizer.hash()):
        names = " and ".join(sorted(tokenizer.files()))
        raise ValueError(f"{folder}: {names}: not what the model was begun with, or damaged; restore a copy")
    return tokenizer


def note_continuation(
    folder: Path, options: dict[str, Any], training: TrainingOptions, call: Mapping[str, Any], over: bool
) -> None:
    """Write down that a run goes on: the options that may change, and who called; nothing where nothing is new."""
    now = {key: to_mapping(training)[key] for key in CONTINUABLE}
    if over and now.items() <= options["training"].items():
        return
    options["training"] |= now
    options["provenance"].setdefault("continued", []).append(dict(call))
    checkpoint.save_options(folder, options)


def mend(folder: Path, trainer: Trainer, options: Mapping[str, Any], tokenizer: Tokenizer) -> None:
    """Make weights that are missing or damaged again, as far as the state of the run and the other file allow."""
    position = trainer.position
    if position.best is None:
        return
    best, last = (_trouble(folder / name, options["model"], tokenizer) for name in (checkpoint.BEST, checkpoint.LAST))
    if best and not last and checkpoint.updates(folder, "last") == position.best_step:
        with files.replacing(folder / checkpoint.BEST) as temporary:
            temporary.write_bytes((folder / checkpoint.LAST).read_bytes())
        warn(f"{best}; made again from {checkpoint.LAST}, which is of the same update")
        return
    if best and (weights := trainer.state.best_again(position)) is not None:
        digest = checkpoint.model_hash(options["model"], tokenizer, weights)
        scores = trainer.validate(weights)
        checkpoint.save_weights(folder / checkpoint.BEST, weights, digest, position.best_step, scores)
        warn(f"{best}; made again from the snapshots of update {position.best_step}")
        best = ""
    if best:
        warn(f"{best}; the best weights, of update {position.best_step}, are lost, and later ones take their place")
        trainer.forget_best()
    if last and trainer.over():
        warn(f"{last}; made again from the training state")
    if trainer.over() and (best or last):
        trainer.restore()


def _model(folder: Path) -> bool:
    return any((folder / name).exists() for name in (checkpoint.BEST, checkpoint.LAST))


def _trouble(path: Path, model_options: Mapping[str, Any], tokenizer: Tokenizer) -> str:
    """Why a file of weights cannot be used, or nothing."""
    if not path.exists():
        return f"{path}: is gone"
    try:
        checkpoint.read_weights(path, model_options, tokenizer)
    except ValueError as error:
        return str(error)
    return ""
