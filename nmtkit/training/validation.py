"""Validation: unsmoothed loss and BLEU of real beam output on the dev set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nmtkit.batches.batch import group, make_batch
from nmtkit.batches.corpus import Corpus
from nmtkit.console import warn
from nmtkit.decoding.settings import SearchSettings
from nmtkit.evaluation.metrics import bleu
from nmtkit.models.interface import Stepper
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
def dev_loss(model: Stepper[Any, Any], corpus: Corpus, batch_tokens: int) -> float:
    """Sum of −log P of the target pieces, including EOS, in nats."""
    source, target = corpus.source.lengths, corpus.target.lengths
    order = sorted(range(len(corpus)), key=lambda index: (target[index], source[index]))
    total = 0.0
    for indices in group(source, target, order, batch_tokens):
        batch = make_batch(corpus, indices).to(model.device)
        memory = model.encode(batch.source_BS, batch.mask_BS)
        log_probs = model.decode(memory, batch.target_in_BT)
        total += log_probs.loss(batch.target_out_BT, scored_M=batch.scored_M).item()
    return total


def validate(translator: Translator, dev: DevSet, settings: SearchSettings, batch_tokens: int) -> Validation:
    """Loss and outputs of the model in evaluation mode; refuses or warns of a loss that shows divergence."""
    loss, pieces = dev_loss(translator.model, dev.corpus, batch_tokens), sum(dev.corpus.target.lengths)
    check_loss(loss / pieces, translator.tokenizer.target.size - 2)  # all but PAD and BOS
    results = translator.search(dev.source_lines, settings, None)  # over-long lines were counted before training
    return Validation(loss, pieces, tuple(best.text for best, *_ in results), tuple(dev.target_lines))


def check_loss(loss: float, pieces: int) -> None:
    """Refuse a loss that is not finite, and warn of one that is worse than guessing among `pieces` pieces."""
    if not math.isfinite(loss):
        raise ValueError(f"the dev loss is {loss}, so the training has diverged: train anew with a lower learning_rate")
    if loss > math.log(pieces):
        warn(
            f"the dev loss {loss:.3f} is above the {math.log(pieces):.3f} of mere guessing: the model has learned "
            "nothing yet, or the training has diverged and wants a lower learning_rate"
        )
