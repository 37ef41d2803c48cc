"""Samples: translations that are drawn from the model, piece by piece, with the probability that it gives them.

Each token is drawn as `cut.py` says, from numbers that are a function of seed, line, sample and step (`draws.py`): the
same samples come whatever the batches are, unless rounding moves a number across a border. At the limit EOS is the only
extension, as in the beam, and a prefix is forced; both at their real cost. The score of a sample is that under the
model, whatever was cut; log q is that of the draws.

Shape key: S sentences, A sentences with living samples, W samples read per sentence, N = A·W, R = all samples at one
time, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic

import torch
from torch import Tensor

from nmtkit.decoding.choices import Choices, Likely, Prefixes, choices
from nmtkit.decoding.constraints import Constraints
from nmtkit.decoding.cut import WHOLE, Cut
from nmtkit.decoding.draws import keys, uniforms
from nmtkit.decoding.given import Given
from nmtkit.decoding.hypothesis import Hypothesis, scored
from nmtkit.decoding.objective import Objective
from nmtkit.decoding.rules import Rules
from nmtkit.decoding.search import Encoded, Query
from nmtkit.decoding.settings import SAMPLES, SearchSettings
from nmtkit.models.interface import Memory, State, Stepper
from nmtkit.settings import SEED, check_bounds
from nmtkit.specials import BOS, EOS, PAD

PLAIN = Rules()
POSITIONS = 16
"""Target positions that are held at one time, for each padded source piece that is searched at one time."""
ROWS = 64
"""Number of distributions that are drawn from at one time: few enough for a processor's cache."""
SHRINK = 0.75
"""Finished samples leave the batch once no more than this part of its rows would be left."""


@dataclass(frozen=True)
class Drawn(Hypothesis):
    """A sample.

    Attributes:
        number: its number among the samples of its sentence, from 1.
        log_q: log of the probability in nats with which it was drawn, by the distributions that bans, temperature and
            cuts leave; what is forced has the probability 1. So exp(total − log_q) is its importance weight.
    """

    number: int = 1
    log_q: float = 0.0


