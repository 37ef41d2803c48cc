"""Parts: the cache as a value, sinusoids against the formula, the gated cell and whole layers against PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule
from torch import Tensor, nn

from nmtkit.models.build import build
from nmtkit.models.cells import Cell, Encoder
from nmtkit.models.layers import Cache, Dropout, FeatureFront, Positions, TokenFront, embedding, sinusoids
from nmtkit.models.options import RecurrentOptions, TransformerOptions
from nmtkit.models.transformer import DecoderLayer, EncoderLayer, LayerSizes, Transformer
from nmtkit.specials import PAD

HEADS, CHANNELS = 2, 3

Oracle = tuple[int, list[Tensor], list[Tensor]]
"""Rows, and the keys and values of each position, (N, H, C): a plain list that is copied on every change."""


def assert_holds(cache: Cache, oracle: Oracle) -> None:
    rows, keys, values = oracle
    assert (cache.size(), cache.length) == (rows, len(keys))
    assert cache.keys().shape == cache.values().shape == (rows, HEADS, len(keys), CHANNELS)
    if keys:
        assert torch.equal(cache.keys(), torch.stack(keys, dim=2))
        assert torch.equal(cache.values(), torch.stack(values, dim=2))


class CacheMachine(RuleBasedStateMachine):
    """Any cache made so far may be appended to, selected from or branched, in any order; none may ever change."""

    caches = Bundle("caches")

    def __init__(self) -> None:
        super().__init__()
        self.everything: list[tuple[Cache, Oracle]] = []
        self.generator = torch.Generator().manual_seed(0)

    def _new(self, cache: Cache, oracle: Oracle) -> int:
        self.everything.append((cache, oracle))
        for one, expected in self.everything:
            assert_holds(one, expected)
        return len(self.everything) - 1

    def _append(self, index: int) -> tuple[Cache, Oracle]:
        cache, (rows, keys, values) = self.everything[index]
        key, value = torch.randn(2, rows, HEADS, CHANNELS, generator=self.generator)
        return cache.append(torch.stack((key, value), 1)), (rows, [*keys, key.clone()], [*values, value.clone()])

    @initialize(target=caches, rows=st.integers(1, 3))
    def empty(self, rows: int) -> int:
        return self._new(Cache.empty(rows, HEADS, CHANNELS, torch.empty(0)), (rows, [], []))

    @rule(target=caches, index=caches)
    def append(self, index: int) -> int:
        return self._new(*self._append(index))

    @rule(target=caches, index=caches, times=st.integers(2, 2 * Cache.SPARE + 1))
    def append_many(self, index: int, times: int) -> int:
        for _ in range(times):
            self.everything.append(self._append(index))
            index = len(self.everything) - 1
        return self._new(*self.everything.pop())

    @rule(target=caches, index=caches, data=st.data())
    def select(self, index: int, data: st.DataObject) -> int:
        cache, (rows, keys, values) = self.everything[index]
        picked = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=4)))
        oracle = (len(picked), [key[picked] for key in keys], [value[picked] for value in values])
        return self._new(cache.select(picked), oracle)

    @rule(index=caches)
    def branch(self, index: int) -> None:
        """Two children of one parent, then a child of the first."""
        for _ in range(2):
            self._new(*self._append(index))
        self._new(*self._append(len(self.everything) - 2))


CacheMachine.TestCase.settings = settings(
    database=None, derandomize=True, deadline=None, max_examples=40, stateful_step_count=14
)
test_cache_is_a_value = CacheMachine.TestCase


def test_greedy_appending_does_not_copy() -> None:
    """Appending to the newest cache writes in place until the spare positions are used up."""
    cache = Cache.empty(2, HEADS, CHANNELS, torch.empty(0))
    places = []
    for _ in range(2 * Cache.SPARE):
        cache = cache.append(torch.ones(2, 2, HEADS, CHANNELS))
        places.append(cache.keys().data_ptr())
    assert len(set(places)) == 2


def test_cache_takes_precision_from_its_model() -> None:
    assert Cache.empty(1, 1, 1, torch.empty(0, dtype=torch.float64)).keys().dtype == torch.float64


@pytest.mark.parametrize(("length", "width"), [(1, 2), (7, 8), (300, 6), (5, 1), (9, 7)])
def test_sinusoids_are_the_written_formula(length: int, width: int) -> None:
    """Vaswani et al. 2017, 3.5, position by position; an odd width ends in a sine."""
    table = sinusoids(length, width)
    assert table.shape == (length, width) and table.dtype == torch.float64
    for position in range(length):
        for channel in range(width):
            angle = position / 10000 ** (2 * (channel // 2) / width)
            expected = math.sin(angle) if channel % 2 == 0 else math.cos(angle)
            assert table[position, channel].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-7), (torch.float64, 1e-12)])
def test_positions_of_any_start_and_length(dtype: torch.dtype, tolerance: float) -> None:
    positions = Positions(6).to(dtype)
    like = torch.empty(0, dtype=dtype)
    for start, length in ((0, 5), (3, 1), (250, 20), (1000, 3), (0, 300), (2, 2)):
        found = positions(start, length, like)
        assert found.dtype == dtype
        expected = sinusoids(start + length, 6)[start:]
        torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=0)


def test_positions_do_not_change_when_the_table_grows() -> None:
    """In float64 as well: what an early step saw is what a later parallel pass sees."""
    for dtype in (torch.float32, torch.float64):
        positions = Positions(6).to(dtype)
        like = torch.empty(0, dtype=dtype)
        before = positions(0, 200, like).clone()
        positions(5000, 1, like)
        assert torch.equal(positions(0, 200, like), before), dtype


def test_positions_are_no_weights() -> None:
    """They are not saved, however long the table has grown."""
    positions = Positions(4)
    positions(700, 10, torch.empty(0))
    assert not positions.state_dict() and not list(positions.parameters())


@pytest.mark.parametrize("std", [0.125, 0.25])
def test_embeddings_vary_as_asked_and_pad_is_zero(std: float) -> None:
    """Rows of 64 numbers with standard deviation 1/8 have norm one on average."""
    torch.manual_seed(0)
    table = embedding(2000, 64, std)
    norms = table.weight[1:].norm(dim=1)
    assert norms.mean().item() == pytest.approx(8 * std, rel=0.02)
    assert not table.weight[PAD].any()
    table(torch.tensor([PAD, 5])).sum().backward()
    assert table.weight.grad is not None
    assert not table.weight.grad[PAD].any() and table.weight.grad[5].any()


def test_fronts() -> None:
    torch.manual_seed(0)
    table = embedding(9, 4, 0.5)
    ids = torch.tensor([[5, 3, 0]])
    assert torch.equal(TokenFront(table)(ids), table.weight[[5, 3, 0]].unsqueeze(0))
    front = FeatureFront(7, 4, 0.5)
    vectors = torch.randn(2, 3, 7)
    expected = torch.einsum("bsf,df->bsd", vectors, front.linear.weight) + front.linear.bias
    torch.testing.assert_close(front(vectors), expected)


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(probability: float) -> None:
    torch.manual_seed(3)
    dropout, size = Dropout(probability).train(), 200_000
    result = dropout(torch.ones(size, requires_grad=True))
    share = (result == 0).double().mean().item()
    rounded = 1 - round(256 * (1 - probability)) / 256
    assert abs(share - rounded) < 5 * (probability * (1 - probability) / size) ** 0.5
    assert abs(rounded - probability) <= 1 / 512
    torch.testing.assert_close(result[result != 0], torch.full_like(result[result != 0], 1 / (1 - rounded)))


@pytest.mark.parametrize("shape", [(3,), (5, 7), (2, 3, 11)])
def test_dropout_added_to_a_residual(shape: tuple[int, ...]) -> None:
    """The same draws, the same sum and the same gradients as residual + dropout(vectors)."""
    dropout = Dropout(0.4).train()
    residual, vectors = torch.randn(shape, requires_grad=True), torch.randn(shape, requires_grad=True)
    torch.manual_seed(5)
    found = dropout.add(residual, vectors)
    torch.manual_seed(5)
    expected = residual + dropout(vectors)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(shape)
    ours = torch.autograd.grad(found, (residual, vectors), weights)
    theirs = torch.autograd.grad(expected, (residual, vectors), weights)
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(dropout.eval().add(residual, vectors), residual + vectors)


@pytest.mark.parametrize("std", [0.125, 0.25])
def test_feature_front_enters_at_the_scale_of_embeddings(std: float) -> None:
    """Features of unit variance become vectors that vary as embedded words do."""
    torch.manual_seed(0)
    front = FeatureFront(200, 64, std)
    norms = (front(torch.randn(500, 1, 200)) - front.linear.bias).norm(dim=-1)
    assert norms.mean().item() == pytest.approx(8 * std, rel=0.1)


def test_gated_cell_is_the_gru_of_pytorch() -> None:
    """Word and context side by side as the input of `nn.GRUCell` (gates: reset, update, new)."""
    torch.manual_seed(0)
    cell = Cell("gru", embedding=3, extra=4, units=5, columns=2).double()
    oracle = nn.GRUCell(7, 5).double()
    with torch.no_grad():
        oracle.weight_ih.copy_(torch.cat((cell.word.weight, cell.extra.weight), dim=1))
        oracle.bias_ih.copy_(cell.word.bias)
        oracle.weight_hh.copy_(cell.state.weight[:15])
        oracle.bias_hh.copy_(cell.state.bias[:15])
    word, context, hidden = (torch.randn(6, width, dtype=torch.float64) for width in (3, 4, 5))
    for products in (cell.alone(), cell.shared()):
        state_gates, query = cell.project(hidden, products)
        found = cell.advance(cell.word(word), context, state_gates, hidden, products)
        torch.testing.assert_close(found, oracle(torch.cat((word, context), dim=1), hidden), atol=1e-12, rtol=0)
        torch.testing.assert_close(query, hidden @ cell.state.weight[15:].T + cell.state.bias[15:], atol=1e-12, rtol=0)


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


def copy_attention(ours: nn.Module, theirs: nn.MultiheadAttention) -> None:
    weights = dict(ours.named_parameters())
    with torch.no_grad():
        theirs.in_proj_weight.copy_(weights["input.weight"])
        theirs.in_proj_bias.copy_(weights["input.bias"])
        theirs.out_proj.weight.copy_(weights["output.weight"])
        theirs.out_proj.bias.copy_(weights["output.bias"])


def shake(module: nn.Module) -> None:
    """Random numbers everywhere, biases and norms too, so that every parameter matters."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))


