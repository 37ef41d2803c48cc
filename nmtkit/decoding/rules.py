"""Deviations from plain beam search: when it stops, what takes a slot, and which tokens it must not produce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nmtkit.settings import Within, check_bounds
from nmtkit.specials import UNK


@dataclass(frozen=True)
class Rules:
    """Rules of a beam search. Plain search has none; bans exclude hypotheses, and no rule changes any other score.

    Attributes:
        patience: None: stop when no living prefix can win any more. X: stop when X · beam hypotheses of a sentence
            are finished, at least one (Kasai et al. 2022; fairseq and CTranslate2 with X = 1): faster, but it may
            miss the best.
        free_eos: a finished hypothesis takes no slot: of the 2B best candidates of a step those among the first B
            that end are finished, and the B best others live on (as in fairseq and CTranslate2).
        forbid_unk: UNK is never produced.
        no_repeat_ngram: no sequence of this many tokens occurs twice in an output; 0: no such rule.
    """

    patience: Annotated[float | None, Within(0, 1000, above=True, usual=1)] = None
    free_eos: bool = False
    forbid_unk: bool = False
    no_repeat_ngram: Annotated[int, Within(0, 10_000)] = 0

    def __post_init__(self) -> None:
        check_bounds(self)

    @property
    def remember(self) -> bool:
        """Whether the rules need the tokens of every prefix."""
        return self.no_repeat_ngram > 0

    @property
    def never(self) -> tuple[int, ...]:
        """Tokens that no output has, whatever its prefix."""
        return (UNK,) if self.forbid_unk else ()

    def enough(self, beam: int) -> float:
        """The number of finished hypotheses that end the search of a sentence, if there is patience."""
        assert self.patience is not None
        return max(1.0, self.patience * beam)
