"""Every variant of the recurrent family: against NumPy, and the contract of the model interface.

A cover in which every two values of different options meet stands for all of them; `slow` goes through all.

Shape key: B sentences, S source positions, W hypotheses a sentence, N = B·W, T target positions, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from support.recurrent_reference import Reference, numpy
from support.searches import beam_search
from support.toys import stack_targets
from torch import Tensor

from nmtkit.decoding.forced import forced_log_probs
from nmtkit.decoding.objective import Objective
from nmtkit.models.build import build, parameters
from nmtkit.models.distribution import ProjectedLogProbs
from nmtkit.models.interface import Model
from nmtkit.models.options import PRESETS, RecurrentOptions, preset
from nmtkit.specials import BOS, EOS, PAD, UNK

LENGTHS = (5, 1, 3, 2)
SENTENCES, WIDTH, STEPS, VOCABULARY = len(LENGTHS), 2, 6, 9
MASK_BS = torch.tensor([[place < length for place in range(max(LENGTHS))] for length in LENGTHS])

CHOICES: dict[str, tuple[Any, ...]] = {
    "cell": ("gru", "lstm", "rnn"),
    "order": ("bahdanau", "luong", "luong-fed", "none"),
    "score": ("additive", "dot", "scaled-dot", "general", "cosine", "bare-cosine", "location", "uniform"),
    "extent": ("global", "local-m", "local-p"),
    "hard": (False, True),
    "normaliser": ("softmax", "sparsemax", "entmax", "sigmoid", "bare-sigmoid"),
    "heads": (1, 2),
    "bidirectional": (True, False),
    "decoder_layers": (1, 2),
}
Values = tuple[Any, ...]


def options_of(values: Values) -> RecurrentOptions:
    """Small sizes with which a state can be compared with an annotation, and a location table shorter than a source."""
    chosen = dict(zip(CHOICES, values, strict=True))
    order, score, normaliser = chosen["order"], chosen["score"], chosen["normaliser"]
    chosen["order"] = order.removesuffix("-fed")
    chosen["score"], chosen["normaliser"] = score.removeprefix("bare-"), normaliser.removeprefix("bare-")
    return RecurrentOptions(
        **chosen,
        input_feeding=order == "luong-fed",
        strength=0.0 if score == "bare-cosine" else 4.0,
        sigmoid_bias=normaliser != "bare-sigmoid",
        embedding=5,
        units=4,
        encoder_units=2 if chosen["bidirectional"] else 4,
        attention=6,
        encoder_layers=2 if chosen["decoder_layers"] == 1 else 1,
        **({} if chosen["extent"] == "global" else {"window": 1}),
        **({"max_positions": 4} if score == "location" else {}),
        dropout=0.0,
        tie_output=False,
    )


def possible(values: Values) -> bool:
    """Whether the options accept it."""
    try:
        options_of(values)
    except ValueError as refusal:
        assert "\n" not in str(refusal)
        return False
    return True


ALL = [values for values in itertools.product(*CHOICES.values()) if possible(values)]


def pairwise_cover(rows: Sequence[Values]) -> list[Values]:
    """Few rows in which every two values meet that meet in any: always the row with most pairs that are new."""
    numbers: dict[Any, int] = {}
    pairs = np.array(
        [
            [numbers.setdefault(pair, len(numbers)) for pair in itertools.combinations([*enumerate(map(str, row))], 2)]
            for row in rows
        ]
    )
    missing, chosen = np.ones(len(numbers), dtype=bool), []
    while missing.any():
        best = int(missing[pairs].sum(1).argmax())
        missing[pairs[best]] = False
        chosen.append(rows[best])
    return chosen


COVER = pairwise_cover(ALL)


def name_of(values: Values) -> str:
    cell, order, score, extent, hard, normaliser, heads, bidirectional, layers = values
    rest = f"{'hard' if hard else 'soft'}-{normaliser}-{heads}-{'both' if bidirectional else 'left'}-{layers}"
    return f"{cell}-{order}-{score}-{extent}-{rest}"


@dataclass(frozen=True)
class Variant:
    """A model of random weights with a padded batch of sources."""

    options: RecurrentOptions
    model: Model
    source: Tensor

    @cached_property
    def memory(self) -> Any:
        return self.model.encode(self.source, MASK_BS)

    def alone(self, sentence: int) -> Any:
        row, length = slice(sentence, sentence + 1), LENGTHS[sentence]
        return self.model.encode(self.source[row, :length], MASK_BS[row, :length])


def make(options: RecurrentOptions, seed: int = 0, spread: float = 0.4) -> Variant:
    torch.manual_seed(seed)
    model = build(options, source_size=VOCABULARY, target_size=VOCABULARY)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    source = torch.randint(4, VOCABULARY, MASK_BS.shape).masked_fill(~MASK_BS, PAD)
    return Variant(options, model.double().eval(), source)


def targets(width: int = WIDTH, length: int = STEPS, seed: int = 0) -> Tensor:
    """Random prefixes (B·W, T), BOS first."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(UNK, VOCABULARY, (SENTENCES * width, length), generator=generator)
    words[:, 0] = BOS
    return words


