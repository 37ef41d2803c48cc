"""Options to model: the one place that puts the parts together."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from nmtkit.models.interface import Model
from nmtkit.models.layers import FeatureFront, TokenFront, embedding
from nmtkit.models.options import ModelOptions, RecurrentOptions, TransformerOptions
from nmtkit.models.recurrent import Recurrent
from nmtkit.models.transformer import Transformer
from nmtkit.settings import to_mapping

_FAMILIES: dict[str, tuple[type[Model], str]] = {
    TransformerOptions.family: (Transformer, "width"),
    RecurrentOptions.family: (Recurrent, "embedding"),
}
"""Family name → class and the option that is the width of its embeddings."""


def build(options: ModelOptions, *, source_size: int, target_size: int, features: bool = False) -> Model:
    """A freshly initialised model, by torch's global generator.

    Args:
        options: of any family.
        source_size: vocabulary of the source or, with `features`, width of its feature vectors.
        target_size: vocabulary of the target.
        features: the source is feature vectors instead of ids.
    """
    model_class, width_name = _FAMILIES[options.family]
    rest: dict[str, Any] = to_mapping(options)
    tie_source, tie_output = rest.pop("tie_source"), rest.pop("tie_output")
    width = rest[width_name]
    target = embedding(target_size, width)
    if features and tie_source:
        raise ValueError("tie_source needs a source of ids, but this one is feature vectors: set it to false")
    if features:
        front: nn.Module = FeatureFront(source_size, width)
    elif tie_source:
        if source_size != target_size:
            raise ValueError(
                "tie_source needs one vocabulary for both sides: train a joint tokenizer or set it to false"
            )
        front = TokenFront(target)
    else:
        front = TokenFront(embedding(source_size, width))
    output = target.weight if tie_output else embedding(target_size, width).weight
    return model_class(front, target, output, **rest)


def parameters(model: nn.Module) -> int:
    """How many numbers are trained; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def average(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of several models' weights, name by name, summed in float64."""
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
        for name, first in states[0].items()
    }
