"""One subword model: lossless, without UNK, and random only where a seed says so."""

import io
import itertools
import math
import os
import re
import subprocess
import sys
from collections import Counter

import pytest
import sentencepiece
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nmtkit.specials import BOS, EOS, PAD, UNK
from nmtkit.tokenizer.subwords import Subwords
from nmtkit.tokenizer.training import train_subwords

shared = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = st.lists(st.sampled_from(["a", "dog", "läuft", "über", " ", "  ", "\t", "grass", "ing", "😀", "\0", "<s>"]))
TEXT = st.text(st.characters(exclude_characters="\n▁", exclude_categories=["Cs"])) | WORDS.map("".join)
AWKWARD = ["", " ", "   ", " a  b ", "\0", "a\0b", "\x01\t\r\x0b\x0c\x85\u2028\u2029", "\xa0\u3000\u200b\ufeff", "⁇ ⁇"]
AWKWARD += [
    "<s> </s> <unk> <pad>",
    "<0x41>",
    "\ufffd\uffff\U0010ffff",
    "e\u0301 é ﬁ \uff21",
    "👩‍👩‍👧",
    "ab" * 5000,
    "x y " * 3000,
]


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_text_comes_back(subwords, text):
    assert subwords.decode(subwords.encode(text)) == text


@shared
@given(text=TEXT)
def test_any_text_comes_back_without_unknown_or_special_pieces(subwords, text):
    ids = subwords.encode(text)
    assert subwords.decode(ids) == text
    assert not {PAD, BOS, UNK, EOS} & set(ids)
    assert all(0 <= i < subwords.size for i in ids)
    assert len(subwords.pieces(ids)) == len(ids)


@shared
@given(text=TEXT, alpha=st.sampled_from([0.0, 0.1, 0.5, 1.0]), seed=st.integers(0, 2**70))
def test_samples_come_back_and_follow_the_seed(subwords, text, alpha, seed):
    ids = subwords.sample(text, alpha, seed)
    assert subwords.decode(ids) == text and UNK not in ids
    assert subwords.sample(text, alpha, seed) == ids


@settings(shared, max_examples=50)
@given(text=TEXT, n=st.integers(1, 8))
def test_nbest_are_different_segmentations_of_the_text_and_the_best_is_first(subwords, text, n):
    found = subwords.segmentations(text, n)
    assert found[0] == subwords.encode(text)
    assert len(found) <= n and len({tuple(ids) for ids in found}) == len(found)
    assert all(subwords.decode(ids) == text for ids in found)
    assert subwords.segmentations(text, n) == found


@shared
@given(text=TEXT)
@example(text="ein hund läuft über das gras")
def test_bpe_without_dropout_is_the_encoding_of_sentencepiece(models, text):
    assert models["bpe"].sample(text, 0.0, seed=1) == models["bpe"].encode(text)


def test_bpe_without_dropout_merges_in_the_order_of_sentencepiece(lines):
    bpe = train_subwords(lines, vocab_size=450, kind="bpe")
    for text in [*lines, *("".join(line.split()) for line in lines)]:
        assert bpe.sample(text, 0.0, seed=1) == bpe.encode(text)


def test_pieces_read_back_as_their_ids():
    bpe = train_subwords(["baab caab aaad"] * 5, vocab_size=269, kind="bpe")
    assert bpe.ids_of(bpe.pieces(range(bpe.size))) == list(range(bpe.size))
    with pytest.raises(ValueError, match="'nowhere' is no piece"):
        bpe.ids_of(["nowhere"])


def test_equal_pairs_are_merged_from_the_left():
    bpe = train_subwords(["baab caab aaad"] * 5, vocab_size=269, kind="bpe")
    assert "aa" in bpe.pieces(range(260, bpe.size))
    for count in range(1, 12):
        assert bpe.sample("b" + "a" * count, 0.0, seed=1) == bpe.encode("b" + "a" * count)


def test_text_that_spells_a_special_token_never_becomes_one():
    """In a model made elsewhere that joins letters and signs, so that "<s" is a piece and "<s>" would be next."""
    model = io.BytesIO()
    specials = {"pad_id": PAD, "bos_id": BOS, "unk_id": UNK, "eos_id": EOS, "byte_fallback": True}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a<s b<s c<s d<s >"] * 20),
        model_writer=model,
        vocab_size=270,
        model_type="bpe",
        split_by_unicode_script=False,
        minloglevel=2,
        **specials,
    )
    bpe = Subwords.from_bytes(model.getvalue())
    assert "<s" in bpe.pieces(range(260, bpe.size))
    for text in ("a<s>", "<s>", "</s>", "<unk>", "<pad>", "d<0x41>"):
        for ids in (bpe.encode(text), bpe.sample(text, 0.0, 1), *bpe.segmentations(text, 5)):
            assert bpe.decode(ids) == text and not {PAD, BOS, UNK, EOS} & set(ids)


def test_bpe_with_every_merge_dropped_is_characters(models):
    assert models["bpe"].pieces(models["bpe"].sample("a dog", 1.0, seed=1)) == ["▁", "a", "▁", "d", "o", "g"]


