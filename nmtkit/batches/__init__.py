"""Batches: parallel text as ids, grouped by length under a token budget, in an order fixed by seed and epoch."""
