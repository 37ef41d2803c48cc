"""Convolutional encoder-decoder with attention in every decoder block (Gehring et al. 2017, "ConvS2S").

A block is a convolution over K positions, a gated linear unit and a skip connection; nothing recurs, so that all
positions of a known target are computed at once, and a step of a search needs the last K − 1 inputs of each block only.
Every sum of two terms is multiplied by √½, which keeps its variance (section 3.4). All matrices but the embeddings are
weight-normalised: the length and the direction of each row are two parameters (Salimans and Kingma 2016).

Shape key: B sentences, S source positions, W hypotheses per sentence, N = B·W, T target positions, K kernel, D width
of the blocks, E embedding width, Q = W·T queries per sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from nmtkit.models.attention import masked_softmax
from nmtkit.models.autocast import lowered, raised
from nmtkit.models.distribution import LogProbs
from nmtkit.models.dropout import Dropout
from nmtkit.models.fronts import EmbeddingModel, Embeddings
from nmtkit.models.interface import Maps, Rows
from nmtkit.models.modules import Modules
from nmtkit.models.options import ConvolutionalOptions
from nmtkit.models.positions import make_positions

SQRT_HALF = 0.5**0.5


@dataclass(frozen=True)
class ConvolutionalMemory(Rows):
    """What every decoder block attends to.

    Attributes:
        mask_BS: True where there is a source position.
        keys_BSE: the encoder's output z.
        values_BSE: (z + e) √½ √m for the encoder's input e and the m positions of the sentence.
    """

    mask_BS: Tensor
    keys_BSE: Tensor
    values_BSE: Tensor


@dataclass(frozen=True)
class ConvolutionalState(Rows):
    """What the next step needs from the tokens read so far.

    Attributes:
        position_N: number of these tokens, the same in every row.
        inputs: the last K − 1 inputs of each decoder block, (N, K − 1, D); zeros before the first token.
    """

    position_N: Tensor
    inputs: tuple[Tensor, ...]


def _linear(inside: int, outside: int, gain: float = 1.0) -> nn.Linear:
    """A weight-normalised linear map that multiplies the variance of its input by `gain` at first (section 3.5)."""
    linear = nn.Linear(inside, outside)
    nn.init.normal_(linear.weight, std=(gain / inside) ** 0.5)
    nn.init.zeros_(linear.bias)
    weight_norm(linear)
    return linear


class GatedConvolution(nn.Module):
    """a ⊙ σ(b) with [a; b] = W [x_t; …; x_{t+K−1}] + b_W: a convolution and a gated linear unit (section 3.2)."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        # The gate quarters the variance; dropout has raised that of the input by 1 / (1 − dropout).
        self.kernel, self.linear = kernel, _linear(kernel * width, 2 * width, gain=4 * (1 - dropout))
        self.dropout = Dropout(dropout)

    def forward(self, vectors_NTD: Tensor) -> Tensor:
        """The outputs where the kernel lies within the input: (N, T − K + 1, D)."""
        vectors, length = lowered(self.dropout(vectors_NTD)), vectors_NTD.shape[1] - self.kernel + 1
        windows = torch.cat([vectors[:, first : first + length] for first in range(self.kernel)], dim=2)
        return raised(nn.functional.glu(self.linear(windows), dim=2))


