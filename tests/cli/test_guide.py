"""`nmtkit guide`: every page is listed and shown, as Markdown into a pipe, laid out on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment, refused, run_here

PAGES = sorted(path.stem for path in (ROOT / "nmtkit" / "guide").glob("*.md"))


def on_a_terminal(*words: str) -> str:
    """What a command shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nmtkit", *words]
    variables = environment(TERM="xterm")
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=variables) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # so a terminal ends
                break
            if not part:
                break
            parts.append(part)
        assert process.wait() == 0 and process.stderr and process.stderr.read() == b""
    os.close(ours)
    return b"".join(parts).decode()


def test_every_page_is_listed_and_shown() -> None:
    outcome = run_here("guide")
    listed = dict(line.split(maxsplit=1) for line in outcome.lines)
    assert sorted(listed) == PAGES and max(map(len, outcome.lines)) <= 80
    assert outcome.err == "nmtkit guide PAGE shows one of them\n"
    for name, summary in listed.items():
        shown = run_here("guide", name)
        assert shown.code == 0 and shown.err == ""
        assert shown.out == (ROOT / "nmtkit" / "guide" / f"{name}.md").read_bytes()
        assert shown.lines[0].startswith("# ") and shown.lines[2] == summary


def test_quiet_lists_without_a_note(tmp_path: Path) -> None:
    assert run_here("guide", "--quiet").err == ""
    config = tmp_path / "guide.toml"
    config.write_text("quiet = true\n")
    outcome = run_here("guide", "--config", config)
    assert (outcome.code, outcome.err) == (0, "") and outcome.out == run_here("guide").out


@pytest.mark.parametrize(("name", "named"), [("serch", "'search'"), ("zzz", "first-steps"), ("../code", "'code'")])
def test_an_unknown_page_is_wrong_usage(name: str, named: str) -> None:
    line = refused(run_here("guide", name), code=2)
    assert repr(name) in line and named in line


def test_a_terminal_gets_it_laid_out() -> None:
    """No marks of Markdown, nothing wider than the terminal, a link as the command that follows it, examples whole."""
    shown = on_a_terminal("guide", "first-steps")
    plain = [part.split("m", 1)[-1] for part in shown.split("\x1b[")]
    lines = "".join(plain).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert not [line for line in lines if line.lstrip().startswith(("# ", "```", "|--"))]
    words = " ".join("".join(plain).split())
    assert "nmtkit guide search" in words and ".md" not in words
    page = (ROOT / "nmtkit" / "guide" / "first-steps.md").read_text(encoding="utf-8")
    examples = "".join(re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    whole = {line for line in examples.splitlines() if len(line) <= 80 and "\t" not in line}
    assert any(len(line) == 80 for line in whole), "the page has no example as wide as the terminal"
    assert whole <= {line.rstrip() for line in lines}
