"""Text to text: tokenise, batch by length, search, detokenise, order restored.

From Python:

    from nmtkit import Translator

    translator = Translator.load("runs/demo")
    print(translator.translate(["Jane visite l'Afrique en septembre."], beam=5))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nmtkit import checkpoint
from nmtkit.batches.batch import group
from nmtkit.console import warn
from nmtkit.decoding.beam import beam_search
from nmtkit.decoding.exact import exact_search
from nmtkit.decoding.forced import forced_log_probs
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.settings import SearchSettings
from nmtkit.memory import keep_freed_memory
from nmtkit.models.interface import Model
from nmtkit.settings import from_mapping
from nmtkit.specials import BOS, EOS, PAD, UNK
from nmtkit.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Translation:
    """One output: text, ids (EOS last), Σ log P in nats, J, and log P of each id (empty where nobody kept them)."""

    text: str
    tokens: tuple[int, ...]
    total: float
    score: float
    log_probs: tuple[float, ...] = ()

    @property
    def length(self) -> int:
        """Target pieces, EOS counted."""
        return len(self.tokens)


@dataclass(frozen=True)
class ForcedScore:
    """A given translation under the model: ids (EOS last), log P of each, their sum, and J."""

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    total: float
    score: float

    @property
    def length(self) -> int:
        """Target pieces, EOS counted."""
        return len(self.tokens)


@dataclass(frozen=True)
class Certified:
    """What an exact search found.

    Attributes:
        best: the translation with the highest J that anything found.
        beam: what the beam search found alone.
        proved: no translation within the limit has a higher J than `best`.
        gap: how much higher one could still be; 0 if proved.
        steps: model steps that the exact search took.
        limit: the most target pieces, EOS counted; nothing is said about longer translations.
    """

    best: Translation
    beam: Translation
    proved: bool
    gap: float
    steps: int
    limit: int


class Translator:
    """A model with its tokenizer and default settings.

    Attributes:
        model: any `Model`, in evaluation mode.
        tokenizer: of source and target.
        defaults: used where `translate` is not told otherwise.
        options: the model folder's options.json; empty for a model that has none.
        folder_hash: SHA-256 over options, tokenizer and weights; empty likewise.
    """

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        defaults: SearchSettings | None = None,
        options: dict[str, Any] | None = None,
        folder_hash: str = "",
    ) -> None:
        self.model, self.tokenizer, self.defaults = model, tokenizer, defaults or SearchSettings()
        self.options, self.folder_hash = options or {}, folder_hash

    @classmethod
    def load(
        cls, folder: str | Path, *, device: str = "auto", threads: int | None = None, weights: str = "best"
    ) -> Translator:
        """Load a model folder.

        Args:
            device: "cpu", "cuda", "cuda:1" …, or "auto": a GPU where there is one.
            threads: CPU threads; None: torch's default.
            weights: "best" or "last".

        Raises:
            ValueError: in one line, for a folder that is missing, foreign or damaged, or a device that is not there.
        """
        keep_freed_memory()
        place = pick_device(device)
        if threads is not None:
            set_threads(threads)
        loaded = checkpoint.load(folder, weights=weights, device=place)
        where = f"{Path(folder) / checkpoint.OPTIONS}: defaults"
        defaults = from_mapping(SearchSettings, loaded.options["defaults"], where)
        return cls(loaded.model, loaded.tokenizer, defaults, loaded.options, loaded.hash)

    def translate(self, lines: Sequence[str], **settings: Any) -> list[str]:
        """The best translation of each line, in order; a blank line gives an empty one.

        Args:
            settings: fields of `SearchSettings`, for example `beam=5, length_alpha=0.7`; the rest as `defaults`.
        """
        found = self.search(lines, replace(self.defaults, **{"n_best": 1, **settings}))
        return [translations[0].text for translations in found]

    def search(self, lines: Sequence[str], settings: SearchSettings, first_line: int = 1) -> list[list[Translation]]:
        """The `n_best` translations of each line, best first (fewer where the beam holds fewer).

        Args:
            first_line: number of the first line, for warnings.
        """
        sources = self._sources(lines, settings, first_line)
        lengths = self._lengths(lines, sources, settings)

        def search_batch(chosen: list[int], memory: Any) -> list[list[Translation]]:
            found = self._beam(chosen, memory, lengths, settings, first_line)
            return [[self._translation(one) for one in hypotheses] for hypotheses in found]

        return self._in_batches(sources, [1] * len(sources), settings.batch_tokens, search_batch)

    def search_exactly(
        self,
        lines: Sequence[str],
        settings: SearchSettings,
        *,
        budget_steps: int = 10_000,
        budget_seconds: float | None = None,
        references: Sequence[Sequence[str]] = (),
        first_line: int = 1,
    ) -> list[Certified]:
        """The translation of each line with the highest J of all within the limit, proved so or with a gap.

        Args:
            budget_steps: most model steps for a line.
            budget_seconds: most seconds for a line, on average over a batch; None: only the steps count.
            references: sets of known translations, a line each; a good one shortens the search.

        Raises:
            ValueError: for settings under which the score of a prefix is no bound.
        """
        if settings.no_repeat_ngram:
            raise ValueError(
                "no_repeat_ngram makes later words depend on earlier ones: leave it out of an exact search"
            )
        sources = self._sources(lines, settings, first_line)
        lengths = self._lengths(lines, sources, settings)
        known = [[self.encode_target(text) for text in row] for row in zip(*references, strict=True)]
        forced = self.score_tokens(lines, known, settings) if known else [[] for _ in lines]

        def search_batch(chosen: list[int], memory: Any) -> list[Certified]:
            found = [one[0] for one in self._beam(chosen, memory, lengths, replace(settings, n_best=1), first_line)]
            starts = []
            for index, hypothesis in zip(chosen, found, strict=True):
                fewest, most = lengths[index]
                given = [
                    Hypothesis(one.tokens, one.total, one.score)
                    for one in forced[index]
                    if fewest <= one.length <= most and not {PAD, BOS, UNK} & set(one.tokens)
                ]
                starts.append(max([hypothesis, *given], key=lambda one: one.score))
            certificates = exact_search(
                self.model,
                memory,
                [lengths[index][1] for index in chosen],
                minimums=[lengths[index][0] for index in chosen],
                forbid_unk=settings.forbid_unk,
                objective=settings.objective,
                incumbents=starts,
                budget_steps=budget_steps,
                budget_seconds=None if budget_seconds is None else budget_seconds * len(chosen),
            )
            results = []
            for hypothesis, one in zip(found, certificates, strict=True):
                assert one.best is not None
                best, beam = self._translation(one.best), self._translation(hypothesis)
                results.append(Certified(best, beam, one.proved, one.gap, one.steps, one.limit))
            return results

        return self._in_batches(sources, [1] * len(sources), settings.batch_tokens, search_batch)

    def _beam(
        self,
        chosen: list[int],
        memory: Any,
        lengths: Sequence[tuple[int, int]],
        settings: SearchSettings,
        first_line: int,
    ) -> list[list[Hypothesis]]:
        """Beam search of the lines `chosen`."""
        found = beam_search(
            self.model,
            memory,
            [lengths[index][1] for index in chosen],
            beam=settings.beam,
            objective=settings.objective,
            n_best=settings.n_best,
            minimums=[lengths[index][0] for index in chosen],
            rules=settings.rules,
        )
        if not all(found):
            number = first_line + chosen[found.index([])]
            raise ValueError(f"line {number}: the model gives no finite probability; it is damaged, train it again")
        return found

    def _translation(self, found: Hypothesis) -> Translation:
        return Translation(self.decode_target(found.tokens), found.tokens, found.total, found.score, found.log_probs)

    def score_tokens(
        self, lines: Sequence[str], targets: Sequence[Sequence[Sequence[int]]], settings: SearchSettings
    ) -> list[list[ForcedScore]]:
        """Forced scores under the same objective of any number of candidates (ids ending in EOS) of each line."""
        if len(lines) != len(targets):
            raise ValueError(f"{len(lines)} source lines but candidates for {len(targets)}: give as many")
        sources = self._sources(lines, settings, None)
        sizes = [sum(map(len, candidates)) for candidates in targets]

        def score_batch(chosen: list[int], memory: Any) -> list[list[ForcedScore]]:
            counts = [len(targets[index]) for index in chosen]
            flat = [tuple(candidate) for index in chosen for candidate in targets[index]]
            rows = torch.repeat_interleave(torch.arange(len(chosen)), torch.tensor(counts)).to(self.model.device)
            forced = forced_log_probs(self.model, memory.select(rows), flat) if flat else []
            scores = iter([_forced_score(*pair, settings) for pair in zip(flat, forced, strict=True)])
            return [[next(scores) for _ in range(count)] for count in counts]

        return self._in_batches(sources, sizes, settings.batch_tokens, score_batch)

    def score(self, lines: Sequence[str], targets: Sequence[str], settings: SearchSettings) -> list[ForcedScore]:
        """Forced scores of one given translation text of each line."""
        candidates = [[self.encode_target(target)] for target in targets]
        return [scores[0] for scores in self.score_tokens(lines, candidates, settings)]

    def limits(self, lines: Sequence[str], settings: SearchSettings) -> list[int]:
        """The length limit of each line's translation, EOS counted."""
        return [most for _, most in self._lengths(lines, self._sources(lines, settings, None), settings)]

    def _lengths(
        self, lines: Sequence[str], sources: Sequence[list[int]], settings: SearchSettings
    ) -> list[tuple[int, int]]:
        """Fewest and most target pieces of each line; a blank line can only be translated by EOS."""
        pairs = zip(lines, sources, strict=True)
        return [settings.lengths(len(source) - 1) if line.strip() else (1, 1) for line, source in pairs]

    def encode_target(self, text: str) -> tuple[int, ...]:
        """Target ids of a text, EOS last."""
        return (*self.tokenizer.target.encode(text), EOS)

    def decode_target(self, tokens: Sequence[int]) -> str:
        """The text of target ids. A line feed, which the model can spell in bytes, becomes a space: one line a text."""
        return self.tokenizer.target.decode([token for token in tokens if token != EOS]).replace("\n", " ")

    def _sources(self, lines: Sequence[str], settings: SearchSettings, first_line: int | None) -> list[list[int]]:
        """Source ids, EOS last, cut to `max_source` pieces (said so where a line number is given)."""
        sources = []
        for number, line in enumerate(lines):
            ids = self.tokenizer.source.encode(line)
            if len(ids) > settings.max_source and first_line is not None:
                cut = f"{len(ids)} pieces, cut to the first {settings.max_source} (max_source)"
                warn(f"line {first_line + number}: {cut}")
            sources.append([*ids[: settings.max_source], EOS])
        return sources

    @torch.no_grad()
    def _in_batches(
        self, sources: list[list[int]], sizes: list[int], tokens: int, work: Callable[[list[int], Any], list[Any]]
    ) -> list[Any]:
        """Encode sources in batches of like length and give each batch's indices and memory to `work`."""
        lengths = [len(source) for source in sources]
        order = sorted(range(len(sources)), key=lambda index: (lengths[index], sizes[index]))
        results: list[Any] = [None] * len(sources)
        for chosen in group(sizes, lengths, order, tokens):
            longest = lengths[chosen[-1]]
            padded = [sources[index] + [PAD] * (longest - lengths[index]) for index in chosen]
            source_BS = torch.tensor(padded, device=self.model.device)
            memory = self.model.encode(source_BS, source_BS != PAD)
            for index, result in zip(chosen, work(chosen, memory), strict=True):
                results[index] = result
        return results


def _forced_score(tokens: tuple[int, ...], log_probs: list[float], settings: SearchSettings) -> ForcedScore:
    total = sum(log_probs)
    return ForcedScore(tokens, tuple(log_probs), total, settings.objective.final(total, len(tokens)))


def pick_device(name: str) -> torch.device:
    """The named device; "auto" is the first GPU, or the CPU where there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device = {name!r} is not known: choose auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(f"device = {name!r}, but torch sees {count or 'no'} GPU here: choose another, or cpu")
    return device


def set_threads(threads: int) -> None:
    """Let torch use so many CPU threads."""
    if threads < 1:
        raise ValueError(f"threads = {threads} is not possible: choose 1 or more")
    torch.set_num_threads(threads)
