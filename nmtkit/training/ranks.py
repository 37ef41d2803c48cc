"""The processes of a training (ranks): what they add up, agree on and share.

`torchrun` starts the processes and tells each its number in the environment; without it there is one process. Values
travel over gloo, gradients on GPUs over NCCL.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from nmtkit import interrupts
from nmtkit.console import set_silent
from nmtkit.devices import pick_device

T = TypeVar("T")

BUCKET = 2**25
"""Most bytes of gradients that are added up in one message; a larger tensor is a message of its own."""
PATIENCE = timedelta(days=7)
"""How long processes wait for each other: one may be preparing data, while torchrun ends all if one ends badly."""
FAILURES = (ValueError, OSError, MemoryError, RuntimeError)


@dataclass(frozen=True)
class Share:
    """The share of one process in work that all of them divide among themselves.

    Attributes:
        rank: the number of the process, from 0.
        size: the number of processes.
    """

    rank: int = 0
    size: int = 1

    def of(self, count: int) -> range:
        """The numbers below `count` that this process takes: neighbours, so that all shares in order are 0 … count."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)


WHOLE = Share()
"""All of the work."""


class Ranks:
    """The processes of a training, as one of them sees them.

    Attributes:
        share: the number of this process and the number of all.
        local: those of this machine alone.
    """

    def __init__(self, share: Share = WHOLE, local: Share = WHOLE) -> None:
        self.share, self.local = share, local
        self._gradients: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.share.rank == 0

    @property
    def several(self) -> bool:
        """Whether there is more than one process."""
        return self.share.size > 1

    def device(self, name: str) -> torch.device:
        """The device of this process; "auto" is one GPU for each process of a machine, or the CPU."""
        device = pick_device(name)
        if self.several and device.type == "cuda" and device.index is not None:
            raise ValueError(f"device = {name!r} is one GPU, but each process needs its own: choose 'cuda' or 'auto'")
        if self.several and device.type == "cuda":
            device = pick_device(f"cuda:{self.local.rank}")
            torch.cuda.set_device(device)
        return device

    def gather(self, value: T) -> list[T]:
        """The values of all processes, in order."""
        if not self.several:
            return [value]
        values: list[Any] = [None] * self.share.size
        with _reported():
            dist.all_gather_object(values, value)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if not self.several:
            return flag
        flags = torch.tensor([int(flag)])
        with _reported():
            dist.all_reduce(flags)
        return bool(flags.item())

    def from_first(self, work: Callable[[], T]) -> T:
        """The result of work that only the first process does; a failure of it ends all."""
        result: T = self.together(work if self.first else lambda: None, lambda results: results[0])
        return result

    def together(self, work: Callable[[], Any], choose: Callable[[list[Any]], Any] | None = None) -> Any:
        """This process's result of work that all do; if it fails anywhere, all end, and one of them says why.

        Args:
            choose: picks the result out of those of all processes, which then travel between them.
        """
        if not self.several:
            return choose([work()]) if choose else work()
        result, failure = None, None
        try:
            result = work()
        except FAILURES as error:
            failure = error
        outcomes = self.gather((None if failure is None else str(failure), result if choose else None))
        failed = [rank for rank, (reason, _) in enumerate(outcomes) if reason is not None]
        if not failed:
            return choose([outcome for _, outcome in outcomes]) if choose else result
        if failed[0] != self.share.rank:
            raise SystemExit(1)
        assert failure is not None
        raise failure

    def in_turn(self, work: Callable[[], Any]) -> None:
        """Do work in one process of each machine, one machine after another: they may share a disk."""
        for rank in range(self.share.size):
            own = rank == self.share.rank and self.local.rank == 0
            self.together(work if own else lambda: None)

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over all processes; all processes get the same bits."""
        self._exchange(tensors, dist.all_reduce)

    def copy_(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by those of the first process."""
        self._exchange(tensors, partial(dist.broadcast, src=0))

    def _exchange(self, tensors: Sequence[Tensor], send: Callable[..., Any]) -> None:
        if not self.several:
            return
        groups = {"cpu": None, "cuda": self._nccl() if any(tensor.is_cuda for tensor in tensors) else None}
        pending = []
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            with _reported():
                pending.append((bucket, flat, send(flat, group=groups[flat.device.type], async_op=True)))
        for bucket, flat, message in pending:
            with _reported():
                message.wait()
            parts = flat.split([tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def _nccl(self) -> Any:
        if self._gradients is None:
            self._gradients = dist.new_group(backend="nccl", timeout=PATIENCE)
        return self._gradients


ALONE = Ranks()
"""The one process of a training without torchrun."""


@contextmanager
def joined(environment: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """The processes that torchrun has started; within the block they can talk. All but the first keep silent,
    unless they fail.

    Raises:
        ValueError: if the environment is not that of torchrun.
    """
    size = environment.get("WORLD_SIZE", "1")
    if size == "1":
        yield ALONE
        return
    try:
        rank, count = int(environment["RANK"]), int(size)
        local = Share(int(environment["LOCAL_RANK"]), int(environment.get("LOCAL_WORLD_SIZE", size)))
    except (KeyError, ValueError):
        raise ValueError(
            f"WORLD_SIZE = {size}, but RANK and LOCAL_RANK are not set: start several processes with torchrun, "
            "or unset WORLD_SIZE"
        ) from None
    if rank:
        set_silent()
    interrupts.abandon()  # threads of gloo may outlive the group, and crash in an interpreter that ends
    dist.init_process_group("gloo", timeout=PATIENCE)
    yield Ranks(Share(rank, count), local)
    dist.destroy_process_group()


@contextmanager
def _reported() -> Iterator[None]:
    """Turn the end of another process into an error that says so."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            "another process of this training has ended, or cannot be reached: its own error says why. The same "
            f"command goes on from the last saved state ({reason})"
        ) from error


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one kind and device together, up to a size that is worth a message."""
    kinds: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    for same in kinds.values():
        bucket: list[Tensor] = []
        for tensor in same:
            if bucket and sum(part.nbytes for part in [*bucket, tensor]) > BUCKET:
                yield bucket
                bucket = []
            bucket.append(tensor)
        yield bucket
