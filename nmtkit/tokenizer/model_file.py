"""Reads from a SentencePiece .model file what the library does not tell: which pieces a user defined.

The file is a protocol buffer: fields with a number and a wire type. Field 1 repeats the pieces, each a message whose
field 3 is its type.
"""

from __future__ import annotations

from collections.abc import Iterator

PIECE, TYPE, USER_DEFINED = 1, 3, 4
VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5
MARK = bytes([TYPE << 3 | VARINT, USER_DEFINED])
"""The field of the type as it is written if a user defined the piece. Few other pieces contain it, by chance."""


def user_defined(model: bytes) -> list[int]:
    """The ids of the pieces that a user defined."""
    pieces = (value for field, value in _fields(model) if field == PIECE and isinstance(value, bytes))
    return [i for i, piece in enumerate(pieces) if MARK in piece and (TYPE, USER_DEFINED) in _fields(piece)]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of every field."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(message):
        number, wire = divmod(varint(), 8)
        if wire == VARINT:
            yield number, varint()
            continue
        size = varint() if wire == LENGTH else 8 if wire == FIXED_64 else 4
        yield number, message[place : place + size]
        place += size
