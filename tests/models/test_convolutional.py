"""The convolutional family against the formulas of Gehring et al. 2017 in NumPy, and what its blocks can see.

Shape key: B sentences, S source positions, W hypotheses a sentence, N = B·W, T target positions, K kernel, D width,
E embedding width.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.toys import stack_targets
from support.training_toys import model as trained_model
from support.training_toys import only_line, tokenizer, write_folder
from torch import Tensor

from nmtkit import checkpoint
from nmtkit.models.build import average, build
from nmtkit.models.convolutional import Convolutional, DecoderBlock, EncoderBlock
from nmtkit.models.distribution import ProjectedLogProbs
from nmtkit.models.options import ConvolutionalOptions
from nmtkit.specials import BOS, EOS, PAD

Array = np.ndarray[Any, np.dtype[np.float64]]
HALF = math.sqrt(0.5)
SMALL = ConvolutionalOptions(width=6, embedding=5, kernel=3, encoder_layers=2, decoder_layers=2, dropout=0.0)


def make(seed: int = 0, vocabulary: int = 9, **changes: Any) -> Convolutional:
    """A float64 model in evaluation mode whose every parameter, biases too, is far from zero."""
    options = ConvolutionalOptions(**{**vars(SMALL), **changes})
    torch.manual_seed(seed)
    model = build(options, source_size=vocabulary, target_size=vocabulary).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    assert isinstance(model, Convolutional)
    return model


def sources(*lengths: int, vocabulary: int = 9) -> tuple[Tensor, Tensor]:
    """Random ids without special ones, padded, and their mask."""
    mask_BS = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    return torch.randint(4, vocabulary, mask_BS.shape).masked_fill(~mask_BS, PAD), mask_BS


# --- the formulas in NumPy --------------------------------------------------------------------------------------------


def matrix(linear: torch.nn.Module) -> tuple[Array, Array]:
    """Weight and bias of a weight-normalised map, from its two parameters: w = g v / |v|, row by row."""
    values = {name: parameter.detach().double().numpy() for name, parameter in linear.named_parameters()}
    lengths, directions = (values[f"parametrizations.weight.original{number}"] for number in (0, 1))
    rows = [lengths[row] * direction / np.sqrt((direction**2).sum()) for row, direction in enumerate(directions)]
    return np.stack(rows), values["bias"]


def affine(linear: torch.nn.Module, vector: Array) -> Array:
    weight, bias = matrix(linear)
    return np.array([weight[row] @ vector + bias[row] for row in range(len(bias))])


def gated(linear: torch.nn.Module, window: list[Array]) -> Array:
    """Equations of section 3.2: the first half of W [x_1; …; x_K] + b times the logistic function of the second."""
    both = affine(linear, np.concatenate(window))
    width = len(both) // 2
    return np.array([both[i] / (1 + math.exp(-both[width + i])) for i in range(width)])


def encoder_block(block: EncoderBlock, states: list[Array], kernel: int) -> list[Array]:
    """One sentence without padding; zeros stand on both sides."""
    zero = np.zeros_like(states[0])
    padded = [zero] * (kernel // 2) + states + [zero] * (kernel // 2)
    linear = block.convolution.linear
    return [(gated(linear, padded[t : t + kernel]) + state) * HALF for t, state in enumerate(states)]


def decoder_block(
    block: DecoderBlock, states: list[Array], inputs: list[Array], keys: list[Array], values: list[Array], kernel: int
) -> tuple[list[Array], list[Array]]:
    """One hypothesis: its next states and attention weights; `values` are (z + e) √½, `inputs` the embeddings g."""
    padded = [np.zeros_like(states[0])] * (kernel - 1) + states
    outputs, weights = [], []
    for t, state in enumerate(states):
        hidden = gated(block.convolution.linear, padded[t : t + kernel])
        query = (affine(block.query, hidden) + inputs[t]) * HALF  # equation 1
        powers = [math.exp(query @ key) for key in keys]
        alpha = np.array(powers) / sum(powers)
        context = sum(a * value for a, value in zip(alpha, values, strict=True))  # equation 2
        scaled = context * (len(keys) * math.sqrt(1 / len(keys)))  # section 3.4
        attended = (hidden + affine(block.context, scaled)) * HALF
        outputs.append((attended + state) * HALF)
        weights.append(alpha)
    return outputs, weights


def whole_model(model: Convolutional, source: list[int], target_in: list[int], kernel: int) -> tuple[Array, Array]:
    """log P (T, V − 2) and attention (blocks, T, S) of one pair; learned positions, tied or not."""
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    words = weights["front.table.weight"]
    embedded = [words[word] + weights["source_positions.table"][place] for place, word in enumerate(source)]
    states = [affine(model.source_input, vector) for vector in embedded]
    for block in model.encoder:
        assert isinstance(block, EncoderBlock)
        states = encoder_block(block, states, kernel)
    keys = [affine(model.source_output, state) for state in states]
    values = [(key + vector) * HALF for key, vector in zip(keys, embedded, strict=True)]
    places = weights["target_positions.table"]
    inputs = [weights["target_embedding.weight"][word] + places[place] for place, word in enumerate(target_in)]
    states, maps = [affine(model.target_input, vector) for vector in inputs], []
    for block in model.decoder:
        assert isinstance(block, DecoderBlock)
        states, alphas = decoder_block(block, states, inputs, keys, values, kernel)
        maps.append(np.stack(alphas))
    hidden = np.stack([affine(model.target_output, state) for state in states])
    logits = hidden @ weights["output_weight"][2:].T
    return logits - np.log(np.exp(logits).sum(1, keepdims=True)), np.stack(maps)


@torch.no_grad()
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_encoder_block_is_the_formula(kernel: int, length: int) -> None:
    torch.manual_seed(kernel)
    block = EncoderBlock(4, kernel, 0.3).double().eval()
    torch.nn.init.normal_(block.convolution.linear.bias)
    vectors = torch.randn(2, length, 4, dtype=torch.float64)
    found = block(vectors, torch.zeros(2, length, 1, dtype=torch.bool))
    for row in range(2):
        expected = np.stack(encoder_block(block, list(vectors[row].numpy()), kernel))
        np.testing.assert_allclose(found[row].numpy(), expected, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("length", [1, 6])
def test_decoder_block_is_the_formula(kernel: int, length: int) -> None:
    """Two sentences of two hypotheses; the second source is two positions shorter."""
    model = make(kernel=kernel)
    source, mask_BS = sources(5, 3)
    memory = model.encode(source, mask_BS)
    block = model.decoder[1]
    assert isinstance(block, DecoderBlock)
    vectors, embedded = (torch.randn(4, length, size, dtype=torch.float64) for size in (6, 5))
    found, last, weights = block(vectors, vectors.new_zeros(4, kernel - 1, 6), embedded, memory)
    assert last.shape == (4, kernel - 1, 6)
    for row in range(4):
        size = int(mask_BS[row // 2].sum())
        keys = list(memory.keys_BSE[row // 2, :size].numpy())
        values = list(memory.values_BSE[row // 2, :size].numpy() / math.sqrt(size))
        expected, alphas = decoder_block(
            block, list(vectors[row].numpy()), list(embedded[row].numpy()), keys, values, kernel
        )
        np.testing.assert_allclose(found[row].numpy(), np.stack(expected), atol=1e-12)
        own = weights[row // 2].unflatten(0, (2, length))[row % 2]
        np.testing.assert_allclose(own[:, :size].numpy(), np.stack(alphas), atol=1e-12)
        assert not own[:, size:].any()


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "encoder", "decoder", "tie"), [(3, 1, 1, True), (5, 2, 3, False), (3, 3, 2, False)])
def test_the_whole_model_is_the_formulas(kernel: int, encoder: int, decoder: int, tie: bool) -> None:
    model = make(kernel=kernel, encoder_layers=encoder, decoder_layers=decoder, tie_output=tie)
    source, mask_BS = sources(6, 1, 4)
    target_in_NT = torch.randint(4, 9, (3, 5))
    target_in_NT[:, 0] = BOS
    memory = model.encode(source, mask_BS)
    found, maps = model.decode(memory, target_in_NT).dense(), model.attention(memory, target_in_NT).cross
    for row, length in enumerate((6, 1, 4)):
        expected, alphas = whole_model(model, source[row, :length].tolist(), target_in_NT[row].tolist(), kernel)
        np.testing.assert_allclose(found[row, :, 2:].numpy(), expected, atol=1e-11)
        for one, alpha in zip(maps, alphas, strict=True):
            np.testing.assert_allclose(one[row, 0, :, :length].numpy(), alpha, atol=1e-12)


@torch.no_grad()
def test_sinusoidal_positions_are_as_small_as_the_embeddings() -> None:
    """e = x + PE / √E, so that neither drowns the other."""
    model = make(positions="sinusoidal", embedding=6)
    vectors = torch.randn(1, 3, 6, dtype=torch.float64)
    found = model._enter(vectors, model.source_positions, 4)[0].numpy()
    for row, place in enumerate((4, 5, 6)):
        angles = [place / 10000 ** (2 * (channel // 2) / 6) for channel in range(6)]
        waves = np.array([math.cos(a) if channel % 2 else math.sin(a) for channel, a in enumerate(angles)])
        np.testing.assert_allclose(found[row], vectors[0, row].numpy() + waves / math.sqrt(6), atol=1e-12)


# --- what is seen -----------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "layers"), [(1, 2), (3, 1), (3, 2), (3, 4), (5, 1), (5, 3), (7, 2)])
def test_an_encoder_state_sees_so_far_and_no_farther(kernel: int, layers: int) -> None:
    """Exactly L (K − 1) / 2 positions to each side: changing one word changes just the keys of those."""
    length = 29
    model = make(kernel=kernel, encoder_layers=layers, max_positions=length)
    source, mask_BS = sources(length)
    before = model.encode(source, mask_BS).keys_BSE
    reach = layers * (kernel - 1) // 2
    for place in (0, 3, 14, length - 1):
        changed = source.clone()
        changed[0, place] = 4 if source[0, place] != 4 else 5
        after = model.encode(changed, mask_BS).keys_BSE
        moved = (after - before)[0].abs().amax(1) > 0
        expected = (torch.arange(length) - place).abs() <= reach
        assert torch.equal(moved, expected)


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "layers"), [(1, 1), (3, 1), (3, 3), (5, 2)])
def test_a_decoder_position_sees_so_far_back_and_nothing_later(kernel: int, layers: int) -> None:
    """Its own word and exactly L (K − 1) before it."""
    model = make(kernel=kernel, decoder_layers=layers, max_positions=16)
    memory = model.encode(*sources(4))
    target_in_NT = torch.randint(4, 9, (1, 16))
    before = model.decode(memory, target_in_NT).dense()[0, :, 2:]
    for place in (0, 5, 15):
        changed = target_in_NT.clone()
        changed[0, place] = 4 if target_in_NT[0, place] != 4 else 5
        moved = (model.decode(memory, changed).dense()[0, :, 2:] - before).abs().amax(1) > 0
        distance = torch.arange(16) - place
        assert torch.equal(moved, (distance >= 0) & (distance <= layers * (kernel - 1)))


@torch.no_grad()
def test_padding_has_exactly_no_influence() -> None:
    """Not even where it holds numbers that are none."""
    model = make(encoder_layers=3, kernel=5)
    source, mask_BS = sources(3, 9)
    memory = model.encode(source, mask_BS)
    alone = model.encode(source[:1, :3], mask_BS[:1, :3])
    torch.testing.assert_close(memory.keys_BSE[:1, :3], alone.keys_BSE, atol=1e-12, rtol=0)
    torch.testing.assert_close(memory.values_BSE[:1, :3], alone.values_BSE, atol=1e-12, rtol=0)
    padding_BS1 = ~mask_BS.unsqueeze(2)
    vectors = torch.randn(2, 9, 6, dtype=torch.float64).masked_fill(padding_BS1, float("nan"))
    assert model.encoder[0](vectors, padding_BS1)[mask_BS].isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "layers"), [(1, 1), (3, 2), (5, 3)])
def test_the_state_keeps_the_last_inputs_only(kernel: int, layers: int) -> None:
    """K − 1 columns a block, however many tokens have been read: a step costs the same everywhere."""
    model = make(kernel=kernel, decoder_layers=layers)
    memory = model.encode(*sources(4, 2))
    state = model.start(memory)
    shapes = [(2, kernel - 1, 6)] * layers
    for number in range(8):
        assert [tuple(inputs.shape) for inputs in state.inputs] == shapes
        assert state.position_N.tolist() == [number, number] and state.size() == 2
        before = [inputs.clone() for inputs in state.inputs]
        _, after = model.step(torch.full((2,), BOS + 3 * (number > 0)), state, memory)
        assert all(torch.equal(one, other) for one, other in zip(before, state.inputs, strict=True))
        for one, other in zip(state.inputs, after.inputs, strict=True):
            assert torch.equal(one[:, 1:], other[:, : max(0, kernel - 2)])
            assert kernel == 1 or other[:, -1].all()  # the newest input, no zeros
        state = after


# --- positions beyond the table ---------------------------------------------------------------------------------------


@torch.no_grad()
def test_positions_beyond_the_table_are_refused() -> None:
    """In encode, decode and step alike, in one line with the limit and the option; the last row is of use."""
    model = make(max_positions=5)
    memory = model.encode(*sources(5))
    five = torch.randint(4, 9, (1, 5))
    model.decode(memory, five)
    state = model.start(memory)
    for token_N in five.unbind(1):
        _, state = model.step(token_N, state, memory)
    calls = {
        "encode": lambda: model.encode(*sources(6, 2)),
        "decode": lambda: model.decode(memory, torch.cat((five, five[:, :1]), dim=1)),
        "attention": lambda: model.attention(memory, torch.cat((five, five[:, :1]), dim=1)),
        "step": lambda: model.step(five[:, 0], state, memory),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match="max_positions") as caught:
            call()
        assert only_line(caught.value, "6", "max_positions", "5", "sinusoidal"), name


@torch.no_grad()
def test_sinusoidal_positions_have_no_end() -> None:
    model = make(positions="sinusoidal")
    memory = model.encode(*sources(400))
    assert model.decode(memory, torch.randint(4, 9, (1, 300))).dense()[..., 2:].isfinite().all()


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_encoder_gets_its_share_of_the_gradient(layers: int) -> None:
    """Its layers 1 / (2 · attentions) of the true gradient; the decoder and the direct way e → values all of it."""
    model = make(decoder_layers=layers, tie_source=False, tie_output=False)
    source, mask_BS = sources(5, 3)
    target_in_NT = torch.tensor([[BOS, 4, 5, 6], [BOS, 7, 8, EOS]])
    target_out_NT = torch.tensor([[4, 5, 6, EOS], [7, 8, EOS, PAD]])
    model.decode(model.encode(source, mask_BS), target_in_NT).loss(target_out_NT).backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert found.keys() == dict(model.named_parameters()).keys()

    def true_gradients(through_keys: bool) -> dict[str, Tensor]:
        """Without scaling: the encoder again, by its modules, with the way through z open or cut."""
        model.zero_grad(set_to_none=True)
        embedded = model.front(source) + model.source_positions.table[:5]  # type: ignore[index]
        vectors = model.source_input(embedded)
        for block in model.encoder:
            vectors = block(vectors, ~mask_BS.unsqueeze(2))
        keys = model.source_output(vectors)
        keys = keys if through_keys else keys.detach()
        values = (keys + embedded) * HALF * mask_BS.sum(1).double().sqrt()[:, None, None]
        memory = type(model.encode(source, mask_BS))(mask_BS, keys, values)
        model.decode(memory, target_in_NT).loss(target_out_NT).backward()
        zero = torch.zeros(())
        return {name: zero if one.grad is None else one.grad.clone() for name, one in model.named_parameters()}

    everything, direct = true_gradients(True), true_gradients(False)
    scale = 1 / (2 * layers)
    inside = ("encoder.", "source_input", "source_output")
    for name, gradient in found.items():
        assert gradient.any(), name
        if name.startswith(inside):
            assert not direct[name].any(), name
        expected = direct[name] + scale * (everything[name] - direct[name])
        torch.testing.assert_close(gradient, expected, atol=1e-10, rtol=1e-8, msg=name)
    assert not torch.allclose(found["front.table.weight"], scale * everything["front.table.weight"])


@torch.no_grad()
def test_dropout_is_where_the_paper_has_it() -> None:
    """After the embeddings of both sides, before each convolution, and before the output projection."""
    model = make(dropout=0.5, width=40, embedding=40).train()
    source, mask_BS = sources(12)
    target_in_NT = torch.randint(4, 9, (1, 12))

    def dropped(vectors: Tensor) -> bool:
        return 0.3 < (vectors == 0).double().mean().item() < 0.7

    entered: dict[torch.nn.Module, Tensor] = {}
    convolutions = [block.convolution.linear for stack in (model.encoder, model.decoder) for block in stack]  # type: ignore[union-attr]
    watched = [model.source_input, model.target_input, *convolutions]
    for linear in watched:
        assert isinstance(linear, torch.nn.Linear)
        linear.register_forward_pre_hook(lambda module, inputs: entered.__setitem__(module, inputs[0]))
    log_probs = model.decode(model.encode(source, mask_BS), target_in_NT)
    assert len(watched) == 6 and all(dropped(entered[linear]) for linear in watched)  # type: ignore[index]
    assert isinstance(log_probs, ProjectedLogProbs) and dropped(log_probs.hidden)


def test_first_weights_keep_the_variance() -> None:
    """A gated convolution of small inputs makes vectors of the inputs' size, with and without dropout."""
    torch.manual_seed(0)
    for dropout in (0.0, 0.5):
        block = EncoderBlock(128, 3, dropout).train()
        small = 0.1 * torch.randn(20, 50, 128)
        out = block.convolution(small)[:, 1:-1]
        assert (out.std() / small.std()).item() == pytest.approx(1.0, abs=0.1)
        assert not block.convolution.linear.bias.any()


