"""Recurrent units against PyTorch's cells step by step, and the reading of padded sources."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.recurrent_reference import advance, numpy
from torch import Tensor, nn

from nmtkit.models.cells import UNITS, Cell, Encoder, Layer

EACH = pytest.mark.parametrize("kind", list(UNITS))
CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
LENGTHS = (4, 1, 3, 5)
MASK_BS = torch.tensor([[place < length for place in range(6)] for length in LENGTHS])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(11)


def stepped(cell: nn.Module, inputs_NE: Tensor, state_NZ: Tensor) -> Tensor:
    """The next state by PyTorch's cell; that of an LSTM is output and cell side by side."""
    if isinstance(cell, nn.LSTMCell):
        return torch.cat(cell(inputs_NE, tuple(state_NZ.chunk(2, dim=1))), dim=1)
    return cell(inputs_NE, state_NZ)


def cell_of(layer: Layer, kind: str, inputs: int, units: int) -> nn.Module:
    """PyTorch's cell with the weights of a layer."""
    cell = CELLS[kind](inputs, units).double()
    cell.load_state_dict({name.removesuffix("_l0"): values for name, values in layer.inner.state_dict().items()})
    return cell


@EACH
def test_layer_is_pytorchs_cell(kind: str) -> None:
    layer = Layer(kind, 3, 5).double()
    cell = cell_of(layer, kind, 3, 5)
    vectors = torch.randn(2, 7, 3, dtype=torch.float64)
    state = torch.randn(2, layer.state_width, dtype=torch.float64)
    assert layer.state_width == (10 if kind == "lstm" else 5)
    outputs, last = layer(vectors, state)
    for t in range(7):
        state = stepped(cell, vectors[:, t], state)
        torch.testing.assert_close(outputs[:, t], state[:, :5], atol=1e-12, rtol=0)
    torch.testing.assert_close(last, state, atol=1e-12, rtol=0)


@EACH
def test_a_layer_goes_on_from_its_state(kind: str) -> None:
    layer = Layer(kind, 3, 4).double()
    vectors, first = torch.randn(2, 6, 3).double(), torch.randn(2, layer.state_width).double()
    whole, last = layer(vectors, first)
    before, between = layer(vectors[:, :2], first)
    after, end = layer(vectors[:, 2:], between)
    torch.testing.assert_close(torch.cat((before, after), dim=1), whole, atol=1e-12, rtol=0)
    torch.testing.assert_close(end, last, atol=1e-12, rtol=0)


@EACH
def test_units_are_those_of_numpy(kind: str) -> None:
    unit = UNITS[kind]
    of_input, of_state = (torch.randn(3, unit.gates * 4, dtype=torch.float64) for _ in range(2))
    state = torch.randn(3, unit.parts * 4, dtype=torch.float64)
    found = unit.advance(of_input, of_state, state)
    for row in range(3):
        expected = advance(kind, numpy(of_input[row]), numpy(of_state[row]), numpy(state[row]))
        assert numpy(found[row]) == pytest.approx(expected, abs=1e-12)


@EACH
@pytest.mark.parametrize("bidirectional", [False, True])
def test_encoder_of_a_padded_batch_is_its_sentences(kind: str, bidirectional: bool) -> None:
    """Annotations and gradients; the second direction reads the true sentence from its end."""
    encoder = Encoder(kind, 3, 4, bidirectional).double()
    vectors = torch.randn(len(LENGTHS), 6, 3, dtype=torch.float64, requires_grad=True)
    found = encoder(vectors, MASK_BS)
    assert found.shape == (len(LENGTHS), 6, 8 if bidirectional else 4)
    weight = torch.randn_like(found)
    (gradient,) = torch.autograd.grad((found * weight * MASK_BS.unsqueeze(2)).sum(), vectors)
    for b, length in enumerate(LENGTHS):
        alone = vectors[b : b + 1, :length]
        first = torch.zeros(1, encoder.left.state_width, dtype=torch.float64)
        parts = [encoder.left(alone, first)[0]]
        if bidirectional:
            assert encoder.right is not None
            parts.append(encoder.right(alone.flip(1), first)[0].flip(1))
        expected = torch.cat(parts, dim=2)
        torch.testing.assert_close(found[b, :length], expected[0], atol=1e-12, rtol=0)
        (own,) = torch.autograd.grad((expected * weight[b : b + 1, :length]).sum(), vectors)
        torch.testing.assert_close(gradient[b], own[b], atol=1e-12, rtol=0)
        assert not gradient[b, length:].any()


