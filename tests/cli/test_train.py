"""`nmtkit train`: every flag lands in the folder, what cannot be is refused before anything is written, runs go on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import JANE, TRAINED, Data, Outcome, environment, head, refused, run_here, run_process, write_lines


def facts(folder: Path, *flags: object) -> dict[str, Any]:
    outcome = run_here("info", folder, "--json", "-", *flags)
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def test_a_run_tells_its_story_on_standard_error(trained: tuple[Path, Outcome]) -> None:
    folder, outcome = trained
    assert (outcome.code, outcome.out) == (0, b"")
    story = ["training a tokenizer", "data: 200 pairs", "training transformer", "update 2/24"]
    story += ["validation at update 12", "validation at update 24", "done: 24 updates made"]
    places = [outcome.err.index(text) for text in story]
    assert places == sorted(places) and str(folder) in outcome.err.split("\n")[-2]
    names = {path.name for path in folder.iterdir()}
    assert {"options.json", "tokenizer.model", "weights.safetensors", "last.safetensors", "history.jsonl"} <= names


def test_every_flag_is_in_the_folder(data: Data, tmp_path: Path) -> None:
    for part in ("train", "dev"):
        for before, after in (("fr", "french"), ("en", "english")):
            shutil.copy(data.folder / f"{part}.{before}", tmp_path / f"{part}2.{after}")
    files = ["--train", tmp_path / "train2", "--dev", tmp_path / "dev2", "--output", tmp_path / "run"]
    flags = ["--source-lang", "french", "--target-lang", "english", "--preset", "rnn-tiny", "--dropout", 0.25]
    flags += ["--vocab-size", 390, "--tokenizer-kind", "bpe", "--separate-vocab"]
    flags += ["--updates", 2, "--batch-tokens", 400, "--learning-rate", 0.002, "--warmup", 5, "--label-smoothing", 0.2]
    flags += ["--validate-every", 1, "--average", 3, "--patience", 4, "--seed", 9, "--device", "cpu"]
    flags += ["--accumulate", 2, "--precision", "float32"]
    flags += ["--subword-regularization", 0.15]
    outcome = run_here("train", *files, *flags, "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, b"", "")
    found = facts(tmp_path / "run")
    assert found["languages"] == {"source": "french", "target": "english"}
    assert found["provenance"]["files"]["dev target"] == str(tmp_path / "dev2.english")
    assert found["model"]["family"] == "recurrent" and found["model"]["units"] == 128
    assert found["model"]["dropout"] == 0.25
    made = {"vocab_size": 390, "kind": "bpe", "joint": False, "max_lines": None}
    assert found["tokenizer"]["made_by"] == made
    expected = {"updates": 2, "batch_tokens": 400, "learning_rate": 0.002, "warmup": 5, "label_smoothing": 0.2}
    expected |= {"validate_every": 1, "average": 3, "patience": 4, "seed": 9, "accumulate": 2, "precision": "float32"}
    expected |= {"subword_regularization": 0.15}
    assert {key: found["training"][key] for key in expected} == expected
    history = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in history if "dev_bleu" in line] == [1, 2]


def test_a_line_says_what_is_wrong_with_the_text(data: Data, tmp_path: Path) -> None:
    for part in ("train", "dev"):
        for ending in ("fr", "en"):
            shutil.copy(data.folder / f"{part}.{ending}", tmp_path / f"{part}.{ending}")
    source = (tmp_path / "train.fr").read_text(encoding="utf-8").splitlines()
    target = (tmp_path / "train.en").read_text(encoding="utf-8").splitlines()
    source[3], target[3] = source[2], target[2]
    target[5] = source[5]
    for ending, lines in (("fr", source), ("en", target)):
        (tmp_path / f"train.{ending}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    files = ["--train", tmp_path / "train", "--dev", tmp_path / "dev", "-s", "fr", "-t", "en"]
    command = ["train", *files, *TRAINED, "--config", data.folder / "tiny.toml", "--output", tmp_path / "run"]
    outcome = run_here(*command, "--updates", 1)
    assert outcome.code == 0
    [line] = [line for line in outcome.err.splitlines() if "check-data" in line]
    assert line.startswith(f"{tmp_path / 'train'}: ") and " 1" in line
    assert "check-data" not in run_here(*command, "--updates", 2).err, "only when a run begins"


def test_compile_is_refused_where_it_does_not_pay(data: Data, tmp_path: Path) -> None:
    files = ["--train", data.folder / "train", "--dev", data.folder / "dev", "-s", "fr", "-t", "en"]
    command = ["train", *files, "--output", tmp_path / "run", "--vocab-size", 390, "--check"]
    assert "compile = true: a recurrent model" in refused(run_here(*command, "--preset", "rnn-tiny", "--compile"))
    config = tmp_path / "fast.toml"
    config.write_text('preset = "rnn-tiny"\n[training]\ncompile = true\n', encoding="utf-8")
    assert "compile = true" in refused(run_here(*command, "--config", config)), "without the flag the file decides"


def test_auto_is_a_batch_size(data: Data, tmp_path: Path) -> None:
    flags = [*data.flags(tmp_path / "run"), *TRAINED, "--device", "cpu"]
    assert run_here("train", *flags, "--batch-tokens", "auto", "--check").code == 0
    for word, said in (("0", "from 1 to 1,000,000, or auto"), ("many", "neither a whole number nor auto")):
        outcome = run_here("train", *flags, "--batch-tokens", word)
        assert outcome.code == 2 and said in outcome.err and "--batch-tokens" in outcome.err


def test_another_seed_is_another_model(data: Data, model: Path, tmp_path: Path) -> None:
    flags = [*TRAINED, "--updates", 1]
    hashes = set()
    for seed in (1, 1, 2):
        output = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        assert run_here("train", *data.flags(output), *flags, "--seed", seed, "--quiet").code == 0
        hashes.add(facts(output)["hash"])
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("flags", "words", "code"),
    [
        (["--updates", 0], ["'--updates'", "0 is not possible: choose from 1 to"], 2),
        (["--batch-tokens", 0], ["'--batch-tokens'", "0 is not possible: choose from 1 to"], 2),
        (["--learning-rate", 0], ["'--learning-rate'", "0.0 is not possible: choose more than 0"], 2),
        (["--learning-rate", "nan"], ["'--learning-rate'", "nan is not possible: choose more than 0"], 2),
        (["--warmup", 0], ["'--warmup'", "0 is not possible: choose from 1 to"], 2),
        (["--label-smoothing", 1], ["'--label-smoothing'", "choose from 0 to below 1"], 2),
        (["--validate-every", 0], ["'--validate-every'", "0 is not possible: choose from 1 to"], 2),
        (["--average", 0], ["'--average'", "0 is not possible: choose from 1 to"], 2),
        (["--patience", -1], ["'--patience'", "-1 is not possible: choose from 0 to"], 2),
        (["--seed", -1], ["'--seed'", "-1 is not possible: choose from 0 to"], 2),
        (["--dropout", 1], ["'--dropout'", "choose from 0 to 0.99"], 2),
        (["--preset", "transformer-tny"], ["'transformer-tny'", "'transformer-tiny'"], 2),
        (["--precision", "bf16"], ["'bf16'", "bfloat16"], 2),
        (["--vocab-size", 99999], ["99,999", "lower"], 1),
        (["--vocab-size", 0], ["'--vocab-size'", "0 is not possible: choose from 1 to"], 2),
        (["--tokenizer-kind", "bep"], ["'bep'", "'bpe'"], 2),
        (["--tokenizer", "none.model"], ["none.model", "ready made", "vocab_size"], 2),
        (["--device", "tpu9"], ["tpu9", "cpu"], 1),
        (["--threads", 0], ["'--threads'", "0 is not possible: choose from 1 to"], 2),
        (["--train", "none"], ["none.fr", "no such file"], 1),
        (["--dev", "none"], ["none.fr", "no such file"], 1),
        (["--source-lang", "xx"], ["train.xx", "no such file"], 1),
        (["--target-lang", "xx"], ["train.xx", "no such file"], 1),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_impossible_values_are_refused_before_anything_is_written(
    data: Data, tmp_path: Path, flags: list[object], words: list[str], code: int
) -> None:
    line = refused(run_here("train", *data.flags(tmp_path / "run"), "--vocab-size", 400, *flags, "--quiet"), code)
    assert all(word in line for word in words), line
    assert not (tmp_path / "run").exists()


def test_a_tokenizer_that_is_not_there(data: Data, tmp_path: Path) -> None:
    line = refused(run_here("train", *data.flags(tmp_path / "run"), "--tokenizer", tmp_path / "none.model"))
    assert f"{tmp_path / 'none.model'}: no such tokenizer" in line and not (tmp_path / "run").exists()


def corpus(folder: Path, **files: bytes) -> list[object]:
    """A corpus of its own: two lines everywhere but in the files given (train_fr, …)."""
    for part in ("train", "dev"):
        for language in ("fr", "en"):
            content = files.get(f"{part}_{language}", b"Il fait beau.\nOui.\n")
            (folder / f"{part}.{language}").write_bytes(content)
    return ["--train", folder / "train", "--dev", folder / "dev", "-s", "fr", "-t", "en", "-o", folder / "run", "-q"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"train_fr": b"Oui.\n"}, ["train.fr has 1 line,", "train.en has 2 lines"]),
        ({"dev_en": b"Oui.\nOui.\nOui."}, ["dev.fr has 2 lines", "dev.en has 3 lines"]),
        ({"train_en": b"Oui.\ncaf\xe9\n"}, ["train.en, line 2", "not valid UTF-8 at byte 4 (0xE9)", "mend"]),
        ({"dev_fr": b"\xff\nOui.\n"}, ["dev.fr, line 1", "not valid UTF-8"]),
        ({"train_fr": b"", "train_en": b""}, ["train.fr has 0 lines", "at least one line"]),
        ({"dev_fr": b"", "dev_en": b""}, ["dev.fr has 0 lines"]),
        ({"train_fr": b"\n\n"}, ["train.fr", "every pair is empty"]),
        ({"dev_fr": b"\n \n"}, ["dev.fr", "every pair is empty"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_files_that_cannot_be_used(model: Path, tmp_path: Path, files: dict[str, bytes], words: list[str]) -> None:
    flags = corpus(tmp_path, **files)
    line = refused(run_here("train", *flags, "--preset", "rnn-tiny", "--tokenizer", model))
    assert all(word in line for word in words), line
    # Corrected files must not meet a folder that was begun with the wrong ones.
    assert not (tmp_path / "run" / "options.json").exists()


def test_an_output_that_is_a_file_or_a_full_folder(data: Data, tmp_path: Path) -> None:
    output = write_lines(tmp_path / "run", ["mine"])
    assert f"{output}: is a file" in refused(run_here("train", *data.flags(output), "--vocab-size", 400, "-q"))
    assert output.read_text() == "mine\n"


def test_a_finished_run_says_how_to_go_on_and_more_updates_continue_it(data: Data, copied: Path) -> None:
    before = facts(copied)["hash"]
    again = run_here("train", *data.flags(copied), *TRAINED)
    assert again.code == 0 and "0 updates left (24 updates made)" in again.err and "--updates" in again.err
    assert facts(copied)["hash"] == before
    more = run_here("train", *data.flags(copied), *TRAINED, "--updates", 26)
    assert more.code == 0 and "resuming at update 24: 2 updates left" in more.err
    assert facts(copied, "--weights", "last")["steps"] == 26


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--seed", 2], ["seed was 1, now 2"]),
        (["--dropout", 0.2], ["dropout was 0.1, now 0.2"]),
        (["--vocab-size", 410], ["vocab_size", "400", "410"]),
        (["--batch-tokens", 999], ["batch_tokens was 2000, now 999"]),
        (["--source-lang", "en", "--target-lang", "fr"], ["languages", "fr"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_a_folder_begun_otherwise_is_not_gone_on_with(
    data: Data, copied: Path, flags: list[object], words: list[str]
) -> None:
    line = refused(run_here("train", *data.flags(copied), *TRAINED, *flags, "--quiet"))
    assert str(copied) in line and "--output" in line
    assert all(word in line for word in words), line


def test_changed_data_are_noticed(data: Data, copied: Path, tmp_path: Path) -> None:
    shutil.copytree(data.folder, tmp_path / "data")
    write_lines(tmp_path / "data" / "dev.en", [*head(JANE / "dev.en", 7), "Changed."])
    line = refused(run_here("train", *Data(tmp_path / "data").flags(copied), *TRAINED, "--quiet"))
    assert "dev target" in line


def test_ctrl_c_saves_and_the_same_command_ends_with_the_same_weights(data: Data, model: Path, tmp_path: Path) -> None:
    words = ["train", *data.flags(tmp_path / "run"), *TRAINED]
    command = [sys.executable, "-m", "nmtkit", *words]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), start_new_session=True, text=True
    )
    assert process.stderr
    try:
        seen = []
        for line in process.stderr:
            seen.append(line)
            if line.startswith("update 2/24"):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 130, "".join(seen) + err
    assert out == "" and "Traceback" not in err and "interrupted" in err
    assert list((tmp_path / "run" / "training").glob("state-*.safetensors"))
    assert not (tmp_path / "run" / "weights.safetensors").exists(), "it was interrupted before the first validation"
    again = run_process(*words)
    assert again.code == 0, again.err
    assert "resuming at update " in again.err and "done: 24 updates made" in again.err
    for weights in ("best", "last"):
        found, expected = (facts(folder, "--weights", weights) for folder in (tmp_path / "run", model))
        assert (found["hash"], found["scores"]) == (expected["hash"], expected["scores"])


def test_check_says_what_would_be_trained_and_writes_nothing(data: Data, model: Path, tmp_path: Path) -> None:
    """The size that is said is that of the model which then is made; what would fail fails."""
    small = ["--vocab-size", 390, "--updates", 2, "--seed", 3]
    flags = [*data.flags(tmp_path / "run"), *small]
    said = run_here("train", *flags, "--check")
    assert said.code == 0 and said.out == b"" and not (tmp_path / "run").exists()
    assert run_here("train", *flags, "--quiet").code == 0
    size = facts(tmp_path / "run")["parameters"]
    assert f"{tmp_path / 'run'}: transformer, {size:,} parameters, 2 updates" in " ".join(said.err.split())
    again = " ".join(run_here("train", *flags, "--check").err.split())
    assert f"{size:,} parameters, 2 updates, 2 of them made" in again
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    ready = run_here("train", *data.flags(tmp_path / "other"), "--tokenizer", tmp_path / "run", "--check")
    assert f"{size:,} parameters" in " ".join(ready.err.split())
    assert "learning_rate was" in refused(run_here("train", *flags, "--learning-rate", 0.5, "--check"))
    assert "has made 2 updates, more than updates = 1" in refused(run_here("train", *flags, "--updates", 1, "--check"))
    missing = [*flags, "--train", tmp_path / "none"]
    assert f"{tmp_path / 'none'}.fr" in refused(run_here("train", *missing, "--check"))
    taken = write_lines(tmp_path / "file", ["x"])
    assert "is a file" in refused(run_here("train", *flags, "--output", taken, "--check"))
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}


def test_an_option_younger_than_the_folder_has_its_default(data: Data, copied: Path) -> None:
    """The folder goes on with the default of what it does not say, and with nothing else."""
    path = copied / "options.json"
    options = json.loads(path.read_text())
    assert options["model"].pop("norm") == "pre" and options["training"].pop("clip_norm") == 1.0
    path.write_text(json.dumps(options))
    flags = [*data.flags(copied), *TRAINED, "--check"]
    tiny = (data.folder / "tiny.toml").read_text()
    assert "[model]\n" in tiny and "[training]\n" in tiny
    changed = tiny.replace("[model]\n", '[model]\nnorm = "post"\n').replace(
        "[training]\n", "[training]\nclip_norm = 2.0\n"
    )
    config = write_lines(copied.parent / "other.toml", changed.splitlines())
    line = refused(run_here("train", *flags, "--config", config))
    assert "model norm was pre, now post; training clip_norm was 1.0, now 2.0. Go on" in line
    assert run_here("train", *flags).code == 0


def test_two_trainings_do_not_share_a_folder(data: Data, copied: Path) -> None:
    """The second is refused while the first goes on, and may go on itself when that has ended."""
    from nmtkit.locks import locked

    before = (copied / "options.json").read_bytes()
    with locked(copied):
        outcome = run_here("train", *data.flags(copied), *TRAINED)
        line = outcome.err.splitlines()[-1]
        assert outcome.code == 1 and line.startswith(f"nmtkit: {copied}: another training goes on in it")
    assert (copied / "options.json").read_bytes() == before, "nor does it leave a trace"
    assert run_here("train", *data.flags(copied), *TRAINED).code == 0


def test_write_config_needs_nothing_else_and_changes_nothing(data: Data, tmp_path: Path) -> None:
    file = tmp_path / "example.toml"
    outcome = run_here("train", "--write-config", file)
    assert (outcome.code, outcome.out, outcome.err) == (0, b"", f"{file}: every key of a configuration\n")
    assert run_here("train", "--write-config", "-").text == file.read_text(encoding="utf-8")
    flags = [*data.flags(tmp_path / "run")[:-2], "--vocab-size", 400, "--check"]
    plain, configured = run_here("train", *flags), run_here("train", *flags, "--config", file)
    assert plain.code == configured.code == 0 and plain.err == configured.err != ""
    file.write_text(file.read_text(encoding="utf-8").replace("\nupdates = 10000\n", "\nupdates = 77\n"))
    assert "77 updates" in run_here("train", *flags, "--config", file).err
    assert "99 updates" in run_here("train", *flags, "--config", file, "--updates", 99).err


def test_write_config_writes_over_no_model(copied: Path, tmp_path: Path) -> None:
    assert "belongs to the model" in refused(run_here("train", "--write-config", copied / "options.json"), 2)
    assert "does not exist" in refused(run_here("train", "--write-config", tmp_path / "none" / "a.toml"))


def test_a_preset_of_another_family_than_the_table_says(data: Data, tmp_path: Path) -> None:
    flags = [*data.flags(tmp_path / "run"), "--preset", "bahdanau", "--quiet"]
    line = refused(run_here("train", *flags), 2)
    assert "family = 'transformer', but the preset 'bahdanau' is recurrent: leave out one of them" in line


def test_a_run_that_begins_with_another(data: Data, model: Path, tmp_path: Path) -> None:
    flags = [*data.flags(tmp_path / "run")[:-2], "--init-from", model, "--freeze", "encoder.*", "--freeze", "*bias*"]
    flags += ["--ema", 0.5, "--updates", 2, "--batch-tokens", 2000, "--device", "cpu"]
    assert "of them trained (output_weight, decoder, encoder_norm, decoder_norm), 2 updates" in " ".join(
        run_here("train", *flags, "--check").err.split()
    )
    outcome = run_here("train", *flags)
    assert outcome.code == 0, outcome.err
    assert f"beginning with the weights of {model}, of update 24" in outcome.err
    found, parent = facts(tmp_path / "run"), facts(model)
    assert found["model"] == parent["model"] and found["tokenizer"]["sha256"] == parent["tokenizer"]["sha256"]
    assert found["init_from"] == {"folder": str(model), "hash": parent["hash"], "updates": parent["steps"]}
    assert found["training"]["freeze"] == ["encoder.*", "*bias*"] and found["training"]["ema"] == 0.5
    assert run_here("train", *flags, "--updates", 3).code == 0, "the same goes on"
    assert "init_from folder was" in refused(run_here("train", *flags, "--init-from", tmp_path / "run"))
    line = refused(run_here("train", *flags, "--output", tmp_path / "new", "--preset", "rnn-tiny"))
    assert "its family is transformer, not recurrent" in line and not (tmp_path / "new").exists()
