"""The options of `nmtkit translate` about what translations must not contain and what they must."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmtkit.cli import paths
from nmtkit.cli.sample_options import Sampling
from nmtkit.cli.translate_options import Inside

if TYPE_CHECKING:
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.glossary import Glossary

CONSTRAINTS = "Constraints"


@dataclass(frozen=True)
class Constrained:
    """Forbidden phrases and terms."""

    forbid: Annotated[
        Path | None, paths.read("Phrases that no translation contains, one per line.", panel=CONSTRAINTS)
    ] = None
    terminology: Annotated[
        Path | None,
        paths.read("Terms that must be translated so: source, tab, target on each line.", panel=CONSTRAINTS),
    ] = None

    def read(self, settings: SearchSettings) -> Glossary | None:
        """The constraints in the files, for a search with these settings; None if there are none.

        Raises:
            typer.BadParameter: if the settings do not go with terms.
            ValueError: names the file and the line.
        """
        from nmtkit.files import each_line
        from nmtkit.glossary import Glossary

        if self.terminology and settings.free_eos:
            raise typer.BadParameter("--terminology and --free-eos both decide what stays in the beam: choose one")
        forbidden = [] if self.forbid is None else [line.strip() for line in each_line(self.forbid)]
        terms = [] if self.terminology is None else _terms(self.terminology)
        glossary = Glossary(tuple(filter(None, forbidden)), tuple(terms))
        return glossary if glossary.forbidden or glossary.terms else None


@dataclass(frozen=True)
class Contents:
    """Hashes of the two files' contents, which decide the output."""

    forbid: str | None
    terminology: str | None

    @classmethod
    def of(cls, glossary: Glossary | None) -> Contents:
        """The hashes of what was read."""
        lists = (glossary.forbidden, glossary.terms) if glossary else ((), ())
        return cls(*(hashlib.sha256(repr(content).encode()).hexdigest()[:12] if content else None for content in lists))


def check_constraints(constrained: Constrained, input_file: Path, sampling: Sampling, inside: Inside) -> None:
    """Refuse options that do not go together, before anything is loaded."""
    from nmtkit.features import is_features

    if constrained.terminology is None:
        return
    if sampling.samples:
        raise typer.BadParameter("--terminology divides a beam, which --samples do not have: leave one of them out")
    if inside.trace:
        raise typer.BadParameter("--trace shows the best candidates, --terminology keeps others: leave one of them out")
    if is_features(input_file):
        raise typer.BadParameter("--terminology looks for terms in lines of text, but the input is vectors")


def _terms(path: Path) -> list[tuple[str, str]]:
    """The terms of a file with their translations; blank lines do not count."""
    from nmtkit.files import each_line

    terms: dict[str, str] = {}
    for number, line in enumerate(each_line(path), start=1):
        if not line.strip():
            continue
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise ValueError(f"{path}, line {number}: is not a term: write the source, a tab and the target")
        source, target = columns
        if terms.setdefault(source, target) != target:
            raise ValueError(f"{path}, line {number}: {source!r} has two translations, the other is {terms[source]!r}")
    return list(terms.items())
