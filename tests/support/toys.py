"""Toy models for tests: next-token probabilities written down in a table, small enough to enumerate every output."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmtkit.models.distribution import LogProbs
from nmtkit.models.interface import Maps, Model, Rows
from nmtkit.specials import BOS, EOS, PAD

torch.set_num_threads(1)  # toy sizes gain nothing from more, and lose a lot on a busy machine

SUPPORT = 2
"""The first id that can be produced, written here on its own: PAD and BOS cannot."""


@dataclass(frozen=True)
class TableMemory(Rows):
    """The sentence id of each row."""

    sentence_B: Tensor


@dataclass(frozen=True)
class TableState(Rows):
    """The node of the prefix tree that each hypothesis has reached; −1 before BOS is read."""

    node_N: Tensor


class TableLogProbs(LogProbs):
    """Log-probabilities written out, (…, V), −∞ at PAD and BOS."""

    def __init__(self, dense: Tensor) -> None:
        self._dense = dense

    def top(self, k: int) -> tuple[Tensor, Tensor]:
        support = self._dense[..., SUPPORT:]
        values, ids = support.sort(dim=-1, descending=True)
        return values[..., :k], ids[..., :k] + SUPPORT

    def at(self, ids: Tensor) -> Tensor:
        values = self._dense.gather(-1, ids.unsqueeze(-1)).squeeze(-1)
        return torch.where(ids == PAD, torch.zeros_like(values), values)

    def dense(self) -> Tensor:
        return self._dense

    def split(self, rows: int) -> Iterator[LogProbs]:
        return map(TableLogProbs, self._dense.split(rows))

    def loss(self, target: Tensor, smoothing: float = 0.0, scored_M: Tensor | None = None) -> Tensor:
        wanted = target != PAD
        uniform = self._dense[..., SUPPORT:].mean(-1)[wanted]
        return -((1 - smoothing) * self.at(target)[wanted] + smoothing * uniform).sum()


class TableModel(Model):
    """log P(next | sentence, prefix) looked up in a table.

    A source is its sentence id (the first source position; the rest is ignored). Prefixes are the nodes of a complete
    tree with one branch for each symbol that can be produced; prefixes deeper than the table share its last row. After
    EOS the tree goes on like anywhere else, so a search that continues a finished hypothesis gets plausible nonsense.

    Args:
        table_SNV: log-probabilities (sentences, nodes, symbols); symbol v is the id v + 2.
    """

    def __init__(self, table_SNV: Tensor) -> None:
        super().__init__()
        sentences, self.nodes, self.symbols = table_SNV.shape
        impossible = table_SNV.new_full((sentences, self.nodes, SUPPORT), -math.inf)
        self.table = torch.cat((impossible, table_SNV), dim=2)

    @classmethod
    def random(cls, seed: int, *, sentences: int, symbols: int, depth: int, spread: float = 2.0) -> TableModel:
        """Independent random distributions for every prefix of fewer than `depth` tokens; float64."""
        generator = torch.Generator().manual_seed(seed)
        nodes = sum(symbols**level for level in range(depth))
        logits = torch.randn(sentences, nodes, symbols, dtype=torch.float64, generator=generator)
        return cls((spread * logits).log_softmax(-1))

    @classmethod
    def written(cls, sentences: Sequence[Mapping[tuple[int, ...], Mapping[int, float]]], *, symbols: int) -> TableModel:
        """Probabilities by prefix and next id, for each sentence; a prefix not written ends with certainty."""
        depth = 1 + max(len(prefix) for sentence in sentences for prefix in sentence)
        nodes = sum(symbols**level for level in range(depth)) + 1
        table = torch.zeros(len(sentences), nodes, symbols, dtype=torch.float64)
        table[:, :, EOS - SUPPORT] = 1.0
        for number, sentence in enumerate(sentences):
            for prefix, following in sentence.items():
                assert abs(sum(following.values()) - 1) < 1e-9, f"{prefix}: probabilities do not sum to one"
                row = torch.zeros(symbols, dtype=torch.float64)
                for token, probability in following.items():
                    row[token - SUPPORT] = probability
                table[number, _node(prefix, symbols)] = row
        return cls(table.log())

    def log_probs(self, sentence: int, prefix: Sequence[int]) -> list[float]:
        """The written distribution after a prefix (without BOS), one log-probability for each id: the slow look-up."""
        values: list[float] = self.table[sentence, min(_node(prefix, self.symbols), self.nodes - 1)].tolist()
        return values

    def sources(self) -> tuple[Tensor, Tensor]:
        """All sentences of the table as one source batch and its mask."""
        ids_B1 = torch.arange(self.table.shape[0]).unsqueeze(1)
        return ids_B1, torch.ones_like(ids_B1, dtype=torch.bool)

    def memory(self) -> TableMemory:
        """All sentences of the table."""
        return self.encode(*self.sources())

    def encode(self, source: Tensor, mask_BS: Tensor) -> TableMemory:
        assert source.shape[:2] == mask_BS.shape and bool(mask_BS[:, 0].all())
        return TableMemory(source[:, 0])

    def start(self, memory: TableMemory) -> TableState:
        return TableState(torch.full_like(memory.sentence_B, -1))

    def _read(self, node: Tensor, token: Tensor) -> Tensor:
        assert bool(((token == BOS) == (node == -1)).all()), "BOS is read first and only first"
        child = (node * self.symbols + token - SUPPORT + 1).clamp(max=self.nodes - 1)
        return torch.where(token == BOS, 0, child)

    def _rows(self, memory: TableMemory, rows: int) -> Tensor:
        assert rows % memory.size() == 0, "every sentence has the same number of hypotheses"
        return memory.sentence_B.repeat_interleave(rows // memory.size())

    def step(self, token_N: Tensor, state: TableState, memory: TableMemory) -> tuple[LogProbs, TableState]:
        assert token_N.shape == state.node_N.shape
        node_N = self._read(state.node_N, token_N)
        return TableLogProbs(self.table[self._rows(memory, token_N.shape[0]), node_N]), TableState(node_N)

    def decode(self, memory: TableMemory, target_in_NT: Tensor) -> LogProbs:
        node, nodes = torch.full_like(target_in_NT[:, 0], -1), list[Tensor]()
        for column in target_in_NT.unbind(1):
            node = self._read(node, column.clamp(min=BOS) if not nodes else column.clamp(min=SUPPORT))
            nodes.append(node)
        sentence_N1 = self._rows(memory, target_in_NT.shape[0]).unsqueeze(1)
        return TableLogProbs(self.table[sentence_N1, torch.stack(nodes, dim=1)])

    def attention(self, memory: TableMemory, target_in_NT: Tensor) -> Maps:
        rows, length = target_in_NT.shape
        return Maps((torch.ones(rows, 1, length, 1, dtype=self.table.dtype),))


def _node(prefix: Sequence[int], symbols: int) -> int:
    """The node of a prefix: one more than the node's number in base `symbols`, level after level."""
    node = 0
    for token in prefix:
        node = node * symbols + (token - SUPPORT) + 1
    return node


