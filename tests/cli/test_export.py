"""`nmtkit export`: a folder for CTranslate2, verified if that is wanted."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Data, refused, run_here, write_lines

FEW = ["--device", "cpu", "--threads", 1]


def test_an_export_is_written_and_verified(model: Path, data: Data, tmp_path: Path) -> None:
    source, reference = data.folder / "dev.fr", data.folder / "dev.en"
    machine = ["--device", "cpu", "--threads", 1]
    flags = ["--format", "ctranslate2", "--precision", "float32", "--verify", source, "--reference", reference]
    outcome = run_here("export", model, "--output", tmp_path / "out", *flags, *machine)
    assert outcome.code == 0, outcome.err
    first, scores, outputs, last = outcome.err.splitlines()
    assert first.startswith("compared with CTranslate2 ") and first.endswith(", float32:")
    assert "log P differs by at most " in scores and "8 sentences: 8 identical (100.0 %)" in outputs
    assert last.startswith(f"{tmp_path / 'out'}: float32 for ctranslate2 (")
    facts = json.loads((tmp_path / "out" / "nmtkit.json").read_text())
    assert facts["precision"] == "float32"
    info = json.loads(run_here("info", model, "--json", "-").text)
    assert facts["model"] in json.dumps(info)


def test_the_last_weights_without_notes(two_weights: Path, tmp_path: Path) -> None:
    config = tmp_path / "options.toml"
    config.write_text('precision = "int8"\n')
    hashes = []
    for weights in ("best", "last"):
        flags = ["--weights", weights, "--config", config, "--quiet", *FEW]
        outcome = run_here("export", two_weights, "--output", tmp_path / weights, *flags)
        assert outcome.code == 0 and outcome.err == ""
        facts = json.loads((tmp_path / weights / "nmtkit.json").read_text())
        hashes.append(facts["model"])
        assert facts["precision"] == "int8"
    assert hashes[0] != hashes[1]


def test_an_export_in_float32_that_differs_is_not_kept(
    model: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmtkit.interop import specification

    monkeypatch.setattr(specification, "sinusoids", lambda size, width: sinusoids_from_one(size, width))
    flags = ["--verify", data.folder / "dev.fr", "--quiet", *FEW]
    error = refused(run_here("export", model, "--output", tmp_path / "out", *flags))
    assert "the export gives a piece another log P" in error and "is not kept" in error
    assert not list(tmp_path.iterdir())


def sinusoids_from_one(size: int, width: int) -> Any:
    """As CTranslate2's own table begins."""
    from nmtkit.models.positions import sinusoids

    return sinusoids(size + 1, width)[1:]


def test_what_cannot_be_exported_is_one_line(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "mine", ["mine"])
    out = ["--output", tmp_path / "out"]
    assert "holds mine" in refused(run_here("export", model, "--output", tmp_path))
    assert "--reference is scored by --verify" in refused(
        run_here("export", model, *out, "--reference", tmp_path / "mine"), 2
    )
    assert "'onnx' is not known" in refused(run_here("export", model, *out, "--format", "onnx"), 2)
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    assert "pip install 'nmtkit[ctranslate2]'" in refused(run_here("export", model, *out))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
