"""Options of the commands that can search with another engine, and the engine that they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmtkit.cli.parameters import choice, usage
from nmtkit.interop.package import PRECISIONS

if TYPE_CHECKING:
    from nmtkit.decoding.hypothesis import Hypothesis
    from nmtkit.decoding.search import Search
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.interop.engine import Engine
    from nmtkit.translator import Translator

ENGINE = "Engine"
OWN, CTRANSLATE2 = "nmtkit", "ctranslate2"


@dataclass(frozen=True)
class EngineFlags:
    """What searches, and in which precision."""

    engine: Annotated[
        str | None, choice("What searches: nmtkit or ctranslate2.", (OWN, CTRANSLATE2), ENGINE, OWN, metavar="NAME")
    ] = None
    precision: Annotated[
        str | None,
        choice(
            "Precision of ctranslate2: int8, int16, float16, bfloat16 or float32.",
            PRECISIONS,
            ENGINE,
            default=PRECISIONS[0],
            metavar="NAME",
        ),
    ] = None

    @property
    def other(self) -> bool:
        """Whether another engine than nmtkit's own is asked for."""
        return self.engine == CTRANSLATE2


def check_engine(flags: EngineFlags, **impossible: Any) -> None:
    """Refuse what goes without an engine, and with it what an engine cannot do; the package must be there.

    Args:
        impossible: by name, the options that an engine cannot serve, as the user gave them.
    """
    from nmtkit.interop import package

    if flags.precision and not flags.other:
        raise typer.BadParameter("--precision is that of --engine ctranslate2: add it, or leave out --precision")
    if not flags.other:
        return
    if names := [f"--{name.replace('_', '-')}" for name, value in impossible.items() if value]:
        raise typer.BadParameter(f"--engine ctranslate2 only gives outputs: leave out {' and '.join(names)}")
    package.load()


def load_engine(flags: EngineFlags, translator: Translator, settings: SearchSettings) -> Engine | None:
    """The engine that the user asked for, from the cache of exports; None: nmtkit's own search."""
    if not flags.other:
        return None
    from nmtkit.interop.cache import cached
    from nmtkit.interop.engine import Engine, check_precision, settings_of_engine
    from nmtkit.interop.specification import Exportable

    assert translator.options is not None
    precision, device = flags.precision or PRECISIONS[0], translator.model.device
    with usage():
        settings_of_engine(settings, translator.tokenizer.target.size)
    check_precision(precision, device)
    exported = Exportable(translator.model, translator.tokenizer, translator.options.model, translator.folder_hash)
    return Engine.load(cached(exported, precision), translator.tokenizer, settings, device, precision)


def scored_search(
    flags: EngineFlags, translator: Translator, settings: SearchSettings, scored: bool
) -> Search[list[Hypothesis]] | None:
    """The search of the engine, with J by our forced pass if it will be read; None: nmtkit's own search."""
    from nmtkit.interop.engine import Rescored  # which loads torch

    engine = load_engine(flags, translator, settings)
    return Rescored(engine) if engine and scored else engine
