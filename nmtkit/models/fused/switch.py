"""The switch between the fused operations and the plain formulas that stand beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_PLAIN = ContextVar("plain", default=False)


@contextmanager
def plain() -> Iterator[None]:
    """Within this block models compute what the papers write, operation by operation, and autograd its gradients.

    For reading and debugging: every intermediate value can be printed and has a gradient. The values are the same up to
    rounding; it takes longer, and more memory.

        with plain():
            loss = model.decode(model.encode(source, mask), target_in).loss(target_out)
    """
    before = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(before)


def is_plain() -> bool:
    """Whether this is within `plain()`, or within torch.compile, which fuses the plain formulas itself."""
    return torch.compiler.is_compiling() or _PLAIN.get()
