"""Checks of the embedded corpus: its bytes, its counts, its held-out combinations and its grammar."""

import importlib
import os
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "data" / "jane"
SIZES = {"train": 20_000, "dev": 1_000, "test": 1_000}
LANGUAGES = ("fr", "en")
SOURCE = "Jane visite l'Afrique en septembre."
MODULES = [
    "generate",
    "grammar",
    "questions",
    "composed",
    "descriptions",
    "sentences",
    "clauses",
    "verbgroup",
    "adverbials",
    "phrases",
    "english",
    "french",
    "holdout",
    "lexicon",
    "rng",
]


def lines(part: str, language: str) -> list[str]:
    return (FOLDER / f"{part}.{language}").read_text(encoding="utf-8").split("\n")[:-1]


def words(sentence: str) -> list[str]:
    """The lower-cased words without punctuation; none of them empty."""
    return [word for word in (token.strip(".,;?!").lower() for token in sentence.split()) if word]


@pytest.fixture(scope="module")
def generator():
    """The generator's modules, importable by their short names for the tests of this file only."""
    saved = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    sys.path.insert(0, str(FOLDER))
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.dont_write_bytecode = bytecode
        sys.path.remove(str(FOLDER))
        for name in MODULES:
            sys.modules.pop(name, None)
        sys.modules.update(saved)


@pytest.fixture(scope="module")
def built(generator: dict[str, ModuleType]):
    return generator["generate"].build()


def test_regenerating_gives_the_committed_bytes(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONHASHSEED": "4711", "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(FOLDER / "generate.py"), "--output", str(tmp_path / "out")]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path, timeout=600)
    for part in SIZES:
        for language in LANGUAGES:
            name = f"{part}.{language}"
            assert (tmp_path / "out" / name).read_bytes() == (FOLDER / name).read_bytes(), name
    assert len(list((tmp_path / "out").iterdir())) == 6


