"""What a model looked at while it wrote each piece: maps by layer and head, pieces joined to words, word alignments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmtkit.evaluation.alignment import Links

if TYPE_CHECKING:
    from nmtkit.batches.source import Source
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

Matrix = NDArray[np.float32]

KINDS = ("cross", "decoder", "encoder")
"""Attention of the target to the source, of the target to itself, of the source to itself."""
BYTES = re.compile("(?:<0x[0-9A-F]{2}>)+")
"""How SentencePiece spells letters that its vocabulary lacks."""
SPACE = "▁"
"""How SentencePiece writes the space before a word."""


@dataclass(frozen=True)
class Choice:
    """Which maps are asked for.

    Attributes:
        kind: one of `KINDS`.
        layer, head: from 1; None: the mean of all.
        words: whether pieces are joined to words.
        each: whether a layer or head of None gives a map for each of them instead of their mean.
    """

    kind: str = "cross"
    layer: int | None = None
    head: int | None = None
    words: bool = False
    each: bool = False


@dataclass(frozen=True)
class AttentionMap:
    """One map of one sentence.

    Attributes:
        line: number of the sentence, from 1.
        source, target: the texts.
        rows: what looked: target pieces or words (source pieces or words for "encoder"), the end of sentence last.
        columns: what was looked at.
        weights: (rows, columns).
        layer, head: from 1; None: the mean of all.
    """

    line: int
    source: str
    target: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    weights: Matrix
    layer: int | None = None
    head: int | None = None

    @property
    def highest(self) -> float:
        """The highest weight, which gets the full shade; 1 where all weights are 0."""
        return float(self.weights.max(initial=0)) or 1.0


def attend(
    translator: Translator,
    source: Source,
    targets: Mapping[int, tuple[str, tuple[int, ...]]],
    settings: SearchSettings,
    choice: Choice,
    numbers: Sequence[int] | None = None,
) -> list[AttentionMap]:
    """The map of each sentence that has a target; several maps where `choice.each` asks for each layer and head.

    Args:
        targets: a translation for the index of each sentence, as text and as ids, EOS last.
        numbers: numbers of all sentences of the source; None: as the source numbers them.

    Raises:
        ValueError: where the model has no such map, and for a target that is too long for the model.
    """
    from nmtkit.inspection.attended import attended  # which loads torch

    maps = []
    pieces = translator.tokenizer.target.pieces
    for index, (text, tokens) in targets.items():
        number = numbers[index] if numbers else source.first + index
        try:
            seen = attended(translator, source, index, tokens, settings)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        layers = {"cross": seen.cross, "decoder": seen.decoder, "encoder": seen.encoder}[choice.kind]
        read, written = source.names(index), tuple(pieces(tokens))
        before = ("<s>", *written[:-1])  # the last piece that was read when a piece is predicted
        rows, columns = {"cross": (written, read), "decoder": (written, before), "encoder": (read, read)}[choice.kind]
        for layer, head, weights in _chosen(layers, choice):
            looked, seen_columns, summed = joined(rows, columns, weights) if choice.words else (rows, columns, weights)
            facts = (tuple(looked), tuple(seen_columns), summed, layer, head)
            maps.append(AttentionMap(number, source.show(index), text, *facts))
    return maps


def _chosen(layers: Sequence[Matrix], choice: Choice) -> list[tuple[int | None, int | None, Matrix]]:
    """Layer, head and weights (T, S) of each map that `choice` asks for."""
    if not layers:
        what = {"cross": "attention to the source", "decoder": "self-attention in the decoder"}
        raise ValueError(
            f"this model has no {what.get(choice.kind, 'self-attention in the encoder')}; nmtkit info shows its family"
        )
    if choice.layer is not None and choice.layer > len(layers):
        raise ValueError(f"there is no layer {choice.layer}: the model has {len(layers)}")
    numbers = range(1, len(layers) + 1) if choice.layer is None else [choice.layer]
    heads = min(len(layers[number - 1]) for number in numbers)
    if choice.head is not None and choice.head > heads:
        raise ValueError(f"there is no head {choice.head}: the model has {heads}")
    chosen = [
        layers[number - 1] if choice.head is None else layers[number - 1][[choice.head - 1]] for number in numbers
    ]
    if not choice.each:
        return [(choice.layer, choice.head, np.mean(np.stack([layer.mean(0) for layer in chosen]), axis=0))]
    return [
        (number, choice.head or place + 1, weights)
        for number, layer in zip(numbers, chosen, strict=True)
        for place, weights in enumerate(layer)
    ]


def joined(
    rows: Sequence[str], columns: Sequence[str], weights: Matrix
) -> tuple[tuple[str, ...], tuple[str, ...], Matrix]:
    """Join pieces to words: the weights of the pieces looked at add up, those of the pieces that look are averaged."""
    looking, seen = words(rows), words(columns)
    summed = np.stack([weights[:, group].sum(1) for _, group in seen], axis=1)
    averaged = np.stack([summed[group].mean(0) for _, group in looking])
    return tuple(name for name, _ in looking), tuple(name for name, _ in seen), averaged


def words(pieces: Sequence[str]) -> list[tuple[str, list[int]]]:
    """The words that pieces spell, each with the places of its pieces.

    A piece that begins with a space begins a word; so do the marks of the beginning and the end of the sentence.
    """
    groups: list[tuple[str, list[int]]] = []
    for place, piece in enumerate(pieces):
        special = piece in ("<s>", "</s>")
        if not groups or special or piece.startswith(SPACE) or groups[-1][0] == "<s>":
            groups.append(("", []))
        name, group = groups[-1]
        groups[-1] = (name + piece.replace(SPACE, ""), [*group, place])
    return [(_spelled(name), group) for name, group in groups]


def _spelled(name: str) -> str:
    """The name with its bytes, which stand for letters that the vocabulary lacks, turned into these letters."""
    return re.sub(BYTES, lambda match: bytes.fromhex(match[0][3:-1].replace("><0x", "")).decode(errors="replace"), name)


def align(attention_map: AttentionMap) -> Links:
    """A link from each target word to the source word that it looked at most, in a "cross" map of words.

    Words are counted as in the texts: the end of sentence does not count, nor does white space alone.
    """
    rows, columns = (_counted(names) for names in (attention_map.rows, attention_map.columns))
    if not columns:
        return frozenset()
    links = set()
    for row, word in rows:
        weights = attention_map.weights[row, [place for place, _ in columns]]
        if weights.any():
            links.add((columns[int(weights.argmax())][1], word))
    return frozenset(links)


def _counted(names: Sequence[str]) -> list[tuple[int, int]]:
    """(place, number of the word in its text) of each name that is a word."""
    places = [place for place, name in enumerate(names) if name and name not in ("<s>", "</s>")]
    return [(place, number) for number, place in enumerate(places)]
