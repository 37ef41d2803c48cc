"""The model folder of a run: begin one, continue it, refuse what would lose data, and repair lost weights."""

from __future__ import annotations

from pathlib import Path

from nmtkit import checkpoint, files
from nmtkit.checkpoint import Call, FolderOptions
from nmtkit.console import warn
from nmtkit.tokenizer.tokenizer import FILES, Tokenizer
from nmtkit.training.history import HISTORY
from nmtkit.training.loop import Trainer
from nmtkit.training.options import CONTINUABLE, TrainingOptions
from nmtkit.training.state import RunState

TRAINING = "training"
"""The folder of states and snapshots inside a model folder."""


def begun(folder: Path) -> bool:
    """Whether a folder is a model folder already."""
    return (folder / checkpoint.OPTIONS).exists()


def refuse_new(folder: Path, tokenizer: Tokenizer | None) -> None:
    """Refuse to begin a model in a folder that holds anything else.

    The tokenizer's own files may be there, from a start that was killed or from `nmtkit train-tokenizer`.

    Args:
        tokenizer: the tokenizer of the model; None if it is not made yet.
    """
    if not folder.exists() or begun(folder):  # another training may have begun it; its lock says so
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
    """Refuse to go on with a model whose training state is gone, since a new start would overwrite it.

    Also refuse a folder in the place of a file, which could not be written hours later.
    """
    files = [folder / name for name in (checkpoint.BEST, checkpoint.LAST, HISTORY)]
    for path in [*files, *(folder / TRAINING).glob("*.safetensors")]:
        if path.is_dir():
            raise ValueError(f"{path}: is a folder where a file belongs; move it away")
    if _model(folder) and not RunState(folder / TRAINING).exists():
        raise ValueError(
            f"{folder}: holds a trained model, but no training state: {folder / TRAINING} is gone or empty. Put it "
            f"back to go on, or choose another --output to start over"
        )


def own_tokenizer(options: FolderOptions) -> Tokenizer:
    """The tokenizer of a model folder; ValueError if it is not the one that the model was begun with."""
    folder = options.path.parent
    tokenizer = Tokenizer.load(folder, checkpoint.RESTORE)
    if options.tokenizer.sha256 not in (None, tokenizer.hash()):
        names = " and ".join(sorted(tokenizer.files()))
        raise ValueError(f"{folder}: {names}: not what the model was begun with, or damaged; restore a copy")
    return tokenizer


def note_continuation(options: FolderOptions, training: TrainingOptions, call: Call, over: bool) -> None:
    """Record the options that may change and the call that continues a run, unless nothing is new."""
    before, now = (
        {key: getattr(stage, key) for key in CONTINUABLE} for stage in (options.training(type(training)), training)
    )
    if not over or now != before:
        checkpoint.go_on(options, now, call)


def mend(options: FolderOptions, trainer: Trainer, tokenizer: Tokenizer) -> None:
    """Restore missing or damaged weights, as far as the state of the run and the other file of weights allow."""
    position, folder = trainer.position, options.path.parent
    if position.best is None:
        return
    best, last = (_trouble(folder / name, options, tokenizer) for name in (checkpoint.BEST, checkpoint.LAST))
    if best and not last and checkpoint.updates(folder, "last") == position.best_step:
        with files.replacing(folder / checkpoint.BEST) as temporary:
            temporary.write_bytes((folder / checkpoint.LAST).read_bytes())
        warn(f"{best}; made again from {checkpoint.LAST}, which is of the same update")
        return
    if best and (weights := trainer.state.best_again(position)) is not None:
        digest = options.model_hash(tokenizer, weights)
        scores, _ = trainer.validate(weights)
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


def _trouble(path: Path, options: FolderOptions, tokenizer: Tokenizer) -> str:
    """The reason why a file of weights cannot be used, or an empty text."""
    if not path.exists():
        return f"{path}: is gone"
    try:
        options.read_weights(path, tokenizer)
    except ValueError as error:
        return str(error)
    return ""
