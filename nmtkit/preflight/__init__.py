"""What is wrong with a parallel text, before anything is trained on it: counts and line numbers in one pass."""
