"""A vocabulary is whatever answers as one: subwords do, and so does a table that a tokenizer then takes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from nmtkit.batches.corpus import load_corpus
from nmtkit.specials import BOS, EOS, PAD, UNK
from nmtkit.tokenizer.subwords import Subwords
from nmtkit.tokenizer.tokenizer import Tokenizer
from nmtkit.tokenizer.vocabulary import Vocabulary

WORDS = ["<pad>", "<s>", "<unk>", "</s>", "a", "dog", "runs"]


class Table:
    """Words looked up in a list."""

    size = len(WORDS)
    features = None

    def encode(self, text: str) -> list[int]:
        return [WORDS.index(word) if word in WORDS[4:] else UNK for word in text.split()]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        return [*map(self.encode, texts)]

    def decode(self, ids: Iterable[int]) -> str:
        return " ".join(WORDS[i] for i in ids if i not in (PAD, BOS, EOS))

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [WORDS[i] for i in ids]

    def spellings(self) -> list[bytes]:
        return [f" {word}".encode() for word in WORDS]

    def ids_of(self, pieces: Iterable[str]) -> list[int]:
        return [WORDS.index(piece) for piece in pieces]

    def segmentations(self, text: str, n: int) -> list[list[int]]:
        return [self.encode(text)]

    def hash(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        return json.dumps(WORDS).encode()

    def save(self, path: str | os.PathLike[str]) -> None:
        Path(path).write_bytes(self.to_bytes())


def test_a_table_of_words_serves_as_a_vocabulary(tmp_path: Path) -> None:
    table: Vocabulary = Table()
    both = Tokenizer(table, table)
    assert both.joint and both.hash() == table.hash()
    corpus = load_corpus(["a dog"], ["dog runs cat"], both, 9, 9)
    assert corpus.source[0].tolist() == [4, 5, EOS] and corpus.target[0].tolist() == [5, 6, UNK, EOS]
    both.save(tmp_path)
    assert (tmp_path / "tokenizer.model").read_bytes() == table.to_bytes()


def test_two_vocabularies_have_the_hash_of_both_files(subwords: Subwords, tmp_path: Path) -> None:
    made = Tokenizer(subwords, Table())
    assert made.hash() == hashlib.sha256(subwords.to_bytes() + Table().to_bytes()).hexdigest()
    made.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokenizer.source.model", "tokenizer.target.model"]


@pytest.mark.parametrize("text", ["", "a dog", " zwei  männer"])
def test_subwords_answer_all_that_is_asked(subwords: Subwords, text: str, tmp_path: Path) -> None:
    vocabulary: Vocabulary = subwords
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text and max(ids, default=0) < vocabulary.size
    assert vocabulary.ids_of(vocabulary.pieces(ids)) == ids
    assert vocabulary.segmentations(text, 1) == [ids]
    vocabulary.save(tmp_path / "a.model")
    assert vocabulary.hash() == hashlib.sha256((tmp_path / "a.model").read_bytes()).hexdigest()
