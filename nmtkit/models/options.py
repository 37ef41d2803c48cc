"""Options and presets of the model families: plain numbers, checked when made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nmtkit.settings import from_mapping, nearest, to_mapping


def _check(name: str, value: float, low: float, high: float, fix: str) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} = {value} is not possible: {fix}")


@dataclass(frozen=True)
class ModelOptions:
    """What every family has.

    Attributes:
        dropout: probability of dropping a unit after embeddings and sublayers (Srivastava et al. 2014).
        tie_source: one embedding table for source and target; needs a joint tokenizer. None: wherever it is joint.
        tie_output: the output projection is the target embedding table (Press and Wolf 2017).
    """

    family: ClassVar[str]
    dropout: float = 0.1
    tie_source: bool | None = None
    tie_output: bool = True

    def __post_init__(self) -> None:
        _check("dropout", self.dropout, 0.0, 0.99, "choose a probability from 0 to 0.99, for example 0.1")

    def _positive(self, *names: str) -> None:
        for name in names:
            _check(name, getattr(self, name), 1, 65536, "choose a whole number from 1 to 65536")


@dataclass(frozen=True)
class TransformerOptions(ModelOptions):
    """Sizes of a Transformer.

    Attributes:
        width: of embeddings and hidden states (d_model).
        feedforward: inner width of the feed-forward networks (d_ff).
        heads: of every attention; must divide the width.
        encoder_layers: depth of the encoder.
        decoder_layers: depth of the decoder.
        attention_dropout: of attention weights.
        activation_dropout: after the inner layer of the feed-forward networks.
    """

    family: ClassVar[str] = "transformer"
    width: int = 256
    feedforward: int = 1024
    heads: int = 4
    encoder_layers: int = 3
    decoder_layers: int = 3
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("width", "feedforward", "heads", "encoder_layers", "decoder_layers")
        for name in ("attention_dropout", "activation_dropout"):
            _check(name, getattr(self, name), 0.0, 0.99, "choose a probability from 0 to 0.99")
        if self.width % self.heads:
            fits = [heads for heads in range(1, self.width + 1) if self.width % heads == 0]
            best = min(fits, key=lambda heads: abs(heads - self.heads))
            raise ValueError(
                f"width = {self.width} cannot be split into heads = {self.heads}: heads = {best} would work"
            )


@dataclass(frozen=True)
class RecurrentOptions(ModelOptions):
    """Sizes of a recurrent encoder-decoder with additive attention.

    Attributes:
        embedding: width of the embeddings.
        units: of the decoder and of each direction of the encoder.
        attention: width of the additive score's hidden layer.
        encoder_layers: depth of the encoder.
        decoder_layers: depth of the decoder; the lowest attends.
    """

    family: ClassVar[str] = "recurrent"
    embedding: int = 256
    units: int = 256
    attention: int = 256
    encoder_layers: int = 1
    decoder_layers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("embedding", "units", "attention", "encoder_layers", "decoder_layers")


FAMILIES: dict[str, type[ModelOptions]] = {cls.family: cls for cls in (TransformerOptions, RecurrentOptions)}

PRESETS: dict[str, ModelOptions] = {
    "rnn-tiny": RecurrentOptions(embedding=128, units=128, attention=128, dropout=0.2),
    "rnn-small": RecurrentOptions(embedding=256, units=256, attention=256, dropout=0.3),
    "rnn-base": RecurrentOptions(
        embedding=512, units=512, attention=512, encoder_layers=2, decoder_layers=2, dropout=0.3
    ),
    "transformer-tiny": TransformerOptions(
        width=128, feedforward=256, heads=4, encoder_layers=4, decoder_layers=4, dropout=0.3
    ),
    "transformer-small": TransformerOptions(
        width=256, feedforward=1024, heads=4, encoder_layers=3, decoder_layers=3, dropout=0.2
    ),
    "transformer-base": TransformerOptions(
        width=512, feedforward=2048, heads=8, encoder_layers=6, decoder_layers=6, dropout=0.1
    ),
    "transformer-big": TransformerOptions(
        width=1024, feedforward=4096, heads=16, encoder_layers=6, decoder_layers=6, dropout=0.3
    ),
}


def preset(name: str) -> ModelOptions:
    """The options of a named preset."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r};{nearest(name, PRESETS)}")
    return PRESETS[name]


def options_to_mapping(options: ModelOptions) -> dict[str, Any]:
    """Options as JSON-able mapping, its family among them."""
    return {"family": options.family, **to_mapping(options)}


def options_from_mapping(mapping: Mapping[str, Any], where: str) -> ModelOptions:
    """The inverse of `options_to_mapping`; errors name `where`."""
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where}: model = {mapping!r} is not a table of keys and values; restore a copy")
    rest = dict(mapping)
    family = rest.pop("family", None)
    if family not in FAMILIES:
        raise ValueError(f"{where}: unknown model family {family!r};{nearest(str(family), FAMILIES)}")
    return from_mapping(FAMILIES[family], rest, where)
