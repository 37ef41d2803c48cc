"""The one narrow interface between models and everything that searches, scores or explains them.

Shape key: B sentences, S source positions, N hypotheses or targets, T target positions, D hidden width, V vocabulary,
M selected rows. N = W × B with the same W for every sentence; hypothesis n belongs to sentence n // W.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor, nn

from nmtkit.models.fused import projected_cross_entropy
from nmtkit.specials import BOS, PAD

FIRST = 2
"""The first id a model can produce: PAD and BOS are outside the support by construction."""
BLOCK = 64
"""Logits of which only the highest is looked at first."""


class Rows:
    """A value whose tensors all have the sentence or the hypothesis as dimension 0.

    Subclasses are frozen dataclasses of tensors, other `Rows`, and tuples of either.
    """

    def select(self, rows_M: Tensor) -> Self:
        """The rows `rows_M` (int64), in that order, repeats allowed: expands, reorders, drops and branches."""
        return type(self)(*(_select(getattr(self, field.name), rows_M) for field in fields(self)))  # type: ignore[arg-type]

    def size(self) -> int:
        """The number of rows."""
        return _size(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]


def _select(value: Any, rows_M: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value.index_select(0, rows_M)
    if isinstance(value, tuple):
        return tuple(_select(item, rows_M) for item in value)
    return value.select(rows_M)


def _size(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.shape[0]
    if isinstance(value, tuple):
        return _size(value[0])
    return int(value.size())


class LogProbs(ABC):
    """Distributions over the vocabulary (natural log, at least float32), one for each leading index."""

    @abstractmethod
    def top(self, k: int) -> tuple[Tensor, Tensor]:
        """The k best log-probabilities (all V − 2 if k is more), best first, and their ids: two tensors (…, k)."""

    @abstractmethod
    def at(self, ids: Tensor) -> Tensor:
        """Log-probability of one id for each distribution, the shape of `ids`; 0 (and no work) where the id is PAD."""

    @abstractmethod
    def dense(self) -> Tensor:
        """All log-probabilities (…, V), −∞ at PAD and BOS."""

    @abstractmethod
    def loss(self, target: Tensor, smoothing: float = 0.0) -> Tensor:
        """Sum over the positions whose target is not PAD of the label-smoothed cross-entropy, in nats.

        (1 − ε) · −log P(target) + ε · mean over the support of −log P (Szegedy et al. 2016, section 7).
        """


class ProjectedLogProbs(LogProbs):
    """softmax(hidden · weightᵀ) over the support, computed only where asked.

    Args:
        hidden: (…, D) states.
        weight_VD: output embeddings, of which rows `FIRST:` are used.
    """

    CHUNK = 1024
    """Rows whose logits are held at one time when single log-probabilities are asked for."""
    CACHED = 128
    """Rows whose logits are held at one time when the best are asked for: few enough for a processor's cache."""

    def __init__(self, hidden: Tensor, weight_VD: Tensor) -> None:
        self.hidden = hidden
        self._whole, self.weight = weight_VD, weight_VD[FIRST:]

    def _logits(self, hidden: Tensor) -> Tensor:
        logits = nn.functional.linear(hidden, self.weight)
        return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits

    def top(self, k: int) -> tuple[Tensor, Tensor]:
        k = min(k, self.weight.shape[0])
        parts = [_top(self._logits(hidden), k) for hidden in self.hidden.flatten(0, -2).split(self.CACHED)]
        values, ids = (torch.cat(one).unflatten(0, self.hidden.shape[:-1]) for one in zip(*parts, strict=True))
        return values, ids + FIRST

    def at(self, ids: Tensor) -> Tensor:
        wanted = ids != PAD
        hidden_MD, ids_M = self.hidden[wanted], ids[wanted]
        parts = [
            _pick(self._logits(hidden), chunk)
            for hidden, chunk in zip(hidden_MD.split(self.CHUNK), ids_M.split(self.CHUNK), strict=True)
        ]
        picked_M = torch.cat(parts)
        result = torch.zeros(ids.shape, dtype=picked_M.dtype, device=picked_M.device)
        result[wanted] = picked_M
        return result

    def dense(self) -> Tensor:
        log_probs = self._logits(self.hidden).log_softmax(-1)
        return nn.functional.pad(log_probs, (FIRST, 0), value=-math.inf)

    def loss(self, target: Tensor, smoothing: float = 0.0) -> Tensor:
        wanted = target != PAD
        return projected_cross_entropy(self.hidden[wanted], self._whole, target[wanted], smoothing, FIRST)


