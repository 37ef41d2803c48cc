"""Two thousand wrong values: every option of every command with what it does not expect.

Whatever a user writes behind an option, a command ends soon, in one line if it fails, and has then changed nothing.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import random
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any, get_args, get_type_hints

import pytest
import typer.main
from conftest import ROOT, TINY, Data, environment, head, run_here, write_lines

from nmtkit.cli.main import COMMANDS, app
from nmtkit.models.options import FAMILIES
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.training.options import TrainingOptions

SEED, CASES, SECONDS, MEMORY, WORKERS = 17, 2400, 20, 4 * 2**30, 2

NUMBERS = [
    *("0", "-1", "1", "2", "7", "0.5", "3.5", "-0.0", "1.0", "+1", "01", "1_0", "1e3", "1e-9"),
    *("nan", "NaN", "inf", "-inf", "infinity", "1e308", "-1e308", "1e-308", "5e-324", "1e400", "∞", "½", "٣", "²"),
    *(str(10**9), str(2**31), str(2**32), str(2**63), str(2**64), str(10**23), str(-(10**23)), "9" * 400, "9" * 5000),
    *("", " ", "\n", "\t1", "1 2", "1,5", "0x10", "0b1", "--", "-", "None", "true", "x", "\udcff", "1\u202e", "{}"),
]
TEXTS = [
    *("", " ", "-", "--", "\n", "\t", "'", '"', "$(x)", "%s", "{}", "{0}", "[red]x[/red]", "[/]", "\x1b[31m", "\udcff"),
    *("x" * 5000, "é", "fr", "en", "a/b", "..", "none", "None", "0", "nan", "auto", "cpu", "cpu:7", "cuda:99"),
    *("cuda:-1", "cpu:" + "9" * 30, "meta", "bpe", "unigram", "13a", "zh", "ja-mecab", "intl", "Ω"),
    *("chrf:60", "chrf:nan", "chrf:1e400", "bleu:-1", "bleu:", ":", "chrf:" + "9" * 400, "transformer-tiny"),
]
LISTS = [
    *("1,2", "1,,2", ",", "0", "-1", "nan", "inf", "1e308", "1e-308", "2,2,2", "1;2", "x", "", " ", "1,", "1.5", "+2"),
    *(str(10**9), str(10**23), "9" * 400, "9" * 5000, "1," * 1000 + "1", "1,2,\n3", "\udcff", "½", "1,1e3"),
]
# Every name leads into the working folder or where nobody can write, and no value makes a library ask the network.
PATHS = [
    *("", " ", ".", "..", "-", "--", "none", "none/none", "sub", "sub/", "s.fr/child", "/proc/x", "~"),
    *("\n", "/dev/null", "/dev/zero", "/dev/full", "/dev/fd/99", "x" * 300, "x" * 5000, "a/" * 3000, "é.txt", "\udcff"),
    *("model", "model/options.json", "model/weights.safetensors", "s.fr", "s.en", "train.fr", "train", "empty"),
    *("binary", "utf16", "latin", "packed.gz", "dangling", "loop", "tiny.toml", "trace.jsonl", "report.json", "x.svg"),
    *("nbest.tsv", "deep.json", "x.png", "[red].svg", "%s.html"),
]
SPECIAL = {
    **dict.fromkeys(("sweep_beams", "sweep_alphas"), LISTS),
    **dict.fromkeys(("json", "json_file", "tsv", "alignment", "config"), PATHS),
}
"""Options whose kind says too little."""

SHORT = ["--max-length", "8", "--device", "cpu"]
TEXT = ["--source", "s.fr", "--reference", "s.en"]
BASE: dict[str, tuple[list[str], list[str]]] = {
    "check-data": ([], ["--train", "train", "-s", "fr", "-t", "en"]),
    "train-tokenizer": (["train.fr"], ["--output", "new.model", "--vocab-size", "350"]),
    "train": (
        [],
        [
            *("--train", "train", "--dev", "dev", "-s", "fr", "-t", "en", "--output", "run", "--config", "tiny.toml"),
            *("--vocab-size", "350", "--updates", "2", "--validate-every", "2", "--device", "cpu", "--threads", "1"),
        ],
    ),
    "prepare": (
        [],
        [*("--train", "train", "-s", "fr", "-t", "en", "--tokenizer", "model", "--output", "ids", "--workers", "1")],
    ),
    "translate": (["model"], ["--input", "s.fr", *SHORT]),
    "inspect": (["trace.jsonl"], []),
    "score": (["model"], ["--source", "s.fr", "--device", "cpu"]),
    "evaluate": (["model"], [*TEXT, "--resamples", "20", *SHORT]),
    "blame-analysis": (["model"], [*TEXT, *SHORT]),
    "blame-compare": (["report.json", "report.json"], []),
    "attention": (["model"], ["--source", "s.fr", *SHORT]),
    "compare": (["model"], [*TEXT, *SHORT]),
    "history": (["model"], []),
    "info": (["model"], []),
    "export": (["model"], ["--output", "exported", "--device", "cpu"]),
    "guide": (["search"], []),
}
"""A call of each command that works, if the companions of the option are there: arguments and options."""
COMPANIONS: dict[tuple[str, str], list[str]] = {
    ("train", "config"): ["--check"],
    ("translate", "budget_steps"): ["--exact", "--max-length", "2"],
    ("translate", "budget_seconds"): ["--exact", "--max-length", "2"],
    **{("translate", name): ["--samples", "2"] for name in ("temperature", "top_k", "top_p", "epsilon", "seed", "mbr")},
    ("translate", "utility"): ["--samples", "2", "--mbr"],
    ("translate", "reference"): ["--exact", "--max-length", "2"],
    ("blame-analysis", "budget_steps"): ["--exact", "--max-length", "2"],
    ("blame-analysis", "budget_seconds"): ["--exact", "--max-length", "2"],
    ("blame-analysis", "sample"): ["--exact", "--max-length", "2"],
    ("blame-analysis", "train_text"): ["--train-sample", "3"],
    ("blame-analysis", "plot"): ["--sweep-beams", "1"],
    ("blame-analysis", "save_best"): ["--sweep-beams", "1"],
    ("blame-analysis", "details"): ["--html", "page.html"],
    **{(command, "precision"): ["--engine", "ctranslate2"] for command in ("translate", "evaluate", "blame-analysis")},
    ("export", "reference"): ["--verify", "s.fr"],
    ("attention", "plot"): ["--line", "1"],
    ("attention", "gold"): ["--target", "s.en"],
    ("compare", "grid"): ["--output", "runs"],
}
TARGETED = {"candidates", "in_pieces"}
"""Options of `score` that take the place of --target."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One call; `config` is written into case.toml before it."""

    words: tuple[str, ...]
    config: str = ""

    def __str__(self) -> str:
        shown = " ".join(word if len(word) < 60 else f"{word[:20]}…({len(word)})" for word in self.words)
        return f"nmtkit {shown}" + (f" with {self.config[:200]!r}" if self.config else "")


