"""No file is lost: what a command reads, another result and the files of a model are never written over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import typer
from conftest import JANE, Data, head, refused, run_here, write_lines

from nmtkit.cli import paths
from nmtkit.cli.main import COMMANDS

FILES = {name: paths.uses(get_type_hints(command, include_extras=True)) for name, command in COMMANDS.items()}
"""Of each command the parameters that name files: flag and use."""
READ = [(name, flag) for name, uses in FILES.items() for flag, use in uses.values() if use == paths.FILE_TO_READ]
WRITTEN = [(name, flag) for name, uses in FILES.items() for flag, use in uses.values() if use.writes]
ARGUMENTS = {"TEXT", "TRACE", "FOLDER", "BEFORE", "AFTER"}


def words(flag: str, value: object) -> list[object]:
    """How a parameter is given: an argument has no flag."""
    return [value] if flag in ARGUMENTS else [flag, value]


def call(command: str, tmp_path: Path, given: dict[str, object]) -> list[object]:
    """A command with these parameters, and others for all that it cannot do without."""
    (tmp_path / "other").write_text("other\n")
    found: list[object] = [command]
    for name, parameter in get_parameters(command).items():
        flag = FILES[command][name][0] if name in FILES[command] else None
        if flag in given:
            found += words(flag, given[flag])
        elif parameter and flag:
            new = (command, flag) in WRITTEN or FILES[command][name][1].makes_folder
            found += words(flag, tmp_path / (f"new-{name}" if new else "other"))
    return [*found, *(["-s", "fr", "-t", "en"] if command in ("train", "check-data") else [])]


def get_parameters(command: str) -> dict[str, bool]:
    """Whether a command can do without each of its parameters."""
    import inspect

    signature = inspect.signature(COMMANDS[command])
    return {name: parameter.default is inspect.Parameter.empty for name, parameter in signature.parameters.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_path_says_whether_it_is_read_or_written(command: str) -> None:
    """And what names a file is a path, not a text."""
    for name, hint in get_type_hints(COMMANDS[command], include_extras=True).items():
        kind, *facts = get_args(hint) if get_origin(hint) is not None else (hint,)
        kinds = {one for part in (get_args(kind) or (kind,)) for one in (get_args(part) or (part,))}
        if Path in kinds:
            assert name in FILES[command], f"{command}: {name} is neither read nor written"
        elif str in kinds:
            (fact,) = [fact for fact in facts if isinstance(fact, typer.models.ParameterInfo)]
            assert not {"file", "File", "write", "Write"} & {*str(fact.help).split()}, f"{name} is no path"


def test_the_outputs_are_known() -> None:
    """One that is no longer found here would be tested nowhere."""
    assert {command: {flag for name, flag in WRITTEN if name == command} for command, _ in WRITTEN} == {
        "check-data": {"--json"},
        "train-tokenizer": {"--output"},
        "train": {"--write-config"},
        "translate": {"--output", "--trace", "--attention"},
        "score": {"--output"},
        "evaluate": {"--output", "--json"},
        "blame-analysis": {"--records", "--html", "--json", "--tsv", "--plot"},
        "blame-compare": {"--json"},
        "attention": {"--html", "--plot", "--json", "--alignment"},
        "compare": {"--json", "--plot"},
        "history": {"--json", "--plot"},
        "info": {"--json"},
        "inspect": {"--html"},
    }


def names_of(file: Path) -> Iterator[Path]:
    """Other names of a file."""
    yield file
    yield file.parent / "." / ".." / file.parent.name / file.name
    links = [file.with_name("symbolic"), file.with_name("hard"), file.with_name("twice")]
    links[0].symlink_to(file.name)
    os.link(file, links[1])
    links[2].symlink_to(links[0])
    yield from links


@pytest.mark.parametrize(("command", "flag"), WRITTEN)
def test_what_is_read_is_not_written(command: str, flag: str, tmp_path: Path) -> None:
    """Under any name, in whichever parameter it is read, --config among them."""
    file = tmp_path / "read.svg"
    for reading in [other for name, other in READ if name == command]:
        file.write_text("quiet = true\n")
        for name in names_of(file):
            line = refused(run_here(*call(command, tmp_path, {reading: file, flag: name})), 2)
            assert f"{flag} {name} is read and written ({reading} names it, too)" in line
        assert file.read_text() == "quiet = true\n"
        for link in ("symbolic", "hard", "twice"):
            (tmp_path / link).unlink()


@pytest.mark.parametrize(("command", "flag"), WRITTEN)
def test_no_file_of_a_model_is_written_over(command: str, flag: str, copied: Path, tmp_path: Path) -> None:
    """Whether the command reads the model or not, whether the file is there or not; any other file may be written."""
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    assert {path.name for path in before} > {"options.json", "weights.safetensors", "history.jsonl"}
    link = tmp_path / "link"
    link.symlink_to(copied / "weights.safetensors")
    new = [copied / name for name in ("tokenizer.source.model", "tokenizer.target.model", "training/x")]
    for path in [*before, link, *new]:
        line = refused(run_here(*call(command, tmp_path, {flag: path})), 2)
        assert f"{flag} {path} belongs to the model in {copied}" in line
    (copied / "options.json").unlink()
    assert "belongs to the model" in refused(run_here(*call(command, tmp_path, {flag: copied / "options.json"})), 2)
    outcome = run_here(*call(command, tmp_path, {flag: copied / "hypotheses.svg"}))
    assert "belongs to the model" not in outcome.err
    assert {path: path.read_bytes() for path in before if path.name != "options.json"} == {
        path: content for path, content in before.items() if path.name != "options.json"
    }


def test_the_weights_of_a_model_are_its_own_wherever_they_lie(copied: Path, data: Data, tmp_path: Path) -> None:
    """A file of the model that is read may be a link to a larger disk."""
    weights = tmp_path / "large-disk"
    (copied / "weights.safetensors").rename(weights)
    (copied / "weights.safetensors").symlink_to(weights)
    line = refused(run_here("translate", copied, "--input", data.folder / "dev.fr", "--output", weights), 2)
    assert f"--output {weights} is read and written (FOLDER names it, too)" in line


def test_results_may_lie_beside_a_model(copied: Path, data: Data) -> None:
    flags = ["--input", data.folder / "dev.fr", "--max-length", 2, "--quiet", "--output", copied / "dev.en"]
    for _ in range(2):
        assert run_here("translate", copied, *flags).code == 0
    assert (copied / "dev.en").read_text().count("\n") == 8


@pytest.mark.parametrize("command", sorted({command for command, _ in WRITTEN}))
def test_nothing_is_written_twice(command: str, tmp_path: Path) -> None:
    flags = [flag for name, flag in WRITTEN if name == command]
    link, file = tmp_path / "link.svg", tmp_path / "one.svg"
    link.symlink_to(file.name)
    for number, one in enumerate(flags):
        for other in flags[:number]:
            line = refused(run_here(*call(command, tmp_path, {one: file, other: link})), 2)
            assert " is written twice (" in line and one in line and other in line
    assert not file.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_name_is_wrong_usage(command: str, tmp_path: Path) -> None:
    for flag, _ in FILES[command].values():
        line = refused(run_here(*call(command, tmp_path, {flag: ""})), 2)
        assert flag in line and "the name is empty" in line


def test_an_empty_name_in_a_configuration_file(model: Path, tmp_path: Path) -> None:
    config = write_lines(tmp_path / "a.toml", ['output = ""'])
    assert "the name is empty" in refused(run_here("translate", model, "--config", config, stdin=b"Oui.\n"), 2)


@pytest.mark.parametrize(("command", "flag"), WRITTEN)
def test_a_file_that_cannot_be_is_refused_at_once(command: str, flag: str, tmp_path: Path) -> None:
    line = refused(run_here(*call(command, tmp_path, {flag: tmp_path})))
    assert f"{flag} {tmp_path}: is a folder; name a file" in line
    line = refused(run_here(*call(command, tmp_path, {flag: tmp_path / "other" / "x.svg"})))
    assert f"{tmp_path / 'other'} is a file, no folder" in line
    if command != "train-tokenizer":
        line = refused(run_here(*call(command, tmp_path, {flag: tmp_path / "none" / "x.svg"})))
        assert f"the folder {tmp_path / 'none'} does not exist; create it first" in line


def test_a_file_where_a_folder_is_made(data: Data, tmp_path: Path) -> None:
    for command in ("train", "compare"):
        line = refused(run_here(*call(command, tmp_path, {"--output": data.folder / "dev.en"})))
        assert f"--output {data.folder / 'dev.en'}: is a file; name a folder" in line


def test_one_text_comes_from_standard_input(tmp_path: Path) -> None:
    for command in sorted({command for command, _ in READ}):
        flags = [flag for name, flag in READ if name == command]
        for number, one in enumerate(flags):
            for other in flags[:number]:
                if "--config" not in (one, other):
                    given = {"--input": tmp_path / "other", one: "-", other: "-"}  # by default the input is a stream
                    line = refused(run_here(*call(command, tmp_path, given), stdin=b"x\n"), 2)
                    assert "standard input is read once only" in line and one in line and other in line
    assert "read once only" in refused(run_here("train-tokenizer", "-", "-", "-o", tmp_path / "x"), 2)


def test_one_result_goes_to_standard_output(tmp_path: Path) -> None:
    for command in sorted({command for command, _ in WRITTEN}):
        flags = [flag for name, flag in WRITTEN if name == command and flag != "--records"]
        for number, one in enumerate(flags):
            for other in flags[:number]:
                line = refused(run_here(*call(command, tmp_path, {one: "-", other: "-"})), 2)
                assert "cannot share standard output" in line and (one in line or other in line)
    records = call("blame-analysis", tmp_path, {"--records": "-"})
    assert "--records -: is read again" in refused(run_here(*records), 2)


def test_texts_from_standard_input_are_those_of_a_file(
    model: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a text is named; `./-` is a file."""
    monkeypatch.chdir(tmp_path)
    source, target = data.folder / "dev.fr", data.folder / "dev.en"
    texts = {"SOURCE": source, "TARGET": target}
    short = ["--max-length", 4, "--quiet"]
    commands: list[list[object]] = [
        ["translate", model, *short, "--input", "SOURCE"],
        ["translate", model, *short, "--input", source, "--exact", "--budget-steps", 9, "--reference", "TARGET"],
        ["score", model, "--source", "SOURCE", "--target", target, "--quiet"],
        ["score", model, "--source", source, "--target", "TARGET", "--quiet"],
        ["evaluate", "--hypotheses", source, "--reference", "TARGET", "--resamples", 9],
        ["evaluate", model, "--source", "SOURCE", "--reference", target, "--output", "-", *short],
        ["attention", model, "--source", "SOURCE", "--json", "-", *short],
        ["blame-analysis", model, "--source", source, "--reference", "TARGET", "--tsv", "-", *short],
        ["train-tokenizer", "SOURCE", "--vocab-size", 320, "--output", "-", "--quiet"],
    ]
    for words in commands:
        (text,) = [texts[str(word)] for word in words if str(word) in texts]
        expected = run_here(*[texts.get(str(word), word) for word in words])
        assert expected.code == 0 and expected.out, expected.err
        dashed = ["-" if str(word) in texts else word for word in words]
        assert run_here(*dashed, stdin=text.read_bytes()).out == expected.out, dashed
    assert not Path("-").exists()
    Path("-").write_bytes(source.read_bytes())
    found = run_here("translate", model, *short, "--input", "./-", stdin=b"no\n")
    assert found.out == run_here("translate", model, *short, "--input", source).out
    line = refused(run_here("translate", model, *short, "--input", "./-", "--output", "./-"), 2)
    assert "is read and written" in line and Path("-").read_bytes() == source.read_bytes()


