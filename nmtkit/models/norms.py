"""The place of layer norm (Ba et al. 2016) around a sublayer and its skip connection: before or after."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class PreNorm(nn.LayerNorm):
    """x + f(norm(x)) around a sublayer f: the skip connection is never normed. Xiong et al. 2020, figure 1b."""

    first = True

    def before(self, vectors: Tensor) -> Tensor:
        """The input of the sublayer."""
        return self(vectors)  # type: ignore[no-any-return]

    def after(self, vectors: Tensor) -> Tensor:
        """The output, given the sum of skip connection and sublayer."""
        return vectors


class PostNorm(nn.LayerNorm):
    """norm(x + f(x)) around a sublayer f. Vaswani et al. 2017, 3.1."""

    first = False

    def before(self, vectors: Tensor) -> Tensor:
        """The input of the sublayer."""
        return vectors

    def after(self, vectors: Tensor) -> Tensor:
        """The output, given the sum of skip connection and sublayer."""
        return self(vectors)  # type: ignore[no-any-return]


Norm = type[PreNorm] | type[PostNorm]
NORMS: dict[str, tuple[Norm, Callable[[int], nn.Module]]] = {
    "pre": (PreNorm, nn.LayerNorm),
    "post": (PostNorm, nn.Identity),
}
"""For each value of the option: the norm around each sublayer, and the norm after each stack."""
