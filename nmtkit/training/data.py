"""The parallel text of a run: its files, read as lines and as ids, and a line of counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmtkit.batches.corpus import Corpus, load_corpus
from nmtkit.console import note
from nmtkit.features import is_features, read_sources
from nmtkit.packed import stored
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.training.validation import DevSet
from nmtkit.words import counted


@dataclass(frozen=True)
class Data:
    """The files of the parallel text.

    Attributes:
        train: prefix of the training files: `train`.`source_lang` and `train`.`target_lang`.
        dev: prefix of the dev files.
        source_lang: ending of the source files; npz, npy or safetensors for feature files.
        target_lang: ending of the target files.
    """

    train: Path
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
    def vectors(self) -> bool:
        """Whether the source consists of feature files."""
        return is_features(f"x.{self.source_lang}")

    def paths(self) -> dict[str, Path]:
        """The four files by role ("train source" …); in place of one that is absent its packed form, if it exists."""
        return {
            f"{part} {side}": stored(Path(f"{prefix}.{language}"))
            for part, prefix in (("train", self.train), ("dev", self.dev))
            for side, language in (("source", self.source_lang), ("target", self.target_lang))
        }


@dataclass(frozen=True)
class Texts:
    """Lines of the four files."""

    train_source: Sequence[str]
    train_target: Sequence[str]
    dev_source: Sequence[str]
    dev_target: Sequence[str]

    @classmethod
    def read(cls, paths: Mapping[str, Path]) -> Texts:
        """Raises ValueError for a file that cannot be read, or whose line count differs from that of the other side."""
        train, dev = (read_sources(paths[f"{part} source"], paths[f"{part} target"]) for part in ("train", "dev"))
        return cls(*train, *dev)

    def overlap(self) -> int:
        """The number of dev pairs that are also in the training text."""
        known = set(zip(self.train_source, self.train_target, strict=True))
        return sum(pair in known for pair in zip(self.dev_source, self.dev_target, strict=True))


def encode(
    texts: Texts, paths: Mapping[str, Path], tokenizer: Tokenizer, most_source: int, most_target: int
) -> tuple[Corpus, DevSet]:
    """Both corpora as ids, without pairs of more pieces than `most_source` and `most_target`; notes the counts.

    Raises:
        ValueError: if no pair is left.
    """
    corpus = load_corpus(texts.train_source, texts.train_target, tokenizer, most_source, most_target)
    dev = load_corpus(texts.dev_source, texts.dev_target, tokenizer, most_source, most_target)
    counts = corpus.counts
    note(
        f"data: {counted(counts.pairs, 'pair')}, {counts.empty} empty, {counts.overlong} over-long, "
        f"{counted(counts.duplicates, 'duplicate')}; training on {counted(counts.kept, 'pair')} "
        f"({sum(corpus.source.lengths)} source and {counted(sum(corpus.target.lengths), 'target piece')}); dev: "
        f"{counted(dev.counts.pairs, 'pair')}, "
        f"{dev.counts.empty} empty, {dev.counts.overlong} over-long, {texts.overlap()} also in train"
    )
    for name, part in (("train", corpus), ("dev", dev)):
        if not len(part):
            both = f"{paths[f'{name} source']} and {paths[f'{name} target']}"
            raise ValueError(
                f"{both}: every pair is empty or longer than {most_source} source or "
                f"{counted(most_target, 'target piece')}"
            )
    return corpus, DevSet(texts.dev_source, texts.dev_target, dev)
