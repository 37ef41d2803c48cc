"""What finished is kept best first, and read back along the pointers."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.decoding.trellis import Finished, Kept, read_out
from nmtkit.specials import EOS

CPU = torch.device("cpu")


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([-9.0, -3.0, -2.5, -1.0, float("-inf")]), min_size=2, max_size=2), max_size=5),
    st.integers(1, 4),
)
def test_the_best_finished_ones_of_equals_the_earlier(steps: list[list[float]], keep: int) -> None:
    finished = Finished(1, keep, CPU)
    everything = []
    for number, scores in enumerate(steps):
        finished.merge(
            torch.tensor([0]), torch.tensor([scores], dtype=torch.float64), torch.tensor([scores]).double(), number
        )
        everything += [(score, number, column) for column, score in enumerate(scores)]
    expected = sorted(everything, key=lambda entry: -entry[0])[:keep]  # which is stable
    expected = [entry for entry in expected if entry[0] > float("-inf")]
    rows = zip(
        *(tensor[0].tolist() for tensor in (finished.score_SF, finished.step_SF, finished.column_SF)), strict=True
    )
    assert [row for row in rows if row[0] > float("-inf")] == expected


def test_a_hypothesis_is_read_back_over_its_parents() -> None:
    """Two sentences, the second of which leaves after one step. By hand: 4 · 6 · EOS ends in column 1 of step 2, whose
    parent is column 1 of step 1, whose parent is column 0."""
    nothing, pointers, finished = float("-inf"), torch.zeros(2, 2).long(), Finished(2, 1, CPU)
    trellis = [
        Kept(torch.tensor([[4, 5], [EOS, 7]]), torch.tensor([[-1, -2], [-0.5, -3]]), pointers, torch.tensor([0, 1])),
        Kept(torch.tensor([[8, 6]]), torch.tensor([[-1.5, -0.25]]), torch.tensor([[1, 0]]), torch.tensor([0, 0])),
        Kept(torch.tensor([[9, EOS]]), torch.tensor([[-4, -0.125]]), torch.tensor([[0, 1]]), torch.tensor([0, 0])),
    ]
    early = torch.tensor([[nothing, nothing], [-0.5, nothing]]).double()
    late = torch.tensor([[nothing, -1.375]]).double()
    finished.merge(torch.tensor([0, 1]), early, early, 0)
    finished.merge(torch.tensor([0]), late, late, 2)
    (long,), (short,) = read_out(finished, trellis)
    assert (long.tokens, long.log_probs) == ((4, 6, EOS), (-1.0, -0.25, -0.125))
    assert long.total == long.score == -1.375
    assert (short.tokens, short.log_probs, short.score) == ((EOS,), (-0.5,), -0.5)
