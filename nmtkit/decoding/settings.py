"""The settings of a search: everything that determines the output, together with the model."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Annotated

from nmtkit.decoding.objective import Objective, default_limit
from nmtkit.decoding.rules import Rules
from nmtkit.settings import Within, bounds, check_bounds

LENGTH = Within(1, 10_000)
"""Target pieces, EOS counted."""
RATIO = Within(0, 100, above=True)
"""Target pieces for each source piece."""
BUDGET_STEPS = Within(1, 1_000_000_000)
"""Model steps of an exact search for a line."""
BUDGET_SECONDS = Within(0, 10_000_000, above=True)
"""Seconds of an exact search for a line."""
SAMPLES = Within(1, 100_000)
"""Samples of a line."""
TEMPERATURE = Within(0, 1000, above=True, usual=1)
TOP_K = Within(1, 1_000_000_000)
TOP_P = Within(0, 1, above=True, usual=0.9)
EPSILON = Within(0, 1, usual=0.02)
"""How samples are drawn, see `Cut`."""


SHOWN = (
    *("beam", "length_alpha", "length_penalty", "max_length", "max_length_ratio"),
    *("n_best", "max_source", "batch_tokens"),
)
"""Settings that are always shown, and those that decide no output."""


@dataclass(frozen=True)
class SearchSettings:
    """The settings of a search.

    Attributes:
        beam: hypotheses kept at each step; 1 is greedy search.
        length_alpha: exponent of the length normalisation; at 0 the score is the sum, at 1 the mean per token.
        n_best: translations returned for each line; at most the beam.
        max_length: most target pieces, EOS counted; None: 2 × source pieces + 10, unless `max_length_ratio` is given.
        max_source: most source pieces; the rest of a sentence is cut off, with a warning.
        batch_tokens: most padded source pieces searched at one time.
        length_penalty: "power" or "gnmt", see `Objective`.
        min_length: fewest target pieces, EOS counted.
        max_length_ratio: most target pieces for each source piece; with `max_length` the smaller holds.
        min_length_ratio: fewest target pieces for each source piece; with `min_length` the larger holds.
            Never above the most.
        patience, free_eos, forbid_unk, no_repeat_ngram: see `Rules`.
    """

    beam: Annotated[int, Within(1, 10_000)] = 5
    length_alpha: Annotated[float, bounds(Objective, "alpha")] = 0.7
    n_best: Annotated[int, Within(1, 10_000)] = 1
    max_length: Annotated[int | None, LENGTH] = None
    max_source: Annotated[int, Within(1, 100_000)] = 1000
    batch_tokens: Annotated[int, Within(1, 1_000_000)] = 2048
    length_penalty: str = "power"
    min_length: Annotated[int | None, LENGTH] = None
    max_length_ratio: Annotated[float | None, RATIO] = None
    min_length_ratio: Annotated[float | None, RATIO] = None
    patience: Annotated[float | None, bounds(Rules, "patience")] = None
    free_eos: bool = False
    forbid_unk: bool = False
    no_repeat_ngram: Annotated[int, bounds(Rules, "no_repeat_ngram")] = 0

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.n_best > self.beam:
            raise ValueError(f"n_best = {self.n_best} needs a beam at least as wide, but beam = {self.beam}")
        for least, most in (("min_length", "max_length"), ("min_length_ratio", "max_length_ratio")):
            low, high = getattr(self, least), getattr(self, most)
            if low is not None and high is not None and low > high:
                raise ValueError(f"{least} = {low} is more than {most} = {high}")
        assert self.objective and self.rules

    @property
    def objective(self) -> Objective:
        return Objective(self.length_alpha, self.length_penalty)

    @property
    def rules(self) -> Rules:
        return Rules(**{field.name: getattr(self, field.name) for field in fields(Rules)})

    @property
    def limit_in_words(self) -> str:
        """The rule for the most target pieces."""
        ratio = [] if self.max_length_ratio is None else [f"{self.max_length_ratio:g} × source pieces"]
        absolute = [] if self.max_length is None else [str(self.max_length)]
        return " and ".join([*ratio, *absolute]) or "2 × source pieces + 10"

    @property
    def in_words(self) -> str:
        """The settings in words: beam, objective, limit, and all that differs from the defaults."""
        parts = [f"beam {self.beam}", f"α {self.length_alpha:g} ({self.length_penalty})", *self.changed(*SHOWN)]
        limit = self.limit_in_words.removesuffix(" pieces")
        return ", ".join([*parts, f"at most {limit} piece{'' if limit == '1' else 's'}"])

    def changed(self, *known: str) -> tuple[str, ...]:
        """The settings that differ from their defaults, in words, without those that are `known`."""
        usual = {field.name: field.default for field in fields(self) if field.name not in known}
        values = {name: getattr(self, name) for name, default in usual.items() if getattr(self, name) != default}
        return tuple(
            f"{name} {value:g}" if value is not True else name
            for name, value in ((name.replace("_", " "), value) for name, value in values.items())
        )

    def lengths(self, source_pieces: int) -> tuple[int, int]:
        """The fewest and the most target pieces, EOS counted, for N source pieces (EOS not counted)."""
        asked = [] if self.max_length is None else [self.max_length]
        if self.max_length_ratio is not None:
            asked.append(math.floor(self.max_length_ratio * source_pieces))
        most = max(1, min(asked, default=default_limit(source_pieces)))
        fewest = max(self.min_length or 1, math.ceil((self.min_length_ratio or 0) * source_pieces))
        return min(fewest, most), most
