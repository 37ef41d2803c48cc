"""Options of the commands that can search with another engine or in another precision, and the search they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from nmtkit.cli.parameters import choice, usage
from nmtkit.interop.package import PRECISIONS

if TYPE_CHECKING:
    from nmtkit.decoding.engines import Engine
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.search import Search
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

ENGINE = "Engine"
STEPWISE = ("per_length", "trace", "attention", "reference", "exact", "samples", "mbr", "sweep_beams", "sweep_alphas")
"""Options for nmtkit's own search in float32 alone."""
FORCING = ("prefix", "prefix_column", "forbid", "terminology")
"""Options that say what an output must or must not contain, which another program cannot serve."""
OWN, CTRANSLATE2 = "nmtkit", "ctranslate2"
FLOAT32 = PRECISIONS[0]
OWN_PRECISIONS = (FLOAT32, "bfloat16", "int8")


@dataclass(frozen=True)
class EngineFlags:
    """What searches, and in which precision."""

    engine: Annotated[
        str | None, choice("What searches: nmtkit or ctranslate2.", (OWN, CTRANSLATE2), ENGINE, OWN, metavar="NAME")
    ] = None
    precision: Annotated[
        str | None,
        choice(
            "Precision of the search: float32, bfloat16 or int8; ctranslate2 has more.",
            PRECISIONS,
            ENGINE,
            default=FLOAT32,
            metavar="NAME",
        ),
    ] = None

    @property
    def exported(self) -> bool:
        """Whether another program searches."""
        return self.engine == CTRANSLATE2

    @property
    def in_words(self) -> str:
        """The options that ask for another search than nmtkit's own in float32; empty if none does."""
        if self.exported:
            return f"--engine {CTRANSLATE2}"
        return "" if self.precision in (None, FLOAT32) else f"--precision {self.precision}"


def check_engine(flags: EngineFlags, *groups: object, **options: Any) -> None:
    """Refuse a precision that an engine does not have, and what an engine cannot do; its package must be there.

    Args:
        groups, options: all that the user asked of the search, in groups and by name.
    """
    from nmtkit.interop import package

    if not flags.in_words:
        return
    if not flags.exported and flags.precision not in OWN_PRECISIONS:
        raise typer.BadParameter(
            f"--precision {flags.precision} is a precision of ctranslate2: add --engine ctranslate2, or choose one of "
            f"{', '.join(OWN_PRECISIONS)}"
        )
    asked = {name: value for group in groups for name, value in vars(group).items()} | options
    impossible = [*STEPWISE, *FORCING] if flags.exported else STEPWISE
    if names := [f"--{name.replace('_', '-')}" for name in impossible if asked.get(name)]:
        raise typer.BadParameter(f"{flags.in_words} is for beam search alone: leave out {' and '.join(names)}")
    if flags.exported:
        package.load()


def load_engine(flags: EngineFlags, translator: Translator, settings: SearchSettings) -> Engine | None:
    """The engine that the user asked for; None: nmtkit's own search in float32."""
    if not flags.in_words:
        return None
    if flags.exported:
        return _exported(flags.precision or FLOAT32, translator, settings)
    from nmtkit.decoding.engines import OtherPrecision
    from nmtkit.models.interface import Model

    assert flags.precision
    return OtherPrecision(cast(Model, translator.model).lowered(flags.precision), flags.precision, settings)


def _exported(precision: str, translator: Translator, settings: SearchSettings) -> Engine:
    """CTranslate2 with an export from the cache."""
    from nmtkit.interop.cache import cached
    from nmtkit.interop.engine import Engine, check_precision, settings_of_engine
    from nmtkit.interop.specification import Exportable

    assert translator.options is not None
    with usage():
        settings_of_engine(settings, translator.tokenizer.target.size)
    check_precision(precision, translator.model.device)
    exported = Exportable(translator.model, translator.tokenizer, translator.options.model, translator.folder_hash)
    folder = cached(exported, precision)
    return Engine.load(folder, translator.tokenizer, settings, translator.model.device, precision)


def scored_search(
    flags: EngineFlags, translator: Translator, settings: SearchSettings, scored: bool
) -> Search[list[Hypothesis]] | None:
    """The search of the engine, with J by our forced pass if it will be read; None: nmtkit's own in float32."""
    from nmtkit.decoding.engines import Rescored  # which loads torch

    engine = load_engine(flags, translator, settings)
    return Rescored.of(engine) if engine and scored else engine
