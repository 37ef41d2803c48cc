"""What a model looked at in a forced pass over a given translation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from nmtkit.ragged import Ragged, shifted

if TYPE_CHECKING:
    from nmtkit.batches.source import Source
    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.translator import Translator

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Attended:
    """What a model looked at for one sentence and one translation of it, ends of sentence included on both sides.

    Attributes:
        cross: the weight of every source position for every target piece: (heads, T, S) for each layer; the layers of
            an ensemble member by member.
        decoder: self-attention of the target for the same T predictions: (heads, T, T) for each layer. The model reads
            the piece before the predicted one, so column 0 is the beginning of the sentence.
        encoder: self-attention of the source: (heads, S, S) for each layer.
    """

    cross: tuple[Matrix, ...]
    decoder: tuple[Matrix, ...] = ()
    encoder: tuple[Matrix, ...] = ()


@torch.no_grad()
def attended(
    translator: Translator, source: Source, index: int, target: Sequence[int], settings: SearchSettings
) -> Attended:
    """What the model looked at for one sentence in a forced pass over a translation.

    Args:
        index: index of the sentence in the source.
        target: ids of the translation, EOS last.

    Raises:
        ValueError: for a target that is longer than `Translator.longest_target`.
    """
    if excess := translator.excess(target, settings):
        raise ValueError(excess)
    model = translator.model
    source_1S, mask_1S = (tensor.to(model.device) for tensor in source.batch([index]))
    target_1T, _ = Ragged.of_ids([target]).rows([0])
    maps = model.attention(model.encode(source_1S, mask_1S), shifted(target_1T.to(model.device)))
    encoder = model.encoder_attention(source_1S, mask_1S)
    return Attended(*map(_arrays, (maps.cross, maps.decoder, encoder)))


def _arrays(layers: Sequence[torch.Tensor]) -> tuple[Matrix, ...]:
    """The weights of each layer for the only sentence of the batch."""
    return tuple(layer[0].float().cpu().numpy() for layer in layers)
