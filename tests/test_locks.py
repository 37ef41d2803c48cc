"""A lock of a folder holds between processes, ends with them, and can be waited for."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from nmtkit.locks import NAME, locked


def test_a_lock_is_one_processs_and_ends_with_it(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(ValueError, match="another training") as caught, locked(tmp_path):
            pass
        assert str(tmp_path) in str(caught.value)
    with locked(tmp_path):
        pass
    program = "import sys, time; from nmtkit.locks import NAME, locked\nwith locked(sys.argv[1]):\n"
    program += "    print('in', flush=True)\n    time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stdout.readline() == b"in\n"
        with pytest.raises(ValueError, match="another training"), locked(tmp_path):
            pass
        process.kill()
        process.wait()
    with locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"


def test_a_lock_can_be_waited_for(tmp_path: Path) -> None:
    """By several, of whom each has it alone, although its file is removed and made again."""
    program = "import sys, time; from nmtkit.locks import NAME, locked\n"
    program += "with locked(sys.argv[1], wait=lambda: time.sleep(0.001)):\n    print('in', flush=True)\n"
    program += "    time.sleep(0.02)\n    print('out', flush=True)"
    words = [sys.executable, "-c", program, str(tmp_path)]
    with (tmp_path / "log").open("w+b") as log:
        waiting = [subprocess.Popen(words, stdout=log, cwd=ROOT) for _ in range(4)]
        assert [process.wait() for process in waiting] == [0] * 4
        log.seek(0)
        assert log.read().split() == [b"in", b"out"] * 4


def test_a_lock_of_a_file_that_is_gone_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the file and locking it, its last owner may have removed it."""
    flock, handles = fcntl.flock, []

    def late(handle: int, how: int) -> None:
        if not handles:
            (tmp_path / NAME).unlink()
        handles.append(handle)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path), pytest.raises(ValueError, match="another training"), locked(tmp_path):
        pass
    assert len(handles) == 3
