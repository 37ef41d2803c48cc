"""Keeping freed memory: asked of glibc only, and harmless when repeated."""

from __future__ import annotations

import ctypes
import platform
from typing import Any

import pytest

from nmtkit.memory import keep_freed_memory


def test_glibc_agrees_however_often_it_is_asked() -> None:
    glibc = platform.libc_ver()[0] == "glibc"
    assert [keep_freed_memory() for _ in range(3)] == [glibc] * 3


@pytest.mark.parametrize("library", ["", "musl", "libc"])
def test_another_c_library_is_not_touched(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*_: Any) -> None:
        raise AssertionError("loaded the C library")

    monkeypatch.setattr(platform, "libc_ver", lambda: (library, "1"))
    monkeypatch.setattr(ctypes, "CDLL", touched)
    assert keep_freed_memory() is False


def test_both_thresholds_are_raised_and_a_refusal_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []

    class Library:
        answers = 1

        def mallopt(self, parameter: int, value: int) -> int:
            calls.append((parameter, value))
            return self.answers

    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    assert keep_freed_memory() is True
    m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
    assert {parameter for parameter, _ in calls} == {m_trim_threshold, m_mmap_threshold}
    assert all(2**30 <= value < 2**31 for _, value in calls)  # an int in C
    monkeypatch.setattr(Library, "answers", 0)
    assert keep_freed_memory() is False
