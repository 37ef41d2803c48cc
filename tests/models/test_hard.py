"""Hard attention: the estimator's expectation is the exact gradient of Xu's bound, by enumeration of all draws.

Shape key: B sentences (one target each), S source positions, T target positions, H heads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from support.recurrent_reference import Reference, numpy
from support.toys import stack_targets
from torch import Tensor

from nmtkit.models import hard
from nmtkit.models.build import build
from nmtkit.models.distribution import ProjectedLogProbs
from nmtkit.models.hard import SampledLogProbs, advantages
from nmtkit.models.interface import Model
from nmtkit.models.options import RecurrentOptions
from nmtkit.specials import EOS, PAD

OPTIONS = RecurrentOptions(
    embedding=4,
    units=3,
    attention=4,
    hard=True,
    expected_share=0.0,
    reward_weight=1.0,
    entropy_weight=0.0,
    dropout=0.0,
    cell="gru",
    tie_output=False,
)
ORDERS = {
    "bahdanau": OPTIONS,
    "luong-fed": replace(OPTIONS, order="luong", input_feeding=True, cell="lstm"),
    "luong": replace(OPTIONS, order="luong", score="general"),
}
BOTH = ([4, 5], [6, 7, 3]), ((5, 6, EOS), (7, EOS))
ALONE = ([4, 5, 3],), ((6, 4, EOS),)
EACH = pytest.mark.parametrize("order", list(ORDERS))


def soft(options: RecurrentOptions) -> dict[str, Any]:
    """The fields of the same model with soft attention, for which those of hard attention are not to be set."""
    of_hard = ("hard", "expected_share", "reward_weight", "entropy_weight")
    return {field.name: getattr(options, field.name) for field in fields(options) if field.name not in of_hard}


Draws = Sequence[Sequence[Sequence[int]]]
"""The position that each head of each step of each sentence looks at: [b][t][h]."""


@dataclass(frozen=True)
class Tiny:
    """A model in training mode with some sentences, and all that can be drawn for their target words."""

    options: RecurrentOptions
    sources: Sequence[Sequence[int]]
    targets: Sequence[Sequence[int]]
    spread: float = 0.5

    def build(self) -> Model:
        torch.manual_seed(4)
        model = build(self.options, source_size=9, target_size=9).double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(self.spread * torch.randn_like(parameter))
        return model.train()

    def decode(self, model: Model) -> tuple[Any, Tensor]:
        longest = max(map(len, self.sources))
        source = torch.tensor([[*one, *[PAD] * (longest - len(one))] for one in self.sources])
        target_in_BT, target_out_BT = stack_targets(self.targets, torch.device("cpu"))
        return model.decode(model.encode(source, source != PAD), target_in_BT), target_out_BT

    def all_draws(self) -> Iterator[Draws]:
        """Where a target has ended, the first position: nothing hangs on it."""
        longest, heads = max(map(len, self.targets)), self.options.heads
        each = [
            [
                [*zip(*[iter(one)] * heads, strict=True), *[(0,) * heads] * (longest - len(target))]
                for one in itertools.product(range(len(source)), repeat=heads * len(target))
            ]
            for source, target in zip(self.sources, self.targets, strict=True)
        ]
        return itertools.product(*each)


@contextmanager
def forced(draws: Draws | None) -> Iterator[list[Tensor]]:
    """`draw` gives these draws, or its own; the list gets the probabilities p[b, t, h] afterwards.

    A model asks once for all steps in the order b, h, t, or step after step in the order b, h.
    """
    asked: list[Tensor] = []
    real = hard.draw

    def draw(p: Tensor) -> Tensor:
        assert not p.requires_grad
        start = sum(len(one) for one in asked)
        asked.append(p.clone())
        if draws is None:
            return real(p)
        sentences, steps, heads = len(draws), len(draws[0]), len(draws[0][0])
        if len(p) == sentences * steps * heads:
            order = [draws[b][t][h] for b in range(sentences) for h in range(heads) for t in range(steps)]
        else:
            assert len(p) == sentences * heads
            order = [draws[b][start // len(p)][h] for b in range(sentences) for h in range(heads)]
        return torch.tensor(order).unsqueeze(1)

    with mock.patch.object(hard, "draw", draw):
        yield asked


def by_step(asked: list[Tensor], draws: Draws) -> Tensor:
    """What `forced` noted as p[b, t, h, s]."""
    sentences, steps, heads = len(draws), len(draws[0]), len(draws[0][0])
    if len(asked) == 1:
        return asked[0].view(sentences, heads, steps, -1).transpose(1, 2)
    return torch.stack(asked, dim=1).view(sentences, heads, steps, -1).transpose(1, 2)


def gradients(model: Model, total: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)
    return [
        torch.zeros_like(parameter) if one is None else one
        for one, parameter in zip(found, model.parameters(), strict=True)
    ]


CASES = {
    **{f"{order}-both": Tiny(ORDERS[order], *BOTH) for order in ORDERS},
    **{f"{order}-alone": Tiny(ORDERS[order], *ALONE) for order in ORDERS},
    "luong-deep": Tiny(replace(ORDERS["luong"], decoder_layers=2), *BOTH),
    "bahdanau-heads": Tiny(
        replace(OPTIONS, heads=2, units=4), ([4, 5], [6, 3]), ((5, EOS), (EOS,))
    ),
    "luong-heads": Tiny(
        replace(OPTIONS, heads=2, units=4, order="luong", normaliser="entmax"), ([4, 5], [6, 3]), ((5, EOS), (EOS,))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_expectation_of_the_gradient_is_that_of_the_bound(name: str) -> None:
    """Σ_s p(s) ∇loss(s) = −∇ Σ_s p(s) log p(y|s), where probability and gradient are formed apart."""
    tiny = CASES[name]
    model = tiny.build()
    estimate = [torch.zeros_like(parameter) for parameter in model.parameters()]
    bound, total, count = torch.zeros((), dtype=torch.float64), 0.0, 0
    for draws in tiny.all_draws():
        with forced(draws) as asked:
            log_probs, target = tiny.decode(model)
        wanted = target != PAD
        p_BTH = by_step(asked, draws).gather(3, torch.tensor(draws).unsqueeze(3)).squeeze(3)
        probability = p_BTH[wanted].prod().item()
        for whole, one in zip(estimate, gradients(model, log_probs.loss(target)), strict=True):
            whole.add_(one, alpha=probability)
        with forced(draws):
            log_probs, _ = tiny.decode(model)
        torch.testing.assert_close(log_probs.draws.log_p, p_BTH.log().sum(2), atol=1e-12, rtol=0)
        bound = bound + log_probs.draws.log_p[wanted].sum().exp() * log_probs.at(target).sum()
        total, count = total + probability, count + 1
    assert total == pytest.approx(1.0, abs=1e-9) and count > 10
    for (place, _), one, other in zip(model.named_parameters(), estimate, gradients(model, -bound), strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=0, msg=place)
    if "entmax" not in tiny.options.normaliser:
        scores = [one for (place, _), one in zip(model.named_parameters(), estimate, strict=True) if "score" in place]
        assert all(one.abs().max() > 1e-4 for one in scores)


Coins = Sequence[Sequence[bool]]
"""Whether a step of a sentence reads the expected context: [b][t]."""


@contextmanager
def tossed(coins: Coins, share: float) -> Iterator[None]:
    """`torch.rand_like` falls below the share where the coins say so, whether asked for a step or for all of them."""
    asked = 0

    def rand_like(shaped: Tensor) -> Tensor:
        nonlocal asked
        sentences, heads, steps, _ = shaped.shape
        assert (sentences, heads) == (len(coins), 1)
        told = torch.tensor(coins)[:, asked : asked + steps]
        asked += steps
        return torch.where(told, share - 1e-6, share).to(shaped.dtype).view(shaped.shape)

    with mock.patch.object(torch, "rand_like", rand_like):
        yield
    assert asked == len(coins[0])


@pytest.mark.parametrize("name", ["bahdanau-alone", "luong-fed-alone", "luong-alone", "bahdanau-both", "luong-heads"])
def test_expectation_where_some_words_read_the_expected_context(name: str) -> None:
    """Over coins c and draws s: Σ_c p(c) Σ_s p(s|c) ∇loss = −∇ Σ_c p(c) Σ_s p(s|c) log p(y|s,c)."""
    plain, share = CASES[name], 0.3
    tiny = replace(plain, options=replace(plain.options, expected_share=share))
    model = tiny.build()
    estimate = [torch.zeros_like(parameter) for parameter in model.parameters()]
    bound, total = torch.zeros((), dtype=torch.float64), 0.0
    steps = [len(target) for target in tiny.targets]
    for flat in itertools.product((False, True), repeat=sum(steps)):
        thrown = iter(flat)
        coins = [[next(thrown) if t < length else False for t in range(max(steps))] for length in steps]
        chance = share ** sum(flat) * (1 - share) ** (len(flat) - sum(flat))
        for draws in tiny.all_draws():
            unread = ((b, t) for b, length in enumerate(steps) for t in range(length) if coins[b][t])
            if any(any(draws[b][t]) for b, t in unread):  # nothing hangs on those: the first position stands for all
                continue
            with forced(draws), tossed(coins, share):
                log_probs, target = tiny.decode(model)
            wanted = target != PAD
            probability = chance * log_probs.draws.log_p[wanted].sum().exp()
            for whole, one in zip(estimate, gradients(model, log_probs.loss(target)), strict=True):
                whole.add_(one, alpha=probability.item())
            with forced(draws), tossed(coins, share):
                log_probs, _ = tiny.decode(model)
            bound = bound + chance * log_probs.draws.log_p[wanted].sum().exp() * log_probs.at(target).sum()
            total += probability.item()
    assert total == pytest.approx(1.0, abs=1e-9)
    for (place, _), one, other in zip(model.named_parameters(), estimate, gradients(model, -bound), strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=0, msg=place)


@pytest.mark.parametrize("name", list(CASES))
def test_nothing_but_expected_contexts_is_soft_attention(name: str) -> None:
    """Loss and gradients are those of the same weights with soft attention."""
    plain, found = CASES[name], []
    for options in (replace(plain.options, expected_share=1.0), RecurrentOptions(**soft(plain.options))):
        tiny = replace(plain, options=options)
        model = tiny.build()
        log_probs, target = tiny.decode(model)
        found.append((log_probs.loss(target, 0.1), gradients(model, log_probs.loss(target, 0.1))))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-12, rtol=0)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


@EACH
def test_the_reward_weighs_the_gradient_of_the_draws_alone(order: str) -> None:
    """With weight 0 that of log P at the drawn positions is left; the rest is proportional to the weight."""
    plain = Tiny(ORDERS[order], *BOTH)
    draws, found = list(plain.all_draws())[9], {}
    for weight in (0.0, 0.25, 1.0):
        tiny = replace(plain, options=replace(plain.options, reward_weight=weight))
        model = tiny.build()
        with forced(draws):
            log_probs, target = tiny.decode(model)
        found[weight] = gradients(model, log_probs.loss(target))
    with forced(draws):
        log_probs, target = tiny.decode(model)
    path = gradients(model, -log_probs.at(target).sum())
    for own, none, part, whole in zip(path, found[0.0], found[0.25], found[1.0], strict=True):
        torch.testing.assert_close(none, own, atol=1e-12, rtol=0)
        torch.testing.assert_close(part - none, 0.25 * (whole - none), atol=1e-12, rtol=0)
    assert max((whole - none).abs().max() for whole, none in zip(found[1.0], found[0.0], strict=True)) > 1e-3


@EACH
def test_as_many_expected_contexts_as_asked_for(order: str) -> None:
    """Counted where no position is drawn, over many passes; padding is not asked about."""
    tiny = Tiny(replace(ORDERS[order], expected_share=0.3), *BOTH)
    model, count = tiny.build(), 400
    found = torch.zeros(2, 3)
    for _ in range(count):
        with torch.no_grad():
            log_probs, target = tiny.decode(model)
        found += (log_probs.draws.log_p == 0) / count
    assert (found[target != PAD] - 0.3).abs().max() < 5 * (0.3 * 0.7 / count) ** 0.5


@EACH
def test_the_loss_is_that_of_the_drawn_model(order: str) -> None:
    """Cross-entropy, with smoothing too, of the distributions that NumPy gives at the positions drawn."""
    tiny = Tiny(ORDERS[order], *BOTH)
    model, reference = tiny.build(), Reference(ORDERS[order], tiny.build())
    for draws in itertools.islice(tiny.all_draws(), 0, None, 7):
        with forced(draws):
            log_probs, target = tiny.decode(model)
        assert isinstance(log_probs, SampledLogProbs)
        plain = smooth = 0.0
        for b, (source, words) in enumerate(zip(tiny.sources, tiny.targets, strict=True)):
            dense, weights = reference.decode(source, [1, *words[:-1]], draws[b])
            assert weights is not None and weights.argmax(-1).T.tolist() == [
                list(one) for one in draws[b][: len(words)]
            ]
            assert numpy(log_probs.dense()[b, : len(words), 2:]) == pytest.approx(dense[:, 2:], abs=1e-9)
            plain -= sum(dense[t, word] for t, word in enumerate(words))
            smooth -= sum(dense[t, 2:].mean() for t in range(len(words)))
        assert log_probs.loss(target).item() == pytest.approx(plain, abs=1e-9)
        assert log_probs.loss(target, 0.3).item() == pytest.approx(0.7 * plain + 0.3 * smooth, abs=1e-9)


@EACH
def test_draws_follow_the_weights(order: str) -> None:
    """Never on padding; as often as p says at the first step, which depends on no draw before it."""
    tiny = Tiny(ORDERS[order], *BOTH)
    model = tiny.build()
    found, times = np.zeros((2, 3)), 300
    for _ in range(times):
        with forced(None) as asked, torch.no_grad():
            log_probs, _ = tiny.decode(model)
        p_BTHS = by_step(asked, [[[0]] * 3] * 2)
        assert not p_BTHS[0, :, :, 2].any()
        chosen = (log_probs.draws.log_p[:, 0, None].exp() - p_BTHS[:, 0, 0]).abs().argmin(1)
        found[[0, 1], chosen] += 1 / times
    expected = numpy(p_BTHS[:, 0, 0])
    assert np.abs(found - expected).max() < 5 * (0.25 / times) ** 0.5
    assert (expected[0, :2] > 0.01).all() and (expected[1] > 0.01).all()


def spread(tiny: Tiny, lasting: bool) -> tuple[list[Tensor], float]:
    """Mean and total variance of the loss's gradient over all draws, of that of the score where told so."""
    model = tiny.build()
    model.decoder.lasting = lasting  # type: ignore[union-attr]
    mean, square = [torch.zeros_like(parameter) for parameter in model.parameters()], 0.0
    for draws in tiny.all_draws():
        with forced(draws) as asked:
            log_probs, target = tiny.decode(model)
        p_BTH = by_step(asked, draws).gather(3, torch.tensor(draws).unsqueeze(3)).squeeze(3)
        probability = p_BTH[target != PAD].prod().item()
        for whole, one in zip(mean, gradients(model, log_probs.loss(target)), strict=True):
            whole.add_(one, alpha=probability)
            square += probability * one.square().sum().item()
    return mean, square - sum(one.square().sum().item() for one in mean)


