"""What a comparison of models may be asked; apart from the comparison, which takes long to load."""

from __future__ import annotations

from nmtkit.settings import Within

BUCKETS = Within(1, 1000)
"""Parts of a text by length."""
