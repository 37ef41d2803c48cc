"""The package ctranslate2, which is optional and loaded only when it is needed."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

PRECISIONS = ("float32", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16")
"""Types of weights in which CTranslate2 stores a model."""


def load(part: str = "") -> Any:
    """The package, or a part of it such as "specs"; ValueError that says how to install it, if it is missing."""
    try:
        package = import_module("ctranslate2")
        package.set_log_level(logging.ERROR)  # what it falls back to is told by its compute type
        return import_module(f"ctranslate2.{part}") if part else package
    except ImportError as error:
        broken = "" if getattr(error, "name", None) == "ctranslate2" else f" ({error})"
        raise ValueError(
            f"the package ctranslate2 is not installed{broken}: pip install 'nmtkit[ctranslate2]'"
        ) from None


def version() -> str:
    """The version of the package."""
    return str(load().__version__)
