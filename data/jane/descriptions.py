"""Descriptions: weather, places through the year, comparisons, dated facts, what there is, favorites."""

import english
import french
from adverbials import DAYS, MONTHS, MOODS, SEASONS
from clauses import Clauses, Pair
from lexicon import rows
from phrases import PRONOUNS, Phrase, located, possessive
from sentences import ABSOLUTE
from verbgroup import be

WEATHER = [(row["french"], row["simple"], row["current"]) for row in rows("weather.tsv")]
COLORS = ("rouge", "bleu", "vert", "noir", "blanc", "jaune", "gris", "rose", "violet", "marron", "orange")
COMPARED = ("person", "animal", "building", "vehicle", "object", "furniture", "food")


class Descriptions:
    """Draws descriptions; every method gives a pair without its final punctuation."""

    def __init__(self, clauses: Clauses) -> None:
        self.rng, self.lexicon = clauses.rng, clauses.lexicon
        self.phrases, self.adverbials = clauses.phrases, clauses.adverbials

    def weather(self) -> Pair:
        """The weather, or how a place is at some time of the year."""
        rng = self.rng
        place = self.phrases.place()
        when = self.adverbials.month() if rng.chance(0.6) else self._season()
        where = located(place, "in")
        fr, simple, current = rng.ranked(WEATHER)
        if rng.chance(0.3):
            now = self.adverbials.now()
            return Pair(f"{fr} {where[0]} {now[0]}", f"{rng.variant(current)} {where[1]} {now[1]}")
        often = self.adverbials.frequency() if rng.chance(0.3) and fr.startswith(("il pleut", "il neige")) else ("", "")
        first, second = rng.variant(simple).split(" ", 1)
        body = Pair(f"{fr} {often[0]}", f"{first} {often[1]} {second}")
        if rng.chance(0.35):
            return Pair(f"{when[0]} , {body.french} {where[0]}", f"{when[1]} , {body.english} {where[1]}")
        return body.then(where).then(when)

    def _season(self) -> tuple[str, str]:
        fr, en = self.rng.choice(SEASONS)
        return fr, f"in {self.rng.variant(en)}/N"

    def climate(self) -> Pair:
        """A place is so in a month, and otherwise in another."""
        rng = self.rng
        place = self.phrases.place(cities=False)
        subject = self.phrases.place_phrase(place)
        first, second = rng.ranked(MOODS, 6), rng.ranked(MOODS, 6)
        when, then = self.adverbials.month(), self._season() if rng.chance(0.5) else self.adverbials.month()
        often = self.adverbials.frequency() if rng.chance(0.5) else ("", "")
        verb_fr = "sont" if subject.plural else "est"
        form, other = (french.adjective(mood[0], subject.gender, subject.plural) for mood in (first, second))
        start = Pair(
            f"{subject.french} {verb_fr} {often[0]} {form} {when[0]}",
            f"{subject.english} is {often[1]} {rng.variant(first[1])}/ADJ {when[1]}",
        )
        if first == second or rng.chance(0.3):
            return start
        joint = rng.choice([(", mais", ", but"), ("et", "and"), (", et", ", and"), (";", ";")])
        again = subject.pronoun()
        often = self.adverbials.frequency() if rng.chance(0.4) else ("", "")
        return start.then(
            (f"{again.french} {verb_fr} {often[0]} {other} {then[0]}",
             f"it is {often[1]} {rng.variant(second[1])}/ADJ {then[1]}"), joint,
        )  # fmt: skip

    def comparison(self) -> Pair:
        """More, less or as ... as."""
        rng = self.rng
        category = rng.choice(COMPARED)
        one, other = self._compared(category), self._compared(category)
        adjective = self.phrases.adjective(category)
        while adjective is None or adjective.french in COLORS + ABSOLUTE:
            adjective = self.phrases.adjective(category)
        base = {"bon": "meilleur", "mauvais": "pire"}.get(adjective.french, "")
        target = rng.variant(adjective.english)
        degree = rng.pick([("plus", 6), ("moins", 2), ("aussi", 3)])
        if base and degree != "aussi":
            degree = "plus"
        form = french.adjective(adjective.french, one.gender, one.plural)
        if base and degree == "plus":
            form = "pire" + ("s" if one.plural else "") if base == "pire" else (
                "meilleur" + ("e" if one.gender == "f" else "") + ("s" if one.plural else ""))  # fmt: skip
            words_fr, words_en = form, english.comparative(target) + "/ADJ"
        else:
            words_fr = f"{degree} {form}"
            words_en = {"plus": english.comparative(target), "moins": "less " + target, "aussi": "as " + target}[degree]
            words_en += "/ADJ"
        joint = "as" if degree == "aussi" else "than"
        verb = "sont" if one.plural else "est"
        much = ("beaucoup", "much") if degree in ("plus", "moins") and rng.chance(0.15) and not base else ("", "")
        return Pair(
            f"{one.french} {verb} {much[0]} {words_fr} que {other.french}",
            f"{one.english} {be('present', one)} {much[1]} {words_en} {joint} {other.english}",
        )

    def _compared(self, category: str) -> Phrase:
        rng = self.rng
        if category == "person" and rng.chance(0.6):
            return self.phrases.name() if rng.chance(0.6) else self.phrases.relative(PRONOUNS[0])
        noun = rng.ranked(self.lexicon.nouns[category], 5)
        return self.phrases.noun(noun, rng.pick([("def", 5), ("poss", 3), ("dem", 3)]), rng.choice(PRONOUNS), 0.05)

    def birth(self) -> Pair:
        """Births, deaths and other dated facts."""
        rng = self.rng
        subject = self.phrases.name() if rng.chance(0.6) else self.phrases.relative(rng.choice(PRONOUNS))
        place = self.phrases.place()
        where, when = located(place, "in"), rng.choice([self.adverbials.date(), self.adverbials.year()])
        verb, target = rng.pick([(("naître", "born"), 5), (("mourir", "die"), 2), (("arriver", "arrive"), 1.5)])
        form = french.participle(verb, subject.gender, subject.plural)
        start = f"{subject.french} {'sont' if subject.plural else 'est'} {form}"
        past = f"{be('past', subject)} born" if target == "born" else f"{target}d/V"
        if rng.chance(0.3):
            return Pair(f"{start} {when[0]}", f"{subject.english} {past} {when[1]}")
        if rng.chance(0.5):
            return Pair(f"{start} {where[0]} {when[0]}", f"{subject.english} {past} {where[1]} {when[1]}")
        return Pair(f"{start} {when[0]} {where[0]}", f"{subject.english} {past} {when[1]} {where[1]}")

    def existence(self) -> Pair:
        """There is or was something somewhere."""
        rng = self.rng
        category = rng.pick([("animal", 3), ("object", 3), ("person", 3), ("building", 2), ("plant", 1), ("food", 1)])
        noun = rng.ranked(self.lexicon.nouns[category], 5)
        det = "part" if noun.mass else rng.pick([("indef", 3), ("plural", 3), ("number", 3), ("quantity", 3)])
        thing = self.phrases.noun(noun, det)
        where = self.adverbials.location()[0] if rng.chance(0.4) else self.adverbials.spot()
        past = rng.chance(0.3)
        number = ("were" if past else "are") if thing.plural else ("was" if past else "is")
        verb = "avait" if past else "a"
        if thing.bare and rng.chance(0.18):
            shown = thing.english.removeprefix("some ").removeprefix("a ")
            return Pair(f"il n' y {verb} pas de {thing.bare} {where[0]}", f"there {number} no {shown} {where[1]}")
        return Pair(f"il y {verb} {thing.french} {where[0]}", f"there {number} {thing.english} {where[1]}")

    def favorite(self) -> Pair:
        """Somebody's favorite fruit, animal, month ..."""
        rng = self.rng
        owner = rng.choice(PRONOUNS[:7])
        kind = rng.choice("fruit animal pays mois jour sport instrument boisson ville matière".split())
        if kind in ("mois", "jour"):
            fr, en = rng.choice(MONTHS if kind == "mois" else DAYS)
            word = "month" if kind == "mois" else "day"
            what, en = ("le " + fr if kind == "jour" else fr), en + ("/MONTH" if kind == "mois" else "/DAY")
        elif kind in ("pays", "ville"):
            place = self.phrases.place(False) if kind == "pays" else self.phrases.city()
            phrase = self.phrases.place_phrase(place)
            what, en, word = phrase.french, phrase.english, "place" if kind == "pays" else "city"
            kind = "endroit" if kind == "pays" else kind
        else:
            group = {"boisson": "drink", "matière": "subject"}.get(kind, kind)
            noun = rng.ranked(self.lexicon.nouns[group], 5)
            definite = "la" if noun.gender == "f" else "le"
            what, word = f"{definite} {noun.french}", group
            en = ("" if noun.mass else "the ") + rng.variant(noun.english) + "/N"
        female = kind in ("boisson", "ville", "matière")
        favorite = "préférée" if female else "préféré"
        from_owner = {True: possessive(owner, "f", False), False: possessive(owner, "m", False)}[female]
        verb = "est" if not what.startswith("les ") else "sont"
        whose = "their" if owner.french == "ils" else owner.possessive_en
        return Pair(f"{from_owner} {kind} {favorite} {verb} {what}", f"{whose} favorite {word}/N is {en}")
