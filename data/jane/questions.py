"""Questions: with est-ce que or by inversion, with or without a question word."""

from clauses import Action, Pair
from phrases import PRONOUNS, Phrase
from sentences import Sentences
from verbgroup import Setting, french_group

WH = [
    ("quand", "when"), ("pourquoi", "why"), ("où", "where"), ("comment", "how"), ("avec qui", "who"),
    ("à quelle heure", "what time"),
]  # fmt: skip


class Questions:
    """Draws questions."""

    def __init__(self, sentences: Sentences) -> None:
        self.simple, self.clauses, self.rng = sentences, sentences.clauses, sentences.rng
        self.phrases, self.adverbials = sentences.phrases, sentences.adverbials

    def question(self) -> Pair:
        """A question with est-ce que, by word order or with a question word."""
        rng = self.rng
        subject = rng.pick(list(zip(PRONOUNS[1:9], [4, 4, 1, 3, 6, 4, 1, 1], strict=True)))
        if rng.chance(0.3):
            subject = self.phrases.name()
        tense = rng.pick([("present", 5), ("perfect", 4), ("future", 1.5)])
        action = self.clauses.action(subject)
        setting = self.clauses.setting(action, tense, "time", negatable=False)
        pair, auxiliary = self.clauses.question(action, setting)
        asked = ("", "")
        if rng.chance(0.45):
            fits = [w for w in WH if w[0] != "où" or action.place is None]
            asked = rng.ranked(fits)
            human = action.object is not None and action.object.human
            if (human or action.verb.link == "avec") and asked[1] == "who":
                asked = fits[0]
        fr = self._asked(subject, action, setting, pair, asked[0])
        en = f"{asked[1]} {auxiliary} {subject.english} {pair.english}"
        if asked[1] == "who":
            en += " with"
        if not asked[0] and rng.chance(0.4):
            return Pair(fr, en).then(self.simple.time(tense)[0] if tense != "present" else self.adverbials.time(tense))
        return Pair(fr, en)

    def _asked(self, subject: Phrase, action: Action, setting: Setting, pair: Pair, word: str) -> str:
        inverts = subject in PRONOUNS and subject.french != "je"
        if not inverts or self.rng.chance(0.55):
            return f"{word} est-ce que {subject.french} {pair.french}"
        probe = french_group(action.verb, subject, setting)
        marked = french_group(action.verb, subject, setting, inverted="#")
        finite = marked[: marked.index("#")].split()[-1]
        link = "-t-" if finite[-1] in "aec" and subject.french in ("il", "elle", "on") else "-"
        return f"{word} {marked.replace('#', link + subject.french)}{pair.french.removeprefix(probe)}"
