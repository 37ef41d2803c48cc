"""The contract of the model interface, for every family, ensemble and kind of source.

Everything that searches, scores or explains relies on these sentences: float64 holds them to 1e-9, float32 to 1e-5 per
token. Shape key: B sentences, S source positions, W hypotheses a sentence, N = B·W, T target positions, V vocabulary.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from support.searches import beam_search
from support.toys import brute_force, ranked
from torch import Tensor

from nmtkit.decoding.forced import forced_log_probs
from nmtkit.decoding.objective import Objective
from nmtkit.models.build import build
from nmtkit.models.distribution import LogProbs, ProjectedLogProbs
from nmtkit.models.ensemble import Ensemble
from nmtkit.models.interface import Model
from nmtkit.models.options import ConvolutionalOptions, ModelOptions, RecurrentOptions, TransformerOptions
from nmtkit.models.options.transformer import NORMS, POSITIONS
from nmtkit.specials import BOS, EOS, PAD, UNK

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
LENGTHS = (5, 1, 2, 3, 1)
"""Source positions of each sentence. As ids: the second is EOS alone, the last one word without EOS."""
SENTENCES = len(LENGTHS)


@dataclass(frozen=True)
class Subject:
    """A model with a padded batch of sources for it."""

    model: Model
    source: Tensor
    mask_BS: Tensor
    vocabulary: int
    dtype: torch.dtype
    ordered: bool = True
    """Whether the model can tell a source from the same read backwards."""

    @functools.cached_property
    def memory(self) -> Any:
        return self.model.encode(self.source, self.mask_BS)

    def alone(self, sentence: int) -> Any:
        """The memory of one sentence encoded without the others and without padding."""
        length = LENGTHS[sentence]
        row = slice(sentence, sentence + 1)
        return self.model.encode(self.source[row, :length], self.mask_BS[row, :length])

    def targets(self, width: int, length: int, seed: int = 0) -> Tensor:
        """Random prefixes (B·W, T), BOS first."""
        generator = torch.Generator().manual_seed(seed)
        words = torch.randint(UNK, self.vocabulary, (SENTENCES * width, length), generator=generator)
        words[:, 0] = BOS
        return words

    def close(self, found: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(found, expected, atol=TOLERANCE[self.dtype], rtol=0)


def single(options: ModelOptions, source_size: int, vocabulary: int, features: bool) -> Model:
    """A model whose every parameter matters: initial zeros and ones are shaken, and outputs are far from uniform."""
    model = build(options, source_size=source_size, target_size=vocabulary, features=features)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    return model.eval()


def transformer(sizes: random.Random) -> TransformerOptions:
    heads = sizes.choice([1, 2, 3])
    return TransformerOptions(
        width=heads * sizes.choice([4, 5, 6]),
        feedforward=sizes.randint(3, 12),
        heads=heads,
        encoder_layers=sizes.randint(1, 3),
        decoder_layers=sizes.randint(1, 3),
        tie_output=sizes.random() < 0.5,
    )


def variant(sizes: random.Random, norm: str, positions: str, neighbourhood: int | None) -> TransformerOptions:
    own: dict[str, Any] = {"norm": norm, "positions": positions, "neighbourhood": neighbourhood}
    if positions == "concatenated":
        own["position_width"] = sizes.choice([1, 2, 3])
    if positions == "learned":
        own["max_positions"] = 40
    return dataclasses.replace(transformer(sizes), **own)


def recurrent(sizes: random.Random, layers: int) -> RecurrentOptions:
    return RecurrentOptions(
        embedding=sizes.randint(3, 9),
        units=sizes.randint(2, 8),
        attention=sizes.randint(2, 7),
        encoder_layers=layers,
        decoder_layers=layers,
        tie_output=sizes.random() < 0.5,
    )


def convolutional(sizes: random.Random, positions: str) -> ConvolutionalOptions:
    own = {"max_positions": 40} if positions == "learned" else {}
    return ConvolutionalOptions(
        width=sizes.randint(3, 9),
        embedding=sizes.randint(3, 9),
        kernel=sizes.choice([3, 5, 7]),
        encoder_layers=sizes.randint(1, 3),
        decoder_layers=sizes.randint(1, 3),
        positions=positions,
        **own,
        tie_output=sizes.random() < 0.5,
    )


def _ensemble(sizes: random.Random, one: Callable[[ModelOptions], Model]) -> Model:
    return Ensemble([one(recurrent(sizes, 1)), one(transformer(sizes)), one(convolutional(sizes, "learned"))]).eval()


def _twice(sizes: random.Random, one: Callable[[ModelOptions], Model]) -> Model:
    member = one(transformer(sizes))
    return Ensemble([member, member]).eval()


MODELS: dict[str, Callable[[random.Random, Callable[[ModelOptions], Model]], Model]] = {
    "recurrent-1": lambda sizes, one: one(recurrent(sizes, 1)),
    "recurrent-2": lambda sizes, one: one(recurrent(sizes, 2)),
    "transformer": lambda sizes, one: one(transformer(sizes)),
    "convolutional": lambda sizes, one: one(convolutional(sizes, "learned")),
    "convolutional-sinusoidal": lambda sizes, one: one(convolutional(sizes, "sinusoidal")),
    "ensemble": _ensemble,
    "twice": _twice,
}


def _variant(norm: str, positions: str, neighbourhood: int | None) -> Callable[..., Model]:
    return lambda sizes, one: one(variant(sizes, norm, positions, neighbourhood))


VARIANTS = {
    f"{norm}-{positions}-{neighbourhood}": _variant(norm, positions, neighbourhood)
    for norm, positions, neighbourhood in itertools.product(NORMS, POSITIONS, (None, 2))
}
"""Every Transformer; two positions back are what the tests below need to see."""
PAIRWISE = "post-sinusoidal-2 post-concatenated-None pre-concatenated-2 pre-learned-None post-learned-2 post-none-None"
PAIRWISE = (*PAIRWISE.split(), "pre-none-2")
"""With the default, every two values of different options meet in one of these."""


def make(name: str, features: bool, dtype: torch.dtype, seed: int, vocabulary: int | None = None) -> Subject:
    sizes = random.Random(f"{name} {seed}")
    torch.manual_seed(sizes.randrange(2**31))
    vocabulary = vocabulary or sizes.randint(6, 11)
    source_size = sizes.randint(3, 5) if features else sizes.randint(7, 12)
    by_name = MODELS | VARIANTS
    model = by_name[name](sizes, lambda options: single(options, source_size, vocabulary, features)).to(dtype)
    mask_BS = torch.tensor([[position < length for position in range(max(LENGTHS))] for length in LENGTHS])
    if features:
        source = torch.randn(*mask_BS.shape, source_size, dtype=dtype) * mask_BS.unsqueeze(2)
    else:
        source = torch.randint(4, source_size, mask_BS.shape)
        for sentence, length in enumerate(LENGTHS[:-1]):
            source[sentence, length - 1] = EOS
        source = source.masked_fill(~mask_BS, PAD)
    return Subject(model, source, mask_BS, vocabulary, dtype, ordered="-none-" not in name)


CASES = [
    *itertools.product(MODELS, (False, True), (torch.float64,), (0, 1)),
    *itertools.product(MODELS, (False, True), (torch.float32,), (0,)),
    *itertools.product(PAIRWISE, (False, True), (torch.float64,), (0,)),
    *itertools.product(PAIRWISE, (False,), (torch.float32,), (0,)),
]
FULL = [
    pytest.param(case, marks=pytest.mark.slow)
    for case in itertools.product(VARIANTS, (False, True), (torch.float64,), (0, 1, 2))
    if case not in CASES
]
"""In float64 alone: what float32 loses in a random model of four channels says nothing of a variant."""


@pytest.fixture(
    scope="module",
    params=[*CASES, *FULL],
    ids=lambda case: f"{case[0]}-{'features' if case[1] else 'ids'}-{str(case[2])[6:]}-{case[3]}",
)
def subject(request: pytest.FixtureRequest) -> Subject:
    return make(*request.param)


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.no_grad():
        yield


def step_all(subject: Subject, memory: Any, target_in_NT: Tensor, state: Any = None) -> tuple[Tensor, Any]:
    """The distributions (N, T, V) by steps, and the last state."""
    if state is None:
        state = widen(subject.model.start(memory), target_in_NT.shape[0] // memory.size())
    found = []
    for token_N in target_in_NT.unbind(1):
        log_probs, state = subject.model.step(token_N, state, memory)
        found.append(log_probs.dense())
    return torch.stack(found, dim=1), state


def widen(state: Any, width: int) -> Any:
    """W hypotheses of each sentence, next to each other."""
    return state.select(torch.arange(state.size()).repeat_interleave(width))


def sentence_rows(width: int, sentence: int) -> slice:
    return slice(sentence * width, (sentence + 1) * width)


# --- decode, step, select ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "length"), [(1, 4), (3, 6), (2, 37)])
def test_decode_is_step_by_step(subject: Subject, width: int, length: int) -> None:
    """Also far beyond what a cache allots at first."""
    target_in_NT = subject.targets(width, length)
    expected = subject.model.decode(subject.memory, target_in_NT).dense()
    found, state = step_all(subject, subject.memory, target_in_NT)
    assert found.shape == (SENTENCES * width, length, subject.vocabulary) and state.size() == SENTENCES * width
    subject.close(found, expected)


@pytest.mark.parametrize("length", [3, 16, 17])
def test_two_children(subject: Subject, length: int) -> None:
    """One parent is stepped with token a, then with token b; both children, and theirs in turn, say what `decode` says.

    The parent ends before, at and behind a place where a cache grows.
    """
    model, memory = subject.model, subject.memory
    prefix = subject.targets(2, length)
    _, parent = step_all(subject, memory, prefix)
    tokens = [subject.targets(2, 5, seed)[:, 1:] for seed in (1, 2, 3)]
    first, children = [], []
    for rest in tokens:  # all children of the one parent before any grandchild
        log_probs, child = model.step(rest[:, 0], parent, memory)
        first.append(log_probs.dense())
        children.append(child)
    for index in (1, 0, 2):
        whole = torch.cat((prefix, tokens[index]), dim=1)
        expected = model.decode(memory, whole).dense()[:, length:]
        further, _ = step_all(subject, memory, tokens[index][:, 1:], children[index])
        subject.close(torch.cat((first[index].unsqueeze(1), further), dim=1), expected)
    again, _ = model.step(tokens[0][:, 0], parent, memory)  # and the parent has forgotten nothing
    subject.close(again.dense(), first[0])  # to the last bit only where a copied cache lies in memory as the first did


def test_two_children_after_select(subject: Subject) -> None:
    """The same when branches are made by `select`, as a beam does, with the parent used again afterwards."""
    model, memory = subject.model, subject.memory
    prefix = subject.targets(2, 3)
    _, parent = step_all(subject, memory, prefix)
    swap = torch.arange(2 * SENTENCES).view(SENTENCES, 2).flip(1).flatten()
    onto_second = torch.arange(2 * SENTENCES).view(SENTENCES, 2)[:, 1:].expand(-1, 2).flatten()
    rests = [subject.targets(2, 5, seed)[:, 1:] for seed in (1, 2, 3, 4)]
    everyone = torch.arange(2 * SENTENCES)
    for rest, rows in zip(rests, (swap, onto_second, swap, everyone), strict=True):
        moved = parent.select(rows) if rows is not everyone else parent
        whole = torch.cat((prefix[rows], rest), dim=1)
        found, _ = step_all(subject, memory, rest, moved)
        subject.close(found, model.decode(memory, whole).dense()[:, 3:])


def test_select_commutes_with_step(subject: Subject) -> None:
    """Any reordering within the sentences, with repeats and with another W."""
    model, memory = subject.model, subject.memory
    prefix, token_N = subject.targets(3, 4), subject.targets(3, 2)[:, 1]
    _, state = step_all(subject, memory, prefix)
    generator = torch.Generator().manual_seed(0)
    for width in (3, 1, 5):
        inside = torch.randint(0, 3, (SENTENCES, width), generator=generator)
        rows = (3 * torch.arange(SENTENCES).unsqueeze(1) + inside).flatten()
        one, after_one = model.step(token_N, state, memory)
        other, after_other = model.step(token_N[rows], state.select(rows), memory)
        subject.close(other.dense(), one.dense()[rows])
        next_one, _ = model.step(token_N, after_one, memory)
        next_other, _ = model.step(token_N[rows], after_other, memory)
        subject.close(next_other.dense(), next_one.dense()[rows])


@pytest.mark.parametrize("sentences", [[2], [4, 0], [3, 1, 2, 4, 0], [1, 1, 3]])
def test_memory_select(subject: Subject, sentences: list[int]) -> None:
    """Sentences dropped, reordered and repeated: memory and state move, the distributions stay."""
    rows_B = torch.tensor(sentences)
    rows_N = (2 * rows_B.unsqueeze(1) + torch.arange(2)).flatten()
    target_in_NT = subject.targets(2, 5)
    expected = subject.model.decode(subject.memory, target_in_NT).dense()[rows_N]
    memory = subject.memory.select(rows_B)
    assert memory.size() == len(sentences)
    subject.close(subject.model.decode(memory, target_in_NT[rows_N]).dense(), expected)
    subject.close(step_all(subject, memory, target_in_NT[rows_N])[0], expected)
    _, state = step_all(subject, subject.memory, target_in_NT[:, :3])
    later, _ = step_all(subject, memory, target_in_NT[rows_N, 3:], state.select(rows_N))
    subject.close(later, expected[:, 3:])


def test_memory_and_state_keep_one_row_each(subject: Subject) -> None:
    assert subject.memory.size() == SENTENCES
    assert subject.model.start(subject.memory).size() == SENTENCES


# --- batches ----------------------------------------------------------------------------------------------------------


def test_padded_batch_is_one_by_one(subject: Subject) -> None:
    """One-token sources and a source of EOS alone among them."""
    target_in_NT = subject.targets(2, 4)
    decoded = subject.model.decode(subject.memory, target_in_NT).dense()
    stepped, _ = step_all(subject, subject.memory, target_in_NT)
    for sentence in range(SENTENCES):
        rows = sentence_rows(2, sentence)
        memory = subject.alone(sentence)
        expected = subject.model.decode(memory, target_in_NT[rows]).dense()
        subject.close(decoded[rows], expected)
        subject.close(stepped[rows], expected)


def test_what_stands_in_the_padding_does_not_matter(subject: Subject) -> None:
    """Nor how much of it there is."""
    extra = 3
    mask_BS = torch.nn.functional.pad(subject.mask_BS, (0, extra))
    shape = (SENTENCES, mask_BS.shape[1], *subject.source.shape[2:])
    ids = not subject.dtype.is_floating_point or subject.source.dtype == torch.int64
    garbage = torch.full(shape, 5) if ids else 9 * torch.randn(shape, dtype=subject.dtype)
    source = torch.cat((subject.source, garbage[:, -extra:]), dim=1)
    source = torch.where(mask_BS.view(*mask_BS.shape, *[1] * (source.dim() - 2)), source, garbage)
    target_in_NT = subject.targets(1, 4)
    expected = subject.model.decode(subject.memory, target_in_NT).dense()
    subject.close(subject.model.decode(subject.model.encode(source, mask_BS), target_in_NT).dense(), expected)


def test_hypotheses_of_a_sentence_are_independent(subject: Subject) -> None:
    """W = 4 at once say what each says alone: hypothesis n reads sentence n // W."""
    target_in_NT = subject.targets(4, 5)
    together = subject.model.decode(subject.memory, target_in_NT).dense().unflatten(0, (SENTENCES, 4))
    for number in range(4):
        alone = subject.model.decode(subject.memory, target_in_NT[number::4]).dense()
        subject.close(together[:, number], alone)