@pytest.mark.parametrize("part", SIZES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_files_are_plain_lines(part: str, language: str) -> None:
    raw = (FOLDER / f"{part}.{language}").read_bytes()
    assert raw.endswith(b"\n") and b"\r" not in raw and b"\n\n" not in raw
    sentences = lines(part, language)
    assert len(sentences) == SIZES[part]
    for sentence in sentences:
        assert sentence == " ".join(sentence.split()), sentence
        assert sentence[0].isupper() and sentence[-1] in ".?", sentence
        assert not any(mark in sentence for mark in "*°~_/#’[]{}"), sentence
        assert " ," not in sentence and " ;" not in sentence and " ." not in sentence and " ?" not in sentence, sentence


@pytest.mark.parametrize("part", SIZES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_lengths(part: str, language: str) -> None:
    counts = [len(sentence.split()) for sentence in lines(part, language)]
    assert min(counts) >= 3 and max(counts) <= 60
    assert sum(count > 30 for count in counts) / len(counts) >= 0.05
    assert 8 <= statistics.median(counts) <= 12 and statistics.mean(counts) < 14


@pytest.mark.parametrize("language", LANGUAGES)
def test_word_types(language: str) -> None:
    known = {word for sentence in lines("train", language) for word in words(sentence)}
    assert len(known) >= 3_000
    assert sum(not any(letter.isdigit() for letter in word) for word in known) >= 3_000
    tested = [word for sentence in lines("test", language) for word in words(sentence)]
    assert sum(word not in known for word in tested) / len(tested) <= 0.02


def test_parts_share_nothing() -> None:
    for part in ("dev", "test"):
        for language in LANGUAGES:
            assert not set(lines(part, language)) & set(lines("train", language))
    assert not set(lines("dev", "fr")) & set(lines("test", "fr"))
    for part, size in SIZES.items():
        assert len(set(zip(lines(part, "fr"), lines(part, "en"), strict=True))) == size


def test_running_example_is_left_out_but_its_shape_is_there() -> None:
    assert all(SOURCE not in lines(part, "fr") for part in SIZES)
    train = lines("train", "fr")
    assert sum("Jane" in sentence for sentence in train) >= 500
    assert sum("Jane visite " in sentence for sentence in train) >= 20
    assert sum("visite l'Afrique" in sentence for sentence in train) >= 5
    assert sum(" visite " in sentence and "en septembre" in sentence for sentence in train) >= 10


def test_accepted_translations() -> None:
    accepted = (FOLDER / "accepted.en").read_text(encoding="utf-8").splitlines()
    assert accepted[:2] == ["Jane visits Africa in September.", "Jane is visiting Africa in September."]
    assert len(set(accepted)) == len(accepted) >= 4
    train = {word for sentence in lines("train", "en") for word in words(sentence)}
    for sentence in accepted:
        assert {"jane", "africa", "in", "september"} <= set(words(sentence)) <= train and sentence.endswith(".")


def test_no_pattern_is_frequent(built: dict) -> None:
    patterns = Counter(example.pattern for example in built["train"])
    assert max(patterns.values()) / SIZES["train"] <= 0.01
    merged: Counter[str] = Counter()  # the same with every determiner taken for one
    for pattern, count in patterns.items():
        short = [{"his": "the", "her": "the", "my": "the", "your": "the", "our": "the", "their": "the", "this": "the",
                  "that": "the", "a": "the"}.get(word, word) for word in pattern.split()]  # fmt: skip
        merged[" ".join(short)] += count
    assert max(merged.values()) / SIZES["train"] <= 0.01


def test_patterns_hide_every_open_class_word(built: dict) -> None:
    seen = {word for example in built["train"] for word in example.pattern.split()}
    assert {"NAME", "PLACE", "N", "V", "ADJ", "MONTH", "NUM"} <= seen
    assert not {"Jane", "Africa", "September", "visits", "house", "big"} & seen
    assert len(seen) < 400


def test_held_out_combinations(generator: dict[str, ModuleType], built: dict) -> None:
    held_out = generator["holdout"].is_held_out
    for part in SIZES:
        assert [example.french for example in built[part]] == lines(part, "fr")
    assert not any(held_out(pair) for example in built["train"] for pair in example.combinations)
    train = {word for language in LANGUAGES for sentence in lines("train", language) for word in words(sentence)}
    keys = {key for example in built["train"] for pair in example.combinations for key in pair}
    trained = {pair for example in built["train"] for pair in example.combinations}
    for part in ("dev", "test"):
        holding = [e for e in built[part] if any(held_out(pair) for pair in e.combinations)]
        assert len(holding) / SIZES[part] >= 0.2
        for example in holding:
            assert set(words(example.french)) | set(words(example.english)) <= train
            for pair in example.combinations:
                if held_out(pair):
                    assert pair not in trained and set(pair) <= keys


def test_held_out_people_and_places_from_the_text_alone(generator: dict[str, ModuleType]) -> None:
    """No training sentence has a person and a place of a held-out combination; dev and test do."""
    lexicon = generator["lexicon"].Lexicon()
    people = {name.lstrip("*") for name in lexicon.women + lexicon.men} - {"Florence", "Sofia", "Virginie"}
    places = {place.french.lstrip("*") for place in lexicon.places + lexicon.cities}
    inside = {word for place in places if " " in place for word in place.split()}  # "Afrique" of "Afrique du Sud"
    places = {place for place in places if " " not in place} - inside - people - {"Florence", "Sofia", "Virginie"}
    found = {}
    for part in SIZES:
        pairs = set()
        for sentence in lines(part, "fr"):
            tokens = {token.strip(".,;?!").split("'")[-1] for token in sentence.split()}
            pairs |= {(name, place) for name in tokens & people for place in tokens & places}
        found[part] = {pair for pair in pairs if generator["holdout"].is_held_out(pair)}
    assert not found["train"]
    assert len(found["test"]) >= 30 and len(found["dev"]) >= 30


SPELLED = [
    ("Jane visite la Afrique .", "Jane visite l'Afrique."),
    ("je ai vu le hôpital .", "J'ai vu l'hôpital."),
    ("je ne ai pas vu le *homard .", "Je n'ai pas vu le homard."),
    ("elle dit que elle se est levée .", "Elle dit qu'elle s'est levée."),
    ("il me a vu .", "Il m'a vu."),
    ("elle la° a vue .", "Elle l'a vue."),
    ("il vient de le Japon .", "Il vient du Japon."),
    ("il vient de Italie .", "Il vient d'Italie."),
    ("il vit à les États-Unis .", "Il vit aux États-Unis."),
    ("il va à le hôtel .", "Il va à l'hôtel."),
    ("il rêve de les chats .", "Il rêve des chats."),
    ("il décide de le° vendre .", "Il décide de le vendre."),
    ("un vieux~ homme et un vieux~ chat .", "Un vieil homme et un vieux chat."),
    ("un beau~ hôtel et un nouveau~ ami .", "Un bel hôtel et un nouvel ami."),
    ("ce~ arbre et ce~ *hibou .", "Cet arbre et ce hibou."),
    ("ma~ amie , ta~ école et sa~ mère .", "Mon amie, ton école et sa mère."),
    ("si il pleut , si elle rit .", "S'il pleut, si elle rit."),
    ("la reine de la *Hongrie .", "La reine de la Hongrie."),
    ("la capitale de le Yémen .", "La capitale du Yémen."),
    ("le livre de Yves .", "Le livre d'Yves."),
]


@pytest.mark.parametrize(("marked", "plain"), SPELLED)
def test_french_spelling(generator: dict[str, ModuleType], marked: str, plain: str) -> None:
    assert generator["french"].spell(marked) == plain


CONJUGATED = [
    ("manger", "present", 3, "mangeons"), ("commencer", "imperfect", 0, "commençais"),
    ("acheter", "present", 5, "achètent"),
    ("appeler", "present", 0, "appelle"), ("jeter", "future", 2, "jettera"), ("préférer", "present", 2, "préfère"),
    ("préférer", "future", 2, "préférera"), ("nettoyer", "present", 1, "nettoies"),
    ("envoyer", "future", 0, "enverrai"),
    ("finir", "imperfect", 5, "finissaient"), ("aller", "present", 5, "vont"), ("installer", "present", 2, "installe"),
    ("venir", "future", 3, "viendrons"), ("faire", "present", 4, "faites"), ("peindre", "present", 3, "peignons"),
    ("pouvoir", "conditional", 2, "pourrait"), ("prendre", "present", 5, "prennent"),
    ("décrire", "present", 3, "décrivons"),
    ("rire", "imperfect", 3, "riions"), ("connaître", "present", 2, "connaît"), ("vendre", "present", 2, "vend"),
    ("craindre", "present", 2, "craint"), ("traduire", "imperfect", 0, "traduisais"),
    ("recevoir", "present", 0, "reçois"),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "tense", "person", "form"), CONJUGATED)
def test_conjugation(generator: dict[str, ModuleType], verb: str, tense: str, person: int, form: str) -> None:
    assert generator["french"].conjugate(verb, tense, person) == form


def test_agreement(generator: dict[str, ModuleType]) -> None:
    french, english = generator["french"], generator["english"]
    assert french.participle("prendre", "f", True) == "prises"
    assert french.participle("prendre", "m", True) == "pris"
    assert french.participle("aller", "f") == "allée"
    bases = ("vieux", "heureux", "blanc", "long", "sportif", "premier")
    assert [french.adjective(word, "f", True) for word in bases] == [
        "vieilles", "heureuses", "blanches", "longues", "sportives", "premières",
    ]  # fmt: skip
    assert [french.pluralize(word) for word in ("cheval", "festival", "gâteau", "bijou", "nez", "pomme de terre")] == [
        "chevaux", "festivals", "gâteaux", "bijoux", "nez", "pommes de terre",
    ]  # fmt: skip
    assert [english.plural(noun) for noun in ("child", "city", "knife", "box", "policeman", "alarm_clock")] == [
        "children", "cities", "knives", "boxes", "policemen", "alarm_clocks",
    ]  # fmt: skip


PLACED = [
    ("France", "in", "en France"), ("France", "from", "de France"), ("Japon", "to", "à le Japon"),
    ("Japon", "from", "de le Japon"), ("États-Unis", "in", "à les États-Unis"), ("Iran", "in", "en Iran"),
    ("Cuba", "in", "à Cuba"), ("Cuba", "from", "de Cuba"), ("Paris", "to", "à Paris"), ("Israël", "in", "en Israël"),
    ("Italie", "for", "pour la Italie"), ("Portugal", "for", "pour le Portugal"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "link", "expected"), PLACED)
def test_prepositions(generator: dict[str, ModuleType], name: str, link: str, expected: str) -> None:
    lexicon = generator["lexicon"].Lexicon()
    place = next(place for place in lexicon.places + lexicon.cities if place.french == name)
    assert generator["phrases"].located(place, link)[0] == expected


def test_verb_groups(generator: dict[str, ModuleType]) -> None:
    group, lexicon = generator["verbgroup"], generator["lexicon"].Lexicon()
    phrase = generator["phrases"].Phrase
    verbs = {verb.key: verb for frame in ("L", "T") for verb in lexicon.verbs[frame]}
    she, they = phrase("elle", "she", "f", human=True), phrase("ils", "they", plural=True, human=True)
    perfect, refused = group.Setting("perfect"), group.Setting("perfect", negation="not")
    assert group.french_group(verbs["aller to"], she, perfect) == "est allée"
    assert group.french_group(verbs["se rendre to"], they, perfect) == "se sont rendus"
    assert group.french_group(verbs["acheter"], she, refused) == "ne a pas acheté"
    car = phrase("la voiture", "the car", "f")
    assert group.french_group(verbs["vendre"], they, perfect, "la°", car) == "la° ont vendue"
    assert group.english_group("visit", she, refused) == "did not visit/V"
    assert group.english_group("visit", she, group.Setting("present", "progressive")) == "is visiting/V"
    assert group.english_group("go", they, group.Setting("perfect", "perfect")) == "have gone/V"


@pytest.mark.parametrize("part", SIZES)
def test_french_text_has_no_missing_elision_or_contraction(part: str) -> None:
    """Over the whole text: no "de le", no "le" or "que" before a plain vowel, no English left over."""
    for sentence in lines(part, "fr"):
        tokens = sentence.rstrip(".?").replace(",", " ,").lower().split()
        for first, second in zip(tokens, tokens[1:], strict=False):
            assert not (first in ("de", "à") and second == "les"), sentence
            if first in ("le", "la", "je", "ne", "se", "de", "que", "me", "te"):
                assert second[0] not in "aeiouéèêâîôœ" or second == "onze", sentence
            if first in ("du", "au", "ce", "ma", "ta", "sa"):
                assert second[0] not in "aeiouéèêâîôœ", sentence
