"""Attention maps: from the model to the words, each step against another way of doing it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Data, head
from hypothesis import given
from hypothesis import strategies as st
from support.training_toys import LEARNED, model, tokenizer

from nmtkit.decoding.settings import SearchSettings
from nmtkit.inspection.attended import attended
from nmtkit.inspection.attention_maps import KINDS, AttentionMap, Choice, align, attend, joined, words
from nmtkit.specials import BOS, EOS
from nmtkit.translator import Translator


def test_attention_is_that_of_the_model_for_every_line_alone(model: Path, data: Data) -> None:
    """Of lines of several lengths, an empty one too: each map is that of a forced pass, and its rows sum to one."""
    translator = Translator.load(model, device="cpu")
    lines = [*head(data.folder / "dev.fr", 3), "a", ""]
    target = translator.encode_target("Jane visits Africa.")
    source_lines = translator.read(lines, translator.defaults)
    for index, line in enumerate(lines):
        found = attended(translator, source_lines, index, target, translator.defaults)
        source = torch.tensor([[*translator.tokenizer.source.encode(line), EOS]])
        target_in = torch.tensor([[BOS, *target[:-1]]])
        maps = translator.model.attention(translator.model.encode(source, source > 0), target_in)
        encoder = translator.model.encoder_attention(source, source > 0)
        for mine, theirs in ((found.cross, maps.cross), (found.decoder, maps.decoder), (found.encoder, encoder)):
            assert len(mine) == len(theirs)
            for matrix, weights in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(matrix, weights[0].detach().numpy(), atol=1e-6)
                np.testing.assert_allclose(matrix.sum(-1), 1.0, atol=1e-5)
        assert found.cross[0].shape[1:] == (len(target), source.shape[1])
        assert found.encoder[0].shape[1:] == (source.shape[1], source.shape[1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_map_of_the_output_and_of_a_given_translation(model: Path, data: Data, kind: str) -> None:
    translator = Translator.load(model, device="cpu")
    lines, settings = head(data.folder / "dev.fr", 3), translator.defaults
    outputs = [best[0].tokens for best in translator.search(lines, settings)]
    targets = list(zip(translator.translate(lines), outputs, strict=True))
    source = translator.read(lines, settings)
    found = attend(translator, source, dict(enumerate(targets)), settings, Choice(kind), [7, 8, 9])
    assert [(one.line, one.target) for one in found] == [(7, targets[0][0]), (8, targets[1][0]), (9, targets[2][0])]
    for index, (one, line, tokens) in enumerate(zip(found, lines, outputs, strict=True)):
        layers = getattr(attended(translator, source, index, tokens, settings), kind)
        assert len(layers) == 1 and layers[0].shape[0] == 2
        np.testing.assert_allclose(one.weights, layers[0].sum(0) / 2, atol=1e-6)
        assert one.weights.shape == (len(one.rows), len(one.columns)) and one.source == line
        if kind != "encoder":
            assert one.rows == tuple(translator.tokenizer.target.pieces(tokens))
        assert one.columns[0] == "<s>" if kind == "decoder" else one.columns[-1] == "</s>"
        (second,) = attend(
            translator,
            translator.read([line], settings),
            {0: (one.target, tokens)},
            settings,
            Choice(kind, layer=1, head=2),
        )
        np.testing.assert_allclose(second.weights, layers[0][1], atol=1e-6)
        assert second.line == 1
        apart = attend(
            translator, translator.read([line], settings), {0: (one.target, tokens)}, settings, Choice(kind, each=True)
        )
        assert [(own.layer, own.head) for own in apart] == [(1, 1), (1, 2)]
        for own, weights in zip(apart, layers[0], strict=True):
            np.testing.assert_allclose(own.weights, weights, atol=1e-6)
        (own,) = attend(
            translator,
            translator.read([line], settings),
            {0: (one.target, tokens)},
            settings,
            Choice(kind, head=2, each=True),
        )
        assert (own.layer, own.head) == (1, 2) and np.array_equal(own.weights, apart[1].weights)
    with pytest.raises(ValueError, match="there is no layer 2: the model has 1"):
        attend(translator, source, dict(enumerate(targets)), settings, Choice(kind, layer=2))
    with pytest.raises(ValueError, match="there is no head 3: the model has 2"):
        attend(translator, source, dict(enumerate(targets)), settings, Choice(kind, head=3))


@pytest.mark.parametrize("kind", KINDS)
def test_the_names_are_those_of_the_cut_source(kind: str) -> None:
    """A model that holds seven pieces and the end of sentence; "house" is beyond."""
    translator = Translator(model(LEARNED["transformer"]).eval(), tokenizer())
    line, target = "the red dog sees the house", ("rot", translator.encode_target("rot"))
    subwords = translator.tokenizer.source
    everything = subwords.pieces(subwords.encode(line))
    for max_source, read in ((1000, 7), (7, 7), (4, 4)):
        settings = SearchSettings(max_source=max_source)
        (found,) = attend(translator, translator.read([line], settings), {0: target}, settings, Choice(kind))
        assert found.weights.shape == (len(found.rows), len(found.columns))
        assert kind == "decoder" or found.columns == (*everything[:read], "</s>")
        np.testing.assert_allclose(found.weights.sum(1), 1.0, atol=1e-5)
    targets = [target, ("dog" * 9, translator.encode_target("dog" * 9))]
    with pytest.raises(ValueError, match=r"^line 9: \d+ target pieces, more than .*max_positions = 8"):
        source = translator.read([line, "cat"], SearchSettings())
        attend(translator, source, dict(enumerate(targets)), SearchSettings(), Choice(kind), [4, 9])


def test_words_by_hand() -> None:
    assert words(["▁Jane", "▁vis", "it", "s", "</s>"]) == [("Jane", [0]), ("visits", [1, 2, 3]), ("</s>", [4])]
    assert words(["<s>", "Ja", "ne", "▁"]) == [("<s>", [0]), ("Jane", [1, 2]), ("", [3])]
    assert words([]) == []
    assert words(["▁", "<0xC3>", "<0xA9>", "t<0x", "<0x2A>", "<0xFF>"]) == [("ét<0x*\ufffd", [0, 1, 2, 3, 4, 5])]
    weights = np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25], [0.0, 0.0, 1.0]], dtype=np.float32)
    rows, columns, made = joined(["▁a", "b", "</s>"], ["▁x", "y", "▁z"], weights)
    assert (rows, columns) == (("ab", "</s>"), ("xy", "z"))
    np.testing.assert_allclose(made, [[(0.3 + 0.75) / 2, (0.7 + 0.25) / 2], [0.0, 1.0]], atol=1e-6)


pieces = st.lists(st.sampled_from(["▁a", "b", "▁", "▁cd", "e"]), min_size=1, max_size=8)


@given(pieces, pieces, st.integers(0, 2**32 - 1))
def test_joining_keeps_rows_that_sum_to_one(rows: list[str], columns: list[str], seed: int) -> None:
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(columns)), size=len(rows)).astype(np.float32)
    names, seen, made = joined(rows, columns, weights)
    np.testing.assert_allclose(made.sum(1), 1.0, atol=1e-5)
    assert "".join(names) == "".join(rows).replace("▁", "") and "".join(seen) == "".join(columns).replace("▁", "")
    assert sum(len(group) for _, group in words(rows)) == len(rows)


def test_alignments_by_hand() -> None:
    """The end of sentence is no word and takes none; a target word that looked at nothing has no link."""
    weights = np.array([[0.2, 0.1, 0.7], [0.1, 0.3, 0.6], [0.0, 0.0, 1.0], [0.9, 0.05, 0.05]], dtype=np.float32)
    one = AttentionMap(1, "le chat", "a cat x", ("a", "cat", "x", "</s>"), ("le", "chat", "</s>"), weights)
    assert align(one) == {(0, 0), (1, 1)}
    white = AttentionMap(1, "", "a", ("a", "</s>"), ("</s>",), np.ones((2, 1), dtype=np.float32))
    assert align(white) == frozenset()
    spaced = AttentionMap(1, "le  chat", "cat", ("cat",), ("le", "", "chat"), np.array([[0.1, 0.6, 0.3]], np.float32))
    assert align(spaced) == {(1, 0)}, "the second word of the text"
