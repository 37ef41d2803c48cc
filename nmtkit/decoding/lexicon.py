"""Phrases in what pieces spell: the automaton of `phrases.py`, read piece by piece instead of letter by letter.

A phrase is found in the text of an output, however it is cut into pieces. A state of the automaton needs, for each
piece of the vocabulary, the state after it and the phrases that it ends. Such a row is made when a search first comes
to the state, for all pieces at once, and kept. Some pieces are single bytes of a character; the bytes of a character
that is not whole yet are part of the state.

Shape key: R states that have a row, N states, V vocabulary, C tokens for each, K phrases of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nmtkit.decoding.phrases import OTHER, Phrases, Table
from nmtkit.specials import EOS

KEPT = 2**27
"""Bytes of rows that are kept at most, unless one step needs more."""


@dataclass(frozen=True)
class Term:
    """A phrase that an output must contain.

    Attributes:
        phrase: its number.
        tokens: pieces that spell it, from the beginning of a word.
    """

    phrase: int
    tokens: tuple[int, ...]


class Lexicon:
    """What the outputs of a search must not contain, and what some of them must, as an automaton over pieces.

    Attributes:
        phrases: the phrases; the first `forbidden` of them must not stand in an output.
        start: the state of an empty output.

    Args:
        spellings: the bytes that each piece adds to an output, by id.
    """

    def __init__(self, phrases: Phrases, forbidden: int, spellings: Sequence[bytes], device: torch.device) -> None:
        self.phrases, self.forbidden, self.start = phrases, forbidden, phrases.start
        self._size, self._device = len(spellings), device
        self._states: list[tuple[int, bytes]] = [(node, b"") for node in range(len(phrases.next_QC))]
        self._number = {state: number for number, state in enumerate(self._states)}
        texts, self._bytes = {}, {}
        for token, spelling in enumerate(spellings):
            try:
                texts[token] = spelling.decode()
            except UnicodeDecodeError:
                self._bytes[token] = spelling
        self._order = np.array(sorted(texts, key=lambda token: -len(texts[token])), dtype=np.int64)
        longest = max(map(len, texts.values()), default=0)
        self._columns = [
            np.array([phrases.kind(texts[t][place]) for t in self._order.tolist() if len(texts[t]) > place], np.int64)
            for place in range(longest)
        ]
        """The class of the character at each place of all pieces that have one there: a beginning of the order."""
        self._forget()

    def _forget(self) -> None:
        """Drop all rows."""
        self._row_of = torch.full((len(self._states),), -1, device=self._device)
        self._next = torch.zeros(0, self._size, dtype=torch.int32, device=self._device)
        self._hit, self._banned = torch.zeros_like(self._next), torch.zeros_like(self._next, dtype=torch.bool)
        self._bans_R: list[bool] = []
        self._learn_sets()

    def _learn_sets(self) -> None:
        """The phrases of each set as a table, padded with −1, and whether one of them is forbidden."""
        sets = self.phrases.sets
        widest = max(map(len, sets))
        rows = [[*sorted(phrases), *[-1] * (widest - len(phrases))] for phrases in sets]
        self._members = torch.tensor(rows, dtype=torch.int64, device=self._device).view(len(sets), widest)
        self._is_forbidden = ((self._members >= 0) & (self._members < self.forbidden)).any(1)

    def read(self, state_N: Tensor, token_NC: Tensor) -> tuple[Tensor, Tensor]:
        """The states after some tokens that follow each state, and the sets of phrases that they end, both (N, C)."""
        row_N1 = self._rows(state_N).unsqueeze(1)
        return self._next[row_N1, token_NC].long(), self._hit[row_N1, token_NC].long()

    def banned(self, state_N: Tensor) -> Tensor | None:
        """Whether a token after each state would end a forbidden phrase, (N, V); None if none would."""
        row_N = self._rows(state_N)
        if not self.forbidden or not any(self._bans_R[row] for row in row_N.unique().tolist()):
            return None
        return self._banned[row_N]

    def among(self, hit_NC: Tensor, phrase_NK: Tensor) -> Tensor:
        """Which of some phrases are in each set, (N, C, K); a phrase of −1 is in none."""
        return (self._members[hit_NC].unsqueeze(2) == phrase_NK[:, None, :, None]).any(3) & (phrase_NK >= 0).unsqueeze(
            1
        )

    def ended(self, tokens: Sequence[int]) -> frozenset[int]:
        """The phrases in the text of an output, with EOS or without."""
        state, ended = self.start, frozenset[int]()
        for token in [*(token for token in tokens if token != EOS), EOS]:
            following, hit = self.read(torch.tensor([state], device=self._device), self._one(token))
            state, ended = int(following), ended | self.phrases.sets[int(hit)]
        return ended

    def clash(self, tokens: Sequence[int]) -> str:
        """The first forbidden phrase in the text of an output; empty if there is none."""
        return next(
            (self.phrases.texts[phrase] for phrase in sorted(self.ended(tokens)) if phrase < self.forbidden), ""
        )

    def _one(self, token: int) -> Tensor:
        return torch.tensor([[token]], device=self._device)

    def _rows(self, state_N: Tensor) -> Tensor:
        """The row of each state; those that have none yet get one."""
        row_N = self._row_of[state_N]
        if bool((row_N < 0).any()):
            if self._next.nbytes * 2 > KEPT:
                self._forget()
            missing = state_N.unique()
            self._add(missing[self._row_of[missing] < 0].tolist())
            row_N = self._row_of[state_N]
        return row_N

    def _add(self, states: Sequence[int]) -> None:
        """Make the rows of some states."""
        made = [self._row(*self._states[state]) for state in states]
        following, hits = (torch.from_numpy(np.stack(rows)).to(self._device) for rows in zip(*made, strict=True))
        if len(self.phrases.sets) > len(self._members):
            self._learn_sets()
        banned = self._is_forbidden[hits.long()]
        fresh = torch.full((len(self._states) - len(self._row_of),), -1, device=self._device)
        self._row_of = torch.cat((self._row_of, fresh))
        first = len(self._next)
        self._row_of[torch.tensor(states, device=self._device)] = torch.arange(
            first, first + len(states), device=self._device
        )
        self._next, self._hit = torch.cat((self._next, following)), torch.cat((self._hit, hits))
        self._banned = torch.cat((self._banned, banned))
        self._bans_R += banned.any(1).tolist()

    def _row(self, node: int, pending: bytes) -> tuple[Table, Table]:
        """For each piece, the state after a state and it, and the set of phrases that it ends."""
        from_node, before = self._step(node, OTHER) if pending else (node, 0)  # what is not whole becomes U+FFFD
        following = np.full(len(self._order), from_node, dtype=np.int32)
        hits = np.full(len(self._order), before, dtype=np.int32)
        phrases = self.phrases
        for kinds in self._columns:
            inside = following[: len(kinds)]
            hits[: len(kinds)] = phrases.unions(hits[: len(kinds)], phrases.hit_QC[inside, kinds])
            following[: len(kinds)] = phrases.next_QC[inside, kinds]
        next_V, hit_V = np.zeros(self._size, dtype=np.int32), np.zeros(self._size, dtype=np.int32)
        next_V[self._order], hit_V[self._order] = following, hits
        for token, spelling in self._bytes.items():
            next_V[token], hit_V[token] = self._after_bytes(node, pending, spelling)
        next_V[EOS] = from_node
        hit_V[EOS] = self._union(before, int(phrases.end_Q[from_node]))
        return next_V, hit_V

    def _step(self, node: int, kind: int) -> tuple[int, int]:
        return int(self.phrases.next_QC[node, kind]), int(self.phrases.hit_QC[node, kind])

    def _union(self, first: int, second: int) -> int:
        return self.phrases.number(self.phrases.sets[first] | self.phrases.sets[second])

    def _after_bytes(self, node: int, pending: bytes, spelling: bytes) -> tuple[int, int]:
        """The state and the set after the bytes of a piece that is no text in itself."""
        ended = 0
        for byte in spelling:
            pending += bytes([byte])
            while pending:
                character, rest = _first_character(pending)
                if character is None:
                    break
                node, hit = self._step(node, self.phrases.kind(character))
                ended, pending = self._union(ended, hit), rest
        state = (node, pending)
        if state not in self._number:
            self._number[state] = len(self._states)
            self._states.append(state)
        return self._number[state], ended


def _first_character(content: bytes) -> tuple[str | None, bytes]:
    """The first character of some bytes, U+FFFD for a byte that begins none, and the rest; None if it is not whole."""
    try:
        return content.decode()[0], content[len(content.decode()[0].encode()) :]
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start == 0:
            return None, content
        return "\ufffd", content[1:]
