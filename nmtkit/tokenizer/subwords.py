"""One SentencePiece model: text to the ids of its pieces and back (Kudo and Richardson 2018)."""

from __future__ import annotations

import math
import os
import random
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import sentencepiece

from nmtkit.specials import BOS, EOS, PAD, UNK

HINT = "make one with: nmtkit train-tokenizer"
BPE_DROPOUT = 0.1  # the probability to skip a merge that Provilkov et al. (2020) recommend
SAMPLED_NBEST = 64  # as in Kudo (2018)
LARGEST_NBEST = 512  # SentencePiece gives no more


class Subwords:
    """Models from `train_subwords` are lossless: decode(encode(text)) == text for text without U+2581 and newline."""

    def __init__(self, model: bytes, name: str = "the tokenizer", fix: str = HINT) -> None:
        """`model` holds the bytes of a SentencePiece .model file; error messages call it `name` and end with `fix`."""
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except (RuntimeError, TypeError):
            raise ValueError(f"{name}: not a SentencePiece model; {fix}") from None
        processor = self._processor
        found = (processor.pad_id(), processor.bos_id(), processor.unk_id(), processor.eos_id())
        if found != (PAD, BOS, UNK, EOS):
            raise ValueError(
                f"{name}: has its special tokens <pad> <s> <unk> </s> at the ids {' '.join(map(str, found))}, "
                f"but nmtkit needs {PAD} {BOS} {UNK} {EOS}; {fix}"
            )
        self.size: int = processor.get_piece_size()
        self.kind = _kind(processor, name, fix)

    @classmethod
    def from_bytes(cls, model: bytes) -> Subwords:
        """The model in the bytes of a SentencePiece .model file; raises ValueError if it is not one nmtkit can use."""
        return cls(model)

    @classmethod
    def load(cls, path: str | os.PathLike[str], fix: str = HINT) -> Subwords:
        """The model in a SentencePiece .model file; raises ValueError if it is not one nmtkit can use."""
        if Path(path).exists() and not Path(path).is_file():
            raise ValueError(f"{path}: is no file; name a SentencePiece .model file")
        try:
            model = Path(path).read_bytes()
        except FileNotFoundError:
            raise ValueError(f"{path}: no such tokenizer; {fix}") from None
        except OSError as error:
            raise ValueError(f"{path}: cannot be read ({error.strerror}); name a SentencePiece .model file") from None
        return cls(model, str(path), fix)

    def to_bytes(self) -> bytes:
        """The bytes of the .model file."""
        return self._model

    def encode(self, text: str) -> list[int]:
        """The ids of the best segmentation, without BOS and EOS."""
        ids: list[int] = self._processor.encode(text)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; PAD, BOS and EOS have none, and bytes that are not UTF-8 become U+FFFD."""
        text: str = self._processor.decode([int(i) for i in ids])
        return text

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The pieces of the ids as the model writes them, with U+2581 for a space."""
        return [self._processor.id_to_piece(int(i)) for i in ids]

    def ids_of(self, pieces: Iterable[str]) -> list[int]:
        """The ids of pieces as `pieces` gives them; ValueError for one that is none."""
        ids = [self._processor.piece_to_id(piece) for piece in pieces]
        for piece, found in zip(pieces, ids, strict=True):
            if self._processor.id_to_piece(found) != piece:
                raise ValueError(f"{piece!r} is no piece of the tokenizer")
        return ids

    def sample(self, text: str, alpha: float, seed: int) -> list[int]:
        """A random segmentation, the same one for the same seed (SentencePiece's own differs from run to run).

        Unigram: one of the 64 most probable, drawn in proportion to P(segmentation)^alpha (Kudo 2018). BPE: at every
        merge, each candidate is left out with probability alpha (Provilkov et al. 2020).
        """
        rng = random.Random(seed)
        if self.kind == "unigram":
            candidates: list[list[int]] = self._processor.nbest_encode(text, nbest_size=SAMPLED_NBEST)
            scores = [alpha * sum(map(self._processor.get_score, ids)) for ids in candidates]
            return rng.choices(candidates, [math.exp(score - max(scores)) for score in scores])[0]
        words = re.findall("▁[^▁]*|[^▁]+", self._processor.normalize(text))
        return [i for word in words for symbol in self._merge(list(word), alpha, rng) for i in self._ids(symbol)]

    def nbest(self, text: str, n: int) -> list[list[int]]:
        """Up to n different segmentations, at most 512, `encode(text)` first.

        Unigram: the n most probable. BPE knows no order among them: different BPE-dropout samples, always the same.
        """
        candidates: Iterable[list[int]]
        n = min(n, LARGEST_NBEST)
        if self.kind == "unigram":
            candidates = self._processor.nbest_encode(text, nbest_size=n)
        else:
            candidates = (self.sample(text, BPE_DROPOUT, seed) for seed in range(20 * n))
        found = {tuple(self.encode(text)): None}
        for candidate in candidates:
            if len(found) >= n:
                break
            found[tuple(candidate)] = None
        return [list(ids) for ids in found]

    def _merge(self, symbols: list[str], dropout: float, rng: random.Random) -> list[str]:
        """Joins neighbours, the best pair first and the leftmost of equals, until no candidate is left."""
        while True:
            pairs = [symbols[i] + symbols[i + 1] for i in range(len(symbols) - 1)]
            found = [(i, self._ranks[pair]) for i, pair in enumerate(pairs) if pair in self._ranks]
            kept = [candidate for candidate in found if rng.random() >= dropout]
            if not kept:
                return symbols
            best, _ = max(kept, key=lambda candidate: candidate[1])
            symbols[best : best + 2] = [pairs[best]]

    def _ids(self, symbol: str) -> list[int]:
        """The id of a piece, or those of its bytes if it is a character without one."""
        if symbol in self._ranks:
            return [self._processor.piece_to_id(symbol)]
        return [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in symbol.encode("utf-8")]

    @cached_property
    def _ranks(self) -> dict[str, float]:
        """The score of every piece that stands for text, by piece: the higher, the earlier it is merged."""
        processor = self._processor
        marks = (processor.is_control, processor.is_unknown, processor.is_byte, processor.is_unused)
        texts = [i for i in range(self.size) if not any(mark(i) for mark in marks)]
        return {processor.id_to_piece(i): processor.get_score(i) for i in texts}


def _kind(processor: sentencepiece.SentencePieceProcessor, name: str, fix: str) -> str:
    """ "unigram" or "bpe", told by what the model can do: n-best lists or merges to skip."""
    with suppress(RuntimeError):
        if processor.nbest_encode("a", nbest_size=1):  # older releases of SentencePiece give nothing, newer ones raise
            return "unigram"
    try:
        processor.encode("a", enable_sampling=True, alpha=BPE_DROPOUT, nbest_size=-1)
        return "bpe"
    except RuntimeError:
        raise ValueError(f"{name}: is neither a unigram nor a BPE model; {fix}") from None