@EACH
def test_both_directions_are_pytorchs(kind: str) -> None:
    encoder = Encoder(kind, 3, 4, True).double()
    both = UNITS[kind].module(3, 4, batch_first=True, bidirectional=True).double()
    weights = dict(encoder.left.inner.state_dict())
    weights |= {f"{name}_reverse": values for name, values in encoder.right.inner.state_dict().items()}
    both.load_state_dict(weights)
    vectors = torch.randn(2, 5, 3, dtype=torch.float64)
    expected, _ = both(vectors)
    found = encoder(vectors, torch.ones(2, 5, dtype=torch.bool))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@EACH
@pytest.mark.parametrize("columns", [0, 3])
def test_cell_with_two_inputs(kind: str, columns: int) -> None:
    """PyTorch's cell over both inputs side by side; the query is a product with the output before it."""
    cell = Cell(kind, 3, 2, 4, columns).double()
    gates = cell.gates
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    plain = CELLS[kind](5, 4).double()
    weights = {
        "weight_ih": torch.cat((cell.word.weight, cell.extra.weight), dim=1),
        "weight_hh": cell.state.weight[:gates],
        "bias_ih": cell.word.bias,
        "bias_hh": cell.state.bias[:gates],
    }
    plain.load_state_dict(weights)
    words, extras = torch.randn(2, 6, 3, dtype=torch.float64), torch.randn(2, 6, 2, dtype=torch.float64)
    first = torch.randn(2, cell.unit.parts * cell.units, dtype=torch.float64)
    inputs, totals = (*cell.parameters(), first.requires_grad_(True)), []
    for products in (cell.alone(), cell.shared()):
        state, total = first, torch.zeros((), dtype=torch.float64)
        for t in range(6):
            of_state, query = cell.project(state, products)
            expected = state[:, :4] @ cell.state.weight[gates:].T + cell.state.bias[gates:]
            torch.testing.assert_close(query, expected, atol=1e-12, rtol=0)
            after = cell.advance(cell.word(words[:, t]), extras[:, t], of_state, state, products)
            expected = stepped(plain, torch.cat((words[:, t], extras[:, t]), dim=1), state)
            torch.testing.assert_close(after, expected, atol=1e-12, rtol=0)
            state = after
            total = total + state.pow(2).sum() + query.sin().sum()
        totals.append(torch.autograd.grad(total, inputs))
    for one, other in zip(*totals, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@EACH
def test_each_gate_begins_orthogonal(kind: str) -> None:
    cell = Cell(kind, 3, 2, 5, 4)
    for gate in cell.state.weight[: cell.gates].split(5):
        assert np.abs(numpy(gate @ gate.T) - np.eye(5)).max() < 1e-5


@pytest.mark.parametrize("lengths", [[4, 1, 3], [2, 2], [1]])
def test_bidirectional_layer_is_the_gru_of_pytorch(lengths: list[int]) -> None:
    """`nn.GRU` over packed sequences: whatever stands at the padding, the states at the words are the same."""
    torch.manual_seed(sum(lengths))
    ours, theirs = Encoder("gru", 3, 5, True).double(), nn.GRU(3, 5, batch_first=True, bidirectional=True).double()
    assert ours.right is not None
    with torch.no_grad():
        for layer, end in ((ours.left, ""), (ours.right, "_reverse")):
            for name, parameter in layer.inner.named_parameters():
                getattr(theirs, f"{name}{end}").copy_(parameter)
    vectors = torch.randn(len(lengths), max(lengths), 3, dtype=torch.float64)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    packed = nn.utils.rnn.pack_padded_sequence(vectors, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(ours(vectors, mask)[mask], expected[mask], atol=1e-12, rtol=0)
