"""Options of the convolutional family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from nmtkit.models.options.base import LAYERS, UNITS, ModelOptions, either


@dataclass(frozen=True)
class ConvolutionalOptions(ModelOptions):
    """Sizes of a convolutional encoder-decoder with attention in every decoder block.

    Attributes:
        width: width of the blocks.
        embedding: width of the embeddings, and of what attention compares.
        kernel: odd number of positions that a convolution reads, to both sides in the encoder, back in the decoder.
        encoder_layers: blocks of the encoder.
        decoder_layers: blocks of the decoder; each has attention.
        positions: "learned" (a table per side, added to the words, as in the paper) or "sinusoidal" (for any length).
        max_positions: longest source and longest output of a model with learned positions, in pieces, end included.
    """

    family: ClassVar[str] = "convolutional"
    width: Annotated[int, UNITS] = 256
    embedding: Annotated[int, UNITS] = 256
    kernel: Annotated[int, UNITS] = 3
    encoder_layers: Annotated[int, LAYERS] = 4
    decoder_layers: Annotated[int, LAYERS] = 3
    positions: str = "learned"
    max_positions: Annotated[int, UNITS] = 1024

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
            raise ValueError(f"positions = {self.positions!r} is not possible: choose {either(choices)}")
        having = f"positions = {self.positions!r}"
        self._only(self.positions == "learned", having, "positions = 'learned'", "max_positions")

    @property
    def longest(self) -> int | None:
        return self.max_positions if self.positions == "learned" else None
