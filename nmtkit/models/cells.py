"""Recurrent units: Elman's (1990), gated (Cho et al. 2014) and long short-term memories (Hochreiter, Schmidhuber 1997).

A unit's state is one vector: that of a long short-term memory is its output and its cell side by side. Over known
inputs PyTorch's fused kernels run; where an input depends on the step before (attention), a cell goes step by step.

Shape key: N rows, T positions, E input width, U units, Z state width, G gates of a unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nmtkit.models.autocast import as_written, product_dtype, raised
from nmtkit.models.fused.shared_matrix import SharedMatrix
from nmtkit.models.fused.switch import is_plain
from nmtkit.models.fused.units import gated_unit, long_short_term_unit


def tanh_unit(input_gate: Tensor, state_gate: Tensor, hidden: Tensor) -> Tensor:
    """tanh(W x + U h), Elman 1990. The state enters by its share of the gates alone."""
    return torch.tanh(raised(input_gate) + raised(state_gate))


@dataclass(frozen=True)
class Unit:
    """A kind of recurrent unit.

    Attributes:
        gates: number of products, each of `units` columns.
        parts: number of vectors in the state, of which the output is the first.
        advance: the next state from the input's and the state's share of the gates (N, G·U), and the state (N, Z).
        module: PyTorch's implementation over known inputs, its gates in the same order.
    """

    gates: int
    parts: int
    advance: Callable[[Tensor, Tensor, Tensor], Tensor]
    module: Callable[..., nn.Module]


UNITS = {
    "rnn": Unit(1, 1, tanh_unit, nn.RNN),
    "gru": Unit(3, 1, gated_unit, nn.GRU),  # Cho et al. 2014
    "lstm": Unit(4, 2, long_short_term_unit, nn.LSTM),  # Hochreiter and Schmidhuber 1997, with a forget gate
}


class Layer(nn.Module):
    """Recurrent units over known inputs, left to right."""

    def __init__(self, kind: str, inputs: int, units: int) -> None:
        super().__init__()
        self.unit, self.units = UNITS[kind], units
        self.inner = self.unit.module(inputs, units, batch_first=True)

    @property
    def state_width(self) -> int:
        """Z."""
        return self.unit.parts * self.units

    def forward(self, vectors_NTE: Tensor, state_NZ: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (N, T, U), and the state after the last input (N, Z)."""
        if is_plain():
            return self._step_by_step(vectors_NTE, state_NZ)
        # PyTorch has no long short-term memory in float16 for CPUs, and makes float16 of bfloat16 on GPUs.
        unable = torch.float16 if vectors_NTE.device.type == "cpu" else torch.bfloat16
        if product_dtype(vectors_NTE) == unable:
            wide = raised(vectors_NTE), raised(state_NZ)
            with as_written(vectors_NTE):
                return self._kernel(*wide)
        return self._kernel(vectors_NTE, state_NZ)

    def _kernel(self, vectors_NTE: Tensor, state_NZ: Tensor) -> tuple[Tensor, Tensor]:
        """PyTorch's fused loop."""
        parts = [part.contiguous() for part in state_NZ.unsqueeze(0).chunk(self.unit.parts, dim=2)]
        outputs, last = self.inner(vectors_NTE, parts[0] if len(parts) == 1 else tuple(parts))
        return outputs, (last if len(parts) == 1 else torch.cat(last, dim=2)).squeeze(0)

    def _step_by_step(self, vectors_NTE: Tensor, state_NZ: Tensor) -> tuple[Tensor, Tensor]:
        """The plain formula: W x + b for all inputs, then step by step U h + b and the unit."""
        weight, bias, state_weight, state_bias = (
            self.inner.get_parameter(f"{name}_l0") for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        )
        outputs = []
        for input_gates in nn.functional.linear(vectors_NTE, weight, bias).unbind(1):
            state_gates = nn.functional.linear(state_NZ[:, : self.units], state_weight, state_bias)
            state_NZ = self.unit.advance(input_gates, state_gates, state_NZ)
            outputs.append(state_NZ[:, : self.units])
        return torch.stack(outputs, dim=1), state_NZ