def test_what_commands_wrote_is_read_from_standard_input(model: Path, data: Data, tmp_path: Path) -> None:
    """A trace, a report and a configuration; pages and pictures go to standard output or say why not."""
    source = data.folder / "dev.fr"
    texts = ["--source", source, "--reference", data.folder / "dev.en", "--max-length", 4]
    trace = run_here("translate", model, "--input", source, "--trace", "-", "--output", tmp_path / "x")
    shown = run_here("inspect", "-", stdin=trace.out)
    assert shown.code == 0 and shown.out
    page = run_here("inspect", "-", "--html", "-", "--quiet", stdin=trace.out)
    assert page.text.startswith("<!") and page.err == ""
    report = run_here("blame-analysis", model, *texts, "--json", "-")
    (tmp_path / "a.json").write_bytes(report.out)
    assert run_here("blame-compare", tmp_path / "a.json", "-", stdin=report.out).code == 0
    assert run_here("info", model, "--config", "-", stdin=b"json = '-'\n").text.startswith("{")
    whole = run_here("blame-analysis", model, *texts, "--html", "-", "--details", 0)
    assert whole.text.startswith("<!") and "</html>" in whole.text[-20:]
    assert "png, svg, pdf" in refused(run_here("compare", model, *texts, "--plot", "-"), 2)
    compared = run_here("compare", model, *texts[2:], "--source", "-", "--json", "-", stdin=source.read_bytes())
    assert '"sha256": "' in compared.text and compared.code == 0


