"""Drawn segmentations depend on seed, epoch, pair and side alone, and have the probabilities of the papers."""

from __future__ import annotations

import io
import itertools
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from support.segmentations import assert_likely, exactly

from nmtkit.specials import BOS, EOS, PAD, UNK
from nmtkit.tokenizer.sampling import SOURCE, TARGET, Sampler
from nmtkit.tokenizer.subwords import Subwords
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.training import train_subwords

MOST = (999, 999)


def sampler(subwords: Subwords, seed: int = 1, most: tuple[int, int] = MOST, alpha: float = 0.3) -> Sampler:
    return Sampler(Tokenizer(subwords, subwords), alpha, seed, most)


def encoded(subwords: Subwords, lines: list[str]) -> list[list[int]]:
    return [[*subwords.encode(line), EOS] for line in lines]


def test_what_is_drawn_depends_on_seed_epoch_pair_and_side_alone(subwords: Subwords, lines: list[str]) -> None:
    ids = encoded(subwords, lines[:40])
    places = [(side, epoch, number) for side in (SOURCE, TARGET) for epoch in range(3) for number in range(40)]
    whole = {
        (side, epoch, number): drawn
        for side in (SOURCE, TARGET)
        for epoch in range(3)
        for number, drawn in enumerate(sampler(subwords).draw(side, epoch, range(40), ids))
    }
    random.Random(7).shuffle(places)
    other = sampler(subwords)
    for side, epoch, number in places:
        assert other.draw(side, epoch, [number], [ids[number]]) == [whole[side, epoch, number]]
    for one, two in (((0, 0), (1, 0)), ((0, 0), (0, 1)), ((0, 1), (1, 0))):  # another side, epoch, or both
        assert sum(whole[(*one, number)] != whole[(*two, number)] for number in range(40)) > 10
    assert len({tuple(other.draw(0, 0, [number], [ids[0]])[0]) for number in range(40)}) > 3
    assert sampler(subwords, seed=2).draw(0, 0, range(40), ids) != [whole[0, 0, number] for number in range(40)]
    for (_, _, number), drawn in whole.items():
        assert drawn[-1] == EOS and EOS not in drawn[:-1]
        assert subwords.decode(drawn) == lines[number]


def test_what_would_be_too_long_stays_as_it_is(subwords: Subwords, lines: list[str]) -> None:
    ids, free, most = encoded(subwords, lines), sampler(subwords), {"unigram": (14, 9), "bpe": (28, 23)}[subwords.kind]
    bounded = sampler(subwords, most=most)
    for side in (SOURCE, TARGET):
        drawn, limited = free.draw(side, 0, range(400), ids), bounded.draw(side, 0, range(400), ids)
        long = [len(sequence) - 1 > most[side] for sequence in drawn]
        assert 40 < sum(long) < 360
        assert limited == [own if over else new for own, new, over in zip(ids, drawn, long, strict=True)]


@pytest.mark.parametrize("side", [SOURCE, TARGET])
def test_over_the_epochs_bpe_has_the_probabilities_of_the_paper(side: int, models: dict[str, Subwords]) -> None:
    bpe = models["bpe"]
    draw, ids = sampler(bpe).draw, [*bpe.encode("läuft"), EOS]
    counts = Counter(tuple(bpe.pieces(draw(side, epoch, [5], [ids])[0][:-1])) for epoch in range(6000))
    assert_likely(counts, exactly("▁läuft", bpe._ranks, 0.3))


def ways(word: str, score: dict[str, float]) -> dict[tuple[str, ...], float]:
    """Every way to cut a word into pieces, with its log P, by trying every set of cuts."""
    found = {}
    for cuts in itertools.product([False, True], repeat=len(word) - 1):
        ends = [0, *(place + 1 for place, cut in enumerate(cuts) if cut), len(word)]
        parts = tuple(word[start:end] for start, end in itertools.pairwise(ends))
        if all(part in score for part in parts):
            found[parts] = sum(score[part] for part in parts)
    return found


