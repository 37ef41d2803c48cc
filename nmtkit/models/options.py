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


NORMS = ("pre", "post")
POSITIONS = ("sinusoidal", "concatenated", "learned", "none")


def _either(choices: tuple[str, ...]) -> str:
    quoted = [repr(choice) for choice in choices]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


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
        norm: where layer norm stands. "pre": before each sublayer, and once after each stack (Xiong et al. 2020);
            "post": after each sublayer and its skip connection (Vaswani et al. 2017), which wants a longer warm-up.
        positions: "sinusoidal": sinusoids added to the embeddings (Vaswani et al. 2017); "concatenated": sinusoids
            beside the embeddings; "learned": a table a side, added (Gehring et al. 2017); "none".
        position_width: channels of sinusoids that are concatenated; embeddings have the rest of the width.
        max_positions: longest source and longest output of a model with learned positions, in pieces, end included.
        neighbourhood: self-attention sees positions at most this far away (Vaswani et al. 2017, section 4), in the
            decoder back only; None: all. It restricts what is seen by a mask, so it saves no time in training.
    """

    family: ClassVar[str] = "transformer"
    width: int = 256
    feedforward: int = 1024
    heads: int = 4
    encoder_layers: int = 3
    decoder_layers: int = 3
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    norm: str = "pre"
    positions: str = "sinusoidal"
    position_width: int = 32
    max_positions: int = 1024
    neighbourhood: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("width", "feedforward", "heads", "encoder_layers", "decoder_layers")
        self._positive("position_width", "max_positions")
        self._check_variant()
        for name in ("attention_dropout", "activation_dropout"):
            _check(name, getattr(self, name), 0.0, 0.99, "choose a probability from 0 to 0.99")
        if self.width % self.heads:
            fits = [heads for heads in range(1, self.width + 1) if self.width % heads == 0]
            best = min(fits, key=lambda heads: abs(heads - self.heads))
            raise ValueError(
                f"width = {self.width} cannot be split into heads = {self.heads}: heads = {best} would work"
            )

    def _check_variant(self) -> None:
        for name, choices in (("norm", NORMS), ("positions", POSITIONS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} = {getattr(self, name)!r} is not possible: choose {_either(choices)}")
        if self.positions == "concatenated":
            fix = f"choose less than width = {self.width}, since the embeddings get the rest of it"
            _check("position_width", self.position_width, 1, self.width - 1, fix)
        if self.neighbourhood is not None:
            fix = "choose a whole number from 0 to 65536, or leave it out to see everything"
            _check("neighbourhood", self.neighbourhood, 0, 65536, fix)

    @property
    def embedding(self) -> int:
        """Width of the embeddings."""
        return self.width - self.position_width if self.positions == "concatenated" else self.width


CELLS = ("gru", "lstm", "rnn")
ORDERS = ("bahdanau", "luong", "none")
SCORES = ("additive", "dot", "scaled-dot", "general", "cosine", "location", "uniform")
EXTENTS = ("global", "local-m", "local-p")
NORMALISERS = ("softmax", "sparsemax", "entmax", "sigmoid")


@dataclass(frozen=True)
class RecurrentOptions(ModelOptions):
    """A recurrent encoder-decoder, with or without attention.

    Attributes:
        embedding: width of the embeddings.
        units: of the decoder.
        encoder_units: of each direction of the encoder; None: as many as the decoder has.
        encoder_layers: depth of the encoder.
        decoder_layers: depth of the decoder.
        cell: "gru" (Cho et al. 2014), "lstm" (Hochreiter and Schmidhuber 1997) or "rnn" (tanh, Elman 1990).
        bidirectional: the encoder reads from both sides.
        order: "bahdanau": the decoder's state before a word asks, the answer enters the cell of the lowest layer;
            "luong": the highest layer's state asks, the answer is combined with it; "none": no attention, all that the
            decoder knows of the source is its first state.
        input_feeding: in Luong's order, the output before enters the lowest layer beside the word.
        score: "additive", "dot", "scaled-dot", "general", "cosine", "location" (from the decoder's state alone) or
            "uniform" (the mean of all, a control).
        attention: width of the additive score's hidden layer, and of the keys of several heads together.
        heads: of the attention; more than one have keys and values of their own.
        strength: what a cosine is multiplied by at first, learned from there; 0: the bare cosine.
        max_positions: source positions that the location score knows; it looks at nothing beyond.
        extent: "global"; "local-m": near the position of the target word; "local-p": near a predicted position.
        window: how far a local extent reaches to each side.
        normaliser: "softmax", "sparsemax", "entmax" (exponent 1.5) or "sigmoid".
        sigmoid_bias: the sigmoid's energies are lowered by the log of the source's length, so that the weights of long
            sources do not grow.
        hard: one position instead of a weighted sum: drawn in training, the heaviest else (Xu et al. 2015).
        entropy_weight: reward of hard attention for not deciding early, in nats.
    """

    family: ClassVar[str] = "recurrent"
    embedding: int = 256
    units: int = 256
    encoder_units: int | None = None
    attention: int = 256
    encoder_layers: int = 1
    decoder_layers: int = 1
    cell: str = "gru"
    bidirectional: bool = True
    order: str = "bahdanau"
    input_feeding: bool = False
    score: str = "additive"
    heads: int = 1
    strength: float = 4.0
    max_positions: int = 256
    extent: str = "global"
    window: int = 5
    normaliser: str = "softmax"
    sigmoid_bias: bool = True
    hard: bool = False
    entropy_weight: float = 0.002

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("embedding", "units", "attention", "encoder_layers", "decoder_layers", "heads", "max_positions")
        self._positive("window")
        if self.encoder_units is not None:
            self._positive("encoder_units")
        known = (("cell", CELLS), ("order", ORDERS), ("score", SCORES), ("extent", EXTENTS))
        for name, choices in (*known, ("normaliser", NORMALISERS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} = {getattr(self, name)!r} is not known; choose {_either(choices)}")
        _check("strength", self.strength, 0.0, 1000.0, "choose 0 (the bare cosine) to 1000")
        _check("entropy_weight", self.entropy_weight, 0.0, 100.0, "choose 0 to 100")
        self._check_combination()

    def _check_combination(self) -> None:
        """Refuse what cannot work together, in one line that says what would."""
        if self.input_feeding and self.order != "luong":
            raise ValueError(f"input_feeding needs order = 'luong', but it is {self.order!r}")
        if self.order == "none" and (self.hard or self.heads > 1 or self.extent != "global"):
            raise ValueError(
                "order = 'none' has no attention to be hard, local or of several heads: choose order = 'bahdanau' or "
                "'luong'"
            )
        if self.heads > 1:
            self._check_heads()
        elif self.order != "none" and self.score in ("dot", "scaled-dot", "cosine") and self.units != self.annotation:
            sides = 1 + self.bidirectional
            fits = f"encoder_units = {self.units // sides}"
            if self.units % sides:
                fits = f"units = {self.annotation}" if self.encoder_units else "bidirectional = false"
            raise ValueError(
                f"score = {self.score!r} compares states of width {self.units} with annotations of width "
                f"{self.annotation}: {fits} would work, or score = 'general', or several heads"
            )
        if self.hard and (self.normaliser == "sigmoid" or self.extent == "local-p" or self.score == "uniform"):
            raise ValueError(
                "hard attention draws from a distribution: choose another normaliser than 'sigmoid', another extent "
                "than 'local-p', another score than 'uniform'"
            )

    def _check_heads(self) -> None:
        if self.score == "uniform":
            raise ValueError("score = 'uniform' looks at everything alike, so several heads see the same: heads = 1")
        for name, part, width in (
            ("attention", self.attention, self.attention),
            ("encoder_units", self.encoder_units or self.units, self.annotation),
        ):
            if width % self.heads:
                raise ValueError(
                    f"{name} = {part} cannot be split into heads = {self.heads}: "
                    f"{name} = {-(-part // self.heads) * self.heads} would work"
                )

    @property
    def annotation(self) -> int:
        """Width of the annotations."""
        return (self.encoder_units or self.units) * (1 + self.bidirectional)


@dataclass(frozen=True)
class ConvolutionalOptions(ModelOptions):
    """Sizes of a convolutional encoder-decoder with attention in every decoder block.

    Attributes:
        width: of the blocks.
        embedding: width of the embeddings, and of what attention compares.
        kernel: positions that a convolution reads, odd: an encoder's lie on both sides, a decoder's end at its own.
        encoder_layers: blocks of the encoder.
        decoder_layers: blocks of the decoder; each attends.
        positions: "learned" (a table a side, added to the words, as in the paper) or "sinusoidal" (for any length).
        max_positions: longest source and longest output of a model with learned positions, in pieces, end included.
    """

    family: ClassVar[str] = "convolutional"
    width: int = 256
    embedding: int = 256
    kernel: int = 3
    encoder_layers: int = 4
    decoder_layers: int = 3
    positions: str = "learned"
    max_positions: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("width", "embedding", "kernel", "encoder_layers", "decoder_layers", "max_positions")
        if self.kernel % 2 == 0:
            raise ValueError(
                f"kernel = {self.kernel} is not possible: it must reach as far to the left as to the right, so choose "
                f"an odd one, for example {self.kernel - 1}"
            )
        choices = ("learned", "sinusoidal")
        if self.positions not in choices:
            raise ValueError(f"positions = {self.positions!r} is not possible: choose {_either(choices)}")


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
