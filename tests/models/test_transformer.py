"""The variants of the Transformer: each against the written formulas in NumPy, what it can see, and what it refuses.

Shape key: B sentences, S source positions, N hypotheses, T target positions, D width, E embedding width, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from support.searches import beam_search
from support.toys import stack_targets
from support.training_toys import corpus
from support.training_toys import model as toy_model
from torch import Tensor

from nmtkit.decoding.objective import Objective
from nmtkit.models.attention import neighbours
from nmtkit.models.build import build, parameters
from nmtkit.models.ensemble import Ensemble
from nmtkit.models.interface import Model
from nmtkit.models.norms import PostNorm
from nmtkit.models.options import TransformerOptions, options_from_mapping, preset
from nmtkit.models.options.transformer import NORMS, POSITIONS
from nmtkit.models.transformer import Transformer
from nmtkit.models.transformer_layers import DecoderLayer, EncoderLayer, LayerSizes

Array = npt.NDArray[np.float64]
Weights = dict[str, Array]

SMALL = TransformerOptions(width=8, feedforward=7, heads=2, encoder_layers=2, decoder_layers=3, dropout=0.0)
SIZES: dict[str, dict[str, Any]] = {"concatenated": {"position_width": 3}, "learned": {"max_positions": 9}}


def small(positions: str, **own: Any) -> TransformerOptions:
    return dataclasses.replace(SMALL, positions=positions, **{**SIZES.get(positions, {}), **own})


VARIANTS = [
    small(positions, norm=norm, neighbourhood=neighbourhood)
    for norm, positions, neighbourhood in itertools.product(NORMS, POSITIONS, (None, 0, 1, 2))
]


def name(options: Any) -> str:
    return f"{options.norm}-{options.positions}-{options.neighbourhood}"


def make(options: TransformerOptions, seed: int = 0, vocabulary: int = 9, shake: float = 0.2) -> Transformer:
    """A float64 model none of whose weights is zero or one."""
    torch.manual_seed(seed)
    model = build(options, source_size=vocabulary, target_size=vocabulary).double().eval()
    assert isinstance(model, Transformer)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(shake * torch.randn_like(parameter))
    return model


def whole(rows: int, length: int) -> Tensor:
    return torch.ones(rows, length, dtype=torch.bool)


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.no_grad():
        yield


# --- the formulas -----------------------------------------------------------------------------------------------------


def linear(x: Array, w: Weights, place: str) -> Array:
    return np.asarray(x @ w[f"{place}.weight"].T + w[f"{place}.bias"])


def layer_norm(x: Array, w: Weights, place: str) -> Array:
    """Ba et al. 2016."""
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(variance + 1e-5) * w[f"{place}.weight"] + w[f"{place}.bias"])


def heads(
    to: Array, of: Array, w: Weights, place: str, number: int, sees: Callable[[int, int], bool]
) -> tuple[Array, Array]:
    """Multi-head attention of `to` over `of`, query by query (Vaswani et al. 2017, 3.2), and the weights (H, T, S)."""
    width = to.shape[1]
    parts = [slice(part * width, (part + 1) * width) for part in range(3)]
    matrix, bias = w[f"{place}.input.weight"], w[f"{place}.input.bias"]
    query, key, value = (x @ matrix[part].T + bias[part] for x, part in zip((to, of, of), parts, strict=True))
    channels = width // number
    mixed, weights = np.zeros_like(to), np.zeros((number, len(to), len(of)))
    for head in range(number):
        own = slice(head * channels, (head + 1) * channels)
        for i in range(len(to)):
            seen = [j for j in range(len(of)) if sees(i, j)]
            energies = np.array([query[i, own] @ key[j, own] / math.sqrt(channels) for j in seen])
            share = np.exp(energies - energies.max())
            weights[head, i, seen] = share / share.sum()
            mixed[i, own] = weights[head, i] @ value[:, own]
    return linear(mixed, w, f"{place}.output"), weights


def sublayer(x: Array, f: Callable[[Array], Array], w: Weights, place: str, norm: str) -> Array:
    """Xiong et al. 2020, figure 1."""
    return x + f(layer_norm(x, w, place)) if norm == "pre" else layer_norm(x + f(x), w, place)


def feedforward(x: Array, w: Weights, place: str) -> Array:
    return linear(np.maximum(0, linear(x, w, f"{place}.inner")), w, f"{place}.outer")


def enter(table: Array, ids: list[int], o: TransformerOptions, learned: Array | None) -> Array:
    """Words and positions as they enter a stack."""
    rows = []
    for position, token in enumerate(ids):
        word = table[token] * math.sqrt(table.shape[1])
        width = o.position_width if o.positions == "concatenated" else o.width
        angles = [position / 10000 ** (2 * (channel // 2) / width) for channel in range(width)]
        waves = np.array([math.cos(a) if channel % 2 else math.sin(a) for channel, a in enumerate(angles)])
        if o.positions == "sinusoidal":
            word = word + waves
        elif o.positions == "concatenated":
            word = np.concatenate((word, waves))
        elif learned is not None:
            word = word + learned[position] * math.sqrt(table.shape[1])
        rows.append(word)
    return np.stack(rows)


@dataclasses.dataclass
class Written:
    """What the formulas say of one sentence."""

    log_probs_TV: Array
    encoder: list[Array]
    decoder: list[Array]
    cross: list[Array]


def formulas(o: TransformerOptions, w: Weights, source: list[int], target_in: list[int]) -> Written:
    reach = math.inf if o.neighbourhood is None else o.neighbourhood
    maps: dict[str, list[Array]] = {"encoder": [], "decoder": [], "cross": []}

    def attend(kind: str, place: str, of: Array | None, sees: Callable[[int, int], bool]) -> Callable[[Array], Array]:
        def f(x: Array) -> Array:
            mixed, weights = heads(x, x if of is None else of, w, place, o.heads, sees)
            maps[kind].append(weights)
            return mixed

        return f

    x = enter(w["front.table.weight"], source, o, w.get("source_positions.table"))
    for at in (f"encoder.{layer}." for layer in range(o.encoder_layers)):
        near = attend("encoder", f"{at}self_attention", None, lambda i, j: abs(i - j) <= reach)
        x = sublayer(x, near, w, f"{at}self_norm", o.norm)
        x = sublayer(x, lambda y, at=at: feedforward(y, w, f"{at}feedforward"), w, f"{at}feedforward_norm", o.norm)
    read = layer_norm(x, w, "encoder_norm") if o.norm == "pre" else x
    x = enter(w["target_embedding.weight"], target_in, o, w.get("target_positions.table"))
    for at in (f"decoder.{layer}." for layer in range(o.decoder_layers)):
        back = attend("decoder", f"{at}self_attention", None, lambda i, j: 0 <= i - j <= reach)
        x = sublayer(x, back, w, f"{at}self_norm", o.norm)
        across = attend("cross", f"{at}cross_attention", read, lambda i, j: True)
        x = sublayer(x, across, w, f"{at}cross_norm", o.norm)
        x = sublayer(x, lambda y, at=at: feedforward(y, w, f"{at}feedforward"), w, f"{at}feedforward_norm", o.norm)
    x = layer_norm(x, w, "decoder_norm") if o.norm == "pre" else x
    x = linear(x, w, "readout") if o.positions == "concatenated" else x
    logits = x @ w["output_weight"][2:].T
    return Written(logits - np.log(np.exp(logits).sum(-1, keepdims=True)), **maps)


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("options", VARIANTS, ids=name)
def test_every_variant_is_the_written_formulas(options: TransformerOptions, tie: bool) -> None:
    """Distributions and all maps, of a sentence beside a shorter one and beside a longer one."""
    options = dataclasses.replace(options, tie_source=tie, tie_output=tie)
    model = make(options)
    w = {place: np.asarray(value.numpy(), dtype=np.float64) for place, value in model.state_dict().items()}
    sources, targets_in = [[5, 7, 4, 8, 6, 3], [4, 8, 3]], [[1, 6, 2, 4, 5], [1, 2, 7, 7, 3]]
    source = torch.tensor([sources[0], [*sources[1], 0, 0, 0]])
    mask, target_in = source != 0, torch.tensor(targets_in)
    memory = model.encode(source, mask)
    found, maps = model.decode(memory, target_in).dense(), model.attention(memory, target_in)
    encoder = model.encoder_attention(source, mask)
    for n in range(2):
        written, size = formulas(options, w, sources[n], targets_in[n]), len(sources[n])
        assert found[n, :, 2:].numpy() == pytest.approx(written.log_probs_TV, abs=1e-9)
        assert np.stack([one[n, :, :size] for one in encoder])[..., :size] == pytest.approx(np.stack(written.encoder))
        assert np.stack([one[n] for one in maps.decoder]) == pytest.approx(np.stack(written.decoder))
        assert np.stack([one[n] for one in maps.cross])[..., :size] == pytest.approx(np.stack(written.cross))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("reach", [None, 0, 1, 2])
def test_an_encoder_layer_alone(norm: str, reach: int | None) -> None:
    torch.manual_seed(2)
    o = TransformerOptions(width=6, feedforward=9, heads=3, norm=norm, encoder_layers=1, neighbourhood=reach)
    layer = make(o).encoder[0]
    assert isinstance(layer, EncoderLayer)
    w = {place: value.numpy() for place, value in layer.state_dict().items()}
    vectors = torch.randn(1, 5, 6, dtype=torch.float64)
    near = neighbours(5, reach, torch.device("cpu"))

    def sees(i: int, j: int) -> bool:
        return reach is None or abs(i - j) <= reach

    x = vectors[0].numpy()
    x = sublayer(x, lambda y: heads(y, y, w, "self_attention", 3, sees)[0], w, "self_norm", norm)
    x = sublayer(x, lambda y: feedforward(y, w, "feedforward"), w, "feedforward_norm", norm)
    assert layer(vectors, near)[0].numpy() == pytest.approx(x, abs=1e-11)


def test_post_norm_layers_are_those_of_pytorch() -> None:
    torch.manual_seed(4)
    ours = DecoderLayer(LayerSizes(8, 12, 4, norm=PostNorm)).double()
    for parameter in ours.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    theirs = torch.nn.TransformerDecoderLayer(8, 4, 12, 0.0, norm_first=False, batch_first=True, dtype=torch.float64)
    for own, other in ((ours.self_attention, theirs.self_attn), (ours.cross_attention, theirs.multihead_attn)):
        other.load_state_dict(
            {
                "in_proj_weight": own.input.weight,
                "in_proj_bias": own.input.bias,
                "out_proj.weight": own.output.weight,
                "out_proj.bias": own.output.bias,
            }
        )
    pairs = [(ours.self_norm, theirs.norm1), (ours.cross_norm, theirs.norm2), (ours.feedforward_norm, theirs.norm3)]
    pairs += [(ours.feedforward.inner, theirs.linear1), (ours.feedforward.outer, theirs.linear2)]  # type: ignore[list-item]
    for own_part, their_part in pairs:
        their_part.load_state_dict(own_part.state_dict())
    source, target = torch.randn(2, 4, 8, dtype=torch.float64), torch.randn(2, 6, 8, dtype=torch.float64)
    found = ours.parallel(target, *ours.cross_attention.prepare(source), None)
    causal = torch.ones(6, 6, dtype=torch.bool).triu(1)
    torch.testing.assert_close(found, theirs(target, source, tgt_mask=causal), atol=1e-11, rtol=0)


# --- what is seen -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reach", [0, 1, 3])
def test_restricted_maps_are_zero_outside(reach: int) -> None:
    """And nowhere else: in a batch with padding, whose columns are zero too, and whose rows are numbers."""
    model = make(dataclasses.replace(SMALL, neighbourhood=reach))
    source, mask = torch.randint(4, 9, (3, 8)), torch.arange(8) < torch.tensor([[8], [1], [3]])
    target_in = torch.cat((torch.ones(6, 1, dtype=torch.long), torch.randint(2, 9, (6, 6))), 1)
    encoder = model.encoder_attention(source, mask)
    apart = torch.arange(8).unsqueeze(1) - torch.arange(8)
    for weights in encoder:
        assert weights.shape == (3, 2, 8, 8) and weights.isfinite().all()
        assert not weights[~mask[:, None, None].expand_as(weights)].any()
        for sentence, length in enumerate((8, 1, 3)):
            own = weights[sentence, :, :length, :length]
            assert ((own != 0) == (apart.abs() <= reach)[:length, :length]).all()
    back = (apart[:7, :7] >= 0) & (apart[:7, :7] <= reach)
    for weights in model.attention(model.encode(source, mask), target_in).decoder:
        assert ((weights != 0) == back).all()


@pytest.mark.parametrize("norm", NORMS)
def test_a_neighbourhood_as_long_as_the_line_changes_nothing(norm: str) -> None:
    """To the last bit from length − 1 on, in every pass; one less does change something."""
    source, target_in = torch.tensor([[5, 7, 4, 8, 6, 3], [4, 8, 3, 0, 0, 0]]), torch.tensor([[1, 6, 2, 4, 5, 7]] * 2)
    results = {}
    for reach in (None, 4, 5, 6, 65536):
        model = make(dataclasses.replace(SMALL, norm=norm, neighbourhood=reach), seed=3)
        memory = model.encode(source, source != 0)
        maps = model.attention(memory, target_in)
        decoded, state = model.decode(memory, target_in).dense()[..., 2:], model.start(memory)
        for token in target_in.unbind(1):
            stepped, state = model.step(token, state, memory)
        encoder = model.encoder_attention(source, source != 0)
        results[reach] = [decoded, stepped.dense()[..., 2:], *memory.keys, *maps.cross, *maps.decoder, *encoder]
    for reach in (5, 6, 65536):
        assert all(torch.equal(one, other) for one, other in zip(results[reach], results[None], strict=True))
    assert all((one - other).abs().max() > 1e-6 for one, other in zip(results[4], results[None], strict=True))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("layers", "reach"), [(1, 1), (2, 1), (3, 1), (2, 2), (3, 0)])
def test_receptive_field(norm: str, layers: int, reach: int) -> None:
    """L layers see L · r words to either side, and the decoder L · r back: no more, and no less."""
    sizes = {"encoder_layers": layers, "decoder_layers": layers, "neighbourhood": reach, "norm": norm}
    model = make(dataclasses.replace(SMALL, **sizes), seed=layers)  # type: ignore[arg-type]
    length, changed = 11, 5
    source = torch.randint(4, 8, (1, length))
    other = source.clone()
    other[0, changed] = 8
    one, two = (model.encode(ids, whole(1, length)) for ids in (source, other))
    moved = (one.values[0] - two.values[0]).abs().amax((0, 1, 3)) > 1e-9
    assert moved.tolist() == [abs(place - changed) <= layers * reach for place in range(length)]
    one_N, two_N = (model.decode(one, ids).dense()[0, :, 2:] for ids in (source, other))
    moved = (one_N - two_N).abs().amax(1) > 1e-9
    assert moved.tolist() == [0 <= place - changed <= layers * reach for place in range(length)]


@pytest.mark.parametrize("reach", [None, 2])
def test_without_positions_a_source_read_backwards_is_the_same(reach: int | None) -> None:
    model = make(dataclasses.replace(SMALL, positions="none", neighbourhood=reach))
    source, target_in = torch.tensor([[5, 7, 4, 8, 6, 3]]), torch.tensor([[1, 6, 2, 4, 5]])
    one, other = (model.decode(model.encode(ids, whole(1, 6)), target_in).dense() for ids in (source, source.flip(1)))
    torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


@pytest.mark.parametrize("reach", [None, 1])
def test_beam_search_of_long_outputs(reach: int | None) -> None:
    """Totals of a beam far beyond what a cache allots at first are those of the parallel pass."""
    model = make(dataclasses.replace(SMALL, neighbourhood=reach), seed=8)
    source = torch.randint(4, 9, (2, 6))
    memory = model.encode(source, whole(2, 6))
    for n, found in enumerate(beam_search(model, memory, [40, 40], beam=4, objective=Objective(1.0), n_best=4)):
        target_in, target = stack_targets([one.tokens for one in found], torch.device("cpu"))
        totals = model.decode(memory.select(torch.tensor([n])), target_in).at(target).sum(1)
        assert [one.total for one in found] == pytest.approx(totals.tolist(), abs=1e-8)


@pytest.mark.parametrize(("length", "reach"), [(5, None), (5, 4), (5, 9), (1, 0), (1, None)])
def test_nothing_is_restricted_where_everything_is_near(length: int, reach: int | None) -> None:
    """So that the fast paths of attention without a square mask are taken."""
    assert neighbours(length, reach, torch.device("cpu")) is None


# --- encoder maps -----------------------------------------------------------------------------------------------------


def test_encoder_maps_of_an_ensemble_are_those_of_its_members() -> None:
    members = [make(SMALL, seed=1), make(dataclasses.replace(SMALL, encoder_layers=1, neighbourhood=1), seed=2)]
    source, mask = torch.tensor([[5, 7, 4], [4, 3, 0]]), torch.tensor([[True] * 3, [True, True, False]])
    found = Ensemble(members).encoder_attention(source, mask)
    expected = [weights for member in members for weights in member.encoder_attention(source, mask)]
    assert len(found) == len(expected) == 3
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


# --- learned positions ------------------------------------------------------------------------------------------------


def test_what_is_longer_than_the_learned_positions_is_refused() -> None:
    """In one line that names the limit and the option; the limit itself is possible, on either side."""
    model = make(small("learned", max_positions=6))
    fitting, longer = torch.full((1, 6), 4), torch.full((1, 7), 4)
    memory = model.encode(fitting, whole(1, 6))
    assert model.decode(memory, fitting).dense().shape == (1, 6, 9)
    state = model.start(memory)
    for token in fitting.unbind(1):
        _, state = model.step(token, state, memory)
    refused: list[Callable[[], Any]] = [
        lambda: model.encode(longer, whole(1, 7)),
        lambda: model.encoder_attention(longer, whole(1, 7)),
        lambda: model.decode(memory, longer),
        lambda: model.attention(memory, longer),
        lambda: model.step(token, state, memory),
    ]
    for attempt in refused:
        with pytest.raises(ValueError, match=r"7 positions.*max_positions = 6") as caught:
            attempt()
        assert "\n" not in str(caught.value) and "sinusoidal" in str(caught.value)


def test_each_side_learns_its_own_positions() -> None:
    model = make(small("learned"))
    source, target_in = model.get_parameter("source_positions.table"), model.get_parameter("target_positions.table")
    assert source is not target_in and source.shape == target_in.shape == (9, 8)


# --- building ---------------------------------------------------------------------------------------------------------


def test_parameter_counts_of_the_variants() -> None:
    """Against the default, whose number test_build.py counts: 9 words, width 8, positions of 3 channels or 9 rows."""
    plain = dataclasses.replace(SMALL, tie_source=False, tie_output=False)
    default = parameters(make(plain))

    def change(**options: Any) -> int:
        return parameters(make(dataclasses.replace(plain, **options))) - default

    assert change(norm="post") == -2 * 2 * 8
    assert change(positions="learned", max_positions=9) == 2 * 9 * 8
    assert change(positions="concatenated", position_width=3) == -3 * 9 * 3 + (8 * 5 + 5)
    assert change(positions="none") == change(neighbourhood=1) == 0


def test_names_of_the_default_weights_are_those_of_earlier_folders() -> None:
    names = {"output_weight", "front.table.weight", "target_embedding.weight"}
    parts = ["self_norm", "feedforward_norm", "self_attention.input", "self_attention.output"]
    parts += ["feedforward.inner", "feedforward.outer"]
    across = ["cross_norm", "cross_attention.input", "cross_attention.output"]
    modules = ["encoder_norm", "decoder_norm", *(f"encoder.{layer}.{part}" for layer in range(2) for part in parts)]
    modules += [f"decoder.{layer}.{part}" for layer in range(3) for part in parts + across]
    names |= {f"{module}.{kind}" for module in modules for kind in ("weight", "bias")}
    assert set(make(SMALL).state_dict()) == names


def test_options_of_earlier_folders_are_the_default_variant() -> None:
    earlier = {"family": "transformer", "width": 128, "feedforward": 256, "heads": 4, "encoder_layers": 4}
    earlier |= {"decoder_layers": 4, "dropout": 0.3, "tie_source": None, "tie_output": True}
    earlier |= {"attention_dropout": 0.0, "activation_dropout": 0.0}
    assert options_from_mapping(earlier, "options.json") == preset("transformer-tiny")


@pytest.mark.parametrize("tie_source", [True, False])
@pytest.mark.parametrize("tie_output", [True, False])
def test_narrower_embeddings_tie_like_others(tie_source: bool, tie_output: bool) -> None:
    """All three tables have what the positions leave of the width."""
    options = small("concatenated", tie_source=tie_source, tie_output=tie_output)
    model = make(options)
    target = model.get_parameter("target_embedding.weight")
    assert target.shape == model.get_parameter("output_weight").shape == (9, 5)
    assert (model.get_parameter("front.table.weight") is target) == tie_source
    assert (model.get_parameter("output_weight") is target) == tie_output


@pytest.mark.parametrize(("encoder", "decoder"), [(1, 4), (4, 1)])
def test_encoder_and_decoder_have_depths_of_their_own(encoder: int, decoder: int) -> None:
    model = make(dataclasses.replace(SMALL, encoder_layers=encoder, decoder_layers=decoder))
    source, target_in = torch.tensor([[5, 7, 3]]), torch.tensor([[1, 6]])
    assert len(model.encoder_attention(source, whole(1, 3))) == encoder
    maps = model.attention(model.encode(source, whole(1, 3)), target_in)
    assert len(maps.decoder) == len(maps.cross) == decoder


# --- training ---------------------------------------------------------------------------------------------------------


def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Six sentences: source, decoder input and output."""
    texts = corpus(6, seed=3)
    targets = [texts.target[index].tolist() for index in range(6)]
    return texts.source.rows(range(6))[0], *stack_targets(targets, torch.device("cpu"))


def overfit(model: Model, updates: int) -> float:
    """The loss a token after Adam on one batch, warmed up."""
    source, target_in, target = batch()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    model.train()
    with torch.enable_grad():
        for update in range(updates):
            optimizer.param_groups[0]["lr"] = 0.01 * min(1.0, (update + 1) / 20)
            loss = model.decode(model.encode(source, source != 0), target_in).loss(target) / (target != 0).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


@pytest.mark.parametrize("options", [one for one in VARIANTS if one.neighbourhood in (None, 2)], ids=name)
def test_every_variant_learns_by_heart(options: TransformerOptions) -> None:
    sizes = {"width": 16, "feedforward": 16, "encoder_layers": 1, "decoder_layers": 1}
    if options.positions == "learned":
        sizes["max_positions"] = 64
    model = toy_model(dataclasses.replace(options, **sizes))  # type: ignore[arg-type]
    assert overfit(model, 100) < 0.1
