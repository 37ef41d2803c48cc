"""Validation: unsmoothed loss and BLEU of real beam output on the dev set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nmtkit.batches.batch import group, make_batch
from nmtkit.batches.corpus import Corpus
from nmtkit.console import warn
from nmtkit.decoding.settings import SearchSettings
from nmtkit.evaluation.metrics import bleu
from nmtkit.translator import Translator


@dataclass(frozen=True)
class DevSet:
    """The dev set as text and as ids."""

    source_lines: Sequence[str]
    target_lines: Sequence[str]
    corpus: Corpus


@torch.no_grad()
def dev_loss(translator: Translator, corpus: Corpus, batch_tokens: int) -> float:
    """Mean −log P of a target piece (EOS counted), in nats."""
    source, target = corpus.source.lengths, corpus.target.lengths
    order = sorted(range(len(corpus)), key=lambda index: (target[index], source[index]))
    total = 0.0
    for indices in group(source, target, order, batch_tokens):
        batch = make_batch(corpus, indices).to(translator.model.device)
        memory = translator.model.encode(batch.source_BS, batch.mask_BS)
        total += translator.model.decode(memory, batch.target_in_BT).loss(batch.target_out_BT).item()
    return total / sum(target)


def validate(translator: Translator, dev: DevSet, settings: SearchSettings, batch_tokens: int) -> dict[str, float]:
    """`loss` (nats a piece, no smoothing, no dropout) and `bleu` of the model in evaluation mode."""
    loss = dev_loss(translator, dev.corpus, batch_tokens)
    check_loss(loss, translator.tokenizer.target.size - 2)  # all but PAD and BOS
    found = translator.search(dev.source_lines, settings, None)  # over-long lines were counted before training
    outputs = [translations[0].text for translations in found]
    return {"loss": loss, "bleu": bleu(outputs, [list(dev.target_lines)])}


def check_loss(loss: float, pieces: int) -> None:
    """Refuse a loss that is no number, and warn of one that guessing among so many pieces would not have."""
    if not math.isfinite(loss):
        raise ValueError(f"the dev loss is {loss}, so the training has diverged: train anew with a lower learning_rate")
    if loss > math.log(pieces):
        warn(
            f"the dev loss {loss:.3f} is above the {math.log(pieces):.3f} of mere guessing: the model has learned "
            "nothing yet, or the training has diverged and wants a lower learning_rate"
        )