LONG = ([4, 5],), ((5, 6, 4, 7, 8, EOS),)


@pytest.mark.parametrize(
    "tiny",
    [
        CASES["luong-both"],
        CASES["luong-heads"],
        CASES["luong-alone"],
        CASES["luong-deep"],
        Tiny(ORDERS["luong"], *LONG),
    ],
    ids=["both", "heads", "alone", "deep", "long"],
)
def test_a_position_is_rewarded_for_its_own_word_only(tiny: Tiny) -> None:
    """Without input feeding: the same gradient on average as with the reward of the later words.

    Its variance falls, most so for long targets; not for sure where one other sentence's few words are the baseline.
    """
    assert tiny.build().decoder.lasting is False  # type: ignore[union-attr]
    (own, variance), (rest, larger) = spread(tiny, lasting=False), spread(tiny, lasting=True)
    for one, other in zip(own, rest, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=0)
    if len(tiny.sources) == 1:
        assert 0 < variance < larger / (len(tiny.targets[0]) - 1)


@pytest.mark.parametrize("lasting", [True, False])
def test_advantages_are_those_of_a_loop(lasting: bool) -> None:
    """log P of the rest (or of the piece), less its pieces times what a piece of the others' costs there on average."""
    torch.manual_seed(0)
    lengths = (4, 1, 3, 4, 2)
    wanted = torch.tensor([[t < length for t in range(5)] for length in lengths])
    log_p = -torch.rand(5, 5, dtype=torch.float64) * wanted
    found = advantages(log_p, wanted, lasting)
    for n, length in enumerate(lengths):
        for t in range(length):
            ends = [whole if lasting else min(t + 1, whole) for whole in lengths]
            reward = sum(log_p[n, later].item() for later in range(t, ends[n]))
            others = [log_p[m, later].item() for m in range(5) if m != n for later in range(t, ends[m])]
            baseline = (ends[n] - t) * (sum(others) / len(others) if others else 0.0)
            assert found[n, t].item() == pytest.approx(reward - baseline, abs=1e-12), (n, t)


