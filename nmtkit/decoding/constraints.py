"""What outputs must not contain and what they must: the state of every hypothesis, and the tokens that bring it on.

Whether a phrase stands in an output is a matter of its text (`lexicon.py`). A term also has tokens that spell it; how
many of them the end of a hypothesis has already is its place in the term, and the next of them is offered to the search
beside the most probable tokens (Post and Vilar 2018; Hu et al. 2019). Nothing is renormalised.

Shape key: A sentences, W hypotheses per sentence, N = A·W, K terms of a sentence, L tokens of a term, C tokens that may
follow a hypothesis, V vocabulary, P = K + 1 tokens offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from nmtkit.decoding.allocation import allocate
from nmtkit.decoding.choices import Choices, Restricted
from nmtkit.decoding.lexicon import Lexicon, Term
from nmtkit.decoding.search import Query
from nmtkit.models.interface import Rows
from nmtkit.specials import EOS, PAD


@dataclass(frozen=True)
class Wanted(Rows):
    """The terms of each sentence, padded: their phrases (−1 for none), their tokens, and the number of these."""

    phrase_AK: Tensor
    token_AKL: Tensor
    length_AK: Tensor

    @classmethod
    def of(cls, terms: Sequence[Sequence[Term]], device: torch.device) -> Wanted:
        """The terms of sentences."""
        most = max(map(len, terms), default=0)
        longest = max((len(term.tokens) for own in terms for term in own), default=0)
        phrase_AK = torch.full((len(terms), most), -1)
        token_AKL = torch.full((len(terms), most, longest), PAD)
        length_AK = torch.zeros_like(phrase_AK)
        for row, own in enumerate(terms):
            for column, term in enumerate(own):
                phrase_AK[row, column], length_AK[row, column] = term.phrase, len(term.tokens)
                token_AKL[row, column, : len(term.tokens)] = torch.tensor(term.tokens)
        return cls(phrase_AK.to(device), token_AKL.to(device), length_AK.to(device))


@dataclass(frozen=True)
class Progress(Rows):
    """How far each hypothesis is: the state of the lexicon, the terms that its text has (those of padding among them),
    its place in the tokens of each, and its last tokens."""

    state_N: Tensor
    met_NK: Tensor
    place_NK: Tensor
    recent_NL: Tensor


class Constraints:
    """The constraints of the sentences of a search, and how far their hypotheses are.

    Attributes:
        wanted: the terms, one row per sentence.
        progress: one row per hypothesis; every sentence has the same number of them.
    """

    def __init__(self, lexicon: Lexicon, wanted: Wanted, progress: Progress) -> None:
        self.lexicon, self.wanted, self.progress = lexicon, wanted, progress

    @classmethod
    def of(cls, queries: Sequence[Query], device: torch.device) -> Constraints | None:
        """The constraints of queries at the beginning of their outputs; None if there are none.

        Queries with constraints share one lexicon.
        """
        lexicons = {query.lexicon for query in queries} - {None}
        if not lexicons:
            return None
        (lexicon,) = lexicons
        assert lexicon is not None
        wanted = Wanted.of([query.terms for query in queries], device)
        state_N = torch.full((len(queries),), lexicon.start, device=device)
        none_NK = torch.zeros_like(wanted.length_AK)
        recent_NL = torch.full((len(queries), wanted.token_AKL.shape[2]), PAD, device=device)
        return cls(lexicon, wanted, Progress(state_N, wanted.phrase_AK < 0, none_NK, recent_NL))

    @property
    def terms(self) -> bool:
        """Whether any sentence has a term."""
        return self.wanted.phrase_AK.shape[1] > 0

    def restricted(self, dense_NV: Tensor) -> Restricted:
        """The distributions after the hypotheses, without what would end a forbidden phrase or leave a term out."""
        progress = self.progress
        banned_NV = self.lexicon.banned(progress.state_N)
        if banned_NV is not None:
            dense_NV = dense_NV.masked_fill(banned_NV, -torch.inf)
        if self.terms:
            eos_N1 = torch.full_like(progress.state_N, EOS).unsqueeze(1)
            short_N1 = ~self.after(eos_N1)[1].all(2)
            dense_NV = dense_NV.scatter(1, eos_N1, dense_NV.gather(1, eos_N1).masked_fill(short_N1, -torch.inf))
        return Restricted(dense_NV)

    def top(self, allowed: Choices, dense_NV: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """At least the k best tokens that may follow, as `Choices.top`, and those that bring a term on."""
        restricted = self.restricted(dense_NV)
        value_NK, id_NK = allowed.top(restricted, k)
        if not self.terms:
            return value_NK, id_NK
        offer_NP = self._offers()
        value_NP = restricted.dense().gather(1, offer_NP)
        not_NP = (offer_NP.unsqueeze(2) == id_NK.unsqueeze(1)).any(2)
        not_NP |= (offer_NP.unsqueeze(2) == offer_NP.unsqueeze(1)).tril(-1).any(2)
        for banned_NB in allowed.banned:
            not_NP |= (offer_NP.unsqueeze(2) == banned_NB.unsqueeze(1)).any(2)
        if allowed.forced_N is not None:
            not_NP |= (allowed.forced_N != PAD).unsqueeze(1)
        value_NP = value_NP.masked_fill(not_NP, -torch.inf)
        return torch.cat((value_NK, value_NP), dim=1), torch.cat((id_NK, offer_NP), dim=1)

    def _offers(self) -> Tensor:
        """The next token of each term that is still to come, and EOS, also in place of the others."""
        progress, rows = self.progress, len(self.progress.state_N)
        length_NK, token_NKL = (_spread(of, rows) for of in (self.wanted.length_AK, self.wanted.token_AKL))
        done_NK = progress.met_NK | (progress.place_NK >= length_NK)
        place_NK1 = progress.place_NK.masked_fill(done_NK, 0).unsqueeze(2)
        next_NK = token_NKL.gather(2, place_NK1).squeeze(2).masked_fill(done_NK, EOS)
        return torch.nn.functional.pad(next_NK, (0, 1), value=EOS)

    def after(self, token_NC: Tensor) -> tuple[Tensor, Tensor]:
        """The states after some tokens that follow each hypothesis, (N, C), and the terms that are met then, (N, C, K).

        A term is met by the token after it, which must not go on with its last word.
        """
        state_NC, hit_NC = self.lexicon.read(self.progress.state_N, token_NC)
        met_NCK = self.lexicon.among(hit_NC, _spread(self.wanted.phrase_AK, len(token_NC)))
        return state_NC, met_NCK | self.progress.met_NK.unsqueeze(1)

    def places(self, token_NC: Tensor) -> Tensor:
        """The place in the tokens of each term after some tokens that follow each hypothesis, (N, C, K)."""
        longest = self.progress.recent_NL.shape[1]
        length_NK, token_NKL = (_spread(of, len(token_NC)) for of in (self.wanted.length_AK, self.wanted.token_AKL))
        before_NCL = self.progress.recent_NL.unsqueeze(1).expand(-1, token_NC.shape[1], -1)
        recent_NC1L = torch.cat((before_NCL, token_NC.unsqueeze(2)), dim=2)[:, :, None, 1:]
        place_NCK = torch.zeros((*token_NC.shape, length_NK.shape[1]), dtype=torch.int64, device=token_NC.device)
        for place in range(1, longest + 1):
            same_NCK = (recent_NC1L[..., longest - place :] == token_NKL[:, None, :, :place]).all(3)
            place_NCK = place_NCK.masked_fill(same_NCK & (length_NK >= place).unsqueeze(1), place)
        return place_NCK

    def best(
        self, total_AW: Tensor, value_AWC: Tensor, token_AWC: Tensor, keep: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The candidates of each sentence that are kept, best first: totals, tokens, their log P and parents' slots."""
        candidate_AM = (total_AW.unsqueeze(2) + value_AWC).flatten(1)
        chosen_AM = allocate(candidate_AM, self.banks(token_AWC), keep)
        total_AM, token_AM, value_AM = (
            tensor.flatten(1).gather(1, chosen_AM) for tensor in (candidate_AM, token_AWC, value_AWC)
        )
        return total_AM, token_AM, value_AM, chosen_AM // token_AWC.shape[2]

    def banks(self, token_AWC: Tensor) -> Tensor:
        """The number of tokens of terms that are met after some tokens that follow each hypothesis, (A, W·C).

        It counts all tokens of the terms that the text has, and of the others those of the one that it is furthest in.
        A hypothesis that lacks a term can always be continued so that this number grows: by the next token of that one,
        or, if only the end of its last word is missing, by the first of another or by EOS.
        """
        if not self.terms:
            return torch.zeros_like(token_AWC).flatten(1)
        token_NC = token_AWC.flatten(0, 1)
        met_NCK, place_NCK = self.after(token_NC)[1], self.places(token_NC)
        whole_NC = (met_NCK * _spread(self.wanted.length_AK, len(token_NC)).unsqueeze(1)).sum(2)
        bank_NC = whole_NC + place_NCK.masked_fill(met_NCK, 0).amax(2)
        return bank_NC.view(len(token_AWC), -1)

    def select(self, sentences: Tensor, row_N: Tensor) -> Self:
        """Keep some sentences, by their rows, and the hypotheses of these rows, as many for each of them."""
        if len(sentences) < len(self.wanted.phrase_AK):
            self.wanted = self.wanted.select(sentences)
        self.progress = self.progress.select(row_N)
        return self

    def read(self, token_N: Tensor) -> None:
        """Every hypothesis goes on with a token."""
        token_N1, recent_NL = token_N.unsqueeze(1), self.progress.recent_NL
        (state_N1, met_N1K), place_N1K = self.after(token_N1), self.places(token_N1)
        if self.terms:
            recent_NL = torch.cat((recent_NL, token_N1), dim=1)[:, 1:]
        self.progress = Progress(state_N1.squeeze(1), met_N1K.squeeze(1), place_N1K.squeeze(1), recent_NL)

    def reading(self, sentence_N: Tensor, prefix_NT: Tensor) -> Constraints:
        """Those after other hypotheses: a row for each of some sentences and what it begins with."""
        fresh = Constraints(self.lexicon, self.wanted.select(sentence_N), self.progress.select(sentence_N))
        for token_N in prefix_NT.unbind(1):
            fresh.read(token_N)
        return fresh

    def hold(self, sentence: int, tokens: Sequence[int]) -> bool:
        """Whether a whole output of a sentence keeps its constraints."""
        wanted = {*self.wanted.phrase_AK[sentence].tolist()} - {-1}
        return wanted <= self.lexicon.ended(tokens) and not self.lexicon.clash(tokens)


def _spread(values: Tensor, hypotheses: int) -> Tensor:
    """One row per sentence as one row per hypothesis."""
    return values.repeat_interleave(hypotheses // max(1, len(values)), dim=0)
