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
from nmtkit.decoding.forced import forced_log_probs
from nmtkit.decoding.objective import Objective, default_limit
from nmtkit.memory import keep_freed_memory
from nmtkit.models.interface import Model
from nmtkit.settings import from_mapping
from nmtkit.specials import EOS, PAD
from nmtkit.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Attributes:
        beam: hypotheses kept at each step; 1 is greedy search.
        length_alpha: exponent of the length normalisation; 0 none, 1 mean of a token.
        n_best: translations returned for each line; at most the beam.
        max_length: most target pieces, EOS counted; None: 2 × source pieces + 10.
        max_source: source pieces beyond this many are cut off, with a warning.
        batch_tokens: most padded source pieces searched at one time.
    """

    beam: int = 5
    length_alpha: float = 0.7
    n_best: int = 1
    max_length: int | None = None
    max_source: int = 1000
    batch_tokens: int = 2048

    def __post_init__(self) -> None:
        for name in ("beam", "n_best", "max_source", "batch_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} is not possible: choose 1 or more")
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length = {self.max_length} is not possible: choose 1 or more (EOS counts)")
        if self.n_best > self.beam:
            raise ValueError(f"n_best = {self.n_best} needs a beam at least as wide, but beam = {self.beam}")
        Objective(self.length_alpha)

    @property
    def objective(self) -> Objective:
        return Objective(self.length_alpha)


@dataclass(frozen=True)
class Translation:
    """One output: text, ids (EOS last), Σ log P in nats, and J."""

    text: str
    tokens: tuple[int, ...]
    total: float
    score: float

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
        limits = [_limit(line, source, settings) for line, source in zip(lines, sources, strict=True)]

        def search_batch(chosen: list[int], memory: Any) -> list[list[Translation]]:
            found = beam_search(
                self.model,
                memory,
                [limits[index] for index in chosen],
                beam=settings.beam,
                objective=settings.objective,
                n_best=settings.n_best,
            )
            if not all(found):
                number = first_line + chosen[found.index([])]
                raise ValueError(f"line {number}: the model gives no finite probability; it is damaged, train it again")
            return [
                [Translation(self.decode_target(one.tokens), one.tokens, one.total, one.score) for one in hypotheses]
                for hypotheses in found
            ]

        return self._in_batches(sources, [1] * len(sources), settings.batch_tokens, search_batch)

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
        sources = self._sources(lines, settings, None)
        return [_limit(line, source, settings) for line, source in zip(lines, sources, strict=True)]

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


def _limit(line: str, source: list[int], settings: SearchSettings) -> int:
    """A blank line can only be translated by EOS; otherwise the limit follows the source."""
    if not line.strip():
        return 1
    return settings.max_length or default_limit(len(source) - 1)


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