def test_unigram_draws_one_of_the_64_best_by_their_power() -> None:
    stems, ends = ("walk", "talk", "rest", "stalk", "list"), ("", "s", "ed", "ing", "er", "ings")
    unigram = train_subwords([stem + end for stem in stems for end in ends] * 9, vocab_size=285)
    processor, text = unigram._processor, "talked rests lister stalks walk"
    score = {processor.id_to_piece(i): processor.get_score(i) for i in range(260, unigram.size)}
    words = [ways(f"▁{word}", score).items() for word in text.split()]
    every = {
        tuple(itertools.chain(*(parts for parts, _ in chosen))): sum(log_p for _, log_p in chosen)
        for chosen in itertools.product(*words)
    }
    best = sorted(every, key=lambda parts: -every[parts])
    assert len(best) > 64 and every[best[63]] - every[best[64]] > 1e-4, "no tie at the edge"
    weights = {parts: math.exp(0.02 * every[parts]) for parts in best[:64]}
    expected = {parts: weight / sum(weights.values()) for parts, weight in weights.items()}
    draw, ids = sampler(unigram, alpha=0.02).draw, [*unigram.encode(text), EOS]
    counts = Counter(tuple(unigram.pieces(draw(0, epoch, [5], [ids])[0][:-1])) for epoch in range(4000))
    assert_likely(counts, expected)


def foreign(lines: list[str], **options: Any) -> Subwords:
    """A tokenizer that nmtkit would not make."""
    model = io.BytesIO()
    specials = {"pad_id": PAD, "bos_id": BOS, "unk_id": UNK, "eos_id": EOS}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, minloglevel=2, **specials, **options
    )
    return Subwords.from_bytes(model.getvalue())


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_tokenizer_that_normalises_once_and_for_all_can_be_sampled(kind: str, lines: list[str]) -> None:
    """Full-width letters and runs of spaces are lost, but the pieces say the same as the text that they are read as;
    pairs with unknown characters keep their pieces."""
    subwords = foreign(lines, model_type=kind, vocab_size=60, normalization_rule_name="nmt_nfkc")
    texts = ["  a  ｄｏｇ runs ", "a dog Ω runs", *lines[:20]]
    ids = encoded(subwords, texts)
    assert subwords.decode(ids[0]) == "a dog runs" and UNK in ids[1]
    sampler(subwords).check(SOURCE, ids)
    for epoch in range(20):
        drawn = sampler(subwords).draw(SOURCE, epoch, range(22), ids)
        assert subwords.decode(drawn[0]) == "a dog runs" and drawn[1] == ids[1]
        assert drawn[2:] != ids[2:]


def chained(tmp_path: Path) -> dict[str, Any]:
    """A normalisation that changes what it has made."""
    rule = tmp_path / "rule.tsv"
    rule.write_text("61\t62\n62\t63\n", encoding="utf-8")  # a to b, b to c
    return {"normalization_rule_tsv": str(rule)}


@pytest.mark.parametrize("how", ["normalises again", "pieces over spaces", "spaces behind"])
def test_a_tokenizer_whose_text_does_not_come_back_is_refused(how: str, lines: list[str], tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "normalises again": {"model_type": "unigram", "vocab_size": 60, **chained(tmp_path)},
        "pieces over spaces": {"model_type": "bpe", "vocab_size": 400, "split_by_whitespace": False},
        "spaces behind": {"model_type": "bpe", "vocab_size": 120, "treat_whitespace_as_suffix": True},
    }[how]
    subwords = foreign(lines, **options)
    for side in (SOURCE, TARGET):
        with pytest.raises(ValueError, match=r"^subword_regularization = 0.3 .* set it to 0, or make .*$"):
            sampler(subwords).check(side, encoded(subwords, lines))


def test_a_tokenizer_of_nmtkits_is_not_refused(subwords: Subwords, lines: list[str]) -> None:
    sampler(subwords).check(SOURCE, encoded(subwords, [*lines, "  \t Ω 😀\0 ", "", "ＡＢ"]))
