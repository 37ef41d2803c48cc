"""What a search maximises, and the most that a prefix can still reach.

J(y) = Σ_t log P(y_t | x, y_<t) / lp(|y|), with |y| counting EOS, under one of two length penalties:

    power    lp(T) = T^α: α = 0 is the plain log-probability, α = 1 the mean per token (Jean et al. 2015)
    gnmt     lp(T) = ((5 + T) / 6)^α (Wu et al. 2016, equation 14, without its coverage term)

Where the beginning of the outputs is given, J is that of the rest, in every search and in blame:

    J(y | prefix) = log P(rest | x, prefix) / lp(|rest|), with |rest| counting EOS

All outputs share the cost of the prefix. Divided by the whole length it would shrink as they grow, and an unlikely
prefix would pay for padding. J of a given translation that does not begin with the prefix is that of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

from nmtkit.settings import Within, check_bounds

if TYPE_CHECKING:
    from torch import Tensor

Number = TypeVar("Number", float, "Tensor")
PENALTIES = ("power", "gnmt")


@dataclass(frozen=True)
class Objective:
    """J with one exponent: the same for ranking, stopping, forced scores and blame.

    Attributes:
        alpha: at least 0. Below 0 longer outputs would win because they are longer, and no bound would hold.
        penalty: "power" or "gnmt".
    """

    alpha: Annotated[float, Within(0, 10, usual=0.7)] = 0.7
    penalty: str = "power"

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.penalty not in PENALTIES:
            raise ValueError(f"length_penalty = {self.penalty!r} is not known: choose one of {', '.join(PENALTIES)}")

    @property
    def bounded(self) -> bool:
        """Whether `bound` holds; exact search needs it."""
        return True

    def final(self, total: Number, length: Number | int) -> Number:
        """J of a finished hypothesis of `length` tokens (EOS counted) with log-probability `total`."""
        score: Number = total / self.penalized(length)
        return score

    def penalized(self, length: Number | int) -> Number | float:
        """lp(T), by which Σ log P of T tokens is divided."""
        base = length if self.penalty == "power" else (5 + length) / 6
        divisor: Number | float = base**self.alpha
        return divisor

    def bound(self, total: Number, max_length: Number) -> Number:
        """The highest J that any continuation of a prefix can reach within `max_length` tokens (EOS counted).

        Admissible because log-probabilities are at most 0 (the total cannot rise) and lp does not fall as T grows (α is
        at least 0): no divisor is larger than that of the longest.
        """
        return self.final(total, max_length)


def default_limit(source_pieces: int) -> int:
    """The default length limit of a translation, EOS counted, for a source of N pieces (its EOS not counted)."""
    return 2 * source_pieces + 10
