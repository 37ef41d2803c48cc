"""What a .model file says of its pieces, against files that SentencePiece and this test write."""

from __future__ import annotations

import struct

import pytest

from nmtkit.tokenizer.model_file import user_defined
from nmtkit.tokenizer.training import train_subwords


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, the eighth says that more follow."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def message(*fields: tuple[int, int, bytes]) -> bytes:
    return b"".join(varint(number * 8 + wire) + content for number, wire, content in fields)


def piece(text: str, kind: int | None) -> bytes:
    own = [(1, 2, varint(len(text.encode())) + text.encode()), (2, 5, struct.pack("<f", -1.5))]
    content = message(*own, *([] if kind is None else [(3, 0, varint(kind))]))
    return varint(len(content)) + content


@pytest.mark.parametrize("kinds", [[], [None], [4], [None, 4, 3, 6, 4, 1], [None] * 200 + [4]])
def test_the_pieces_of_type_4(kinds: list[int | None]) -> None:
    """Among other fields, of every wire type, and pieces that are longer than one byte can say."""
    pieces = [(1, 2, piece("x" * (3 * number), kind)) for number, kind in enumerate(kinds)]
    others = [(7, 0, varint(300)), (8, 1, bytes(8)), (9, 5, bytes(4)), (2, 2, varint(3) + b"abc")]
    expected = [number for number, kind in enumerate(kinds) if kind == 4]
    assert user_defined(message(*others, *pieces, *others)) == expected


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_those_of_sentencepiece(kind: str, lines: list[str]) -> None:
    symbols = ["<2de>", "⟨NAME⟩"]
    assert user_defined(train_subwords(lines, vocab_size=325, kind=kind, symbols=symbols).to_bytes()) == [4, 5]
    assert user_defined(train_subwords(lines, vocab_size=325, kind=kind).to_bytes()) == []
