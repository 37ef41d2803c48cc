"""The parallel text of a run: its files and prepared folders, read as lines and as ids, and a line of counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmtkit.batches.cache import Cache, is_large
from nmtkit.batches.corpus import Corpus, join, load_corpus, open_corpus
from nmtkit.batches.hashes import pair_hashes, shared
from nmtkit.batches.preparation import Job
from nmtkit.batches.shards import Facts, prepared, read_facts, verify
from nmtkit.console import note
from nmtkit.features import is_features, read_sources
from nmtkit.files import Lines, sha256
from nmtkit.packed import stored
from nmtkit.settings import Within
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training.validation import DevSet
from nmtkit.words import counted

WEIGHT = Within(1, 1000)
Limits = tuple[int, int]
"""The most pieces of a source and of a target."""


@dataclass(frozen=True)
class Part:
    """A training corpus.

    Attributes:
        path: prefix of its files, or the folder where it is prepared.
        weight: how often an epoch has its pairs.
    """

    path: Path
    weight: int = 1

    def __post_init__(self) -> None:
        WEIGHT.check(f"the weight of {self.path}", self.weight, whole=True)

    @classmethod
    def of(cls, text: str, ending: str) -> Part:
        """The corpus that a text names: a path, or a path, a colon and its weight, unless the text itself is a path.

        Args:
            ending: ending of the source files.
        """
        weighted = re.fullmatch(r"(.+):(-?[0-9]{1,9}(?:\.[0-9]*)?)", text, re.DOTALL)
        if weighted is None or Path(text).is_dir() or stored(Path(f"{text}.{ending}")).exists():
            return cls(Path(text))
        if not weighted[2].lstrip("-").isdigit():
            raise ValueError(f"the weight of {weighted[1]} is {weighted[2]}: choose a whole number {WEIGHT}")
        return cls(Path(weighted[1]), int(weighted[2]))

    @property
    def prepared(self) -> bool:
        """Whether it is a prepared folder."""
        return prepared(self.path)


@dataclass(frozen=True)
class Data:
    """The files of the parallel text.

    Attributes:
        train: the training corpora; a path stands for one corpus of weight 1.
        dev: prefix of the dev files.
        source_lang: ending of the source files; npz, npy or safetensors for feature files.
        target_lang: ending of the target files.
    """

    train: Path | tuple[Part, ...]
    dev: Path
    source_lang: str
    target_lang: str

    def __post_init__(self) -> None:
        if self.source_lang == self.target_lang:
            raise ValueError(
                f"source_lang and target_lang are both {self.source_lang!r}, so the model would learn to copy: "
                "name the endings of two different texts"
            )

        if is_features(f"x.{self.target_lang}"):
            raise ValueError(
                f"target_lang = {self.target_lang!r} names feature files, but a model writes text: name a text's ending"
            )

    @property
    def parts(self) -> tuple[Part, ...]:
        """The training corpora."""
        return (Part(self.train),) if isinstance(self.train, Path) else self.train

    @property
    def vectors(self) -> bool:
        """Whether the source consists of feature files."""
        return is_features(f"x.{self.source_lang}")

    def files(self, prefix: Path) -> tuple[Path, Path]:
        """The two files of a prefix; in place of one that is absent its packed form, if it exists."""
        source, target = (stored(Path(f"{prefix}.{language}")) for language in (self.source_lang, self.target_lang))
        if prefix.is_dir() and not source.exists():
            raise ValueError(
                f"{prefix}: is a folder without a prepared text; run its nmtkit prepare to the end, or name the prefix "
                f"of two files such as {source}"
            )
        return source, target

    def paths(self) -> dict[str, Path]:
        """The files by role ("train source", "train 2 source" …); of a prepared corpus those that it was made of."""
        paths: dict[str, Path] = {}
        for role, part in self._roles().items():
            facts = read_facts(part.path) if part.prepared else None
            pair = (Path(facts.source.path), Path(facts.target.path)) if facts else self.files(part.path)
            paths |= {f"{role} source": pair[0], f"{role} target": pair[1]}
        source, target = self.files(self.dev)
        return {**paths, "dev source": source, "dev target": target}

    def identity(self, tokenizer: Tokenizer, limits: Limits, cache: Cache) -> dict[str, str]:
        """All that decides what is trained on: SHA-256 of the files by role, and weights, if there are any.

        The hashes of a prepared text are not computed again, unless its content is to be verified.
        """
        hashes: dict[str, str] = {}
        for role, part in self._roles().items():
            facts = None
            if part.prepared:
                facts = self.own(part, tokenizer, limits)
            elif not cache.verify and self.large(part):
                facts = cache.recognised(self.job(part, tokenizer, limits))
            sums = (facts.source.sha256, facts.target.sha256) if facts else tuple(map(sha256, self.files(part.path)))
            hashes |= {f"{role} source": sums[0], f"{role} target": sums[1]}
        weights = {f"{role} weight": str(part.weight) for role, part in self._roles().items()}
        if set(weights.values()) == {"1"} and len(weights) == 1:
            weights = {}
        source, target = self.files(self.dev)
        return {**hashes, "dev source": sha256(source), "dev target": sha256(target), **weights}

    def large(self, part: Part) -> bool:
        """Whether a corpus of files is prepared on disk."""
        return not self.vectors and is_large(*self.files(part.path))

    def job(self, part: Part, tokenizer: Tokenizer, limits: Limits) -> Job:
        """How a corpus of files is prepared."""
        return Job(*self.files(part.path), (self.source_lang, self.target_lang), tokenizer, *limits)

    def own(self, part: Part, tokenizer: Tokenizer, limits: Limits) -> Facts:
        """The facts of a prepared corpus; ValueError if it does not fit the run."""
        facts = read_facts(part.path)
        languages = (facts.source.language, facts.target.language)
        if languages != (self.source_lang, self.target_lang):
            raise ValueError(
                f"{part.path}: was prepared as {' to '.join(languages)}, but the run is {self.source_lang} to "
                f"{self.target_lang}: change the languages, or prepare the text again"
            )
        if facts.tokenizer != tokenizer.hash():
            raise ValueError(
                f"{part.path}: was prepared with another tokenizer: name that one ({part.path} holds it), or prepare "
                "the text again"
            )
        if (facts.max_source, facts.max_target) != limits:
            raise ValueError(
                f"{part.path}: was prepared for max_source = {facts.max_source} and max_target = {facts.max_target}, "
                f"but the run has {limits[0]} and {limits[1]}: set them in the table training of a --config file, or "
                f"prepare the text again with --max-source {limits[0]} --max-target {limits[1]}"
            )
        return facts

    def _roles(self) -> dict[str, Part]:
        return {f"train {number}" if number > 1 else "train": part for number, part in enumerate(self.parts, start=1)}


@dataclass(frozen=True)
class Texts:
    """Lines of the files.

    Attributes:
        train: source and target of each training corpus: lists, or lines that are read anew each time if it is large;
            none for a prepared corpus.
        dev: source and target of the dev set.
    """

    train: Sequence[tuple[Sequence[str] | Lines, Sequence[str] | Lines] | None]
    dev: tuple[Sequence[str], Sequence[str]]

    @classmethod
    def read(cls, data: Data) -> Texts:
        """Raises ValueError for a file that cannot be read, or whose line count differs from that of the other side.

        Of large files this is known only once they are prepared.
        """
        train: list[tuple[Sequence[str] | Lines, Sequence[str] | Lines] | None] = []
        for part in data.parts:
            if part.prepared:
                train.append(None)
                continue
            paths = data.files(part.path)
            if data.large(part):
                train.append((Lines(paths[0]), Lines(paths[1])))
            else:
                source, target = read_sources(*paths)
                train.append((source, target))
        dev_source, dev_target = read_sources(*data.files(data.dev))
        return cls(train, (dev_source, dev_target))

    def side(self, number: int) -> Iterable[str]:
        """All lines of one side of the training text, 0 or 1; they can be read more than once."""
        own = [part[number] for part in self.train if part is not None]
        return own[0] if len(own) == 1 else Lines(*own)


def prepare_large(data: Data, tokenizer: Tokenizer, limits: Limits, cache: Cache) -> None:
    """Let the cache have every large training text; with several processes one of them does it for `encode` of all."""
    for part in data.parts:
        if not part.prepared and data.large(part):
            cache.prepared(data.job(part, tokenizer, limits))


def encode(texts: Texts, data: Data, tokenizer: Tokenizer, limits: Limits, cache: Cache) -> tuple[Corpus, DevSet]:
    """Both corpora as ids, without pairs of more pieces than the limits; notes the counts.

    Raises:
        ValueError: if no pair is left.
    """
    parts = [
        (_part(lines, data, part, tokenizer, limits, cache), part.weight)
        for part, lines in zip(data.parts, texts.train, strict=True)
    ]
    corpus, dev = join(parts), load_corpus(*texts.dev, tokenizer, *limits)
    counts, overlap = corpus.counts, shared(corpus.hashes, pair_hashes(zip(*texts.dev, strict=True)))
    epoch = sum(pairs * weight for pairs, weight in corpus.shares)
    weighted = "" if epoch == counts.kept else f", {epoch:,} in an epoch"
    note(
        f"data: {counted(counts.pairs, 'pair')}, {counts.empty:,} empty, {counts.overlong:,} over-long, "
        f"{counted(counts.duplicates, 'duplicate')}; training on {counted(counts.kept, 'pair')}{weighted} "
        f"({corpus.source.positions:,} source and {counted(corpus.target.positions, 'target piece')}); dev: "
        f"{counted(dev.counts.pairs, 'pair')}, "
        f"{dev.counts.empty:,} empty, {dev.counts.overlong:,} over-long, {overlap:,} also in train"
    )
    for (own, weight), part in zip(parts, data.parts, strict=True) if len(parts) > 1 else ():
        share = 100 * len(own) * weight / max(epoch, 1)
        note(f"{part.path}: {counted(len(own), 'pair')}, {counted(weight, 'time')} in an epoch, {share:.1f} % of it")
    for own, prefix in (*((own, part.path) for (own, _), part in zip(parts, data.parts, strict=True)), (dev, data.dev)):
        if not len(own):
            raise ValueError(
                f"{' and '.join(map(str, data.files(prefix)))}: every pair is empty or longer than {limits[0]} source "
                f"or {counted(limits[1], 'target piece')}"
            )
    return corpus, DevSet(*texts.dev, dev)


def _part(
    lines: tuple[Sequence[str] | Lines, Sequence[str] | Lines] | None,
    data: Data,
    part: Part,
    tokenizer: Tokenizer,
    limits: Limits,
    cache: Cache,
) -> Corpus:
    """A training corpus as ids: in memory, from the cache, or from its own folder."""
    if lines is None:
        facts = data.own(part, tokenizer, limits)
        if cache.verify:
            verify(part.path, facts)
        return open_corpus(part.path, facts)
    if data.large(part):
        job = data.job(part, tokenizer, limits)
        return open_corpus(cache.place(job), cache.recognised(job) or cache.prepared(job)[1])
    source, target = (list(side) for side in lines)
    return load_corpus(source, target, tokenizer, *limits)
