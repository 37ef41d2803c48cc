"""Operations with hand-written gradients, which take fewer passes over memory, each beside its plain formula.

Activations of a training step do not fit a processor's caches, so every pass over them costs as much as its share of
a matrix product. Each function begins with its formula, and computes just that within `switch.plain()`.
"""
