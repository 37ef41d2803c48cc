"""Subword models learned from text: unigram language model (Kudo 2018) or byte pair encoding (Sennrich et al. 2016)."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import compress

import numpy as np
import sentencepiece

from nmtkit.console import note
from nmtkit.interrupts import interruptible
from nmtkit.settings import SEED, bounds, nearest
from nmtkit.specials import BOS, EOS, PAD, UNK
from nmtkit.tokenizer.options import COVERAGE, KINDS, TokenizerOptions, check_symbols
from nmtkit.tokenizer.subwords import Subwords
from nmtkit.words import counted

SPECIALS_AND_BYTES = 4 + 256
THREADS = 4  # fixed, because unigram training sums by thread and the model records the number
LARGEST_VOCABULARY = 10**7
MANY = 2_000_000
"""Lines from a sample of which a tokenizer learns by default; SentencePiece keeps all that it learns from in memory."""
LONGEST_LINE = 2**30  # bytes; SentencePiece silently leaves out longer lines


def train_subwords(
    lines: Iterable[str],
    *,
    vocab_size: int,
    kind: str = "unigram",
    character_coverage: float = 1.0,
    max_lines: int | None = None,
    seed: int = 1,
    symbols: Sequence[str] = (),
) -> Subwords:
    """A lossless subword model with `vocab_size` pieces: 4 special tokens, the symbols, 256 bytes, and what it learns.

    Nothing is normalised, every space is kept, and characters outside the vocabulary are spelled in bytes, so no text
    becomes UNK. The rarest characters, those beyond the share `character_coverage` of the text, get no piece of their
    own. A symbol is one piece wherever it stands. If the text has more than `max_lines` lines (None: `MANY`), it learns
    from a sample that `seed` draws. The same call gives the same bytes. `lines` are read twice and not kept, except for
    an iterator, which can be read only once. Raises ValueError if the text is empty, or too small or too varied for
    `vocab_size`.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of tokenizer {kind!r};{nearest(kind, KINDS)}")
    COVERAGE.check("character_coverage", character_coverage)
    if max_lines is not None:
        bounds(TokenizerOptions, "max_lines").check("max_lines", max_lines, whole=True)
    SEED.check("seed", seed, whole=True)
    check_symbols(symbols)
    texts = _sampled(lines, max_lines, seed)
    model, smallest = io.BytesIO(), SPECIALS_AND_BYTES + len(symbols)
    try:
        train = partial(
            sentencepiece.SentencePieceTrainer.train,
            sentence_iterator=texts,
            model_writer=model,
            vocab_size=min(max(vocab_size, smallest), LARGEST_VOCABULARY),  # beyond these bounds it always fails
            model_type=kind,
            pad_id=PAD,
            bos_id=BOS,
            unk_id=UNK,
            eos_id=EOS,
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=True,
            character_coverage=character_coverage,
            max_sentence_length=LONGEST_LINE,
            num_threads=THREADS,
            minloglevel=2,
            user_defined_symbols=list(symbols),
        )
        interruptible(train)
    except RuntimeError as error:
        raise ValueError(_explain(str(error), vocab_size, len(symbols))) from None
    return Subwords.from_bytes(model.getvalue())


def _sampled(lines: Iterable[str], max_lines: int | None, seed: int) -> Iterator[str]:
    """The lines that are not blank, or a sample of them in their order."""
    lines = list(lines) if iter(lines) is lines else lines
    total = sum(1 for line in lines if line.strip())
    if not total:
        raise ValueError("the tokenizer has no text to learn from: every line is empty; give it text")
    texts = (line for line in lines if line.strip())
    if total <= (max_lines or MANY):
        return texts
    if max_lines is None:
        note(f"the tokenizer learns from {MANY:,} of {total:,} lines; max_lines asks for another number")
    chosen = np.zeros(total, dtype=bool)
    chosen[random.Random(seed).sample(range(total), max_lines or MANY)] = True
    return compress(texts, chosen)


def _explain(error: str, vocab_size: int, symbols: int) -> str:
    """SentencePiece's error in words that tell the user what to change."""
    problem = f"a vocabulary of {counted(vocab_size, 'piece')} is too"
    if small := re.search(r"smaller than required_chars. \d+ vs (\d+)", error):
        smallest = int(small[1])
        parts = ["4 special tokens", "256 bytes", counted(smallest - SPECIALS_AND_BYTES - symbols, "character")]
        if symbols:
            parts.insert(1, counted(symbols, "symbol"))
        return (
            f"{problem} small for this text, which needs {smallest:,} or more ({', '.join(parts)}); raise the "
            "vocabulary size or lower the character coverage"
        )
    if large := re.search(r"value <= (\d+)", error):
        return (
            f"{problem} large for this text, which has {int(large[1]):,} at most; lower the vocabulary size or add text"
        )
    return (
        f"no tokenizer with {counted(vocab_size, 'piece')} could be learned from this text; SentencePiece says: {error}"
    )
