"""One SentencePiece model as a vocabulary: text to the ids of its pieces and back (Kudo and Richardson 2018)."""

from __future__ import annotations

import hashlib
import math
import os
import random
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path

import sentencepiece

from nmtkit import files
from nmtkit.specials import BOS, EOS, PAD, UNK
from nmtkit.tokenizer.merges import Skips, merge
from nmtkit.tokenizer.model_file import user_defined

HINT = "make one with: nmtkit train-tokenizer"
BPE_DROPOUT = 0.1  # the probability to skip a merge that Provilkov et al. (2020) recommend
SAMPLED_NBEST = 64  # as in Kudo (2018)
LARGEST_NBEST = 512  # SentencePiece returns no more
WORD = re.compile("▁[^▁]*|[^▁]+")
UNKNOWN = " ⁇ "  # SentencePiece's text for UNK
NO_SKIPS = Skips(0.0, random.Random(0))
WORDS_KEPT = 2**16  # words whose pieces are kept for `sample`


class Subwords:
    """A `Vocabulary`. Models from `train_subwords` are lossless: decode(encode(text)) == text for text without U+2581
    and newline.

    Attributes:
        size: the number of pieces.
        features: None, because a vocabulary is for text.
        kind: "unigram" or "bpe".
        symbols: texts that are always one piece. Of two that overlap the first counts, of two that begin together the
            longer.
    """

    def __init__(self, model: bytes, name: str = "the tokenizer", fix: str = HINT) -> None:
        """`model` holds the bytes of a SentencePiece .model file; error messages call it `name` and end with `fix`."""
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except (RuntimeError, TypeError):
            raise ValueError(f"{name}: not a SentencePiece model; {fix}") from None
        processor = self._processor
        specials = (processor.pad_id(), processor.bos_id(), processor.unk_id(), processor.eos_id())
        if specials != (PAD, BOS, UNK, EOS):
            raise ValueError(
                f"{name}: has its special tokens <pad> <s> <unk> </s> at the ids {' '.join(map(str, specials))}, "
                f"but nmtkit needs {PAD} {BOS} {UNK} {EOS}; {fix}"
            )
        self.size: int = processor.get_piece_size()
        self.features: int | None = None
        self.kind = _kind(processor, name, fix)
        self._symbols = {processor.id_to_piece(i): i for i in user_defined(model)}
        longest_first = sorted(self._symbols, key=len, reverse=True)
        self._symbol = re.compile("|".join(map(re.escape, longest_first)))
        self._merged = lru_cache(WORDS_KEPT)(self._merge)

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._symbols)

    @classmethod
    def from_bytes(cls, model: bytes) -> Subwords:
        """The model in the bytes of a SentencePiece .model file; raises ValueError if it is not one nmtkit can use."""
        return cls(model)

    @classmethod
    def load(cls, path: str | os.PathLike[str], fix: str = HINT) -> Subwords:
        """The model in a SentencePiece .model file; raises ValueError if it is not one nmtkit can use."""
        if Path(path).exists() and not Path(path).is_file():
            raise ValueError(f"{path}: is not a file; name a SentencePiece .model file")
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

    def hash(self) -> str:
        """The SHA-256 of these bytes."""
        return hashlib.sha256(self._model).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the .model file."""
        with files.replacing(path) as temporary:
            temporary.write_bytes(self._model)

    def encode(self, text: str) -> list[int]:
        """The ids of the best segmentation, without BOS and EOS."""
        ids: list[int] = self._processor.encode(text)
        return ids if self._keeps_symbols(text, ids) else self._by_symbols(text, NO_SKIPS)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """What `encode` gives for each of many texts, in one call of SentencePiece."""
        all_ids: list[list[int]] = self._processor.encode(list(texts), num_threads=1)
        if not self._symbols:
            return all_ids
        pairs = zip(texts, all_ids, strict=True)
        return [ids if self._keeps_symbols(text, ids) else self.encode(text) for text, ids in pairs]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; PAD, BOS and EOS have none, and bytes that are not UTF-8 become U+FFFD."""
        text: str = self._processor.decode([int(i) for i in ids])
        return text

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The pieces of the ids as the model writes them, with U+2581 for a space."""
        return [self._processor.id_to_piece(int(i)) for i in ids]

    def spellings(self) -> list[bytes]:
        """The bytes that each piece adds to a text, by id; also the space that `decode` drops at the beginning."""
        return [*map(self._spelling, range(self.size))]

    def _spelling(self, token: int) -> bytes:
        piece: str = self._processor.id_to_piece(token)
        if self._processor.is_byte(token):
            return bytes([int(piece[3:5], 16)])
        if self._processor.is_control(token):
            return b""
        text = UNKNOWN if self._processor.is_unknown(token) else piece.replace("▁", " ")
        return text.encode()

    def ids_of(self, pieces: Iterable[str]) -> list[int]:
        """The ids of pieces as `pieces` gives them; ValueError for a text that is not a piece."""
        ids = [self._processor.piece_to_id(piece) for piece in pieces]
        for piece, token in zip(pieces, ids, strict=True):
            if self._processor.id_to_piece(token) != piece:
                raise ValueError(f"{piece!r} is no piece of the tokenizer")
        return ids

    def sample(self, text: str, alpha: float, seed: int) -> list[int]:
        """A random segmentation, the same one for the same seed (SentencePiece's own differs from run to run).

        Unigram: one of the 64 most probable, drawn in proportion to P(segmentation)^alpha (Kudo 2018). BPE: at every
        merge, each candidate is left out with probability alpha (Provilkov et al. 2020).
        """
        rng = random.Random(seed)
        if self.kind == "bpe":
            return self._by_symbols(text, Skips(alpha, rng))
        candidates = self._candidates(text, SAMPLED_NBEST)
        scores = [sum(map(self._scores.__getitem__, ids)) for ids in candidates]
        best = max(scores)
        return rng.choices(candidates, [math.exp(alpha * (score - best)) for score in scores])[0]

    def restores(self, ids: list[int]) -> bool:
        """Whether the text of the ids has these ids again; for BPE also by the merges that `sample` leaves out."""
        text = self.decode(ids)
        return ids == (self._by_symbols(text, NO_SKIPS) if self.kind == "bpe" else self.encode(text))

    def segmentations(self, text: str, n: int) -> list[list[int]]:
        """Up to n different segmentations, at most 512, `encode(text)` first.

        Unigram: the n most probable. BPE has no order among them: different BPE-dropout samples, always the same ones.
        """
        candidates: Iterable[list[int]]
        n = min(n, LARGEST_NBEST)
        if self.kind == "unigram":
            candidates = self._candidates(text, n)
        else:
            candidates = (self.sample(text, BPE_DROPOUT, seed) for seed in range(20 * n))
        different = {tuple(self.encode(text)): None}
        for candidate in candidates:
            if len(different) >= n:
                break
            different[tuple(candidate)] = None
        return [list(ids) for ids in different]

    def _candidates(self, text: str, n: int) -> list[list[int]]:
        """The most probable of a unigram model's n best segmentations that split no symbol."""
        best: list[list[int]] = self._processor.nbest_encode(text, nbest_size=n)
        return [ids for ids in best if self._keeps_symbols(text, ids)] or [self.encode(text)]

    def _keeps_symbols(self, text: str, ids: list[int]) -> bool:
        """Whether every symbol of the text is one of the ids."""
        if not self._symbols:
            return True
        known = {*self._symbols.values()}
        return [i for i in ids if i in known] == [self._symbols[symbol] for symbol in self._symbol.findall(text)]

    def _by_symbols(self, text: str, skips: Skips) -> list[int]:
        """The ids of a text, which is first cut at its symbols."""
        normalized, ids, start = self._processor.normalize(text), [], 0
        for match in self._symbol.finditer(normalized) if self._symbols else ():
            ids += [*self._plain(normalized[start : match.start()], skips), self._symbols[match[0]]]
            start = match.end()
        return [*ids, *self._plain(normalized[start:], skips)]

    def _plain(self, text: str, skips: Skips) -> list[int]:
        """The ids of a text that has ▁ for spaces and no symbols."""
        if self.kind == "unigram":
            return [i for piece in self._most_probable(text) for i in self._ids(piece)]
        ids: list[int] = []
        for word in WORD.findall(text):
            plain, merges = self._merged(word)
            ids += plain if skips.none_among(merges) else self._merge(word, skips)[0]
        return ids

    def _merge(self, word: str, skips: Skips = NO_SKIPS) -> tuple[list[int], int]:
        """The ids of a word, and the number of merges that make its pieces."""
        pieces = merge(word, self._ranks, skips)
        return [i for piece in pieces for i in self._ids(piece)], len(word) - len(pieces)

    def _most_probable(self, text: str) -> list[str]:
        """The unigram model's best segmentation of a text by Viterbi's algorithm; unknown characters cost most."""
        unknown = min(self._ranks.values(), default=0.0) - 10  # as in SentencePiece
        longest = max(map(len, self._ranks), default=1)
        best: list[tuple[float, int]] = [(0.0, 0)]
        for end in range(1, len(text) + 1):
            costs = [
                (best[start][0] + self._ranks.get(text[start:end], unknown), start)
                for start in range(max(0, end - longest), end)
                if text[start:end] in self._ranks or start == end - 1
            ]
            best.append(max(costs))
        pieces, end = [], len(text)
        while end:
            pieces.append(text[best[end][1] : end])
            end = best[end][1]
        return pieces[::-1]

    def _ids(self, symbol: str) -> list[int]:
        """The id of a piece, or those of its bytes if it is a character without one."""
        if symbol in self._ranks:
            return [self._processor.piece_to_id(symbol)]
        return [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in symbol.encode("utf-8")]

    @cached_property
    def _scores(self) -> list[float]:
        """The score of every piece by id: a logarithm of its probability in a unigram model."""
        return [self._processor.get_score(i) for i in range(self.size)]

    @cached_property
    def _ranks(self) -> dict[str, float]:
        """The score of every piece that stands for text, by piece: pieces of a higher score are merged earlier."""
        processor = self._processor
        marks = (processor.is_control, processor.is_unknown, processor.is_byte, processor.is_unused)
        symbols = {*self._symbols.values()}
        texts = [i for i in range(self.size) if i not in symbols and not any(mark(i) for mark in marks)]
        return {processor.id_to_piece(i): self._scores[i] for i in texts}


def _kind(processor: sentencepiece.SentencePieceProcessor, name: str, fix: str) -> str:
    """ "unigram" or "bpe", recognised by what the model can do: only unigram models have n-best lists."""
    with suppress(RuntimeError):
        if processor.nbest_encode("a", nbest_size=1):  # old releases of SentencePiece return nothing, new ones raise
            return "unigram"
    try:
        processor.encode("a", enable_sampling=True, alpha=BPE_DROPOUT, nbest_size=-1)
        return "bpe"
    except RuntimeError:
        raise ValueError(f"{name}: is neither a unigram nor a BPE model; {fix}") from None
