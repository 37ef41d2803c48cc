"""What draws the segmentations of a training in every epoch, if the options ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nmtkit.batches.corpus import Corpus
from nmtkit.devices import cores
from nmtkit.ragged import Joined, Ragged
from nmtkit.tokenizer.samplers import Samplers
from nmtkit.tokenizer.sampling import SOURCE, TARGET, Sampler
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training.plan import Plan

CHECKED = 1000
"""Number of pairs that are checked to come back from their ids."""
MOST_PROCESSES = 4


def make_sampler(plan: Plan, tokenizer: Tokenizer, corpus: Corpus) -> Sampler | None:
    """The sampler of a run; None if its segmentations stay the same.

    Raises:
        ValueError: if text does not come back from its ids, because the tokenizer was made elsewhere.
    """
    options = plan.run.training
    if not options.subword_regularization:
        return None
    sampler = Sampler(tokenizer, options.subword_regularization, options.seed, plan.limits())
    if tokenizer.features is None:
        sampler.check(SOURCE, _first(corpus.source))
    sampler.check(TARGET, _first(corpus.target))
    return sampler


@contextmanager
def in_processes(sampler: Sampler | None, plan: Plan, beside: int = 1) -> Iterator[Samplers | None]:
    """The sampler in processes that use the cores which the training leaves, within the block.

    Args:
        beside: number of processes of the training on this machine.
    """
    if sampler is None:
        yield None
        return
    threads = torch.get_num_threads() if plan.device.type == "cpu" else 1
    left = cores() // beside - threads
    with Samplers(sampler, min(max(left, 1), MOST_PROCESSES)) as samplers:
        yield samplers


def _first(part: Ragged | Joined) -> list[list[int]]:
    return [part[index].tolist() for index in range(min(len(part), CHECKED))]
