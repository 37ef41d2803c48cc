"""Where a model runs: its device and the number of CPU threads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nmtkit.settings import Within

if TYPE_CHECKING:
    import torch

THREADS = Within(1, 1024)


def pick_device(name: str) -> torch.device:
    """The named device; "auto" is the first GPU, or the CPU if there is none."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index):
        raise ValueError(f"device = {name!r} is not known: choose auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(f"device = {name!r}, but torch sees {count or 'no'} GPU here: choose another, or cpu")
    return device


def set_threads(threads: int) -> None:
    """Let torch use this many CPU threads."""
    import torch

    THREADS.check("threads", threads, whole=True)
    torch.set_num_threads(threads)


def share_of_threads(threads: int | None, processes: int) -> int:
    """The CPU threads of each of several processes, of those that torch would use alone unless `threads` says it."""
    import torch

    return max(1, (threads or torch.get_num_threads()) // processes)


def cores() -> int:
    """The number of CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
