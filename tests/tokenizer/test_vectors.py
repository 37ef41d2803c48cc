"""The source side of a model that reads vectors: saved and found again, and no vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.training_toys import tokenizer

from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.vectors import VectorSide


def test_it_is_saved_and_found_again(tmp_path: Path) -> None:
    both = Tokenizer(VectorSide(17), tokenizer().target)
    assert (both.features, both.joint, both.source.size) == (17, False, 17) and tokenizer().features is None
    both.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokenizer.source.json", "tokenizer.target.model"]
    again = Tokenizer.load(tmp_path)
    assert again.features == 17 and again.hash() == both.hash() != Tokenizer(VectorSide(18), both.target).hash()
    tokenizer().save(tmp_path)
    assert Tokenizer.load(tmp_path).features is None


@pytest.mark.parametrize("content", ["", "17", "{}", '{"features": "17"}', '{"features": 0}', '{"features": true}'])
def test_a_damaged_file_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    Tokenizer(VectorSide(17), tokenizer().target).save(tmp_path)
    (tmp_path / "tokenizer.source.json").write_text(content)
    with pytest.raises(ValueError, match=r"tokenizer\.source\.json: does not say how many features") as refusal:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(refusal.value)


def test_it_has_no_pieces() -> None:
    side = VectorSide(3)
    asks = [lambda: side.encode("a"), lambda: side.decode([1]), lambda: side.pieces([1]), lambda: side.ids_of("a")]
    asks += [lambda: side.segmentations("a", 2), lambda: side.sample("a", 0.1, 1), lambda: side.restores([1])]
    for ask in asks:
        with pytest.raises(ValueError, match="this model reads vectors"):
            ask()
