"""Text to text: tokenise, batch by length, search, detokenise, order restored.

From Python:

    from nmtkit import Translator

    translator = Translator.load("runs/demo")
    print(translator.translate(["Jane visite l'Afrique en septembre."], beam=5))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nmtkit import checkpoint
from nmtkit.batches.sources import Listener, Sources, in_batches
from nmtkit.console import warn
from nmtkit.decoding.beam import Watcher, beam_by_length, beam_search, beam_sweep
from nmtkit.decoding.exact import exact_search
from nmtkit.decoding.forced import forced_log_probs
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.objective import default_limit
from nmtkit.decoding.settings import BUDGET_SECONDS, BUDGET_STEPS, SearchSettings
from nmtkit.devices import pick_device, set_threads
from nmtkit.memory import keep_freed_memory
from nmtkit.models.interface import Model, stack_targets
from nmtkit.specials import EOS, PAD
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.words import counted


@dataclass(frozen=True)
class Translation(Hypothesis):
    """One output, as ids and as `text`."""

    text: str = ""


@dataclass(frozen=True)
class Certified:
    """What an exact search found.

    Attributes:
        best: the translation with the highest J that anything found.
        beam: what the beam search found alone.
        proved: no translation within the limit has a higher J than `best`.
        gap: how much higher one could still be; 0 if proved, otherwise at least the tolerance of the search (0.0001).
        steps: model steps that the exact search took.
        limit: the most target pieces, EOS counted; nothing is said about longer translations.
        proved_limit: nothing of at most so many pieces has a higher J, whatever is left open beyond.
    """

    best: Translation
    beam: Translation
    proved: bool
    gap: float
    steps: int
    limit: int
    proved_limit: int


@dataclass(frozen=True)
class Attended:
    """What a model looked at for one line and one translation of it, end of sentence included on both sides.

    Attributes:
        cross: per layer (of an ensemble member by member) and head, for every target piece the weight of every source
            piece: (heads, T, S) each.
        decoder: self-attention of the target for the same T predictions: (heads, T, T), what is read being the piece
            before, so that column 0 is the beginning of the sentence.
        encoder: self-attention of the source, (heads, S, S).
    """

    cross: tuple[Matrix, ...]
    decoder: tuple[Matrix, ...]
    encoder: tuple[Matrix, ...]


Matrix = NDArray[np.float32]

Watch = Callable[[list[int], list[int]], Watcher]
"""Makes a watcher for a batch, given the indices of its lines and their length limits."""


class Translator:
    """A model with its tokenizer and default settings.

    Attributes:
        model: any `Model`, in evaluation mode.
        tokenizer: of source and target.
        defaults: used where `translate` is not told otherwise.
        options: what the model folder says (of an ensemble the first's); None for a model that has none.
        folder_hash: SHA-256 over options, tokenizer and weights, of an ensemble joined by "+"; empty likewise.
    """

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        defaults: SearchSettings | None = None,
        options: checkpoint.FolderOptions | None = None,
        folder_hash: str = "",
    ) -> None:
        self.model, self.tokenizer, self.defaults = model, tokenizer, defaults or SearchSettings()
        self.options, self.folder_hash = options, folder_hash

    @classmethod
    def load(
        cls, *folders: str | Path, device: str = "auto", threads: int | None = None, weights: str = "best"
    ) -> Translator:
        """Load a model folder, or several as one ensemble: the mean of their probabilities.

        Args:
            folders: of an ensemble all with one tokenizer; default settings are the first's.
            device: "cpu", "cuda", "cuda:1" …, or "auto": a GPU where there is one.
            threads: CPU threads; None: torch's default.
            weights: "best" or "last".

        Raises:
            ValueError: in one line, for a folder that is missing, foreign or damaged, vocabularies that differ, or a
                device that is not there.
        """
        keep_freed_memory()
        place = pick_device(device)
        if threads is not None:
            set_threads(threads)
        loaded = checkpoint.load_ensemble(folders, weights=weights, device=place)
        return cls(loaded.model, loaded.tokenizer, loaded.options.defaults, loaded.options, loaded.hash)

    def translate(self, lines: Sequence[str], **settings: Any) -> list[str]:
        """The best translation of each line, in order; a blank line gives an empty one.

        Args:
            settings: fields of `SearchSettings`, for example `beam=5, length_alpha=0.7`; the rest as `defaults`.
        """
        found = self.search(lines, replace(self.defaults, **{"n_best": 1, **settings}))
        return [translations[0].text for translations in found]

    def search(
        self,
        lines: Sequence[str],
        settings: SearchSettings,
        first_line: int | None = 1,
        *,
        listener: Listener | None = None,
        watch: Watch | None = None,
    ) -> list[list[Translation]]:
        """The `n_best` translations of each line, best first (fewer where the beam holds fewer).

        Args:
            first_line: number of the first line, for warnings; None: no warnings.
            listener: hears of lines that could not be translated, which then have none; without it the error is raised.
            watch: makes what looks on.
        """
        sources = self._sources(lines, settings, first_line)

        def search_batch(chosen: list[int], memory: Any) -> list[list[Translation]]:
            watcher = watch(chosen, sources.limits(chosen)) if watch else None
            found = self._beam(sources, chosen, memory, settings, watcher)
            return [[self._translation(one) for one in hypotheses] for hypotheses in found]

        return [one or [] for one in in_batches(self.model, sources, settings.batch_tokens, search_batch, listener)]

    def search_by_length(
        self, lines: Sequence[str], settings: SearchSettings, first_line: int = 1, *, listener: Listener | None = None
    ) -> list[list[list[Translation]]]:
        """The lectures' view: of each line the finished hypotheses of every length that has any, best first.

        The best of all by J is the first result of `search`.

        Raises:
            ValueError: for settings that stop the search before it has seen every length.
        """
        if settings.patience is not None:
            raise ValueError("patience stops before every length was seen: leave it out of a search by length")
        sources = self._sources(lines, settings, first_line)

        def search_batch(chosen: list[int], memory: Any) -> list[list[list[Translation]]]:
            found = beam_by_length(
                self.model,
                memory,
                sources.limits(chosen),
                beam=settings.beam,
                objective=settings.objective,
                minimums=sources.minimums(chosen),
                rules=settings.rules,
            )
            lists = [[[self._translation(one) for one in best] for best in lengths if best] for lengths in found]
            return self._finite(lists, sources, chosen)

        return [one or [] for one in in_batches(self.model, sources, settings.batch_tokens, search_batch, listener)]

    def sweep(
        self, lines: Sequence[str], settings: SearchSettings, beams: Sequence[int], alphas: Sequence[float]
    ) -> tuple[dict[tuple[int, float], list[list[Translation]]], dict[int, float]]:
        """What `search` finds with every beam and exponent, and the seconds that each beam took.

        Every line is encoded once, and one search a width serves all exponents, so a beam's seconds are those of
        all its exponents together, without the encoder's.

        Args:
            settings: the rest; `n_best` translations at most of each line, and no more than the beam.
        """
        sources = self._sources(lines, settings, None)
        objectives = [replace(settings, length_alpha=alpha).objective for alpha in alphas]
        seconds = dict.fromkeys(beams, 0.0)

        def search_batch(chosen: list[int], memory: Any) -> list[dict[tuple[int, float], list[Translation]]]:
            results: list[dict[tuple[int, float], list[Translation]]] = [{} for _ in chosen]
            for beam in beams:
                started = time.perf_counter()
                found = beam_sweep(
                    self.model,
                    memory,
                    sources.limits(chosen),
                    beam=beam,
                    objectives=objectives,
                    n_best=min(settings.n_best, beam),
                    minimums=sources.minimums(chosen),
                    rules=settings.rules,
                )
                for alpha, of_lines in zip(alphas, found, strict=True):
                    for result, best in zip(results, self._finite(of_lines, sources, chosen), strict=True):
                        result[beam, alpha] = [self._translation(one) for one in best]
                seconds[beam] += time.perf_counter() - started
            return results

        found = in_batches(self.model, sources, settings.batch_tokens, search_batch)
        results = {(beam, alpha): [one[beam, alpha] for one in found] for beam in beams for alpha in alphas}
        return results, seconds

    def search_exactly(
        self,
        lines: Sequence[str],
        settings: SearchSettings,
        *,
        budget_steps: int = 10_000,
        budget_seconds: float | None = None,
        references: Sequence[Sequence[str]] = (),
        first_line: int | None = 1,
        listener: Listener | None = None,
    ) -> list[Certified | None]:
        """The translation of each line with the highest J of all within the limit, proved so or with a gap.

        Args:
            budget_steps: most model steps for a line.
            budget_seconds: most seconds for a line, on average over a batch; None: only the steps count.
            references: sets of known translations, a line each; a good one shortens the search, one that is longer
                than `longest_target` does nothing.
            listener: hears of lines that could not be searched, whose result is None; without it the error is raised.

        Raises:
            ValueError: for settings under which the score of a prefix is no bound.
        """
        if settings.no_repeat_ngram:
            raise ValueError(
                "no_repeat_ngram makes later words depend on earlier ones: leave it out of an exact search"
            )
        BUDGET_STEPS.check("budget_steps", budget_steps, whole=True)
        if budget_seconds is not None:
            BUDGET_SECONDS.check("budget_seconds", budget_seconds)
        sources = self._sources(lines, settings, first_line)
        known = [
            [target for target in map(self.encode_target, row) if self.holds(target, settings)]
            for row in zip(*references, strict=True)
        ]
        forced = self.score_tokens(lines, known, settings) if known else [[] for _ in lines]

        def search_batch(chosen: list[int], memory: Any) -> list[Certified]:
            found = self._beam(sources, chosen, memory, replace(settings, n_best=1), None)
            certificates = exact_search(
                self.model,
                memory,
                sources.limits(chosen),
                minimums=sources.minimums(chosen),
                forbid_unk=settings.forbid_unk,
                objective=settings.objective,
                incumbents=[[*best, *forced[index]] for index, best in zip(chosen, found, strict=True)],
                budget_steps=budget_steps,
                budget_seconds=None if budget_seconds is None else budget_seconds * len(chosen),
            )
            best = [one.best for one in certificates if one.best is not None]
            log_probs = forced_log_probs(self.model, memory, [one.tokens for one in best])
            return [
                Certified(
                    best=self._translation(replace(winner, log_probs=tuple(of_winner))),
                    beam=self._translation(hypothesis),
                    proved=one.proved,
                    gap=one.gap,
                    steps=one.steps,
                    limit=one.limit,
                    proved_limit=one.proved_limit,
                )
                for winner, of_winner, (hypothesis,), one in zip(best, log_probs, found, certificates, strict=True)
            ]

        return in_batches(self.model, sources, settings.batch_tokens, search_batch, listener)

    def score_tokens(
        self,
        lines: Sequence[str],
        targets: Sequence[Sequence[Sequence[int]]],
        settings: SearchSettings,
        first_line: int | None = None,
        *,
        listener: Listener | None = None,
    ) -> list[list[Hypothesis]]:
        """Forced scores under the same objective of any number of candidates (ids ending in EOS) of each line.

        Args:
            first_line: number of the first line, for warnings; None: no warnings.
            listener: hears of lines that could not be scored, which then have none; without it the error is raised.

        Raises:
            ValueError: for a candidate that is longer than `longest_target`.
        """
        if len(lines) != len(targets):
            raise ValueError(f"{counted(len(lines), 'source line')} but candidates for {len(targets)}: give as many")
        sources = self._sources(lines, settings, first_line)

        def score_batch(chosen: list[int], memory: Any) -> list[list[Hypothesis]]:
            for index in chosen:
                if excess := next(filter(None, (self.excess(one, settings) for one in targets[index])), ""):
                    raise ValueError(f"line {sources.first_line + index}: {excess}")
            counts = [len(targets[index]) for index in chosen]
            flat = [tuple(candidate) for index in chosen for candidate in targets[index]]
            row_of = [row for row, count in enumerate(counts) for _ in range(count)]
            scores: Iterator[Hypothesis] = iter(
                _scored(target, log_probs, settings)
                for part in _portions(flat, 4 * settings.batch_tokens)
                for target, log_probs in zip(
                    flat[part],
                    forced_log_probs(
                        self.model,
                        memory.select(torch.tensor(row_of[part], device=self.model.device)),
                        flat[part],
                    ),
                    strict=True,
                )
            )
            return [[next(scores) for _ in range(count)] for count in counts]

        sizes = [sum(map(len, candidates)) for candidates in targets]
        return [
            one or [] for one in in_batches(self.model, sources, settings.batch_tokens, score_batch, listener, sizes)
        ]

    def attention(
        self, lines: Sequence[str], targets: Sequence[Sequence[int]], settings: SearchSettings
    ) -> list[Attended]:
        """What the model looked at in a forced pass over one candidate (ids ending in EOS) of each line.

        Raises:
            ValueError: for a candidate that is longer than `longest_target`.
        """
        sources = self._sources(lines, settings, None)
        if excess := next(filter(None, (self.excess(target, settings) for target in targets)), ""):
            raise ValueError(excess)
        attended = []
        for ids, target in zip(sources.ids, targets, strict=True):
            source_1S = torch.tensor([ids], device=self.model.device)
            target_in_1T, _ = stack_targets([target], self.model.device)
            with torch.no_grad():
                memory = self.model.encode(source_1S, source_1S != PAD)
                maps = self.model.attention(memory, target_in_1T)
                encoder = self.model.encoder_attention(source_1S, source_1S != PAD)
            attended.append(Attended(*map(_arrays, (maps.cross, maps.decoder, encoder))))
        return attended

    def score(self, lines: Sequence[str], targets: Sequence[str], settings: SearchSettings) -> list[Hypothesis]:
        """Forced scores of one given translation text of each line."""
        candidates = [[self.encode_target(target)] for target in targets]
        return [scores[0] for scores in self.score_tokens(lines, candidates, settings)]

    def limits(self, lines: Sequence[str], settings: SearchSettings) -> list[int]:
        """The length limit of each line's translation, EOS counted."""
        return self._sources(lines, settings, None).limits(range(len(lines)))

    def limit_in_words(self, settings: SearchSettings) -> str:
        """The rule for the most target pieces."""
        longest = self.model.longest
        return settings.limit_in_words if longest is None else f"{settings.limit_in_words} and {longest}"

    def encode_source(self, text: str, settings: SearchSettings) -> tuple[int, ...]:
        """Source ids of a text as the model reads it, cut where it is too long, EOS last."""
        most, _ = self._most_source(settings)
        return (*self.tokenizer.source.encode(text)[:most], EOS)

    def encode_target(self, text: str) -> tuple[int, ...]:
        """Target ids of a text, EOS last."""
        return (*self.tokenizer.target.encode(text), EOS)

    def longest_target(self, settings: SearchSettings) -> int:
        """The most target pieces that are scored, EOS counted: as many as a search could give the longest source.

        A smaller length limit leaves it what it is, so that a translation beyond the limit still has its score.
        """
        most = max(default_limit(settings.max_source), settings.lengths(settings.max_source)[1])
        return min(most, self.model.longest or most)

    def holds(self, tokens: Sequence[int], settings: SearchSettings) -> bool:
        """Whether these target ids, EOS last, are few enough to be scored."""
        return len(tokens) <= self.longest_target(settings)

    def excess(self, tokens: Sequence[int], settings: SearchSettings) -> str:
        """Why target ids are not scored, in words; nothing where they are few enough."""
        if self.holds(tokens, settings):
            return ""
        longest = self.longest_target(settings)
        why = f"max_positions = {longest}" if longest == self.model.longest else f"at most {longest}"
        return f"{counted(len(tokens), 'target piece')}, more than any translation has ({why}, end of sentence counted)"

    def decode_target(self, tokens: Sequence[int]) -> str:
        """The text of target ids. A line feed, which the model can spell in bytes, becomes a space: one line a text."""
        return self.tokenizer.target.decode([token for token in tokens if token != EOS]).replace("\n", " ")

    def _sources(self, lines: Sequence[str], settings: SearchSettings, first_line: int | None) -> Sources:
        """The lines, cut where they are too long (said so where a line number is given).

        A blank line can only be translated by EOS.
        """
        ids, lengths = [], []
        most, reason = self._most_source(settings)
        for number, line in enumerate(lines):
            pieces = self.tokenizer.source.encode(line)
            if len(pieces) > most and first_line is not None:
                warn(f"line {first_line + number}: {counted(len(pieces), 'piece')}, cut to the first {most} ({reason})")
            pieces = pieces[:most]
            ids.append([*pieces, EOS])
            lengths.append(self._lengths(len(pieces), settings) if line.strip() else (1, 1))
        return Sources(ids, lengths, first_line or 1)

    def _most_source(self, settings: SearchSettings) -> tuple[int, str]:
        """The most source pieces that are read, EOS not counted, and what says so."""
        longest = self.model.longest
        if longest is None or settings.max_source < longest:
            return settings.max_source, "max_source"
        return longest - 1, f"max_positions = {longest}, end of sentence counted"

    def _lengths(self, source_pieces: int, settings: SearchSettings) -> tuple[int, int]:
        """The fewest and the most target pieces of a line, EOS counted, none beyond what the model can hold."""
        fewest, most = settings.lengths(source_pieces)
        longest = self.model.longest or most
        return min(fewest, longest), min(most, longest)

    def _beam(
        self, sources: Sources, chosen: list[int], memory: Any, settings: SearchSettings, watcher: Watcher | None
    ) -> list[list[Hypothesis]]:
        """Beam search of the lines `chosen`."""
        found = beam_search(
            self.model,
            memory,
            sources.limits(chosen),
            beam=settings.beam,
            objective=settings.objective,
            n_best=settings.n_best,
            minimums=sources.minimums(chosen),
            rules=settings.rules,
            watcher=watcher,
        )
        return self._finite(found, sources, chosen)

    def _finite(self, found: list[Any], sources: Sources, chosen: list[int]) -> list[Any]:
        """What was found, unless it is nothing for some line."""
        if not all(found):
            number = sources.first_line + chosen[found.index([])]
            raise ValueError(f"line {number}: the model gives no finite probability; it is damaged, train it again")
        return found

    def _translation(self, one: Hypothesis) -> Translation:
        return Translation(one.tokens, one.total, one.score, one.log_probs, self.decode_target(one.tokens))


def _arrays(layers: Sequence[torch.Tensor]) -> tuple[Matrix, ...]:
    """Of the only sentence."""
    return tuple(layer[0].float().cpu().numpy() for layer in layers)


def _portions(targets: Sequence[Sequence[int]], tokens: int) -> Iterator[slice]:
    """Slices of the targets, each of at most so many padded tokens, or of one target."""
    start = longest = 0
    for number, target in enumerate(targets):
        longest = max(longest, len(target))
        if number > start and (number + 1 - start) * longest > tokens:
            yield slice(start, number)
            start, longest = number, len(target)
    if targets:
        yield slice(start, len(targets))


def _scored(tokens: tuple[int, ...], log_probs: list[float], settings: SearchSettings) -> Hypothesis:
    total = sum(log_probs)
    return Hypothesis(tokens, total, settings.objective.final(total, len(tokens)), tuple(log_probs))
