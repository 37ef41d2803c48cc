"""A small text that every tokenizer test can learn from."""

import random

import pytest

from nmtkit.tokenizer.training import train_subwords

SENTENCES = [
    "two people are sitting on a bench in the park .",
    "a dog runs through the green grass and jumps over a fence .",
    "zwei männer sitzen auf einer bank und lesen die zeitung .",
    "ein hund läuft über das gras , während eine frau zuschaut .",
]


@pytest.fixture(scope="session")
def lines():
    rng = random.Random(1)
    words = [sentence.split() for sentence in SENTENCES]
    return [" ".join(rng.choices(rng.choice(words), k=8)) for _ in range(400)]


@pytest.fixture(scope="session")
def models(lines):
    return {kind: train_subwords(lines, vocab_size=325, kind=kind) for kind in ("unigram", "bpe")}


@pytest.fixture(params=["unigram", "bpe"])
def subwords(request, models):
    return models[request.param]
