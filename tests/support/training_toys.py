"""Small parallel texts, tokenizers, models and runs for tests; and training in a process that can be killed.

Run as a script it is a server: it loads torch once, and forks a child for each training it is told to make. A child
can be told to die by a signal at its n-th event of a name: an update, a piece of a file written, a file replaced.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nmtkit import checkpoint
from nmtkit.batches.corpus import Corpus, load_corpus
from nmtkit.batches.order import window_batches, windows
from nmtkit.evaluation.metrics import bleu
from nmtkit.models.build import build
from nmtkit.models.interface import Model
from nmtkit.models.options import (
    ConvolutionalOptions,
    ModelOptions,
    RecurrentOptions,
    TransformerOptions,
    options_from_mapping,
    options_to_mapping,
)
from nmtkit.settings import from_mapping, to_mapping
from nmtkit.tokenizer.build import TokenizerOptions, train_tokenizer
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training.data import Data
from nmtkit.training.feed import Loaded, Place, Work
from nmtkit.training.loop import Trainer
from nmtkit.training.options import TrainingOptions
from nmtkit.training.recipe import train
from nmtkit.training.run import Run
from nmtkit.training.state import KIND, RunState
from nmtkit.training.task import Task, TaskLoss
from nmtkit.training.updater import add_gradients

torch.set_num_threads(1)

WORDS = ["red", "blue", "green", "cat", "dog", "fish", "bird", "tree", "house", "car", "runs", "sees"]
OTHER = ["rot", "blau", "grün", "katze", "hund", "fisch", "vogel", "baum", "haus", "auto", "läuft", "sieht"]

TRANSFORMER = TransformerOptions(
    width=16, feedforward=16, heads=2, encoder_layers=1, decoder_layers=1, dropout=0.0, tie_source=True
)
RECURRENT = RecurrentOptions(embedding=16, units=16, attention=8, dropout=0.0, tie_source=True)
FAMILIES: dict[str, ModelOptions] = {"transformer": TRANSFORMER, "recurrent": RECURRENT}
LEARNED: dict[str, ModelOptions] = {
    "transformer": replace(TRANSFORMER, positions="learned", max_positions=8),
    "convolutional": ConvolutionalOptions(
        width=16, embedding=16, encoder_layers=1, decoder_layers=1, max_positions=8, dropout=0.0, tie_source=True
    ),
}
"""Models that hold seven pieces and the end of sentence on either side."""

INTERRUPTED = 77
"""Exit status of a child that training left by KeyboardInterrupt."""


def parallel(count: int, seed: int, longest: int = 5) -> tuple[list[str], list[str]]:
    """Word-by-word translated random sentences."""
    rng = random.Random(seed)
    picked = [rng.choices(range(len(WORDS)), k=rng.randint(1, longest)) for _ in range(count)]
    return [" ".join(WORDS[i] for i in line) for line in picked], [" ".join(OTHER[i] for i in line) for line in picked]


@functools.cache
def tokenizer(joint: bool = True, vocab_size: int = 300) -> Tokenizer:
    """A small tokenizer of both word lists."""
    source, target = parallel(200, seed=0)
    return train_tokenizer(source, target, TokenizerOptions(vocab_size, "bpe", joint), seed=1)


def model(options: ModelOptions = TRANSFORMER, *, seed: int = 1, shake: float = 0.0, size: int | None = None) -> Model:
    """A model for the joint tokenizer, in training mode; `shake` moves its weights away from the near-uniform start."""
    torch.manual_seed(seed)
    size = size or tokenizer().source.size
    made = build(options, source_size=size, target_size=size)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(shake * torch.randn_like(parameter))
    return made


def corpus(count: int = 30, seed: int = 5) -> Corpus:
    """A parallel text as ids of the joint tokenizer."""
    return load_corpus(*parallel(count, seed), tokenizer(), 99, 99)


def write_folder(
    folder: Path, options: ModelOptions = TRANSFORMER, *, seed: int = 1, shake: float = 0.5, **defaults: Any
) -> Model:
    """A model folder around a random model; the model, in evaluation mode."""
    made = model(options, seed=seed, shake=shake).eval()
    save_folder(folder, made, options, **defaults)
    return made


def save_folder(folder: Path, made: Model, options: ModelOptions, **defaults: Any) -> None:
    """A model folder around a model for the joint tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer().save(folder)
    mapping = options_to_mapping(options)
    checkpoint.save_options(folder, {"model": mapping, "tokenizer": {}, "defaults": defaults})
    weights = checkpoint.unique_weights(made)
    digest = checkpoint.model_hash(mapping, tokenizer(), weights)
    for name in (checkpoint.BEST, checkpoint.LAST):
        checkpoint.save_weights(folder / name, weights, digest, 12, {"loss": 1.5, "bleu": 30.0})


