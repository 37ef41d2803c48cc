"""Options to model: the one place that puts the parts together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nmtkit.models.convolutional import Convolutional
from nmtkit.models.focus import Extent, Global, Monotonic, Normaliser, Predictive, Sigmoid, Softmax, Sparse
from nmtkit.models.interface import Model
from nmtkit.models.layers import FeatureFront, TokenFront, embedding
from nmtkit.models.options import ConvolutionalOptions, ModelOptions, RecurrentOptions, TransformerOptions
from nmtkit.models.recurrent import Recurrent
from nmtkit.models.recurrent_decoders import BahdanauDecoder, LuongDecoder, PlainDecoder, RecurrentDecoder, Sizes
from nmtkit.models.scores import (
    AdditiveScore,
    ContentScore,
    DotScore,
    GeneralScore,
    LocationScore,
    Score,
    UniformScore,
)
from nmtkit.models.source_attention import SourceAttention
from nmtkit.models.transformer import Transformer
from nmtkit.settings import to_mapping


def _score(score: str, units: int, annotation: int, attention: int, strength: float, max_positions: int) -> Score:
    """A score of one head.

    Args:
        units: width of the query, where the score reads the state itself.
        annotation: width of what the keys are made of.
    """
    made: dict[str, Callable[[], Score]] = {
        "additive": lambda: AdditiveScore(annotation, attention),
        "dot": lambda: DotScore(1.0),
        "scaled-dot": lambda: DotScore(annotation**-0.5),
        "general": lambda: GeneralScore(annotation, units),
        "cosine": lambda: ContentScore(strength or None),
        "location": lambda: LocationScore(max_positions),
        "uniform": UniformScore,
    }
    return made[score]()


def _attention(options: RecurrentOptions) -> SourceAttention:
    several, part = options.heads > 1, options.attention // options.heads
    widths = (part, part, part) if several else (options.units, options.annotation, options.attention)
    extents: dict[str, Callable[[], Extent]] = {
        "global": Global,
        "local-m": lambda: Monotonic(options.window),
        "local-p": lambda: Predictive(options.window, options.units),
    }
    normalisers: dict[str, Callable[[], Normaliser]] = {
        "softmax": Softmax,
        "sparsemax": lambda: Sparse(2.0),
        "entmax": lambda: Sparse(1.5),
        "sigmoid": lambda: Sigmoid(options.sigmoid_bias),
    }
    return SourceAttention(
        _score(options.score, *widths, options.strength, options.max_positions),
        extents[options.extent](),
        normalisers[options.normaliser](),
        annotation=options.annotation,
        heads=options.heads,
        width=options.attention,
        positions=options.max_positions if options.score == "location" else None,
        hard=options.hard,
        expected_share=options.expected_share,
    )


def _recurrent(front: nn.Module, target: nn.Embedding, output: nn.Parameter, **rest: Any) -> Model:
    """The decoder that the options ask for, and the encoder around it."""
    options = RecurrentOptions(**rest)
    attends = options.order != "none"
    sizes = Sizes(
        options.cell,
        options.embedding,
        options.annotation if attends else 0,
        options.units,
        options.decoder_layers,
        options.dropout,
    )
    decoder: RecurrentDecoder
    if not attends:
        decoder = PlainDecoder(sizes)
    elif options.order == "luong":
        decoder = LuongDecoder(sizes, _attention(options), options.input_feeding)
    else:
        decoder = BahdanauDecoder(sizes, _attention(options))
    return Recurrent(
        front,
        target,
        output,
        decoder,
        kind=options.cell,
        embedding=options.embedding,
        units=options.encoder_units or options.units,
        layers=options.encoder_layers,
        bidirectional=options.bidirectional,
        whole=not attends,
        dropout=options.dropout,
        reward_weight=options.reward_weight,
        entropy_weight=options.entropy_weight,
    )


_FAMILIES: dict[str, tuple[Callable[..., Model], float | None]] = {
    TransformerOptions.family: (Transformer, None),
    RecurrentOptions.family: (_recurrent, 0.25),
    ConvolutionalOptions.family: (Convolutional, None),
}
"""Family name → what makes its model, and the standard deviation of its embeddings at first; None: rows of norm one.

Nothing scales the words of a recurrent model before they enter its gates, and no normalisation follows: with rows of
norm one its states begin near zero and it learns nothing for hundreds of updates.
"""


def build(options: ModelOptions, *, source_size: int, target_size: int, features: bool = False) -> Model:
    """A freshly initialised model, by torch's global generator.

    Args:
        options: of any family.
        source_size: vocabulary of the source or, with `features`, width of its feature vectors.
        target_size: vocabulary of the target.
        features: the source is feature vectors instead of ids.
    """
    make, std = _FAMILIES[options.family]
    rest: dict[str, Any] = to_mapping(options)
    tie_source, tie_output = rest.pop("tie_source"), rest.pop("tie_output")
    width: int = options.embedding  # type: ignore[attr-defined]  # which every family has
    std = std or width**-0.5
    target = embedding(target_size, width, std)
    if features and tie_source:
        raise ValueError("tie_source needs a source of ids, but this one is feature vectors: set it to false")
    if features:
        front: nn.Module = FeatureFront(source_size, width, std)
    elif tie_source:
        if source_size != target_size:
            raise ValueError(
                "tie_source needs one vocabulary for both sides: train a joint tokenizer or set it to false"
            )
        front = TokenFront(target)
    else:
        front = TokenFront(embedding(source_size, width, std))
    output = target.weight if tie_output else embedding(target_size, width, std).weight
    model = make(front, target, output, **rest)
    model.longest = options.longest
    return model


def parameters(model: nn.Module) -> int:
    """How many numbers are trained; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def average(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of several models' weights, name by name, summed in float64."""
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
        for name, first in states[0].items()
    }
