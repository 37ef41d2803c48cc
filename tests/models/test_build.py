"""Building: what is tied, how many numbers there are, and that no option is ignored."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmtkit.models.build import average, build, parameters
from nmtkit.models.ensemble import Ensemble
from nmtkit.models.interface import Model
from nmtkit.models.options import ConvolutionalOptions, ModelOptions, RecurrentOptions, TransformerOptions, preset

TRANSFORMER = TransformerOptions(width=8, feedforward=12, heads=2, encoder_layers=2, decoder_layers=1, dropout=0.0)
RECURRENT = RecurrentOptions(embedding=6, units=5, attention=4, dropout=0.0)
CONVOLUTIONAL = ConvolutionalOptions(
    width=6, embedding=5, encoder_layers=2, decoder_layers=2, max_positions=11, dropout=0.0
)
ALL = [TRANSFORMER, RECURRENT, CONVOLUTIONAL]
EACH = pytest.mark.parametrize("options", ALL, ids=lambda options: options.family)

SOURCE = torch.tensor([[4, 6, 3], [5, 3, 0]])
MASK = torch.tensor([[True, True, True], [True, True, False]])
TARGET_IN, TARGET_OUT = torch.tensor([[1, 4, 5], [1, 6, 0]]), torch.tensor([[4, 5, 3], [6, 3, 0]])


def make(options: ModelOptions, *, seed: int = 0, source_size: int = 9, **rest: Any) -> Model:
    torch.manual_seed(seed)
    return build(options, source_size=source_size, target_size=9, **rest)


def dense(model: Model) -> Tensor:
    return model.eval().decode(model.encode(SOURCE, MASK), TARGET_IN).dense()


def linear(inside: int, outside: int, bias: bool = True) -> int:
    return inside * outside + (outside if bias else 0)


def transformer_count(o: TransformerOptions) -> int:
    """Without embeddings: 4 d² and their biases an attention, two layers a feed-forward network, 2 d a norm."""
    attention = 4 * linear(o.width, o.width)
    feedforward = linear(o.width, o.feedforward) + linear(o.feedforward, o.width)
    norm = 2 * o.width
    encoder = o.encoder_layers * (attention + feedforward + 2 * norm)
    return encoder + o.decoder_layers * (2 * attention + feedforward + 3 * norm) + 2 * norm


def gru_count(inside: int, units: int) -> int:
    return 3 * units * (inside + units + 2)


def recurrent_count(o: RecurrentOptions) -> int:
    """Without embeddings: both directions a layer, bridge, score, cell, upper layers, read-out."""
    annotation = 2 * o.units
    encoder = 2 * gru_count(o.embedding, o.units) + (o.encoder_layers - 1) * 2 * gru_count(annotation, o.units)
    bridge = linear(o.units, o.decoder_layers * o.units)
    score = linear(annotation, o.attention) + o.attention + linear(o.units, o.attention)
    cell = linear(o.embedding, 3 * o.units) + linear(annotation, 3 * o.units, bias=False) + linear(o.units, 3 * o.units)
    upper = (o.decoder_layers - 1) * gru_count(o.units, o.units)
    return encoder + bridge + score + cell + upper + linear(o.units + o.embedding + annotation, o.embedding)


def normalised(inside: int, outside: int) -> int:
    """A direction and a length for each row, and the bias."""
    return inside * outside + 2 * outside


def convolutional_count(o: ConvolutionalOptions) -> int:
    """Without word embeddings: two tables of positions, four maps in and out, convolutions, two maps an attention."""
    positions = 2 * o.max_positions * o.embedding
    ends = 2 * (normalised(o.embedding, o.width) + normalised(o.width, o.embedding))
    convolutions = (o.encoder_layers + o.decoder_layers) * normalised(o.kernel * o.width, 2 * o.width)
    attention = o.decoder_layers * (normalised(o.width, o.embedding) + normalised(o.embedding, o.width))
    return positions + ends + convolutions + attention


@pytest.mark.parametrize("tie_output", [True, False])
@pytest.mark.parametrize("tie_source", [True, False])
@pytest.mark.parametrize("deep", [False, True])
def test_parameter_counts(tie_source: bool, tie_output: bool, deep: bool) -> None:
    tables = 1 + (not tie_source) + (not tie_output)
    ties: dict[str, Any] = {"tie_source": tie_source, "tie_output": tie_output}
    layers = {"encoder_layers": 3, "decoder_layers": 2} if deep else {}
    transformer = dataclasses.replace(TRANSFORMER, **ties, **layers)
    assert parameters(make(transformer)) == transformer_count(transformer) + tables * 9 * 8
    recurrent = dataclasses.replace(RECURRENT, **ties, **layers)
    assert parameters(make(recurrent)) == recurrent_count(recurrent) + tables * 9 * 6
    convolutional = dataclasses.replace(CONVOLUTIONAL, **ties, **layers)
    assert parameters(make(convolutional)) == convolutional_count(convolutional) + tables * 9 * 5
    sinusoidal = dataclasses.replace(convolutional, positions="sinusoidal", max_positions=1024)
    assert parameters(make(sinusoidal)) == convolutional_count(convolutional) - 2 * 11 * 5 + tables * 9 * 5


def test_the_convolutional_preset_is_as_large_as_the_smallest_transformer() -> None:
    """With 10,000 pieces; so the two can be compared."""
    tiny, convs2s = (dataclasses.replace(preset(name), tie_source=True) for name in ("transformer-tiny", "convs2s"))
    of_tiny, of_convs2s = (
        parameters(build(options, source_size=10000, target_size=10000)) for options in (tiny, convs2s)
    )
    assert of_convs2s == 2_604_128 and abs(of_convs2s / of_tiny - 1) < 0.01


def test_parameter_count_by_hand() -> None:
    """The smallest Transformer: width 1. Attention 4·2, feed-forward 2 + 2, norms of 2; 5 embeddings of one number."""
    options = TransformerOptions(width=1, feedforward=1, heads=1, encoder_layers=1, decoder_layers=1, tie_source=True)
    model = build(options, source_size=5, target_size=5)
    assert parameters(model) == (8 + 4 + 2 * 2) + (2 * 8 + 4 + 3 * 2) + 2 * 2 + 5


@EACH
def test_parameter_counts_of_features_and_of_two_vocabularies(options: ModelOptions) -> None:
    width = {"transformer": 8, "recurrent": 6, "convolutional": 5}[options.family]
    words = dataclasses.replace(options, tie_source=False)
    rest = parameters(make(words)) - 2 * 9 * width
    assert parameters(make(words, source_size=20)) == rest + 20 * width + 9 * width
    assert parameters(make(words, source_size=20, features=True)) == rest + (20 + 1) * width + 9 * width


@pytest.mark.parametrize("name", ["front.table.weight", "target_embedding.weight", "output_weight"])
@EACH
def test_how_much_words_vary_at_first(options: ModelOptions, name: str) -> None:
    """Rows of norm one, but a quarter a number in the recurrent family, whose gates nothing else would wake."""
    rest: dict[str, Any] = {"width": 36} if options.family == "transformer" else {"embedding": 36}
    model = make(dataclasses.replace(options, **rest, tie_source=False, tie_output=False), source_size=900)
    std = model.get_parameter(name)[4:].std().item()
    assert std == pytest.approx(0.25 if options.family == "recurrent" else 1 / 6, rel=0.2)


@EACH
@pytest.mark.parametrize("tie_source", [True, False])
@pytest.mark.parametrize("tie_output", [True, False])
def test_tying(options: ModelOptions, tie_source: bool, tie_output: bool) -> None:
    """Tied tables are one parameter: a gradient step on one side moves the other."""
    model = make(dataclasses.replace(options, tie_source=tie_source, tie_output=tie_output))
    target = model.get_parameter("target_embedding.weight")
    assert (model.get_parameter("front.table.weight") is target) == tie_source
    assert (model.get_parameter("output_weight") is target) == tie_output
    assert torch.equal(model.get_parameter("output_weight"), target) == tie_output


@EACH
def test_tying_two_vocabularies_is_refused(options: ModelOptions) -> None:
    tied = dataclasses.replace(options, tie_source=True)
    with pytest.raises(ValueError, match=r"tie_source.*joint") as caught:
        make(tied, source_size=10)
    assert "\n" not in str(caught.value)


@EACH
def test_pad_and_bos_are_never_trained_as_outputs(options: ModelOptions) -> None:
    model = make(dataclasses.replace(options, tie_source=False, tie_output=False))
    model.decode(model.encode(SOURCE, MASK), TARGET_IN).loss(TARGET_OUT, 0.1).backward()
    gradient = model.get_parameter("output_weight").grad
    assert gradient is not None and not gradient[:2].any() and gradient[2:].any(dim=1).all()


@EACH
@pytest.mark.parametrize("tie", [True, False])
def test_every_parameter_is_used(options: ModelOptions, tie: bool) -> None:
    """Each gets a finite gradient that is not zero, so nothing is built and left out."""
    layers = {"encoder_layers": 2, "decoder_layers": 3, "tie_source": tie, "tie_output": tie}
    model = make(dataclasses.replace(options, **layers))  # type: ignore[arg-type]
    model.decode(model.encode(SOURCE, MASK), TARGET_IN).loss(TARGET_OUT, 0.1).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@EACH
def test_the_seed_decides_the_weights(options: ModelOptions) -> None:
    assert torch.equal(dense(make(options, seed=4)), dense(make(options, seed=4)))
    assert not torch.equal(dense(make(options, seed=4)), dense(make(options, seed=5)))


CHANGES: list[tuple[ModelOptions, dict[str, Any]]] = [
    *((TRANSFORMER, {name: value}) for name, value in [("width", 16), ("feedforward", 13), ("heads", 4)]),
    *((TRANSFORMER, {name: value}) for name, value in [("encoder_layers", 3), ("decoder_layers", 2)]),
    *((TRANSFORMER, {"positions": value}) for value in ("learned", "none")),
    *((TRANSFORMER, {"positions": "concatenated", "position_width": value}) for value in (2, 3)),
    *((TRANSFORMER, {name: value}) for name, value in [("norm", "post"), ("neighbourhood", 1), ("neighbourhood", 0)]),
    *((RECURRENT, {name: value}) for name, value in [("embedding", 7), ("units", 6), ("attention", 5)]),
    *((RECURRENT, {name: value}) for name, value in [("encoder_layers", 2), ("decoder_layers", 2)]),
    *((CONVOLUTIONAL, {name: value}) for name, value in [("width", 7), ("embedding", 6), ("kernel", 5)]),
    *((CONVOLUTIONAL, {name: value}) for name, value in [("encoder_layers", 3), ("decoder_layers", 3)]),
    (CONVOLUTIONAL, {"positions": "sinusoidal", "max_positions": 1024}),
    *((options, {"tie_source": True}) for options in ALL),
]


@pytest.mark.parametrize(("options", "change"), CHANGES, ids=lambda value: str(getattr(value, "family", value)))
def test_each_size_changes_the_output(options: ModelOptions, change: dict[str, Any]) -> None:
    """With the same weights wherever the shapes agree, the distribution is another one."""
    one, other = make(options), make(dataclasses.replace(options, **change))
    shared, own = one.state_dict(), other.state_dict()
    fitting = {name for name in shared.keys() & own.keys() if shared[name].shape == own[name].shape}
    other.load_state_dict({name: shared[name] for name in fitting}, strict=False)
    assert (dense(one) - dense(other))[..., 2:].abs().max() > 1e-6


DROPOUTS: list[tuple[ModelOptions, str]] = [
    (TRANSFORMER, "dropout"),
    (TRANSFORMER, "attention_dropout"),
    (TRANSFORMER, "activation_dropout"),
    (RECURRENT, "dropout"),
    (CONVOLUTIONAL, "dropout"),
]


@pytest.mark.parametrize(("options", "name"), DROPOUTS, ids=lambda value: str(getattr(value, "family", value)))
def test_each_dropout_changes_training_only(options: ModelOptions, name: str) -> None:
    plain, dropping = make(options), make(dataclasses.replace(options, **{name: 0.5}))  # type: ignore[arg-type]
    dropping.load_state_dict(plain.state_dict())  # dropout may decide how large weights begin
    assert torch.equal(dense(plain), dense(dropping))
    losses = set()
    for model, draws in ((plain, 1), (dropping, 6)):
        model.train()
        for seed in range(3):
            torch.manual_seed(seed)
            found = {model.decode(model.encode(SOURCE, MASK), TARGET_IN).loss(TARGET_OUT).item() for _ in range(6)}
            assert (len(found) == 1) == (draws == 1)
            losses |= found
    assert len(losses) > 10


def test_a_model_knows_how_much_it_can_hold() -> None:
    """An ensemble as much as the least of its members; so do copies."""
    short, seven = make(CONVOLUTIONAL), make(dataclasses.replace(TRANSFORMER, positions="learned", max_positions=7))
    endless, features = make(RECURRENT), make(CONVOLUTIONAL, features=True)
    assert [one.longest for one in (short, seven, endless, features)] == [11, 7, None, 11]
    assert copy.deepcopy(seven).longest == 7
    for members, longest in (([short, endless, seven], 7), ([endless, short], 11), ([endless, endless], None)):
        ensemble = Ensemble(members)
        assert ensemble.longest == longest
        positions = torch.full((1, longest or 40), 4)
        memory = ensemble.encode(positions, torch.ones_like(positions, dtype=torch.bool))
        assert ensemble.decode(memory, positions).dense().shape == (*positions.shape, 9)


def test_shared_parameters_count_once() -> None:
    """By hand, of any module: a map of 3 to 2 with its bias has 8 numbers, however often it stands in a model."""
    linear, other = nn.Linear(3, 2), nn.Linear(2, 2, bias=False)
    assert parameters(linear) == 8
    assert parameters(nn.ModuleList([linear, other, linear])) == 8 + 4
    other.weight = nn.Parameter(torch.zeros(5, 2))
    assert parameters(nn.ModuleList([linear, other])) == 8 + 10
    assert parameters(nn.ModuleList()) == 0


def test_an_ensemble_counts_what_its_members_do_not_share() -> None:
    one, other = make(RECURRENT, seed=1), make(RECURRENT, seed=2)
    assert parameters(Ensemble([one, other])) == 2 * parameters(one)
    assert parameters(Ensemble([one, one])) == parameters(one)
    assert parameters(nn.BatchNorm1d(3)) == 6  # 3 weights, 3 biases; what it only remembers is not trained


def test_average() -> None:
    one, other, third = (make(TRANSFORMER, seed=seed).state_dict() for seed in range(3))
    mean = average([one, other, third])
    assert mean.keys() == one.keys()
    for name, values in mean.items():
        expected = (one[name].double() + other[name].double() + third[name].double()) / 3
        assert values.dtype == one[name].dtype
        torch.testing.assert_close(values.double(), expected, atol=1e-7, rtol=0)
    assert all(torch.equal(average([one])[name], one[name]) for name in one)


def test_an_average_of_models_loads() -> None:
    model = make(RECURRENT)
    model.load_state_dict(average([make(RECURRENT, seed=seed).state_dict() for seed in range(2)]))
    assert dense(model)[..., 2:].isfinite().all()
