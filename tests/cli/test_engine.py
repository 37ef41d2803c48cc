"""--engine ctranslate2: the outputs of the engine, in translate, evaluate and blame-analysis."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Data, environment, refused, run_here, run_process, write_lines
from support.engine_toys import TEXT, random_translator
from support.training_toys import save_folder

ENGINE = ["--engine", "ctranslate2", "--device", "cpu", "--threads", 1]
TWIN = ["--patience", 1, "--free-eos", "--device", "cpu", "--threads", 1]
"""Our own search under the engine's rules."""
ALPHA = ["--length-alpha", 1]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose outputs mostly end before the limit."""
    from nmtkit.models.options import TransformerOptions

    folder: Path = tmp_path_factory.mktemp("runs") / "random"
    options = TransformerOptions(
        width=16, feedforward=16, heads=2, encoder_layers=2, decoder_layers=2, dropout=0.0, tie_source=True
    )
    made: Any = random_translator(options, 6).model
    save_folder(folder, made, options)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Seven lines and what might be their translations."""
    write_lines(tmp_path / "dev.fr", TEXT)
    write_lines(tmp_path / "dev.en", TEXT[::-1])
    return Data(tmp_path)


def test_translate_with_the_engine(model: Path, data: Data) -> None:
    """Plain text, scores and n-best lists are those of our own search under the same rules."""
    text = (data.folder / "dev.fr").read_bytes() + b"\n   \n"
    for columns in ([], ["--scores"], ["--n-best", 2, "--tokens"]):
        engine = ["--engine", "ctranslate2", "--precision", "float32", "--device", "cpu", "--threads", 1]
        own = run_here("translate", model, *ALPHA, *TWIN, *columns, stdin=text)
        other = run_here("translate", model, *ALPHA, *engine, *columns, stdin=text)
        assert own.code == other.code == 0, other.err
        pairs = [(a.split("\t"), b.split("\t")) for a, b in zip(own.lines, other.lines, strict=True)]
        assert all(a[-1] == b[-1] for a, b in pairs), columns
        if columns:
            place = 2 if "--n-best" in columns else 0
            assert all(a[:place] == b[:place] for a, b in pairs)
        if "--scores" in columns:
            assert [float(b[0]) for _, b in pairs] == pytest.approx([float(a[0]) for a, _ in pairs], abs=1e-5)


