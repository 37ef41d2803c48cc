"""Options to tokenizer: whose text each side learns from."""

from __future__ import annotations

import pytest

from nmtkit.tokenizer.build import train_tokenizer
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.tokenizer.training import train_subwords


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_joint_tokenizer_learns_from_both_sides_in_their_order(kind: str, lines: list[str]) -> None:
    made = train_tokenizer(lines[:200], lines[200:], TokenizerOptions(320, kind), seed=1)
    assert made.joint and made.source.to_bytes() == train_subwords(lines, vocab_size=320, kind=kind).to_bytes()


def test_two_vocabularies_learn_from_their_own_side(lines: list[str]) -> None:
    german = [line.upper() for line in lines]
    made = train_tokenizer(lines, german, TokenizerOptions(310, "bpe", joint=False), seed=1)
    assert not made.joint
    assert made.source.to_bytes() == train_subwords(lines, vocab_size=310, kind="bpe").to_bytes()
    assert made.target.to_bytes() == train_subwords(german, vocab_size=310, kind="bpe").to_bytes()


def test_the_seed_draws_the_sample(lines: list[str]) -> None:
    def made(seed: int) -> bytes:
        return train_tokenizer(lines, lines, TokenizerOptions(300, "bpe", max_lines=60), seed).source.to_bytes()

    assert made(1) == made(1) != made(2)