class Encoder(nn.Module):
    """One layer of an encoder, from the left or from both sides, unaffected by padding.

    Args:
        bidirectional: a second layer reads from the right; its outputs are concatenated to those of the first.
    """

    def __init__(self, kind: str, inputs: int, units: int, bidirectional: bool) -> None:
        super().__init__()
        self.left = Layer(kind, inputs, units)
        self.right = Layer(kind, inputs, units) if bidirectional else None

    def forward(self, vectors_BSE: Tensor, mask_BS: Tensor) -> Tensor:
        """Annotations (B, S, U) or (B, S, 2U)."""
        first_BZ = vectors_BSE.new_zeros(vectors_BSE.shape[0], self.left.state_width)
        from_left, _ = self.left(vectors_BSE, first_BZ)
        if self.right is None:
            outputs: Tensor = from_left
            return outputs
        turned_BS = _turned(mask_BS)
        from_right, _ = self.right(_reordered(vectors_BSE, turned_BS), first_BZ)
        return torch.cat((from_left, _reordered(from_right, turned_BS)), dim=2)


def _turned(mask_BS: Tensor) -> Tensor:
    """The positions of each sentence from last to first, padding in place; applied twice, it changes nothing."""
    position_S = torch.arange(mask_BS.shape[1], device=mask_BS.device)
    return torch.where(mask_BS, mask_BS.sum(1, keepdim=True) - 1 - position_S, position_S)


def _reordered(vectors_BSE: Tensor, order_BS: Tensor) -> Tensor:
    return vectors_BSE.gather(1, order_BS.unsqueeze(2).expand_as(vectors_BSE))


class Cell(nn.Module):
    """A recurrent unit that reads a word and a second input: the context of attention, or the output before.

    The word's share of the gates is computed for all steps beforehand; one product gives the state's share and a
    projected query.

    Args:
        extra: width of the second input.
        columns: columns of the projected query; 0 for no query.
    """

    def __init__(self, kind: str, embedding: int, extra: int, units: int, columns: int) -> None:
        super().__init__()
        self.unit, self.units = UNITS[kind], units
        self.gates = self.unit.gates * units
        self.word = nn.Linear(embedding, self.gates)
        self.extra = nn.Linear(extra, self.gates, bias=False)
        self.state = nn.Linear(units, self.gates + columns)
        for linear in (self.word, self.extra, self.state):
            nn.init.xavier_uniform_(linear.weight)
        for block in self.state.weight.data[: self.gates].split(units):
            nn.init.orthogonal_(block)

    def alone(self) -> Products:
        """The products of a single step."""
        return Products(self.state, self.extra)

    def shared(self) -> Products:
        """The products of many steps, whose gradient is computed once."""
        of_state = partial(SharedMatrix(self.state.weight.t()).times, bias=self.state.bias)
        return Products(of_state, SharedMatrix(self.extra.weight.t()).times)

    def project(self, state_NZ: Tensor, products: Products) -> tuple[Tensor, Tensor]:
        """The state's share of the gates (N, G·U), and the projected query (N, columns)."""
        projected = products.of_state(state_NZ[:, : self.units])
        return projected[:, : self.gates], projected[:, self.gates :]

    def advance(
        self, word_gates: Tensor, extra_NX: Tensor, state_gates: Tensor, state_NZ: Tensor, products: Products
    ) -> Tensor:
        """The next state, (N, Z)."""
        return self.unit.advance(word_gates + products.of_extra(extra_NX), state_gates, state_NZ)


@dataclass(frozen=True)
class Products:
    """The products of a cell with its state and with its second input."""

    of_state: Callable[[Tensor], Tensor]
    of_extra: Callable[[Tensor], Tensor]
