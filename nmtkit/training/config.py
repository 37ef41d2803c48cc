"""Turns TOML into a run: a configuration file, or a recipe that comes with nmtkit, and changes to it.

    run = load("multi30k-tiny", train="data/train", dev="data/val", output="runs/multi30k")

Top-level keys are the fields of `Place`. The tables [model], [training] and [tokenizer] have the fields of the options
of that name; [model] changes the preset or, if it names a family, is a model of its own. Some options of the tables
are top-level keys as well (`SHORT`), like the flags of `nmtkit train`, and then win over the tables.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from nmtkit.devices import THREADS
from nmtkit.files import STANDARD, open_text, read_toml
from nmtkit.models.options import FAMILIES, ModelOptions, options_from_mapping, options_to_mapping, preset
from nmtkit.settings import check_bounds, from_mapping, nearest
from nmtkit.tokenizer.options import TokenizerOptions
from nmtkit.training.options import TrainingOptions

if TYPE_CHECKING:
    from nmtkit.training.run import Run

PRESET = "transformer-small"
TABLES = ("model", "training", "tokenizer")
OF_TRAINING = (
    *("updates", "batch_tokens", "accumulate", "learning_rate", "warmup", "label_smoothing", "validate_every"),
    *("average", "ema", "patience", "precision", "compile", "freeze", "subword_regularization", "seed"),
)
SHORT: Mapping[str, tuple[str, str]] = {
    "vocab_size": ("tokenizer", "vocab_size"),
    "tokenizer_kind": ("tokenizer", "kind"),
    "joint_vocab": ("tokenizer", "joint"),
    "symbols": ("tokenizer", "symbols"),
    "dropout": ("model", "dropout"),
    **{name: ("training", name) for name in OF_TRAINING},
}
"""Top-level keys that stand for a key of a table, with that table and key."""
OF_THE_COMMAND = ("quiet", "debug", "check")
"""Top-level keys that only the command `nmtkit train` uses."""


@dataclass(frozen=True)
class Place:
    """The files and the model of a run, and the device that it trains on.

    Attributes:
        train: prefix of the training files: PREFIX.fr and PREFIX.en, or a folder of nmtkit prepare; a list for several.
            "PREFIX:3" is three times in an epoch.
        dev: prefix of the files for validation.
        source_lang: ending of the source files.
        target_lang: ending of the target files.
        output: model folder; an interrupted run in it goes on.
        tokenizer: a .model file, or a folder with one; the table [tokenizer], which makes one, must be left out then.
        init_from: a model folder with whose best weights the training begins; without a tokenizer, a preset or a
            family in the table [model], its tokenizer and its model are taken, which [model] may change.
        preset: a model by name, which the table [model] changes.
        device: where to run: auto, cpu, cuda or cuda:N.
        threads: CPU threads; left out: PyTorch's choice.
        cache: folder where large training texts are kept as ids; left out: $NMTKIT_CACHE or ~/.cache/nmtkit.
        verify_data: compare the content of texts that are kept as ids, not only size and time.
    """

    train: str | tuple[str, ...]
    dev: str
    source_lang: str
    target_lang: str
    output: str
    tokenizer: str | None = None
    init_from: str | None = None
    preset: str | None = None
    device: str = "auto"
    threads: Annotated[int | None, THREADS] = None
    cache: str | None = None
    verify_data: bool = False

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True)
class Config:
    """The content of a configuration.

    Attributes:
        name: name of the file or recipe, for error messages; may be empty.
        keys: top-level keys, with underscores.
        tables: the tables by name, each of `TABLES`.
    """

    name: str = ""
    keys: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any], name: str) -> Config:
        """The content of a TOML file, with its keys checked; ValueError for an unknown key."""
        keys = {key.replace("-", "_"): value for key, value in values.items()}
        tables = take_tables(keys, name)
        known = [*(field.name for field in fields(Place)), *SHORT, *OF_THE_COMMAND]
        for key in keys:
            if key not in known:
                raise ValueError(f"{name}: unknown key {key!r};{nearest(key, [*known, *tables])}")
        return cls(name, keys, tables)

    def changed(self, changes: Mapping[str, Any]) -> Config:
        """A copy with changed top-level keys, and with tables laid over its own."""
        plain = {key: _plain(value) for key, value in changes.items()}
        more = Config.of(plain, self.name)
        tables = {name: {**self.tables.get(name, {}), **more.tables.get(name, {})} for name in TABLES}
        covered = {key for key, (table, name) in SHORT.items() if name in more.tables.get(table, {})}
        keys = {key: value for key, value in self.keys.items() if key not in covered}
        return Config(self.name, {**keys, **more.keys}, tables)

    def run(self, command: str = "") -> Run:
        """The run that the configuration describes; no file is read.

        Args:
            command: the command line, for the provenance.

        Raises:
            ValueError: for a value that is not possible, or values that do not fit together.
        """
        from nmtkit.training.data import Data, Part
        from nmtkit.training.run import Run

        where = f"{self.name}: " if self.name else ""
        tables = {name: dict(self.tables.get(name, {})) for name in TABLES}
        for key, (table, name) in SHORT.items():
            if key in self.keys:
                tables[table][name] = self.keys[key]
        top = {key: value for key, value in self.keys.items() if key not in (*SHORT, *OF_THE_COMMAND)}
        place = from_mapping(Place, top, self.name or "the configuration")
        model = _model(place, tables["model"], f"{where}[model]")
        training = from_mapping(TrainingOptions, tables["training"], f"{where}[training]")
        made_by = from_mapping(TokenizerOptions, tables["tokenizer"], f"{where}[tokenizer]")
        inherited = place.init_from is not None and not tables["tokenizer"]
        asked = [name for key, (table, name) in SHORT.items() if table == "tokenizer" and key in self.keys]
        if place.tokenizer and asked:
            named = ", ".join(asked)
            raise ValueError(f"--tokenizer {place.tokenizer} is ready made: leave out {named}, or let train make one")
        names = (place.train,) if isinstance(place.train, str) else place.train
        if not names:
            raise ValueError(f"{where}train names no text; name one or more")
        parts = tuple(Part.of(name, place.source_lang) for name in names)
        data = Data(parts, Path(place.dev), place.source_lang, place.target_lang)
        if asked and (folders := [part.path for part in parts if part.prepared]):
            raise ValueError(f"--train {folders[0]} has its own tokenizer: leave out {', '.join(asked)}")
        return Run(
            data,
            Path(place.output),
            model,
            training,
            Path(place.tokenizer) if place.tokenizer else None if inherited else made_by,
            place.device,
            place.threads,
            command,
            None if place.cache is None else Path(place.cache),
            place.verify_data,
            Path(place.init_from) if place.init_from else None,
        )


def _plain(value: Any) -> Any:
    """A value as TOML would have it: paths as texts."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def take_tables(values: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Remove the tables from the values of the TOML file `name`; `tokenizer = "FILE"` is not a table."""
    own = [table for table in TABLES if not (table == "tokenizer" and isinstance(values.get(table), str))]
    tables = {table: values.pop(table, {}) for table in own}
    for table, content in tables.items():
        if not isinstance(content, dict):
            raise ValueError(f"{name}: {table} = {content!r} is not a table; write [{table}] and its keys below")
    return tables


