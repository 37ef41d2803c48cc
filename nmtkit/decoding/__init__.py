"""Decoding: from a model's distributions to hypotheses, by search or by force."""
