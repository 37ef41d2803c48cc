"""Bounds of the options of a comparison; a file of their own, since the comparison takes long to load."""

from __future__ import annotations

from nmtkit.settings import Within

BUCKETS = Within(1, 1000)
"""Parts of a text by length."""