def _top(logits_MV: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best log-probabilities and their places, (M, k); the logits are used up.

    The k best lie in the k blocks with the highest maxima, so that only these are sorted; and the best of all is the
    maximum that the log-sum-exp needs.
    """
    blocks, size = logits_MV.shape[1] // BLOCK, logits_MV.shape[1]
    if blocks < 2 * k:
        values, places = logits_MV.topk(k, dim=1)
    else:
        highest_MB = logits_MV[:, : blocks * BLOCK].unflatten(1, (blocks, BLOCK)).amax(2)
        first_MK = highest_MB.topk(k, dim=1).indices * BLOCK
        within = torch.arange(BLOCK, device=logits_MV.device)
        rest = torch.arange(blocks * BLOCK, size, device=logits_MV.device).expand(logits_MV.shape[0], -1)
        place_MC = torch.cat(((first_MK.unsqueeze(2) + within).flatten(1), rest), dim=1)
        values, column = logits_MV.gather(1, place_MC).topk(k, dim=1)
        places = place_MC.gather(1, column)
    highest = values[:, :1]
    rest_MK = logits_MV.sub_(highest).exp_().sum(1, keepdim=True).log_()
    return values - highest - rest_MK, places


def _pick(logits_MV: Tensor, ids_M: Tensor) -> Tensor:
    picked = logits_MV.gather(-1, (ids_M - FIRST).clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return (picked - logits_MV.logsumexp(-1)).masked_fill(ids_M == BOS, -math.inf)


@dataclass(frozen=True)
class Maps:
    """What a model looked at.

    Attributes:
        cross: per layer, (N, heads, T, S): weight of source position s for target position t.
        decoder: per layer, (N, heads, T, T) self-attention of the target; empty where the family has none.
    """

    cross: tuple[Tensor, ...]
    decoder: tuple[Tensor, ...] = ()


class Model(nn.Module, ABC):
    """An encoder-decoder. Memory and state are values: passed in, returned, never kept on the module.

    Attributes:
        longest: most positions on either side, end of sentence counted; None: any number.
        attends: the kinds of attention that it has ("cross", "decoder", "encoder"), of an ensemble for each member.
    """

    longest: int | None = None
    attends: tuple[frozenset[str], ...] = (frozenset({"cross"}),)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    @abstractmethod
    def encode(self, source: Tensor, mask_BS: Tensor) -> Rows:
        """All that depends on the source alone, one row a sentence.

        Args:
            source: ids (B, S) or feature vectors (B, S, F).
            mask_BS: True where there is a source position; each row has at least one, and its first is True.
        """

    @abstractmethod
    def start(self, memory: Any) -> Rows:
        """The state of the empty prefix, one row a sentence."""

    @abstractmethod
    def step(self, token_N: Tensor, state: Any, memory: Any) -> tuple[LogProbs, Rows]:
        """Read one token a hypothesis; the distribution of the next one (N), and the new state. Inference only."""

    @abstractmethod
    def decode(self, memory: Any, target_in_NT: Tensor) -> LogProbs:
        """All positions at once, given the true prefixes (BOS first): (N, T) distributions."""

    @abstractmethod
    def attention(self, memory: Any, target_in_NT: Tensor) -> Maps:
        """The attention weights of a forced pass over `target_in_NT`; may be slow."""

    def encoder_attention(self, source: Tensor, mask_BS: Tensor) -> tuple[Tensor, ...]:
        """Per layer of self-attention in the encoder, (B, heads, S, S): weight of position s′ for position s.

        Takes what `encode` takes, since memory keeps no trace of it; may be slow. Rows of padding mean nothing. Empty
        where the family's encoder has no self-attention.
        """
        return ()


def stack_targets(targets: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Targets (each ends in EOS) as decoder input and output: two int64 tensors (N, T), padded with PAD."""
    longest = max(len(target) for target in targets)
    padded_NT = torch.tensor([[BOS, *target, *[PAD] * (longest - len(target))] for target in targets])
    padded_NT = padded_NT.to(device)
    return padded_NT[:, :-1], padded_NT[:, 1:]
