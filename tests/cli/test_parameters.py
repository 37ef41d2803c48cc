"""Groups of options: every field is an option, the command gets an instance, and the search has a flag for each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, get_args, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from nmtkit.cli.parameters import (
    DeviceFlags,
    MachineFlags,
    ObjectiveFlags,
    SearchFlags,
    WeightsFlags,
    as_flags,
    count,
    given,
    takes,
)
from nmtkit.decoding.settings import SearchSettings


@dataclass(frozen=True)
class Fruit:
    apples: Annotated[int | None, count("How many.", default="none")] = None
    ripe: Annotated[bool, typer.Option("--ripe", help="Whether.")] = False
    kind: Annotated[str, typer.Option(help="Which.")] = "red"


def run(*words: str) -> tuple[int, list[Fruit], str]:
    seen: list[Fruit] = []
    app = typer.Typer()

    @app.command()
    @takes(fruit=Fruit)
    def buy(shop: Annotated[str, typer.Option(help="Where.")], *, fruit: Fruit) -> None:
        """Buy fruit."""
        seen.append(fruit)

    outcome = CliRunner().invoke(app, list(words))
    return outcome.exit_code, seen, outcome.output


def test_a_group_arrives_whole() -> None:
    assert run("--shop", "corner")[1] == [Fruit()]
    assert run("--shop", "corner", "--apples", "3", "--ripe", "--kind", "green")[1] == [Fruit(3, True, "green")]
    code, seen, output = run("--shop", "corner", "--apples", "0")
    assert code == 2 and not seen and "0 is not possible" in output


def test_help_shows_each_option_with_its_default() -> None:
    output = " ".join(run("--help")[2].split())
    assert "How many (default: none)." in output and "Which (default: red)." in output


def test_every_setting_of_the_search_has_one_flag_of_its_type() -> None:
    """But for n-best lists, which `translate` alone has, and the cut of the source."""
    settings = {field.name for field in fields(SearchSettings)}
    assert {field.name for field in fields(SearchFlags)} == settings - {"n_best", "max_source"}
    hints, kinds = get_type_hints(SearchFlags, include_extras=True), get_type_hints(SearchSettings)
    for name, hint in hints.items():
        assert {*get_args(get_args(hint)[0])} - {type(None)} == ({*get_args(kinds[name])} or {kinds[name]}) - {
            type(None)
        }
    assert all(field.default is None for field in fields(SearchFlags))


def test_groups_share_their_options() -> None:
    machine = [field.name for field in fields(MachineFlags)]
    assert machine == [field.name for group in (WeightsFlags, DeviceFlags) for field in fields(group)]
    whole, part = (get_type_hints(group, include_extras=True) for group in (SearchFlags, ObjectiveFlags))
    assert all(whole[name] is part[name] for name in part)


def test_what_was_given() -> None:
    assert given(Fruit(), SearchFlags(beam=3), threads=None, output="x") == {
        "ripe": False,
        "kind": "red",
        "beam": 3,
        "output": "x",
    }


@pytest.mark.parametrize(
    ("message", "flags"),
    [
        ("beam = 0 is not possible", "--beam 0 is not possible"),
        ("n_best = 5 needs a beam, but beam = 2", "--n-best 5 needs a beam, but --beam 2"),
        ("my_beam = 3", "my_beam = 3"),
    ],
)
def test_names_become_flags(message: str, flags: str) -> None:
    assert as_flags(message) == flags
