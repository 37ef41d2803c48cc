"""What many tests share: running nmtkit in this process or in one of its own, a corpus of 200 lines, a tiny model."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side, one a core
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as behind nohup or "&" in a script; children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
JANE = ROOT / "data" / "jane"

TINY = """
[model]
family = "transformer"
width = 32
feedforward = 64
heads = 2
encoder_layers = 1
decoder_layers = 1

[training]
warmup = 2
learning_rate = 0.01
snapshot_every = 5
average = 2
valid_beam = 2
log_every = 2
save_every = 1000
batch_tokens = 2000
"""
"""A configuration whose training takes no time; the rest of it is given by flags."""

TRAINED = ["--vocab-size", "400", "--updates", "24", "--validate-every", "12", "--device", "cpu", "--threads", "1"]
"""The flags of the model that the tests share."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it wrote."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8")

    @property
    def lines(self) -> list[str]:
        """Lines of standard output; they end at \\n only."""
        return self.text.split("\n")[:-1]


@dataclass(frozen=True)
class Data:
    """A small corpus: `folder`/train.fr, train.en, dev.fr, dev.en, and tiny.toml to train on it in no time."""

    folder: Path

    def flags(self, output: Path) -> list[str]:
        """What `nmtkit train` must be given."""
        files = ["--train", f"{self.folder}/train", "--dev", f"{self.folder}/dev"]
        return [*files, "-s", "fr", "-t", "en", "--output", f"{output}", "--config", f"{self.folder}/tiny.toml"]


Run = Callable[..., Outcome]


def environment(**more: str) -> dict[str, str]:
    """The environment of a command of its own: this checkout, one thread, 80 columns."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "80", **more}


def run_here(*arguments: object, stdin: bytes = b"") -> Outcome:
    """Runs a command in this process: the same code without a second to load torch."""
    from nmtkit.__main__ import main

    words = [str(argument) for argument in arguments]
    streams = [
        io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors=errors)  # as Python opens them
        for data, errors in ((stdin, "strict"), (b"", "strict"), (b"", "backslashreplace"))
    ]
    names = ("stdin", "stdout", "stderr")
    with mock.patch.multiple(sys, argv=["nmtkit", *words], **dict(zip(names, streams, strict=True))):
        try:
            main()
            code: object = 0
        except SystemExit as end:
            code = end.code
    assert code is None or isinstance(code, int)
    _, out, err = (stream.buffer for stream in streams if not stream.flush())
    assert isinstance(out, io.BytesIO) and isinstance(err, io.BytesIO)
    return Outcome(code or 0, out.getvalue(), err.getvalue().decode("utf-8"))


def run_process(*arguments: object, stdin: bytes = b"", cwd: Path | None = None, **variables: str) -> Outcome:
    """Runs `python -m nmtkit` as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "nmtkit", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=environment(**variables),
        cwd=cwd,
        timeout=240,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode("utf-8"))


def refused(outcome: Outcome, code: int = 1) -> str:
    """The one line with which a command failed: no result, no traceback, nothing else."""
    assert outcome.code == code, outcome
    assert outcome.out == b""
    assert outcome.err.startswith("nmtkit: ") and outcome.err.endswith("\n"), outcome.err
    assert outcome.err.count("\n") == 1, outcome.err
    assert "internal error" not in outcome.err
    return outcome.err


def head(path: Path, lines: int, first: int = 0) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[first : first + lines]


def write_lines(path: Path, lines: Sequence[str]) -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared texts do not go where those of the user are."""
    with mock.patch.dict(os.environ, NMTKIT_CACHE=str(tmp_path_factory.mktemp("cache"))):
        yield


@pytest.fixture(autouse=True)
def _loud() -> Iterator[None]:
    """--quiet and --debug last for a process; between tests they must not."""
    yield
    from nmtkit import console
    from nmtkit.cli import errors

    console.set_quiet(False)
    errors.set_debug(False)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """200 pairs to train on and 8 for validation, from data/jane."""
    folder = tmp_path_factory.mktemp("data")
    for language in ("fr", "en"):
        write_lines(folder / f"train.{language}", head(JANE / f"train.{language}", 200))
        write_lines(folder / f"dev.{language}", head(JANE / f"dev.{language}", 8))
    (folder / "tiny.toml").write_text(TINY)
    return Data(folder)


@pytest.fixture(scope="session")
def trained(data: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A model folder that the real command made, and what it said."""
    folder = tmp_path_factory.mktemp("runs") / "demo"
    return folder, run_process("train", *data.flags(folder), *TRAINED)


@pytest.fixture(scope="session")
def model(trained: tuple[Path, Outcome]) -> Path:
    """The trained folder, to be read only."""
    folder, outcome = trained
    assert outcome.code == 0, outcome.err
    return folder


@pytest.fixture(scope="session")
def sibling(model: Path, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model with the same tokenizer, to be read only."""
    folder = tmp_path_factory.mktemp("runs") / "sibling"
    few = ["--tokenizer", model, "--updates", 16, "--validate-every", 16, "--seed", 9, "--device", "cpu"]
    outcome = run_here("train", *data.flags(folder), *few, "--quiet")
    assert outcome.code == 0, outcome.err
    return folder


@pytest.fixture(scope="session")
def two_weights(model: Path, sibling: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose best weights, after 16 updates, are not its last, after 24; to be read only."""
    folder = Path(shutil.copytree(model, tmp_path_factory.mktemp("runs") / "two"))
    shutil.copy(sibling / "weights.safetensors", folder)
    return folder


@pytest.fixture
def copied(model: Path, tmp_path: Path) -> Path:
    """A copy of the trained folder, to be damaged."""
    return Path(shutil.copytree(model, tmp_path / "copy"))