def base(command: str, option: str, argument: str | None = None) -> list[str]:
    """The call of a command that an option is added to."""
    arguments, options = BASE[command]
    more = [*COMPANIONS.get((command, option), [])]
    if command == "score" and option not in TARGETED:
        more += ["--target", "s.en"]
    if command == "score" and option == "in_pieces":
        more += ["--candidates", "nbest.tsv"]
    if (command, option) in (("compare", "grid"), ("compare", "output")):
        arguments = []
    if argument is not None:
        arguments = [argument, *arguments[1:]]
    return [command, *options, *more, *(["--", *arguments] if arguments else [])]


def pool(command: str, name: str) -> list[str]:
    """The values that a parameter of a command is tried with."""
    if name in SPECIAL:
        return SPECIAL[name]
    hint = get_type_hints(COMMANDS[command])[name]
    kinds = {hint, *get_args(hint)} | {kind for part in get_args(hint) for kind in get_args(part)}
    return NUMBERS if kinds & {int, float} else PATHS if Path in kinds else TEXTS


def parameters() -> list[tuple[str, Any]]:
    """Every parameter of every command."""
    group: Any = typer.main.get_command(app)
    return [(name, one) for name in COMMANDS for one in group.commands[name].params if one.name != "help"]


def flag_cases(rng: random.Random) -> Iterator[Case]:
    """As many values of every option as make the wanted number of cases, all where there are fewer."""
    known = parameters()
    each = 1 + CASES // len(known)
    for command, option in known:
        flag = next((name for name in (*option.opts, *option.secondary_opts) if name.startswith("--")), None)
        if getattr(option, "is_flag", False):
            alone = [flag] if option.name != "compile" else []  # which takes minutes
            for text in (*alone, f"{flag}=", f"{flag}=x", f"{flag}=1"):
                yield Case((command, str(text), *base(command, option.name)[1:]))
            continue
        values = pool(command, option.name)
        for value in rng.sample(values, min(each, len(values))):
            if flag is None:
                yield Case(tuple(base(command, option.name, value)))
            else:
                before, *rest = base(command, option.name)
                cut = rest.index("--") if "--" in rest else len(rest)
                yield Case((before, *rest[:cut], f"{flag}={value}", *rest[cut:]))


