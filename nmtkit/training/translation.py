"""Translation as a task: pairs of a parallel text, label-smoothed cross-entropy, and BLEU of real beam output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from nmtkit.batches.batch import epoch_batches, make_batch
from nmtkit.batches.corpus import Corpus
from nmtkit.decoding.settings import SearchSettings
from nmtkit.models.interface import Model
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training.options import TrainingOptions
from nmtkit.training.task import Scores, Size
from nmtkit.training.validation import DevSet, Validation, validate
from nmtkit.translator import Translator


@dataclass(frozen=True)
class TranslationTask:
    """The task of translation; a batch is a list of indices of pairs.

    Attributes:
        corpus: the training text.
        dev: the text to validate on.
        tokenizer: the tokenizer of both texts.
        options: options of training; used are batch size, seed, smoothing and the search of the validation.
    """

    corpus: Corpus
    dev: DevSet
    tokenizer: Tokenizer
    options: TrainingOptions

    @property
    def item(self) -> str:
        return "pair"

    def batches(self, epoch: int) -> Sequence[list[int]]:
        return epoch_batches(self.corpus, self.options.batch_tokens, self.options.seed, epoch)

    def size(self, batch: list[int]) -> Size:
        source, target = self.corpus.source.lengths, self.corpus.target.lengths
        return Size(len(batch), sum(target[index] for index in batch), sum(source[index] for index in batch))

    def halves(self, batch: list[int]) -> Sequence[list[int]]:
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]] if middle else [batch]

    def loss(self, model: Model, batch: list[int]) -> tuple[Tensor, int]:
        pairs = make_batch(self.corpus, batch).to(model.device)
        memory = model.encode(pairs.source_BS, pairs.mask_BS)
        log_probs = model.decode(memory, pairs.target_in_BT)
        loss = log_probs.loss(pairs.target_out_BT, self.options.label_smoothing, pairs.scored_M)
        return loss, self.size(batch).predicted

    def validate(self, model: Model) -> Validation:
        settings = validation_settings(self.options)
        return validate(Translator(model, self.tokenizer, settings), self.dev, settings, self.options.batch_tokens)

    def score(self, facts: Validation) -> Scores:
        return facts.scores()

    def shown(self, scores: Scores) -> str:
        return f"dev loss {scores['loss']:.3f} nats a piece, BLEU {scores['bleu']:.2f}"


def validation_settings(options: TrainingOptions) -> SearchSettings:
    """The search of the validation, which becomes the model's default."""
    return SearchSettings(beam=options.valid_beam, length_alpha=options.valid_length_alpha)
