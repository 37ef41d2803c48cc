"""The two precisions of a model under `torch.autocast`: products in the low one, all else in float32.

Weights and the sums that many terms go into (skip connections, normalisers, losses, states) keep float32's 24 bits;
only the factors of matrix products are rounded to the 8 of bfloat16 or the 11 of float16 (Micikevicius et al. 2018,
"Mixed Precision Training"). PyTorch does so for its own operations; these functions do it for those that it cannot see
into. Outside autocast, and for float64, they return what they are given.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def _concerned(tensor: Tensor) -> bool:
    """Whether autocast is on for the tensor's device and touches its precision."""
    kind = tensor.device.type
    on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return on and tensor.dtype != torch.float64


def product_dtype(tensor: Tensor) -> torch.dtype:
    """The precision in which autocast would multiply this tensor."""
    return torch.get_autocast_dtype(tensor.device.type) if _concerned(tensor) else tensor.dtype


def lowered(tensor: Tensor) -> Tensor:
    """The tensor in the precision of products; its gradient comes back in its own."""
    return tensor.to(product_dtype(tensor))


def raised(tensor: Tensor) -> Tensor:
    """The tensor in float32 if autocast has lowered it."""
    return tensor.float() if _concerned(tensor) else tensor


def as_written(tensor: Tensor) -> AbstractContextManager[object]:
    """Within this block each operation on the tensor's device runs in the precision of its arguments."""
    return torch.autocast(tensor.device.type, enabled=False) if _concerned(tensor) else nullcontext()
