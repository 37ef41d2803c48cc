"""Does another version of nmtkit still do the same? Record what both say on the command line, and compare.

    python tests/support/parity.py record --models /tmp/models /tmp/before     # with PYTHONPATH at the old version
    python tests/support/parity.py record --models /tmp/models /tmp/after      # with PYTHONPATH at the new one
    python tests/support/parity.py compare /tmp/before /tmp/after

`record` trains five presets for 200 updates and notes the loss of each, and lets three models answer under eight
settings of the search: outputs, traces, certificates, blame, comparisons. The models are trained by the first recording
and read by the second. `compare` wants losses bit for bit, texts, verdicts and counts equal, and floats within 1e-5.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

JANE = Path(__file__).resolve().parent.parent.parent / "data" / "jane"
LINES, UPDATES = 24, 200
CLOSE = 1e-5
PRESETS = ("transformer-tiny", "bahdanau", "luong-local-p", "rnn-no-attention", "convs2s")
MODELS = {"transformer": "transformer-tiny", "recurrent": "rnn-tiny", "convolutional": "convs2s"}
SETTINGS: dict[str, list[str]] = {
    "usual": [],
    "greedy": ["--beam", "1"],
    "wide": ["--beam", "12"],
    "log-p": ["--length-alpha", "0"],
    "gnmt": ["--length-alpha", "1", "--length-penalty", "gnmt", "--beam", "3"],
    "early": ["--patience", "1", "--free-eos", "--forbid-unk"],
    "short": ["--max-length", "9", "--batch-tokens", "64"],
    "ratio": ["--max-length-ratio", "1.5", "--beam", "2", "--length-alpha", "1"],
}
BANNING = ["--min-length-ratio", "0.8", "--no-repeat-ngram", "2"]
"""Rules that exact search and blame refuse."""
MEASURED = {
    "seconds",
    "speed",
    "trained",
    "tokens_per_second",
    "command",
    "nmtkit",
    "folder",
    "file",
    "started",
    "name",
}
"""Keys whose values are of the clock, the machine or the place."""


def nmtkit(*words: object) -> None:
    command = [sys.executable, "-m", "nmtkit", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")


def texts(folder: Path) -> tuple[Path, Path]:
    """The lines that are translated, with a blank one among them, and their references."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for language in ("fr", "en"):
        lines = (JANE / f"test.{language}").read_text(encoding="utf-8").split("\n")[: LINES - 1]
        path = folder / f"text.{language}"
        path.write_text("\n".join([*lines[:5], "", *lines[5:]]) + "\n", encoding="utf-8")
        found.append(path)
    return found[0], found[1]


