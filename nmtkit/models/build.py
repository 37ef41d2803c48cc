"""Builds a model from its options: the one place that puts the parts together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nmtkit.models.bahdanau import BahdanauDecoder
from nmtkit.models.convolutional import Convolutional
from nmtkit.models.focus import Extent, Global, Monotonic, Normaliser, Predictive, Sigmoid, Softmax, Sparse
from nmtkit.models.fronts import Embeddings, FeatureFront, Front, TokenFront, embedding
from nmtkit.models.hard import HardChoice
from nmtkit.models.interface import Model
from nmtkit.models.luong import LuongDecoder
from nmtkit.models.options import ConvolutionalOptions, ModelOptions, RecurrentOptions, TransformerOptions
from nmtkit.models.recurrent import Recurrent
from nmtkit.models.recurrent_decoder import DecoderSizes, RecurrentDecoder
from nmtkit.models.scores import (
    AdditiveScore,
    ContentScore,
    DotScore,
    GeneralScore,
    LocationScore,
    Score,
    UniformScore,
)
from nmtkit.models.source_attention import HeadSizes, SourceAttention
from nmtkit.models.sutskever import SutskeverDecoder
from nmtkit.models.transformer import Transformer


def _score(options: RecurrentOptions) -> Score:
    """The score of one head. A single head compares the decoder's states with the annotations themselves; each of
    several heads compares projections of them, as wide as its part of `attention`."""
    several, part = options.heads > 1, options.attention // options.heads
    query, read, width = (part, part, part) if several else (options.units, options.annotation, options.attention)
    scores: dict[str, Callable[[], Score]] = {
        "additive": lambda: AdditiveScore(read, width),
        "dot": lambda: DotScore(1.0),
        "scaled-dot": lambda: DotScore(read**-0.5),
        "general": lambda: GeneralScore(read, query),
        "cosine": lambda: ContentScore(options.strength or None),
        "location": lambda: LocationScore(options.max_positions),
        "uniform": UniformScore,
    }
    return scores[options.score]()


def _extent(options: RecurrentOptions) -> Extent:
    extents: dict[str, Callable[[], Extent]] = {
        "global": Global,
        "local-m": lambda: Monotonic(options.window),
        "local-p": lambda: Predictive(options.window, options.units),
    }
    return extents[options.extent]()


def _normaliser(options: RecurrentOptions) -> Normaliser:
    normalisers: dict[str, Callable[[], Normaliser]] = {
        "softmax": Softmax,
        "sparsemax": lambda: Sparse(2.0),
        "entmax": lambda: Sparse(1.5),
        "sigmoid": lambda: Sigmoid(options.sigmoid_bias),
    }
    return normalisers[options.normaliser]()


def _attention(options: RecurrentOptions) -> SourceAttention:
    hard = HardChoice(options.expected_share) if options.hard else None
    sizes = HeadSizes(options.heads, options.annotation, options.attention)
    return SourceAttention(_score(options), _extent(options), _normaliser(options), hard, sizes)


def _decoder(options: RecurrentOptions) -> RecurrentDecoder:
    context = 0 if options.order == "none" else options.annotation
    sizes = DecoderSizes(
        options.cell, options.embedding, context, options.units, options.decoder_layers, options.dropout
    )
    decoders: dict[str, Callable[[], RecurrentDecoder]] = {
        "none": lambda: SutskeverDecoder(sizes),
        "bahdanau": lambda: BahdanauDecoder(sizes, _attention(options)),
        "luong": lambda: LuongDecoder(sizes, _attention(options), options.input_feeding),
    }
    return decoders[options.order]()


def _recurrent(embeddings: Embeddings, options: RecurrentOptions) -> Recurrent:
    return Recurrent(embeddings, options, _decoder(options))


_FAMILIES: dict[str, tuple[Callable[[Embeddings, Any], Model], float | None]] = {
    TransformerOptions.family: (Transformer, None),
    RecurrentOptions.family: (_recurrent, 0.25),
    ConvolutionalOptions.family: (Convolutional, None),
}
"""Family name → function that makes its model, and the first standard deviation of its embeddings (None: norm one).

Nothing scales the words of a recurrent model before they enter its gates, and no normalisation follows: with rows of
norm one its states begin near zero and it learns nothing for hundreds of updates.
"""


def build(options: ModelOptions, *, source_size: int, target_size: int, features: bool = False) -> Model:
    """A freshly initialised model, by torch's global generator.

    Args:
        options: options of any family.
        source_size: size of the source vocabulary or, with `features`, width of the feature vectors.
        target_size: size of the target vocabulary.
        features: whether the source is feature vectors instead of ids.
    """
    make, std = _FAMILIES[options.family]
    width = options.embedding
    std = std or width**-0.5
    target = embedding(target_size, width, std)
    if features and options.tie_source:
        raise ValueError("tie_source needs a source of ids, but this one is feature vectors: set it to false")
    if features:
        front: Front = FeatureFront(source_size, width, std)
    elif options.tie_source:
        if source_size != target_size:
            raise ValueError(
                "tie_source needs one vocabulary for both sides: train a joint tokenizer or set it to false"
            )
        front = TokenFront(target)
    else:
        front = TokenFront(embedding(source_size, width, std))
    output = target.weight if options.tie_output else embedding(target_size, width, std).weight
    model = make(Embeddings(front, target, output), options)
    model.longest = options.longest
    return model


def parameters(model: nn.Module) -> int:
    """The number of trainable parameters; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def average(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of several models' weights, name by name, summed in float64."""
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
        for name, first in states[0].items()
    }