def test_a_plain_text_is_not_scored_again(
    model: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmtkit.decoding.forced import Forced

    calls: list[int] = []
    find = Forced.find
    monkeypatch.setattr(Forced, "find", lambda *arguments: calls.append(1) or find(*arguments))
    monkeypatch.setenv("NMTKIT_CACHE", str(tmp_path / "cache"))
    text = (data.folder / "dev.fr").read_bytes()
    plain = run_here("translate", model, *ALPHA, *ENGINE, "--precision", "int8", stdin=text)
    assert plain.code == 0 and not calls
    scored = run_here("translate", model, *ALPHA, *ENGINE, "--precision", "int8", "--scores", stdin=text)
    assert calls and [line.split("\t")[-1] for line in scored.lines] == plain.lines
    assert run_here("translate", model, *ALPHA, "--engine", "nmtkit", stdin=text).code == 0


def test_the_export_is_made_once(model: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMTKIT_CACHE", str(tmp_path / "cache"))
    text = (data.folder / "dev.fr").read_bytes()
    said = [run_here("translate", model, *ALPHA, *ENGINE, stdin=text).err for _ in range(2)]
    assert ["exporting the model to" in err for err in said] == [True, False]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_evaluate_with_the_engine(model: Path, data: Data, tmp_path: Path) -> None:
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--resamples", 10]
    out = tmp_path / "out"
    shown = run_here(
        "evaluate", model, *texts, *ALPHA, *ENGINE, "--precision", "int8", "--output", out, "--json", tmp_path / "j"
    )
    assert shown.code == 0, shown.err
    assert ", int8_float32, beam " in shown.text and "patience 1, free eos" in shown.text
    facts = json.loads((tmp_path / "j").read_text())[0]
    assert facts["engine"].endswith("int8_float32") and facts["search"]["free_eos"] is True
    plain = run_here(
        "translate", model, *ALPHA, *ENGINE, "--precision", "int8", stdin=(data.folder / "dev.fr").read_bytes()
    )
    assert out.read_text() == plain.text
    own = run_here("evaluate", model, *texts, *ALPHA, "--json", "-")
    assert "engine" not in json.loads(own.text)[0]
    texts = ["-y", out, "-r", data.folder / "dev.en"]
    error = refused(run_here("evaluate", *texts, "--engine", "ctranslate2", "--precision", "int8"), 2)
    assert "--engine, --precision only says how a model translates" in error


def test_blame_analysis_with_the_engine(model: Path, data: Data, tmp_path: Path) -> None:
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en"]
    reports = {}
    for name, flags in {
        "own": TWIN,
        "float32": ENGINE,
        "int8": ["--engine", "ctranslate2", "--precision", "int8", "--device", "cpu"],
    }.items():
        files = ["--json", tmp_path / name, "--html", tmp_path / f"{name}.html"]
        outcome = run_here("blame-analysis", model, *texts, *ALPHA, *flags, *files)
        assert outcome.code == 0, outcome.err
        reports[name] = json.loads((tmp_path / name).read_text())
        assert ("Precision" in outcome.text) == (name != "own")
        assert ("What the precision changed" in (tmp_path / f"{name}.html").read_text()) == (name != "own")
    own, same, rounded = (reports[name]["records"] for name in ("own", "float32", "int8"))
    for record in (*own, *same):
        del record["rescoring"]
    assert [record["output"]["text"] for record in own] == [record["output"]["text"] for record in same]
    assert [record["verdict"] for record in own] == [record["verdict"] for record in same]
    assert reports["float32"]["precision"]["changed"] == 0
    assert "precision" not in reports["own"] and "engine" not in reports["own"]["provenance"]
    assert reports["int8"]["provenance"]["engine"].endswith("int8_float32")
    assert (
        1e-4 < max(record["rescoring"] for record in rounded) == (reports["int8"]["provenance"]["rescoring_difference"])
    )


@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
def test_nmtkit_searches_in_a_lower_precision(
    model: Path, data: Data, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores are those of float32; the report names the precision; blame counts what it changed."""
    monkeypatch.setattr("nmtkit.models.matrices.LARGE", 1)
    flags = [*ALPHA, "--precision", precision, "--device", "cpu"]
    source, reference = data.folder / "dev.fr", data.folder / "dev.en"
    outcomes = [
        run_here("translate", model, "--input", source, *ALPHA, "--scores", *own) for own in ([], flags[len(ALPHA) :])
    ]
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes[1].err
    pairs = [
        (float(own[0]), float(low[0]))
        for own, low in zip(*([line.split("\t") for line in outcome.lines] for outcome in outcomes), strict=True)
        if own[-1] == low[-1]
    ]
    assert pairs and [low for _, low in pairs] == pytest.approx([own for own, _ in pairs], abs=2e-6)
    texts = ["--source", source, "--reference", reference]
    assert f"nmtkit, {precision}" in run_here("evaluate", model, *texts, *flags).text
    report = run_here("blame-analysis", model, *texts, *flags, "--json", tmp_path / "json")
    assert report.code == 0 and "Precision" in report.text
    provenance = json.loads((tmp_path / "json").read_text())["provenance"]
    assert provenance["engine"] == f"nmtkit, {precision}"
    assert provenance["rescoring_difference"] > 1e-4  # the search was not that of float32


def test_what_the_engine_cannot_do_is_one_line(
    model: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refused(run_here("translate", model, *ENGINE, "--exact"), 2)
    assert "--engine ctranslate2 is for beam search alone: leave out --exact" in error
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en"]
    words = ["--prefix", data.folder / "dev.en"]
    assert "leave out --prefix" in refused(run_here("blame-analysis", model, *texts, *ENGINE, *words), 2)
    file = data.folder / "dev.en"
    named = (["--prefix", file], ["--prefix-column"], ["--forbid", file], ["--terminology", file], ["--samples", 2])
    error = refused(run_here("translate", model, *ENGINE, "--samples", 2, "--mbr"), 2)
    assert "leave out --samples and --mbr" in error
    for flag in (*named, ["--per-length"], ["--trace", tmp_path / "t"], ["--attention", tmp_path / "a"]):
        assert f"leave out {flag[0]}" in refused(run_here("translate", model, *ENGINE, *flag), 2)
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en"]
    for flag in (["--sweep-beams", "1,2"], ["--sweep-alphas", "1"]):
        assert f"leave out {flag[0]}" in refused(run_here("blame-analysis", model, *texts, *ENGINE, *flag), 2)
    error = refused(run_here("translate", model, "--precision", "int16"), 2)
    assert (
        "--precision int16 is a precision of ctranslate2: add --engine ctranslate2, or choose one of float32" in error
    )
    error = refused(run_here("translate", model, "--precision", "int8", "--exact"), 2)
    assert "--precision int8 is for beam search alone: leave out --exact" in error
    for flag in (["--min-length", 3], ["--length-penalty", "gnmt"], ["--no-repeat-ngram", 2], ["--forbid-unk"]):
        error = refused(run_here("translate", model, *ENGINE, *flag, stdin=b"a\n"), 2)
        assert "not for CTranslate2" in error and str(flag[0]) in error
    assert "ensemble" in refused(run_here("translate", model, model, *ENGINE, stdin=b"a\n"))
    assert "computes in" in refused(run_here("translate", model, *ENGINE, "--precision", "float16", stdin=b"a\n"))
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    assert "pip install 'nmtkit[ctranslate2]'" in refused(run_here("translate", model, *ENGINE, stdin=b"a\n"))


def test_nothing_but_the_engine_loads_the_package(model: Path) -> None:
    code = "import sys, nmtkit.cli.main as m; m.COMMANDS; print('ctranslate2' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    assert run_process("export", "--help").code == 0
