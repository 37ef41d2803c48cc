"""The whole from outside: the commands of README and guide run, and a wheel works in an environment of its own."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
import typer.main
from conftest import JANE, ROOT, environment, head, run_here, write_lines

from nmtkit import __version__
from nmtkit.cli.main import COMMANDS, app
from nmtkit.guide.pages import NAMES

README = ROOT / "README.md"
GUIDE = ROOT / "nmtkit" / "guide"
PAGES = [README, *(GUIDE / f"{name}.md" for name in NAMES)]
BEGINNINGS = (README, GUIDE / "first-steps.md")
"""Pages that train the model which the others begin with."""

BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STAGE = re.compile(r"""(?:"[^"]*"|'[^']*'|[^|"'])+""")
"""A part of a pipeline."""

SHORTER = {
    "train": ["--updates", "2", "--validate-every", "2", "--batch-tokens", "400"],
    "train-tokenizer": ["--vocab-size", "400"],
    **{name: ["--max-length", "10"] for name in ("translate", "evaluate", "blame-analysis", "attention", "compare")},
}
"""Flags that make a command fit the few lines that it gets here, and the model that has learned nothing."""
LONGER = ("updates = 20\nvalidate-every = 20\n", "updates = 1\nvalidate-every = 1\n")
"""What a configuration that a page writes says, and what it says here."""
HOURS = ("data/attention.toml", "data/attention-multi30k.toml")
"""Grids whose training takes hours: a command that names one is only parsed."""


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of the blocks to run, in order."""
    return [(match[1], match[2]) for match in BLOCK.finditer(text)]


def commands(block: str) -> list[str]:
    """What follows `$ `, joined where a line ends in a backslash, with its here-document; the rest is output."""
    lines = iter(block.replace("\\\n", "").split("\n"))
    found = []
    for line in lines:
        if line.startswith("$ "):
            command = line.removeprefix("$ ")
            if match := re.search(r"<<(\w+)$", command):
                body = itertools.takewhile(lambda text, end=match[1]: text != end, lines)
                command = "\n".join([command, *body, match[1]])
            found.append(command)
    return found


def test_which_commands_are_run() -> None:
    text = "```console\n$ a \\\n  b\nout\n$ c <<END\n$ d\nEND\n```\nelse\n```python\ne\n```\n"
    (console, block), (python, code) = blocks(text)
    assert (console, commands(block)) == ("console", ["a   b", "c <<END\n$ d\nEND"])
    assert (python, code) == ("python", "e\n")


def parse(words: list[str]) -> None:
    """Read a command line as nmtkit does, without running it: what it does not know is an error."""
    group: Any = typer.main.get_command(app)
    group.commands[words[0]].make_context(words[0], words[1:])


def run_nmtkit(words: list[str], stdin: bytes) -> bytes:
    """Run a command in this process, shortened; returns what it wrote to standard output."""
    if set(HOURS) & set(words):
        parse(words)
        return b""
    more = [] if "--hypotheses" in words else SHORTER.get(words[0], [])
    if words[0] == "train" and not {"--tokenizer", "--init-from", "runs/ids"} & {*words}:
        more = [*more, "--vocab-size", "400"]
    outcome = run_here(*words, *more, stdin=stdin)
    assert outcome.code == 0, f"{shlex.join(words)}\n{outcome.err}"
    assert "Traceback" not in outcome.err
    return outcome.out


def run_line(text: str, folder: Path) -> None:
    """Run a command line of a page in bash, but for the commands of nmtkit in it."""
    stream, text = b"", text.replace(*LONGER)
    for stage in STAGE.findall(text):
        if re.match(r"\s*nmtkit\b", stage):
            stream = run_nmtkit(shlex.split(stage)[1:], stream)
        else:
            words = ["bash", "-euo", "pipefail", "-c", stage]
            done = subprocess.run(words, cwd=folder, input=stream, capture_output=True, check=False)
            assert done.returncode == 0, f"{text}\n{done.stderr.decode()}"
            stream = done.stdout


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the repository as the pages expect it, with few lines in each text."""
    known = {"data/jane": ("train", "dev", "test"), "corpus": ("train", "dev", "test")}
    for folder, parts in {**known, "multi30k": ("train", "val", "test_2016_flickr")}.items():
        (tmp_path / folder).mkdir(parents=True)
        for name, part in zip(parts, ("train", "dev", "test"), strict=True):
            for language in ("fr", "en"):
                other = language if folder == "data/jane" else {"fr": "de", "en": "en"}[language]
                lines = head(JANE / f"{part}.{language}", 200 if part == "train" else 4)
                write_lines(tmp_path / folder / f"{name}.{other}", lines)
    for path in HOURS:
        shutil.copy(ROOT / path, tmp_path / "data")
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


