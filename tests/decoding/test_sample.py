"""Samples against the exact distributions of small tables, and against forced scores."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.sample_toys import cuts, plain
from support.search_toys import few, spreads
from support.searches import encoded
from support.toys import TableLogProbs, TableModel

from nmtkit.decoding import sample as module
from nmtkit.decoding.cut import Cut
from nmtkit.decoding.forced import forced_log_probs
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.rules import Rules
from nmtkit.decoding.sample import Drawn, Sample
from nmtkit.decoding.search import Query
from nmtkit.specials import EOS, UNK

MANY, FEWER = 100_000, 20_000


def draw(model: TableModel, queries: list[Query], number: int, **settings: Any) -> list[list[Drawn]]:
    search = Sample(number, Objective(0.7), **settings)
    return [own or [] for own in search.find(model, encoded(model.memory()), queries)]


def distribution(model: TableModel, query: Query, cut: Cut, rules: Rules) -> dict[tuple[int, ...], float]:
    """The probability of every output, from the written table by enumeration."""
    found: dict[tuple[int, ...], float] = {}
    words = range(2, 2 + model.symbols)
    for length in range(1, query.limit + 1):
        for tokens in product(*[[word for word in words if word != EOS]] * (length - 1), [EOS]):
            chance = 1.0
            for place, token in enumerate(tokens):
                log_probs = model.log_probs(0, tokens[:place])
                if place < len(query.prefix):
                    chance *= float(token == query.prefix[place])
                elif place + 1 == query.limit:
                    chance *= float(token == EOS)
                else:
                    banned = {EOS} if place + 1 < query.minimum else set()
                    banned |= {UNK} if rules.forbid_unk else set()
                    allowed = [-math.inf if one in banned else value for one, value in enumerate(log_probs)]
                    chance *= plain(allowed, cut)[token]
            if chance:
                found[tokens] = chance
    assert sum(found.values()) == pytest.approx(1.0)
    return found


@pytest.mark.parametrize(
    ("cut", "query", "rules"),
    [
        (Cut(), Query(4), Rules()),
        (Cut(temperature=0.6), Query(4), Rules()),
        (Cut(temperature=2.5), Query(3), Rules()),
        (Cut(top_k=2), Query(4), Rules()),
        (Cut(top_p=0.7), Query(4), Rules()),
        (Cut(epsilon=0.15), Query(4), Rules()),
        (Cut(temperature=1.5, top_k=3, top_p=0.9, epsilon=0.1), Query(4), Rules()),
        (Cut(top_p=0.8), Query(4, 3), Rules(forbid_unk=True)),
        (Cut(), Query(4, prefix=(4, UNK)), Rules(forbid_unk=True)),
        (Cut(top_k=1), Query(4), Rules()),
    ],
    ids=str,
)
def test_draws_have_the_distribution_of_the_table(cut: Cut, query: Query, rules: Rules) -> None:
    """χ² over all outputs, those of fewer than five expected draws together; it is below its mean + 4 deviations."""
    model = TableModel.random(11, sentences=1, symbols=4, depth=4, spread=1.0)
    expected = distribution(model, query, cut, rules)
    draws = MANY if cut == Cut() else FEWER
    (own,) = draw(model, [query], draws, cut=cut, rules=rules, positions=10**6)
    counts = Counter(hypothesis.tokens for hypothesis in own)
    assert len(own) == draws and set(counts) <= set(expected)
    assert [one.number for one in own] == list(range(1, draws + 1))
    logs = {tokens: math.log(chance) for tokens, chance in expected.items()}
    assert [one.log_q for one in own[:999]] == pytest.approx([logs[one.tokens] for one in own[:999]], abs=1e-9)
    rare = {tokens for tokens, chance in expected.items() if chance * draws < 5}
    cells = [(counts[tokens], draws * chance) for tokens, chance in expected.items() if tokens not in rare]
    cells += [(sum(counts[one] for one in rare), draws * sum(expected[one] for one in rare))] if rare else []
    chi = sum((seen - due) ** 2 / due for seen, due in cells)
    freedom = len(cells) - 1
    assert chi <= freedom + 4 * math.sqrt(2 * freedom)


@few
@given(
    seed=st.integers(0, 10**6),
    limits=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    spread=spreads,
    cut=cuts,
    positions=st.integers(1, 60),
    size=st.integers(0, 2),
    data=st.data(),
)
def test_draws_are_the_same_in_any_batch(
    seed: int,
    limits: list[int],
    spread: float,
    cut: Cut,
    positions: int,
    size: int,
    data: st.DataObject,
) -> None:
    """Alone, all together, few at a time; and their log P are those of a forced pass, whatever was cut."""
    model = TableModel.random(seed, sentences=len(limits), symbols=4, depth=4, spread=spread)
    queries = [
        Query(limit, data.draw(st.integers(1, limit)), index=index, line=7 + 3 * index)
        for index, limit in enumerate(limits)
    ]
    settings = {"cut": cut, "seed": seed, "rules": Rules(no_repeat_ngram=size)}
    whole = draw(model, queries, 9, **settings)
    assert draw(model, queries, 9, positions=positions, **settings) == whole
    first = draw(model, queries, 5, **settings)
    for row, (query, own) in enumerate(zip(queries, whole, strict=True)):
        memory = model.memory().select(torch.tensor([row]))
        alone = Sample(9, Objective(0.7), **settings).find(model, encoded(memory), [query])
        assert alone == [own]
        assert size or (len(own) == 9 and first[row] == own[:5])
        forced = forced_log_probs(model, memory, [one.tokens for one in own]) if own else []
        for one, log_probs in zip(own, forced, strict=True):
            assert one.tokens.index(EOS) == len(one.tokens) - 1 < query.limit
            assert one.log_probs == pytest.approx(log_probs, abs=1e-9)
            assert one.total == pytest.approx(math.fsum(log_probs), abs=1e-9)
            assert one.score == pytest.approx(one.total / len(one.tokens) ** 0.7, abs=1e-9)


def test_seed_line_and_number_make_another_draw() -> None:
    model = TableModel.random(3, sentences=2, symbols=5, depth=5, spread=0.1)
    model.table[1] = model.table[0]
    first, second = draw(model, [Query(6, line=1), Query(6, line=2)], 40)
    again, same = draw(model, [Query(6, line=2), Query(6, line=2)], 40)
    (other, _) = draw(model, [Query(6, line=1), Query(6, line=2)], 40, seed=2)
    assert again == same == second and len({str(first), str(second), str(other)}) == 3
    assert len({one.tokens for one in first}) > 20


def test_a_dead_end_is_left_out() -> None:
    """After a only a could follow, which repeats: those samples have no end. P(EOS) = 0.5 at first."""
    model = TableModel.written([{(): {4: 0.5, EOS: 0.5}, (4,): {4: 1.0}}], symbols=3)
    search = Sample(200, Objective(), rules=Rules(no_repeat_ngram=1), positions=35)
    (own,) = search.find(model, encoded(model.memory()), [Query(5)])
    assert own is not None and {one.tokens for one in own} == {(EOS,)} and 70 < len(own) < 130
    (free,) = draw(model, [Query(5)], 200)
    assert [one.number for one in own] == [one.number for one in free if one.tokens == (EOS,)]
    assert search.find(model, encoded(model.memory()), [Query(5, prefix=(4,))]) == [[]]


def test_a_damaged_model_has_no_result() -> None:
    """One of two sentences, from its second piece on."""
    model = TableModel.random(4, sentences=2, symbols=3, depth=3)
    model.table[1, 1:, 2:] = math.nan
    search = Sample(7, Objective())
    whole, damaged = search.find(model, encoded(model.memory()), [Query(5), Query(5, prefix=(4,))])
    assert whole is not None and len(whole) == 7 and damaged is None


def test_few_distributions_are_dense_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    dense = TableLogProbs.dense
    monkeypatch.setattr(TableLogProbs, "dense", lambda self: rows.append(len(self._dense)) or dense(self))
    model = TableModel.random(2, sentences=3, symbols=4, depth=5)
    whole = draw(model, [Query(5)] * 3, 50)
    assert max(rows) == module.ROWS == 64
    monkeypatch.setattr(module, "ROWS", 7)
    assert draw(model, [Query(5)] * 3, 50) == whole


class Watched(TableModel):
    """Notes how many rows and sentences it reads at each step."""

    def step(self, token_N: Any, state: Any, memory: Any) -> Any:
        self.rows.append((len(token_N), memory.size()))
        return super().step(token_N, state, memory)


def watched(spread: float = 1.0) -> Watched:
    model = Watched(TableModel.random(2, sentences=4, symbols=4, depth=5, spread=spread).table[..., 2:])
    model.rows: list[tuple[int, int]] = []  # type: ignore[misc]
    return model


def test_the_rows_read_at_one_time_are_bounded() -> None:
    """No more target positions than allowed, but for one sample of each sentence."""
    for positions, most in ((60, 12), (100, 20), (1, 4)):
        model = watched()
        draw(model, [Query(5)] * 4, 33, positions=positions)
        assert max(rows for rows, _ in model.rows) == most


def test_finished_samples_and_sentences_leave() -> None:
    """A sentence with a limit of 1 is done after a step; the rows read are nearly those of the tokens drawn."""
    model = watched()
    limits = [1, 6, 6, 6]
    found = draw(model, [Query(limit) for limit in limits], 50)
    rows = [rows for rows, _ in model.rows]
    assert rows[0] == 200 and rows[1] <= 150 and rows == sorted(rows, reverse=True) and model.rows[1][1] == 3
    tokens = sum(one.length for own in found for one in own)
    assert tokens <= sum(rows) < 1.5 * tokens < 200 * len(rows)


@pytest.mark.parametrize("wrong", [{"number": 0}, {"seed": -1}])
def test_impossible_numbers_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sample(**{"number": 1, "objective": Objective(), **wrong})
