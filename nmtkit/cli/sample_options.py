"""The options of `nmtkit translate` about samples and about the decision with minimum Bayes risk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from nmtkit.cli.parameters import SearchFlags, choice, count, given, real
from nmtkit.cli.translate_options import Columns, Exactly, Inside
from nmtkit.decoding.settings import EPSILON, SAMPLES, TEMPERATURE, TOP_K, TOP_P, SearchSettings
from nmtkit.evaluation.metrics import METRICS, OF_SENTENCES, find_metric
from nmtkit.settings import SEED

if TYPE_CHECKING:
    from nmtkit.decoding.sample import Sample
    from nmtkit.decoding.search import Joined
    from nmtkit.evaluation.metric import Metric

DRAWN, DECISION = "Samples", "Minimum Bayes risk"
OF_THE_BEAM = ("beam", "patience", "free_eos")
"""Options of the search that samples do not have."""


@dataclass(frozen=True)
class Sampling:
    """Samples, and how they are drawn."""

    samples: Annotated[
        int | None, count("Draw N translations per line, with line and number before each.", SAMPLES, DRAWN)
    ] = None
    temperature: Annotated[
        float | None, real("Draw from P^(1/X): below 1 likely pieces become likelier.", TEMPERATURE, DRAWN, default="1")
    ] = None
    top_k: Annotated[int | None, count("Draw from the N most probable pieces.", TOP_K, DRAWN, default="all")] = None
    top_p: Annotated[
        float | None,
        real("Draw from the fewest pieces that have probability X together.", TOP_P, DRAWN, default="all"),
    ] = None
    epsilon: Annotated[
        float | None, real("Draw from the pieces of at least this probability.", EPSILON, DRAWN, default="all")
    ] = None
    seed: Annotated[int | None, count("Seed of the draws.", SEED, DRAWN, default="1")] = None

    def search(self, settings: SearchSettings) -> Sample:
        """The search that the options describe."""
        from nmtkit.decoding.cut import Cut
        from nmtkit.decoding.sample import Sample

        assert self.samples is not None
        shape = given(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p, epsilon=self.epsilon)
        return Sample.of(settings, self.samples, Cut(**shape), **given(seed=self.seed))


@dataclass(frozen=True)
class Deciding:
    """The decision with minimum Bayes risk."""

    mbr: Annotated[
        bool,
        typer.Option(
            "--mbr",
            help="Choose from --samples, --n-best or both what the samples, or else the n best, agree with most.",
            rich_help_panel=DECISION,
        ),
    ] = False
    utility: Annotated[
        str | None, choice("The score of agreement.", tuple(METRICS), DECISION, default=OF_SENTENCES.name)
    ] = None

    @property
    def metric(self) -> Metric:
        """The utility."""
        return find_metric(self.utility or OF_SENTENCES.name)

    def lists(self, sampling: Sampling, settings: SearchSettings) -> Joined:
        """The searches for the translations that are chosen from; samples come last."""
        from nmtkit.decoding.beam import Beam
        from nmtkit.decoding.search import Joined

        best = (Beam.of(settings),) if settings.n_best > 1 else ()
        return Joined((*best, *((sampling.search(settings),) if sampling.samples else ())))


def check(
    sampling: Sampling, deciding: Deciding, columns: Columns, search: SearchFlags, exactly: Exactly, inside: Inside
) -> None:
    """Refuse options that do not go together, before anything is loaded."""
    others = given(
        **{f"--{name.replace('_', '-')}": value for name, value in {**vars(exactly), **vars(inside)}.items()}
    )
    other = next((flag for flag, value in others.items() if value), None)
    listed = columns.n_best > 1
    if deciding.utility and not deciding.mbr:
        raise typer.BadParameter("--utility says what --mbr looks at: add it, or leave both out")
    if not sampling.samples:
        if shape := given(sampling):
            flag = next(iter(shape)).replace("_", "-")
            raise typer.BadParameter(f"--{flag} says how samples are drawn: add --samples N")
        if deciding.mbr and not listed:
            raise typer.BadParameter("--mbr chooses from a list: add --samples N, --n-best N or both")
    if (sampling.samples or deciding.mbr) and other:
        raise typer.BadParameter(f"{'--samples' if sampling.samples else '--mbr'} and {other} do not go together")
    if sampling.samples and listed and not deciding.mbr:
        raise typer.BadParameter(
            "--samples and --n-best are two lists: leave one out, or add --mbr to choose from both"
        )
    if sampling.samples and not listed:
        for name, value in given(search).items():
            if name in OF_THE_BEAM and value:
                flag = name.replace("_", "-")
                raise typer.BadParameter(f"--{flag} is for a beam search, not for --samples: leave it out")
