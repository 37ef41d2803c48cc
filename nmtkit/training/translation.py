"""Translation as a task: pairs of a parallel text, label-smoothed cross-entropy, and BLEU of real beam output."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmtkit.batches.batch import Batch, make_batch
from nmtkit.batches.corpus import Corpus
from nmtkit.batches.order import window_batches, windows
from nmtkit.decoding.settings import SearchSettings
from nmtkit.models.interface import Model
from nmtkit.ragged import Ragged
from nmtkit.tokenizer.samplers import Samplers
from nmtkit.tokenizer.sampling import SOURCE, TARGET, Sampler
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import Share
from nmtkit.training.samples import samples
from nmtkit.training.task import Scores, Size
from nmtkit.training.validation import DevSet, Validation, validate, warn_of_guessing
from nmtkit.translator import Translator


@dataclass(frozen=True)
class TranslationTask:
    """The task of translation; a batch is a list of indices of pairs.

    Attributes:
        corpus: the training text.
        dev: the text to validate on.
        tokenizer: the tokenizer of both texts.
        options: options of training; used are batch size, seed, smoothing and the search of the validation.
        sampler: draws the segmentations of every epoch; None: they stay the same.
    """

    corpus: Corpus
    dev: DevSet
    tokenizer: Tokenizer
    options: TrainingOptions
    sampler: Sampler | Samplers | None = None

    def __post_init__(self) -> None:
        assert (self.sampler is None) == (not self.options.subword_regularization)

    @property
    def item(self) -> str:
        return "pair"

    @property
    def at_once(self) -> int:
        return 1 if self.sampler is None else self.sampler.at_once

    def windows(self, epoch: int) -> int:
        return windows(self.corpus)

    def batches(self, epoch: int, window: int) -> Sequence[list[int]]:
        return window_batches(self.corpus, self.options.batch_tokens, self.options.seed, epoch, window)

    def size(self, batch: list[int]) -> Size:
        source, target = self.corpus.source.lengths_of(batch), self.corpus.target.lengths_of(batch)
        return Size(len(batch), int(target.sum()), int(source.sum()))

    def halves(self, batch: list[int]) -> Sequence[list[int]]:
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]] if middle else [batch]

    def load(self, batch: list[int], epoch: int, pin: bool = False) -> Batch:
        if self.sampler is None:
            pairs = make_batch(self.corpus, batch)
        else:
            pairs = make_batch(self._drawn(self.sampler, batch, epoch), range(len(batch)))
        return pairs.pinned() if pin else pairs

    def _drawn(self, sampler: Sampler | Samplers, batch: list[int], epoch: int) -> Corpus:
        """The pairs of a batch with segmentations of this epoch; vectors have none."""
        source, target = ([part[index] for index in batch] for part in (self.corpus.source, self.corpus.target))

        def draw(side: int, sequences: list[Tensor]) -> Ragged:
            return Ragged.of_ids(sampler.draw(side, epoch, batch, [ids.tolist() for ids in sequences]))

        if (width := self.tokenizer.features) is None:
            read = draw(SOURCE, source)
        else:
            read = Ragged.of_vectors([matrix.numpy() for matrix in source], width)
        return Corpus(read, draw(TARGET, target), self.corpus.counts)

    def loss(self, model: Model, content: Batch) -> tuple[Tensor, int]:
        compute = _compiled() if self.options.compile and model.training else pairs_loss
        tensors = vars(content.to(model.device)).values()
        return compute(model, self.options.label_smoothing, *tensors), content.predicted

    def validate(self, model: Model, share: Share) -> Validation:
        settings = validation_settings(self.options)
        translator = Translator(model, self.tokenizer, settings)
        return validate(translator, self.dev, share, self.options.batch_tokens)

    def score(self, facts: Validation, warming: bool = False) -> Scores:
        scores = facts.scores()
        if not warming:
            warn_of_guessing(scores["loss"], self.tokenizer.target.size - 2)  # all but PAD and BOS
        return scores

    def shown(self, scores: Scores) -> str:
        return f"dev loss {scores['loss']:.3f} nats a piece, BLEU {scores['bleu']:.2f}"

    def samples(self, facts: Validation) -> Sequence[str]:
        return [*samples(self.dev, facts.outputs)]


def validation_settings(options: TrainingOptions) -> SearchSettings:
    """The search of the validation, which becomes the model's default."""
    return SearchSettings(beam=options.valid_beam, length_alpha=options.valid_length_alpha)


def pairs_loss(
    model: Model,
    smoothing: float,
    source_BS: Tensor,
    mask_BS: Tensor,
    target_in_BT: Tensor,
    target_out_BT: Tensor,
    scored_M: Tensor,
) -> Tensor:
    """The summed label-smoothed cross-entropy of a batch, in nats; the tensors are those of `Batch`."""
    log_probs = model.decode(model.encode(source_BS, mask_BS), target_in_BT)
    return log_probs.loss(target_out_BT, smoothing, scored_M)


@functools.cache
def _compiled() -> Callable[..., Tensor]:
    """`pairs_loss`, compiled once for batches of every shape."""
    return torch.compile(pairs_loss, dynamic=True)