@dataclass(frozen=True)
class Sample:
    """N samples of each sentence, in the order of their numbers; equal ones are kept.

    A sample that comes to a dead end, where every token is banned, is left out. The draws are a function of the seed
    and of `Query.line`, so two calls whose lines have the same numbers draw the same ones: vary `seed`, or the
    `first_line` of `Translator.read`.

    Attributes:
        number: N.
        objective: computes J of each sample; it decides nothing.
        cut: how tokens are drawn.
        rules: bans as in a beam search; what concerns the beam alone plays no part.
        positions: most target positions that are held at one time, unless a sample of each sentence needs more.
    """

    number: Annotated[int, SAMPLES]
    objective: Objective
    cut: Cut = WHOLE
    seed: Annotated[int, SEED] = 1
    rules: Rules = PLAIN
    positions: int = 32_768

    @classmethod
    def of(cls, settings: SearchSettings, number: int, cut: Cut = WHOLE, seed: int = 1) -> Sample:
        """Samples with the objective, the bans and the memory of the settings."""
        return cls(number, settings.objective, cut, seed, settings.rules, POSITIONS * settings.batch_tokens)

    def __post_init__(self) -> None:
        check_bounds(self)

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[list[Drawn] | None]:
        """The samples of each sentence: none if all come to a dead end; None if the model gives no finite
        probability."""
        if any(query.terms for query in queries):
            raise ValueError("samples are drawn without a beam, which terms need: leave the terms out")
        results: list[list[Drawn]] = [[] for _ in queries]
        longest = max(query.limit for query in queries)
        at_once = max(1, self.positions // (longest * len(queries)))
        for first in range(0, self.number, at_once):
            numbers = range(first, min(first + at_once, self.number))
            drawn = Drawing(self, stepper, batch.memory, queries, numbers).run()
            for own, more in zip(results, drawn, strict=True):
                own += more
        return [_ended(own) for own in results]


def _ended(samples: Sequence[Drawn]) -> list[Drawn] | None:
    """The samples that came to an end; None if a total that is not a number shows why there is none."""
    ended = [sample for sample in samples if math.isfinite(sample.total)]
    return None if not ended and any(math.isnan(sample.total) for sample in samples) else ended


class Drawing(Generic[Memory, State]):
    """Some samples of every sentence, as far as they are drawn."""

    def __init__(
        self,
        search: Sample,
        stepper: Stepper[Memory, State],
        memory: Memory,
        queries: Sequence[Query],
        numbers: Sequence[int],
    ) -> None:
        self.search, self.stepper, self.memory = search, stepper, memory
        device, sentences, width = stepper.device, len(queries), len(numbers)
        row_R = torch.arange(sentences * width, device=device)
        self.state = stepper.start(memory).select(row_R // width)
        self.limit_A = torch.tensor([query.limit for query in queries], device=device)
        self.minimum_A = torch.tensor([query.minimum for query in queries], device=device)
        self.given, self.prefixes = Given(queries, device), [query.prefix for query in queries]
        self.sentence_A = torch.arange(sentences, device=device)
        self.constraints = Constraints.of(queries, device)
        if self.constraints:
            self.constraints.select(row_R[:sentences], row_R // width)
        self.key_AW = keys(search.seed, [query.line for query in queries], numbers, device)
        self.row_AW = row_R.view(sentences, width)
        self.token_AW = torch.full_like(self.row_AW, BOS)
        self.alive_AW = torch.ones_like(self.row_AW, dtype=torch.bool)
        limits = [query.limit for query in queries]
        self.nearest_limit, self.longest, self.numbers = min(limits), max(limits), numbers
        self.token_RT = torch.full((len(row_R), self.longest), PAD, device=device)
        self.value_RT = torch.zeros(len(row_R), self.longest, dtype=torch.float64, device=device)
        self.log_q_R = torch.zeros(len(row_R), dtype=torch.float64, device=device)

    @torch.inference_mode()
    def run(self) -> list[list[Drawn]]:
        """The samples of every sentence. The total of one that comes to a dead end is −∞, and not a number if the model
        gives no finite probability."""
        for length in range(1, self.longest + 1):
            self.step(length)
            if not bool(self.alive_AW.any()):
                break
            self._shrink()
        return self._read_out()

    def step(self, length: int) -> None:
        """Read the last tokens and draw the next."""
        log_probs, self.state = self.stepper.step(self.token_AW.flatten(), self.state, self.memory)
        row_N = self.row_AW.flatten()
        before = Prefixes(self.token_RT[row_N, : length - 1] if self.search.rules.remember else self.token_RT[:0])
        minimum_A, rules = self.minimum_A if bool((self.minimum_A > length).any()) else None, self.search.rules
        given_A = self.given.tokens(self.sentence_A, length)
        limit_A = self.limit_A if length >= self.nearest_limit else None
        may = choices(rules, length, self.row_AW.shape, minimum_A, limit_A, before, given_A)
        likely = self.given.limited(log_probs, self.sentence_A, length)
        if self.constraints:
            likely = self.constraints.restricted(likely.dense())
        token_N, value_N, log_q_N = self._draw(likely, may, uniforms(self.key_AW.flatten(), length))
        if self.constraints:
            self.constraints.read(token_N)
        self.token_RT[row_N, length - 1] = token_N  # what follows the first EOS is never read
        self.value_RT[row_N, length - 1] = value_N
        self.log_q_R[row_N] += log_q_N.where(self.alive_AW.flatten(), 0.0)
        self.token_AW = token_N.view_as(self.row_AW)
        self.alive_AW = self.alive_AW & (self.token_AW != EOS)

    def _draw(self, likely: Likely, may: Choices, uniform_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The next token of each sample, its log P and its log q; EOS and −∞ or NaN where none is possible. With a
        large vocabulary there is no memory for all distributions at one time."""
        forced_N = torch.full_like(self.row_AW.flatten(), PAD) if may.forced_N is None else may.forced_N
        drawn = []
        for part, forced, uniform, *banned in zip(
            likely.split(ROWS), *(tensor.split(ROWS) for tensor in (forced_N, uniform_N, *may.banned)), strict=True
        ):
            log_prob = part.dense()
            token, log_q = self.search.cut.draw(log_prob, banned, uniform)
            free = forced == PAD
            token, log_q = token.where(free, forced), log_q.where(free, 0.0)
            end = token.where(token >= 0, EOS)
            value = log_prob.gather(1, end.unsqueeze(1)).squeeze(1).double()
            possible = (token >= 0) & value.isfinite()
            drawn.append((end.where(possible, EOS), value.where(possible, value - math.inf), log_q))
        token_N, value_N, log_q_N = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        return token_N, value_N, log_q_N

    def _shrink(self) -> None:
        """Let finished samples and sentences leave, if there are enough of them: all sentences keep as many rows."""
        count_A = self.alive_AW.sum(1)
        kept, (sentences, width) = count_A.nonzero().squeeze(1), self.row_AW.shape
        most = int(count_A.amax())
        if len(kept) * most > SHRINK * sentences * width:
            return
        column_AW = self.alive_AW[kept].int().argsort(dim=1, descending=True, stable=True)[:, :most]
        row_N = (kept.unsqueeze(1) * width + column_AW).flatten()
        self.state = self.state.select(row_N)
        if self.constraints:
            self.constraints.select(kept, row_N)
        if len(kept) < sentences:
            self.memory = self.memory.select(kept)
            self.limit_A, self.minimum_A, self.sentence_A = (
                tensor[kept] for tensor in (self.limit_A, self.minimum_A, self.sentence_A)
            )
        self.row_AW, self.key_AW, self.token_AW, self.alive_AW = (
            tensor.flatten()[row_N].view(len(kept), most)
            for tensor in (self.row_AW, self.key_AW, self.token_AW, self.alive_AW)
        )

    def _read_out(self) -> list[list[Drawn]]:
        """All samples, sentence by sentence."""
        length_R = ((self.token_RT == EOS).int().argmax(1) + 1).tolist()
        rows = zip(self.token_RT.tolist(), self.value_RT.tolist(), length_R, self.log_q_R.tolist(), strict=True)
        width = len(self.numbers)
        samples = [
            self._sample(row // width, tokens[:length], values[:length], self.numbers[row % width] + 1, log_q)
            for row, (tokens, values, length, log_q) in enumerate(rows)
        ]
        return [samples[start : start + width] for start in range(0, len(samples), width)]

    def _sample(self, sentence: int, tokens: list[int], values: list[float], number: int, log_q: float) -> Drawn:
        own = scored(tuple(tokens), values, self.search.objective, self.prefixes[sentence])
        return Drawn(own.tokens, own.total, own.score, tuple(values), number, log_q)
