"""How often a text may be resampled; a file of its own, since the metrics take long to load."""

from __future__ import annotations

from nmtkit.settings import Within

RESAMPLES = Within(2, 100_000, usual=1000)
