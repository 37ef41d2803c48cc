"""Systems that are equal by construction, or better by a planted gain, as two beams are: most sentences the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest

from nmtkit.evaluation.bootstrap import Counted
from nmtkit.evaluation.metric import Metric

WORDS = np.array([f"w{number}" for number in range(400)])
DRAFTS = 8
"""Texts of a sentence, all in its quality, besides the one that most systems write."""


class Pool:
    """Sentences with references of 6 to 19 words, a quality of their own each, and drafts of that quality.

    A text is a sample of the sentences. A system writes draft 0 of a sentence, or one of the others at random; so two
    that do so as often are equal, whatever the drafts are. A better one has more right words where it writes another.
    """

    def __init__(self, sentences: int = 2000, gain: float = 0.0, seed: int = 1) -> None:
        generator = np.random.default_rng(seed)
        self.references, self.drafts, self.better = [], [], []
        for length in generator.integers(6, 20, sentences):
            reference, quality = generator.choice(WORDS, length), generator.beta(6, 3)
            right = [generator.random((DRAFTS + 1, length)) < min(1.0, quality + more) for more in (0.0, gain)]
            texts = [[" ".join(np.where(row, reference, "x")) for row in rows] for rows in right]
            self.references.append(" ".join(reference))
            self.drafts.append(texts[0])
            self.better.append(texts[1])

    def text(self, generator: np.random.Generator, sentences: int) -> list[int]:
        """A sample of the sentences."""
        return list(generator.choice(len(self.references), sentences))

    def system(
        self, generator: np.random.Generator, text: Sequence[int], share: float, better: bool = False
    ) -> list[str]:
        """Its outputs: another draft for a share of the sentences."""
        other = np.where(generator.random(len(text)) < share, generator.integers(1, DRAFTS + 1, len(text)), 0)
        drafts = self.better if better else self.drafts
        return [(drafts if draft else self.drafts)[number][draft] for number, draft in zip(text, other, strict=True)]


@contextmanager
def counted_once() -> Iterator[None]:
    """Each pair of output and reference is counted once, by sacreBLEU as ever: most of the time goes into that."""
    rows: dict[tuple[str, str, str], np.ndarray] = {}
    count = Counted.of

    def of(
        metric: Metric,
        outputs: Sequence[str],
        references: Sequence[Sequence[str]],
        sources: Sequence[str] | None = None,
    ) -> Counted:
        keys = [(metric.name, *pair) for pair in zip(outputs, *references, strict=True)]
        new = [key for key in dict.fromkeys(keys) if key not in rows] or keys[:1]
        fresh = count(metric, [output for _, output, _ in new], [[reference for *_, reference in new]])
        rows.update(zip(new, fresh.table, strict=True))
        return Counted(np.stack([rows[key] for key in keys]), fresh.score)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Counted, "of", of)
        yield