def test_advantages_by_hand() -> None:
    log_p, wanted = torch.tensor([[-1.0, -2.0], [-3.0, 0.0]]), torch.tensor([[True, True], [True, False]])
    assert advantages(log_p, wanted, lasting=True).tolist() == [[-3.0 + 2 * 3.0, -2.0], [-3.0 + 1.5, 0.0]]
    assert advantages(log_p, wanted, lasting=False).tolist() == [[-1.0 + 3.0, -2.0], [-3.0 + 1.0, 0.0]]
    log_p, wanted = torch.tensor([[-1.0, -2.0, -4.0]]), torch.ones(1, 3).bool()
    assert advantages(log_p, wanted, lasting=True).tolist() == [[-7.0, -6.0, -4.0]]
    assert advantages(log_p, wanted, lasting=False).tolist() == log_p.tolist()


def test_a_baseline_lowers_the_variance() -> None:
    """Of the score's gradient over draws, with sentences that are about equally likely a piece."""
    tiny = Tiny(OPTIONS, *BOTH)
    model = tiny.build()
    spreads = []
    for baseline in (True, False):
        torch.manual_seed(0)
        found = []
        for _ in range(60):
            log_probs, target = tiny.decode(model)
            wanted = target != PAD
            log_p = log_probs.at(target).detach()
            rest = advantages(log_p, wanted, lasting=True) if baseline else log_p.flip(1).cumsum(1).flip(1)
            found.append(torch.cat([one.flatten() for one in gradients(model, (rest * log_probs.draws.log_p).sum())]))
        spreads.append(torch.stack(found).var(0).sum().item())
    assert spreads[0] < 0.5 * spreads[1]


