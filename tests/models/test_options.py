"""Options: impossible sizes are refused in one line that says what would work; presets and mappings."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import pytest

from nmtkit.models.options import (
    FAMILIES,
    PRESETS,
    ConvolutionalOptions,
    ModelOptions,
    RecurrentOptions,
    TransformerOptions,
    options_from_mapping,
    options_of_folder,
    options_to_mapping,
    preset,
)

SIZES = {
    TransformerOptions: ("width", "feedforward", "heads", "encoder_layers", "decoder_layers"),
    RecurrentOptions: ("embedding", "units", "attention", "encoder_layers", "decoder_layers"),
    ConvolutionalOptions: ("width", "embedding", "encoder_layers", "decoder_layers", "max_positions"),
}


def refusal(family: type[ModelOptions], **options: Any) -> str:
    with pytest.raises(ValueError, match=r"not possible|cannot be split|does nothing") as caught:
        family(**options)
    message = str(caught.value)
    assert message and "\n" not in message
    return message


def most(name: str) -> int:
    """Deeper models than any that was ever trained would only fill the memory."""
    return 256 if name.endswith("layers") else 65536


@pytest.mark.parametrize(("family", "name"), [(family, name) for family, names in SIZES.items() for name in names])
@pytest.mark.parametrize("value", [0, -1, 65537, 10**23])
def test_impossible_sizes(family: type[ModelOptions], name: str, value: int) -> None:
    message = refusal(family, **{name: value})
    assert f"{name} = {value}" in message and f"from 1 to {most(name)}" in message


@pytest.mark.parametrize(
    ("family", "name"),
    [
        (TransformerOptions, "dropout"),
        (TransformerOptions, "attention_dropout"),
        (TransformerOptions, "activation_dropout"),
        (RecurrentOptions, "dropout"),
        (ConvolutionalOptions, "dropout"),
    ],
)
@pytest.mark.parametrize("value", [-0.1, 1.0, 30.0, float("nan"), float("inf")])
def test_impossible_probabilities(family: type[ModelOptions], name: str, value: float) -> None:
    message = refusal(family, **{name: value})
    assert f"{name} = {value}" in message and "from 0 to 0.99" in message


def test_what_a_refusal_recommends_works() -> None:
    for value in (0.0, 0.99):
        TransformerOptions(dropout=value, attention_dropout=value, activation_dropout=value)
        RecurrentOptions(dropout=value)
        ConvolutionalOptions(dropout=value)
    for family, names in SIZES.items():
        for sizes in (dict.fromkeys(names, 1), {name: most(name) for name in names}):
            family(**(sizes | ({"heads": 1} if family is TransformerOptions else {})))


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"norm": "pree"}, ["norm = 'pree'", "'pre' or 'post'"]),
        ({"norm": ""}, ["norm = ''", "'pre' or 'post'"]),
        ({"positions": "sinus"}, ["positions = 'sinus'", "'sinusoidal', 'concatenated', 'learned' or 'none'"]),
        ({"neighbourhood": -1}, ["neighbourhood = -1", "from 0 to 65536", "leave it out"]),
        ({"neighbourhood": 65537}, ["neighbourhood = 65537", "from 0 to 65536"]),
        ({"position_width": 0}, ["position_width = 0", "from 1 to 65536"]),
        ({"max_positions": 0}, ["max_positions = 0", "from 1 to 65536"]),
        ({"positions": "concatenated", "position_width": 256}, ["position_width = 256", "less than width = 256"]),
        ({"position_width": 5}, ["position_width = 5", "'sinusoidal'", "choose positions = 'concatenated'", "at 32"]),
        ({"positions": "none", "max_positions": 5}, ["max_positions = 5", "choose positions = 'learned'", "at 1024"]),
    ],
)
def test_impossible_variants_of_the_transformer(change: dict[str, Any], parts: list[str]) -> None:
    message = refusal(TransformerOptions, **change)
    assert all(part in message for part in parts), message


def test_possible_variants_of_the_transformer() -> None:
    """What the refusals above recommend."""
    for reach in (None, 0, 65536):
        assert TransformerOptions(neighbourhood=reach).neighbourhood == reach
    assert TransformerOptions(positions="concatenated", position_width=255).embedding == 1
    assert TransformerOptions(width=8).embedding == 8
    for norm, positions in itertools.product(("pre", "post"), ("sinusoidal", "concatenated", "learned", "none")):
        options = TransformerOptions(norm=norm, positions=positions, neighbourhood=3)
        assert options_from_mapping(json.loads(json.dumps(options_to_mapping(options))), "x") == options


@pytest.mark.parametrize(
    ("width", "heads", "best"), [(256, 3, (2, 4)), (250, 8, (10,)), (7, 2, (1,)), (6, 100, (6,)), (512, 7, (8,))]
)
def test_width_must_split_into_heads(width: int, heads: int, best: tuple[int, ...]) -> None:
    """The number of heads recommended is one of the nearest divisors, and it works."""
    message = refusal(TransformerOptions, width=width, heads=heads)
    assert f"width = {width}" in message and f"heads = {heads}" in message
    works = [number for number in best if f"heads = {number} would work" in message]
    assert len(works) == 1
    assert TransformerOptions(width=width, heads=works[0]).heads == works[0]


@pytest.mark.parametrize("kernel", [0, -3, 2, 4, 65536, 65537])
def test_impossible_kernels(kernel: int) -> None:
    """An even kernel has no centre; the neighbour that the refusal recommends works."""
    message = refusal(ConvolutionalOptions, kernel=kernel)
    assert f"kernel = {kernel}" in message
    if 0 < kernel <= 65536:
        assert f"for example {kernel - 1}" in message and ConvolutionalOptions(kernel=kernel - 1)
    assert ConvolutionalOptions(kernel=1).kernel == 1


@pytest.mark.parametrize("positions", ["", "sinus", "Learned"])
def test_unknown_positions_of_a_convolutional_model(positions: str) -> None:
    message = refusal(ConvolutionalOptions, positions=positions)
    assert f"positions = {positions!r}" in message and "'learned' or 'sinusoidal'" in message
    assert all(ConvolutionalOptions(positions=known).positions == known for known in ("learned", "sinusoidal"))


def test_options_are_values() -> None:
    options = TransformerOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.width = 3  # type: ignore[misc]
    assert options == TransformerOptions() and options != TransformerOptions(width=512)


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_survive_json(name: str) -> None:
    options = preset(name)
    mapping = json.loads(json.dumps(options_to_mapping(options)))
    families = {"transformer": "transformer", "convs2s": "convolutional"}
    assert mapping["family"] == families.get(name.split("-")[0], "recurrent")
    assert options_from_mapping(mapping, "options.json") == options


@pytest.mark.parametrize("hard", [True, False])
def test_hard_attention_of_an_older_folder_is_what_it_was(hard: bool) -> None:
    """It drew always and had the whole reward; what it says itself stands, and configurations have the defaults."""
    mapping = options_to_mapping(RecurrentOptions(hard=hard))
    older = {key: value for key, value in mapping.items() if key not in ("expected_share", "reward_weight")}
    read = options_of_folder(older, "options.json")
    assert isinstance(read, RecurrentOptions)
    assert (read.expected_share, read.reward_weight) == ((0.0, 1.0) if hard else (0.5, 0.01))
    assert options_of_folder(mapping, "options.json") == options_from_mapping(older, "x") == RecurrentOptions(hard=hard)
    with pytest.raises(ValueError, match="options.json"):
        options_of_folder([], "options.json")  # type: ignore[arg-type]


def test_presets_grow() -> None:
    for first, second in (("rnn-tiny", "rnn-small"), ("rnn-small", "rnn-base")):
        one, other = options_to_mapping(preset(first)), options_to_mapping(preset(second))
        assert all(one[name] <= other[name] for name in SIZES[RecurrentOptions]) and one != other
    widths = [options_to_mapping(preset(f"transformer-{size}"))["width"] for size in ("tiny", "small", "base", "big")]
    assert widths == sorted(set(widths))


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'transformer-base'") as caught:
        preset("transfomer-base")
    assert "transfomer-base" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="unknown preset 'zzz'") as caught:
        preset("zzz")
    assert all(name in str(caught.value) for name in PRESETS)


@pytest.mark.parametrize("mapping", [{"family": "transfomer"}, {"family": 3}, {}])
def test_unknown_family_names_the_known(mapping: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^recipe\.toml: .*family") as caught:
        options_from_mapping(mapping, "recipe.toml")
    message = str(caught.value)
    assert repr(mapping.get("family")) in message and "\n" not in message
    assert "transformer" in message.replace(repr(mapping.get("family")), "")


def test_unknown_option_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"^recipe\.toml: .*'widht'.*'width'") as caught:
        options_from_mapping({"family": "transformer", "widht": 4}, "recipe.toml")
    assert "\n" not in str(caught.value)


def test_options_of_the_other_family_are_unknown() -> None:
    with pytest.raises(ValueError, match=r"^x: .*feedforward"):
        options_from_mapping({"family": "recurrent", "feedforward": 4}, "x")
    with pytest.raises(ValueError, match=r"^x: .*units"):
        options_from_mapping({"family": "transformer", "units": 4}, "x")


@pytest.mark.parametrize(
    ("key", "value"), [("width", "256"), ("width", 2.5), ("width", True), ("dropout", "0.1"), ("tie_output", 1)]
)
def test_wrong_types_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^x: .*{key}") as caught:
        options_from_mapping({"family": "transformer", key: value}, "x")
    assert repr(value) in str(caught.value) and "\n" not in str(caught.value)


def test_impossible_sizes_of_a_file_name_the_file() -> None:
    with pytest.raises(ValueError, match=r"^recipe\.toml: .*heads = [24] would work"):
        options_from_mapping({"family": "transformer", "width": 8, "heads": 3}, "recipe.toml")


def test_reading_leaves_the_mapping_alone() -> None:
    mapping = {"family": "recurrent", "units": 8}
    options = options_from_mapping(mapping, "x")
    assert mapping == {"family": "recurrent", "units": 8}
    assert options == RecurrentOptions(units=8)


@pytest.mark.parametrize(
    ("options", "longest"),
    [
        (TransformerOptions(), None),
        (TransformerOptions(positions="none"), None),
        (TransformerOptions(positions="concatenated"), None),
        (TransformerOptions(positions="learned"), 1024),
        (TransformerOptions(positions="learned", max_positions=7), 7),
        (ConvolutionalOptions(), 1024),
        (ConvolutionalOptions(max_positions=7), 7),
        (ConvolutionalOptions(positions="sinusoidal"), None),
        (RecurrentOptions(), None),
        (RecurrentOptions(score="location", max_positions=7), None),
    ],
    ids=repr,
)
def test_learned_positions_end_somewhere(options: ModelOptions, longest: int | None) -> None:
    assert options.longest == longest and "longest" not in options_to_mapping(options)


def test_families_are_known_by_their_names() -> None:
    assert {name: family.family for name, family in FAMILIES.items()} == {name: name for name in FAMILIES}
