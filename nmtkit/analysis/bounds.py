"""What an error analysis may be asked; apart from the analysis, which takes long to load."""

from __future__ import annotations

from nmtkit.settings import Within

TOLERANCE = Within(0, 1000, usual=1e-4)
SEGMENTATIONS = Within(1, 512)
"""Of a reference; SentencePiece gives no more."""
SENTENCE_SCORE = Within(0, 100)
BUCKETS = Within(1, 1000)
"""Parts of a text by length."""
