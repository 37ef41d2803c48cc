"""Does the model know its training text better than this one? What decides between more data and a bigger model.

The loss is the mean −log P of a target piece, EOS counted, without dropout and smoothing, of the human translations. A
model that is far better on the text it was trained on wants more data or regularisation; one that is hardly better
there wants longer training, a bigger model or another architecture (bias against variance, as Ng teaches it).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmtkit import checkpoint
from nmtkit.analysis.records import Fit, Frequency, Record, Verdict
from nmtkit.files import read_parallel, sha256

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

CLASSES = ((0, 0), (1, 9), (10, 99), (100, 999), (1000, None))
"""Pieces by how often the training text has them: from, to."""
RESAMPLES = 1000
ROLES = ("train source", "train target")


@dataclass(frozen=True)
class TrainingText:
    """What a model was trained on.

    Attributes:
        sources, targets: line by line.
        sample: pairs that are scored, drawn at random by `seed`.
        best_update, last_update: updates behind the weights in use, and behind the newest; 0: not known.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    sample: int
    best_update: int = 0
    last_update: int = 0
    seed: int = 1

    def drawn(self) -> list[int]:
        """Indices of the pairs, ascending; none with a blank side."""
        pairs = zip(self.sources, self.targets, strict=True)
        known = [index for index, (source, target) in enumerate(pairs) if source.strip() and target.strip()]
        return sorted(random.Random(self.seed).sample(known, min(self.sample, len(known))))


def training_paths(folder: Path, prefix: Path | None) -> list[Path]:
    """The files of the text that a model folder names, source and target, or those of a prefix.

    Raises:
        ValueError: where the folder's are no longer there.
    """
    options = checkpoint.read_options(folder)
    if prefix:
        return [Path(f"{prefix}.{options['languages'][side]}") for side in ("source", "target")]
    paths = [Path(options["provenance"]["files"][role]) for role in ROLES]
    if missing := [path for path in paths if not path.exists()]:
        raise ValueError(f"{missing[0]}: the training text is no longer there; name it with --train-text PREFIX")
    return paths


def read_training_text(
    folder: Path, weights: str, prefix: Path | None, sample: int, warn: Callable[[str], None]
) -> TrainingText:
    """The text that a model folder names, or that of a prefix; a warning where it is not the text trained on.

    Args:
        weights: "best" or "last".

    Raises:
        ValueError: where the files are not to be found.
    """
    options = checkpoint.read_options(folder)
    paths = training_paths(folder, prefix)
    sources, targets = read_parallel(*paths)
    for path, role in zip(paths, ROLES, strict=True):
        if sha256(path) != options["data"][role]:
            warn(f"{path}: is not the text that the model was trained on, or has changed since")
    updates = (checkpoint.updates(folder, which) for which in (weights, "last"))
    return TrainingText(sources, targets, sample, *updates)


def measure(
    translator: Translator, records: Sequence[Record], text: TrainingText, settings: SearchSettings
) -> Fit | None:
    """Losses on a sample of the training text and on the references; None where either has no piece.

    Pairs whose target the model cannot hold, and so was not trained on, are left out.
    """
    drawn = [index for index in text.drawn() if translator.holds(translator.encode_target(text.targets[index]))]
    forced = translator.score(
        [text.sources[index] for index in drawn], [text.targets[index] for index in drawn], settings
    )
    known = [(-one.total, one.length) for one in forced if math.isfinite(one.total)]
    new = [(-one.total, one.length) for record in records for one in record.references if math.isfinite(one.total)]
    if not known or not new:
        return None
    generator = np.random.default_rng(1)
    train, here = (_losses(pairs, generator) for pairs in (known, new))
    share = 1 - train / here
    low, high = np.quantile(share[1:], [0.025, 0.975])
    counts = Counter(token for line in text.targets for token in translator.encode_target(line))
    return Fit(
        pairs=len(known),
        train_loss=float(train[0]),
        loss=float(here[0]),
        share=float(share[0]),
        low=float(low),
        high=float(high),
        best_update=text.best_update,
        last_update=text.last_update,
        frequencies=tuple(_frequencies(records, counts)),
    )


def _losses(pairs: Sequence[tuple[float, int]], generator: np.random.Generator) -> NDArray[np.float64]:
    """Nats a piece: first of all sentences, then of `RESAMPLES` samples of them with replacement."""
    table = np.array(pairs, dtype=np.float64)
    rows = generator.integers(len(table), size=(RESAMPLES, len(table)))
    sums = np.vstack([table.sum(0, keepdims=True), *(table[row].sum(0) for row in rows)])
    losses: NDArray[np.float64] = sums[:, 0] / sums[:, 1]
    return losses


def _frequencies(records: Sequence[Record], counts: Mapping[int, int]) -> Iterable[Frequency]:
    """The pieces of the references, EOS among them, by how often the training text has them."""
    pieces: dict[int, list[float]] = {number: [] for number in range(len(CLASSES))}
    turned: Counter[int] = Counter()
    for record in records:
        for token, log_p in zip(record.reference.tokens, record.reference.log_probs, strict=True):
            if math.isfinite(log_p):
                pieces[_class(counts.get(token, 0))].append(-log_p)
        if record.verdict == Verdict.MODEL and record.divergence is not None:
            turned[_class(counts.get(record.reference.tokens[record.divergence.step - 1], 0))] += 1
    for number, (least, most) in enumerate(CLASSES):
        if losses := pieces[number]:
            yield Frequency(least, most, len(losses), math.fsum(losses) / len(losses), turned[number])


def _class(count: int) -> int:
    return next(number for number, (least, most) in enumerate(CLASSES) if most is None or count <= most)
