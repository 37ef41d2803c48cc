"""Training: from a parallel text to a model folder, restartable at any moment."""