def load(name: str | Path, **changes: Any) -> Run:
    """The run of a TOML file, or of a recipe that comes with nmtkit.

    Args:
        changes: top-level keys that win over the file's (`output="runs/x"`), and tables that are laid over its tables
            (`training={"updates": 100}`).

    Raises:
        ValueError: in one line that names file and key.
    """
    return read(str(name)).changed(changes).run()


def read(name: str) -> Config:
    """Read the configuration of a TOML file or a recipe."""
    return Config.of(read_values(name), name)


def read_values(name: str) -> dict[str, Any]:
    """The keys and tables of a TOML file, of standard input ("-"), or of a recipe that comes with nmtkit."""
    path = Path(name)
    try:
        if name == STANDARD:
            return tomllib.loads(open_text(name).read().decode("utf-8"))
        if path.exists():
            return read_toml(path)
        if name in recipes():
            return tomllib.loads((resources.files("nmtkit.training") / "recipes" / f"{name}.toml").read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"{name}: cannot be read ({error.strerror}); name a TOML file") from None
    raise ValueError(f"{name}: no such file, nor a recipe of nmtkit's ({', '.join(recipes())})")


def recipes() -> list[str]:
    """Names of the recipes that come with nmtkit."""
    folder = resources.files("nmtkit.training") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _model(place: Place, changes: Mapping[str, Any], where: str) -> ModelOptions | Mapping[str, Any]:
    """The preset with changes, the family that the table names, with its own defaults, or changes to `init_from`'s."""
    preset_name = place.preset
    if "family" in changes and preset_name is None:
        return options_from_mapping(changes, where)
    if place.init_from is not None and preset_name is None:
        return changes
    base = options_to_mapping(preset(preset_name or PRESET))
    if (family := changes.get("family", base["family"])) in FAMILIES and family != base["family"]:
        raise ValueError(
            f"{where}: family = {family!r}, but the preset {preset_name!r} is {base['family']}: leave out one of them"
        )
    return options_from_mapping({**base, **changes}, where)
