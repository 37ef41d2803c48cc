"""Does the model know its training text better than this text? This decides between more data and a bigger model.

The loss is the mean −log P of a target piece of the human translations, EOS counted, without dropout and smoothing. A
model that is far better on its training text needs more data or regularisation. A model that is hardly better there
needs longer training, more parameters or another architecture (bias against variance, as Ng teaches it).
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

from nmtkit import checkpoint
from nmtkit.blame.findings import Fit, Frequency
from nmtkit.blame.records import Record, Verdict
from nmtkit.evaluation.bootstrap import RESAMPLES, Counted, Floats, Interval, resampled
from nmtkit.features import read_sources
from nmtkit.files import sha256

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

CLASSES = ((0, 0), (1, 9), (10, 99), (100, 999), (1000, None))
"""Classes of pieces by how often the training text has them: from, to."""
ROLES = ("train source", "train target")


@dataclass(frozen=True)
class TrainingText:
    """What a model was trained on.

    Attributes:
        sources, targets: line by line.
        sample: number of pairs that are scored, drawn at random by `seed`.
        best_update, last_update: updates behind the weights in use, and behind the newest weights; 0: not known.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    sample: int
    best_update: int = 0
    last_update: int = 0
    seed: int = 1

    def pairs(self) -> list[int]:
        """Indices of the pairs without a blank side, ascending; a model is trained only on these."""
        pairs = zip(self.sources, self.targets, strict=True)
        return [index for index, pair in enumerate(pairs) if _pair(*pair)]

    def drawn(self) -> list[int]:
        """Indices of the pairs that are scored, ascending."""
        known = self.pairs()
        return sorted(random.Random(self.seed).sample(known, min(self.sample, len(known))))


def training_paths(folder: Path, prefix: Path | None) -> list[Path]:
    """The source and target file of the training text: those that the model folder names, or those of the prefix.

    Raises:
        ValueError: where the folder names no files, or the files are no longer there.
    """
    options = checkpoint.read_options(folder)
    languages, files = options.languages, options.provenance.files
    if not (languages.source and languages.target if prefix else {*ROLES} <= files.keys()):
        raise ValueError(f"{options.path}: does not say what the model was trained on; restore a copy")
    if prefix:
        return [Path(f"{prefix}.{language}") for language in (languages.source, languages.target)]
    paths = [Path(files[role]) for role in ROLES]
    if missing := [path for path in paths if not path.exists()]:
        raise ValueError(f"{missing[0]}: the training text is no longer there; name it with --train-text PREFIX")
    return paths


def read_training_text(
    folder: Path, weights: str, prefix: Path | None, sample: int, warn: Callable[[str], None]
) -> TrainingText:
    """The text that a model folder names, or the text of a prefix; warns where the model was trained on another text.

    Args:
        weights: "best" or "last".

    Raises:
        ValueError: where the files are not to be found.
    """
    options = checkpoint.read_options(folder)
    paths = training_paths(folder, prefix)
    sources, targets = read_sources(*paths)
    for path, role in zip(paths, ROLES, strict=True):
        if sha256(path) != options.data.get(role):
            warn(f"{path}: is not the text that the model was trained on, or has changed since")
    updates = (checkpoint.updates(folder, which) for which in (weights, "last"))
    return TrainingText(sources, targets, sample, *updates)


def measure(
    translator: Translator, records: Sequence[Record], text: TrainingText, settings: SearchSettings
) -> Fit | None:
    """The losses on a sample of the training text and on the references; None where either has no piece to score.

    Pairs with a blank side are left out on both sides, and so are targets that are too long to be scored.
    """
    drawn, targets = [], []
    for index in text.drawn():
        if translator.holds(target := translator.encode_target(text.targets[index]), settings):
            drawn.append(text.sources[index])
            targets.append([target])
    forced = [hypothesis for (hypothesis,) in translator.score(translator.read(drawn, settings), targets, settings)]
    known = [(-hypothesis.total, hypothesis.length) for hypothesis in forced if math.isfinite(hypothesis.total)]
    references = [
        reference for record in records for reference in record.references if _pair(record.source, reference.text)
    ]
    new = [(-reference.total, reference.length) for reference in references if math.isfinite(reference.total)]
    if not known or not new:
        return None
    generator = np.random.default_rng(1)
    train, here = (_losses(pairs, generator) for pairs in (known, new))
    share = 1 - train / here
    interval = Interval.of(share)
    counts = Counter(token for index in text.pairs() for token in translator.encode_target(text.targets[index]))
    return Fit(
        pairs=len(known),
        train_loss=float(train[0]),
        loss=float(here[0]),
        share=interval.value,
        low=interval.low,
        high=interval.high,
        best_update=text.best_update,
        last_update=text.last_update,
        frequencies=tuple(_frequencies(records, counts)),
    )


def _pair(source: str, target: str) -> bool:
    """Whether neither side is blank."""
    return bool(source.strip() and target.strip())


def _losses(pairs: Sequence[tuple[float, int]], generator: np.random.Generator) -> Floats:
    """The loss in nats a piece: of all sentences first, then of every resample."""
    counted = Counted(np.array(pairs, dtype=np.float64), lambda sums: sums[:, 0] / sums[:, 1])
    return resampled([counted], RESAMPLES, generator)[:, 0]


def _frequencies(records: Sequence[Record], counts: Mapping[int, int]) -> Iterable[Frequency]:
    """The pieces of the references, EOS among them, by how often the training text has them."""
    pieces: dict[int, list[float]] = {number: [] for number in range(len(CLASSES))}
    turned: Counter[int] = Counter()
    for record in records:
        if not _pair(record.source, record.reference.text):
            continue
        for token, log_p in zip(record.reference.tokens, record.reference.log_probs, strict=False):  # or not scored
            if math.isfinite(log_p):
                pieces[_class(counts.get(token, 0))].append(-log_p)
        if record.verdict == Verdict.MODEL and record.divergence is not None:
            turned[_class(counts.get(record.reference.tokens[record.divergence.step - 1], 0))] += 1
    for number, (least, most) in enumerate(CLASSES):
        if losses := pieces[number]:
            yield Frequency(least, most, len(losses), math.fsum(losses) / len(losses), turned[number])


def _class(count: int) -> int:
    return next(number for number, (least, most) in enumerate(CLASSES) if most is None or count <= most)