def segmentations(text: str, pieces: set[str]) -> list[tuple[str, ...]]:
    """Every way to write the text in pieces, by trying every set of cuts."""
    found = []
    for cuts in itertools.product([False, True], repeat=len(text) - 1):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut] + [len(text)]
        parts = tuple(text[start:end] for start, end in zip([0, *ends], ends, strict=False))
        if all(part in pieces for part in parts):
            found.append(parts)
    return found


def test_unigram_nbest_and_samples_against_brute_force():
    stems, ends = ("walk", "talk", "rest", "stalk", "list"), ("", "s", "ed", "ing", "er", "ings")
    unigram = train_subwords([stem + end for stem in stems for end in ends] * 9, vocab_size=285)
    processor = unigram._processor
    scores = {processor.id_to_piece(i): processor.get_score(i) for i in range(4 + 256, unigram.size)}
    every = segmentations("▁rests▁talked", set(scores))
    total = {parts: sum(scores[part] for part in parts) for parts in every}
    ranked = sorted(every, key=lambda parts: -total[parts])
    assert 5 <= len(every) <= 64
    assert [tuple(unigram.pieces(ids)) for ids in unigram.segmentations("rests talked", 5)] == ranked[:5]

    alpha, draws = 0.3, 4000
    weights = {parts: math.exp(alpha * total[parts]) for parts in every}
    counts = Counter(tuple(unigram.pieces(unigram.sample("rests talked", alpha, seed))) for seed in range(draws))
    for parts in every:
        share = weights[parts] / sum(weights.values())
        assert abs(counts[parts] / draws - share) < 5 * math.sqrt(share * (1 - share) / draws) + 1e-9


def test_samples_are_the_same_in_another_process(tmp_path, models):
    for kind, subwords in models.items():
        path = tmp_path / f"{kind}.model"
        path.write_bytes(subwords.to_bytes())
        code = (
            "from nmtkit.tokenizer.subwords import Subwords\n"
            f"model = Subwords.load({str(path)!r})\n"
            "print([model.sample('a dog runs over the bench', 0.3, seed) for seed in range(20)])\n"
            "print(model.segmentations('a dog runs', 5))"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        output = subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
        ).stdout
        here = [subwords.sample("a dog runs over the bench", 0.3, seed) for seed in range(20)]
        assert len({tuple(ids) for ids in here}) > 3
        assert output == f"{here}\n{subwords.segmentations('a dog runs', 5)}\n"


def test_specials_have_no_text(subwords):
    ids = subwords.encode("a dog")
    assert subwords.decode([BOS, *ids, EOS, PAD, PAD]) == "a dog"
    assert subwords.decode([]) == "" and subwords.decode([BOS, EOS]) == ""
    assert subwords.pieces([PAD, BOS, UNK, EOS]) == ["<pad>", "<s>", "<unk>", "</s>"]


@shared
@given(data=st.data())
def test_any_ids_a_model_may_produce_have_a_text(subwords, data):
    ids = data.draw(st.lists(st.integers(0, subwords.size - 1)))
    text = subwords.decode(ids)
    assert "\ud800" not in text and text.encode("utf-8").decode("utf-8") == text


def test_bytes_and_files_give_the_same_model(tmp_path, subwords):
    path = tmp_path / "some.model"
    path.write_bytes(subwords.to_bytes())
    for again in (Subwords.load(path), Subwords.from_bytes(subwords.to_bytes())):
        assert again.kind == subwords.kind and again.size == subwords.size == 325
        assert again.encode("a dog") == subwords.encode("a dog")


@settings(deadline=None, max_examples=50)
@given(content=st.binary(max_size=200))
@example(content=b"")
@example(content=b"{}\n")
def test_other_bytes_are_refused(content):
    with pytest.raises(
        ValueError, match=r"not a SentencePiece model; make one with: nmtkit train-tokenizer|needs 0 1 2 3"
    ):
        Subwords.from_bytes(content)


def test_a_truncated_model_is_refused_or_complete(models):
    content = models["unigram"].to_bytes()
    for length in range(0, len(content), 97):
        with pytest.raises(ValueError, match="nmtkit train-tokenizer"):
            Subwords.from_bytes(content[:length])


@pytest.mark.parametrize("n", [512, 513, 10**6])
def test_more_segmentations_than_sentencepiece_gives_are_those_it_gives(subwords, n, lines):
    """Eight letters have 2⁷ = 128 segmentations at most."""
    assert 1 <= len(subwords.segmentations("grashund", n)) <= 128
    if subwords.kind == "unigram":
        assert len(subwords.segmentations(" ".join(lines[:9]), n)) == 512


@shared
@given(tokens=st.lists(st.integers(4, 10**6), max_size=12))
def test_a_text_is_what_its_pieces_spell(subwords: Subwords, tokens: list[int]) -> None:
    """Bytes among them; SentencePiece turns each byte that begins no character into U+FFFD."""
    ids = [2 if token % 50 == 0 else 4 + token % (subwords.size - 4) for token in tokens]
    content = b"".join(subwords.spellings()[token] for token in ids)
    decoded = subwords.decode([5, *ids, 5])  # between two that cannot be changed
    assert re.sub("\ufffd+", "\ufffd", decoded) == re.sub(
        "\ufffd+", "\ufffd", (subwords.spellings()[5] + content + subwords.spellings()[5]).decode(errors="replace")
    )
    assert [subwords.spellings()[token] for token in (0, 1, 3)] == [b""] * 3
