"""A glossary as people write it: which terms a line has, their pieces, and lines that cannot have them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.blame_toys import Numbers
from support.phrase_toys import SYMBOLS, Letters, stands_in
from support.search_toys import many
from support.toys import TableModel

from nmtkit.decoding.settings import SearchSettings
from nmtkit.glossary import Bound, Glossary
from nmtkit.specials import EOS
from nmtkit.translator import Translator

LETTERS: Any = Letters()
SETTINGS = SearchSettings(beam=2, length_alpha=0.0, max_length=4)


def translator(*tables: Any) -> Translator:
    sides: Any = SimpleNamespace(source=Numbers(), target=LETTERS, features=None)
    return Translator(TableModel.written([tables[0], *tables], symbols=SYMBOLS), sides)


@pytest.mark.parametrize(
    ("line", "targets"),
    [
        ("an ice cream", ["Eis"]),
        ("ice and ice cream", ["Eis", "Glatteis"]),
        ("ice creams", ["Glatteis"]),
        ("Ice, icecream", []),
        ("a dog, a dog", ["Hund"]),
        ("hot dog", ["Hot Dog"]),
        ("", []),
    ],
)
def test_the_terms_of_a_line(line: str, targets: list[str]) -> None:
    """A term inside a longer one does not count there."""
    terms = (("ice", "Glatteis"), ("ice cream", "Eis"), ("dog", "Hund"), ("hot dog", "Hot Dog"), ("dogs", "Hund"))
    assert sorted(Glossary((), terms).terms_in(line)) == targets


@pytest.mark.parametrize(
    ("forbidden", "terms", "words"),
    [
        ([" "], [], "a phrase or term is blank: leave it out"),
        ([], [("a", "")], "a phrase or term is blank: leave it out"),
        ([], [("a", "b"), ("a", "c")], "the term 'a' has two translations, 'b' and 'c': keep one"),
    ],
)
def test_what_is_no_glossary(forbidden: list[str], terms: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}$"):
        Glossary(tuple(forbidden), tuple(terms))


@many
@given(target=st.lists(st.sampled_from(["a", "b", "ab", "bb", "abb", "bab", "ab,"]), min_size=1).map(" ".join))
def test_the_pieces_of_a_term_spell_it_after_any_word(target: str) -> None:
    tokens = Bound(Glossary((), (("x", target),)), LETTERS).term(target).tokens
    assert stands_in(target, f"b{b''.join(LETTERS.spellings()[token] for token in tokens).decode()}")


def test_terms_that_cannot_be() -> None:
    with pytest.raises(
        ValueError, match="^the term 'xa' cannot be spelled in the pieces of the tokenizer: leave it out$"
    ):
        Bound(Glossary((), (("1", "xa"),)), LETTERS)
    with pytest.raises(ValueError, match="^the term 'a b' contains 'b', which is forbidden: leave one of them out$"):
        Bound(Glossary(("b",), (("1", "a b"),)), LETTERS)
    assert Bound(Glossary(("b",), (("1", "ab"),)), LETTERS).term("ab").tokens == (4, 5)


def test_a_term_of_a_script_without_spaces_has_none_before_it() -> None:
    class Han(Letters):
        def spellings(self) -> list[bytes]:
            return [*super().spellings()[:4], b" ", "狗".encode(), " 狗".encode()]

        def encode(self, text: str) -> list[int]:
            return [4, 5]

    vocabulary: Any = Han()
    assert Bound(Glossary((), (("dog", "狗"),)), vocabulary).term("狗").tokens == (5,)


def test_the_limit_holds_the_terms() -> None:
    """Two pieces, a prefix of one and EOS; but not more than the model can hold."""
    for longest, limit in ((None, 4), (9, 4), (3, 3)):
        bound = Bound(Glossary((), (("1", "ab"),)), LETTERS, longest)
        model = translator({(): {4: 1.0}})
        settings = SearchSettings(max_length=2)
        source = model.read(["1", "0"], settings)
        queries = bound.constrain(model.queries(source, settings, [[6], [6]]), source, settings)
        assert [query.limit for query in queries] == [limit, 2]
        assert [len(query.terms) for query in queries] == [1, 0]
    with pytest.raises(ValueError, match="^free_eos and terms both say which hypotheses stay in the beam"):
        bound.constrain([], source, SearchSettings(free_eos=True))


NO_A = {(): {5: 1.0}, (5,): {5: 0.5, EOS: 0.5}, (5, 5): {EOS: 1.0}}


def test_a_line_that_cannot_have_its_terms_is_translated_without_them(capsys: pytest.CaptureFixture[str]) -> None:
    """The model never says " a". The other line is not searched again."""
    model = translator(NO_A, {(): {4: 1.0}, (4,): {EOS: 1.0}})
    glossary = Glossary((), (("1", "a"), ("2", "a")))
    found = model.search(["1", "2"], SETTINGS, 7, glossary=glossary)
    assert [[one.text for one in own] for own in found] == [["b"], ["a"]]
    warning = "line 7: no translation of at most 4 pieces was found with its terms: translated without them"
    assert capsys.readouterr().err == f"warning: {warning}\n"


def test_a_line_with_nothing_but_what_is_forbidden_fails() -> None:
    model = translator({(): {5: 1.0}, (5,): {EOS: 1.0}})
    with pytest.raises(ValueError, match="^line 3: no translation was found without a forbidden phrase: forbid less"):
        model.search(["1"], SETTINGS, 3, glossary=Glossary(("b",)))


def test_a_prefix_with_a_forbidden_phrase_fails() -> None:
    model = translator(NO_A)
    with pytest.raises(ValueError, match="^line 1: the prefix contains 'b', which is forbidden$"):
        model.search(["1"], SETTINGS, glossary=Glossary(("b",)), prefixes=[[5]])
    (found,) = model.search(["1"], SETTINGS, glossary=Glossary(("b b",)), prefixes=[[5]])
    assert found[0].text == "b" or stands_in("bb", found[0].text)
