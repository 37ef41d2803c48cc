"""For tests of samples: random cuts, and the distribution that they leave, in lists and loops."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from nmtkit.decoding.cut import Cut

cuts = st.builds(
    Cut,
    temperature=st.sampled_from([0.01, 0.5, 1.0, 3.0]),
    top_k=st.none() | st.integers(1, 12),
    top_p=st.none() | st.floats(0.01, 1.0),
    epsilon=st.none() | st.floats(0.0, 1.0),
)


def plain(log_probs: list[float], cut: Cut) -> list[float]:
    """The distribution that is drawn from, step by step as the manual has it."""
    powers = [math.exp(value / cut.temperature) for value in log_probs]
    probs = [power / sum(powers) for power in powers]
    ranked = sorted(range(len(probs)), key=lambda token: -probs[token])
    kept = set(ranked)
    if cut.top_k is not None:
        kept &= set(ranked[: cut.top_k])
    if cut.top_p is not None:
        kept &= {token for place, token in enumerate(ranked) if sum(probs[one] for one in ranked[:place]) < cut.top_p}
    if cut.epsilon is not None:
        kept &= {token for token in ranked if probs[token] >= cut.epsilon} or {ranked[0]}
    total = sum(probs[token] for token in kept)
    return [probs[token] / total if token in kept else 0.0 for token in range(len(probs))]
