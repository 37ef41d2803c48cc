"""What an error analysis may be asked; apart from the analysis, which takes long to load."""

from __future__ import annotations

from nmtkit.settings import Within

TOLERANCE = Within(1e-5, 1000, usual=1e-4)
"""On J. Below the least of it rounding would decide: in float32 the log P of one translation differs between two
batches by up to 1e-6 nats a piece, which adds up to 1e-5 nats in sentences of some dozen pieces."""
SEGMENTATIONS = Within(1, 512)
"""Of a reference; SentencePiece gives no more."""
