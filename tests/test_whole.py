"""The whole from outside: the README's commands run as they stand, and a wheel works in an environment of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, environment

from nmtkit import __version__

README = ROOT / "README.md"
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: .+ -->\s*\Z")


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of the blocks to run, in order; not those after `<!-- not run: REASON -->`."""
    found = BLOCK.finditer(text)
    return [(match[1], match[2]) for match in found if not NOT_RUN.search(text[: match.start()])]


def commands(block: str) -> list[str]:
    """The lines after `$ `, joined where they end in a backslash; the rest of the block is output."""
    joined = block.replace("\\\n", "")
    return [line.removeprefix("$ ") for line in joined.split("\n") if line.startswith("$ ")]


def test_which_blocks_are_run() -> None:
    text = "```console\n$ a \\\n  b\nout\n$ c\n```\n<!-- not run: slow -->\n\n```console\n$ d\n```\n```python\ne\n```\n"
    (console, block), (python, code) = blocks(text)
    assert (console, commands(block)) == ("console", ["a   b", "c"])
    assert (python, code) == ("python", "e\n")


def test_the_readmes_commands_run(tmp_path: Path) -> None:
    """All in one folder, in their order, with the data beside and `nmtkit` on the path; Python blocks as programs."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("nmtkit", "-m nmtkit"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (programs / name).chmod(0o755)
    variables = environment()
    variables["PATH"] = f"{programs}:{variables['PATH']}"
    found = blocks(README.read_text(encoding="utf-8"))
    assert [language for language, _ in found].count("console") >= 3 and "python" in dict(found)
    used = set()
    for language, block in found:
        programs_to_run = commands(block) if language == "console" else [block]
        assert programs_to_run, f"nothing to run in {block!r}"
        for text in programs_to_run:
            words = ["bash", "-euo", "pipefail", "-c", text] if language == "console" else [sys.executable, "-c", text]
            done = subprocess.run(words, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{text}\n{done.stderr}"
            assert "Traceback" not in done.stderr
            used |= set(re.findall(r"\bnmtkit ([a-z-]+)", text)) if language == "console" else set()
            if language == "python":
                assert done.stdout.endswith("\n")
    from nmtkit.cli.main import COMMANDS

    assert set(COMMANDS) <= used, "the README shows every command"


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
    source = (path for path in (ROOT / "nmtkit").rglob("*") if path.suffix in (".py", ".toml", ".html"))
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
