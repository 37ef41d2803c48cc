"""nmtkit: train translation models, translate, and find out whether the search or the model is to blame."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["Translator", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Translator":
        from nmtkit.translator import Translator

        return Translator
    raise AttributeError(f"module 'nmtkit' has no attribute {name!r}")
