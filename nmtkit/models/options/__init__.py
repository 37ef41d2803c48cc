"""Options and presets of the model families: plain values, checked on creation."""

from nmtkit.models.options.base import DROPOUT, ModelOptions
from nmtkit.models.options.convolutional import ConvolutionalOptions
from nmtkit.models.options.presets import (
    FAMILIES,
    PRESETS,
    options_from_mapping,
    options_of_folder,
    options_to_mapping,
    preset,
)
from nmtkit.models.options.recurrent import RecurrentOptions
from nmtkit.models.options.transformer import TransformerOptions

__all__ = [
    "DROPOUT",
    "FAMILIES",
    "PRESETS",
    "ConvolutionalOptions",
    "ModelOptions",
    "RecurrentOptions",
    "TransformerOptions",
    "options_from_mapping",
    "options_of_folder",
    "options_to_mapping",
    "preset",
]
