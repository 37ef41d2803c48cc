"""Bounds of the options of an error analysis; a file of their own, since the analysis takes long to load."""

from __future__ import annotations

from nmtkit.settings import Within

TOLERANCE = Within(1e-5, 1000, usual=1e-4)
"""Tolerance on J. Below 1e-5 rounding would decide: in float32 the log P of the same translation differs between two
batches by up to 1e-6 nats a piece, which adds up to 1e-5 nats in sentences of a dozen pieces."""
SEGMENTATIONS = Within(1, 512)
"""Segmentations of a reference; SentencePiece gives at most 512."""