def test_beam_search_of_a_batch_is_one_by_one(subject: Subject) -> None:
    """Outputs and totals, sentences of different limits leaving at different times."""
    limits = [7, 3, 1, 5, 4]
    batch = beam_search(subject.model, subject.memory, limits, beam=4, objective=Objective(0.7), n_best=3)
    for sentence, limit in enumerate(limits):
        (alone,) = beam_search(
            subject.model, subject.alone(sentence), [limit], beam=4, objective=Objective(0.7), n_best=3
        )
        assert [one.tokens for one in batch[sentence]] == [one.tokens for one in alone]
        totals = [one.total for one in alone]
        assert [one.total for one in batch[sentence]] == pytest.approx(totals, abs=limit * TOLERANCE[subject.dtype])


def test_beam_totals_are_forced_totals(subject: Subject) -> None:
    limits = [9, 4, 6, 8, 2]
    results = beam_search(subject.model, subject.memory, limits, beam=5, objective=Objective(0.7), n_best=5)
    for sentence, found in enumerate(results):
        memory = subject.memory.select(torch.tensor([sentence]))
        forced = forced_log_probs(subject.model, memory, [one.tokens for one in found])
        assert found
        for one, log_probs in zip(found, forced, strict=True):
            tolerance = TOLERANCE[subject.dtype] * len(one.tokens)
            assert one.total == pytest.approx(math.fsum(log_probs), abs=tolerance)
            assert one.score == pytest.approx(math.fsum(log_probs) / len(one.tokens) ** 0.7, abs=tolerance)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
