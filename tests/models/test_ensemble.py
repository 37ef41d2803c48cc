"""Ensembles by hand: the mean of probabilities, not of log-probabilities, whatever is asked of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from support.searches import beam_search, exact_search
from support.toys import TableLogProbs, TableModel, brute_force, ranked
from torch import Tensor

from nmtkit.decoding.objective import Objective
from nmtkit.models.build import build
from nmtkit.models.ensemble import Ensemble, MeanLogProbs, Members
from nmtkit.models.options import TransformerOptions
from nmtkit.specials import BOS, EOS, PAD, UNK


def written(*rows: Sequence[float]) -> TableLogProbs:
    """Probabilities of the ids 2, 3 and 4 in each row."""
    probabilities = torch.tensor(rows, dtype=torch.float64)
    return TableLogProbs(torch.cat((torch.zeros_like(probabilities[:, :2]), probabilities), dim=1).log())


FIRST, SECOND = written([0.5, 0.4, 0.1], [0.2, 0.2, 0.6]), written([0.0, 0.4, 0.6], [0.4, 0.4, 0.2])
MEAN = [[0.25, 0.4, 0.35], [0.3, 0.3, 0.4]]
"""In the first row the best of the mean is the best of neither, and one finds impossible what the other likes."""


def both() -> MeanLogProbs:
    return MeanLogProbs([FIRST, SECOND])


def test_dense() -> None:
    dense = both().dense()
    assert dense[:, :UNK].tolist() == [[-math.inf] * 2] * 2
    assert dense[:, UNK:].exp().tolist() == [pytest.approx(row) for row in MEAN]


def test_parts_are_the_rows_of_the_whole() -> None:
    parts = [part.dense() for part in both().split(1)]
    assert len(parts) == 2 and torch.equal(torch.cat(parts), both().dense())


def test_top() -> None:
    values, ids = both().top(2)
    assert ids[0].tolist() == [3, 4] and ids[1, 0] == 4
    assert values.exp().tolist() == [pytest.approx([0.4, 0.35]), pytest.approx([0.4, 0.3])]
    everything, _ = both().top(9)
    assert everything.exp().tolist() == [pytest.approx(sorted(row, reverse=True)) for row in MEAN]


def test_at() -> None:
    assert both().at(torch.tensor([2, 4])).exp().tolist() == pytest.approx([0.25, 0.4])
    assert both().at(torch.tensor([PAD, BOS])).tolist() == [0.0, -math.inf]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss(smoothing: float) -> None:
    """A row of padding adds nothing."""
    log = np.log(MEAN)
    expected = -(1 - smoothing) * (log[0, 0] + log[1, 2]) - smoothing * log.mean(1).sum()
    assert both().loss(torch.tensor([2, 4]), smoothing).item() == pytest.approx(expected)
    alone = -(1 - smoothing) * log[1, 2] - smoothing * log[1].mean()
    assert both().loss(torch.tensor([PAD, 4]), smoothing).item() == pytest.approx(alone)


def tables() -> tuple[TableModel, TableModel, TableModel]:
    """Two models, and the one whose table is the mean of theirs."""
    one, other = (TableModel.random(seed, sentences=2, symbols=4, depth=4) for seed in (1, 2))
    mean = torch.stack([one.table, other.table]).exp().mean(0).log()[..., 2:]
    return one, other, TableModel(mean)


def test_steps_and_forced_passes_are_those_of_the_mean_table() -> None:
    one, other, mean = tables()
    ensemble = Ensemble([one, other]).eval()
    memory = ensemble.encode(*mean.sources())
    assert memory.size() == 2 and [type(own) for own in memory.members] == [type(mean.memory())] * 2
    target_in_NT = torch.tensor([[BOS, 4, 5], [BOS, 2, 4], [BOS, 5, 5], [BOS, 4, 2]])
    expected = mean.decode(mean.memory(), target_in_NT).dense()
    torch.testing.assert_close(ensemble.decode(memory, target_in_NT).dense(), expected)
    state, rows = ensemble.start(memory).select(torch.tensor([0, 0, 1, 1])), list[Tensor]()
    for token_N in target_in_NT.unbind(1):
        log_probs, state = ensemble.step(token_N, state, memory)
        rows.append(log_probs.dense())
    torch.testing.assert_close(torch.stack(rows, dim=1), expected)


def test_memory_and_state_move_in_all_members() -> None:
    one, other, _ = tables()
    memory = Members((one.memory(), other.memory())).select(torch.tensor([1, 0, 1]))
    assert [own.sentence_B.tolist() for own in memory.members] == [[1, 0, 1]] * 2


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_searches_find_what_the_mean_table_has(alpha: float) -> None:
    """A wide beam and exact search, against every output that there is."""
    one, other, mean = tables()
    ensemble = Ensemble([one, other]).eval()
    memory, limits, objective = ensemble.encode(*mean.sources()), [4, 4], Objective(alpha)
    beams = beam_search(ensemble, memory, limits, beam=64, objective=objective)
    certificates = exact_search(ensemble, memory, limits, objective=objective)
    for sentence in (0, 1):
        alone = mean.memory().select(torch.tensor([sentence]))
        tokens, _, score = ranked(brute_force(mean, alone, 4), alpha)[0]
        exact = certificates[sentence].best
        assert exact is not None and certificates[sentence].proved
        assert tuple(beams[sentence][0].tokens) == tuple(exact.tokens) == tokens
        assert beams[sentence][0].score == pytest.approx(score) and exact.score == pytest.approx(score)


def test_weights_stand_under_the_number_of_their_member_and_go_where_it_goes() -> None:
    options = TransformerOptions(width=4, feedforward=4, heads=1, encoder_layers=1, decoder_layers=1)
    members = [build(options, source_size=6, target_size=6) for _ in range(2)]
    ensemble = Ensemble(members)
    names = [f"members.{number}.{name}" for number in (0, 1) for name in members[0].state_dict()]
    assert list(ensemble.state_dict()) == names
    ensemble.eval().double()
    assert not any(member.training for member in members)
    assert all(parameter.dtype == torch.float64 for member in members for parameter in member.parameters())
    source = torch.tensor([[4, 5, EOS]])
    memory = ensemble.encode(source, source != PAD)
    assert ensemble.device == torch.device("cpu") and memory.size() == 1
