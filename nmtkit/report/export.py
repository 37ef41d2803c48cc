"""What the verification of an export found, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmtkit.words import counted

if TYPE_CHECKING:
    from nmtkit.interop.verification import Agreement


def in_words(agreement: Agreement) -> list[str]:
    """The sentences that a command notes."""
    share = 100 * agreement.identical / agreement.sentences
    return [
        f"forced scores of {counted(agreement.tokens, 'token')}: log P differs by at most "
        f"{agreement.difference:.1e} a token",
        f"outputs of {counted(agreement.sentences, 'sentence')}: {agreement.identical} identical ({share:.1f} %); J of "
        f"the engine differs from the forced pass by at most {agreement.score_difference:.1e}; mean J "
        f"{agreement.score:.6f}, of nmtkit's own search {agreement.own_score:.6f}",
    ]
