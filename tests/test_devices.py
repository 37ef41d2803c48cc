"""Devices and threads: what is there is used, what is not is refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from support.training_toys import only_line, write_folder

from nmtkit.devices import cores, pick_device, set_threads
from nmtkit.translator import Translator


@pytest.mark.parametrize(
    "name", ["gpu", "", "cuda:x", "meta", "cpu:x", "cpu:7", "cpu:1", "cuda:-1", "cuda:99999999999999999999", "9" * 5000]
)
def test_an_unknown_device_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        pick_device(name)
    assert only_line(caught.value, repr(name), "cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write_folder(tmp_path)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Translator.load(tmp_path, device=name)
    assert only_line(caught.value, repr(name), "no GPU", "cpu")
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")


def test_a_gpu_number_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda:1") and pick_device("auto").type == "cuda"
    with pytest.raises(ValueError, match="cuda:2"):
        pick_device("cuda:2")


@pytest.mark.parametrize("threads", [0, -1, 1025, 10**9, 10**23])
def test_no_threads_are_refused(threads: int, tmp_path: Path) -> None:
    write_folder(tmp_path)
    with pytest.raises(ValueError, match=f"threads = {threads} .*choose from 1 to 1,024"):
        Translator.load(tmp_path, device="cpu", threads=threads)


def test_threads_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    set_threads(3)
    assert asked == [3]


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
