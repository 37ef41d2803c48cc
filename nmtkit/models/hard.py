"""The loss of a model that draws the positions it looks at (hard attention, Xu et al. 2015, section 4.1).

The bound Σ_s p(s|x) log p(y|s,x) on log p(y|x) has the gradient E_s[∇ log p(y|s,x) + log p(y|s,x) ∇ log p(s|x)], of
which one sample is taken (REINFORCE), its second part weighed by λ_r: with λ_r = 1 and no label smoothing, which the
reward does not know, the estimate is unbiased; with less of it the noise of the draws drowns the first part less. A
position drawn at step t bears only on y_t and what follows, so its reward is the log P of the rest, or of y_t alone
where nothing is handed on to the next step; what the other sentences of the batch have there on average, a piece, is
the baseline, which leaves the expectation as it is since it does not hang on the sentence's own draws. The paper's
baseline is a moving average.

As in the paper some draws are replaced by the expected context, the weighted sum of soft attention, whose gradient has
no noise; here a coin is thrown for every word, there for every sentence.

Shape key: N targets, T target positions, D hidden width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nmtkit.models.distribution import ProjectedLogProbs
from nmtkit.specials import PAD


class SampledLogProbs(ProjectedLogProbs):
    """Distributions that hang on drawn positions; only the loss knows of it.

    Args:
        hidden: (N, T, D).
        log_p_NT: of the positions drawn for each step, with a gradient; 0 where the context is the expected one.
        entropy_NT: of the distributions they were drawn from, in nats.
        reward_weight: of the gradient of the draws (λ_r).
        entropy_weight: reward for an undecided distribution (λ_e), in nats a step.
        lasting: whether a position drawn at a step bears on later steps, too.
    """

    def __init__(
        self,
        hidden: Tensor,
        weight_VD: Tensor,
        log_p_NT: Tensor,
        entropy_NT: Tensor,
        *,
        reward_weight: float,
        entropy_weight: float,
        lasting: bool,
    ) -> None:
        super().__init__(hidden, weight_VD)
        self.log_p_NT, self.entropy_NT = log_p_NT, entropy_NT
        self.reward_weight, self.entropy_weight, self.lasting = reward_weight, entropy_weight, lasting

    def loss(self, target: Tensor, smoothing: float = 0.0) -> Tensor:
        """The value is that of the cross-entropy; the gradient adds that of the draws."""
        wanted_NT = target != PAD
        with torch.no_grad():
            advantage_NT = advantages(self.at(target), wanted_NT, self.lasting)
        drawn = (advantage_NT * self.log_p_NT * wanted_NT).sum()
        undecided = (self.entropy_NT * wanted_NT).sum()
        extra = -(self.reward_weight * drawn + self.entropy_weight * undecided)
        return super().loss(target, smoothing) + extra - extra.detach()


def advantages(log_p_NT: Tensor, wanted_NT: Tensor, lasting: bool) -> Tensor:
    """log P of what each step's draw bears on, less what the others of the batch have a piece there.

    Args:
        log_p_NT: of the target's pieces in nats, 0 where there is none.
        wanted_NT: True where there is a piece.
        lasting: it bears on the rest of the target; otherwise on its own piece only.
    """
    reward_NT, pieces_NT = log_p_NT, wanted_NT.to(log_p_NT.dtype)
    if lasting:
        reward_NT, pieces_NT = (values.flip(1).cumsum(1).flip(1) for values in (reward_NT, pieces_NT))
    others, count = reward_NT.sum(0, keepdim=True) - reward_NT, pieces_NT.sum(0, keepdim=True) - pieces_NT
    return reward_NT - pieces_NT * others / count.clamp(min=1)