@pytest.mark.parametrize(("name", "features"), list(itertools.product([*MODELS, *PAIRWISE], (False, True))))
def test_wide_beam_is_brute_force(name: str, features: bool, alpha: float) -> None:
    """Three symbols can be produced (UNK, EOS and one word): all 15 outputs of up to 4 tokens, in order."""
    subject = make(name, features, torch.float64, seed=2, vocabulary=5)
    objective, limits = Objective(alpha), [4] * SENTENCES
    results = beam_search(subject.model, subject.memory, limits, beam=24, objective=objective, n_best=15)
    for sentence, found in enumerate(results):
        expected = ranked(brute_force(subject.model, subject.alone(sentence), 4), alpha)
        assert len(expected) == 15
        assert [one.tokens for one in found] == [tokens for tokens, _, _ in expected]
        assert [one.total for one in found] == pytest.approx([total for _, total, _ in expected], abs=1e-8)


# --- distributions ----------------------------------------------------------------------------------------------------


def distribution(log_probs: LogProbs) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.exp(log_probs.dense().double().numpy())


def test_probabilities_sum_to_one_over_the_support(subject: Subject) -> None:
    target_in_NT = subject.targets(2, 5)
    decoded = subject.model.decode(subject.memory, target_in_NT)
    stepped, _ = subject.model.step(target_in_NT[:, 0], widen(subject.model.start(subject.memory), 2), subject.memory)
    for log_probs in (decoded, stepped):
        probabilities = distribution(log_probs)
        assert np.abs(probabilities.sum(-1) - 1).max() < 10 * TOLERANCE[subject.dtype]
        assert (probabilities[..., [PAD, BOS]] == 0).all()
        assert (probabilities[..., UNK:] > 0).all()
        assert log_probs.dense().dtype == subject.dtype