@torch.no_grad()
def brute_force(model: Model, memory: Any, limit: int) -> list[tuple[tuple[int, ...], float]]:
    """Every output of at most `limit` tokens (EOS counted) of the one sentence in `memory`, with its Σ log P.

    Works for any model with a small vocabulary: all prefixes of a length go through `decode` together.
    """
    assert memory.size() == 1
    vocabulary = model.decode(memory, torch.tensor([[BOS]])).dense().shape[-1]
    words = [token for token in range(SUPPORT, vocabulary) if token != EOS]
    outputs = []
    for length in range(1, limit + 1):
        tokens = [(*prefix, EOS) for prefix in itertools.product(words, repeat=length - 1)]
        target_NT = torch.tensor(tokens)
        target_in_NT = torch.cat((torch.full((len(tokens), 1), BOS), target_NT[:, :-1]), dim=1)
        dense_NTV = model.decode(memory, target_in_NT).dense().double()
        picked_NT = torch.stack([dense_NTV[:, t].gather(1, target_NT[:, t, None])[:, 0] for t in range(length)], dim=1)
        outputs += list(zip(tokens, picked_NT.sum(1).tolist(), strict=True))
    return outputs


def ranked(
    outputs: Sequence[tuple[tuple[int, ...], float]], alpha: float
) -> list[tuple[tuple[int, ...], float, float]]:
    """(tokens, total, J) with J = total / length^α written out here, best first; impossible outputs left out."""
    scored = [(tokens, total, total / len(tokens) ** alpha) for tokens, total in outputs if total > -math.inf]
    return sorted(scored, key=lambda one: one[2], reverse=True)


def stack_targets(targets: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Targets (each ends in EOS) as decoder input and output: two int64 tensors (N, T), padded with PAD."""
    longest = max(len(target) for target in targets)
    padded_NT = torch.tensor([[BOS, *target, *[PAD] * (longest - len(target))] for target in targets])
    padded_NT = padded_NT.to(device)
    return padded_NT[:, :-1], padded_NT[:, 1:]
