"""The whole pipeline on the embedded corpus: tokenizer, training, translation, evaluation, blame; then checks of it.

    python data/demo.py --output runs/demo

Every command is shown as a user would type it. A second call finds the trained model and takes seconds. The exit code
is 1 where a result is not what this corpus must give.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

CORPUS = Path(__file__).parent / "jane"
JANE = "Jane visite l'Afrique en septembre."
BLEU_RANGE = (60.0, 95.0)


def nmtkit(*arguments: object, text: str | None = None) -> str:
    """Run a command of nmtkit, showing it; returns what it wrote to standard output."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ {f'echo {shlex.quote(text)} | ' if text else ''}nmtkit {shlex.join(words)}", flush=True)
    command = [sys.executable, "-m", "nmtkit", *words]
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(done.returncode)
    print(done.stdout, end="", flush=True)
    return done.stdout


def run_pipeline(output: Path) -> dict[str, object]:
    """Run every stage; returns the facts to check."""
    tokenizer = output / "tokenizer.model"
    if not tokenizer.exists():
        texts = (CORPUS / "train.fr", CORPUS / "train.en")
        nmtkit("train-tokenizer", *texts, "--vocab-size", 4000, "--output", tokenizer)
    languages = ("--source-lang", "fr", "--target-lang", "en")
    corpora = ("--train", CORPUS / "train", "--dev", CORPUS / "dev")
    nmtkit("train", "--config", "jane", *corpora, *languages, "--tokenizer", tokenizer, "--output", output)
    translation = nmtkit("translate", output, text=JANE).strip()
    test = ("--source", CORPUS / "test.fr", "--reference", CORPUS / "test.en")
    nmtkit("evaluate", output, *test, "--json", output / "evaluation.json")
    scores = json.loads((output / "evaluation.json").read_text(encoding="utf-8"))
    blamed = {}
    for beam in (1, 5):
        report = output / f"blame-{beam}.json"
        dev = ("--source", CORPUS / "dev.fr", "--reference", CORPUS / "dev.en")
        nmtkit("blame-analysis", output, *dev, "--beam", beam, "--length-alpha", 0.7, "--json", report)
        records = json.loads(report.read_text(encoding="utf-8"))["records"]
        blamed[beam] = sum(record["verdict"] == "beam" for record in records)
    return {"translation": translation, "bleu": scores[0]["value"], "blamed": blamed}


def failures(facts: dict[str, object]) -> list[str]:
    """What is not as it must be."""
    accepted = (CORPUS / "accepted.en").read_text(encoding="utf-8").splitlines()
    translation, bleu, blamed = facts["translation"], facts["bleu"], facts["blamed"]
    assert isinstance(bleu, float)
    assert isinstance(blamed, dict)
    low, high = BLEU_RANGE
    checks = {
        f"{JANE!r} became {translation!r}, which is not among {accepted}": translation in accepted,
        f"test BLEU {bleu:.2f} is not between {low} and {high}": low <= bleu <= high,
        f"beam 1 has no `beam` verdict: {blamed}": blamed[1] >= 1,
        f"beam 5 has more `beam` verdicts than beam 1: {blamed}": blamed[5] <= blamed[1],
    }
    return [text for text, holds in checks.items() if not holds]


def main() -> None:
    """Parse, run, check, say what to look at next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/demo"))
    output = parser.parse_args().output
    started = time.perf_counter()
    facts = run_pipeline(output)
    wrong = failures(facts)
    for failure in wrong:
        print(f"demo: {failure}", file=sys.stderr)
    seconds = time.perf_counter() - started
    print(f"\n{'failed' if wrong else 'all as it must be'}: {json.dumps(facts, ensure_ascii=False)} ({seconds:.0f} s)")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
