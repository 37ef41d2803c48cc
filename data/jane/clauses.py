"""Clauses of the grammar: a verb with its object, place, infinitive and adverbials, rendered on both sides."""

from dataclasses import dataclass, replace

import french
from adverbials import Adverbials
from holdout import Combination
from lexicon import Lexicon, Noun, Verb
from phrases import Phrase, Phrases, clean, located
from rng import Rng
from verbgroup import (
    Setting,
    english_group,
    english_infinitive,
    french_group,
    french_infinitive,
    question_parts,
)

SEPARABLE = ("tear_up", "pick_up", "throw_away", "try_on", "give_back", "give_up")
COUNTABLE_DETS = [
    ("indef", 30), ("def", 24), ("poss", 13), ("dem", 9), ("number", 7), ("quantity", 6), ("plural", 11),
]  # fmt: skip
TENSES = [("present", 42), ("perfect", 30), ("future", 9), ("imperfect", 8), ("near", 6), ("conditional", 2.5),
          ("pluperfect", 2.5)]  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two matching strings: marked French and marked English."""

    french: str
    english: str

    def then(self, other: "Pair | tuple[str, str]", joint: tuple[str, str] = ("", "")) -> "Pair":
        fr, en = (other.french, other.english) if isinstance(other, Pair) else other
        return Pair(f"{self.french} {joint[0]} {fr}", f"{self.english} {joint[1]} {en}")


@dataclass(frozen=True)
class Action:
    """A verb chosen with its English verb and what it acts on, before any tense is given to it."""

    verb: Verb
    target: str
    subject: Phrase
    object: Phrase | None = None
    place: tuple[str, str] | None = None


class Clauses:
    """Builds clauses and remembers the combinations that the sentence under construction contains."""

    def __init__(self, lexicon: Lexicon, rng: Rng) -> None:
        self.lexicon, self.rng = lexicon, rng
        self.phrases = Phrases(lexicon, rng)
        self.adverbials = Adverbials(lexicon, rng, self.phrases)
        self.combinations: list[Combination] = []
        self.lean = 0.0

    def start(self) -> None:
        """Forget the last sentence, and draw how this one renders the tenses that English splits in two."""
        self.combinations.clear()
        self.phrases.log.clear()
        self.lean = self.rng.uniform()

    def tense(self) -> str:
        return self.rng.pick(TENSES)

    def action(self, subject: Phrase, frames: str = "TLI") -> Action:
        """A random verb of the given frames with its object or place."""
        rng = self.rng
        weights = {"T": 64, "L": 22, "I": 14}
        frame = rng.pick([(name, weights[name]) for name in frames])
        verb = rng.ranked(self.lexicon.verbs[frame], 10)
        target = rng.variant(verb.english)
        if frame == "T":
            return Action(verb, target, subject, self.object(verb, subject))
        if frame == "L":
            place = self.phrases.city() if "city" in verb.classes else self.phrases.place()
            self.combinations.append((verb.key, clean(place.french)))
            return Action(verb, target, subject, place=located(place, verb.link))
        return Action(verb, target, subject)

    def object(self, verb: Verb, subject: Phrase) -> Phrase:
        rng = self.rng
        category = rng.ranked(verb.classes, 2)
        if category == "place":
            place = self.phrases.place()
            self.combinations.append((verb.key, clean(place.french)))
            return self.phrases.place_phrase(place)
        noun = rng.ranked(self.phrases.relatives(subject) if category == "family" else self.lexicon.nouns[category], 5)
        self.combinations.append((verb.key, noun.key))
        if noun.category == "person" and verb.classes[0] in ("person", "family") and rng.chance(0.25):
            name = self.phrases.name()
            if name.key != subject.key:
                return name
        return self.decorated(verb, noun, subject)

    def decorated(self, verb: Verb, noun: Noun, subject: Phrase) -> Phrase:
        """The noun with a determiner that suits the verb."""
        rng, phrases = self.rng, self.phrases
        category = noun.category
        if category == "family":
            return phrases.noun(noun, "poss", subject, adjectives=0)
        if category in ("sport", "subject"):
            plain = verb.french == "parler" and not verb.link
            return phrases.noun(noun, "bare" if plain else "generic", adjectives=0)
        if category == "culture":
            return self.culture(noun)
        if category == "instrument" and verb.french == "jouer":
            phrase = phrases.noun(noun, "def", adjectives=0)
            return phrase if not phrase.plural else self.decorated(verb, noun, subject)
        if verb.link and noun.mass:
            return phrases.noun(noun, "def", adjectives=0.1)
        if "g" in verb.flags:
            return phrases.noun(noun, "generic", adjectives=0.12)
        if noun.mass:
            return phrases.noun(noun, rng.pick([("part", 6), ("def", 3), ("poss", 1), ("dem", 1)]), subject)
        single = verb.french in ("prendre", "conduire", "attendre", "manquer") and category == "vehicle"
        if single or (verb.french == "porter" and category == "clothes"):
            return phrases.noun(noun, rng.pick([("def", 6), ("indef", 3), ("poss", 2)]), subject)
        if category in ("building", "event", "nature"):
            return phrases.noun(noun, rng.pick([("def", 5), ("indef", 4), ("dem", 1.5), ("number", 0.5),
                                                ("plural", 1.5), ("quantity", 0.7)]), subject)  # fmt: skip
        return phrases.noun(noun, rng.pick(COUNTABLE_DETS), subject)

    def culture(self, noun: Noun) -> Phrase:
        rng, phrases = self.rng, self.phrases
        phrase = phrases.noun(noun, "generic" if noun.mass else "def", adjectives=0)
        while phrase.plural:
            phrase = phrases.noun(noun, "def", adjectives=0)
        if rng.chance(0.45):
            word, target = rng.ranked(self.lexicon.nationalities, 6)
            head, _, tail = phrase.english.rpartition("the ")
            return replace(
                phrase, french=f"{phrase.french} {french.adjective(word, noun.gender, False)}",
                english=f"{'the ' if head or phrase.english.startswith('the ') else ''}{target}/ADJ {tail}",
            )  # fmt: skip
        if rng.chance(0.35):
            place = phrases.place_phrase(phrases.place(cities=False))
            return replace(
                phrase, french=f"{phrase.french} de {place.french}",
                english=f"the {phrase.english.removeprefix('the ')} of {place.english}",
            )  # fmt: skip
        return phrase

    def setting(self, action: Action, tense: str, kind: str = "", negatable: bool = True) -> Setting:
        """Tense, English aspect, negation and middle adverb; kind tells of the time adverbial (time, now, habit)."""
        rng, stative = self.rng, action.verb.stative
        negation = rng.pick([("", 88), ("not", 9), ("never", 1.5), ("longer", 1.5)]) if negatable else ""
        if kind in ("now", "time") and negation in ("never", "longer"):
            negation = ""
        middle = ("", "")
        if not negation and negatable and kind != "now" and rng.chance(0.14):
            if tense in ("present", "imperfect"):
                middle = self.adverbials.frequency()
            elif tense == "perfect" and not kind:
                middle = self.adverbials.done()
        aspect = "simple"
        if tense == "present" and not stative:
            share = {"now": 1.0, "habit": 0.0}.get(kind, 0.36 if not kind else 0.25)
            aspect = "progressive" if not middle[0] and negation != "never" and self.lean < share else "simple"
        elif tense == "perfect" and not kind:
            share = {"déjà": 1.0, "enfin": 0.3, "vraiment": 0.0}.get(middle[0], 0.7 if negation == "never" else 0.25)
            aspect = "perfect" if self.lean < share else "simple"
        elif tense == "imperfect" and not negation and not middle[0]:
            if stative:
                aspect = rng.pick([("simple", 7), ("used", 3)])
            elif kind == "habit":
                aspect = rng.pick([("simple", 5), ("used", 5)])
            else:
                aspect = rng.pick([("progressive", 7), ("used", 2), ("simple", 2)])
        elif tense == "future":
            aspect = rng.pick([("will", 8), ("going", 2)])
        return Setting(tense, aspect, negation, middle)

    def render(self, action: Action, setting: Setting, pronoun: bool = False) -> Pair:
        """The predicate (without subject); with pronoun, the object is a clitic."""
        verb, thing = action.verb, action.object
        clitic, agree = "", None
        if pronoun and thing is not None:
            clitic, agree = direct_clitic(thing), thing
        fr = french_group(verb, action.subject, setting, clitic, agree)
        en = english_group(action.target, action.subject, setting)
        if thing is None:
            return Pair(fr, en).then(action.place or ("", ""))
        if pronoun:
            return Pair(fr, attach(en, action.target, thing.object_en()))
        link = verb.link
        spoken = thing.negated(link) if setting.negation in ("not", "never", "longer") else thing.after(link)
        shown = thing.english
        if setting.negation and thing.bare and not link and shown.startswith("some "):
            shown = shown.removeprefix("some ") if setting.negation == "never" else "any " + shown.removeprefix("some ")
        return Pair(f"{fr} {spoken}", f"{en} {shown}")

    def infinitive(self, action: Action, form: str = "base") -> Pair:
        fr = french_infinitive(action.verb, action.subject)
        en = english_infinitive(action.target, action.subject, form)
        if action.object is not None:
            return Pair(f"{fr} {action.object.after(action.verb.link)}", f"{en} {action.object.english}")
        return Pair(fr, en).then(action.place or ("", ""))

    def question(self, action: Action, setting: Setting) -> tuple[Pair, str]:
        """The predicate as in a question, and the English auxiliary that goes before the subject."""
        pair = self.render(action, setting.affirmed())
        auxiliary, rest = question_parts(action.target, action.subject, setting)
        plain = english_group(action.target, action.subject, setting.affirmed())
        return Pair(pair.french, rest + " " + pair.english.removeprefix(plain).strip()), auxiliary


def direct_clitic(thing: Phrase) -> str:
    if thing.plural:
        return "les°"
    return "la°" if thing.gender == "f" else "le°"


def attach(group: str, target: str, pronoun: str) -> str:
    """Put an object pronoun after the verb, or between a verb and its particle."""
    if target in SEPARABLE:
        particle = target.split("_")[1]
        return group.replace(f"_{particle}/V", "/V") + f" {pronoun} {particle}"
    return f"{group} {pronoun}"
