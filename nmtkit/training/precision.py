"""The precision of training: the rule that chooses it, autocast, and the scale of the loss that float16 needs.

Weights, their gradients and the optimiser's moments are float32 in every precision; only the factors of matrix products
are lower (Micikevicius et al. 2018, "Mixed Precision Training"; see `nmtkit.models.autocast`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from nmtkit.models.options import ModelOptions
from nmtkit.training.options import PRECISIONS

WIDE = 512
"""Width from which a CPU trains in bfloat16, up to twice as fast. Models of 256 gain nearly as much and of 128 nothing,
but small ones train fast anyway, and float32 gives the same weights whatever the processor multiplies."""
INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
"""Instructions of processors that multiply bfloat16 faster than float32."""


def default(device: torch.device, model: ModelOptions) -> str:
    """The precision that "auto" stands for.

    On a GPU, bfloat16 if it has it (compute capability 8.0 or higher), else float32. On a CPU, bfloat16 if the
    processor multiplies it (`INSTRUCTIONS`) and the model is at least `WIDE`, else float32. float16 is never chosen: it
    can overflow, and no device has it alone.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    return "bfloat16" if model.width >= WIDE and _multiplies_bfloat16() else "float32"


def named(precision: str) -> str:
    """The precision; float32 in place of "auto", which the plan of a run replaces by `default`."""
    return "float32" if precision == "auto" else precision


def _multiplies_bfloat16() -> bool:
    """Whether this processor does; False if this version of torch cannot tell."""
    ask = getattr(torch.cpu, "get_capabilities", dict)
    able: Mapping[str, object] = ask()
    return any(able.get(name) for name in INSTRUCTIONS)


@contextmanager
def reduced(precision: str, device: torch.device) -> Iterator[None]:
    """Within this block products have the precision: "float32", "bfloat16" or "float16". Backward passes stay outside.

    Raises:
        ValueError: for another name.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision = {precision!r} is not known: choose one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        yield
        return
    with torch.autocast(device.type, getattr(torch, precision)):
        yield


@contextmanager
def tf32(on: bool, device: torch.device) -> Iterator[None]:
    """Within this block a GPU rounds the factors of float32 products to 11 bits, or does not; after it, as before.

    It needs tensor cores of compute capability 8.0. Nothing changes on a CPU.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if on else "highest")
    torch.backends.cudnn.allow_tf32 = on
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


class LossScale:
    """A factor of the loss, and so of all gradients, that keeps small ones above float16's least value.

    It starts at 2^16, is halved when a gradient is not finite, and doubled after 2,000 updates without that
    (Micikevicius et al. 2018, section 3.2; as `torch.amp.GradScaler`). All of it happens on the device, and the program
    never waits for it. In other precisions the factor is 1, and nothing is computed.

        scale.up(loss).backward()
        scale.down(model.parameters())
        failed = ~torch.nn.utils.clip_grad_norm_(model.parameters(), limit).isfinite()
        step_unless(failed, optimizer)
        scale.update(failed)

    Attributes:
        factor: the factor, a float32 scalar.
        good: updates since it last changed, an int32 scalar.
        tensors: both by name, to be saved and restored in place; none if no factor is used.
    """

    FIRST = 2.0**16
    GROWTH_INTERVAL = 2000

    def __init__(self, precision: str, device: torch.device) -> None:
        self.used = precision == "float16"
        self.factor = torch.tensor(self.FIRST if self.used else 1.0, device=device)
        self.good = torch.zeros((), dtype=torch.int32, device=device)
        self.tensors = {"factor": self.factor, "good": self.good} if self.used else {}

    def up(self, loss: Tensor) -> Tensor:
        """The loss whose gradients are to be computed."""
        return loss * self.factor if self.used else loss

    @torch.no_grad()
    def down(self, parameters: Iterable[Tensor]) -> None:
        """Divide the gradients of the parameters by the factor; once an update, after the last backward pass."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.used and gradients:
            torch._foreach_mul_(gradients, self.factor.reciprocal())  # exact: the factor is a power of two

    def update(self, bad: Tensor) -> None:
        """Halve or double the factor: `bad` is a bool scalar, whether a gradient was not finite."""
        if not self.used:
            return
        grown = (self.good + 1 >= self.GROWTH_INTERVAL) & ~bad
        doubled = (2 * self.factor).clamp(max=2.0**127)  # float32's greatest power of two
        self.factor.copy_(torch.where(bad, self.factor / 2, torch.where(grown, doubled, self.factor)))
        self.good.copy_(torch.where(bad | grown, torch.zeros_like(self.good), self.good + 1))


def step_unless(failed: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One step of a fused optimiser, or none, which is decided on the device.

    Args:
        failed: a bool scalar; if it is true, weights, moments and the optimiser's count of steps stay as they are.
    """
    assert all(group["fused"] for group in optimizer.param_groups), "only fused optimisers can leave out a step"
    optimizer.grad_scale, optimizer.found_inf = None, failed.float()  # type: ignore[attr-defined]
    try:
        optimizer.step()
    finally:
        del optimizer.grad_scale, optimizer.found_inf  # type: ignore[attr-defined]