def assert_speaks_of_one_distribution(
    log_probs: LogProbs, dense: Tensor, close: Callable[[Tensor, Tensor], None]
) -> None:
    """`top`, `at`, `dense` and `loss` against `dense`, which NumPy or another computation gave, (N, T, V)."""
    vocabulary = dense.shape[-1]
    close(log_probs.dense(), dense)
    for k in (1, 3, vocabulary - 2, vocabulary + 5):
        values, ids = log_probs.top(k)
        assert values.shape == ids.shape == (*dense.shape[:-1], min(k, vocabulary - 2))
        assert (values.diff(dim=-1) <= 0).all() and (ids >= UNK).all() and ids.dtype == torch.int64
        close(values, dense.sort(dim=-1, descending=True).values[..., : values.shape[-1]].to(values.dtype))
        close(values, dense.gather(-1, ids).to(values.dtype))
        assert all(len(set(row)) == len(row) for row in ids.flatten(0, -2).tolist())
    generator = torch.Generator().manual_seed(3)
    target_NT = torch.randint(UNK, vocabulary, dense.shape[:-1], generator=generator)
    target_NT[0, 1:], target_NT[-1, -1] = PAD, PAD
    wanted = target_NT != PAD
    picked = dense.gather(-1, target_NT.unsqueeze(-1)).squeeze(-1)
    at = log_probs.at(target_NT)
    close(at, torch.where(wanted, picked, 0.0).to(at.dtype))
    assert not at[~wanted].any()
    for smoothing in (0.0, 0.1, 1.0):
        expected = -((1 - smoothing) * picked[wanted].sum() + smoothing * dense[..., UNK:].mean(-1)[wanted].sum())
        loss = log_probs.loss(target_NT, smoothing)
        close(loss / wanted.sum(), (expected / wanted.sum()).to(loss.dtype))
        places_M = torch.tensor([place for place, want in enumerate(wanted.flatten().tolist()) if want])
        assert torch.equal(log_probs.loss(target_NT, smoothing, places_M), loss)
    nothing = torch.full_like(target_NT, PAD)
    assert log_probs.loss(nothing, 0.1) == 0 and not log_probs.at(nothing).any()