class EncoderBlock(nn.Module):
    """A gated convolution centred on each position, and a skip connection."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.convolution, self.side = GatedConvolution(width, kernel, dropout), kernel // 2

    def forward(self, vectors_BSD: Tensor, padding_BS1: Tensor) -> Tensor:
        """Outputs of all positions; padding and positions beyond the sentence are read as zeros."""
        vectors_BSD = vectors_BSD.masked_fill(padding_BS1, 0.0)
        gated: Tensor = self.convolution(nn.functional.pad(vectors_BSD, (0, 0, self.side, self.side)))
        return (gated + vectors_BSD) * SQRT_HALF


class DecoderBlock(nn.Module):
    """A gated convolution over the last K positions, attention of its own, and a skip connection (section 3.3).

    The context passes a linear map before it is added, as in the authors' program (fairseq) but not in equation 2.
    """

    def __init__(self, width: int, embedding: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.convolution = GatedConvolution(width, kernel, dropout)
        self.query, self.context = _linear(width, embedding), _linear(embedding, width)

    def forward(
        self, vectors_NTD: Tensor, past_NKD: Tensor, embedded_NTE: Tensor, memory: ConvolutionalMemory
    ) -> tuple[Tensor, Tensor, Tensor]:
        """All T positions at once, or a single one.

        Args:
            past_NKD: the K − 1 inputs before the first of the positions.
            embedded_NTE: the decoder's input g.

        Returns:
            the block's output, its last K − 1 inputs, and the attention weights (B, Q, S).
        """
        inputs = torch.cat((past_NKD, vectors_NTD), dim=1)
        gated_NTD = self.convolution(inputs)
        context_NTD, weights_BQS = self.attend(gated_NTD, embedded_NTE, memory)
        output_NTD = ((gated_NTD + context_NTD) * SQRT_HALF + vectors_NTD) * SQRT_HALF
        return output_NTD, inputs[:, vectors_NTD.shape[1] :], weights_BQS

    def attend(self, hidden_NTD: Tensor, embedded_NTE: Tensor, memory: ConvolutionalMemory) -> tuple[Tensor, Tensor]:
        """Σ α (z + e), as wide as the block, and α = softmax(d · z), with d = W_d h + b_d + g. Equations 1 and 2."""
        query_NTE = (self.query(hidden_NTD) + embedded_NTE) * SQRT_HALF
        query_BQE = query_NTE.reshape(memory.size(), -1, query_NTE.shape[2])
        weights_BQS = masked_softmax(query_BQE @ memory.keys_BSE.transpose(1, 2), memory.mask_BS)
        context_NTE = (weights_BQS @ memory.values_BSE).view(query_NTE.shape)
        return self.context(context_NTE), weights_BQS


class Convolutional(EmbeddingModel):
    """The convolutional model: encoder and decoder blocks."""

    def __init__(self, embeddings: Embeddings, options: ConvolutionalOptions) -> None:
        super().__init__(embeddings)
        width, embedding, kernel, dropout = options.width, options.embedding, options.kernel, options.dropout
        self.source_positions, self.target_positions = (
            make_positions(options.positions, embedding, embedding, options.max_positions) for _ in range(2)
        )
        self.dropout, self.width, self.kernel, self.scale = Dropout(dropout), width, kernel, embedding**-0.5
        self.source_input, self.target_input = (_linear(embedding, width, gain=1 - dropout) for _ in range(2))
        self.source_output, self.target_output = (_linear(width, embedding) for _ in range(2))
        self.encoder = Modules(EncoderBlock(width, kernel, dropout) for _ in range(options.encoder_layers))
        self.decoder = Modules(DecoderBlock(width, embedding, kernel, dropout) for _ in range(options.decoder_layers))

    def encode(self, source: Tensor, mask_BS: Tensor) -> ConvolutionalMemory:
        embedded_BSE = self._enter(self.front(source), self.source_positions, 0)
        vectors_BSD, padding_BS1 = raised(self.source_input(embedded_BSE)), ~mask_BS.unsqueeze(2)
        for block in self.encoder:
            vectors_BSD = block(vectors_BSD, padding_BS1)
        keys_BSE = self._calmed(self.source_output(vectors_BSD))
        # A mean over m values has 1/m of their variance if the weights are even: hence m √(1/m) (section 3.4).
        length_B11 = mask_BS.sum(1, dtype=embedded_BSE.dtype)[:, None, None]
        values_BSE = (keys_BSE + embedded_BSE) * (length_B11 / 2).sqrt()
        return ConvolutionalMemory(mask_BS, keys_BSE, lowered(values_BSE))

    def _enter(self, vectors: Tensor, positions: nn.Module, start: int) -> Tensor:
        """Vectors plus positions, as small as embeddings: dot products of larger vectors would harden α at once."""
        entered: Tensor = self.dropout(positions(vectors, start) * self.scale)
        return entered

    def _calmed(self, keys_BSE: Tensor) -> Tensor:
        """The same values, whose gradient is divided by twice the number of decoder blocks.

        Each block attends, and reads z both as keys and within the values, so the encoder's layers would get far
        more gradient than the decoder's; the embeddings' own share of the values is not changed (section 3.4, where
        the divisor is the number of attentions; like the authors' program, this divides by twice that number).
        """
        scale = 0.5 / len(self.decoder)
        if keys_BSE.requires_grad:
            keys_BSE.register_hook(lambda gradient: gradient * scale)
        return keys_BSE

    def start(self, memory: ConvolutionalMemory) -> ConvolutionalState:
        return self._before(memory.size(), memory)

    def _before(self, rows: int, memory: ConvolutionalMemory) -> ConvolutionalState:
        """The state before the first token."""
        nothing = memory.keys_BSE.new_zeros(rows, self.kernel - 1, self.width)
        position_N = torch.zeros(rows, dtype=torch.int64, device=nothing.device)
        return ConvolutionalState(position_N, (nothing,) * len(self.decoder))

    def _advance(
        self, target_in_NT: Tensor, start: int, inputs: tuple[Tensor, ...], memory: ConvolutionalMemory
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Read T tokens from position `start` on: hidden (N, T, E), and the new inputs and weights of each block."""
        embedded_NTE = self._enter(self.target_embedding(target_in_NT), self.target_positions, start)
        vectors_NTD, last, weights = raised(self.target_input(embedded_NTE)), [], []
        for block, past_NKD in zip(self.decoder, inputs, strict=True):
            vectors_NTD, past_NKD, weights_BQS = block(vectors_NTD, past_NKD, embedded_NTE, memory)
            last.append(past_NKD)
            weights.append(weights_BQS)
        return self.dropout(self.target_output(vectors_NTD)), tuple(last), tuple(weights)

    def step(
        self, token_N: Tensor, state: ConvolutionalState, memory: ConvolutionalMemory
    ) -> tuple[LogProbs, ConvolutionalState]:
        start = int(state.position_N[0])
        hidden_N1E, inputs, _ = self._advance(token_N.unsqueeze(1), start, state.inputs, memory)
        log_probs = self.next_tokens(hidden_N1E.squeeze(1))
        return log_probs, ConvolutionalState(state.position_N + 1, inputs)

    def decode(self, memory: ConvolutionalMemory, target_in_NT: Tensor) -> LogProbs:
        before = self._before(target_in_NT.shape[0], memory)
        hidden_NTE, _, _ = self._advance(target_in_NT, 0, before.inputs, memory)
        return self.next_tokens(hidden_NTE)

    def attention(self, memory: ConvolutionalMemory, target_in_NT: Tensor) -> Maps:
        rows, length = target_in_NT.shape
        _, _, weights = self._advance(target_in_NT, 0, self._before(rows, memory).inputs, memory)
        return Maps(tuple(weights_BQS.reshape(rows, 1, length, -1) for weights_BQS in weights))
