"""Noun phrases of the grammar: each holds its French and its English form, its agreement and its key."""

from dataclasses import dataclass, replace

import english
import french
from lexicon import Adjective, Lexicon, Noun, Place
from rng import Rng

NUMBERS = [
    ("deux", "two"), ("trois", "three"), ("quatre", "four"), ("cinq", "five"), ("six", "six"), ("dix", "ten"),
    ("sept", "seven"), ("*huit", "eight"), ("neuf", "nine"), ("douze", "twelve"), ("quinze", "fifteen"),
    ("vingt", "twenty"), ("trente", "thirty"), ("cent", "a_hundred"), ("cinquante", "fifty"), ("quarante", "forty"),
    ("treize", "thirteen"), ("quatorze", "fourteen"), ("seize", "sixteen"), ("*onze", "eleven"),
]  # fmt: skip
QUANTITIES = [
    ("beaucoup de", "many/a lot of"), ("plusieurs", "several"), ("quelques", "some/a few"), ("peu de", "few"),
    ("tant de", "so many"), ("trop de", "too many"),
]  # fmt: skip
COUPLES = ("mari", "femme", "fiancé", "fiancée")
POSSESSIVES = [
    ("mon", "ma", "mes", "my"), ("ton", "ta", "tes", "your"), ("son", "sa", "ses", "his"),
    ("notre", "notre", "nos", "our"), ("votre", "votre", "vos", "your"), ("leur", "leur", "leurs", "their"),
]  # fmt: skip


@dataclass(frozen=True)
class Phrase:
    """A noun phrase or pronoun on both sides."""

    french: str
    english: str
    gender: str = "m"
    plural: bool = False
    person: int = 3
    bare: str = ""  # the French without its article, where "de" takes the article's place
    key: str = ""
    human: bool = False
    owner: str = ""  # the English possessive, where it is not that of the gender
    singular_en: bool = False  # plural in French, singular in English
    named: bool = False
    indefinite: bool = False

    @property
    def french_person(self) -> int:
        """je = 0 ... ils = 5."""
        if self.french == "on":
            return 2
        return self.person - 1 + (3 if self.plural else 0)

    @property
    def plural_en(self) -> bool:
        return self.plural and not self.singular_en

    @property
    def possessive_en(self) -> str:
        if self.person == 3 and not self.plural_en:
            return ("her" if self.gender == "f" else "his") if self.human else "its"
        return POSSESSIVES[self.person - 1 + (3 if self.plural_en else 0)][3]

    def after(self, link: str) -> str:
        """The French phrase after a preposition, or as a direct object."""
        if link == "de" and self.bare and not self.french.startswith(("un ", "une ")):
            return "de " + self.bare
        return (link + " " + self.french).strip()

    def negated(self, link: str) -> str:
        """The same in the scope of a negation."""
        return "de " + self.bare if self.bare and not link else self.after(link)

    def pronoun(self) -> "Phrase":
        """The subject pronoun that refers to this phrase."""
        if self.person != 3 or self.french == "on":
            return self
        word = ("elles" if self.gender == "f" else "ils") if self.plural else ("elle" if self.gender == "f" else "il")
        if self.plural_en:
            target = "they"
        else:
            target = ("she" if self.gender == "f" else "he") if self.human else "it"
        return replace(self, french=word, english=target, bare="", named=False, indefinite=False)

    def object_en(self) -> str:
        return {"I": "me", "he": "him", "she": "her", "we": "us", "they": "them"}.get(
            self.pronoun().english, self.pronoun().english
        )


PRONOUNS = [
    Phrase("je", "I", person=1, human=True), Phrase("il", "he", human=True), Phrase("elle", "she", "f", human=True),
    Phrase("nous", "we", plural=True, person=1, human=True), Phrase("ils", "they", plural=True, human=True),
    Phrase("vous", "you", plural=True, person=2, human=True), Phrase("tu", "you", person=2, human=True),
    Phrase("elles", "they", "f", plural=True, human=True), Phrase("on", "we", plural=True, person=1, human=True),
    Phrase("je", "I", "f", person=1, human=True),
]  # fmt: skip
PRONOUN_WEIGHTS = [6, 6, 6, 4, 4, 3, 2, 2, 0.7, 3]


