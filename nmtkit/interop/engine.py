"""CTranslate2 as an engine: a beam search without steps, whose outputs `Forced` can score again.

    ids ──► pieces ──translate_batch──► pieces ──► hypotheses, with the engine's own scores
    what it cannot finish (cut off at the limit) or read (blank, too long, constrained) ──► Beam, by the same rules

The engine's beam search is `Beam` with two rules. Finished hypotheses take no slot (`free_eos`). The search stops when
patience · beam hypotheses are finished (`patience`), at α = 0 as soon as no prefix can beat the best. At the limit, the
engine cuts its hypotheses off where `Beam` ends each at its real cost. If the best n hypotheses of the engine are all
finished, no prefix that was cut off could have come before them, since its end would have cost more; if one of them is
cut off, the sentence is searched again by `Beam`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nmtkit.decoding.beam import Beam
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.search import Encoded, Query
from nmtkit.decoding.settings import SearchSettings
from nmtkit.interop import package
from nmtkit.interop.export import read_facts
from nmtkit.models.distribution import FIRST
from nmtkit.models.interface import Memory, State, Stepper
from nmtkit.specials import EOS
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.words import counted

REFUSED = {
    "min_length": "bans the end of sentence before the softmax, which changes all probabilities",
    "min_length_ratio": "bans the end of sentence before the softmax, which changes all probabilities",
    "forbid_unk": "bans a piece before the softmax, which changes all probabilities",
    "no_repeat_ngram": "bans pieces before the softmax, which changes all probabilities",
}
"""Settings that mean something else in CTranslate2."""


def settings_of_engine(settings: SearchSettings, vocabulary: int) -> SearchSettings:
    """The settings under which `Beam` does what the engine does.

    Args:
        vocabulary: size of the target's vocabulary.

    Raises:
        ValueError: for a setting that the engine does not have; names it.
    """
    for name, why in REFUSED.items():
        if value := getattr(settings, name):
            raise ValueError(f"{name} = {value} is not for CTranslate2, which {why}: leave it out")
    if settings.length_penalty != "power":
        penalty = settings.length_penalty
        raise ValueError(f"length_penalty = {penalty!r} is not for CTranslate2, which only has 'power'")
    if settings.patience is not None and not settings.length_alpha:
        raise ValueError(
            f"patience = {settings.patience:g} does nothing in CTranslate2 at length_alpha = 0: leave it out"
        )
    if settings.n_best > 1 and not settings.length_alpha:
        raise ValueError(
            f"n_best = {settings.n_best} is not for CTranslate2 at length_alpha = 0, where it stops once the best is "
            "found: leave it out"
        )
    if 2 * settings.beam > vocabulary - FIRST:
        raise ValueError(
            f"beam = {settings.beam} is too wide for CTranslate2 and {counted(vocabulary, 'target piece')}: "
            f"choose at most {(vocabulary - FIRST) // 2}"
        )
    patience = (settings.patience or 1.0) if settings.length_alpha else None
    own = replace(settings, patience=patience, free_eos=True)
    if patience is not None and settings.n_best > math.ceil(own.rules.enough(settings.beam)):
        raise ValueError(f"n_best = {settings.n_best} needs patience × beam to be as many in CTranslate2")
    return own


def check_precision(precision: str, device: torch.device) -> None:
    """ValueError for a precision in which CTranslate2 cannot compute on a device."""
    possible = package.load().get_supported_compute_types(device.type)
    if precision not in possible:
        raise ValueError(
            f"precision = {precision!r}: on this {device.type}, CTranslate2 computes in {', '.join(sorted(possible))}"
        )


@dataclass(frozen=True)
class Engine:
    """Beam search by CTranslate2: the n best hypotheses of each sentence, best first.

    Attributes:
        runner: CTranslate2's own translator.
        pieces: the source's pieces by id.
        ids: the target's ids by piece.
        positions: most positions that the export has.
        settings: those of `settings_of_engine`.
    """

    runner: Any
    pieces: Sequence[str]
    ids: dict[str, int]
    positions: int
    settings: SearchSettings

    @classmethod
    def load(
        cls,
        folder: Path,
        tokenizer: Tokenizer,
        settings: SearchSettings,
        device: torch.device,
        precision: str = "default",
    ) -> Engine:
        """The engine of an export, with as many threads as torch has.

        Args:
            settings: any settings of a search.
            precision: in which the engine computes; "default": in that of the export as far as the device can.
        """
        own = settings_of_engine(settings, tokenizer.target.size)
        try:
            runner = package.load().Translator(
                str(folder),
                device=device.type,
                device_index=device.index or 0,
                compute_type=precision,
                inter_threads=1,
                intra_threads=torch.get_num_threads(),
            )
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{folder}: CTranslate2 cannot load it ({error}); delete this folder") from None
        target = tokenizer.target.pieces(range(tokenizer.target.size))
        ids = {piece: number for number, piece in enumerate(target)}
        return cls(
            runner, tokenizer.source.pieces(range(tokenizer.source.size)), ids, read_facts(folder)["positions"], own
        )

    @property
    def in_words(self) -> str:
        """The engine, its version, and the precision in which it computes."""
        return f"CTranslate2 {package.version()}, {self.runner.compute_type}"

    def find(
        self, stepper: Stepper[Memory, State], batch: Encoded[Memory], queries: Sequence[Query]
    ) -> list[list[Hypothesis] | None]:
        """The n best hypotheses of each sentence; None if the engine gives no finite score."""
        lines, results = self.read(batch), dict[int, list[Hypothesis]]()
        for limit, chosen in self._calls(lines, queries):
            answers = self._translate([lines[index] for index in chosen], limit)
            for index, answer in zip(chosen, answers, strict=True):
                if self._within(hypotheses := self._hypotheses(answer.result()), queries[index].limit, limit):
                    results[index] = hypotheses[: self.settings.n_best]
        if left := [index for index in range(len(lines)) if index not in results]:
            own = Beam.of(self.settings).find(stepper, batch.select(left), [queries[index] for index in left])
            results |= {index: hypotheses or [] for index, hypotheses in zip(left, own, strict=True)}
        return [self._finite(results[index]) for index in range(len(lines))]

    def _calls(self, lines: Sequence[Sequence[str]], queries: Sequence[Query]) -> list[tuple[int, list[int]]]:
        """The calls that serve all that the engine can read: a limit, and sentences whose limit is not higher.

        One call if the engine's answers tell when the search ended, else one for each limit.
        """
        limits: dict[int, list[int]] = {}
        for index, (line, query) in enumerate(zip(lines, queries, strict=True)):
            free = not (query.prefix or query.lexicon)
            if line and free and 1 < query.limit <= self.positions and len(line) < self.positions:
                limits.setdefault(query.limit, []).append(index)
        if self.settings.patience is None or not limits:
            return list(limits.items())
        return [(max(limits), sorted(index for chosen in limits.values() for index in chosen))]

    @property
    def _enough(self) -> int:
        """The number of finished hypotheses that ends a search; n best without patience."""
        settings = self.settings
        return settings.n_best if settings.patience is None else math.ceil(settings.rules.enough(settings.beam))

    def _within(self, hypotheses: Sequence[Hypothesis], own: int, asked: int) -> bool:
        """Whether a search with its own limit gives the same: as many ended before it as end a search.

        At its own limit every living prefix would have to end, also those that a larger limit lets live on.
        """
        if any(hypothesis.tokens[-1] != EOS for hypothesis in hypotheses[: self.settings.n_best]):
            return False
        ended = sum(hypothesis.tokens[-1] == EOS and hypothesis.length < own for hypothesis in hypotheses)
        return own == asked or ended >= self._enough

    @staticmethod
    def _finite(hypotheses: list[Hypothesis]) -> list[Hypothesis] | None:
        return hypotheses if hypotheses and all(math.isfinite(found.score) for found in hypotheses) else None

    def log_probs(self, batch: Encoded[Memory], targets: Sequence[Sequence[int]]) -> list[list[float]]:
        """log P (natural) of every token of a target (ids, EOS last) of each sentence."""
        names = list(self.ids)
        pieces = [[names[token] for token in target[:-1]] for target in targets]
        results = self.runner.score_batch(self.read(batch), pieces, max_input_length=0)
        return [list(result.log_probs) for result in results]

    def read(self, batch: Encoded[Memory]) -> list[list[str]]:
        """The pieces of each sentence, without the end, which the engine adds itself."""
        pairs = zip(batch.source.tolist(), batch.mask_BS.sum(1).tolist(), strict=True)
        return [[self.pieces[token] for token in row[: length - 1]] for row, length in pairs]

    def _translate(self, lines: list[list[str]], limit: int) -> Any:
        settings = self.settings
        patience = 1.0 if settings.patience is None else self._enough / settings.beam
        return self.runner.translate_batch(
            lines,
            asynchronous=True,
            beam_size=settings.beam,
            num_hypotheses=max(settings.n_best, self._enough),
            patience=patience,
            length_penalty=settings.length_alpha,
            max_decoding_length=limit,
            min_decoding_length=0,
            max_input_length=0,
            return_end_token=True,
            return_scores=True,
        )

    def _hypotheses(self, result: Any) -> list[Hypothesis]:
        found = []
        for pieces, score in zip(result.hypotheses, result.scores, strict=True):
            tokens = tuple(self.ids[piece] for piece in pieces)
            found.append(Hypothesis(tokens, score * len(tokens) ** self.settings.length_alpha, score))
        return found
