"""Translation as a task: pairs of a parallel text, label-smoothed cross-entropy, and BLEU of real beam output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from nmtkit.batches.batch import Batch, epoch_batches, make_batch
from nmtkit.batches.corpus import Corpus
from nmtkit.decoding.settings import SearchSettings
from nmtkit.models.interface import Model
from nmtkit.ragged import Ragged
from nmtkit.tokenizer.samplers import Samplers
from nmtkit.tokenizer.sampling import SOURCE, TARGET, Sampler
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training.options import TrainingOptions
from nmtkit.training.ranks import Share
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
        return 1

    def batches(self, epoch: int, window: int) -> Sequence[list[int]]:
        return epoch_batches(self.corpus, self.options.batch_tokens, self.options.seed, epoch)

    def size(self, batch: list[int]) -> Size:
        source, target = self.corpus.source.lengths, self.corpus.target.lengths
        return Size(len(batch), sum(target[index] for index in batch), sum(source[index] for index in batch))

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
        pairs = content.to(model.device)
        memory = model.encode(pairs.source_BS, pairs.mask_BS)
        loss = model.decode(memory, pairs.target_in_BT).loss(pairs.target_out_BT, self.options.label_smoothing)
        return loss, content.predicted

    def validate(self, model: Model, share: Share) -> Validation:
        settings = validation_settings(self.options)
        translator = Translator(model, self.tokenizer, settings)
        return validate(translator, self.dev, share, self.options.batch_tokens)

    def score(self, facts: Validation) -> Scores:
        scores = facts.scores()
        warn_of_guessing(scores["loss"], self.tokenizer.target.size - 2)  # all but PAD and BOS
        return scores

    def shown(self, scores: Scores) -> str:
        return f"dev loss {scores['loss']:.3f} nats a piece, BLEU {scores['bleu']:.2f}"


def validation_settings(options: TrainingOptions) -> SearchSettings:
    """The search of the validation, which becomes the model's default."""
    return SearchSettings(beam=options.valid_beam, length_alpha=options.valid_length_alpha)