def test_a_grid_keeps_what_it_reads(data: Data, tmp_path: Path) -> None:
    """It writes the configuration of each training beside its folder."""
    text = '[variants.a]\npreset = "rnn-tiny"\n'
    grid, source = tmp_path / "a-1.toml", tmp_path / "b-1.toml"
    grid.write_text(text)
    source.write_text("Oui.\n")
    words = ["compare", "--output", tmp_path, "--reference", source]
    line = refused(run_here(*words, "--grid", grid, "--source", source), 2)
    assert f"--output {grid} is read and written (--grid names it, too)" in line
    grid = grid.rename(tmp_path / "grid.toml")
    grid.write_text(text.replace("variants.a", "variants.b"))
    line = refused(run_here(*words, "--grid", grid, "--source", source), 2)
    assert f"--output {source} is read and written (--source names it, too)" in line
    flags = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.fr", "--json", source]
    assert f"{source} is written twice" in refused(run_here(*words[:3], "--grid", grid, *flags), 2)
    assert source.read_text() == "Oui.\n" and len(list(tmp_path.iterdir())) == 2


def test_the_training_text_that_is_scored_is_not_written_over(model: Path, data: Data, tmp_path: Path) -> None:
    """Whether the folder or the user names it."""
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--train-sample", 3]
    for language in ("fr", "en"):
        write_lines(tmp_path / f"moved.{language}", head(JANE / f"train.{language}", 3))
        for prefix, flags in (
            (data.folder / "train", []),
            (tmp_path / "moved", ["--train-text", tmp_path / "moved"]),
        ):
            text = prefix.with_name(f"{prefix.name}.{language}")
            before = text.read_bytes()
            for output in ("--tsv", "--records"):
                line = refused(run_here("blame-analysis", model, *texts, *flags, output, text), 2)
                assert f"{output} {text} is read and written" in line and text.read_bytes() == before


def test_records_take_the_place_of_records_only(model: Path, data: Data, tmp_path: Path) -> None:
    """They are read first, so the file may be there."""
    texts = ["--source", data.folder / "dev.fr", "--reference", data.folder / "dev.en", "--max-length", 4]
    for content in ("", "A text.\n", "{}\n"):
        file: Any = tmp_path / "file"
        file.write_text(content)
        assert "name another file" in refused(run_here("blame-analysis", model, *texts, "--records", file, "-q"))
        assert file.read_text() == content
