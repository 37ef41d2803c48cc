"""Does the model know its training text better than this text? This decides between more data and a bigger model.

The loss is the mean −log P of a target piece of the human translations, EOS counted, without dropout and smoothing. A
model that is far better on its training text needs more data or regularisation. A model that is hardly better there
needs longer training, more parameters or another architecture (bias against variance, as Ng teaches it).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nmtkit import checkpoint
from nmtkit.blame.findings import Fit, Frequency
from nmtkit.blame.records import Record, Verdict
from nmtkit.evaluation.bootstrap import RESAMPLES, Counted, Floats, Interval, resampled
from nmtkit.features import is_features, read_sources
from nmtkit.files import STANDARD, Lines, each_line, sha256, unequal

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

CLASSES = ((0, 0), (1, 9), (10, 99), (100, 999), (1000, None))
"""Classes of pieces by how often the training text has them: from, to."""


@dataclass(frozen=True)
class TrainingText:
    """What a model was trained on.

    Attributes:
        sources, targets: as many lines, which may be read anew each time that they are asked for.
        sample: number of pairs that are scored, drawn at random by `seed`.
        best_update, last_update: updates behind the weights in use, and behind the newest weights; 0: not known.
    """

    sources: Iterable[str]
    targets: Iterable[str]
    sample: int
    best_update: int = 0
    last_update: int = 0
    seed: int = 1

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The pairs without a blank side; a model is trained only on these."""
        return (pair for pair in zip(self.sources, self.targets, strict=True) if _pair(*pair))

    def drawn(self, pairs: int) -> list[tuple[str, str]]:
        """The pairs that are scored, in the order of the text.

        Args:
            pairs: how many there are.
        """
        places = {*random.Random(self.seed).sample(range(pairs), min(self.sample, pairs))}
        return [pair for place, pair in enumerate(self.pairs()) if place in places]


def training_paths(folder: Path, prefixes: Sequence[Path]) -> list[tuple[Path, Path]]:
    """The source and target file of every training text: those that the model folder names, or those of the prefixes.

    Raises:
        ValueError: where the folder names no files, or the files are no longer there.
    """
    options = checkpoint.read_options(folder)
    languages, files = options.languages, options.provenance.files
    roles = [role.removesuffix(" source") for role in files if role.startswith("train") and role.endswith(" source")]
    whole = all(f"{role} target" in files for role in roles)
    if not (languages.source and languages.target if prefixes else roles and whole):
        raise ValueError(f"{options.path}: does not say what the model was trained on; restore a copy")
    if prefixes:
        return [(Path(f"{prefix}.{languages.source}"), Path(f"{prefix}.{languages.target}")) for prefix in prefixes]
    paths = [(Path(files[f"{role} source"]), Path(files[f"{role} target"])) for role in roles]
    if missing := [path for pair in paths for path in pair if not path.exists()]:
        what = "was standard input" if str(missing[0]) == STANDARD else "is no longer there"
        raise ValueError(f"{missing[0]}: the training text {what}; name every text with --train-text PREFIX")
    return paths


def read_training_text(
    folder: Path, weights: str, prefixes: Sequence[Path], sample: int, warn: Callable[[str], None]
) -> TrainingText:
    """The texts that a model folder names, or those of prefixes; warns of a text that the model was not trained on.

    Several texts count once each, whatever their weights.

    Args:
        weights: "best" or "last".

    Raises:
        ValueError: where the files are not to be found, or are no parallel text.
    """
    options = checkpoint.read_options(folder)
    paths = training_paths(folder, prefixes)
    texts = [_lines(*pair) for pair in paths]
    known = {digest for role, digest in options.data.items() if role.startswith("train ")}
    for path in (path for pair in paths for path in pair):
        if sha256(path) not in known:
            warn(f"{path}: is not the text that the model was trained on, or has changed since")
    updates = (checkpoint.updates(folder, which) for which in (weights, "last"))
    sources, targets = (Lines(*(text[side] for text in texts)) for side in (0, 1))
    return TrainingText(sources, targets, sample, *updates)


def _lines(source: Path, target: Path) -> tuple[Path | list[str], Path | list[str]]:
    """The lines of a parallel text, which is checked; text stays in its files, vectors are read."""
    if is_features(source):
        sources, targets = read_sources(source, target)
        return sources, targets
    counts = [(path, sum(1 for _ in each_line(path))) for path in (source, target)]
    if counts[0][1] != counts[1][1]:
        raise unequal(counts)
    return source, target


def measure(
    translator: Translator, records: Sequence[Record], text: TrainingText, settings: SearchSettings
) -> Fit | None:
    """The losses on a sample of the training text and on the references; None where either has no piece to score.

    Pairs with a blank side are left out on both sides, and so are targets that are too long to be scored.
    """
    pairs, counts = _counted(translator, text)
    drawn, targets = [], []
    for source, line in text.drawn(pairs):
        if translator.holds(target := translator.encode_target(line), settings):
            drawn.append(source)
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


def _counted(translator: Translator, text: TrainingText) -> tuple[int, Counter[int]]:
    """The number of pairs, and how often their targets have each piece, EOS among them."""
    pairs, counts = 0, Counter[int]()
    for _, target in text.pairs():
        pairs += 1
        counts.update(translator.encode_target(target))
    return pairs, counts


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
