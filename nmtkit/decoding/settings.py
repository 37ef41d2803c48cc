"""How to search: everything that, with the model, determines the output."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nmtkit.decoding.objective import Objective, default_limit
from nmtkit.decoding.rules import Rules


@dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Attributes:
        beam: hypotheses kept at each step; 1 is greedy search.
        length_alpha: exponent of the length normalisation; 0 none, 1 mean of a token.
        n_best: translations returned for each line; at most the beam.
        max_length: most target pieces, EOS counted; None: 2 × source pieces + 10, unless `max_length_ratio` is given.
        max_source: source pieces beyond this many are cut off, with a warning.
        batch_tokens: most padded source pieces searched at one time.
        length_penalty: "power" or "gnmt", see `Objective`.
        min_length: fewest target pieces, EOS counted.
        max_length_ratio: most target pieces for each source piece; with `max_length` the smaller holds.
        min_length_ratio: fewest of them; with `min_length` the larger holds. Never above the most.
        patience, free_eos, forbid_unk, no_repeat_ngram: see `Rules`.
    """

    beam: int = 5
    length_alpha: float = 0.7
    n_best: int = 1
    max_length: int | None = None
    max_source: int = 1000
    batch_tokens: int = 2048
    length_penalty: str = "power"
    min_length: int | None = None
    max_length_ratio: float | None = None
    min_length_ratio: float | None = None
    patience: float | None = None
    free_eos: bool = False
    forbid_unk: bool = False
    no_repeat_ngram: int = 0

    def __post_init__(self) -> None:
        for name in ("beam", "n_best", "max_source", "batch_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} is not possible: choose 1 or more")
        for name in ("max_length", "min_length"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} is not possible: choose 1 or more (EOS counts)")
        for name in ("max_length_ratio", "min_length_ratio"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} = {getattr(self, name)} is not possible: choose more than 0")
        if self.n_best > self.beam:
            raise ValueError(f"n_best = {self.n_best} needs a beam at least as wide, but beam = {self.beam}")
        if self.min_length and self.max_length and self.min_length > self.max_length:
            raise ValueError(f"min_length = {self.min_length} is more than max_length = {self.max_length}")
        assert self.objective and self.rules

    @property
    def objective(self) -> Objective:
        return Objective(self.length_alpha, self.length_penalty)

    @property
    def rules(self) -> Rules:
        return Rules(self.patience, self.free_eos, self.forbid_unk, self.no_repeat_ngram)

    @property
    def limit_in_words(self) -> str:
        """The rule for the most target pieces."""
        ratio = [] if self.max_length_ratio is None else [f"{self.max_length_ratio:g} × source pieces"]
        absolute = [] if self.max_length is None else [str(self.max_length)]
        return " and ".join([*ratio, *absolute]) or "2 × source pieces + 10"

    @property
    def in_words(self) -> str:
        """What determines the output: beam, objective, limit, and whatever is not as usual."""
        usual = SearchSettings()
        rules = ("min_length", "min_length_ratio", "patience", "free_eos", "forbid_unk", "no_repeat_ngram")
        changed = [
            f"{name.replace('_', ' ')} {value:g}" if value is not True else name.replace("_", " ")
            for name in rules
            if (value := getattr(self, name)) != getattr(usual, name)
        ]
        parts = [f"beam {self.beam}", f"α {self.length_alpha:g} ({self.length_penalty})", *changed]
        limit = self.limit_in_words.removesuffix(" pieces")
        return ", ".join([*parts, f"at most {limit} piece{'' if limit == '1' else 's'}"])

    def lengths(self, source_pieces: int) -> tuple[int, int]:
        """The fewest and the most target pieces, EOS counted, for so many source pieces (EOS not counted)."""
        asked = [] if self.max_length is None else [self.max_length]
        if self.max_length_ratio is not None:
            asked.append(math.floor(self.max_length_ratio * source_pieces))
        most = max(1, min(asked, default=default_limit(source_pieces)))
        fewest = max(self.min_length or 1, math.ceil((self.min_length_ratio or 0) * source_pieces))
        return min(fewest, most), most
