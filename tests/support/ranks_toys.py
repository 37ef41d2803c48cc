"""Processes that talk over gloo, for tests: `together` runs a function in each, `torchrun` a training in each."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing

from nmtkit.training.ranks import joined

TESTS = Path(__file__).resolve().parents[1]


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """What torchrun tells a process."""
    return {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def together(size: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `work(ranks, *arguments)` returns in each of `size` processes; it stands at the top of a module."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_run, (size, free_port(), folder, work, arguments), nprocs=size)
        return [torch.load(Path(folder) / str(rank), weights_only=False) for rank in range(size)]


def _run(rank: int, size: int, port: int, folder: str, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
    torch.set_num_threads(1)
    os.environ.update(environment(rank, size, port))
    with joined() as ranks:
        result = work(ranks, *arguments)
    torch.save(result, Path(folder) / str(rank))


def torchrun(size: int, *words: str, **more: str) -> subprocess.Popen[str]:
    """`nmtkit` with these words in `size` processes under torchrun; standard error is piped."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(size), "--master-port"]
    path = os.pathsep.join((str(TESTS.parent), str(TESTS)))
    return subprocess.Popen(
        [*command, str(free_port()), "-m", "nmtkit", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **more},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def workers(process: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun has started, in the order of their ranks."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
    ranks = {}
    for child in map(int, children):
        variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        ranks |= {int(name[5:]): child for name in variables if name.startswith(b"RANK=")}
    return [ranks[rank] for rank in sorted(ranks)]


def kill(process: subprocess.Popen[str]) -> None:
    """Kill torchrun and all that it has started."""
    for worker in workers(process):
        os.kill(worker, signal.SIGKILL)
    process.kill()
    process.wait()