@EACH
def test_evaluation_draws_nothing(order: str) -> None:
    """It looks at the heaviest position, and its loss is plain; steps and a forced pass agree in other tests."""
    tiny = Tiny(ORDERS[order], *BOTH)
    model = tiny.build().eval()
    with forced(None) as asked:
        log_probs, target = tiny.decode(model)
    assert not asked and type(log_probs) is ProjectedLogProbs
    reference, expected = Reference(ORDERS[order], model), 0.0
    for source, words in zip(tiny.sources, tiny.targets, strict=True):
        dense, _ = reference.decode(source, [1, *words[:-1]])
        expected -= sum(dense[t, word] for t, word in enumerate(words))
    assert log_probs.loss(target).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["bahdanau-both", "luong-fed-both", "luong-both", "bahdanau-heads"])
def test_gradient_of_the_entropy_term(name: str) -> None:
    """λ Σ H is taken off the loss's gradient, but not off its value; H in NumPy, its slope by a difference."""
    plain = CASES[name]
    rewarded = replace(plain, options=replace(plain.options, entropy_weight=0.7))
    draws = list(plain.all_draws())[5]
    found = []
    for tiny in (plain, rewarded):
        model = tiny.build()
        with forced(draws):
            log_probs, target = tiny.decode(model)
        found.append((log_probs.loss(target), gradients(model, log_probs.loss(target))))
    assert found[0][0].item() == pytest.approx(found[1][0].item(), abs=1e-12)
    torch.manual_seed(2)
    direction = [torch.randn_like(parameter) for parameter in model.parameters()]
    slope = sum(
        ((one - other) * way).sum().item() for one, other, way in zip(found[1][1], found[0][1], direction, strict=True)
    )

    def entropy(move: float) -> float:
        moved = plain.build()
        with torch.no_grad(), forced(draws) as asked:
            for parameter, way in zip(moved.parameters(), direction, strict=True):
                parameter.add_(way, alpha=move)
            _, target = plain.decode(moved)
        p = numpy(by_step(asked, draws)[target != PAD])
        return float(-(p * np.log(np.where(p > 0, p, 1.0))).sum())

    assert slope == pytest.approx(-0.7 * (entropy(1e-5) - entropy(-1e-5)) / 2e-5, rel=1e-6)
    assert abs(slope) > 1e-3


