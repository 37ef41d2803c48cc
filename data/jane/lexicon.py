"""The word lists of the corpus, read from the tab-separated files of the folder `lexicon`."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "lexicon"


@dataclass(frozen=True)
class Noun:
    category: str
    french: str
    gender: str
    english: str
    mass: bool

    @cached_property
    def key(self) -> str:
        return self.french + "=" + self.english.split("/")[0]


@dataclass(frozen=True)
class Adjective:
    french: str
    before: bool
    english: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    kind: str
    french: str
    article: str
    english: str

    @property
    def gender(self) -> str:
        return "f" if self.article[0] == "f" else "m"

    @property
    def plural(self) -> bool:
        return self.article.endswith("p")


@dataclass(frozen=True)
class Verb:
    frame: str
    french: str
    link: str
    english: str
    classes: tuple[str, ...]
    flags: str

    @property
    def reflexive(self) -> bool:
        return self.french.startswith(("se ", "s'"))

    @property
    def head(self) -> str:
        """The infinitive without "se" and without the fixed words after it."""
        text = self.french.removeprefix("se ").removeprefix("s'")
        return text.split()[0]

    @property
    def tail(self) -> str:
        text = self.french.removeprefix("se ").removeprefix("s'")
        return " ".join(text.split()[1:])

    @property
    def with_etre(self) -> bool:
        return self.reflexive or "e" in self.flags

    @property
    def stative(self) -> bool:
        return "s" in self.flags

    @property
    def key(self) -> str:
        return self.french + (" " + self.link if self.link else "")


def rows(name: str) -> list[dict[str, str]]:
    """The rows of one lexicon file, each as a dictionary by column name."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    head = lines[0].split("\t")
    return [dict(zip(head, line.split("\t"), strict=True)) for line in lines[1:] if line]


@dataclass
class Lexicon:
    """All word lists; the order of each list is its order of frequency."""

    women: list[str] = field(default_factory=lambda: [row["name"] for row in rows("names_f.tsv")])
    men: list[str] = field(default_factory=lambda: [row["name"] for row in rows("names_m.tsv")])
    places: list[Place] = field(default_factory=lambda: _places("places.tsv"))
    cities: list[Place] = field(default_factory=lambda: _places("cities.tsv"))
    adjectives: list[Adjective] = field(default_factory=lambda: _adjectives())
    nationalities: list[tuple[str, str]] = field(
        default_factory=lambda: [(row["french"], row["english"]) for row in rows("nationalities.tsv")]
    )
    nouns: dict[str, list[Noun]] = field(default_factory=lambda: _nouns())
    verbs: dict[str, list[Verb]] = field(default_factory=lambda: _verbs())

    def adjectives_for(self, category: str) -> list[Adjective]:
        return [adjective for adjective in self.adjectives if category in adjective.classes]


def _places(name: str) -> list[Place]:
    return [Place(row["kind"], row["french"], row["article"], row["english"]) for row in rows(name)]


def _adjectives() -> list[Adjective]:
    return [
        Adjective(row["french"], row["position"] == "pre", row["english"], tuple(row["classes"].split(",")))
        for row in rows("adjectives.tsv")
    ]


def _nouns() -> dict[str, list[Noun]]:
    found: dict[str, list[Noun]] = {}
    for theme in ("people", "living", "food", "things", "sights", "culture"):
        for row in rows(f"nouns_{theme}.tsv"):
            noun = Noun(row["class"], row["french"], row["gender"], row["english"], row["flags"] == "mass")
            found.setdefault(noun.category, []).append(noun)
    everything = [noun for category in list(found) for noun in found[category]]
    for row in rows("groups.tsv"):
        members = row["members"].split()
        found[row["group"]] = [noun for noun in everything if noun.french.lstrip("*") in members]
    return found


def _verbs() -> dict[str, list[Verb]]:
    found: dict[str, list[Verb]] = {}
    for row in rows("verbs.tsv") + rows("verbs_other.tsv"):
        classes = tuple(name for name in row["classes"].split(",") if name)
        verb = Verb(row["frame"], row["french"], row["link"], row["english"], classes, row["flags"])
        found.setdefault(verb.frame, []).append(verb)
    return found
