"""Phrases in what pieces spell: random vocabularies, whole characters and single bytes, against the text itself."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.phrase_toys import stands_in
from support.search_toys import few, many

import nmtkit.decoding.lexicon
from nmtkit.decoding.lexicon import Lexicon
from nmtkit.decoding.phrases import Phrases
from nmtkit.specials import EOS

CPU = torch.device("cpu")
phrases = st.lists(st.text("ab, é", min_size=1, max_size=3).map(str.strip).filter(bool), min_size=1, max_size=3)
pieces = st.lists(
    st.one_of(st.text("ab ,é", min_size=1, max_size=3).map(str.encode), st.sampled_from([b"\xc3", b"\xa9", b"\xe2"])),
    min_size=2,
    max_size=6,
)


def spelled(spellings: list[bytes], tokens: tuple[int, ...]) -> str:
    """The text, with U+FFFD for every byte that begins no character."""
    content, text = b"".join(spellings[token] for token in tokens), ""
    while content:
        for size in (1, 2, 3, 4):
            try:
                text += content[:size].decode()
            except UnicodeDecodeError:
                continue
            content = content[size:]
            break
        else:
            text, content = text + "\ufffd", content[1:]
    return text


@many
@given(known=phrases, own=pieces, tokens=st.lists(st.integers(0, 5), max_size=7))
def test_what_stands_in_an_output(known: list[str], own: list[bytes], tokens: list[int]) -> None:
    known, spellings = list(dict.fromkeys(known)), [b"", b"", b"", b"", *own]
    output = tuple(4 + token % len(own) for token in tokens)
    lexicon, text = Lexicon(Phrases(known), 1, spellings, CPU), spelled(spellings, output)
    assert lexicon.ended(output) == {number for number, one in enumerate(known) if stands_in(one, text)}
    assert lexicon.ended((*output, EOS)) == lexicon.ended(output)
    assert lexicon.clash(output) == (known[0] if stands_in(known[0], text) else "")


@few
@given(known=phrases, own=pieces, room=st.sampled_from([0, 2**27]))
def test_exactly_what_would_end_a_forbidden_phrase_is_banned(known: list[str], own: list[bytes], room: int) -> None:
    """All outputs of up to three pieces; one without a ban so far is banned where the phrase stands whatever follows.

    With room for no rows, all are made anew whenever one is missing.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nmtkit.decoding.lexicon, "KEPT", room)
        spellings = [b"", b"", b"", b"", *own]
        lexicon = Lexicon(Phrases(known), len(known), spellings, CPU)
        allowed = {(): lexicon.start}
        for length in range(3):
            prefixes = [prefix for prefix in allowed if len(prefix) == length]
            state_N = torch.tensor([allowed[prefix] for prefix in prefixes])
            banned_NV = lexicon.banned(state_N) if prefixes else None
            token_NV = torch.arange(len(spellings)).repeat(len(prefixes), 1)
            for row, (prefix, token) in enumerate(product(prefixes, range(EOS, len(spellings)))):
                text = spelled(spellings, prefix if token == EOS else (*prefix, token))
                place = row // (len(spellings) - EOS)
                banned = banned_NV is not None and bool(banned_NV[place, token])
                endings = [""] if token == EOS else ["a", ",", "\ufffd"]
                whole = [any(stands_in(phrase, text + ending) for phrase in known) for ending in endings]
                incomplete = spelled(spellings, (*prefix, token)).endswith("\ufffd")
                assert banned == all(whole) or (incomplete and not banned)
                if not banned and token != EOS:
                    states, _ = lexicon.read(state_N[place : place + 1], token_NV[:1])
                    allowed[(*prefix, token)] = int(states[0, token])


def test_terms_in_a_set_of_phrases() -> None:
    lexicon = Lexicon(Phrases(["x", "a b", "b"]), 1, [b"", b"", b"", b"", b" a b"], CPU)
    start = torch.tensor([lexicon.start])
    state, hit = lexicon.read(start, torch.tensor([[4, EOS]]))
    assert lexicon.among(hit, torch.tensor([[1, -1, 2]])).tolist() == [[[False] * 3, [False] * 3]]
    _, hit = lexicon.read(state[:, 0], torch.tensor([[4, EOS]]))
    assert lexicon.among(hit, torch.tensor([[1, -1, 2, 0]])).tolist() == [[[True, False, True, False]] * 2]
    assert lexicon.banned(state[:, 0]) is None and lexicon.banned(start) is None