@EACH
@pytest.mark.parametrize("normaliser", ["softmax", "sparsemax", "entmax"])
def test_gradients_of_a_padded_batch_are_finite(order: str, normaliser: str) -> None:
    """Although log 0 of what is masked has none: positions of padding, and those a sparse mapping rules out."""
    tiny = Tiny(replace(ORDERS[order], normaliser=normaliser, entropy_weight=0.1), *BOTH, spread=1.0)
    model = tiny.build()
    for _ in range(5):
        log_probs, target = tiny.decode(model)
        assert all(one.isfinite().all() for one in gradients(model, log_probs.loss(target, 0.1)))


def test_a_batch_without_targets_has_no_loss() -> None:
    tiny = Tiny(OPTIONS, *BOTH)
    log_probs, target = tiny.decode(tiny.build())
    assert log_probs.loss(torch.full_like(target, PAD)).item() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_draw_is_pytorchs(dtype: torch.dtype) -> None:
    p = torch.rand(500, 7, dtype=dtype).masked_fill(torch.rand(500, 7) < 0.4, 0.0)
    p[:, 3] += 0.01
    torch.manual_seed(6)
    found, after = hard.draw(p), torch.rand(1)
    torch.manual_seed(6)
    assert torch.equal(found, torch.multinomial(p, 1)) and torch.equal(after, torch.rand(1))
