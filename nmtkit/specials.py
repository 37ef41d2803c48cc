"""The ids of the special tokens, fixed for the whole toolkit."""

PAD, BOS, UNK, EOS = 0, 1, 2, 3
