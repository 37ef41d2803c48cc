"""Options of the Transformer family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from nmtkit.models.options.base import DROPOUT, LAYERS, UNITS, ModelOptions, check, either
from nmtkit.settings import Within

NORMS = ("pre", "post")
POSITIONS = ("sinusoidal", "concatenated", "learned", "none")


@dataclass(frozen=True)
class TransformerOptions(ModelOptions):
    """Sizes of a Transformer.

    Attributes:
        width: width of embeddings and hidden states (d_model).
        feedforward: inner width of the feed-forward networks (d_ff).
        heads: heads of every attention; must divide the width.
        encoder_layers: depth of the encoder.
        decoder_layers: depth of the decoder.
        attention_dropout: dropout of attention weights.
        activation_dropout: dropout after the inner layer of the feed-forward networks.
        norm: place of layer norm. "pre": before each sublayer, and once after each stack (Xiong et al. 2020);
            "post": after each sublayer and its skip connection (Vaswani et al. 2017), which needs a longer warm-up.
        positions: "sinusoidal": sinusoids added to the embeddings (Vaswani et al. 2017); "concatenated": sinusoids
            beside the embeddings; "learned": a table per side, added (Gehring et al. 2017); "none".
        position_width: channels of concatenated sinusoids; embeddings have the rest of the width.
        max_positions: longest source and longest output of a model with learned positions, in pieces, end included.
        neighbourhood: self-attention sees positions at most this far away (Vaswani et al. 2017, section 4), in the
            decoder only backwards; None: all. It works by a mask, so it saves no time in training.
    """

    family: ClassVar[str] = "transformer"
    width: Annotated[int, UNITS] = 256
    feedforward: Annotated[int, UNITS] = 1024
    heads: Annotated[int, UNITS] = 4
    encoder_layers: Annotated[int, LAYERS] = 3
    decoder_layers: Annotated[int, LAYERS] = 3
    attention_dropout: Annotated[float, DROPOUT] = 0.0
    activation_dropout: Annotated[float, DROPOUT] = 0.0
    norm: str = "pre"
    positions: str = "sinusoidal"
    position_width: Annotated[int, UNITS] = 32
    max_positions: Annotated[int, UNITS] = 1024
    neighbourhood: Annotated[int | None, Within(0, 65536)] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("width", "feedforward", "heads", "encoder_layers", "decoder_layers")
        self._positive("position_width", "max_positions")
        self._check_variant()
        for name in ("attention_dropout", "activation_dropout"):
            self._within(name, "choose a probability from 0 to 0.99")
        if self.width % self.heads:
            fits = [heads for heads in range(1, self.width + 1) if self.width % heads == 0]
            best = min(fits, key=lambda heads: abs(heads - self.heads))
            raise ValueError(
                f"width = {self.width} cannot be split into heads = {self.heads}: heads = {best} would work"
            )

    def _check_variant(self) -> None:
        for name, choices in (("norm", NORMS), ("positions", POSITIONS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} = {getattr(self, name)!r} is not possible: choose {either(choices)}")
        if self.positions == "concatenated":
            fix = f"choose less than width = {self.width}, since the embeddings get the rest of it"
            check("position_width", self.position_width, 1, self.width - 1, fix)
        for needed, name in (("concatenated", "position_width"), ("learned", "max_positions")):
            having = f"positions = {self.positions!r}"
            self._only(self.positions == needed, having, f"positions = {needed!r}", name)
        if self.neighbourhood is not None:
            fix = "choose a whole number from 0 to 65536, or leave it out to see everything"
            self._within("neighbourhood", fix)

    @property
    def embedding(self) -> int:
        """Width of the embeddings."""
        return self.width - self.position_width if self.positions == "concatenated" else self.width

    @property
    def longest(self) -> int | None:
        return self.max_positions if self.positions == "learned" else None
