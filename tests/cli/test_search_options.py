"""Commands that only pass the options of the search on: every one of them arrives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Data, run_here

OTHERS = {"attention": ["--line", 1], "compare": ["--reference"]}


@pytest.mark.parametrize("command", OTHERS)
def test_all_search_options_reach_the_search(
    command: str, model: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from nmtkit.decoding.beam import Beam
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    seen: list[SearchSettings] = []
    find = Translator.find

    def noted(self: Translator, search: Any, source: Any, settings: SearchSettings, **more: Any) -> Any:
        assert search == Beam.of(settings)
        seen.append(settings)
        return find(self, search, source, settings, **more)

    monkeypatch.setattr(Translator, "find", noted)
    config = tmp_path / "options.toml"
    config.write_text("length-alpha = 9\n")
    flags: list[object] = ["--config", config, "--beam", 3, "--length-alpha", 0.25, "--length-penalty", "gnmt"]
    flags += ["--max-length", 9, "--max-length-ratio", 1.5, "--min-length", 2, "--min-length-ratio", 0.5]
    flags += ["--patience", 1.5, "--free-eos", "--forbid-unk", "--no-repeat-ngram", 2, "--batch-tokens", 77]
    flags += ["--weights", "last", "--threads", 2, "--device", "cpu", "--source", data.folder / "dev.fr"]
    more = OTHERS[command] + ([data.folder / "dev.en"] if command == "compare" else [])
    outcome = run_here(command, model, *flags, *more)
    assert outcome.code == 0 and threads == [2]
    (one,) = seen
    assert (one.beam, one.n_best, one.length_alpha, one.length_penalty) == (3, 1, 0.25, "gnmt")
    assert (one.max_length, one.max_length_ratio, one.min_length, one.min_length_ratio) == (9, 1.5, 2, 0.5)
    assert (one.patience, one.free_eos, one.forbid_unk, one.no_repeat_ngram) == (1.5, True, True, 2)
    assert one.batch_tokens == 77