def close(found: Tensor, expected: Tensor, atol: float = 1e-9) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def step_all(variant: Variant, target_in_NT: Tensor, state: Any = None) -> tuple[Tensor, Any]:
    if state is None:
        start = variant.model.start(variant.memory)
        state = start.select(torch.arange(start.size()).repeat_interleave(target_in_NT.shape[0] // start.size()))
    found = []
    for token_N in target_in_NT.unbind(1):
        log_probs, state = variant.model.step(token_N, state, variant.memory)
        found.append(log_probs.dense())
    return torch.stack(found, dim=1), state


@pytest.fixture(scope="module", params=COVER, ids=name_of)
def variant(request: pytest.FixtureRequest) -> Variant:
    with torch.no_grad():
        made = make(options_of(request.param), COVER.index(request.param))
        assert made.memory.size() == SENTENCES
    return made


# --- the cover --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [len(COVER)], ids=[f"{len(COVER)}-of-{len(ALL)}"])
def test_how_many_variants_there_are(count: int) -> None:
    """Three orders of attention × cells × directions × depths of 303 attentions, and 12 models without."""
    soft, hard = 2 * 7 * 3 * 5, 2 * 7 * 2 * 3  # one head or two: scores × extents × normalisers
    uniform = 3 * 3  # one head, and no normaliser that is sparse
    assert len(ALL) == 3 * 3 * 2 * 2 * (soft + hard + uniform) + 3 * 2 * 2 == 10920
    assert count <= 60


def test_every_two_values_meet() -> None:
    for one, other in itertools.combinations(range(len(CHOICES)), 2):
        assert {(row[one], row[other]) for row in COVER} == {(row[one], row[other]) for row in ALL}


REFUSED: list[tuple[dict[str, Any], list[str], list[dict[str, Any]]]] = [
    ({"input_feeding": True}, ["input_feeding", "order = 'luong'", "'bahdanau'"], [{"order": "luong"}]),
    *(
        ({"order": "none", **change}, ["order = 'none'", "order = 'bahdanau' or 'luong'"],
         [{"encoder_units": 128, "order": "bahdanau"}])
        for change in ({"hard": True}, {"heads": 2}, {"extent": "local-m"}, {"score": "dot"}, {"normaliser": "entmax"})
    ),
    *(
        ({name: value}, [f"{name} = {json.dumps(value)}", f"choose {option} = {said}", f"leave {name} at"],
         [{option: needed, "encoder_units": 128}])
        for name, value, option, needed, said in (
            ("strength", 2.0, "score", "cosine", "'cosine'"),
            ("max_positions", 9, "score", "location", "'location'"),
            ("sigmoid_bias", False, "normaliser", "sigmoid", "'sigmoid'"),
            ("expected_share", 0.0, "hard", True, "true"),
            ("reward_weight", 1.0, "hard", True, "true"),
            ("entropy_weight", 0.5, "hard", True, "true"),
            ("window", 3, "extent", "local-m", "'local-m'"),
        )
    ),
    *(
        ({"score": score}, [f"score = '{score}'", "width 256", "width 512", "encoder_units = 128", "'general'"],
         [{"encoder_units": 128}, {"score": "general"}, {"heads": 4}])
        for score in ("dot", "scaled-dot", "cosine")
    ),
    ({"score": "dot", "units": 6, "encoder_units": 5}, ["encoder_units = 3"], [{"encoder_units": 3}]),
    ({"score": "dot", "units": 5, "bidirectional": True}, ["bidirectional = false"], [{"bidirectional": False}]),
    ({"score": "dot", "units": 5, "encoder_units": 2}, ["units = 4"], [{"units": 4}]),
    ({"score": "dot", "units": 8, "encoder_units": 6, "bidirectional": False}, ["encoder_units = 8"],
     [{"encoder_units": 8}]),
    ({"heads": 3}, ["attention = 256", "heads = 3", "attention = 258"], [{"attention": 258, "encoder_units": 258}]),
    ({"heads": 3, "attention": 6}, ["encoder_units = 256", "encoder_units = 258"], [{"encoder_units": 258}]),
    ({"heads": 4, "score": "uniform"}, ["score = 'uniform'", "heads = 1"], [{"heads": 1}]),
    ({"hard": True, "normaliser": "sigmoid"}, ["hard", "another normaliser than 'sigmoid'"],
     [{"normaliser": "softmax"}]),
    ({"hard": True, "extent": "local-p"}, ["hard", "another extent than 'local-p'"], [{"extent": "local-m"}]),
    *(({"score": "uniform", "normaliser": normaliser}, [f"normaliser = '{normaliser}'", "score = 'uniform'"],
       [{"score": "dot", "encoder_units": 128}, {"normaliser": "softmax"}, {"normaliser": "sigmoid"}])
      for normaliser in ("sparsemax", "entmax")),
    ({"hard": True, "score": "uniform"}, ["hard", "another score than 'uniform'"], [{"score": "location"}]),
    ({"cell": "elman"}, ["cell = 'elman'", "'gru', 'lstm' or 'rnn'"], [{"cell": "rnn"}]),
    ({"order": "Luong"}, ["order = 'Luong'", "'bahdanau', 'luong' or 'none'"], [{"order": "luong"}]),
    ({"score": "concat"}, ["score = 'concat'", "'additive', 'dot'", "'uniform'"], [{"score": "additive"}]),
    ({"extent": "local"}, ["extent = 'local'", "'global', 'local-m' or 'local-p'"], [{"extent": "local-m"}]),
    ({"normaliser": "entmax15"}, ["normaliser = 'entmax15'", "'entmax' or 'sigmoid'"], [{"normaliser": "entmax"}]),
    ({"strength": -1.0}, ["strength = -1.0", "0 (the bare cosine) to 1000"],
     [{"strength": 0.0, "score": "cosine", "encoder_units": 128}]),
    ({"entropy_weight": -0.1}, ["entropy_weight = -0.1", "0 to 100"], [{"entropy_weight": 0.0, "hard": True}]),
    ({"expected_share": 1.5}, ["expected_share = 1.5", "0 (draw always) to 1"],
     [{"expected_share": 1.0, "hard": True}]),
    ({"reward_weight": 2.0}, ["reward_weight = 2.0", "to 1 (unbiased)"], [{"reward_weight": 0.0, "hard": True}]),
    *(({name: 0}, [f"{name} = 0", "from 1 to 65536"], [{name: 1, **rest}])
      for name, rest in (("window", {"extent": "local-m"}), ("max_positions", {"score": "location"}),
                         ("encoder_units", {}))),
]  # fmt: skip


@pytest.mark.parametrize(("change", "parts", "works"), REFUSED, ids=lambda value: str(value)[:60])
def test_refusals(change: dict[str, Any], parts: list[str], works: list[dict[str, Any]]) -> None:
    """One line, which names what would work; and that works."""
    with pytest.raises(ValueError, match=r".") as caught:
        RecurrentOptions(**change)
    message = str(caught.value)
    assert "\n" not in message and all(part in message for part in parts), message
    for fix in works:
        RecurrentOptions(**{**change, **fix})


# --- against NumPy ----------------------------------------------------------------------------------------------------


def test_distributions_and_attention_are_those_of_numpy(variant: Variant) -> None:
    """Of every sentence of the padded batch, decoded at once."""
    reference = Reference(variant.options, variant.model)
    target_in_NT = targets()
    with torch.no_grad():
        dense = variant.model.decode(variant.memory, target_in_NT).dense()
        maps = variant.model.attention(variant.memory, target_in_NT).cross
    for n in range(SENTENCES * WIDTH):
        length = LENGTHS[n // WIDTH]
        source = variant.source[n // WIDTH, :length].tolist()
        expected, weights = reference.decode(source, target_in_NT[n].tolist())
        assert numpy(dense[n, :, UNK:]) == pytest.approx(expected[:, UNK:], abs=1e-9)
        if weights is None:
            assert maps == ()
        else:
            assert numpy(maps[0][n, :, :, :length]) == pytest.approx(weights, abs=1e-9)
            assert not maps[0][n, :, :, length:].any()


# --- the contract -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_decode_is_step_by_step(variant: Variant) -> None:
    target_in_NT = targets()
    expected = variant.model.decode(variant.memory, target_in_NT).dense()
    found, state = step_all(variant, target_in_NT)
    assert found.shape == (SENTENCES * WIDTH, STEPS, VOCABULARY) and state.size() == SENTENCES * WIDTH
    close(found, expected)
    probabilities = found.exp().sum(-1)
    close(probabilities, torch.ones_like(probabilities))
    one = variant.model.decode(variant.memory, target_in_NT[:, :1]).dense()  # a single position
    close(one, expected[:, :1])


@torch.no_grad()
def test_two_children(variant: Variant) -> None:
    """One parent is stepped with two tokens; both children go on undisturbed, and so does the parent."""
    prefix, rests = targets(length=3), [targets(length=4, seed=seed)[:, 1:] for seed in (1, 2)]
    _, parent = step_all(variant, prefix)
    steps = [variant.model.step(rest[:, 0], parent, variant.memory) for rest in rests]
    for (log_probs, child), rest in zip(reversed(steps), reversed(rests), strict=True):
        further, _ = step_all(variant, rest[:, 1:], child)
        expected = variant.model.decode(variant.memory, torch.cat((prefix, rest), dim=1)).dense()[:, 3:]
        close(torch.cat((log_probs.dense().unsqueeze(1), further), dim=1), expected)
    again, _ = variant.model.step(rests[0][:, 0], parent, variant.memory)
    assert torch.equal(again.dense(), steps[0][0].dense())


@torch.no_grad()
def test_select_commutes_with_step(variant: Variant) -> None:
    """Within the sentences, with repeats and another W; and of whole sentences, memory and state together."""
    model, memory = variant.model, variant.memory
    _, state = step_all(variant, targets(length=3))
    token_N = targets(length=2, seed=5)[:, 1]
    here, after = model.step(token_N, state, memory)
    for inside in ([[1, 0], [0, 1], [1, 1], [1, 0]], [[1], [0], [1], [0]], [[0, 1, 1]] * SENTENCES):
        rows = (WIDTH * torch.arange(SENTENCES).unsqueeze(1) + torch.tensor(inside)).flatten()
        there, moved = model.step(token_N[rows], state.select(rows), memory)
        close(there.dense(), here.dense()[rows])
        following = model.step(token_N[rows], moved, memory)[0].dense()
        close(following, model.step(token_N, after, memory)[0].dense()[rows])
    for sentences in ([2], [3, 0, 0, 1]):
        rows_B = torch.tensor(sentences)
        rows = (WIDTH * rows_B.unsqueeze(1) + torch.arange(WIDTH)).flatten()
        there, _ = model.step(token_N[rows], state.select(rows), memory.select(rows_B))
        close(there.dense(), here.dense()[rows])


@torch.no_grad()
def test_padded_batch_is_one_by_one(variant: Variant) -> None:
    """Memory alone, distributions and attention; and what stands in the padding does not matter."""
    target_in_NT = targets()
    together = variant.model.decode(variant.memory, target_in_NT).dense()
    maps = variant.model.attention(variant.memory, target_in_NT).cross
    for sentence, length in enumerate(LENGTHS):
        rows = slice(sentence * WIDTH, (sentence + 1) * WIDTH)
        memory = variant.alone(sentence)
        close(together[rows], variant.model.decode(memory, target_in_NT[rows]).dense())
        for whole, one in zip(maps, variant.model.attention(memory, target_in_NT[rows]).cross, strict=True):
            close(whole[rows, ..., :length], one)
    mask_BS = torch.nn.functional.pad(MASK_BS, (0, 2))
    source = torch.nn.functional.pad(variant.source, (0, 2), value=7).masked_fill(~mask_BS, 7)
    other = variant.model.decode(variant.model.encode(source, mask_BS), target_in_NT).dense()
    close(other, together)


@torch.no_grad()
def test_beam_totals_are_forced_totals(variant: Variant) -> None:
    results = beam_search(variant.model, variant.memory, [5, 3, 4, 2], beam=3, objective=Objective(0.7), n_best=2)
    for sentence, found in enumerate(results):
        memory = variant.memory.select(torch.tensor([sentence]))
        forced = forced_log_probs(variant.model, memory, [one.tokens for one in found])
        assert found
        for one, log_probs in zip(found, forced, strict=True):
            assert one.total == pytest.approx(math.fsum(log_probs), abs=1e-9)


@torch.no_grad()
def test_attention_maps(variant: Variant) -> None:
    """One head a row; exactly nothing on padding, outside windows and beyond the table; hard ones look at one place."""
    options, target_in_NT = variant.options, targets(width=3)
    maps = variant.model.attention(variant.memory, target_in_NT).cross
    if options.order == "none":
        assert maps == ()
        return
    (weights,) = maps
    rows, longest = SENTENCES * 3, max(LENGTHS)
    assert weights.shape == (rows, options.heads, STEPS, longest) and (weights >= 0).all()
    lengths = torch.tensor(LENGTHS).repeat_interleave(3)
    if options.score == "location":
        lengths = lengths.clamp(max=options.max_positions)
    place_S = torch.arange(longest)
    outside = (place_S >= lengths[:, None]).unsqueeze(1).expand(-1, STEPS, -1)
    if options.extent == "local-m":
        centre_NT = torch.minimum(torch.arange(STEPS), lengths[:, None] - 1)
        outside = outside | ((place_S - centre_NT.unsqueeze(2)).abs() > options.window)
    assert not weights[outside.unsqueeze(1).expand_as(weights)].any()
    looked = weights > 0
    assert looked.any(-1).all()
    if options.extent == "local-p":
        first, last = longest - (looked * (longest - place_S)).amax(-1), (looked * (place_S + 1)).amax(-1) - 1
        assert (last - first <= 2 * options.window).all()
        assert options.normaliser == "sigmoid" or (weights.sum(-1) < 1 + 1e-9).all()
    elif options.normaliser != "sigmoid":
        close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    else:
        assert (weights < 1).all() and (weights[~outside.unsqueeze(1).expand_as(weights)] > 0).all()
    if options.hard:
        assert (looked.sum(-1) == 1).all() and (weights[looked] == 1).all()
    prefix = variant.model.attention(variant.memory, target_in_NT[:, :2]).cross[0]
    close(prefix, weights[:, :, :2])


@torch.no_grad()
def test_evaluation_is_deterministic(variant: Variant) -> None:
    """No draws: the state of the generator is as before, and only a plain distribution is returned."""
    before = torch.get_rng_state()
    found = [variant.model.decode(variant.memory, targets()) for _ in range(2)]
    assert torch.equal(found[0].dense(), found[1].dense()) and torch.equal(before, torch.get_rng_state())
    assert all(type(one) is ProjectedLogProbs for one in found)


def test_gradients(variant: Variant) -> None:
    """Of a padded batch: all finite in training, every parameter gets one; soft ones are those of the sentences."""
    model = variant.model
    target_in_NT, target_out_NT = stack_targets([(4, 5, EOS), (6, EOS), (EOS,), (5, 5, 8, 7, EOS)], torch.device("cpu"))

    def nll(memory: Any, rows: slice) -> Tensor:
        return model.decode(memory, target_in_NT[rows]).loss(target_out_NT[rows], 0.1)

    model.zero_grad(set_to_none=True)
    torch.manual_seed(1)
    model.train(variant.options.hard)
    nll(model.encode(variant.source, MASK_BS), slice(None)).backward()
    model.eval()
    batch = {name: parameter.grad for name, parameter in model.named_parameters()}
    for name, gradient in batch.items():
        assert gradient is not None and gradient.isfinite().all(), name
        # what moves all energies of a head alike moves no normalised weight
        assert gradient.any() or name == "decoder.attention.key.bias", name
    if variant.options.hard:
        return
    model.zero_grad(set_to_none=True)
    for sentence in range(SENTENCES):
        nll(variant.alone(sentence), slice(sentence, sentence + 1)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        close(batch[name], parameter.grad)


@pytest.mark.slow
def test_all_variants() -> None:
    """Steps, sentences alone and NumPy, for every combination that the options accept."""
    with torch.no_grad():
        for number, values in enumerate(ALL):
            made = make(options_of(values), number)
            target_in_NT = targets(length=4, seed=number)
            expected = made.model.decode(made.memory, target_in_NT).dense()
            close(step_all(made, target_in_NT)[0], expected)
            for sentence in (0, 2):
                rows = slice(sentence * WIDTH, (sentence + 1) * WIDTH)
                close(made.model.decode(made.alone(sentence), target_in_NT[rows]).dense(), expected[rows])
            source = made.source[2, : LENGTHS[2]].tolist()
            dense, _ = Reference(made.options, made.model).decode(source, target_in_NT[4].tolist())
            assert numpy(expected[4, :, UNK:]) == pytest.approx(dense[:, UNK:], abs=1e-9), name_of(values)
    print(f"{len(ALL)} variants")


# --- models that people use -------------------------------------------------------------------------------------------

LECTURES = ("rnn-no-attention", "bahdanau", "luong-general", "luong-local-p", "xu-hard")


@pytest.mark.parametrize("name", ["default", *LECTURES])
def test_presets(name: str) -> None:
    """At their real sizes, in float32."""
    options = RecurrentOptions() if name == "default" else preset(name)
    assert isinstance(options, RecurrentOptions)
    torch.manual_seed(0)
    made = Variant(options, build(options, source_size=20, target_size=VOCABULARY).eval(), make(options).source)
    with torch.no_grad():
        target_in_NT = targets()
        expected = made.model.decode(made.memory, target_in_NT).dense()
        close(step_all(made, target_in_NT)[0], expected, 1e-5)
        for sentence in range(SENTENCES):
            rows = slice(sentence * WIDTH, (sentence + 1) * WIDTH)
            close(made.model.decode(made.alone(sentence), target_in_NT[rows]).dense(), expected[rows], 1e-5)


def test_presets_are_what_their_names_say() -> None:
    found = {name: PRESETS[name] for name in LECTURES}
    assert all(isinstance(options, RecurrentOptions) for options in found.values())
    facts = [(o.cell, o.order, o.input_feeding, o.score, o.extent, o.hard) for o in found.values()]  # type: ignore[attr-defined]
    assert facts == [
        ("gru", "none", False, "additive", "global", False),
        ("gru", "bahdanau", False, "additive", "global", False),
        ("lstm", "luong", True, "general", "global", False),
        ("lstm", "luong", True, "general", "local-p", False),
        ("lstm", "bahdanau", False, "additive", "global", True),
    ]
    default = dataclasses.replace(preset("bahdanau"), dropout=RecurrentOptions().dropout)
    assert default == RecurrentOptions()


@pytest.mark.parametrize(("joint", "bound"), [(False, 1.25), (True, 1.35)])
def test_presets_are_of_one_size(joint: bool, bound: float) -> None:
    """With vocabularies of 10,000, within a quarter of each other, or a third with one table; so they compare."""
    counts = {}
    for name in LECTURES:
        options = dataclasses.replace(preset(name), tie_source=joint)
        counts[name] = parameters(build(options, source_size=10000, target_size=10000))
    print(counts)
    assert max(counts.values()) < bound * min(counts.values()), counts


TRAINED: dict[str, tuple[dict[str, Any], float]] = {
    "none": ({"order": "none"}, 0.1),
    "bahdanau": ({}, 0.1),
    "bahdanau-sigmoid-heads": ({"cell": "lstm", "heads": 2, "normaliser": "sigmoid"}, 0.1),
    "bahdanau-location-entmax": ({"score": "location", "normaliser": "entmax", "max_positions": 8}, 0.1),
    "luong": ({"order": "luong", "score": "cosine", "encoder_units": 8, "decoder_layers": 2}, 0.1),
    "luong-local-m-sparsemax": (
        {"order": "luong", "score": "dot", "encoder_units": 8, "extent": "local-m", "normaliser": "sparsemax"}, 0.1
    ),
    "luong-fed-local-p": (
        {"cell": "lstm", "order": "luong", "input_feeding": True, "score": "general", "extent": "local-p"}, 0.1
    ),
    "rnn": ({"cell": "rnn", "score": "scaled-dot", "bidirectional": False}, 0.1),
    "hard": ({"hard": True}, 0.3),
    "hard-luong-fed": ({"cell": "lstm", "hard": True, "order": "luong", "input_feeding": True}, 0.3),
}  # fmt: skip


@pytest.mark.parametrize("name", list(TRAINED))
def test_it_learns(name: str) -> None:
    """Four short pairs by heart; its loss in evaluation, so with the heaviest position where attention is hard."""
    change, bound = TRAINED[name]
    torch.manual_seed(3)
    rest: dict[str, Any] = {"embedding": 16, "units": 16, "attention": 16, "dropout": 0.0}
    rest |= {"window": 2} if "extent" in change else {}
    model = build(RecurrentOptions(**{**rest, **change}), source_size=12, target_size=12)
    source = torch.tensor([[4, 5, 6, 3], [7, 8, 3, 0], [9, 10, 11, 3], [8, 3, 0, 0]])
    target_in_NT, target_out_NT = stack_targets(
        [(6, 5, 4, EOS), (8, 7, EOS), (11, 10, 9, EOS), (8, EOS)], torch.device("cpu")
    )

    def loss() -> Tensor:
        return model.decode(model.encode(source, source != PAD), target_in_NT).loss(target_out_NT)

    start = model.eval() and loss().item()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    model.train()
    for _ in range(60):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    model.eval()
    assert loss().item() < bound * start
