"""The parent of a run: the model folder whose weights a new model begins with (Zoph et al. 2016).

Tensors with a row for each piece of a vocabulary are taken over piece by piece, all others whole, so that the child may
have another vocabulary than its parent.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from nmtkit import checkpoint
from nmtkit.checkpoint import Origin
from nmtkit.console import note
from nmtkit.models.interface import Model
from nmtkit.models.options import ModelOptions, options_to_mapping
from nmtkit.specials import EOS
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.vocabulary import Vocabulary
from nmtkit.words import counted

FIX = "leave out the preset and the table [model] to get a model like it"


@dataclass(frozen=True)
class Parent:
    """A model folder whose best weights a run begins with.

    Attributes:
        options: options of its model.
        origin: what the child records about it.
    """

    options: ModelOptions
    tokenizer: Tokenizer
    origin: Origin

    @classmethod
    def read(cls, folder: Path) -> Parent:
        """All but the weights; ValueError for anything else than a model folder with weights."""
        options = checkpoint.read_options(folder)
        header = checkpoint.read_header(folder / checkpoint.BEST, checkpoint.WEIGHTS)
        origin = Origin(os.path.abspath(folder), header["hash"], int(header["steps"]))
        return cls(options.model, Tokenizer.load(folder, checkpoint.RESTORE), origin)

    def child(self) -> ModelOptions:
        """The options of a child that is given none; it has one table for both sides if it can."""
        return replace(self.options, tie_source=None) if self.options.tie_source else self.options

    def check(self, child: Model, options: ModelOptions, features: int | None) -> None:
        """ValueError in one line if a model cannot take over the weights.

        Args:
            child: the model, whose tensors may be on the meta device.
            options: its options.
            features: features per position of its source; None if that is text.
        """
        name, features_here = self.origin.folder, self.tokenizer.features
        if features_here != features:
            raise ValueError(
                f"{name}: its source is {_kind(features_here)}, not {_kind(features)}: begin with another model"
            )
        if self.options.family != options.family:
            raise ValueError(f"{name}: its family is {self.options.family}, not {options.family}: {FIX}")
        with torch.device("meta"):
            model = checkpoint.build_model(self.options, self.tokenizer)
        try:
            _pairs(child, model)
        except ValueError as error:
            raise ValueError(f"{name}: {'; '.join([str(error), *self._changes(options)])}: {FIX}") from None

    def give(self, child: Model, options: ModelOptions, tokenizer: Tokenizer) -> None:
        """Let a model begin with the weights, and note what it takes over.

        Raises:
            ValueError: if the weights have changed since they were looked at.
        """
        loaded = checkpoint.load(str(self.origin.folder))
        if loaded.hash != self.origin.hash:
            raise ValueError(
                f"{self.origin.folder}: its weights have just changed: wait until it is trained, or copy it"
            )
        own, given = _sides(tokenizer), _sides(loaded.tokenizer)
        rows = {side: shared_rows(own[side], given[side]) for side in own}
        with torch.no_grad():
            for pair in _pairs(child, loaded.model):
                if pair.side:
                    places, sources = rows[pair.side]
                    pair.own[places] = pair.given[sources].to(pair.own)
                else:
                    pair.own.copy_(pair.given)
        facts = [f"beginning with the weights of {self.origin.folder}, of update {self.origin.updates}"]
        if tokenizer.hash() != loaded.tokenizer.hash():
            one = tokenizer.joint and loaded.tokenizer.joint
            counts = {
                side: (len(rows[side][0]), counted(own[side].size, f"{'' if one else side + ' '}piece")) for side in own
            }
            shared = " and ".join(dict.fromkeys(f"{count:,} of {pieces}" for count, pieces in counts.values()))
            facts.append(f"{shared} are shared, and the others are new")
        note("; ".join([*facts, *self._changes(options)]))

    def _changes(self, options: ModelOptions) -> list[str]:
        """The options that differ from those of the parent."""
        before, now = options_to_mapping(self.options), options_to_mapping(options)
        return [f"{name} was {before[name]}, now {now[name]}" for name in now if before[name] != now[name]]


def shared_rows(own: Vocabulary, given: Vocabulary) -> tuple[list[int], list[int]]:
    """The ids of the pieces that two vocabularies share, in each of them; special tokens are always shared."""
    first = EOS + 1
    places = {piece: row for row, piece in enumerate(given.pieces(range(first, given.size)), first)}
    pieces = enumerate(own.pieces(range(first, own.size)), first)
    both = [(row, row) for row in range(first)] + [(row, places[piece]) for row, piece in pieces if piece in places]
    return [row for row, _ in both], [row for _, row in both]


@dataclass(frozen=True)
class Pair:
    """A tensor of a model and that of its parent; its rows belong to the pieces of a side, or it has none (empty)."""

    own: Tensor
    given: Tensor
    side: str = ""


def _pairs(child: Model, parent: Model) -> list[Pair]:
    """All tensors of a model, each with that of its parent; ValueError for the first that has no match."""
    tables: dict[int, Pair] = {}
    for side, own_tables in child.tables().items():
        for own, given in zip(own_tables, parent.tables()[side], strict=True):
            if tables.setdefault(id(own), Pair(own, given, side)).given is not given:
                raise ValueError("its tables of embeddings are two tensors, here they are one")
            if own.shape[1:] != given.shape[1:]:
                raise ValueError(f"its embeddings are {given.shape[1]} wide, not {own.shape[1]}")
    here, there = _others(child), _others(parent)
    for name in [*here, *there]:
        if name not in there:
            raise ValueError(f"it has no tensor {name}")
        if name not in here:
            raise ValueError(f"it has a tensor {name}")
        if here[name].shape != there[name].shape:
            raise ValueError(f"its tensor {name} is {_size(there[name])}, not {_size(here[name])}")
    return [*tables.values(), *(Pair(here[name], there[name]) for name in here)]


def _others(model: Model) -> dict[str, Tensor]:
    """The tensors without a row for each piece, by name."""
    tables = {id(table) for side in model.tables().values() for table in side}
    return {name: tensor for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) not in tables}


def _sides(tokenizer: Tokenizer) -> dict[str, Vocabulary]:
    """The vocabularies by side, without a source of vectors."""
    return {**({"source": tokenizer.source} if tokenizer.features is None else {}), "target": tokenizer.target}


def _kind(features: int | None) -> str:
    return "text" if features is None else f"vectors of {counted(features, 'feature')}"


def _size(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "a number"