def write_data(folder: Path, train_pairs: int = 30, dev_pairs: int = 4) -> Data:
    """Files of a small parallel text."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, seed in (("train", train_pairs, 5), ("dev", dev_pairs, 6)):
        for language, lines in zip(("en", "de"), parallel(count, seed), strict=True):
            (folder / f"{name}.{language}").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return Data(folder / "train", folder / "dev", "en", "de")


def toy_run(folder: Path, output: str = "out", family: str = "transformer", **training: Any) -> Run:
    """A run over the files of `folder` (written if missing); `training` changes its options."""
    data = Data(folder / "train", folder / "dev", "en", "de")
    if not (folder / "train.en").exists():
        write_data(folder)
    few: dict[str, Any] = {"updates": 4, "batch_tokens": 60, "warmup": 4, "valid_beam": 2, "validate_every": 2}
    options = TrainingOptions(
        **{**few, "snapshot_every": 1, "average": 1 if "ema" in training else 2, "log_every": 2, **training}
    )
    return Run(data, folder / output, FAMILIES[family], options, tokenizer(), device="cpu", threads=1)


def changed(run: Run, *, dropout: float | None = None, **training: Any) -> Run:
    """The run with other training options."""
    model_options = run.model if dropout is None else replace(run.model, dropout=dropout)
    return replace(run, model=model_options, training=replace(run.training, **training))


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def state_of(output: Path) -> Path:
    """The newest state of a run."""
    return RunState(output / "training").paths()[0]


def fingerprint(path: Path) -> str:
    """SHA-256 of what a safetensors file says, whatever the order: model, optimiser or weights, and the header."""
    kind = KIND if path.name.startswith("state") else checkpoint.WEIGHTS
    tensors, header = checkpoint.load_tensors(path, kind)
    for name in ("position", "run"):  # the time spent; what may differ where updates and weights do not
        header.pop(name, None)
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def fingerprints(output: Path) -> dict[str, str]:
    """Those of both weights files and of the training state."""
    names = {name: output / name for name in (checkpoint.BEST, checkpoint.LAST)}
    return {name: fingerprint(path) for name, path in {**names, "state": state_of(output)}.items()}


class Trainings:
    """The server: trainings in children of a process that has loaded everything once."""

    def __init__(self) -> None:
        here = Path(__file__).resolve()
        path = os.pathsep.join((str(here.parents[2]), str(here.parents[1])))
        self.process = subprocess.Popen(
            [sys.executable, str(here)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        )

    def __call__(self, run: Run, event: str = "", number: int = 0, sign: int = signal.SIGKILL) -> tuple[int, str]:
        """Train; exit status (−9: killed) and standard error. The signal comes at the number-th event so named."""
        assert self.process.stdin and self.process.stdout
        order = {
            "data": {key: str(value) for key, value in vars(run.data).items()},
            "output": str(run.output),
            "model": run.model if isinstance(run.model, Mapping) else options_to_mapping(run.model),
            "init_from": None if run.init_from is None else str(run.init_from),
            "training": to_mapping(run.training),
            "tokenizer": str(run.data.train.parent / "joint.model"),
            "log": str(run.data.train.parent / "log.txt"),
            "event": event,
            "number": number,
            "signal": int(sign),
        }
        Path(order["tokenizer"]).write_bytes(tokenizer().source.to_bytes())
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        return status, Path(order["log"]).read_text(encoding="utf-8")

    def close(self) -> None:
        """End the server."""
        self.process.communicate()


def _serve() -> None:
    os.fsync = lambda descriptor: None  # type: ignore[assignment]  # a killed process needs no disk
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)], fused=True).step()  # loads what the first step loads
    bleu(["a"], [["a"]])
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _obey(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _obey(order: Mapping[str, Any]) -> None:
    log = os.open(order["log"], os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    data = {key: Path(value) if key in ("train", "dev") else value for key, value in order["data"].items()}
    options = options_from_mapping(order["model"], "order") if "family" in order["model"] else order["model"]
    training = from_mapping(TrainingOptions, order["training"], "order")
    made, init = Tokenizer.load(order["tokenizer"]), order["init_from"] and Path(order["init_from"])
    run = Run(Data(**data), Path(order["output"]), options, training, made, "cpu", threads=1, init_from=init)
    if order["number"]:
        _arrange(order["event"], order["number"], order["signal"])
    status = 1
    try:
        train(run)
        status = 0
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _arrange(wanted: str, number: int, sign: int) -> None:
    """Watch what training does, and signal this process at the number-th event whose name begins with `wanted`."""
    seen = 0

    def event(name: str) -> None:
        nonlocal seen
        seen += name.startswith(wanted)
        if name.startswith(wanted) and seen == number:
            os.kill(os.getpid(), sign)

    def watched(function: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            event(f"before {name(*args)}")
            result = function(*args, **kwargs)
            event(f"after {name(*args)}")
            return result

        return call

    def file_name(path: Path) -> str:
        name = Path(path).name
        return name[1:].rsplit(".", 2)[0] if name.endswith(".tmp") else name

    def write_bytes(path: Path, content: bytes) -> int:
        third = len(content) // 3 + 1
        with open(path, "wb", buffering=0) as stream:
            for start in range(0, max(1, len(content)), third):
                event(f"writing {file_name(path)}")
                stream.write(content[start : start + third])
        return len(content)

    def record(trainer: Trainer, facts: dict[str, float]) -> None:
        before = trainer.history.read_bytes()
        recorded(trainer, facts)
        after = trainer.history.read_bytes()
        trainer.history.write_text((before + after[len(before) : len(before) + 9]).decode())
        event("torn history")
        with open(trainer.history, "wb") as stream:
            stream.write(after)
        event("recorded")

    recorded = Trainer._record
    Trainer._record = record  # type: ignore[method-assign]
    Trainer._update = watched(Trainer._update, lambda *_: "update")  # type: ignore[method-assign]
    os.replace = watched(os.replace, lambda _, target: f"replacing {file_name(target)}")
    pathlib.Path.unlink = watched(pathlib.Path.unlink, lambda path: f"unlinking {file_name(path)}")  # type: ignore[method-assign]
    pathlib.Path.write_bytes = write_bytes  # type: ignore[method-assign, assignment]


TIMES = {"seconds", "tokens_per_second", "waiting", "waited"}
"""Facts of a run that depend on the clock."""


def epoch_batches(corpus: Corpus, tokens: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of all windows of an epoch, in the order of their use."""
    return [batch for window in range(windows(corpus)) for batch in window_batches(corpus, tokens, seed, epoch, window)]


