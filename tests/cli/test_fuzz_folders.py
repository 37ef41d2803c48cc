"""Damaged model folders under every command: no traceback, no hang, and nothing changed by a command that fails."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Data, Outcome, run_here

from nmtkit import checkpoint
from nmtkit.files import sha256
from nmtkit.training.state import RunState

FOLDERS = 300
SECONDS = 20
"""No command may take longer."""
TINY = "--beam 1 --max-length 4 --device cpu"

COMMANDS = {
    "train": "{flags} --vocab-size 400 --updates {updates} --validate-every 12 --device cpu --threads 1",
    "translate": f"{{folder}} --input {{text}} --output {{new}} {TINY}",
    "score": "{folder} --source {text} --target {text} --output {new} --device cpu",
    "evaluate": f"{{folder}} --source {{text}} --reference {{text}} --resamples 2 --json {{new}} {TINY}",
    "attention": f"{{folder}} --source {{text}} --html {{new}} {TINY}",
    "blame-analysis": f"{{folder}} --source {{text}} --reference {{text}} --train-sample 3 --json {{new}} {TINY}",
    "compare": f"{{folder}} {{whole}} --source {{text}} --reference {{text}} --json {{new}} {TINY}",
    "history": "{folder} {whole} --json {new}",
    "info": "{folder} --json {new}",
}


def damage(rng: random.Random, folder: Path, other: Path) -> str:
    """Damage a file of a folder; says how."""
    path = rng.choice([path for path in sorted(folder.rglob("*")) if path.is_file()])
    name, content = str(path.relative_to(folder)), path.read_bytes()
    place = rng.randrange(max(1, len(content)))
    kind = rng.choice(
        ["flip", "flip", "flip", "cut", "zeros", "gone", "empty", "garbage", "moved", "foreign", "folder"]
    )
    if kind == "gone":
        path.unlink()
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "moved":
        shutil.copy(rng.choice([one for one in sorted(folder.rglob("*")) if one.is_file() and one != path]), path)
    elif kind == "foreign":
        shutil.copy(rng.choice([one for one in sorted(other.rglob("*")) if one.is_file()]), path)
    else:
        flipped = bytes([(content or bytes(1))[place] ^ 1 << rng.randrange(8)])
        path.write_bytes(
            {
                "flip": content[:place] + flipped + content[place + 1 :],
                "cut": content[:place],
                "zeros": content[:place] + bytes(min(64, len(content) - place)) + content[place + 64 :],
                "empty": b"",
                "garbage": rng.randbytes(200),
            }[kind]
        )
    if rng.random() < 0.1:
        shutil.rmtree(folder / "training", ignore_errors=True)
        name += " and no training/"
    return f"{kind} {name} at {place}"


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def late(number: int, frame: object) -> None:
        raise AssertionError(f"hangs for more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def weights(folder: Path) -> list[str]:
    """Of the newest state and both weights files, what their tensors are."""
    paths = [RunState(folder / "training").paths()[0], folder / checkpoint.BEST, folder / checkpoint.LAST]
    kinds = ["the state of a training run", checkpoint.WEIGHTS, checkpoint.WEIGHTS]
    return [
        checkpoint.tensors_hash(checkpoint.load_tensors(path, kind)[0]) for path, kind in zip(paths, kinds, strict=True)
    ]


def called(name: str, **words: object) -> Outcome:
    with at_most(SECONDS):
        return run_here(name, *COMMANDS[name].format(**words).split())


@pytest.mark.slow
def test_damaged_folders(model: Path, sibling: Path, data: Data, tmp_path: Path) -> None:
    rng = random.Random(1)
    text = data.folder / "dev.fr"
    copy, undisturbed = tmp_path / "copy", Path(shutil.copytree(model, tmp_path / "undisturbed"))
    assert called("train", flags=" ".join(data.flags(undisturbed)), updates=36).code == 0
    expected, codes = weights(undisturbed), []
    for number in range(FOLDERS):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(model, copy)
        how = damage(rng, copy, sibling)
        name = "train" if number % 2 else rng.choice(sorted(COMMANDS))
        new, updates = tmp_path / f"new-{number}", rng.choice([24, 36])
        before = contents(copy)
        outcome = called(
            name, flags=" ".join(data.flags(copy)), updates=updates, folder=copy, whole=model, text=text, new=new
        )
        said = f"{number}: {how}; {name} --updates {updates}: {outcome}"
        codes.append(outcome.code)
        assert outcome.code in (0, 1, 2), said
        assert "Traceback" not in outcome.err and "internal error" not in outcome.err, said
        if outcome.code:
            assert contents(copy) == before, said
            assert not new.exists(), said
            assert outcome.err.splitlines()[-1].startswith("nmtkit: "), said
        elif name != "train":
            assert contents(copy) == before, said
        elif updates == 36 and weights(copy) != expected:
            assert "warning: " in outcome.err, said
    assert codes.count(0) > FOLDERS / 10 and codes.count(1) > FOLDERS / 10