TOML = [
    *("0", "-1", "1", "2", "0.5", "1.5", "nan", "inf", "-inf", "1e308", "1e-308", "1e400", str(10**9), str(10**23)),
    *(
        "-1" + "0" * 30,
        "9" * 5000,
        "''",
        "'x'",
        "[]",
        "['a']",
        "{}",
        "true",
        "1979-05-27",
        "1_000",
        "0x10",
        '"\\u0000"',
    ),
]


def table_cases(rng: random.Random) -> Iterator[Case]:
    """Every field of the options of tokenizer, training and models, from a table of a configuration."""
    tables: list[tuple[str, type, str]] = [
        ("tokenizer", TokenizerOptions, ""),
        ("training", TrainingOptions, ""),
        *(("model", options, f"family = '{family}'\n") for family, options in FAMILIES.items()),
    ]
    for table, options, first in tables:
        for field in dataclasses.fields(options):
            for value in rng.sample(TOML, 8):
                words = [word if word != "tiny.toml" else "case.toml" for word in base("train", "check")]
                yield Case(("train", "--check", *words[1:]), f"[{table}]\n{first}{field.name} = {value}\n")


def cases() -> list[Case]:
    rng = random.Random(SEED)
    return [*flag_cases(rng), *table_cases(rng)]


def test_the_fuzz_is_as_large_as_it_says() -> None:
    made = cases()
    options = {(command, option.name) for command, option in parameters()}
    assert len({str(case) for case in made}) > 2000 and len(options) > 150
    assert {case.words[0] for case in made} == set(COMMANDS)


