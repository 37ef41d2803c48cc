"""Scored translations as lines: tab-separated columns, or a JSON object a line.

The columns, as far as they are asked for, are J, log P in nats, length in pieces (EOS counted); pieces and the log P of
each, separated by spaces; and the text last. White space and backslashes inside a piece are written as escapes (\\t,
\\u3000), as in Python; a tab inside a text is written as a space.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmtkit.decoding.hypothesis import Hypothesis


def columns(
    hypothesis: Hypothesis | None, text: str, *, scores: bool, pieces: Sequence[str] | None, extra: Sequence[str] = ()
) -> list[str]:
    """The columns of a translation; they are empty where it could not be done and the hypothesis is None.

    Args:
        scores: whether J, log P and length stand first.
        pieces: the pieces of the tokens, if pieces and their log P are wanted.
        extra: more columns after the scores.
    """
    if hypothesis is None:
        return [*[""] * (3 * scores + len(extra) + 2 * (pieces is not None)), text]
    fields = [number(hypothesis.score), number(hypothesis.total), str(hypothesis.length)] if scores else []
    fields += extra
    if pieces is not None:
        fields += [" ".join(map(escaped, pieces)), " ".join(map(number, hypothesis.log_probs))]
    return [*fields, text]


def row(columns: Sequence[str]) -> str:
    """The columns as a line; a tab in the text, the last column, becomes a space where there are other columns."""
    *facts, text = columns
    return "\t".join([*facts, text.replace("\t", " ")]) if facts else text


def to_json(hypothesis: Hypothesis | None, text: str, pieces: Sequence[str] | None, **facts: Any) -> str:
    """A translation as a JSON object; null where the hypothesis is None, and for −∞, which JSON does not know."""
    record: dict[str, Any] = {**facts, "j": None, "log_p": None, "length": None}
    if hypothesis is not None:
        record.update(j=_finite(hypothesis.score), log_p=_finite(hypothesis.total), length=hypothesis.length)
        if pieces is not None:
            record["tokens"] = [
                {"piece": piece, "id": token, "log_p": _finite(log_p)}
                for piece, token, log_p in zip(pieces, hypothesis.tokens, hypothesis.log_probs, strict=True)
            ]
    return json.dumps({**record, "text": text}, ensure_ascii=False)


def number(value: float) -> str:
    """A number with six decimals."""
    return f"{value:.6f}"


def escaped(piece: str) -> str:
    """A piece with white space and backslashes written as escapes."""
    return "".join(_escape(character) if character.isspace() or character == "\\" else character for character in piece)


def unescaped(piece: str) -> str:
    """The inverse of `escaped`."""
    return re.sub(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[a-z])", _meant, piece)


def _meant(escape: re.Match[str]) -> str:
    return escape[0].encode("ascii").decode("unicode_escape")


def _escape(character: str) -> str:
    return "\\x20" if character == " " else character.encode("unicode_escape").decode("ascii")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
