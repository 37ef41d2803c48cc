"""Verb groups on both sides: tense, negation, clitic pronouns, agreement of the participle, adverb in the middle."""

from dataclasses import dataclass, replace

import english
import french
from lexicon import Verb
from phrases import Phrase, possessive

REFLEXIVES = "me te se nous vous se".split()
COMPOUND = {"perfect": "present", "pluperfect": "imperfect"}
SIMPLE = {"present", "imperfect", "future", "conditional"}
NEGATIONS = {"not": "pas", "never": "jamais", "longer": "plus"}


@dataclass(frozen=True)
class Setting:
    """What a verb group needs besides its verb and its subject.

    tense names the French tense; aspect the English form chosen for it (simple, progressive, perfect, used,
    going, will).
    """

    tense: str = "present"
    aspect: str = "simple"
    negation: str = ""
    middle: tuple[str, str] = ("", "")

    def affirmed(self) -> "Setting":
        return replace(self, negation="", middle=("", ""))


def _tail(verb: Verb, subject: Phrase) -> str:
    return verb.tail.replace("ses", possessive(subject, "f", True))


def french_group(
    verb: Verb, subject: Phrase, setting: Setting, clitic: str = "", agree: Phrase | None = None, inverted: str = ""
) -> str:
    """The French group without its subject; agree is the object that stands before it, if any."""
    person, tense = subject.french_person, setting.tense
    reflexive = REFLEXIVES[person] if verb.reflexive else ""
    never = NEGATIONS.get(setting.negation, "")
    middle = setting.middle[0]
    if tense == "near":
        finite = french.conjugate("aller", "present", person)
        parts = ["ne" if never else "", finite, never, middle, reflexive, clitic, verb.head]
    elif tense in COMPOUND:
        auxiliary = "être" if verb.with_etre else "avoir"
        finite = french.conjugate(auxiliary, COMPOUND[tense], person)
        governor = subject if verb.with_etre else agree
        gender, plural = (governor.gender, governor.plural) if governor else ("m", False)
        if subject.french == "on" and verb.with_etre:
            plural = True
        agreed = french.participle(verb.head, gender, plural)
        parts = ["ne" if never else "", reflexive, clitic, finite + inverted, never, middle, agreed]
    else:
        finite = french.conjugate(verb.head, tense, person)
        parts = ["ne" if never else "", reflexive, clitic, finite + inverted, never, middle]
    return " ".join(part for part in [*parts, _tail(verb, subject)] if part)


def french_infinitive(verb: Verb, subject: Phrase, clitic: str = "") -> str:
    reflexive = REFLEXIVES[subject.french_person] if verb.reflexive else ""
    return " ".join(part for part in [reflexive, clitic, verb.head, _tail(verb, subject)] if part)


def be(tense: str, subject: Phrase) -> str:
    if tense == "present":
        return "are" if subject.plural_en or subject.person == 2 else "am" if subject.person == 1 else "is"
    return "were" if subject.plural_en or subject.person == 2 else "was"


def _head(target: str, subject: Phrase, form: str) -> str:
    """The inflected, marked main verb with the fixed words after it."""
    first, _, rest = target.partition(" ")
    if first == "be":
        marked = be("present" if form in ("s", "base") else "past", subject) if form in ("s", "past") else ""
        marked = marked or {"base": "be", "ing": "being", "participle": "been"}[form]
    else:
        third = form == "s" and not subject.plural_en and subject.person == 3
        marked = english.inflect(first, form if form != "s" or third else "base") + "/V"
    if rest == "POSS vacation":
        rest = f"{subject.possessive_en} vacation/N"
    elif rest:
        rest = rest + "/ADJ"
    return f"{marked} {rest}".strip()


def english_infinitive(target: str, subject: Phrase, form: str = "base") -> str:
    """A non-finite form with its fixed words: "visit", "visiting", "visited"."""
    return _head(target, subject, form)


def english_parts(target: str, subject: Phrase, setting: Setting) -> tuple[str, str]:
    """The English auxiliary (empty if there is none) and the rest of the group, without negation."""
    tense, aspect = setting.tense, setting.aspect
    base = _head(target, subject, "base")
    if target == "can":
        return {"present": ("can", ""), "imperfect": ("could", ""), "conditional": ("could", "")}[tense]
    if tense == "near":
        return be("present", subject), "going to " + base
    if tense == "future":
        return (be("present", subject), "going to " + base) if aspect == "going" else ("will", base)
    if tense == "conditional":
        return "would", base
    if tense == "pluperfect":
        return "had", _head(target, subject, "participle")
    if aspect == "progressive":
        return be("present" if tense == "present" else "past", subject), _head(target, subject, "ing")
    if aspect == "perfect":
        has = "has" if subject.person == 3 and not subject.plural_en else "have"
        return has, _head(target, subject, "participle")
    if aspect == "used":
        return "", "used to " + base
    form = "s" if tense == "present" else "past"
    if target.startswith("be ") or target == "be":
        verb, _, rest = _head(target, subject, form).partition(" ")
        return verb, rest
    return "", _head(target, subject, form)


def english_group(target: str, subject: Phrase, setting: Setting) -> str:
    """The English group without its subject, negated and with its adverb in place."""
    auxiliary, rest = english_parts(target, subject, setting)
    middle = setting.middle[1]
    if setting.negation == "not":
        if not auxiliary:
            auxiliary, rest = support(target, subject, setting)
        return " ".join(part for part in (auxiliary, "not", middle, rest) if part)
    middle = {"never": "never", "longer": "no longer"}.get(setting.negation, middle)
    return " ".join(part for part in (auxiliary, middle, rest) if part)


def support(target: str, subject: Phrase, setting: Setting) -> tuple[str, str]:
    """The group with the auxiliary "do", for negation and questions."""
    base = _head(target, subject, "base")
    if setting.tense == "present":
        return ("does" if subject.person == 3 and not subject.plural_en else "do"), base
    return "did", base


def question_parts(target: str, subject: Phrase, setting: Setting) -> tuple[str, str]:
    """The auxiliary that goes before the subject in a question, and the rest."""
    auxiliary, rest = english_parts(target, subject, setting)
    return (auxiliary, rest) if auxiliary else support(target, subject, setting)
