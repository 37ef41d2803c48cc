"""What may follow: bans and forced ids against a loop over the whole vocabulary."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.toys import TableLogProbs

from nmtkit.decoding.choices import Choices, Prefixes, choices
from nmtkit.decoding.rules import Rules
from nmtkit.specials import EOS, PAD, UNK

VOCABULARY = 9


def distribution(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    log_probs = torch.randn(rows, VOCABULARY - 2, dtype=torch.float64, generator=generator).log_softmax(1)
    return torch.cat((torch.full((rows, 2), -math.inf, dtype=torch.float64), log_probs), dim=1)


def allowed(
    rules: Rules, length: int, minimum: int, limit: int, prefix: list[int], log_probs: list[float]
) -> list[tuple[float, int]]:
    """Every continuation that may be taken with its log P, best first; written out."""
    found = []
    for token, log_p in enumerate(log_probs):
        grams = [tuple([*prefix, token][i : i + rules.no_repeat_ngram]) for i in range(len(prefix) + 1)]
        whole = [gram for gram in grams if len(gram) == rules.no_repeat_ngram]
        if length == limit:
            fine = token == EOS
        else:
            fine = not (token == EOS and length < minimum) and not (token == UNK and rules.forbid_unk)
            fine &= not (rules.no_repeat_ngram and whole and whole[-1] in whole[:-1])
        if fine and log_p > -math.inf:
            found.append((log_p, token))
    return sorted(found, reverse=True)


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 999),
    width=st.integers(1, 3),
    length=st.integers(1, 5),
    size=st.integers(0, 3),
    forbid_unk=st.booleans(),
    k=st.integers(1, 5),
    data=st.data(),
)
def test_the_best_of_what_may_follow(
    seed: int, width: int, length: int, size: int, forbid_unk: bool, k: int, data: st.DataObject
) -> None:
    rules = Rules(forbid_unk=forbid_unk, no_repeat_ngram=size)
    limits = data.draw(st.lists(st.integers(length, length + 2), min_size=1, max_size=3))
    minimums = [data.draw(st.integers(1, limit)) for limit in limits]
    rows = len(limits) * width
    prefixes = data.draw(
        st.lists(
            st.lists(st.sampled_from([UNK, 4, 5]), min_size=length - 1, max_size=length - 1),
            min_size=rows,
            max_size=rows,
        )
    )
    dense = distribution(rows, seed)
    said = Prefixes(torch.tensor(prefixes, dtype=torch.int64).view(rows, length - 1))
    at_limit = torch.tensor(limits) if any(limit == length for limit in limits) else None
    may = choices(rules, length, torch.Size((len(limits), width)), torch.tensor(minimums), at_limit, said)
    values, ids = may.top(TableLogProbs(dense), k)
    for row in range(rows):
        sentence = row // width
        expected = allowed(rules, length, minimums[sentence], limits[sentence], prefixes[row], dense[row].tolist())
        found = sorted(
            ((log_p, token) for log_p, token in zip(values[row].tolist(), ids[row].tolist(), strict=True)), reverse=True
        )
        assert [pair for pair in found if pair[0] > -math.inf][:k] == expected[:k]


def test_without_rules_nothing_is_asked_for_besides() -> None:
    """The k best and no more, untouched."""
    dense = distribution(2, 3)
    may = choices(Rules(), 1, torch.Size((2, 1)), None, None, Prefixes(torch.zeros(2, 0, dtype=torch.int64)))
    assert may == Choices()
    values, ids = may.top(TableLogProbs(dense), 3)
    assert values.shape == ids.shape == (2, 3) and torch.equal(values, dense.sort(1, descending=True).values[:, :3])


def test_what_is_forced_goes_before_what_is_banned() -> None:
    may = Choices((torch.tensor([[EOS], [EOS]]),), torch.tensor([EOS, PAD]))
    dense = distribution(2, 4)
    values, ids = may.top(TableLogProbs(dense), 2)
    assert ids[0, 0] == EOS and values[0, 0] == dense[0, EOS] and (values[0, 1:] == -math.inf).all()
    assert EOS not in ids[1][values[1] > -math.inf].tolist()
