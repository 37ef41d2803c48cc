"""options.json as typed values: what is written is read, what is missing or damaged is told, nothing is lost."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.training_toys import TRANSFORMER, only_line, tokenizer

from nmtkit import checkpoint
from nmtkit.checkpoint import (
    Call,
    ChosenOn,
    Configuration,
    FolderOptions,
    Languages,
    Pairs,
    Provenance,
    TokenizerFacts,
    begin,
    go_on,
    read_options,
    save_defaults,
)
from nmtkit.decoding.settings import SearchSettings
from nmtkit.models.options import RecurrentOptions
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.training.options import TrainingOptions

CONFIGURATION = Configuration(
    TRANSFORMER,
    TrainingOptions(updates=7, seed=3),
    TokenizerFacts("ab" * 32, False, 300, 310, TokenizerOptions(300, "bpe", joint=False)),
    Languages("fr", "en"),
    {"train source": "1" * 64, "dev target": "2" * 64},
)
PROVENANCE = Provenance(
    "0.1", "2.9", "3.11", "Linux x86_64", "cpu", 2, "nmtkit train", "2026-01-01", {"train source": "a.fr"}, Pairs(9, 4)
)
DEFAULTS = SearchSettings(beam=3, length_alpha=0.25)


def begun(folder: Path) -> FolderOptions:
    folder.mkdir(exist_ok=True)
    return begin(folder, CONFIGURATION, DEFAULTS, PROVENANCE)


def edit(folder: Path, **sections: Any) -> None:
    """Other sections; None takes one away."""
    path = folder / "options.json"
    values = {**json.loads(path.read_text()), **sections}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def test_what_is_begun_is_read(tmp_path: Path) -> None:
    options = begun(tmp_path)
    assert options == read_options(tmp_path)
    assert options.configuration(TrainingOptions) == CONFIGURATION
    assert (options.defaults, options.provenance, options.chosen_on) == (DEFAULTS, PROVENANCE, None)


def test_the_file_has_the_sections_and_keys_that_earlier_versions_read(tmp_path: Path) -> None:
    begun(tmp_path)
    written = json.loads((tmp_path / "options.json").read_text(encoding="utf-8"))
    sections = ["format", "model", "training", "tokenizer", "languages", "data", "defaults", "provenance"]
    assert list(written) == sections and written["format"] == 1
    assert list(written["tokenizer"]) == ["sha256", "joint", "source_size", "target_size", "made_by"]
    assert written["tokenizer"]["made_by"] == {"vocab_size": 300, "kind": "bpe", "joint": False, "max_lines": None}
    assert list(written["provenance"]) == [
        "nmtkit", "torch", "python", "machine", "device", "threads", "command", "started", "files", "pairs",
        "processes",
    ]  # fmt: skip
    assert written["languages"] == {"source": "fr", "target": "en"} and written["training"]["seed"] == 3
    assert written["provenance"]["pairs"] == {"train": 9, "dev": 4}


def test_a_folder_of_an_earlier_version_says_less(tmp_path: Path) -> None:
    """What it does not say is not known; options that did not exist have the value that held before."""
    begun(tmp_path)
    model = {"family": "recurrent", "hard": True, "cell": "lstm", "units": 8, "encoder_units": 4, "embedding": 8}
    edit(tmp_path, model=model, tokenizer={}, languages=None, data=None, provenance={"command": "x"}, training=None)
    options = read_options(tmp_path)
    assert isinstance(options.model, RecurrentOptions)
    assert (options.model.expected_share, options.model.reward_weight) == (0.0, 1.0)
    assert options.tokenizer == TokenizerFacts() and options.languages == Languages() and options.data == {}
    assert options.provenance == Provenance(command="x")
    assert options.training(TrainingOptions) == TrainingOptions(precision="float32")
    assert options.run_hash(()) == options.run_hash(("updates",))


def test_what_a_later_version_adds_is_left_alone_and_kept(tmp_path: Path) -> None:
    begun(tmp_path)
    provenance = {**PROVENANCE.written(), "ranks": 4}
    edit(tmp_path, provenance=provenance, notes="mine")
    options = go_on(read_options(tmp_path), {"updates": 9}, Call("again", threads=1))
    written = json.loads((tmp_path / "options.json").read_text(encoding="utf-8"))
    assert written["notes"] == "mine" and written["provenance"]["ranks"] == 4 and options.facts()["notes"] == "mine"
    assert options.provenance == replace(PROVENANCE, continued=(Call("again", threads=1),))
    assert options.training(TrainingOptions).updates == 9


def test_calls_that_go_on_are_written_in_their_order_and_change_nothing_else(tmp_path: Path) -> None:
    options = begun(tmp_path)
    first, second = Call("first", "2026-01-02", "0.2", "2.9", 1, "cpu"), Call("second")
    go_on(go_on(options, {"updates": 9}, first), {"patience": 2}, second)
    options = read_options(tmp_path)
    assert options.provenance.continued == (first, second)
    training = options.training(TrainingOptions)
    assert training == TrainingOptions(updates=9, seed=3, patience=2)
    assert replace(options.configuration(TrainingOptions), training=CONFIGURATION.training) == CONFIGURATION


def test_the_hash_of_a_run_is_made_of_the_file_as_it_is(tmp_path: Path) -> None:
    """So a state that an earlier version wrote still belongs to its folder, which says less than today's."""
    begun(tmp_path)
    training = {"seed": 3, "updates": 7, "patience": 1}
    edit(tmp_path, training=training)
    written = json.loads((tmp_path / "options.json").read_text(encoding="utf-8"))
    facts = {key: written[key] for key in ("model", "tokenizer", "languages", "data")}
    text = json.dumps({**facts, "training": {"seed": 3}}, sort_keys=True)
    options = read_options(tmp_path)
    assert options.run_hash(("updates", "patience")) == hashlib.sha256(text.encode()).hexdigest()
    edit(tmp_path, training={**training, "updates": 8})
    assert read_options(tmp_path).run_hash(("updates", "patience")) == options.run_hash(("updates", "patience"))
    edit(tmp_path, training={**training, "seed": 4})
    assert read_options(tmp_path).run_hash(("updates", "patience")) != options.run_hash(("updates", "patience"))


