"""The whole grammar: which kinds of sentence there are, how often each comes, and the finished pair."""

from collections.abc import Callable
from dataclasses import dataclass

import english
import french
from clauses import Action, Clauses, Pair
from composed import Composed
from descriptions import Descriptions
from holdout import Combination
from lexicon import Lexicon
from phrases import PRONOUNS, Phrase, clean, located
from questions import Questions
from rng import Rng
from sentences import Sentences

JOURNEYS = ("se rendre", "aller", "retourner", "voyager")
PRAISES = [
    ("merveilleux", "wonderful"), ("magnifique", "magnificent"), ("inoubliable", "unforgettable"),
    ("intéressant", "interesting"), ("extraordinaire", "extraordinary"),
]  # fmt: skip
JOINTS = [(";", ";"), (", mais", ", but"), (", et", ", and"), (", alors que", ", while"), (", donc", ", so")]
Maker = Callable[[], Pair]


@dataclass(frozen=True)
class Example:
    """One sentence pair with its target pattern and the combinations of words that it contains."""

    french: str
    english: str
    pattern: str
    combinations: tuple[Combination, ...]


class Grammar:
    """Draws finished sentence pairs."""

    def __init__(self, lexicon: Lexicon, rng: Rng) -> None:
        self.lexicon, self.rng = lexicon, rng
        self.clauses = Clauses(lexicon, rng)
        self.simple = Sentences(self.clauses)
        self.described = Descriptions(self.clauses)
        self.composed, self.questions = Composed(self.simple), Questions(self.simple)
        self.kinds: list[tuple[Maker, float]] = [
            (self.statement, 23), (self.simple.travel, 9), (self.simple.state, 3.5), (self.described.weather, 4),
            (self.described.climate, 4), (self.described.comparison, 4), (self.described.birth, 2.5),
            (self.described.existence, 4),
            (self.described.favorite, 1.6), (self.composed.coordinated, 7), (self.composed.subordinate, 8),
            (self.composed.imperfect_when, 2.5), (self.composed.taken_up, 5), (self.composed.relative, 6),
            (self.composed.reported, 5), (self.composed.wish, 7), (self.composed.urged, 2.5), (self.gerund, 2),
            (self.journey, 2.5), (self.contrast, 2.5), (self.long, 11),
        ]  # fmt: skip

    def statement(self) -> Pair:
        return self.simple.clause(rich=2.0)

    def gerund(self) -> Pair:
        return self.composed.gerund(self.composed.phrases.person(), self.clauses.tense())

    def contrast(self) -> Pair:
        """Two statements side by side."""
        subject = self.simple.phrases.person()
        joint = self.rng.choice([(";", ";"), (", mais", ", but"), (", et", ", and"), (", alors que", ", while")])
        second = self.simple.clause(self.composed.again(subject), rich=0.4)
        return self.simple.clause(subject, rich=0.5).then(second, joint)

    def journey(self, rich: float = 0.6) -> Pair:
        """A journey told in the past, then its effect, as in the long example of the lectures."""
        rng = self.rng
        subject = self.simple.phrases.name()
        go = rng.choice([verb for verb in self.lexicon.verbs["L"] if verb.french in JOURNEYS])
        place = self.simple.phrases.place()
        self.clauses.combinations.append((go.key, clean(place.french)))
        action = Action(go, rng.variant(go.english), subject, place=located(place, go.link))
        start = Pair(subject.french, subject.english).then(self.simple.predicate(action, "perfect", 2.4, False))
        middle = self.composed.predicates(subject, "perfect", rng.between(1, 2), rich)
        told = start.then(middle, (",", ",") if " et " in middle.french and rng.chance(0.7) else ("et", "and"))
        again = subject.pronoun()
        if rng.chance(0.4):
            return told.then(self._back(again), (";", ";"))
        more = self.composed.coordinated(again, 2, rich, "present")
        return told.then(more, rng.choice([(";", ";"), (", et", ", and")]))

    def _back(self, subject: Phrase) -> Pair:
        """Coming back, and saying how the journey was."""
        rng = self.rng
        back = rng.choice([("revenu", "came/V back"), ("rentré", "came/V home"), ("revenu", "returned/V")])
        form = french.adjective(back[0], subject.gender, False)
        praise = rng.choice(PRAISES)
        trip = rng.variant("trip/journey")
        other = rng.choice([PRONOUNS[0], PRONOUNS[3]])
        clitic, target = {"je": ("me", "me"), "nous": ("nous", "us")}[other.french]
        return Pair(
            f"{subject.french} est {form} en disant que son voyage était {praise[0]} , et {subject.french} "
            f"{clitic} encourage à y aller aussi",
            f"{subject.english} {back[1]} saying/V that {subject.possessive_en} {trip}/N was {praise[1]}/ADJ , and "
            f"{subject.english} {rng.choice(['encourages/V', 'is encouraging/V'])} {target} to go/V there "
            f"{rng.choice(['too', 'as well'])}",
        )

    def long(self) -> Pair:
        """A chain of clauses, thirty to fifty words."""
        rng = self.rng
        self.clauses.lean = 1.0
        makers: list[Maker] = [
            lambda: self.journey(1.0), lambda: self.composed.subordinate(None, 1.2),
            lambda: self.composed.reported(1.0, self.composed.subordinate()), lambda: self.composed.taken_up(1.0),
            lambda: self.composed.coordinated(None, 3, 1.2), lambda: self.composed.relative(1.2),
            self.described.climate, lambda: self.composed.wish(), self.gerund,
        ]  # fmt: skip
        pair = rng.choice(makers)()
        while len(pair.french.split()) < 36 or len(pair.english.split()) < 35:
            pair = pair.then(rng.choice(makers)(), rng.choice(JOINTS))
        return pair

    def example(self) -> Example:
        """The next sentence pair."""
        rng = self.rng
        self.clauses.start()
        mark = "."
        if rng.chance(0.07):
            pair, mark = self.questions.question(), "?"
        else:
            pair = rng.pick(self.kinds)()
            if rng.chance(0.05):
                opener = self.adverbial_opener()
                pair = Pair(f"{opener[0]} , {pair.french}", f"{opener[1]} , {pair.english}")
        fr = french.spell(f"{pair.french} {mark}")
        marked = f"{pair.english} {mark}"
        return Example(fr, english.spell(marked, rng.chance(0.45)), english.pattern(marked), self._combinations(fr))

    def adverbial_opener(self) -> tuple[str, str]:
        return self.simple.adverbials.opener()

    def _combinations(self, fr: str) -> tuple[Combination, ...]:
        """The (verb, object) combinations, and every name with every place of the sentence."""
        names: list[str] = []
        places: list[str] = []
        for kind, word in self.simple.phrases.log:
            if word in fr:
                (names if kind == "name" else places).append(word)
        found = list(self.clauses.combinations) + [(name, place) for name in names for place in places]
        return tuple(dict.fromkeys(found))
