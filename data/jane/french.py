"""French word forms and spelling: conjugation, agreement, plurals, elision and contraction."""

from functools import cache

from lexicon import rows

VOWELS = "aeiouâàéèêëîïôûùœæ"
IRREGULAR = {row["ending"]: row for row in rows("irregular_fr.tsv")}
PRESENT = {"er": "e es e ons ez ent", "ir": "is is it issons issez issent", "re": "s s - ons ez ent"}
PAST_ENDINGS = "ais ais ait ions iez aient".split()
FUTURE_ENDINGS = "ai as a ons ez ont".split()
FEMININES = {
    "beau": "belle", "nouveau": "nouvelle", "vieux": "vieille", "blanc": "blanche", "long": "longue", "doux": "douce",
    "frais": "fraîche", "gros": "grosse", "bas": "basse", "gentil": "gentille", "fou": "folle", "public": "publique",
    "grec": "grecque", "turc": "turque", "sec": "sèche", "bon": "bonne", "breton": "bretonne", "jaloux": "jalouse",
    "favori": "favorite", "complet": "complète", "inquiet": "inquiète", "marron": "marron", "travailleur":
    "travailleuse", "faux": "fausse", "épais": "épaisse",
}  # fmt: skip
BEFORE_VOWEL = {
    "beau": "bel", "nouveau": "nouvel", "vieux": "vieil", "ma": "mon", "ta": "ton", "sa": "son", "ce": "cet",
}  # fmt: skip
ELIDED = ("le", "la", "je", "me", "te", "se", "ne", "de", "que", "lorsque", "puisque", "jusque")


@cache
def model(infinitive: str) -> str:
    """The longest irregular ending that an infinitive has, or nothing."""
    fits = [
        ending
        for ending in IRREGULAR
        if infinitive == ending or (infinitive.endswith(ending) and ending not in ("aller", "avoir", "être"))
    ]
    return max(fits, key=len) if fits else ""


def _light_stem(infinitive: str) -> tuple[str, str]:
    """The stem of an -er verb before a silent ending and before the future ending."""
    stem = infinitive[:-2]
    if stem.endswith("y"):
        return stem[:-1] + "i", stem[:-1] + "ier"
    if infinitive.endswith(("eter", "eler")) and not infinitive.endswith("acheter"):
        return stem + stem[-1], stem + stem[-1] + "er"
    for size in (2, 3):
        vowel, rest = stem[-size : -size + 1], stem[-size + 1 :]
        if vowel in ("e", "é") and not any(letter in VOWELS for letter in rest) and (size == 2 or rest[1] in "rl"):
            light = stem[:-size] + "è" + rest
            return light, (light if vowel == "e" else stem) + "er"
    return stem, infinitive


def _soften(stem: str, ending: str) -> str:
    """Join a stem in -g or -c with an ending, keeping the soft sound before a and o."""
    if ending[0] in "ao":
        if stem.endswith("g"):
            return stem + "e" + ending
        if stem.endswith("c"):
            return stem[:-1] + "ç" + ending
    return stem + ending


@cache
def conjugate(infinitive: str, tense: str, person: int) -> str:
    """A finite form; tense is present, imperfect, future or conditional, person counts je = 0 ... ils = 5."""
    ending = model(infinitive)
    if ending:
        row, prefix = IRREGULAR[ending], infinitive[: len(infinitive) - len(ending)]
        if tense == "present":
            return prefix + row["present"].split()[person]
        if tense == "imperfect":
            return prefix + row["imperfect"] + PAST_ENDINGS[person]
        return prefix + row["future"] + (FUTURE_ENDINGS if tense == "future" else PAST_ENDINGS)[person]
    group, stem = infinitive[-2:], infinitive[:-2]
    light, future = _light_stem(infinitive) if group == "er" else (stem, infinitive.removesuffix("e"))
    if tense == "present":
        suffix = PRESENT[group].split()[person].replace("-", "")
        if group == "er":
            return light + suffix if person in (0, 1, 2, 5) else _soften(stem, suffix)
        return stem + suffix
    if tense == "imperfect":
        return _soften(stem + ("iss" if group == "ir" else ""), PAST_ENDINGS[person])
    return future + (FUTURE_ENDINGS if tense == "future" else PAST_ENDINGS)[person]