def copy_rest(ours: EncoderLayer, theirs: nn.Module) -> None:
    pairs = [("feedforward.inner", "linear1"), ("feedforward.outer", "linear2"), ("self_norm", "norm1")]
    cross = [("cross_norm", "norm2"), ("feedforward_norm", "norm3")]
    pairs += cross if "cross_norm" in dict(ours.named_children()) else [("feedforward_norm", "norm2")]
    for mine, other in pairs:
        theirs.get_submodule(other).load_state_dict(ours.get_submodule(mine).state_dict())


def test_encoder_layer_is_that_of_pytorch() -> None:
    torch.manual_seed(1)
    ours = EncoderLayer(LayerSizes(8, 12, 2)).double()
    shake(ours)
    theirs = nn.TransformerEncoderLayer(8, 2, 12, 0.0, norm_first=True, batch_first=True, dtype=torch.float64)
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_rest(ours, theirs)
    vectors = torch.randn(3, 5, 8, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True] + [False] * 4, [True] * 3 + [False] * 2])
    found, expected = ours(vectors, mask[:, None, None]), theirs(vectors, src_key_padding_mask=~mask)
    torch.testing.assert_close(found[mask], expected[mask], atol=1e-11, rtol=0)


def test_decoder_layer_is_that_of_pytorch() -> None:
    torch.manual_seed(2)
    ours = DecoderLayer(LayerSizes(8, 12, 4)).double()
    shake(ours)
    theirs = nn.TransformerDecoderLayer(8, 4, 12, 0.0, norm_first=True, batch_first=True, dtype=torch.float64)
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    copy_rest(ours, theirs)
    source, target = torch.randn(2, 4, 8, dtype=torch.float64), torch.randn(2, 6, 8, dtype=torch.float64)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    found = ours.parallel(target, *ours.cross_attention.prepare(source), mask)
    causal = torch.ones(6, 6, dtype=torch.bool).triu(1)
    expected = theirs(target, source, tgt_mask=causal, memory_key_padding_mask=~mask)
    torch.testing.assert_close(found, expected, atol=1e-11, rtol=0)


