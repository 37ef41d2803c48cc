"""The manual says what is: pages, links, flags, names and defaults agree with the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
from conftest import ROOT

from nmtkit.cli.main import COMMANDS, app
from nmtkit.guide.pages import NAMES, read, read_all
from nmtkit.models.options import PRESETS
from nmtkit.settings import to_mapping
from nmtkit.training.options import TrainingOptions

GUIDE = ROOT / "nmtkit" / "guide"
BOOKS = [ROOT / "README.md", ROOT / "data" / "README.md", ROOT / "data" / "results.md", *sorted(GUIDE.glob("*.md"))]
OTHERS = {"--install-completion", "--help"}
"""Flags that all commands have, or nmtkit itself."""
OF_LAUNCHERS = {
    *("--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-endpoint", "--rdzv-id", "--shutdown-timeout"),
    *("--presets", "--precisions", "--pairs"),
    *("--nodes", "--ntasks-per-node", "--gpus-per-node", "--cpus-per-task", "--requeue", "--signal"),
}
"""Flags of torchrun, of the benchmarks and of Slurm's sbatch."""


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a text."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_has_a_place_a_title_and_a_sentence() -> None:
    assert sorted(NAMES) == sorted(path.stem for path in GUIDE.glob("*.md"))
    for page in read_all():
        assert page.text.startswith(f"# {page.title}\n\n{page.summary}\n\n"), page.name
        assert page.title and page.summary.endswith((".", "?")), page.name
    with pytest.raises(ValueError, match="'serch' is not a page of the guide; did you mean 'search'"):
        read("serch")


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    """From a page of the guide only to another, since nothing else ships with it."""
    for target in re.findall(r"\]\(([^)]+)\)", text_of(path)):
        name, _, anchor = target.partition("#")
        other = path.parent / name if name else path
        assert other.is_file(), target
        assert path.parent != GUIDE or (other.parent == GUIDE and not anchor), target
        assert not anchor or anchor in anchors(text_of(other)), target


def test_the_readme_links_every_page_and_is_short() -> None:
    readme = text_of(ROOT / "README.md")
    rows = re.findall(r"^\| \[(.+)\]\(nmtkit/guide/([a-z-]+)\.md\) \| (.+) \|$", readme, re.MULTILINE)
    assert rows == [(page.title, page.name, page.summary) for page in read_all()]
    assert len(readme.split()) <= 1500


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_flag_and_target_exists(path: Path) -> None:
    group: Any = typer.main.get_command(app)
    flags = {
        name
        for command in COMMANDS
        for option in group.commands[command].params
        for name in (*option.opts, *option.secondary_opts)
    }
    flags |= {name for option in group.params for name in option.opts}
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text_of(path)))
    assert mentioned <= flags | OTHERS | OF_LAUNCHERS, mentioned - flags
    targets = set(re.findall(r"^([a-z0-9-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    called = set(re.findall(r"(?:`|^    )make ([a-z0-9-]+)", text_of(path), re.MULTILINE))
    assert called <= targets, called - targets


def test_pages_fit_80_columns_but_for_tables_and_programs() -> None:
    for name in NAMES:
        prose = re.sub(r"^```.*?^```$", "", text_of(GUIDE / f"{name}.md"), flags=re.MULTILINE | re.DOTALL)
        long = [line for line in prose.split("\n") if len(line) > 80 and not line.startswith("|")]
        assert not long, f"{name}: {long}"


def test_what_the_pages_list_is_what_there_is() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", text_of(GUIDE / "first-steps.md"), re.MULTILINE)
    assert rows == [*COMMANDS]
    models = text_of(GUIDE / "models.md")
    for name in PRESETS:
        family, _, size = name.rpartition("-")
        assert f"`{name}`" in models or (family == "transformer" and f"`-{size}`" in models), name
    configuration = text_of(GUIDE / "configuration.md")
    (recipe,) = re.findall(r"^```toml\n(.*?)^```$", configuration, re.MULTILINE | re.DOTALL)
    shipped = ROOT / "nmtkit" / "training" / "recipes" / "jane.toml"
    assert tomllib.loads(recipe) == tomllib.loads(text_of(shipped))
    section = configuration[configuration.index("| `updates`") : configuration.index("Those of `[tokenizer]`")]
    shown = {name: tomllib.loads(f"x = {value}")["x"] for name, value in re.findall(r"`(\w+)` = ([^\s,|]+)", section)}
    assert shown == to_mapping(TrainingOptions())


def test_the_page_of_files_lists_the_columns_of_a_report() -> None:
    from nmtkit.report.blame import _columns

    section = text_of(GUIDE / "files.md")
    names = set(re.findall(r"`([\w…]+)`", section[section.index("## blame-analysis --tsv") :]))
    columns = {re.sub(r"^reference_1", "reference_N", name) for name in _columns(1)}
    assert {name for name in columns if not name.startswith("reference_N_")} <= names
    assert {name.replace("reference_N", "…") for name in columns if name.startswith("reference_N_")} <= names
