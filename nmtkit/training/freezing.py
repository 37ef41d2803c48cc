"""Freezing: parameters that a training leaves as they are, chosen by patterns of their names."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from torch import nn

from nmtkit.models.build import parameters


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Exclude parameters from training; a shared one is frozen if any of its names matches.

    Args:
        patterns: names of parameters, with `*` and `?` as in file names.

    Raises:
        ValueError: if a pattern matches nothing, or if nothing is left to train.
    """
    named = dict(model.named_parameters(remove_duplicate=False))
    for pattern in patterns:
        names = [name for name in named if fnmatchcase(name, pattern)]
        if not names:
            begun = any(name.startswith(pattern) for name in named)
            nearest = repr(f"{pattern}*") if begun else ", ".join(get_close_matches(pattern, named, n=3, cutoff=0))
            raise ValueError(f"freeze = {pattern!r} is the name of no parameter; did you mean {nearest}?")
        for name in names:
            named[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in named.values()):
        raise ValueError(f"freeze = {', '.join(map(repr, patterns))} leaves nothing to train: freeze fewer parameters")


def counts(model: nn.Module) -> str:
    """The number of parameters and, if some are frozen, how many are trained, and in which parts of the model."""
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = parameters(model)
    if trained == total:
        return f"{total:,} parameters"
    parts = dict.fromkeys(name.split(".")[0] for name, own in model.named_parameters() if own.requires_grad)
    return f"{total:,} parameters, {trained:,} of them trained ({', '.join(parts)})"