def work(task: Task, *batches: Any, epoch: int = 0) -> Work:
    """The work of an update of these batches."""
    own = [Loaded((number,), batch, task.load(batch, epoch)) for number, batch in enumerate(batches)]
    return Work(Place(epoch), batches, own, [task.size(batch) for batch in batches])


def add(loss: TaskLoss, *batches: Any, seed: int = 1, step: int = 1) -> float:
    """The mean loss of batches as one update, whose gradient is added to the parameters'."""
    pieces = sum(loss.task.size(batch).predicted for batch in batches)
    return add_gradients(loss, work(loss.task, *batches), pieces, (seed, step))[0].item()


def only_line(error: BaseException, *parts: Any) -> bool:
    """Whether an error's text is one line that holds all the parts."""
    text = str(error)
    return "\n" not in text.strip() and all(str(part) in text for part in parts)


def independent_total(made: Model, source: Sequence[int], target: Sequence[int]) -> float:
    """Σ log P of one target given one source, alone and unpadded, out of the written-out distributions."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        source_1S = torch.tensor([list(source)])
        memory = made.encode(source_1S, torch.ones_like(source_1S, dtype=torch.bool))
        dense_TV = made.decode(memory, torch.tensor([[1, *target[:-1]]])).dense()[0].double()
        return float(sum(dense_TV[position, token] for position, token in enumerate(target)))


if __name__ == "__main__":
    _serve()