TRAINING = ("own-data", "comparing")
"""Pages whose commands train for half a minute."""


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] * (page.stem in TRAINING), id=page.stem) for page in PAGES]
)
def test_every_command_of_a_page_runs(
    page: Path, place: Path, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the page, on a small model; Python blocks as programs."""
    monkeypatch.setattr("nmtkit.models.matrices.LARGE", 1)  # a precision would change nothing in so small a model
    if page not in BEGINNINGS:
        shutil.copytree(model, place / "runs" / "demo")
    for language, block in blocks(page.read_text(encoding="utf-8")):
        if language == "console":
            lines = commands(block)
            assert lines, f"nothing to run in {block!r}"
            for text in lines:
                run_line(text, place)
        else:
            exec(compile(block, f"{page.name}", "exec"), {"__name__": "__main__"})
            assert capsys.readouterr().out.endswith("\n")


def test_every_command_has_its_example() -> None:
    texts = [commands(block) for page in PAGES for kind, block in blocks(page.read_text("utf-8")) if kind == "console"]
    used = {name for lines in texts for text in lines for name in re.findall(r"\bnmtkit ([a-z-]+)", text)}
    assert set(COMMANDS) - {"guide"} <= used <= set(COMMANDS)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, for building leaves files behind; nothing is downloaded."""
    copy = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "nmtkit", copy / "nmtkit", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    output = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(output), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = output.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_its_files_and_the_licence_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = (path for path in (ROOT / "nmtkit").rglob("*") if path.suffix in (".py", ".toml", ".html", ".md"))
    package = {str(path.relative_to(ROOT)) for path in source}
    assert any(name.startswith("nmtkit/training/recipes/") for name in package)
    assert {name for name in names if not name.startswith("nmtkit-")} == package
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_works_in_an_environment_of_its_own(wheel: Path, model: Path, tmp_path: Path) -> None:
    """An empty one; the libraries that nmtkit needs are lent by this environment, where nmtkit itself need not be."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    variables = environment()
    del variables["PYTHONPATH"]
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    target = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", *options, str(wheel)]
    done = subprocess.run(target, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (site,) = home.glob("lib/python*/site-packages")
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "lent.pth").write_text("".join(f"{path}\n" for path in sorted(lent)))

    def run(*words: object, stdin: bytes = b"") -> bytes:
        command = [home / "bin" / words[0], *map(str, words[1:])]  # type: ignore[operator]
        done = subprocess.run(command, input=stdin, env=variables, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    assert run("nmtkit", "--version").decode() == f"nmtkit {__version__}\n"
    where = run("python", "-c", "import nmtkit; print(nmtkit.__file__)").decode().strip()
    assert Path(where).is_relative_to(site)
    assert run("nmtkit", "translate", model, "--max-length", 4, stdin=b"Oui.\n\n").count(b"\n") == 2
    recipes = "from nmtkit.training.config import recipes; print(*recipes())"
    expected = sorted(path.stem for path in (ROOT / "nmtkit" / "training" / "recipes").glob("*.toml"))
    assert run("python", "-c", recipes).decode().split() == expected