def test_it_learns_a_few_pairs() -> None:
    """Below 0.1 nats a piece within 100 updates."""
    torch.manual_seed(0)
    model = build(ConvolutionalOptions(**{**vars(SMALL), "width": 24}), source_size=20, target_size=20)
    source = torch.tensor([[4, 5, 6, 7, EOS], [7, 6, EOS, PAD, PAD], [8, 8, 9, EOS, PAD], [9, 8, 8, EOS, PAD]])
    target_in_NT, target_out_NT = stack_targets(
        [[10, 11, 12, EOS], [12, 11, EOS], [13, 14, 14, 15, EOS], [15, 14, 13, EOS]], source.device
    )
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(100):
        loss = model.decode(model.encode(source, source != PAD), target_in_NT).loss(target_out_NT)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() / int((target_out_NT != PAD).sum()) < 0.1


# --- weight normalisation and what handles weights --------------------------------------------------------------------


@torch.no_grad()
def test_length_and_direction_are_two_parameters() -> None:
    """A row's direction may be as long as it likes; its length scales the row."""
    model = make()
    before = model.source_output.weight.clone()
    parts = dict(model.source_output.named_parameters())
    parts["parametrizations.weight.original1"].mul_(3.0)
    torch.testing.assert_close(model.source_output.weight, before)
    parts["parametrizations.weight.original0"].mul_(3.0)
    torch.testing.assert_close(model.source_output.weight, 3 * before)


