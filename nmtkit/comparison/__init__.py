"""Which is better: models on one text, or two error analyses of it."""
