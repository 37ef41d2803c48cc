"""Help as people read it: one style for every command and option, in 80 columns."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import typer.main
from conftest import run_here

from nmtkit.blame.analysis import blame
from nmtkit.cli.main import COMMANDS, app
from nmtkit.report.blame_page import DETAILS
from nmtkit.tokenizer.build import TokenizerOptions
from nmtkit.training.options import TrainingOptions

BLAME = inspect.signature(blame).parameters
USUAL: dict[str, Any] = vars(TrainingOptions())
EXACT = {"--budget-steps": 10_000, "--budget-seconds": "no limit"}
ENGINE = {"--engine": "nmtkit", "--precision": "float32"}
MACHINE = {"--weights": "best", "--device": "auto", "--threads": "PyTorch's choice"}
FROM_THE_FOLDER = {
    *("--beam", "--length-alpha", "--length-penalty", "--max-length-ratio", "--min-length", "--min-length-ratio"),
    *("--patience", "--free-eos", "--forbid-unk", "--no-repeat-ngram", "--batch-tokens"),
}
"""Options of the search, whose panel says where their defaults come from."""

DEFAULTS: dict[str, dict[str, object]] = {
    "check-data": {"--max-source": USUAL["max_source"], "--max-target": USUAL["max_target"], "--examples": 2},
    "train-tokenizer": {
        "--vocab-size": TokenizerOptions().vocab_size,
        "--kind": TokenizerOptions().kind,
        "--character-coverage": 1.0,
        "--max-lines": "all, 2,000,000 at most",
        "--seed": 1,
    },
    "prepare": {
        "--max-source": USUAL["max_source"],
        "--max-target": USUAL["max_target"],
        "--workers": "one a processor",
    },
    "train": {
        "--cache": "$NMTKIT_CACHE or ~/.cache/nmtkit",
        **{f"--{name.replace('_', '-')}": USUAL[name] for name in ("updates", "warmup", "validate_every", "average")},
        **{f"--{name.replace('_', '-')}": USUAL[name] for name in ("learning_rate", "label_smoothing", "batch_tokens")},
        **{f"--{name}": USUAL[name] for name in ("accumulate", "ema", "patience", "precision", "seed")},
        "--subword-regularization": USUAL["subword_regularization"],
        "--vocab-size": TokenizerOptions().vocab_size,
        "--tokenizer-kind": TokenizerOptions().kind,
        "--joint-vocab": "--joint-vocab",
        "--tokenizer": "train one",
        "--preset": "transformer-small",
        "--dropout": "the preset's",
        **{name: value for name, value in MACHINE.items() if name != "--weights"},
    },
    "translate": {
        "--input": "standard input",
        "--output": "standard output",
        "--n-best": 1,
        "--workers": 1,
        **dict.fromkeys(["--temperature", "--seed"], 1),
        **dict.fromkeys(["--top-k", "--top-p", "--epsilon"], "all"),
        "--utility": "chrf",
        **EXACT,
        **ENGINE,
        **MACHINE,
    },
    "inspect": {"--line": "the first; with --html all", "--steps": 3},
    "score": {"--output": "standard output", "--form": "tsv", **MACHINE},
    "evaluate": {
        "--tokenize": "13a",
        "--resamples": 1000,
        "--seed": 12345,
        "--scores-direction": "higher",
        **ENGINE,
        **MACHINE,
    },
    "blame-analysis": {
        "--errors-below": "chrf:60",
        "--scores-direction": "higher",
        "--tolerance": BLAME["tolerance"].default,
        "--reference-segmentations": BLAME["reference_segmentations"].default,
        "--sample": "all",
        "--train-text": "where it was",
        "--details": DETAILS,
        "--examples": 5,
        **EXACT,
        **ENGINE,
        **MACHINE,
    },
    "blame-compare": {"--examples": 5},
    "export": {"--format": "ctranslate2", "--precision": "float32", "--reference": "the model's own", **MACHINE},
    "attention": {
        "--target": "the model's own",
        "--line": "all",
        "--kind": "cross",
        "--layer": "the mean of all",
        "--head": "the mean of all",
        **MACHINE,
    },
    "compare": {"--buckets": 5, **MACHINE},
    "history": {"--axis": "updates"},
    "info": {"--weights": "best"},
    "guide": {},
}
SEARCHING = ("translate", "evaluate", "blame-analysis", "attention", "compare")
for name in SEARCHING:
    DEFAULTS[name]["--max-length"] = "2 × source pieces + 10"

WITHOUT = {
    *("--config", "--source", "--json", "--html", "--plot", "--output", "--trace", "--attention", "--reference"),
    *("--grid", "--records", "--hypotheses", "--candidates", "--target", "--alignment", "--gold", "--errors", "--tsv"),
    *("--train-sample", "--sweep-beams", "--sweep-alphas", "--metric", "--scores-file", "--scores-of"),
    *("--train-sample", "--sweep-beams", "--sweep-alphas", "--symbols", "--write-config"),
    *("--dev", "--test", "--tokenizer", "--write-clean", "--verify"),
    *("--init-from", "--freeze", "--prefix", "--samples", "--forbid", "--terminology"),
}
"""Options that do nothing where they are not given."""


def parameters(command: str) -> list[Any]:
    """What help shows of a command."""
    group: Any = typer.main.get_command(app)
    own = group.commands[command] if command else group
    return [one for one in own.get_params(typer.Context(own)) if not getattr(one, "hidden", False)]


def flag(parameter: Any) -> str:
    return next((str(name) for name in parameter.opts if name.startswith("--")), str(parameter.name))


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_switches_and_arguments_have_no_type_and_values_a_name(command: str) -> None:
    for one in parameters(command):
        if one.param_type_name == "argument" or getattr(one, "is_flag", False):
            assert not (one.metavar or "") or one.param_type_name == "argument", flag(one)
        else:
            assert re.fullmatch(r"[A-Z]+|[a-z]+(\|[a-z+]+)+|METRIC:X|[NX],[NX],…|N\|auto", one.metavar or ""), flag(one)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_default_is_shown_in_one_style(command: str) -> None:
    """At the end of the text, "(default: 5)."; the values are those of the library."""
    expected = dict(DEFAULTS[command])
    for one in parameters(command):
        name, text = flag(one), str(one.help)
        shown = re.findall(r"\(default: (.*?)\)\.", text)
        if name in expected:
            value = expected.pop(name)
            shown = [float(text) for text in shown] if isinstance(value, float) else shown
            assert shown == [value if isinstance(value, float) else str(value)], (name, text)
            assert text.endswith(").") and not one.show_default
        else:
            assert (not shown and one.default in (None, False, ())) or one.required, (name, text)
            known = one.required or getattr(one, "is_flag", False) or name in WITHOUT | FROM_THE_FOLDER
            assert known or one.param_type_name == "argument", f"has {name} no default?"
        assert not re.search(r"\([\w.:-]+\)\.?$|\[default", text), f"{name}: another style: {text}"
    assert not expected


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is longer, nothing is cut, no type of Python's is shown."""
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run_here(*command.split(), "--help")
    assert outcome.code == 0
    assert max(map(len, outcome.lines)) <= 80
    assert not re.search(r"<\w+>|\[default|\bbool\b|list\[|\bstr\b|│\s*$(?<!│)", outcome.text)
    words = " ".join(outcome.text.replace("│", " ").split())
    for one in parameters(command):
        assert " ".join(str(one.help).split()) in words, f"{flag(one)} is cut"
    assert ("the defaults are those of the model folder" in words) == (command in (*SEARCHING, "score"))