def test_top_at_dense_and_loss_agree(subject: Subject) -> None:
    log_probs = subject.model.decode(subject.memory, subject.targets(2, 4))
    assert_speaks_of_one_distribution(log_probs, log_probs.dense(), subject.close)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("vocabulary", [5, 40])
def test_projected_distribution_is_that_of_numpy(dtype: torch.dtype, vocabulary: int) -> None:
    """softmax over the rows from UNK on, in float64; at last with more positions than are held at one time."""
    generator = torch.Generator().manual_seed(vocabulary)
    for rows in (3, 700):
        hidden = torch.randn(rows, 2, 6, generator=generator, dtype=dtype)
        weight = torch.randn(vocabulary, 6, generator=generator, dtype=dtype)
        logits = hidden.double().numpy() @ weight.double().numpy()[2:].T
        log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        impossible = np.full((*logits.shape[:-1], 2), -np.inf)
        expected = torch.from_numpy(np.concatenate((impossible, log_probs), axis=-1))

        def close(one: Tensor, other: Tensor) -> None:
            torch.testing.assert_close(one.double(), other.double(), atol=TOLERANCE[dtype], rtol=0)

        assert_speaks_of_one_distribution(ProjectedLogProbs(hidden, weight), expected, close)


def test_bos_and_pad_have_no_probability_when_asked(subject: Subject) -> None:
    """`at` says −∞ for BOS; PAD stands for "nobody asks" and gets 0."""
    log_probs = subject.model.decode(subject.memory, subject.targets(1, 2))
    found = log_probs.at(torch.tensor([[BOS, PAD]] * SENTENCES))
    assert found.tolist() == [[-math.inf, 0.0]] * SENTENCES


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_log_probabilities_are_at_least_float32(dtype: torch.dtype) -> None:
    """Half-precision states make logits of their own precision, but the softmax is float32 and sums to one."""
    torch.manual_seed(0)
    log_probs = ProjectedLogProbs(torch.randn(3, 2, 8).to(dtype), torch.randn(30, 8).to(dtype))
    ids = torch.tensor([[4, 5], [6, PAD], [7, EOS]])
    assert log_probs.dense().dtype == log_probs.at(ids).dtype == log_probs.top(2)[0].dtype == torch.float32
    torch.testing.assert_close(log_probs.dense().exp().sum(-1), torch.ones(3, 2), atol=1e-5, rtol=0)


