"""Writes the parallel corpus: train, dev and test in French and English, the same bytes from every Python."""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from grammar import Example, Grammar
from holdout import is_held_out
from lexicon import Lexicon
from rng import Rng

SEED = 1998
SIZES = {"train": 20_000, "dev": 1_000, "test": 1_000}
HELD_OUT_SHARE = 0.35  # of dev and test: sentences with a combination that training never shows
LONG_HELD_OUT = 0.35  # of the long sentences with a held-out combination, the share that is taken
SHORT, SHORT_DROPPED = 8, 0.45  # sentences of fewer words are thinned out
RUNNING_EXAMPLE = "Jane visite l'Afrique en septembre."
PUNCTUATION = ".,;?!"


def word_types(sentence: str) -> set[str]:
    """The lower-cased words of a sentence, without punctuation."""
    return {word.strip(PUNCTUATION).lower() for word in sentence.split()}


@dataclass
class Corpus:
    """The three parts while they are being filled."""

    parts: dict[str, list[Example]] = field(default_factory=lambda: {name: [] for name in SIZES})
    held: list[Example] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def full(self) -> bool:
        held_wanted = int(HELD_OUT_SHARE * (SIZES["dev"] + SIZES["test"]) * 2)
        return len(self.held) >= held_wanted and all(
            len(part) >= self.plain_size(name) for name, part in self.parts.items()
        )

    @staticmethod
    def plain_size(name: str) -> int:
        return SIZES[name] if name == "train" else SIZES[name] - int(HELD_OUT_SHARE * SIZES[name])

    def place(self, example: Example, draw: float) -> None:
        """Put an example where it belongs, if there is room."""
        if any(is_held_out(combination) for combination in example.combinations):
            # Long sentences hold more combinations; taking only some keeps the lengths like those of the training part.
            if draw < LONG_HELD_OUT or len(example.french.split()) <= 20:
                self.held.append(example)
            return
        name = "dev" if draw < 0.04 else "test" if draw < 0.08 else "train"
        if len(self.parts[name]) < self.plain_size(name):
            self.parts[name].append(example)


def usable(example: Example) -> bool:
    sizes = len(example.french.split()), len(example.english.split())
    return min(sizes) >= 3 and max(sizes) <= 60 and example.french != RUNNING_EXAMPLE


def build(seed: int = SEED) -> dict[str, list[Example]]:
    """The three parts, disjoint in source and in target."""
    rng = Rng(seed)
    grammar, corpus = Grammar(Lexicon(), rng), Corpus()
    while not corpus.full():
        example = grammar.example()
        if not usable(example) or example.french in corpus.seen or example.english in corpus.seen:
            continue
        if len(example.french.split()) < SHORT and rng.chance(SHORT_DROPPED):
            continue
        corpus.seen.update((example.french, example.english))
        corpus.place(example, rng.uniform())
    _add_held_out(corpus, rng)
    return corpus.parts


def _add_held_out(corpus: Corpus, rng: Rng) -> None:
    """Complete dev and test with held-out combinations, all of whose words the training part shows."""
    french_types: set[str] = set()
    english_types: set[str] = set()
    keys = {key for example in corpus.parts["train"] for pair in example.combinations for key in pair}
    for example in corpus.parts["train"]:
        french_types |= word_types(example.french)
        english_types |= word_types(example.english)
    known = [
        example
        for example in corpus.held
        if word_types(example.french) <= french_types
        and word_types(example.english) <= english_types
        and all(key in keys for pair in example.combinations for key in pair)
    ]
    for name in ("dev", "test"):
        missing = SIZES[name] - len(corpus.parts[name])
        corpus.parts[name] += known[:missing]
        known = known[missing:]
        rng.shuffle(corpus.parts[name])


def write(parts: dict[str, list[Example]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, examples in parts.items():
        for language in ("fr", "en"):
            lines = [example.french if language == "fr" else example.english for example in examples]
            (folder / f"{name}.{language}").write_bytes("".join(line + "\n" for line in lines).encode("utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent, help="folder to write to")
    write(build(), parser.parse_args().output)


if __name__ == "__main__":
    main()
