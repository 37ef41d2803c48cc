"""Models: tensors in, log-probabilities out; no text, no files, no batches."""
