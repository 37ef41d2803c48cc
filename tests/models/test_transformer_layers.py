"""Layers of a Transformer against PyTorch's, and the whole against its layers."""

from __future__ import annotations

import math

import torch
from torch import nn

from nmtkit.models.build import build
from nmtkit.models.options import TransformerOptions
from nmtkit.models.positions import sinusoids
from nmtkit.models.transformer import Transformer
from nmtkit.models.transformer_layers import DecoderLayer, EncoderLayer, LayerSizes


def copy_attention(ours: nn.Module, theirs: nn.MultiheadAttention) -> None:
    weights = dict(ours.named_parameters())
    with torch.no_grad():
        theirs.in_proj_weight.copy_(weights["input.weight"])
        theirs.in_proj_bias.copy_(weights["input.bias"])
        theirs.out_proj.weight.copy_(weights["output.weight"])
        theirs.out_proj.bias.copy_(weights["output.bias"])


def shake(module: nn.Module) -> None:
    """Random numbers everywhere, biases and norms too, so that every parameter matters."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))


def copy_rest(ours: EncoderLayer, theirs: nn.Module) -> None:
    pairs = [("feedforward.inner", "linear1"), ("feedforward.outer", "linear2"), ("self_norm", "norm1")]
    cross = [("cross_norm", "norm2"), ("feedforward_norm", "norm3")]
    pairs += cross if "cross_norm" in dict(ours.named_children()) else [("feedforward_norm", "norm2")]
    for mine, other in pairs:
        theirs.get_submodule(other).load_state_dict(ours.get_submodule(mine).state_dict())


def test_encoder_layer_is_that_of_pytorch() -> None:
    torch.manual_seed(1)
    ours = EncoderLayer(LayerSizes(8, 12, 2)).double()
    shake(ours)
    theirs = nn.TransformerEncoderLayer(8, 2, 12, 0.0, norm_first=True, batch_first=True, dtype=torch.float64)
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_rest(ours, theirs)
    vectors = torch.randn(3, 5, 8, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True] + [False] * 4, [True] * 3 + [False] * 2])
    found, expected = ours(vectors, mask[:, None, None]), theirs(vectors, src_key_padding_mask=~mask)
    torch.testing.assert_close(found[mask], expected[mask], atol=1e-11, rtol=0)


def test_decoder_layer_is_that_of_pytorch() -> None:
    torch.manual_seed(2)
    ours = DecoderLayer(LayerSizes(8, 12, 4)).double()
    shake(ours)
    theirs = nn.TransformerDecoderLayer(8, 4, 12, 0.0, norm_first=True, batch_first=True, dtype=torch.float64)
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    copy_rest(ours, theirs)
    source, target = torch.randn(2, 4, 8, dtype=torch.float64), torch.randn(2, 6, 8, dtype=torch.float64)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    found = ours.parallel(target, *ours.cross_attention.prepare(source), mask[:, None, None])
    causal = torch.ones(6, 6, dtype=torch.bool).triu(1)
    expected = theirs(target, source, tgt_mask=causal, memory_key_padding_mask=~mask)
    torch.testing.assert_close(found, expected, atol=1e-11, rtol=0)


def test_transformer_is_its_layers() -> None:
    """Embeddings times √d plus sinusoids, the layers (each is PyTorch's, see above), a norm, the output projection."""
    torch.manual_seed(3)
    options = TransformerOptions(width=6, feedforward=9, heads=2, encoder_layers=2, decoder_layers=3)
    model = build(options, source_size=8, target_size=7).double().eval()
    shake(model)
    assert isinstance(model, Transformer)
    source, target_in = torch.tensor([[5, 7, 4, 3]]), torch.tensor([[1, 6, 2, 4, 5]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        found = model.decode(model.encode(source, mask), target_in).dense()
        read = model.get_parameter("front.table.weight")[source] * math.sqrt(6) + sinusoids(4, 6)
        for layer in model.encoder:
            read = layer(read, mask[:, None, None])
        read = model.encoder_norm(read)
        written = model.target_embedding.weight[target_in] * math.sqrt(6) + sinusoids(5, 6)
        for layer in model.decoder:
            written = layer.parallel(written, *layer.cross_attention.prepare(read), mask[:, None, None])
        logits = model.decoder_norm(written) @ model.output_weight[2:].T
    torch.testing.assert_close(found[..., 2:], logits.log_softmax(-1), atol=1e-9, rtol=0)
