"""options.json: read once into typed values, written when a run begins, goes on, or gets other defaults."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from nmtkit.checkpoint.values import (
    Call,
    ChosenOn,
    Configuration,
    Languages,
    Origin,
    Pairs,
    Provenance,
    TokenizerFacts,
)
from nmtkit.checkpoint.weights import model_hash, read_weights
from nmtkit.decoding.settings import SearchSettings
from nmtkit.files import write_json
from nmtkit.models.options import ModelOptions, options_of_folder
from nmtkit.settings import from_mapping, to_mapping
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.tokenizer.tokenizer import Tokenizer

FORMAT = 1
"""Version of the folder's layout; a folder of a newer version is refused."""
OPTIONS = "options.json"

OLDER = {"precision": "float32"}
"""Options of training that folders of earlier versions lack, with what held then where it is not today's default."""

T = TypeVar("T")


@dataclass(frozen=True)
class FolderOptions:
    """The content of options.json.

    Attributes:
        path: path of the file, for error messages.
        model: options of the model, with today's defaults for those that the folder does not have.
        tokenizer, languages, provenance: the sections of these names, with defaults likewise.
        data: SHA-256 of the files of text by role ("train source" …).
        defaults: default settings of the search.
        init_from: where the first weights come from; None: they were drawn.
        chosen_on: the text on which these defaults were chosen; None if training set them.
        written: the file as it is, with fewer keys if an older version wrote it; hashes are computed from it.
    """

    path: Path
    model: ModelOptions
    tokenizer: TokenizerFacts
    languages: Languages
    data: Mapping[str, str]
    defaults: SearchSettings
    chosen_on: ChosenOn | None
    provenance: Provenance
    written: Mapping[str, Any]
    init_from: Origin | None = None

    def training(self, kind: type[T]) -> T:
        """The options of training as a dataclass of the caller; ValueError if they do not fit it."""
        return from_mapping(kind, {**OLDER, **self.written.get("training", {})}, f"{self.path}: training")

    def configuration(self, kind: type[Any]) -> Configuration:
        """Everything that determines the weights; `kind` as for `training`."""
        training = self.training(kind)
        return Configuration(self.model, training, self.tokenizer, self.languages, self.data, self.init_from)

    def model_hash(self, tokenizer: Tokenizer, weights: Mapping[str, Tensor]) -> str:
        """SHA-256 over everything that determines the distribution."""
        return model_hash(self.written["model"], tokenizer, weights)

    def read_weights(self, path: Path, tokenizer: Tokenizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and their header; ValueError if they are damaged, or not of this folder and this tokenizer."""
        return read_weights(path, self.written["model"], tokenizer)

    def run_hash(self, free: Sequence[str]) -> str:
        """SHA-256 over everything that determines the weights, except options of training that may change (`free`)."""
        facts = {key: self.written.get(key) for key in ("model", "tokenizer", "languages", "data")}
        facts |= {key: self.written[key] for key in ("init_from",) if key in self.written}
        training = {key: value for key, value in self.written.get("training", {}).items() if key not in free}
        return hashlib.sha256(json.dumps({**facts, "training": training}, sort_keys=True).encode()).hexdigest()

    def facts(self) -> dict[str, Any]:
        """The whole content, in the order and with the keys of the file."""
        return {key: value for key, value in self.written.items() if key != "format"}


def read_options(folder: Path) -> FolderOptions:
    """Read options.json of a model folder; ValueError in one line for anything else."""
    path, written = folder / OPTIONS, _read(folder)
    tokenizer = _section(written, "tokenizer", path)
    made_by = tokenizer.get("made_by")
    chosen_on = written.get("defaults_chosen_on")
    return FolderOptions(
        path,
        options_of_folder(written["model"], str(path)),
        replace(
            _record(TokenizerFacts, tokenizer, f"{path}: tokenizer", "made_by"),
            made_by=None if made_by is None else from_mapping(TokenizerOptions, made_by, f"{path}: tokenizer made_by"),
        ),
        _record(Languages, _section(written, "languages", path), f"{path}: languages"),
        _texts(_section(written, "data", path), f"{path}: data"),
        from_mapping(SearchSettings, written["defaults"], f"{path}: defaults"),
        None if chosen_on is None else _record(ChosenOn, chosen_on, f"{path}: defaults_chosen_on"),
        _provenance(_section(written, "provenance", path), f"{path}: provenance"),
        written,
        _record(Origin, written["init_from"], f"{path}: init_from") if "init_from" in written else None,
    )


def save_options(folder: Path, sections: Mapping[str, Any]) -> None:
    """Write options.json, which makes a folder a model folder."""
    write_json(folder / OPTIONS, {"format": FORMAT, **sections})


def begin(
    folder: Path, configuration: Configuration, defaults: SearchSettings, provenance: Provenance
) -> FolderOptions:
    """Write options.json of a new model."""
    sections = {"defaults": to_mapping(defaults), "provenance": provenance.written()}
    save_options(folder, {**configuration.written(), **sections})
    return read_options(folder)


def go_on(options: FolderOptions, training: Mapping[str, Any], call: Call) -> FolderOptions:
    """Record that a run goes on: the options of training that change, and the call."""
    written = options.written
    provenance = dict(written.get("provenance", {}))
    provenance["continued"] = [*provenance.get("continued", []), to_mapping(call)]
    sections = {**written, "training": {**written.get("training", {}), **training}, "provenance": provenance}
    save_options(options.path.parent, sections)
    return read_options(options.path.parent)


def save_defaults(folder: Path, defaults: Mapping[str, Any], chosen_on: ChosenOn) -> None:
    """Change the default search settings of a model folder, and record what they were chosen on."""
    written = read_options(folder).written
    merged = {**written["defaults"], **defaults}
    write_json(folder / OPTIONS, {**written, "defaults": merged, "defaults_chosen_on": to_mapping(chosen_on)})


def _read(folder: Path) -> dict[str, Any]:
    path = folder / OPTIONS
    if folder.is_file():
        raise ValueError(f"{folder}: a file, no model folder; name texts behind their options, see --help")
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such model folder; nmtkit train --output {folder} makes one")
    if not path.is_file():
        raise ValueError(f"{folder}: not a model folder (it has no {OPTIONS}); nmtkit train --output makes one")
    try:
        options = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: damaged, not JSON ({error}); restore a copy") from None
    known = options.get("format") if isinstance(options, dict) else None
    if type(known) is not int or not {"model", "tokenizer", "defaults"} <= options.keys():
        raise ValueError(f"{path}: not written by nmtkit; name a folder that nmtkit train made")
    if known > FORMAT:
        raise ValueError(f"{path}: format {known} is newer than this nmtkit reads ({FORMAT}); install a newer nmtkit")
    _section(options, "model", path)
    return dict(options)


def _section(written: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    """A table of the file; empty if the file does not have it."""
    section = written.get(name, {})
    if not isinstance(section, dict):
        raise ValueError(f"{path}: {name} = {section!r} is not a table of keys and values; restore a copy")
    return section


def _record(kind: type[T], values: Any, where: str, *but: str) -> T:
    """A value of plain fields; keys that this version does not know, and those in `but`, are left out."""
    if not isinstance(values, dict):
        raise ValueError(f"{where} = {values!r} is not a table of keys and values; restore a copy")
    known = {field.name for field in fields(kind)} - {*but}  # type: ignore[arg-type]
    return from_mapping(kind, {key: value for key, value in values.items() if key in known}, where)


def _texts(values: Any, where: str) -> Mapping[str, str]:
    if not isinstance(values, dict) or not all(type(value) is str for value in values.values()):
        raise ValueError(f"{where} = {values!r} is not a table of texts; restore a copy")
    return values


def _provenance(values: Mapping[str, Any], where: str) -> Provenance:
    continued, pairs = values.get("continued", []), values.get("pairs")
    if not isinstance(continued, list):
        raise ValueError(f"{where}: continued = {continued!r} is not a list; restore a copy")
    return replace(
        _record(Provenance, values, where, "files", "pairs", "continued"),
        files=_texts(values.get("files", {}), f"{where}: files"),
        pairs=None if pairs is None else _record(Pairs, pairs, f"{where}: pairs"),
        continued=tuple(_record(Call, call, f"{where}: continued") for call in continued),
    )
