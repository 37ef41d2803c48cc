"""Other segmentations of a training text in every epoch, drawn at random: subword regularization.

BPE leaves out merges (Provilkov et al. 2020); unigram models draw one of the best segmentations (Kudo 2018).
"""

from __future__ import annotations

from collections.abc import Sequence

from nmtkit.specials import EOS, UNK
from nmtkit.tokenizer.tokenizer import Tokenizer

SOURCE, TARGET = 0, 1
"""The sides of a pair."""


class Sampler:
    """Draws segmentations; each depends on the seed, the epoch, the number of the pair and the side alone.

    Args:
        alpha: as for `Vocabulary.sample`.
        most: most pieces of a source and of a target, EOS not counted; a text that would get more keeps its own.

    Attributes:
        at_once: number of calls of `draw` that can run at the same time.
    """

    at_once = 1

    def __init__(self, tokenizer: Tokenizer, alpha: float, seed: int, most: tuple[int, int]) -> None:
        self.tokenizer, self.alpha, self.seed, self.most = tokenizer, alpha, seed, most

    def draw(self, side: int, epoch: int, numbers: Sequence[int], sequences: Sequence[list[int]]) -> list[list[int]]:
        """Segmentations of one side of pairs.

        Args:
            numbers: of the pairs in the corpus.
            sequences: their ids as `encode` gives them, and EOS.
        """
        return [
            self._draw(side, ids, ((self.seed << 32 | epoch) << 64 | number) << 1 | side)
            for number, ids in zip(numbers, sequences, strict=True)
        ]

    def _draw(self, side: int, ids: list[int], seed: int) -> list[int]:
        if UNK in ids:  # whose text is lost
            return ids
        vocabulary = (self.tokenizer.source, self.tokenizer.target)[side]
        drawn = vocabulary.sample(vocabulary.decode(ids), self.alpha, seed)
        return [*drawn, EOS] if len(drawn) <= self.most[side] else ids

    def check(self, side: int, sequences: Sequence[list[int]]) -> None:
        """ValueError if the text of sequences, as for `draw`, cannot be restored from them."""
        vocabulary = (self.tokenizer.source, self.tokenizer.target)[side]
        for ids in sequences:
            if UNK not in ids and not vocabulary.restores(ids[:-1]):
                text = vocabulary.decode(ids)[:60]
                raise ValueError(
                    f"subword_regularization = {self.alpha} needs a tokenizer whose pieces can be read back, but these "
                    f"become others: {text!r}; set it to 0, or make a tokenizer with nmtkit train-tokenizer"
                )
