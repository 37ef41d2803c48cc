"""What a beam search may do beside keeping the B best: when it stops, what takes a slot, what it must not say.

Shape key: A sentences, W hypotheses a sentence, K candidates a hypothesis, T tokens so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from nmtkit.settings import Within, check_bounds
from nmtkit.specials import EOS, UNK

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Rules:
    """The usual search has none of them; all but the bans leave every score what it is.

    Attributes:
        patience: None: stop when nothing alive can win any more. X: stop as soon as X · beam hypotheses of a sentence
            are finished, at least one (Kasai et al. 2022; fairseq and CTranslate2 with X = 1), which is faster and may
            miss the best.
        free_eos: a hypothesis that ends takes no slot: of the 2B best candidates of a step those among the first B
            that end are finished, and the B best others live on (as in fairseq and CTranslate2).
        forbid_unk: UNK is never produced.
        no_repeat_ngram: no sequence of so many tokens occurs twice in an output; 0: any may.
    """

    patience: Annotated[float | None, Within(0, 1000, above=True, usual=1)] = None
    free_eos: bool = False
    forbid_unk: bool = False
    no_repeat_ngram: Annotated[int, Within(0, 10_000)] = 0

    def __post_init__(self) -> None:
        check_bounds(self)

    def enough(self, beam: int) -> float:
        """How many finished hypotheses of a sentence end its search, where there is patience."""
        assert self.patience is not None
        return max(1.0, self.patience * beam)

    def spare(self, length: int, minimum: int) -> int:
        """How many of a hypothesis' best candidates may be forbidden at the step that makes it `length` tokens long."""
        repeats = max(0, length - self.no_repeat_ngram) if self.no_repeat_ngram else 0
        return int(self.forbid_unk) + int(length < minimum) + repeats

    def forbidden(self, id_AWK: Tensor, length: int, minimum_A: Tensor, prefix_AWT: Tensor) -> Tensor:
        """Which candidates (A, W, K) of the step that makes hypotheses `length` tokens long must not be kept."""
        forbidden = (id_AWK == EOS) & (minimum_A > length)[:, None, None]
        if self.forbid_unk:
            forbidden |= id_AWK == UNK
        size, past = self.no_repeat_ngram, prefix_AWT.shape[2]
        if size and past >= size:
            windows = prefix_AWT.unfold(2, size, 1)
            same = (windows[..., :-1] == prefix_AWT[:, :, None, past - size + 1 :]).all(-1)
            banned_AWP = windows[..., -1].masked_fill(~same, -1)
            forbidden |= (id_AWK.unsqueeze(-1) == banned_AWP.unsqueeze(2)).any(-1)
        return forbidden