@pytest.fixture(scope="module")
def workplace(model: Path, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the commands read, and files that are not what they seem."""
    folder = tmp_path_factory.mktemp("fuzz") / "pristine"
    folder.mkdir()
    shutil.copytree(model, folder / "model")
    for language in ("fr", "en"):
        write_lines(folder / f"train.{language}", head(data.folder / f"train.{language}", 60))
        write_lines(folder / f"dev.{language}", head(data.folder / f"dev.{language}", 3))
        write_lines(folder / f"s.{language}", head(data.folder / f"dev.{language}", 3))
        write_lines(folder / f"one.{language}", head(data.folder / f"dev.{language}", 1))
    (folder / "tiny.toml").write_text(TINY)
    (folder / "sub").mkdir()
    (folder / "empty").touch()
    (folder / "binary").write_bytes(bytes(range(256)) * 20)
    (folder / "utf16").write_text("Où est la gare ?\n" * 3, encoding="utf-16")
    (folder / "latin").write_text("Où est la gare ?\n" * 3, encoding="latin1")
    (folder / "packed.gz").write_bytes(gzip.compress(b"Oui.\n" * 3, mtime=0))
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    texts = ["--source", folder / "one.fr", "--reference", folder / "one.en"]
    for words in (
        [
            "translate",
            folder / "model",
            "-i",
            folder / "s.fr",
            *SHORT,
            "--trace",
            folder / "trace.jsonl",
            "-o",
            os.devnull,
        ],
        ["translate", folder / "model", "-i", folder / "s.fr", *SHORT, "--n-best", 2, "-o", folder / "nbest.tsv"],
        ["blame-analysis", folder / "model", *texts, *SHORT, "--json", folder / "report.json"],
    ):
        outcome = run_here(*words)
        assert outcome.code == 0, outcome.err
    return folder


def fingerprint(folder: Path) -> dict[str, str]:
    """What is in a folder, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            content = f"-> {os.readlink(path)}"
        elif path.is_dir():
            content = "folder"
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")] = content
    return found


class Worker:
    """A process that runs cases in a copy of the workplace, which is made anew where a case has changed it."""

    def __init__(self, pristine: Path, folder: Path) -> None:
        self.pristine, self.outer = pristine, folder
        self.process: subprocess.Popen[bytes] | None = None
        self.before: dict[str, str] = {}
        self.renew()

    def renew(self) -> None:
        """Put everything back; the working folder itself stays, for the process is in it."""
        work = self.outer / "work"
        work.mkdir(parents=True, exist_ok=True)
        for path in [*work.iterdir(), *(one for one in self.outer.iterdir() if one != work)]:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(self.pristine, work, symlinks=True, dirs_exist_ok=True)
        (work / "case.toml").touch()
        self.before = fingerprint(self.outer)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def run(self, case: Case) -> str | None:
        """What is wrong with the way a case ended."""
        if self.process is None:
            paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "support" / "fuzz_worker.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self.outer / "work",
                env=environment(PYTHONPATH=paths, HF_HUB_OFFLINE="1"),
            )
            self.ask(Case(("info", "model")))  # loads everything
        (self.outer / "work" / "case.toml").write_text(case.config)
        result = self.ask(case)
        (self.outer / "work" / "case.toml").write_text("")
        wrong = judge(result)
        after = fingerprint(self.outer)
        if after != self.before:
            if wrong is None and result is not None and result["code"] != 0:
                changed = sorted(name for name in {*after, *self.before} if after.get(name) != self.before.get(name))
                wrong = f"failed and changed {', '.join(changed[:5])}: {result['err'][-300:]}"
            self.renew()
        return wrong

    def ask(self, case: Case) -> dict[str, Any] | None:
        """The result of a case; None if none came in time."""
        process = self.process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps({"words": case.words, "stdin": "Oui.\n"}).encode() + b"\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], 60 if case.words == ("info", "model") else SECONDS)
        line = process.stdout.readline() if ready else b""
        if line:
            result: dict[str, Any] = json.loads(line)
            return result
        died = bool(ready)
        self.stop()
        return {"code": -2, "err": "the process died", "peak": 0} if died else None


def judge(result: dict[str, Any] | None) -> str | None:
    if result is None:
        return f"no end within {SECONDS} seconds"
    err = result["err"]
    if result["code"] not in (0, 1, 2, 130):
        return f"code {result['code']}: {err[-700:]}"
    if "Traceback" in err or "internal error" in err:
        return err[-700:]
    if result["peak"] > MEMORY:
        return f"{result['peak'] / 2**30:.1f} GiB of memory"
    if result["code"] in (1, 2):
        lines = [line for line in err.split("\n")[:-1] if line.startswith("nmtkit: ")]
        alone = result["code"] == 1 or err.count("\n") == 1
        if len(lines) != 1 or not err.endswith(f"{lines[0]}\n") or not alone or len(lines[0]) > 1200:
            return f"not one line: {err[-700:]!r}"
    return None


def test_the_calls_work_before_a_value_is_put_in(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else every value would be refused for another reason."""
    shutil.copytree(workplace, tmp_path / "work", symlinks=True)
    monkeypatch.chdir(tmp_path / "work")
    for command in COMMANDS:
        names = ["", *(option for of, option in COMPANIONS if of == command and option not in ("gold", "grid"))]
        for option in names:
            shutil.rmtree("exported", ignore_errors=True)
            outcome = run_here(*base(command, option))
            assert outcome.code == 0, f"{base(command, option)}: {outcome.err}"


@pytest.mark.slow
def test_two_thousand_wrong_values(workplace: Path, tmp_path: Path) -> None:
    waiting: Queue[Case] = Queue()
    made = cases()
    for case in made:
        waiting.put(case)
    wrong: list[str] = []

    def work(number: int) -> None:
        worker = Worker(workplace, tmp_path / f"worker{number}")
        try:
            while True:
                case = waiting.get_nowait()
                if problem := worker.run(case):
                    wrong.append(f"{case}\n    {problem}")
        except Empty:
            pass
        finally:
            worker.stop()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waiting.empty(), "a worker failed"
    assert not wrong, f"{len(wrong)} of {len(made)} cases:\n" + "\n".join(wrong)