def test_other_defaults_and_what_they_were_chosen_on(tmp_path: Path) -> None:
    begun(tmp_path)
    chosen_on = ChosenOn("3" * 64, ("4" * 64,), 8, 31.5, "nrefs:1")
    save_defaults(tmp_path, {"beam": 8}, chosen_on)
    options = read_options(tmp_path)
    assert options.defaults == replace(DEFAULTS, beam=8) and options.chosen_on == chosen_on
    written = json.loads((tmp_path / "options.json").read_text(encoding="utf-8"))["defaults_chosen_on"]
    assert list(written) == ["sources_sha256", "references_sha256", "sentences", "bleu", "signature"]
    assert options.configuration(TrainingOptions) == CONFIGURATION


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"tokenizer": 3}, "tokenizer = 3 is not a table"),
        ({"tokenizer": {"sha256": 3}}, "tokenizer: sha256 = 3 is not a text"),
        ({"tokenizer": {"made_by": [1]}}, "made_by"),
        ({"languages": ["fr", "en"]}, "languages"),
        ({"data": {"train source": None}}, "data"),
        ({"defaults": {"baem": 3}}, "defaults: unknown key 'baem'; did you mean 'beam'?"),
        ({"defaults_chosen_on": 3}, "defaults_chosen_on"),
        ({"provenance": 3}, "provenance"),
        ({"provenance": {"files": {"train source": 3}}}, "provenance: files"),
        ({"provenance": {"pairs": {"train": 3}}}, "provenance: pairs: the key 'dev' is missing"),
        ({"provenance": {"continued": {}}}, "continued"),
        ({"provenance": {"continued": [3]}}, "continued"),
        ({"provenance": {"threads": "two"}}, "provenance: threads = 'two' is not a whole number"),
    ],
    ids=str,
)
def test_damage_is_one_line_that_names_the_file_and_the_key(
    sections: dict[str, Any], named: str, tmp_path: Path
) -> None:
    begun(tmp_path)
    edit(tmp_path, **sections)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_options(tmp_path)
    assert only_line(caught.value, tmp_path / "options.json", named), caught.value


def test_options_of_training_are_typed_when_they_are_asked_for(tmp_path: Path) -> None:
    """A model that a later version trained still translates."""
    begun(tmp_path)
    edit(tmp_path, training={"ranks": 4})
    options = read_options(tmp_path)
    with pytest.raises(ValueError, match=r"options\.json: training: unknown key 'ranks'"):
        options.training(TrainingOptions)


def test_facts_of_a_tokenizer_are_its_own() -> None:
    for joint in (True, False):
        made = tokenizer(joint)
        facts = TokenizerFacts.of(made, None)
        sizes = (made.source.size, made.target.size)
        assert facts == TokenizerFacts(made.hash(), joint, *sizes, None) and facts.written()["made_by"] is None


def test_the_hash_of_a_model_is_that_of_its_file(tmp_path: Path) -> None:
    begun(tmp_path)
    model = {"family": "transformer", "width": 16, "heads": 2}
    edit(tmp_path, model=model)
    assert read_options(tmp_path).model_hash(tokenizer(), {}) == checkpoint.model_hash(model, tokenizer(), {})
