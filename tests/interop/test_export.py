"""An export is whole or not there, holds all that other programs need, and says what it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.engine_toys import SETTINGS, TEXT, exportable, random_translator, searched

from nmtkit.decoding.beam import Beam
from nmtkit.interop import package
from nmtkit.interop.engine import settings_of_engine
from nmtkit.interop.export import FACTS, export, read_facts
from nmtkit.models.options import TransformerOptions
from nmtkit.translator import Translator

OPTIONS = TransformerOptions(width=16, feedforward=16, heads=2, encoder_layers=1, decoder_layers=1, tie_source=False)


@pytest.fixture(scope="module")
def translator() -> Translator:
    return random_translator(OPTIONS, 0, separate=True)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_folder_is_enough_to_translate_with_ctranslate2_and_sentencepiece(
    translator: Translator, tmp_path: Path
) -> None:
    """As a program that knows nothing of nmtkit: by what nmtkit.json says."""
    import ctranslate2
    import sentencepiece

    folder = tmp_path / "export"
    export(exportable(translator, OPTIONS), folder, "float32")
    facts = json.loads((folder / FACTS).read_text())
    assert facts["model"] == "f" * 64 and facts["precision"] == "float32" and facts["positions"] == 4096
    assert facts["ctranslate2"] == ctranslate2.__version__ and read_facts(folder) == facts
    source, target = (
        sentencepiece.SentencePieceProcessor(model_file=str(folder / name)) for name in facts["tokenizer"]
    )
    runner = ctranslate2.Translator(str(folder))
    lines = [source.encode(line, out_type=str) for line in TEXT]
    answers = runner.translate_batch(
        lines,
        beam_size=3,
        length_penalty=0.7,
        max_input_length=0,
        min_decoding_length=0,
        max_decoding_length=60,
        return_end_token=True,
        return_scores=True,
    )
    settings = settings_of_engine(SETTINGS, translator.tokenizer.target.size)
    own = searched(translator, Beam.of(settings), settings, TEXT)
    texts = [translator.decode_target(hypotheses[0].tokens) for hypotheses in own]
    for answer, text, (hypothesis, *_) in zip(answers, texts, own, strict=True):
        if answer.hypotheses[0][-1] == "</s>":
            assert target.decode(answer.hypotheses[0][:-1]) == text
            assert answer.scores[0] == pytest.approx(hypothesis.score, abs=1e-5)
    assert sum(answer.hypotheses[0][-1] == "</s>" for answer in answers) >= 3


@pytest.mark.parametrize("precision", package.PRECISIONS)
def test_every_precision_is_written(precision: str, translator: Translator, tmp_path: Path) -> None:
    import ctranslate2

    export(exportable(translator, OPTIONS), tmp_path / "export", precision)
    assert read_facts(tmp_path / "export")["precision"] == precision
    runner = ctranslate2.Translator(str(tmp_path / "export"), compute_type="float32")
    assert runner.translate_batch([["▁"]], max_decoding_length=3)[0].hypotheses


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), ValueError("differs")])
def test_what_stops_leaves_nothing(error: Any, translator: Translator, tmp_path: Path) -> None:
    def stop(folder: Path) -> None:
        assert (folder / "model.bin").is_file() and not (tmp_path / "new" / "export").exists()
        raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        export(exportable(translator, OPTIONS), tmp_path / "new" / "export", "int8", stop)
    assert everything(tmp_path) == []


def test_a_stop_while_the_weights_are_written_leaves_nothing(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = package.load("specs")

    def interrupted(self: Any, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(specs.TransformerSpec, "_serialize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(exportable(translator, OPTIONS), tmp_path / "export", "float32")
    assert everything(tmp_path) == []


def test_only_a_new_or_empty_folder_is_filled(translator: Translator, tmp_path: Path) -> None:
    full, file, empty = tmp_path / "full", tmp_path / "file", tmp_path / "empty"
    full.mkdir()
    empty.mkdir()
    for path in (full / "mine.txt", file):
        path.write_text("mine")
    with pytest.raises(ValueError, match=f"^{full}: holds mine.txt; name a new or empty folder"):
        export(exportable(translator, OPTIONS), full, "float32")
    with pytest.raises(ValueError, match=f"^{file}: is a file; name a new or empty folder"):
        export(exportable(translator, OPTIONS), file, "float32")
    export(exportable(translator, OPTIONS), empty, "float32")
    assert FACTS in everything(empty) and everything(full) == ["mine.txt"] and file.read_text() == "mine"


def test_an_unknown_precision_and_a_missing_package_are_one_line(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="precision = 'int9' is not known; did you mean 'int8'"):
        export(exportable(translator, OPTIONS), tmp_path / "export", "int9")
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ValueError, match=r"ctranslate2 is not installed.*: pip install 'nmtkit\[ctranslate2\]'$"):
        export(exportable(translator, OPTIONS), tmp_path / "export", "int8")
    assert everything(tmp_path) == []


def test_facts_of_something_else_are_none(tmp_path: Path) -> None:
    for text in ("", "[]", "{", '{"format": 99}', "\udcff"):
        (tmp_path / FACTS).write_bytes(text.encode("utf-8", "surrogateescape"))
        assert read_facts(tmp_path) == {}