# --- ensembles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("name", ["recurrent-1", "recurrent-2", "transformer", "convolutional"])
def test_an_ensemble_of_one_model_twice_is_the_model(name: str, features: bool, dtype: torch.dtype) -> None:
    subject = make(name, features, dtype, seed=3)
    target_in_NT = subject.targets(2, 5)
    expected = subject.model.decode(subject.memory, target_in_NT).dense()
    for members in (1, 2, 3):
        ensemble = dataclasses.replace(subject, model=Ensemble([subject.model] * members))
        subject.close(ensemble.model.decode(ensemble.memory, target_in_NT).dense(), expected)
        subject.close(step_all(ensemble, ensemble.memory, target_in_NT)[0], expected)
        found, alone = (
            beam_search(one.model, one.memory, [6] * SENTENCES, beam=3, objective=Objective(), n_best=3)
            for one in (ensemble, subject)
        )
        assert [[one.tokens for one in row] for row in found] == [[one.tokens for one in row] for row in alone]


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("features", [False, True])
def test_an_ensemble_is_the_mean_of_probabilities(features: bool, dtype: torch.dtype) -> None:
    """Not of log-probabilities; by NumPy in float64."""
    subject = make("ensemble", features, dtype, seed=4)
    assert isinstance(subject.model, Ensemble)
    target_in_NT = subject.targets(2, 4)
    parts = []
    for member in subject.model.members:
        assert isinstance(member, Model)
        memory = member.encode(subject.source, subject.mask_BS)
        parts.append(distribution(member.decode(memory, target_in_NT)))
    assert np.abs(parts[0] - parts[1]).max() > 0.05  # models that differ
    with np.errstate(divide="ignore"):
        expected = torch.from_numpy(np.log(sum(parts) / len(parts)))
    subject.close(subject.model.decode(subject.memory, target_in_NT).dense().double(), expected)


# --- what a distribution depends on -----------------------------------------------------------------------------------


def test_a_distribution_depends_on_the_past_and_on_the_source_only(subject: Subject) -> None:
    model, memory = subject.model, subject.memory
    target_in_NT = subject.targets(1, 6)
    before = model.decode(memory, target_in_NT).dense()
    changed = target_in_NT.clone()
    changed[:, 3] = torch.where(changed[:, 3] == UNK, EOS, UNK)
    after = model.decode(memory, changed).dense()
    subject.close(after[:, :3], before[:, :3])
    gap = (after - before)[..., UNK:].abs().amax(-1)
    assert (gap[:, 3:] > 10 * TOLERANCE[subject.dtype]).all()
    other_source = model.decode(memory.select(torch.tensor([3, 2, 0, 1, 2])), target_in_NT).dense()
    assert ((other_source - before)[..., UNK:].abs().amax(-1) > 10 * TOLERANCE[subject.dtype]).all()


def test_the_order_of_the_source_matters(subject: Subject) -> None:
    """Except to a model without positions: what is near stays near when a source is read backwards."""
    flipped = subject.source[:1].flip(1)
    row = torch.ones(1, max(LENGTHS), dtype=torch.bool)
    target_in_NT = subject.targets(1, 4)[:1]
    one, other = (
        subject.model.decode(subject.model.encode(source, row), target_in_NT).dense()[..., UNK:]
        for source in (subject.source[:1], flipped)
    )
    if subject.ordered:
        assert (one - other).abs().max() > 10 * TOLERANCE[subject.dtype]
    else:
        subject.close(one, other)