Array = npt.NDArray[np.float64]


def gru(x: Array, h: Array, w: dict[str, Array], name: str) -> Array:
    """Cho et al. 2014 as `nn.GRU` writes it: reset, update, candidate."""
    incoming = w[f"{name}input.weight"] @ x + w[f"{name}input.bias"]
    state = w[f"{name}state.weight"] @ h + w[f"{name}state.bias"]
    (xr, xz, xn), (hr, hz, hn) = np.split(incoming, 3), np.split(state, 3)
    reset, update = 1 / (1 + np.exp(-xr - hr)), 1 / (1 + np.exp(-xz - hz))
    return np.asarray((1 - update) * np.tanh(xn + reset * hn) + update * h)


def written(name: str) -> str:
    """A weight's name without what only the program needs."""
    for old, new in (("inner.weight_ih_l0", "input.weight"), ("inner.bias_ih_l0", "input.bias")):
        name = name.replace(old, new).replace(old.replace("ih", "hh"), new.replace("input", "state"))
    for part in ("decoder.", "attention.", "layers."):
        name = name.replace(part, "")
    return name


def below(weights: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def annotate(words: list[Array], encoder: dict[str, Array], layers: int, units: int) -> tuple[list[Array], Array]:
    """Both directions side by side for each word, and the backward state at the first word."""
    both = words
    for layer in range(layers):
        forward, backward = [np.zeros(units)], [np.zeros(units)]
        for x in both:
            forward.append(gru(x, forward[-1], encoder, f"{layer}.left."))
        for x in reversed(both):
            backward.append(gru(x, backward[-1], encoder, f"{layer}.right."))
        both = [np.concatenate(pair) for pair in zip(forward[1:], backward[:0:-1], strict=True)]
    return both, backward[-1]


@pytest.mark.parametrize("layers", [1, 2])
def test_recurrent_model_is_the_written_formulas(layers: int) -> None:
    """The whole of Bahdanau et al. 2015 for one sentence, word by word in NumPy."""
    torch.manual_seed(layers)
    options = RecurrentOptions(embedding=4, units=3, attention=5, encoder_layers=layers, decoder_layers=layers)
    model = build(options, source_size=8, target_size=7).double().eval()
    shake(model)
    w = {written(name): np.asarray(value.numpy(), dtype=np.float64) for name, value in model.state_dict().items()}
    source, target_in = [5, 7, 4, 3], [1, 6, 2, 4, 5]
    annotations, back = annotate([w["front.table.weight"][i] for i in source], below(w, "encoder."), layers, 3)
    states = list(np.tanh(w["bridge.weight"] @ back + w["bridge.bias"]).reshape(layers, 3))
    keys = [w["score.key.weight"] @ h + w["score.key.bias"] for h in annotations]
    cell = {
        "input.weight": np.concatenate((w["cell.word.weight"], w["cell.extra.weight"]), axis=1),
        "input.bias": w["cell.word.bias"],
        "state.weight": w["cell.state.weight"][:9],
        "state.bias": w["cell.state.bias"][:9],
    }
    expected, attended = [], []
    for token in target_in:
        word = w["target_embedding.weight"][token]
        query = w["cell.state.weight"][9:] @ states[0] + w["cell.state.bias"][9:]
        exps = np.exp([w["score.vector"] @ np.tanh(query + key) for key in keys])
        attended.append(exps / exps.sum())
        context = np.sum([weight * h for weight, h in zip(attended[-1], annotations, strict=True)], axis=0)
        states[0] = gru(np.concatenate((word, context)), states[0], cell, "")
        for layer in range(1, layers):
            states[layer] = gru(states[layer - 1], states[layer], w, f"upper.{layer - 1}.")
        joined = np.concatenate((states[-1], word, context))
        logits = w["output_weight"][2:] @ np.tanh(w["readout.weight"] @ joined + w["readout.bias"])
        expected.append(logits - np.log(np.exp(logits).sum()))
    with torch.no_grad():
        memory = model.encode(torch.tensor([source]), torch.ones(1, 4, dtype=torch.bool))
        found = model.decode(memory, torch.tensor([target_in])).dense()
        maps = model.attention(memory, torch.tensor([target_in]))
    assert found[0, :, 2:].numpy() == pytest.approx(np.stack(expected), abs=1e-10)
    assert maps.cross[0][0, 0].numpy() == pytest.approx(np.stack(attended), abs=1e-10)


def test_transformer_is_its_layers() -> None:
    """Embeddings times √d plus sinusoids, the layers (each is PyTorch's, see above), a norm, the output projection."""
    torch.manual_seed(3)
    options = TransformerOptions(width=6, feedforward=9, heads=2, encoder_layers=2, decoder_layers=3)
    model = build(options, source_size=8, target_size=7).double().eval()
    shake(model)
    assert isinstance(model, Transformer)
    source, target_in = torch.tensor([[5, 7, 4, 3]]), torch.tensor([[1, 6, 2, 4, 5]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        found = model.decode(model.encode(source, mask), target_in).dense()
        read = model.get_parameter("front.table.weight")[source] * math.sqrt(6) + sinusoids(4, 6)
        for layer in model.encoder:
            read = layer(read, mask[:, None, None])
        read = model.encoder_norm(read)
        written = model.target_embedding.weight[target_in] * math.sqrt(6) + sinusoids(5, 6)
        for layer in model.decoder:
            assert isinstance(layer, DecoderLayer)
            written = layer.parallel(written, *layer.cross_attention.prepare(read), mask)
        logits = model.decoder_norm(written) @ model.output_weight[2:].T
    torch.testing.assert_close(found[..., 2:], logits.log_softmax(-1), atol=1e-9, rtol=0)