def train(output: Path, preset: str, updates: int, *more: object) -> None:
    config = output.with_suffix(".toml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("[training]\nlog_every = 1\nsnapshot_every = 50\nwarmup = 50\nsave_every = 1000\n")
    files = ["--train", JANE / "train", "--dev", JANE / "dev", "-s", "fr", "-t", "en", "--config", config]
    size = ["--vocab-size", 1000, "--batch-tokens", 800, "--threads", 1, "--device", "cpu"]
    words = [*files, *size, "--preset", preset, "--updates", updates, "--validate-every", updates, *more]
    nmtkit("train", *words, "--output", output)


def losses(models: Path, out: Path) -> None:
    """The loss of each of the first updates of five presets."""
    for preset in PRESETS:
        folder = out / "runs" / preset
        train(folder, preset, UPDATES)
        lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        found = [line["train_loss"] for line in lines if "train_loss" in line]
        assert len(found) == UPDATES
        (out / f"losses-{preset}.txt").write_text("".join(f"{loss!r}\n" for loss in found))


def answers(models: Path, out: Path) -> None:
    """What three models say under eight settings."""
    source, target = texts(out / "texts")
    for name, preset in MODELS.items():
        folder = models / name
        if not (folder / "weights.safetensors").exists():
            train(folder, preset, 2 * UPDATES)
        machine = ["--threads", 1, "--device", "cpu"]
        for setting, flags in SETTINGS.items():
            place = out / name / setting
            place.mkdir(parents=True, exist_ok=True)
            _search(folder, source, target, place, [*flags, *machine])
            _blame(folder, source, target, place, [*flags, *machine])
        place = out / name
        banned = ["translate", folder, "-i", source, "--scores", *BANNING, *machine]
        nmtkit(*banned, "-o", place / "banned.tsv")
        nmtkit("score", folder, "-s", source, "-t", target, "--tokens", *machine, "-o", place / "scores.tsv")
        each = ["--each", "--json", place / "attention.jsonl"]
        nmtkit("attention", folder, "-s", source, "-t", target, *each, *machine)
        first, second = place / "greedy" / "blame.json", place / "wide" / "blame.json"
        nmtkit("blame-compare", first, second, "--json", place / "difference.json")
    folders = [models / name for name in MODELS]
    nmtkit("compare", *folders, "-s", source, "-r", target, "--json", out / "compare.json", "--threads", 1)
    nmtkit("evaluate", folders[0], "-s", source, "-r", target, "--json", out / "evaluate.json", "--threads", 1)


def _search(folder: Path, source: Path, target: Path, place: Path, flags: Sequence[object]) -> None:
    words = ["translate", folder, "-i", source, "--scores", "--tokens", *flags]
    trace = ["--trace", place / "trace.jsonl", "--reference", target]
    nmtkit(*words, "-o", place / "traced.tsv", *trace, "--n-best", 1)
    wide = [] if "1" in flags and "--beam" in flags and flags[flags.index("--beam") + 1] == "1" else ["--n-best", 2]
    nmtkit(*words, "-o", place / "n-best.tsv", *wide)
    nmtkit(*words, "-o", place / "attended.tsv", "--attention", place / "attention.jsonl")
    exact = ["--exact", "--budget-steps", 300, "--reference", target]
    nmtkit(*words, "-o", place / "exact.tsv", *exact)
    if "--patience" not in flags:
        nmtkit(*words, "-o", place / "by-length.tsv", "--per-length")


def _blame(folder: Path, source: Path, target: Path, place: Path, flags: Sequence[object]) -> None:
    exact = ["--exact", "--budget-steps", 100, "--reference-segmentations", 4, "--train-sample", 30]
    sweep = ["--sweep-beams", "1,4", "--sweep-alphas", "0,1", "--html", place / "blame.html"]
    files = ["--json", place / "blame.json", "--tsv", place / "blame.tsv", "--records", place / "records.jsonl"]
    nmtkit("blame-analysis", folder, "-s", source, "-r", target, *exact, *sweep, *files, *flags)


def compare(before: Path, after: Path) -> int:
    """How many files differ."""
    wrong = 0
    names = sorted(path.relative_to(before) for path in before.rglob("*") if path.is_file())
    compared = [name for name in names if name.parts[0] not in ("runs", "texts") and name.suffix != ".html"]
    for name in compared:
        differences = list(_differences(before / name, after / name))
        wrong += bool(differences)
        for line in differences[:5]:
            print(f"{name}: {line}")
    print(f"{len(compared)} files compared, {wrong} differ")
    return wrong


def _differences(before: Path, after: Path) -> Iterator[str]:
    if not after.exists():
        yield "is missing"
    elif before.name.startswith("losses"):
        pairs = zip(before.read_text().splitlines(), after.read_text().splitlines(), strict=True)
        for number, (old, new) in enumerate(pairs, start=1):
            if old != new:
                yield f"update {number}: {old}, now {new}"
    else:
        yield from _unequal(_values(before), _values(after), "")


def _values(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return [[[_number(word) for word in cell.split(" ")] for cell in line.split("\t")] for line in text.split("\n")]


def _number(word: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def _unequal(old: Any, new: Any, where: str) -> Iterator[str]:
    """Keys that the newer version added say nothing."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key not in MEASURED:
                yield from _unequal(old[key], new.get(key), f"{where}/{key}")
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{where}: {len(old)} values, now {len(new)}"
        for number, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from _unequal(one, other, f"{where}/{number}")
    elif isinstance(old, float) and isinstance(new, (int, float)):
        same = old == new or math.isclose(old, new, rel_tol=CLOSE, abs_tol=CLOSE) or (old != old and new != new)
        if not same:
            yield f"{where}: {old}, now {new}"
    elif old != new:
        yield f"{where}: {old!r} now {new!r}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    recording = verbs.add_parser("record")
    recording.add_argument("--models", type=Path, required=True)
    recording.add_argument("--only", choices=("losses", "answers"))
    recording.add_argument("out", type=Path)
    comparing = verbs.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    asked = parser.parse_args()
    if asked.verb == "compare":
        sys.exit(bool(compare(asked.before, asked.after)))
    for part in (losses, answers):
        if asked.only in (None, part.__name__):
            part(asked.models, asked.out)


if __name__ == "__main__":
    main()