LONG = ["recurrent-2", "transformer", "convolutional-sinusoidal"]


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("name", [*LONG, "post-sinusoidal-2", "pre-concatenated-2"])
def test_outputs_and_sources_longer_than_any_table(name: str, features: bool, dtype: torch.dtype) -> None:
    """300 target and 270 source positions; a short sentence says the same before and after, and beside the long one."""
    subject = make(name, features, dtype, seed=5)
    target_in_NT = subject.targets(1, 300)[:1]
    before = subject.model.decode(subject.alone(0), target_in_NT[:, :20]).dense()
    stepped, _ = step_all(subject, subject.alone(0), target_in_NT)
    decoded = subject.model.decode(subject.alone(0), target_in_NT).dense()
    subject.close(stepped, decoded)
    subject.close(before, decoded[:, :20])
    length, short = 270, LENGTHS[0]
    source = torch.cat([subject.source[:1]] * (length // short), dim=1)
    padded = torch.cat((subject.source[:1], torch.zeros_like(source[:, short:])), dim=1)
    mask_BS = torch.arange(length) < torch.tensor([[length], [short]])
    memory = subject.model.encode(torch.cat((source, padded)), mask_BS)
    both = subject.model.decode(memory, target_in_NT[:, :20].expand(2, -1)).dense()
    subject.close(both[1:], before)


# --- attention --------------------------------------------------------------------------------------------------------


def test_attention_maps(subject: Subject) -> None:
    """Rows sum to one, padding and what lies ahead get exactly nothing, and sentence n // W is read."""
    width, length = 3, 5
    target_in_NT = subject.targets(width, length)
    maps = subject.model.attention(subject.memory, target_in_NT)
    assert maps.cross
    rows, source_length = SENTENCES * width, max(LENGTHS)
    mask_N11S = subject.mask_BS.repeat_interleave(width, dim=0)[:, None, None]
    for weights in maps.cross:
        assert weights.dim() == 4 and (*weights.shape[:1], *weights.shape[2:]) == (rows, length, source_length)
        subject.close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        assert (weights >= 0).all() and not weights[~mask_N11S.expand_as(weights)].any()
    ahead = torch.ones(length, length, dtype=torch.bool).triu(1)
    for weights in maps.decoder:
        assert (*weights.shape[:1], *weights.shape[2:]) == (rows, length, length)
        subject.close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        assert (weights >= 0).all() and not weights[..., ahead].any()
    for sentence in range(SENTENCES):
        chosen = sentence_rows(width, sentence)
        alone = subject.model.attention(subject.alone(sentence), target_in_NT[chosen])
        for together, one in zip(maps.cross, alone.cross, strict=True):
            subject.close(together[chosen, ..., : LENGTHS[sentence]], one)
        for together, one in zip(maps.decoder, alone.decoder, strict=True):
            subject.close(together[chosen], one)


def test_encoder_attention_maps(subject: Subject) -> None:
    """Rows sum to one, padding gets exactly nothing, and a sentence has the same maps alone."""
    maps = subject.model.encoder_attention(subject.source, subject.mask_BS)
    mask_B11S, longest = subject.mask_BS[:, None, None], max(LENGTHS)
    for weights in maps:
        assert weights.dim() == 4 and (*weights.shape[:1], *weights.shape[2:]) == (SENTENCES, longest, longest)
        subject.close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        assert (weights >= 0).all() and not weights[~mask_B11S.expand_as(weights)].any()
    for sentence, length in enumerate(LENGTHS):
        row = slice(sentence, sentence + 1)
        alone = subject.model.encoder_attention(subject.source[row, :length], subject.mask_BS[row, :length])
        for together, one in zip(maps, alone, strict=True):
            subject.close(together[row, :, :length, :length], one)


def test_attention_looks_back_only(subject: Subject) -> None:
    """The map of a prefix is the beginning of the map of the whole."""
    target_in_NT = subject.targets(2, 5)
    whole = subject.model.attention(subject.memory, target_in_NT)
    prefix = subject.model.attention(subject.memory, target_in_NT[:, :3])
    for one, other in zip(prefix.cross, whole.cross, strict=True):
        subject.close(one, other[:, :, :3])
    for one, other in zip(prefix.decoder, whole.decoder, strict=True):
        subject.close(one, other[:, :, :3, :3])


def test_how_many_maps() -> None:
    """One layer and head of additive attention; every layer and head of a Transformer; every decoder block of a
    convolutional model; members one after the other."""
    sizes = TransformerOptions(width=8, feedforward=4, heads=2, encoder_layers=1, decoder_layers=3)
    attending = RecurrentOptions(embedding=4, units=3, attention=2, decoder_layers=2)
    torch.manual_seed(0)
    blocks = ConvolutionalOptions(width=4, embedding=4, encoder_layers=1, decoder_layers=2)
    models = [build(options, source_size=6, target_size=6).eval() for options in (sizes, attending, blocks)]
    source, mask_BS = torch.tensor([[4, 5, 3]]), torch.ones(1, 3, dtype=torch.bool)
    target_in_NT = torch.tensor([[BOS, 4]])
    found = [model.attention(model.encode(source, mask_BS), target_in_NT) for model in (*models, Ensemble(models))]
    cross = [[tuple(weights.shape) for weights in maps.cross] for maps in found]
    assert cross == [[(1, 2, 2, 3)] * 3, [(1, 1, 2, 3)], [(1, 1, 2, 3)] * 2, [(1, 2, 2, 3)] * 3 + [(1, 1, 2, 3)] * 3]
    decoder = [[tuple(weights.shape) for weights in maps.decoder] for maps in found]
    assert decoder == [[(1, 2, 2, 2)] * 3, [], [], [(1, 2, 2, 2)] * 3]
    encoder = [model.encoder_attention(source, mask_BS) for model in (*models, Ensemble(models))]
    shapes = [[tuple(weights.shape) for weights in maps] for maps in encoder]
    assert shapes == [[(1, 2, 3, 3)], [], [], [(1, 2, 3, 3)]]


# --- training ---------------------------------------------------------------------------------------------------------


def trained(subject: Subject) -> Model:
    """A copy in training mode, so that the shared subject stays as it is."""
    return copy.deepcopy(subject.model).train()


def test_dropout_is_active_in_training_and_off_in_evaluation(subject: Subject) -> None:
    target_in_NT = subject.targets(1, 4)
    model = trained(subject)
    one, other = (model.decode(model.encode(subject.source, subject.mask_BS), target_in_NT).dense() for _ in range(2))
    assert not torch.equal(one, other)
    assert (distribution(model.decode(subject.memory, target_in_NT)).sum(-1) - 1).max() < 1e-5
    model.eval()
    still = model.decode(model.encode(subject.source, subject.mask_BS), target_in_NT).dense()
    assert torch.equal(still, subject.model.decode(subject.memory, target_in_NT).dense())


def nll(model: Model, subject: Subject, target_in_NT: Tensor, target_out_NT: Tensor) -> Tensor:
    return model.decode(model.encode(subject.source, subject.mask_BS), target_in_NT).loss(target_out_NT, 0.1)


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("name", [*MODELS, *VARIANTS])
def test_gradients_of_a_padded_batch_are_those_of_its_sentences(name: str, features: bool) -> None:
    """Summed one by one without padding; all finite, and every parameter takes part."""
    subject = make(name, features, torch.float64, seed=6)
    model = subject.model
    target_lengths: Sequence[int] = (4, 1, 3, 2, 4)
    target_in_NT = subject.targets(1, 4)
    target_out_NT = torch.cat((target_in_NT[:, 1:], torch.full((SENTENCES, 1), EOS)), dim=1)
    for sentence, length in enumerate(target_lengths):
        target_in_NT[sentence, length:], target_out_NT[sentence, length:] = PAD, PAD
    with torch.enable_grad():
        nll(model, subject, target_in_NT, target_out_NT).backward()
        batch = {name: parameter.grad for name, parameter in model.named_parameters()}
        model.zero_grad(set_to_none=True)
        for sentence, (source_length, length) in enumerate(zip(LENGTHS, target_lengths, strict=True)):
            row = slice(sentence, sentence + 1)
            alone = dataclasses.replace(
                subject, source=subject.source[row, :source_length], mask_BS=subject.mask_BS[row, :source_length]
            )
            nll(model, alone, target_in_NT[row, :length], target_out_NT[row, :length]).backward()
    for place, parameter in model.named_parameters():
        found = batch[place]
        assert found is not None and parameter.grad is not None, place
        assert found.isfinite().all() and found.any(), place
        torch.testing.assert_close(found, parameter.grad, atol=1e-8, rtol=1e-8)
