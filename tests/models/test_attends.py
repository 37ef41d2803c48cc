"""A model says which kinds of attention it has: those of which it gives maps."""

from __future__ import annotations

import pytest
import torch
from support.training_toys import model

from nmtkit.models.ensemble import Ensemble
from nmtkit.models.options import ConvolutionalOptions, ModelOptions, RecurrentOptions, TransformerOptions

SMALL: list[ModelOptions] = [
    TransformerOptions(width=8, feedforward=8, heads=2, encoder_layers=1, decoder_layers=1, tie_source=True),
    RecurrentOptions(embedding=8, units=8, attention=8, tie_source=True),
    RecurrentOptions(embedding=8, units=8, attention=8, order="none", tie_source=True),
    RecurrentOptions(embedding=8, units=8, attention=8, order="luong", tie_source=True),
    ConvolutionalOptions(width=8, embedding=8, encoder_layers=1, decoder_layers=1, tie_source=True),
]


@pytest.mark.parametrize("options", SMALL, ids=lambda options: f"{options.family}-{getattr(options, 'order', '')}")
def test_what_a_model_has_is_what_it_shows(options: ModelOptions) -> None:
    made, source = model(options).eval(), torch.tensor([[5, 6, 3]])
    with torch.no_grad():
        maps = made.attention(made.encode(source, source != 0), torch.tensor([[1, 7]]))
        shown = {"cross": maps.cross, "decoder": maps.decoder, "encoder": made.encoder_attention(source, source != 0)}
    assert made.attends == (frozenset(kind for kind, layers in shown.items() if layers),)


def test_an_ensemble_has_what_each_member_has() -> None:
    members = [model(options) for options in SMALL]
    assert Ensemble(members).attends == tuple(member.attends[0] for member in members)
