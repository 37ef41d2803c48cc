"""Families and presets by name; options to plain mappings and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nmtkit.models.options.base import ModelOptions
from nmtkit.models.options.convolutional import ConvolutionalOptions
from nmtkit.models.options.recurrent import RecurrentOptions
from nmtkit.models.options.transformer import TransformerOptions
from nmtkit.settings import from_mapping, nearest, to_mapping

FAMILIES: dict[str, type[ModelOptions]] = {
    cls.family: cls for cls in (TransformerOptions, RecurrentOptions, ConvolutionalOptions)
}

PRESETS: dict[str, ModelOptions] = {
    "rnn-tiny": RecurrentOptions(embedding=128, units=128, attention=128, dropout=0.2),
    "rnn-small": RecurrentOptions(embedding=256, units=256, attention=256, dropout=0.3),
    "rnn-base": RecurrentOptions(
        embedding=512, units=512, attention=512, encoder_layers=2, decoder_layers=2, dropout=0.3
    ),
    "rnn-no-attention": RecurrentOptions(order="none", dropout=0.3),
    "bahdanau": RecurrentOptions(dropout=0.3),
    "luong-general": RecurrentOptions(
        cell="lstm", encoder_units=128, order="luong", input_feeding=True, score="general", dropout=0.3
    ),
    "luong-local-p": RecurrentOptions(
        cell="lstm",
        encoder_units=128,
        order="luong",
        input_feeding=True,
        score="general",
        extent="local-p",
        window=5,
        dropout=0.3,
    ),
    "xu-hard": RecurrentOptions(cell="lstm", encoder_units=192, hard=True, dropout=0.3),
    "transformer-tiny": TransformerOptions(
        width=128, feedforward=256, heads=4, encoder_layers=4, decoder_layers=4, dropout=0.3
    ),
    "transformer-small": TransformerOptions(
        width=256, feedforward=1024, heads=4, encoder_layers=3, decoder_layers=3, dropout=0.2
    ),
    "transformer-post": TransformerOptions(
        width=256, feedforward=1024, heads=4, encoder_layers=3, decoder_layers=3, dropout=0.2, norm="post"
    ),
    "transformer-base": TransformerOptions(
        width=512, feedforward=2048, heads=8, encoder_layers=6, decoder_layers=6, dropout=0.1
    ),
    "transformer-big": TransformerOptions(
        width=1024, feedforward=4096, heads=16, encoder_layers=6, decoder_layers=6, dropout=0.3
    ),
    "convs2s": ConvolutionalOptions(width=144, embedding=128, encoder_layers=4, decoder_layers=3, dropout=0.2),
}


def preset(name: str) -> ModelOptions:
    """The options of a named preset."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r};{nearest(name, PRESETS)}")
    return PRESETS[name]


def options_to_mapping(options: ModelOptions) -> dict[str, Any]:
    """Options as a mapping for JSON, including the family."""
    return {"family": options.family, **to_mapping(options)}


BEFORE: Mapping[str, Any] = {"expected_share": 0.0, "reward_weight": 1.0}
"""How hard attention was trained before these options existed; for all others the default is what held before."""


def options_of_folder(mapping: Mapping[str, Any], where: str) -> ModelOptions:
    """The options of a model folder, which may be older than some of them; errors name `where`."""
    hard = isinstance(mapping, Mapping) and mapping.get("hard") is True
    return options_from_mapping({**BEFORE, **mapping} if hard else mapping, where)


def options_from_mapping(mapping: Mapping[str, Any], where: str) -> ModelOptions:
    """The inverse of `options_to_mapping`; errors name `where`."""
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where}: model = {mapping!r} is not a table of keys and values; restore a copy")
    rest = dict(mapping)
    family = rest.pop("family", None)
    if family not in FAMILIES:
        raise ValueError(f"{where}: unknown model family {family!r};{nearest(str(family), FAMILIES)}")
    return from_mapping(FAMILIES[family], rest, where)
