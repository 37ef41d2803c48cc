"""Composed sentences: coordination, subordination, relatives, reported speech, wishes."""

import french
from clauses import Action, Pair, direct_clitic
from lexicon import Verb
from phrases import PRONOUNS, Phrase
from sentences import Sentences
from verbgroup import Setting, english_group, english_infinitive, french_group

SUBORDINATORS = {
    "present": [("parce que", "because"), ("quand", "when"), ("pendant que", "while"), ("si", "if"),
                ("car", "because/for"), ("mais", "but"), ("et", "and"),
                ("puisque", "since"), ("dès que", "as soon as"), ("donc", "so")],
    "perfect": [("parce que", "because"), ("car", "because/for"), ("mais", "but"), ("et", "and"), ("puis", "then"),
                ("après que", "after"), ("alors", "so")],
    "future": [("quand", "when"), ("parce que", "because"), ("mais", "but"), ("et", "and"), ("car", "because")],
}  # fmt: skip
HANDLED = ("object", "clothes", "text", "furniture", "instrument", "vehicle")
JOINTS = [(", mais", ", but"), (";", ";"), (", et", ", and")]


class Composed:
    """Draws sentences of several clauses out of the simple ones."""

    def __init__(self, sentences: Sentences) -> None:
        self.simple, self.clauses, self.rng = sentences, sentences.clauses, sentences.rng
        self.lexicon, self.phrases, self.adverbials = sentences.lexicon, sentences.phrases, sentences.adverbials
        self.handled = {noun.key: category for category in HANDLED for noun in self.lexicon.nouns[category]}

    def again(self, subject: Phrase) -> Phrase:
        """A subject for the next clause: mostly the pronoun of this one."""
        return subject.pronoun() if self.rng.chance(0.7) else self.phrases.person()

    def predicates(self, subject: Phrase, tense: str, count: int, rich: float = 0.7) -> Pair:
        """Several predicates of one subject: "a apprécié la culture et a rencontré des gens"."""
        self.clauses.lean = 1.0
        parts = [
            self.simple.predicate(self.clauses.action(subject), tense, rich, negatable=False) for _ in range(count)
        ]
        joined = parts[0]
        if count == 1:
            return joined
        for part in parts[1:-1]:
            joined = Pair(f"{joined.french} , {part.french}", f"{joined.english} , {part.english}")
        joint = self.rng.pick([(("et", "and"), 8), (("puis", "then"), 1), ((", puis", ", then"), 1)])
        return joined.then(parts[-1], joint)

    def coordinated(self, subject: Phrase | None = None, count: int = 2, rich: float = 0.7, tense: str = "") -> Pair:
        subject = subject or self.phrases.person()
        tense = tense or self.rng.pick([("present", 4), ("perfect", 5), ("future", 2), ("near", 1)])
        return Pair(subject.french, subject.english).then(self.predicates(subject, tense, count, rich))

    def subordinate(self, subject: Phrase | None = None, rich: float = 0.6) -> Pair:
        """Two clauses joined by a conjunction."""
        rng = self.rng
        subject = subject or self.phrases.person()
        tense = rng.pick([("present", 5), ("perfect", 4), ("future", 2)])
        fr, en = rng.ranked(SUBORDINATORS[tense], 3)
        second_subject = self.again(subject)
        first = self.simple.clause(subject, tense, rich)
        if fr in ("parce que", "car", "puisque", "mais") and rng.chance(0.5):
            second = self.simple.state(second_subject, "imperfect" if tense == "perfect" else "present") \
                if second_subject.human else self.simple.clause(second_subject, tense, rich)  # fmt: skip
        elif tense == "future" and fr == "quand":
            second = self.future_when(second_subject)
        else:
            second = self.simple.clause(second_subject, tense, 0.0 if rng.chance(0.4) else rich)
        comma = fr in ("mais", "car", "donc", "alors") or rng.chance(0.12)
        front = fr in ("quand", "si", "dès que") and tense != "perfect" and rng.chance(0.4)
        en = rng.variant(en)
        if front:
            return Pair(f"{fr} {second.french} , {first.french}", f"{en} {second.english} , {first.english}")
        return first.then(second, (f", {fr}", f", {en}") if comma else (fr, en))

    def future_when(self, subject: Phrase) -> Pair:
        """A clause after "quand" about the future: future in French, present in English."""
        action = self.clauses.action(subject)
        fr = self.clauses.render(action, Setting("future")).french
        en = self.clauses.render(action, Setting("present")).english
        return Pair(f"{subject.french} {fr}", f"{subject.english} {en}")

    def imperfect_when(self) -> Pair:
        """Something was going on when something else happened."""
        subject = self.phrases.person()
        action, event = self.clauses.action(subject, "TI"), self.clauses.action(self.again(subject), "TI")
        aspect = "simple" if action.verb.stative else "progressive"
        first = self.clauses.render(action, Setting("imperfect", aspect))
        second = self.clauses.render(event, Setting("perfect"))
        start = Pair(subject.french, subject.english).then(first)
        return start.then((event.subject.french, event.subject.english), ("quand", "when")).then(second)

    def taken_up(self, rich: float = 0.6) -> Pair:
        """A thing is done something to, then it is taken up by a pronoun."""
        rng = self.rng
        subject = self.phrases.person()
        tense = rng.pick([("perfect", 5), ("present", 2), ("future", 2)])
        action = self._object_action(subject)
        thing = action.object
        assert thing is not None
        setting = Setting(tense, "will")
        start = Pair(subject.french, subject.english).then(self.clauses.render(action, setting))
        if rng.chance(0.35):
            reason = self.simple.state(
                thing.pronoun(), "imperfect" if tense == "perfect" else "present", self._category(thing)
            )
            return start.then(reason, rng.choice([("parce que", "because"), *JOINTS]))
        follow = self._second_action(action, subject.pronoun(), thing)
        shown = self.clauses.render(follow, setting, pronoun=True)
        when = self.simple.time(tense)[0] if rng.chance(0.5 * rich) else ("", "")
        if rng.chance(0.4):
            return start.then(shown, rng.choice([("et", "and"), ("puis", "then")])).then(when)
        again = follow.subject
        joint = rng.choice([("et", "and"), (", mais", ", but"), (";", ";"), (", puis", ", then")])
        return start.then((again.french, again.english), joint).then(shown).then(when)

    def _object_action(self, subject: Phrase) -> Action:
        """An action on a thing that a pronoun can stand for."""
        while True:
            action = self.clauses.action(subject, "T")
            thing = action.object
            plain = thing is not None and not action.verb.link and thing.key and not thing.named
            if plain and thing is not None and not thing.human and "=" in thing.key and "vacation" not in thing.english:
                if self._category(thing) and "s" not in action.verb.flags:
                    return action

    def _second_action(self, first: Action, subject: Phrase, thing: Phrase) -> Action:
        """Another action on the same thing."""
        category = self._category(thing)
        verbs = [
            verb for verb in self.lexicon.verbs["T"]
            if category in verb.classes and not verb.link and not verb.stative and verb.french != first.verb.french
        ]  # fmt: skip
        verb = self.rng.ranked(verbs, 10)
        self.clauses.combinations.append((verb.key, thing.key))
        return Action(verb, self.rng.variant(verb.english), subject, thing)

    def _category(self, thing: Phrase) -> str:
        """The category of a thing that one can buy, carry, read ...; nothing for any other phrase."""
        return self.handled.get(thing.key, "")

    def relative(self, rich: float = 0.5) -> Pair:
        """A subject or an object with a relative clause."""
        rng = self.rng
        if rng.chance(0.5):
            subject = self.phrases.noun(rng.ranked(self.lexicon.nouns["person"], 6), rng.choice(["def", "indef"]))
            tense = rng.pick([("perfect", 5), ("present", 4), ("imperfect", 1)])
            inner = self.simple.predicate(self.clauses.action(subject), tense, 0.4)
            tense = rng.pick([("present", 5), ("perfect", 3), ("future", 1)])
            outer = self.simple.predicate(self.clauses.action(subject), tense, rich)
            if rng.chance(0.3):
                state = self.simple.state(PRONOUNS[1] if subject.gender == "m" else PRONOUNS[2], "present")
                if not subject.plural:
                    outer = Pair(state.french.split(" ", 1)[1], state.english.split(" ", 1)[1])
            start = Pair(f"{subject.french} qui", f"{subject.english} {rng.pick([('who', 7), ('that', 1)])}")
            return start.then(inner).then(outer)
        owner = self.phrases.person()
        action = self._object_action(owner)
        thing = action.object
        assert thing is not None
        setting = Setting(rng.pick([("perfect", 6), ("future", 1)]), "will")
        fr = french_group(action.verb, owner, setting, "", thing)
        group = english_group(action.target, owner, setting)
        that = rng.pick([("that", 6), ("which", 1), ("", 3)])
        head = Pair(thing.french, thing.english)
        inner = Pair(f"que {owner.french} {fr}", f"{that} {owner.english} {group}")
        state = self.simple.state(Phrase("", "", thing.gender, thing.plural), "", self._category(thing))
        return head.then(inner).then(state)

    def reported(self, rich: float = 0.6, inner: Pair | None = None) -> Pair:
        """Somebody says, thinks or knows that ..."""
        rng = self.rng
        subject = self.phrases.person()
        verb = rng.ranked(self.lexicon.verbs["R"], 5)
        tense = rng.pick([("present", 5), ("perfect", 3)])
        setting = Setting(tense, "simple", rng.pick([("", 9), ("not", 1)]) if tense == "present" else "")
        if verb.french in ("penser", "croire", "espérer"):
            setting = Setting(tense)
        fr = french_group(verb, subject, setting)
        en = english_group(rng.variant(verb.english), subject, setting)
        that = "" if rng.chance(0.3) else "that"
        follow = self.again(subject)
        if inner is None:
            past = tense == "perfect"
            times = ["imperfect", "conditional", "pluperfect"] if past else ["present", "perfect", "future"]
            if verb.french in ("espérer", "promettre"):
                times = ["conditional"] if tense == "perfect" else ["future"]
            told = rng.choice(times)
            if rng.chance(0.3) and told in ("present", "imperfect", "future"):
                inner = self.simple.state(follow if follow.human else None, told)
            else:
                inner = self.simple.clause(follow, told, rich)
        if " , " in inner.english:
            that = "that"
        return Pair(f"{subject.french} {fr} que", f"{subject.english} {en} {that}").then(inner)

    def wish(self, subject: Phrase | None = None, rich: float = 0.8) -> Pair:
        """A verb with an infinitive."""
        rng = self.rng
        subject = subject or self.phrases.person()
        verb = rng.ranked(self.lexicon.verbs["F"], 4)
        inner = self.clauses.action(subject)
        fr_inf = self.clauses.infinitive(inner)
        link = verb.link
        target = rng.variant(verb.english)
        if verb.french == "venir":
            just = Setting("present", "perfect")
            done = english_group(inner.target, subject, just).split(" ", 1)
            rest = self.clauses.infinitive(inner).english.removeprefix(english_infinitive(inner.target, subject))
            return Pair(
                f"{subject.french} {french_group(verb, subject, Setting())} de {fr_inf.french}",
                f"{subject.english} {done[0]} just {done[1]} {rest}",
            )
        tense = rng.pick([("present", 6), ("perfect", 4), ("future", 1)])
        if verb.french in ("pouvoir", "devoir", "vouloir", "préférer", "aimer"):
            tense = rng.pick([("present", 6), ("imperfect", 1.5), ("conditional", 2)])
        elif verb.french in ("espérer", "avoir besoin", "avoir envie", "avoir peur", "rêver"):
            tense = rng.pick([("present", 6), ("imperfect", 3)])
        negation = rng.pick([("", 8), ("not", 1.5)]) if verb.french not in ("éviter", "refuser") else ""
        fr = french_group(verb, subject, Setting(tense, "simple", negation))
        start = self._modal(verb, target, subject, tense, negation)
        form = "ing" if target.endswith(" ING") else "base"
        en_inf = self.clauses.infinitive(inner, form).english
        adverbial = self.simple.time("future")[0] if rng.chance(0.3 * rich) and tense != "perfect" else ("", "")
        return Pair(f"{subject.french} {fr} {link} {fr_inf.french}", f"{subject.english} {start} {en_inf}").then(
            adverbial
        )

    def _modal(self, verb: Verb, target: str, subject: Phrase, tense: str, negation: str) -> str:
        """The English verb before an infinitive, with "to" where it takes one."""
        setting = Setting(tense, "simple", negation)
        if verb.french == "pouvoir":
            return english_group("can", subject, setting)
        if verb.french == "devoir":
            if tense == "conditional":
                return "should not" if negation else "should"
            if tense == "present" and (negation or target == "must"):
                return "must not" if negation else "must"
            return english_group("have", subject, Setting(tense)) + " to" if not negation else (
                "was" if subject.person != 2 and not subject.plural_en else "were") + " not supposed to"  # fmt: skip
        words = target.removesuffix(" to").removesuffix(" ING")
        link = "" if target.endswith(" ING") else "to"
        return f"{english_group(words, subject, setting)} {link}"

    def urged(self) -> Pair:
        """Somebody tempts, helps or invites somebody to do something."""
        rng = self.rng
        subject, verb = self.phrases.person(), rng.ranked(self.lexicon.verbs["P"], 4)
        other = rng.choice(PRONOUNS[:6]) if rng.chance(0.6) else self.phrases.relative(subject)
        if other.pronoun().english == subject.pronoun().english or other.person == subject.person != 3:
            other = self.phrases.name()
        inner = self.clauses.action(other)
        inf = self.clauses.infinitive(inner)
        setting = Setting(rng.pick([("perfect", 5), ("present", 4), ("future", 1)]), "simple")
        tempt = rng.variant(verb.english)
        en = english_group(tempt, subject, setting)
        clitics = {"je": "me", "nous": "nous", "vous": "vous", "tu": "te"}
        if other in PRONOUNS:
            clitic = clitics.get(other.french) or direct_clitic(other)
            fr = french_group(verb, subject, setting, clitic, other)
            return Pair(
                f"{subject.french} {fr} {verb.link} {inf.french}",
                f"{subject.english} {en} {other.object_en()} to {inf.english}",
            )
        fr = french_group(verb, subject, setting)
        return Pair(
            f"{subject.french} {fr} {other.french} {verb.link} {inf.french}",
            f"{subject.english} {en} {other.english} to {inf.english}",
        )

    def gerund(self, subject: Phrase, tense: str) -> Pair:
        """Somebody does something while doing something else."""
        first = self.simple.predicate(self.clauses.action(subject, "LI"), tense, 0.5, negatable=False)
        second = self.clauses.action(subject, "TI")
        if second.verb.reflexive or second.verb.stative or second.verb.head == "avoir":
            return Pair(subject.french, subject.english).then(first)
        inner = self.clauses.infinitive(second, "ing")
        form = french.gerund(second.verb.head) + inner.french.removeprefix(second.verb.head)
        while_en = self.rng.choice(["while", ""])
        return Pair(subject.french, subject.english).then(first).then((f"en {form}", f"{while_en} {inner.english}"))
