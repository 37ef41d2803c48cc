"""Validation: unsmoothed loss and BLEU of real beam output on the dev set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nmtkit.batches.batch import group, make_batch
from nmtkit.batches.corpus import Corpus
from nmtkit.console import warn
from nmtkit.evaluation.metrics import bleu
from nmtkit.models.interface import Stepper
from nmtkit.training.ranks import Share
from nmtkit.translator import Translator


@dataclass(frozen=True)
class DevSet:
    """The dev set as text and as ids."""

    source_lines: Sequence[str]
    target_lines: Sequence[str]
    corpus: Corpus


@dataclass(frozen=True)
class Validation:
    """Results on a dev set, or on a part of it; the results of parts add up.

    Attributes:
        loss: sum of −log P of the target pieces, in nats, without smoothing and dropout.
        pieces: number of target pieces, EOS counted.
        outputs: outputs of the beam, one line per sentence.
        references: references, one line per sentence.
    """

    loss: float
    pieces: int
    outputs: tuple[str, ...]
    references: tuple[str, ...]

    def __add__(self, other: Validation) -> Validation:
        outputs, references = self.outputs + other.outputs, self.references + other.references
        return Validation(self.loss + other.loss, self.pieces + other.pieces, outputs, references)

    def scores(self) -> dict[str, float]:
        """`loss` (nats per piece) and `bleu`."""
        return {"loss": self.loss / self.pieces, "bleu": bleu(self.outputs, [self.references])}


@torch.no_grad()
def dev_loss(model: Stepper[Any, Any], corpus: Corpus, chosen: Iterable[int], batch_tokens: int) -> float:
    """Sum of −log P of the target pieces of the chosen pairs, including EOS, in nats."""
    source, target = corpus.source.lengths, corpus.target.lengths
    order = sorted(chosen, key=lambda index: (target[index], source[index]))
    total = 0.0
    for indices in group(source, target, order, batch_tokens):
        batch = make_batch(corpus, indices).to(model.device)
        memory = model.encode(batch.source_BS, batch.mask_BS)
        log_probs = model.decode(memory, batch.target_in_BT)
        total += log_probs.loss(batch.target_out_BT, scored_M=batch.scored_M).item()
    return total


def validate(translator: Translator, dev: DevSet, share: Share, batch_tokens: int) -> Validation:
    """Loss and outputs of the model in evaluation mode, with its default search, on a share of the dev set."""
    pairs, lines = share.of(len(dev.corpus)), share.of(len(dev.target_lines))
    loss = dev_loss(translator.model, dev.corpus, pairs, batch_tokens)
    check_finite(loss)
    sources = dev.source_lines[lines.start : lines.stop]
    results = translator.search(sources, translator.defaults, None)  # over-long lines were counted before training
    pieces = sum(dev.corpus.target.lengths[pair] for pair in pairs)
    references = dev.target_lines[lines.start : lines.stop]
    return Validation(loss, pieces, tuple(best.text for best, *_ in results), tuple(references))


def check_finite(loss: float) -> None:
    """Refuse a loss that shows that the weights are lost, before anything is translated with them."""
    if not math.isfinite(loss):
        raise ValueError(
            f"the dev loss is {loss}, so the training has diverged: train again with a lower learning_rate"
        )


def warn_of_guessing(loss: float, pieces: int) -> None:
    """Warn of a loss that is worse than guessing among `pieces` pieces."""
    if loss > math.log(pieces):
        warn(
            f"the dev loss {loss:.3f} is above the {math.log(pieces):.3f} of mere guessing: the model has learned "
            "nothing yet, or the training has diverged and wants a lower learning_rate"
        )
