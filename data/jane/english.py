"""English word forms and spelling: inflection, articles, contractions, and the pattern of a marked sentence."""

import re

from lexicon import rows

IRREGULAR = {row["base"]: (row["past"], row["participle"]) for row in rows("irregular_en.tsv")}
PLURALS = {
    "child": "children", "man": "men", "woman": "women", "wife": "wives", "knife": "knives", "wolf": "wolves",
    "sheep": "sheep", "fish": "fish", "deer": "deer", "mouse": "mice", "goose": "geese", "thief": "thieves",
    "shelf": "shelves", "potato": "potatoes", "tomato": "tomatoes", "mosquito": "mosquitoes", "mango": "mangoes",
    "volcano": "volcanoes", "shrimp": "shrimp", "scarf": "scarves", "salmon": "salmon", "hero": "heroes", "flamingo":
    "flamingos", "cactus": "cacti", "jellyfish": "jellyfish", "monastery": "monasteries", "oasis": "oases",
    "hippopotamus": "hippopotamuses", "leaf": "leaves", "life": "lives", "brother-in-law": "brothers-in-law",
    "sister-in-law": "sisters-in-law",
}  # fmt: skip
DOUBLING = re.compile(r"^[^aeiou]*[aeiou][bdgklmnprt]$")
DOUBLED = ("forget", "begin", "admit", "regret", "prefer", "forbid")
CONTRACTIONS = [
    (r"\b(is|are|was|were|do|does|did|has|have|had|would|could|should) not\b", r"\1n't"),
    (r"\bcannot\b", "can't"),
    (r"\bwill not\b", "won't"),
    (r"\b(I|[Yy]ou|[Hh]e|[Ss]he|[Ww]e|[Tt]hey|[Ii]t) will(?= \w)", r"\1'll"),
    (r"\b(I) am(?= \w)", r"\1'm"),
    (r"\b([Yy]ou|[Ww]e|[Tt]hey) are(?= \w)", r"\1're"),
    (r"\b([Hh]e|[Ss]he|[Ii]t) is(?= \w)", r"\1's"),
    (r"\b(I|[Yy]ou|[Ww]e|[Tt]hey) have(?= (?:never|already|always|often|\w+ed)\b)", r"\1've"),
]


def inflect(verb: str, form: str) -> str:
    """A form (base, s, ing, past, participle) of a verb; words joined with "_" follow the first unchanged."""
    head, _, rest = verb.partition("_")
    return _form(head, form) + ("_" + rest if rest else "")


def _form(base: str, form: str) -> str:
    if form == "base":
        return base
    if form == "s":
        return {"be": "is", "have": "has", "do": "does", "go": "goes"}.get(base) or plural(base)
    if form == "ing":
        if base == "be":
            return "being"
        if base == "lie":
            return "lying"
        if base.endswith("e") and not base.endswith(("ee", "ye", "oe")):
            return base[:-1] + "ing"
        return base + _double(base) + "ing"
    if base in IRREGULAR:
        return IRREGULAR[base][0 if form == "past" else 1]
    if base.endswith("e"):
        return base + "d"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ied"
    return base + _double(base) + "ed"


def _double(base: str) -> str:
    return base[-1] if DOUBLING.match(base) or base in DOUBLED else ""


def plural(noun: str) -> str:
    """The plural of a noun, or the third person of a verb; of words joined with "_", the last one changes."""
    first, joined, last = noun.rpartition("_")
    if last in PLURALS:
        return first + joined + PLURALS[last]
    for suffix, irregular in (("woman", "women"), ("man", "men"), ("wife", "wives")):
        if last.endswith(suffix):
            return first + joined + last.removesuffix(suffix) + irregular
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if last.endswith("y") and last[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def comparative(adjective: str) -> str:
    """The comparative: "older", "prettier", "better", or with "more"."""
    if adjective in ("good", "bad"):
        return {"good": "better", "bad": "worse"}[adjective]
    if adjective in ("tired", "sick", "ill", "fun", "famous", "brown", "black"):
        return "more " + adjective
    if len(re.findall("[aeiouy]+", adjective.removesuffix("e"))) == 1:
        return adjective + (_double(adjective) + "er" if not adjective.endswith("e") else "r")
    if adjective.endswith("y") and len(re.findall("[aeiouy]+", adjective)) == 2:
        return adjective[:-1] + "ier"
    return "more " + adjective


def takes_an(word: str) -> bool:
    low = word.lower()
    if low.startswith(("hour", "honest")):
        return True
    return low[:1] in "aeiou" and not low.startswith(("uni", "use", "euro", "one", "ukr"))


def spell(marked: str, contracted: bool) -> str:
    """The plain sentence of marked words ("visits/V"): articles, contractions, punctuation and a capital."""
    words = [word.split("/")[0].replace("_", " ") for word in marked.split()]
    for index, word in enumerate(words[:-1]):
        if word == "a" and takes_an(words[index + 1]):
            words[index] = "an"
    text = "".join(
        word if index == 0 or word in (",", ";", ".", "?", "!", "'s") else " " + word
        for index, word in enumerate(words)
    )
    text = text.replace("can not", "cannot")
    if contracted:
        for old, new in CONTRACTIONS:
            text = re.sub(old, new, text)
    return text[0].upper() + text[1:]


def pattern(marked: str) -> str:
    """The skeleton of a marked sentence: every word of an open class is replaced by the name of its class."""
    return " ".join(word.split("/")[1] if "/" in word else word for word in marked.split())