def participle(infinitive: str, gender: str = "m", plural: bool = False) -> str:
    """The past participle, agreed."""
    ending = model(infinitive)
    if ending:
        base = infinitive[: len(infinitive) - len(ending)] + IRREGULAR[ending]["participle"]
    else:
        base = infinitive[:-2] + {"er": "é", "ir": "i", "re": "u"}[infinitive[-2:]]
    if (gender == "f" or plural) and base == "dû":
        base = "du"
    text = base + ("e" if gender == "f" else "")
    return text + "s" if plural and not text.endswith("s") else text


def gerund(infinitive: str) -> str:
    """The present participle, as in "en parlant"."""
    special = {"être": "étant", "avoir": "ayant", "savoir": "sachant"}
    return special.get(infinitive) or conjugate(infinitive, "present", 3).removesuffix("ons") + "ant"


def adjective(base: str, gender: str, plural: bool) -> str:
    """An adjective agreed in gender and number."""
    if base in ("marron", "orange"):
        return base
    text = feminine(base) if gender == "f" else base
    return pluralize(text) if plural else text


def feminine(base: str) -> str:
    if base in FEMININES:
        return FEMININES[base]
    if base.endswith("e"):
        return base
    for old, new in (("eux", "euse"), ("eur", "euse"), ("f", "ve"), ("er", "ère"), ("en", "enne"), ("el", "elle"),
                     ("et", "ette"), ("on", "onne")):  # fmt: skip
        if base.endswith(old):
            return base.removesuffix(old) + new
    return base + "e"


def pluralize(word: str) -> str:
    """The plural of a noun or adjective; of a compound with a preposition, the first word changes."""
    if " " in word:
        first, rest = word.split(" ", 1)
        return pluralize(first) + " " + (rest if rest.startswith(("de ", "à ", "en ")) or first == "appareil"
                                         else pluralize(rest))  # fmt: skip
    if word.endswith(("s", "x", "z")):
        return word
    if word == "chauve-souris":
        return word
    if word.endswith("al") and word not in ("festival", "carnaval", "bal", "natal", "final"):
        return word[:-1] + "ux"
    if word.endswith(("eau", "eu")) and word not in ("bleu", "pneu"):
        return word + "x"
    if word in ("bijou", "chou", "hibou", "*hibou", "genou", "caillou", "tuyau"):
        return word + "x"
    if word in ("travail", "vitrail"):
        return word[:-2] + "ux"
    return word + "s"


def opens_with_vowel(word: str) -> bool:
    """Whether a word makes the word before it lose its vowel; a leading "*" marks an aspirated h."""
    low = word.lower()
    if low[:1] == "y":
        return low == "y" or low[1:2] not in VOWELS
    return low[:1] in VOWELS or low[:1] == "h"


def spell(text: str) -> str:
    """A plain French sentence from spaced words: elided, contracted, punctuated, with a capital.

    Marks of the grammar: "*" before an aspirated h, "°" after a pronoun le or les (never contracted),
    "~" after a form that changes before a vowel (beau, ma, ce).
    """
    words: list[str] = []
    source = text.split()
    for place, word in enumerate(source):
        following = source[place + 1] if place + 1 < len(source) else "."
        vowel = opens_with_vowel(following)
        if word.endswith("~"):
            word = BEFORE_VOWEL[word[:-1]] if vowel else word[:-1]
        article = word in ("le", "les") and words and words[-1] in ("de", "à") and not (word == "le" and vowel)
        if article:
            words[-1] = {"dele": "du", "deles": "des", "àle": "au", "àles": "aux"}[words[-1] + word]
            continue
        bare = word.rstrip("°")
        if bare in ELIDED and vowel:
            words.append(bare[:-1] + "'")
        elif bare == "si" and following in ("il", "ils"):
            words.append("s'")
        else:
            words.append(bare)
    sentence = "".join(
        word if index == 0 or word in (",", ";", ".", "?", "!") or words[index - 1].endswith("'") else " " + word
        for index, word in enumerate(words)
    ).replace("*", "")
    return sentence[0].upper() + sentence[1:]
