"""Hard attention (Xu et al. 2015, section 4.1): one position is drawn, and the loss learns from its effect.

The bound Σ_s p(s|x) log p(y|s,x) on log p(y|x) has the gradient E_s[∇ log p(y|s,x) + log p(y|s,x) ∇ log p(s|x)], of
which one sample is taken (REINFORCE), its second part weighted by λ_r: with λ_r = 1 and no label smoothing, which the
reward does not include, the estimate is unbiased; a smaller λ_r adds less of the noise of the draws. A position drawn
at step t affects only y_t and what follows, so its reward is the log P of the rest, or of y_t alone if nothing is
passed on to the next step. The baseline is the mean per piece of the other sentences of the batch at this step, which
does not change the expectation since it does not depend on the sentence's own draws. The paper's baseline is a moving
average.

As in the paper, some draws are replaced by the expected context, the weighted sum of soft attention, whose gradient has
no noise; here a coin is tossed for every word, there for every sentence.

Shape key: B sentences, H heads, W queries per sentence, S source positions, N targets, T target positions, D hidden
width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmtkit.models.distribution import ProjectedLogProbs
from nmtkit.specials import PAD


@dataclass(frozen=True)
class Draws:
    """Facts about drawn positions, (B, W) or (N, T).

    Attributes:
        log_p: log P of the draws in nats, summed over heads, with a gradient; 0 for an expected context.
        entropy: entropy in nats of the distributions that they were drawn from.
    """

    log_p: Tensor
    entropy: Tensor


class HardChoice(nn.Module):
    """Chooses one position of each row: the heaviest or, in training, one drawn from the weights.

    Args:
        expected_share: share of the queries, for all heads alike, that keep all positions in training (soft attention).
    """

    def __init__(self, expected_share: float) -> None:
        super().__init__()
        self.expected_share = expected_share

    def forward(self, p_BHWS: Tensor) -> tuple[Tensor, Draws | None]:
        """Weights in the shape of `p_BHWS`, and in training the draws."""
        if not self.training:
            return nn.functional.one_hot(p_BHWS.argmax(-1), p_BHWS.shape[-1]).to(p_BHWS.dtype), None
        drawn_BHW1 = draw(p_BHWS.detach().flatten(0, 2)).view(*p_BHWS.shape[:3], 1)
        expected_B1W1 = torch.rand_like(p_BHWS[:, :1, :, :1]) < self.expected_share
        chosen_BHWS = torch.where(expected_B1W1, p_BHWS, torch.zeros_like(p_BHWS).scatter_(3, drawn_BHW1, 1.0))
        log_p_BW = p_BHWS.gather(3, drawn_BHW1).squeeze(3).log().sum(1) * ~expected_B1W1[:, 0, :, 0]
        logs_BHWS = p_BHWS.masked_fill(p_BHWS == 0, 1.0).log()  # 0 log 0 is 0, and so is its gradient
        return chosen_BHWS, Draws(log_p_BW, -(p_BHWS * logs_BHWS).sum(3).sum(1))


def draw(p_RS: Tensor) -> Tensor:
    """One position of each row, drawn with the probabilities p, (R, 1).

    The draws are those of `torch.multinomial`, whose check of p makes the program wait for a GPU: of exponential
    variables with the rates p_s, the one at s is the smallest with the probability p_s.
    """
    return (p_RS / torch.empty_like(p_RS).exponential_()).argmax(1, keepdim=True)


@dataclass(frozen=True)
class Rewards:
    """Weights of what the loss adds to the cross-entropy.

    Attributes:
        draws: weight of the gradient of the draws (λ_r).
        entropy: reward for an undecided distribution (λ_e), in nats per step.
    """

    draws: float
    entropy: float


class SampledLogProbs(ProjectedLogProbs):
    """Distributions that depend on drawn positions, which only the loss takes into account.

    Args:
        hidden: the states, (N, T, D).
        draws: the draws, (N, T).
        lasting: whether a position drawn at a step also affects later steps.
    """

    def __init__(self, hidden: Tensor, weight_VD: Tensor, draws: Draws, rewards: Rewards, lasting: bool) -> None:
        super().__init__(hidden, weight_VD)
        self.draws, self.rewards, self.lasting = draws, rewards, lasting

    def loss(self, target: Tensor, smoothing: float = 0.0, scored_M: Tensor | None = None) -> Tensor:
        """The value is that of the cross-entropy; the gradient adds that of the draws."""
        piece_NT = target != PAD
        with torch.no_grad():
            advantage_NT = advantages(self.at(target, scored_M), piece_NT, self.lasting)
        drawn = (advantage_NT * self.draws.log_p * piece_NT).sum()
        undecided = (self.draws.entropy * piece_NT).sum()
        extra = -(self.rewards.draws * drawn + self.rewards.entropy * undecided)
        return super().loss(target, smoothing, scored_M) + extra - extra.detach()


def advantages(log_p_NT: Tensor, piece_NT: Tensor, lasting: bool) -> Tensor:
    """log P of what the draw of each step affects, minus the mean per piece of the other targets there.

    Args:
        log_p_NT: log P of the target's pieces in nats, 0 at padding.
        piece_NT: True where there is a piece.
        lasting: whether a draw affects the rest of the target; otherwise it affects its own piece only.
    """
    reward_NT, pieces_NT = log_p_NT, piece_NT.to(log_p_NT.dtype)
    if lasting:
        reward_NT, pieces_NT = (values.flip(1).cumsum(1).flip(1) for values in (reward_NT, pieces_NT))
    others, count = reward_NT.sum(0, keepdim=True) - reward_NT, pieces_NT.sum(0, keepdim=True) - pieces_NT
    return reward_NT - pieces_NT * others / count.clamp(min=1)
