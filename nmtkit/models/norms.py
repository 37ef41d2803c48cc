"""Where layer norm (Ba et al. 2016) stands around a sublayer and the connection that skips it: before, or after."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class PreNorm(nn.LayerNorm):
    """x + f(norm(x)) around a sublayer f: what is skipped past is never normed. Xiong et al. 2020, figure 1b."""

    def before(self, vectors: Tensor) -> Tensor:
        """What the sublayer reads."""
        return self(vectors)  # type: ignore[no-any-return]

    def after(self, vectors: Tensor) -> Tensor:
        """What the sum of skip connection and sublayer becomes."""
        return vectors


class PostNorm(nn.LayerNorm):
    """norm(x + f(x)) around a sublayer f. Vaswani et al. 2017, 3.1."""

    def before(self, vectors: Tensor) -> Tensor:
        """What the sublayer reads."""
        return vectors

    def after(self, vectors: Tensor) -> Tensor:
        """What the sum of skip connection and sublayer becomes."""
        return self(vectors)  # type: ignore[no-any-return]


Norm = type[PreNorm] | type[PostNorm]
NORMS: dict[str, tuple[Norm, Callable[[int], nn.Module]]] = {
    "pre": (PreNorm, nn.LayerNorm),
    "post": (PostNorm, nn.Identity),
}
"""By the option's name: what stands around each sublayer, and what after each stack."""
