"""For tests of searches: random tables, and a beam search of lists and loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st

from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.rules import Rules
from nmtkit.specials import EOS, UNK
from support.toys import TableModel

ALPHAS = (0.0, 0.5, 0.7, 1.0)
SENTENCES = 12
many = settings(database=None, derandomize=True, deadline=None, max_examples=250)
"""250 examples of 12 tables each."""
few = settings(many, max_examples=60)
"""Where each table is searched alone as well."""

seeds = st.integers(0, 2**31)
shapes = st.sampled_from([(2, 6), (3, 5), (4, 4), (5, 4)])
"""Symbols that can be produced, UNK and EOS among them, and the depth of the table."""
spreads = st.sampled_from([0.3, 1.0, 3.0, 9.0])
"""From nearly uniform to nearly certain: certain continuations are what a stop rule must wait for."""


def tables(seed: int, shape: tuple[int, int], spread: float) -> tuple[TableModel, list[int]]:
    """Random tables, and a limit for each within their depth."""
    symbols, depth = shape
    model = TableModel.random(seed, sentences=SENTENCES, symbols=symbols, depth=depth, spread=spread)
    generator = torch.Generator().manual_seed(seed)
    return model, torch.randint(1, depth + 1, (SENTENCES,), generator=generator).tolist()


Ranked = list[tuple[tuple[int, ...], float, float]]
PlainStep = tuple[list[tuple[float, tuple[int, ...]]], set[tuple[int, ...]], set[tuple[int, ...]]]
"""Of one step: all candidates (total, tokens), best first; those that finished; those that live on."""


def score(total: float, length: int, alpha: float, penalty: str) -> float:
    """J, written out."""
    return total / (length if penalty == "power" else (5 + length) / 6) ** alpha


def ranked_by_rest(
    model: TableModel,
    sentence: int,
    outputs: list[tuple[tuple[int, ...], float]],
    begun: int,
    alpha: float,
    penalty: str = "power",
) -> Ranked:
    """Outputs (tokens, total) by J of what follows their first `begun` tokens, best first."""
    rows = []
    for tokens, total in outputs:
        costs = [model.log_probs(sentence, tokens[:place])[tokens[place]] for place in range(begun, len(tokens))]
        rows.append((tokens, total, score(math.fsum(costs), len(costs), alpha, penalty)))
    return sorted(rows, key=lambda one: one[2], reverse=True)


def repeats(tokens: tuple[int, ...], size: int) -> bool:
    grams = [tokens[i : i + size] for i in range(len(tokens) - size + 1)]
    return len(set(grams)) < len(grams)


def plain_beam(
    model: TableModel,
    sentence: int,
    limit: int,
    beam: int,
    alpha: float,
    *,
    penalty: str = "power",
    minimum: int = 1,
    rules: Rules = Rules(),  # noqa: B008 (frozen)
    steps: list[PlainStep] | None = None,
) -> Ranked:
    """Every rule in lists and loops: (tokens, total, J) of all that finished, best first; `steps` takes a record."""
    live: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    finished: Ranked = []
    for length in range(1, limit + 1):
        candidates = []
        for total, prefix in live:
            for token, log_prob in enumerate(model.log_probs(sentence, prefix)):
                tokens = (*prefix, token)
                if length == limit:
                    allowed = token == EOS
                else:
                    allowed = not (token == EOS and length < minimum)
                    allowed &= not (rules.forbid_unk and token == UNK)
                    allowed &= not (rules.no_repeat_ngram and repeats(tokens, rules.no_repeat_ngram))
                if allowed and log_prob > -math.inf:
                    candidates.append((total + log_prob, tokens))
        best = sorted(candidates, reverse=True)[: 2 * beam if rules.free_eos else beam]
        ended = [(total, tokens) for total, tokens in best[:beam] if tokens[-1] == EOS]
        finished += [(tokens, total, score(total, length, alpha, penalty)) for total, tokens in ended]
        live = [one for one in best if one[1][-1] != EOS][:beam]
        if steps is not None:
            steps.append((sorted(candidates, reverse=True), {tokens for _, tokens in ended}, {one for _, one in live}))
        if rules.patience is not None and len(finished) >= rules.patience * beam:
            break
    return sorted(finished, key=lambda one: one[2], reverse=True)


def assert_same(found: list[Hypothesis], expected: Ranked) -> None:
    assert [one.tokens for one in found] == [tokens for tokens, _, _ in expected]
    assert [one.total for one in found] == pytest.approx([total for _, total, _ in expected], abs=1e-9)
    assert [one.score for one in found] == pytest.approx([score for _, _, score in expected], abs=1e-9)
