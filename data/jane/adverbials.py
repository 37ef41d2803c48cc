"""Adverbials of time, place, manner and company, each a French and a marked English form."""

from lexicon import Lexicon, rows
from phrases import NUMBERS, Phrase, Phrases, clean, located
from rng import Rng

MONTHS = [
    ("septembre", "September"), ("juin", "June"), ("janvier", "January"), ("juillet", "July"), ("mai", "May"),
    ("avril", "April"), ("décembre", "December"), ("mars", "March"), ("novembre", "November"),
    ("octobre", "October"), ("février", "February"), ("août", "August"),
]  # fmt: skip
DAYS = [
    ("lundi", "Monday"), ("mardi", "Tuesday"), ("mercredi", "Wednesday"), ("jeudi", "Thursday"),
    ("vendredi", "Friday"), ("samedi", "Saturday"), ("dimanche", "Sunday"),
]  # fmt: skip
SEASONS = [("en été", "summer"), ("en hiver", "winter"), ("à le printemps", "spring"), ("en automne", "fall/autumn")]
UNITS = [
    ("jour", "jours", "day"), ("semaine", "semaines", "week"), ("mois", "mois", "month"), ("an", "ans", "year"),
    ("heure", "heures", "hour"),
]  # fmt: skip


def _table(kind: str) -> list[tuple[str, str]]:
    return [(row["french"], row["english"]) for row in rows("adverbials.tsv") if row["kind"] == kind]


PAST, FUTURE, NOW, HABIT = _table("past"), _table("future"), _table("now"), _table("habit")
MANNER, TRANSPORT, FREQUENCY, DONE = _table("manner"), _table("transport"), _table("frequency"), _table("done")
OPENERS, MOODS = _table("opener"), _table("mood")

Adverbial = tuple[str, str]


class Adverbials:
    """Draws adverbials that suit a tense."""

    def __init__(self, lexicon: Lexicon, rng: Rng, phrases: Phrases) -> None:
        self.lexicon, self.rng, self.phrases = lexicon, rng, phrases

    def _vary(self, pair: Adverbial) -> Adverbial:
        target = self.rng.variant(pair[1])
        return pair[0], target

    def month(self) -> Adverbial:
        fr, en = self.rng.choice(MONTHS)
        if self.rng.chance(0.1):
            return "à le mois de " + fr, f"in {en}/MONTH"
        return "en " + fr, f"in {en}/MONTH"

    def year(self) -> Adverbial:
        year = self.rng.between(1950, 2024)
        return f"en {year}", f"in {year}/NUM"

    def date(self) -> Adverbial:
        """A full date; both English orders occur."""
        day, year = self.rng.between(1, 28), self.rng.between(1950, 2024)
        fr, en = self.rng.choice(MONTHS)
        first = "1er" if day == 1 else str(day)
        if self.rng.chance(0.75):
            return f"le {first} {fr} {year}", f"on {en}/MONTH {day}/NUM , {year}/NUM"
        return f"le {first} {fr} {year}", f"on {day}/NUM {en}/MONTH {year}/NUM"

    def duration(self) -> Adverbial:
        number, target = self.rng.ranked(NUMBERS, 4)
        _, units, unit = self.rng.choice(UNITS)
        return f"pendant {number} {units}", f"for {target}/NUM {unit}s/N"

    def ago(self) -> Adverbial:
        number, target = self.rng.ranked(NUMBERS, 4)
        _, units, unit = self.rng.choice(UNITS)
        return f"il y a {number} {units}", f"{target}/NUM {unit}s/N ago"

    def time(self, tense: str) -> Adverbial:
        """A time adverbial that suits a French tense."""
        rng = self.rng
        season_fr, season_en = rng.choice(SEASONS)
        season = (season_fr, f"in {rng.variant(season_en)}/N")
        fr_month, en_month = rng.choice(MONTHS)
        fr_day, en_day = rng.choice(DAYS)
        if tense in ("perfect", "pluperfect"):
            return rng.pick([
                (self._vary(rng.ranked(PAST)), 5), ((f"en {fr_month} dernier", f"last {en_month}/MONTH"), 2.5),
                (self.year(), 2), (self.month(), 2), (self.ago(), 2), (self.date(), 0.7),
                ((f"{fr_day} dernier", f"last {en_day}/DAY"), 1.5),
            ])  # fmt: skip
        if tense in ("future", "near", "conditional"):
            number, target = rng.ranked(NUMBERS, 4)
            _, units, unit = rng.choice(UNITS)
            return rng.pick([
                (self._vary(rng.ranked(FUTURE)), 6), ((f"{fr_day} prochain", f"next {en_day}/DAY"), 1.5),
                (self.month(), 2),
                ((f"en {fr_month} prochain", f"next {en_month}/MONTH"), 1.5),
                ((f"dans {number} {units}", f"in {target}/NUM {unit}s/N"), 2), (season, 1),
            ])  # fmt: skip
        habit = [(self._vary(rng.ranked(HABIT)), 5), ((f"le {fr_day}", f"on {en_day}s/DAY"), 2), (season, 2)]
        return rng.pick([*habit, (self.month(), 3.5)] if tense == "present" else habit)

    def now(self) -> Adverbial:
        return self._vary(self.rng.ranked(NOW))

    def manner(self) -> Adverbial:
        fr, en = self._vary(self.rng.ranked(MANNER, 8))
        return fr, en + "/ADV" if " " not in en else en

    def transport(self) -> Adverbial:
        fr, en = self.rng.ranked(TRANSPORT)
        preposition, noun = en.split()
        return fr, f"{preposition} {noun}/N"

    def frequency(self) -> Adverbial:
        fr, en = self._vary(self.rng.ranked(FREQUENCY))
        return fr, en + "/ADV"

    def done(self) -> Adverbial:
        fr, en = self.rng.ranked(DONE)
        return fr, en + "/ADV"

    def opener(self) -> Adverbial:
        fr, en = self._vary(self.rng.ranked(OPENERS))
        return fr, en + "/ADV" if " " not in en else en

    def location(self) -> tuple[Adverbial, str]:
        """In a country or a city, with the key of the place."""
        place = self.phrases.place()
        return located(place, "in"), clean(place.french)

    def spot(self) -> Adverbial:
        """In a building or a landscape."""
        noun = self.rng.ranked(self.lexicon.nouns["park"] + self.lexicon.nouns["home"])
        where = self.phrases.noun(noun, "def" if self.rng.chance(0.75) else "indef", adjectives=0.15)
        while where.plural:
            where = self.phrases.noun(noun, "def", adjectives=0.15)
        return "dans " + where.french, "in " + where.english

    def company(self, subject: Phrase) -> Adverbial:
        other = self.phrases.name() if self.rng.chance(0.4) else self.phrases.relative(subject)
        if other.key == subject.key:
            other = self.phrases.relative(subject)
        return "avec " + other.french, "with " + other.english
