"""Statements of one clause: actions, journeys and states."""

import french
from clauses import Action, Clauses, Pair
from lexicon import rows
from phrases import PRONOUNS, Phrase, clean
from verbgroup import Setting, english_group, french_group

LASTING = ("rester", "travailler", "étudier", "voyager", "dormir", "marcher", "nager", "attendre", "jouer")
ABSOLUTE = tuple(row["french"] for row in rows("absolute.tsv"))
FEELINGS = [(row["verb"], row["french"], row["english"]) for row in rows("feelings.tsv")]


class Sentences:
    """Draws one-clause sentences; every method gives a pair without its final punctuation."""

    def __init__(self, clauses: Clauses) -> None:
        self.clauses, self.rng = clauses, clauses.rng
        self.lexicon, self.phrases, self.adverbials = clauses.lexicon, clauses.phrases, clauses.adverbials

    def time(self, tense: str) -> tuple[tuple[str, str], str]:
        """A time adverbial and its kind."""
        if tense == "present" and self.rng.chance(0.25):
            return self.adverbials.now(), "now"
        adverbial = self.adverbials.time(tense)
        habitual = tense in ("present", "imperfect") and not adverbial[1].endswith("/MONTH")
        return adverbial, "habit" if habitual else "time"

    def predicate(self, action: Action, tense: str, rich: float = 1.0, negatable: bool = True) -> Pair:
        """A predicate with adverbials after it."""
        rng = self.rng
        timeless = action.verb.stative and tense in ("present", "imperfect")
        adverbial, kind = self.time(tense) if rng.chance(0.38 * rich) and not timeless else (("", ""), "")
        setting = self.clauses.setting(action, tense, kind, negatable)
        return self.decorate(self.clauses.render(action, setting), action, setting, rich).then(adverbial)

    def decorate(self, pair: Pair, action: Action, setting: Setting, rich: float) -> Pair:
        """Add manner, company and place to a predicate, where they fit."""
        rng, verb = self.rng, action.verb
        if verb.stative or setting.negation:
            return pair
        if verb.frame != "L" and rng.chance(0.14 * rich):
            pair = pair.then(self.adverbials.manner())
        elif verb.french in ("aller", "voyager", "se rendre", "retourner", "partir", "rentrer") and rng.chance(0.25):
            pair = pair.then(self.adverbials.transport())
        if verb.link != "avec" and not verb.reflexive and rng.chance(0.09 * rich):
            pair = pair.then(self.adverbials.company(action.subject))
        if verb.french in LASTING and rng.chance(0.25):
            pair = pair.then(self.adverbials.duration())
        placed = action.place is not None or "place" in verb.classes or "building" in verb.classes
        if not placed and verb.link != "dans" and rng.chance(0.16 * rich):
            if rng.chance(0.6):
                pair = pair.then(self.adverbials.location()[0])
            else:
                pair = pair.then(self.adverbials.spot())
        return pair

    def clause(self, subject: Phrase | None = None, tense: str = "", rich: float = 1.0, frames: str = "TLI") -> Pair:
        """A whole statement, sometimes opened by an adverbial."""
        rng = self.rng
        subject = subject or self.phrases.person()
        tense = tense or self.clauses.tense()
        action = self.clauses.action(subject, frames)
        start = Pair(subject.french, subject.english)
        timeless = action.verb.stative and tense in ("present", "imperfect")
        if timeless or not rng.chance(0.16 * rich):
            return start.then(self.predicate(action, tense, rich))
        adverbial, kind = self.time(tense)
        setting = self.clauses.setting(action, tense, kind)
        body = start.then(self.decorate(self.clauses.render(action, setting), action, setting, rich))
        if rng.chance(0.3):
            return Pair(f"{adverbial[0]} , {body.french}", f"{body.english} {adverbial[1]}")
        return Pair(f"{adverbial[0]} , {body.french}", f"{adverbial[1]} , {body.english}")

    def travel(self) -> Pair:
        """Somebody visits a place at some time: the shape of the running example, in several tenses."""
        rng = self.rng
        subject = self.phrases.name() if rng.chance(0.6) else self.phrases.person()
        tense = rng.pick([("present", 6), ("perfect", 3), ("future", 1.5), ("near", 1)])
        verb = next(verb for verb in self.lexicon.verbs["T"] if verb.french == "visiter")
        if rng.chance(0.7):
            place = self.phrases.place()
            self.clauses.combinations.append((verb.key, clean(place.french)))
            action = Action(verb, verb.english, subject, self.phrases.place_phrase(place))
        else:
            action = self.clauses.action(subject, "L")
        month = rng.chance(0.45)
        adverbial, kind = (self.adverbials.month(), "time") if month else self.time(tense)
        setting = self.clauses.setting(action, tense, kind, negatable=rng.chance(0.2))
        body = Pair(subject.french, subject.english).then(self.clauses.render(action, setting))
        place_first = rng.chance(0.2)
        if place_first:
            first = rng.chance(0.75)
            return Pair(
                f"{adverbial[0]} , {body.french}",
                f"{adverbial[1]} , {body.english}" if first else f"{body.english} {adverbial[1]}",
            )
        if rng.chance(0.1):
            return Pair(f"{body.french} {adverbial[0]}", f"{adverbial[1]} , {body.english}")
        return body.then(adverbial)

    def state(self, subject: Phrase | None = None, tense: str = "", category: str = "") -> Pair:
        """Somebody or something is so: "La vieille tour est magnifique"."""
        rng = self.rng
        tense = tense or rng.pick([("present", 6), ("imperfect", 3), ("future", 1)])
        if subject is None:
            subject, category = self.thing()
        category = category or "person"
        if subject.human and rng.chance(0.25):
            verb, rest, target = rng.choice(FEELINGS)
            if rest == "pressé":
                rest = french.adjective(rest, subject.gender, subject.plural)
            return self._copula(subject, tense, verb, rest, rng.variant(target))
        adjective = self.phrases.adjective(category, before=False if rng.chance(0.7) else None)
        if adjective is None:
            adjective = self.phrases.adjective("object", before=False)
        assert adjective is not None
        form = french.adjective(adjective.french, subject.gender, subject.plural)
        degree = rng.pick([(("", ""), 6), (("très", "very"), 2), (("trop", "too"), 0.6), (("assez", "quite"), 0.7),
                           (("vraiment", "really"), 0.6)])  # fmt: skip
        if adjective.french in ABSOLUTE:
            degree = ("", "")
        return self._copula(
            subject, tense, "être", f"{degree[0]} {form}", f"be {degree[1]} {rng.variant(adjective.english)}/ADJ",
            often=not degree[0],
        )  # fmt: skip

    def _copula(self, subject: Phrase, tense: str, verb: str, rest: str, target: str, often: bool = True) -> Pair:
        """A form of être or avoir with what follows it; target starts with "be"."""
        rng = self.rng
        negation = rng.pick([("", 8), ("not", 1.5), ("longer", 0.3)])
        found = next((v for v in self.lexicon.verbs["T"] if v.french.startswith("avoir")), self.lexicon.verbs["T"][0])
        bare = type(found)("T", verb, "", "be", (), "s")
        setting = Setting(tense, "will", negation, self._degree(tense) if often and not negation else ("", ""))
        fr = french_group(bare, subject, setting)
        en = english_group("be", subject, setting)
        words = " ".join(target.removeprefix("be ").split())
        if "/" not in words:
            words = words.replace(" ", "_") + "/ADJ"
        return Pair(f"{subject.french} {fr} {rest}", f"{subject.english} {en} {words}")

    def _degree(self, tense: str) -> tuple[str, str]:
        if tense in ("present", "imperfect") and self.rng.chance(0.12):
            return self.adverbials.frequency()
        return "", ""

    def thing(self) -> tuple[Phrase, str]:
        """A subject for a description, with its category."""
        rng = self.rng
        category = rng.pick([("person", 4), ("object", 3), ("building", 3), ("animal", 3), ("clothes", 1.5),
                             ("vehicle", 1.5), ("food", 1.5), ("text", 2), ("event", 2), ("nature", 2),
                             ("furniture", 1), ("plant", 0.7)])  # fmt: skip
        if category == "person" and rng.chance(0.5):
            return self.phrases.person(), category
        noun = rng.ranked(self.lexicon.nouns[category], 5)
        owner = rng.choice(PRONOUNS) if rng.chance(0.6) else self.phrases.name()
        det = rng.pick([("def", 6), ("dem", 3), ("poss", 2.5)])
        phrase = self.phrases.noun(noun, det, owner if not owner.named else PRONOUNS[1], adjectives=0.1)
        if category == "object" and owner.named and det == "def":
            return self.owned(phrase, owner), category
        return phrase, category

    def owned(self, phrase: Phrase, owner: Phrase) -> Phrase:
        """The same thing as somebody's: "la montre de Jane"."""
        return Phrase(
            f"{phrase.french} de {owner.french}", f"{owner.english} 's {phrase.english.removeprefix('the ')}",
            phrase.gender, phrase.plural, key=phrase.key,
        )  # fmt: skip
