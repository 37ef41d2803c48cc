"""What goes where."""

import os
import pty
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rich.cells import cell_len

from nmtkit import console


@pytest.fixture(autouse=True)
def loud():
    yield
    console.set_quiet(False)


PRINTABLE = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=300)


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=PRINTABLE | st.sampled_from(["[red]x[/red]", ":smile:", "[/]", "x" * 500, "a " * 200, "\t", "\r", "\x07"]))
def test_without_a_terminal_text_is_printed_as_it_is(capfdbinary, text):
    capfdbinary.readouterr()
    console.note(text)
    console.warn(text)
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert err == f"{text}\nwarning: {text}\n".encode()


def test_quiet_silences_notes_and_progress_but_no_warning(capfd):
    console.set_quiet(True)
    console.note("note")
    console.warn("careful")
    with console.Progress(2, "training") as progress:
        progress.update(1, loss="1.0")
        progress.line("step 1")
    assert capfd.readouterr() == ("", "warning: careful\n")


def test_a_silent_process_warns_only_of_what_it_alone_knows(capfd, monkeypatch):
    monkeypatch.setattr(console, "_silent", False)
    console.set_silent()
    console.note("note")
    console.warn("careful")
    console.warn("only I know", everywhere=False)
    console.tell("nmtkit: what went wrong")
    assert capfd.readouterr() == ("", "warning: only I know\nnmtkit: what went wrong\n")


def test_progress_without_a_terminal_is_plain_lines(capfd):
    with console.Progress(2, "training") as progress:
        progress.update(1, loss="1.0")
        progress.line("step 1  [loss] 1.0")
    assert capfd.readouterr() == ("", "step 1  [loss] 1.0\n")


def test_results_go_to_standard_output(capfd):
    console.stdout_console().print("[red]:smile:")
    console.stderr_console().print("[red]:smile:")
    assert capfd.readouterr() == ("[red]:smile:\n", "[red]:smile:\n")


def on_a_terminal(code: str) -> str:
    """What a Python program writes to standard error where that is a terminal of 80 columns."""
    parent, child = pty.openpty()
    program = f"from nmtkit import console\n{code}"
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", program], stderr=child, env=environment)
    os.close(child)
    output = b""
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:  # Linux reports the end of a terminal so
            break
        if not chunk:
            break
        output += chunk
    os.close(parent)
    assert process.wait() == 0, output
    return output.decode()


def test_on_a_terminal_there_is_a_bar_with_lines_above_it():
    output = on_a_terminal(
        "with console.Progress(1000, 'training') as progress:\n"
        "    progress.update(250, loss='[red]2.31', learning_rate='3e-4')\n"
        "    progress._bar.refresh()\n"
        "    progress.line('step 250 [bold]x[/bold] :smile: ' + 'y' * 100)\n"
        "    console.warn('slow')\n"
        "console.note('done')\n"
        "with console.Progress(20, 'again') as progress:\n    progress.update(7)\n    progress._bar.refresh()\n"
    )
    assert "training" in output and "250/1000" in output
    assert "loss [red]2.31  learning rate 3e-4" in output
    assert "step 250 [bold]x[/bold] :smile: " + "y" * 100 in output
    assert "warning: slow" in output
    assert output.index("warning: slow") < output.index("done") < output.index("again") < output.index("7/20")


def test_quiet_on_a_terminal_shows_no_bar():
    output = on_a_terminal(
        "console.set_quiet(True)\n"
        "with console.Progress(10, 'training') as progress:\n    progress.update(5)\n    progress.line('x')\n"
    )
    assert output == ""


def test_an_excerpt_is_cut_where_the_terminal_ends_and_quiet_hides_it():
    text = "  output  " + "y" * 200
    code = f"with console.Progress(9, 'training') as progress:\n    progress.excerpt({text!r})\n"
    assert "y" * 69 + "…" in on_a_terminal(code) and "y" * 70 not in on_a_terminal(code)
    assert on_a_terminal(f"console.set_quiet(True)\n{code}") == ""


def test_an_excerpt_without_a_terminal_has_120_columns(capfd):
    with console.Progress(9, "training") as progress:
        for text in ("y" * 120, "y" * 121, "a\x1b[31m\r b", "語" * 80):
            progress.excerpt(text)
    lines = ["y" * 120, "y" * 119 + "…", "a\\x1b[31m\\r b", "語" * 59 + "…"]
    assert capfd.readouterr() == ("", "".join(f"{line}\n" for line in lines))


@hypothesis_settings(deadline=None)
@given(text=st.text(), width=st.integers(2, 40))
def test_what_is_cropped_fits_and_begins_as_before(text, width):
    whole, shown = console.printable(text), console.cropped(text, width)
    assert cell_len(shown) <= width and "\n" not in shown and "\x1b" not in shown
    assert shown == whole or (cell_len(whole) > width and shown.endswith("…") and whole.startswith(shown[:-1]))


def test_a_progress_within_another_does_not_disturb_it():
    output = on_a_terminal(
        "with console.Progress(10, 'outer') as outer:\n"
        "    with console.Progress(5, 'nested') as nested:\n        nested.update(1)\n        nested.line('first')\n"
        "    assert console.stderr_console() is outer._bar.console\n"
        "    outer.update(7)\n    outer._bar.refresh()\n    outer.line('second')\n"
    )
    assert "nested" not in output and "7/10" in output and output.index("first") < output.index("second")


def test_rich_is_loaded_only_when_something_is_shown():
    code = "import sys, nmtkit.console; sys.exit('rich' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