@torch.no_grad()
@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_a_model_folder_keeps_it(tmp_path: Path, tie: bool, positions: str) -> None:
    """Saved, loaded, hashed, copied and averaged, it says the same."""
    options = ConvolutionalOptions(**{**vars(SMALL), "tie_source": tie, "tie_output": tie, "positions": positions})
    made = write_folder(tmp_path / "model", options)
    source = torch.tensor([[4, 5, EOS]])
    target_in_NT = torch.tensor([[BOS, 5, 6]])

    def said(model: Any) -> Tensor:
        dense: Tensor = model.decode(model.encode(source, source != PAD), target_in_NT).dense()
        return dense

    loaded = checkpoint.load(tmp_path / "model")
    assert torch.equal(said(loaded.model), said(made))
    weights = checkpoint.unique_weights(made)
    assert loaded.hash == loaded.options.model_hash(tokenizer(), weights)
    copied = copy.deepcopy(made)
    other = trained_model(options, seed=2, shake=0.5).eval()
    mean = average([weights, checkpoint.unique_weights(other)])
    checkpoint.load_weights(copied, mean)
    assert not torch.equal(said(copied), said(made)) and torch.equal(said(loaded.model), said(made))
    checkpoint.load_weights(copied, average([weights, weights]))
    assert torch.equal(said(copied), said(made))
