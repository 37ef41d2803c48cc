"""Text to subword ids and back, with SentencePiece (Kudo and Richardson 2018)."""