def clean(text: str) -> str:
    return text.replace("*", "")


def possessive(owner: Phrase, gender: str, plural: bool) -> str:
    forms = POSSESSIVES[3 if owner.french == "on" else owner.french_person]
    if plural:
        return forms[2]
    return forms[1] + ("~" if len(forms[1]) == 2 else "") if gender == "f" else forms[0]


class Phrases:
    """Draws noun phrases from the lexicon."""

    def __init__(self, lexicon: Lexicon, rng: Rng) -> None:
        self.lexicon, self.rng = lexicon, rng
        self.log: list[tuple[str, str]] = []  # the names and places drawn for the sentence under construction

    def name(self) -> Phrase:
        rng = self.rng
        if rng.chance(0.1):
            self.log.append(("name", "Jane"))
            return Phrase("Jane", "Jane/NAME", "f", human=True, key="Jane", named=True)
        gender = "f" if rng.chance(0.5) else "m"
        name = rng.ranked(self.lexicon.women if gender == "f" else self.lexicon.men, 12)
        self.log.append(("name", clean(name)))
        return Phrase(name, clean(name) + "/NAME", gender, human=True, key=clean(name), named=True)

    def place(self, cities: bool = True) -> Place:
        if cities and self.rng.chance(0.35):
            return self.city()
        first = self.rng.chance(0.03)  # Africa, the place of the running example, comes often
        place = self.lexicon.places[0] if first else self.rng.ranked(self.lexicon.places, 14)
        self.log.append(("place", clean(place.french)))
        return place

    def city(self) -> Place:
        place = self.rng.ranked(self.lexicon.cities, 12)
        self.log.append(("place", clean(place.french)))
        return place

    def place_phrase(self, place: Place) -> Phrase:
        article = "" if place.article in "ae" else "les" if place.plural else "la" if place.gender == "f" else "le"
        return Phrase(
            (article + " " + place.french).strip(), place_en(place), place.gender, place.plural,
            key=clean(place.french), singular_en=True,
        )  # fmt: skip

    def person(self) -> Phrase:
        """A human subject: a name, a pronoun, a common noun, two names, a relative."""
        rng = self.rng
        kind = rng.pick([("name", 40), ("pronoun", 22), ("noun", 20), ("pair", 6), ("family", 10)])
        if kind == "pronoun":
            return rng.pick(list(zip(PRONOUNS, PRONOUN_WEIGHTS, strict=True)))
        if kind == "noun":
            noun = rng.ranked(self.lexicon.nouns["person"], 6)
            return self.noun(noun, rng.pick([("def", 5), ("indef", 2), ("dem", 1.5), ("number", 1), ("plural", 2)]))
        if kind == "family":
            return self.relative(rng.choice(PRONOUNS[:4]))
        first = self.name()
        if kind == "name":
            return first
        second = self.name() if rng.chance(0.7) else self.relative(first)
        if second.key == first.key:
            return first
        gender = "f" if first.gender == second.gender == "f" else "m"
        return Phrase(
            f"{first.french} et {second.french}", f"{first.english} and {second.english}", gender, True, human=True
        )

    def relative(self, owner: Phrase) -> Phrase:
        return self.noun(self.rng.ranked(self.relatives(owner)), "poss", owner, adjectives=0)

    def relatives(self, owner: Phrase) -> list[Noun]:
        """What relatives an owner can have: several people share no husband or wife."""
        return [noun for noun in self.lexicon.nouns["family"] if not owner.plural or noun.french not in COUPLES]

    def adjective(self, category: str, before: bool | None = None) -> Adjective | None:
        fits = [a for a in self.lexicon.adjectives_for(category) if before is None or a.before == before]
        return self.rng.ranked(fits, 6) if fits else None

    def noun(self, noun: Noun, det: str, owner: Phrase | None = None, adjectives: float = 0.22) -> Phrase:
        """A noun with a determiner: def, indef, poss, dem, number, quantity, plural, generic, part, bare."""
        rng = self.rng
        plural = det in ("number", "quantity", "plural", "generic") and not noun.mass
        if det in ("def", "poss", "dem") and not noun.mass and "-" not in noun.french and noun.category != "family":
            plural = rng.chance(0.2)
        target = rng.variant(noun.english)
        before, after, before_en = "", "", ""
        if rng.chance(adjectives):
            before, after, before_en = self._adjectives(noun, plural)
        core = french.pluralize(noun.french) if plural else noun.french
        fr_noun = " ".join(f"{before} {core} {after}".split())
        en_noun = f"{before_en} {english.plural(target) if plural else target}/N".strip()
        fr_det, en_det, replaced = self._determiner(noun, det, plural, before, owner)
        human = noun.category in ("person", "family")
        return Phrase(
            f"{fr_det} {fr_noun}".strip(), f"{en_det} {en_noun}".strip(), noun.gender, plural,
            bare=fr_noun if replaced else "", key=noun.key, human=human, indefinite=replaced or det == "number",
        )  # fmt: skip

    def _adjectives(self, noun: Noun, plural: bool) -> tuple[str, str, str]:
        """One or two adjectives: the French before the noun, after it, and the English."""
        rng = self.rng
        before = after = before_en = ""
        first = self.adjective(noun.category)
        if noun.category in ("person", "food", "text", "culture", "drink", "event", "vehicle") and rng.chance(0.3):
            word, target = rng.ranked(self.lexicon.nationalities, 6)
            after, before_en = french.adjective(word, noun.gender, plural), target + "/ADJ"
            first = self.adjective(noun.category, before=True) if rng.chance(0.3) else None
        elif first is not None and first.before and rng.chance(0.2):
            second = self.adjective(noun.category, before=False)
            if second is not None:
                after, before_en = french.adjective(second.french, noun.gender, plural), rng.variant(second.english)
                before_en += "/ADJ"
        if first is not None:
            form = french.adjective(first.french, noun.gender, plural)
            before_en = (rng.variant(first.english) + "/ADJ " + before_en).strip()
            if first.before:
                before = form + ("~" if form in french.BEFORE_VOWEL and not plural else "")
            else:
                after = form
        return before, after, before_en

    def _determiner(
        self, noun: Noun, det: str, plural: bool, before: str, owner: Phrase | None
    ) -> tuple[str, str, bool]:
        """The French and the English determiner, and whether "de" replaces the French one."""
        rng, female = self.rng, noun.gender == "f"
        definite = "les" if plural else "la" if female else "le"
        if det == "def":
            return definite, "the", False
        if det == "generic":
            return definite, "", False
        if det == "indef":
            return ("une" if female else "un"), "a", True
        if det == "part":
            return "de " + definite, "some" if rng.chance(0.4) else "", True
        if det == "plural":
            return ("de" if before else "des"), "some" if rng.chance(0.4) else "", True
        if det == "dem":
            form = "ces" if plural else "cette" if female else "ce~"
            return form, rng.variant("these/those" if plural else "this/that"), False
        if det == "number":
            number, target = rng.ranked(NUMBERS, 3)
            return number, target + "/NUM", False
        if det == "quantity":
            quantity, target = rng.ranked(QUANTITIES, 2)
            return quantity, rng.variant(target), False
        if det == "poss" and owner is not None:
            return possessive(owner, noun.gender, plural), owner.possessive_en, False
        return "", "", False


def place_en(place: Place) -> str:
    """The marked English name: "Africa/PLACE", "the United_States/PLACE"."""
    if place.english.startswith("the "):
        return "the " + place.english[4:].replace(" ", "_") + "/PLACE"
    return place.english.replace(" ", "_") + "/PLACE"


def located(place: Place, link: str) -> tuple[str, str]:
    """A place with a preposition (in, to, from, for) on both sides."""
    target = f"{link} {place_en(place)}"
    name, article = place.french, place.article
    if link == "for":
        return "pour " + {"a": "", "e": ""}.get(article, "les " if place.plural else article_of(place)) + name, target
    if link == "from":
        if article in ("a", "e", "f") or (article == "m" and french.opens_with_vowel(name)):
            return "de " + name, target
        return "de " + ("les " if place.plural else "le ") + name, target
    if article == "a":
        return "à " + name, target
    if article in ("f", "e") or (article == "m" and french.opens_with_vowel(name)):
        return "en " + name, target
    return "à " + ("les " if place.plural else "le ") + name, target


def article_of(place: Place) -> str:
    return "la " if place.gender == "f" else "le "
