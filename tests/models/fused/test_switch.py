"""The switch: whole models compute the same with it and without, and with it nothing is fused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nmtkit.models.build import build
from nmtkit.models.fused.switch import is_plain, plain
from nmtkit.models.interface import Model
from nmtkit.models.options import ConvolutionalOptions, ModelOptions, RecurrentOptions, TransformerOptions

GATED = RecurrentOptions(embedding=6, units=6, attention=4, decoder_layers=2, dropout=0.3)
FED = replace(GATED, cell="lstm", order="luong", input_feeding=True, score="general", extent="local-p", window=2)
LAYERS = TransformerOptions(
    width=6, feedforward=5, heads=2, encoder_layers=2, decoder_layers=2, dropout=0.3, activation_dropout=0.2
)
FAMILIES: dict[str, ModelOptions] = {
    "bahdanau": GATED,
    "hard": replace(GATED, hard=True, heads=2),
    "luong": replace(GATED, cell="rnn", order="luong", input_feeding=False, encoder_layers=2),
    "fed": FED,
    "sutskever": replace(GATED, order="none", cell="lstm"),
    "transformer": LAYERS,
    "near": replace(LAYERS, norm="post", neighbourhood=1),
    "convolutional": ConvolutionalOptions(width=5, embedding=6, encoder_layers=1, decoder_layers=2, max_positions=9),
}
SOURCE = torch.tensor([[5, 7, 4, 6, 3], [9, 3, 0, 0, 0], [4, 8, 3, 0, 0]])
TARGET_IN = torch.tensor([[1, 5, 6, 4], [1, 7, 0, 0], [1, 4, 4, 0]])
TARGET_OUT = torch.tensor([[5, 6, 4, 3], [7, 3, 0, 0], [4, 4, 3, 0]])
KERNELS = (nn.RNN, nn.GRU, nn.LSTM)
"""PyTorch's own loops over a sequence; their operations have no name of their own everywhere."""


def passed(model: Model) -> tuple[Tensor, list[Tensor]]:
    """The loss and everything else that a pass computes, gradients too: dropout and draws are the same every time."""
    torch.manual_seed(4)
    model.train()
    loss = model.decode(model.encode(SOURCE, SOURCE != 0), TARGET_IN).loss(TARGET_OUT, 0.1)
    gradients = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True, allow_unused=True)
    with torch.no_grad():
        memory = model.eval().encode(SOURCE, SOURCE != 0)
        log_probs, _ = model.step(TARGET_IN[:, 0], model.start(memory), memory)
    values = [loss.detach(), *(gradient for gradient in gradients if gradient is not None), log_probs.top(4)[0]]
    return loss, values


def nodes(loss: Tensor) -> set[str]:
    """The names of all operations behind a loss; one of ours begins with an underscore."""
    names, waiting, seen = set(), [loss.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            names.add(type(node).__name__)
            waiting += [following for following, _ in node.next_functions]
    return names


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_computes_the_same_plainly(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    model = build(FAMILIES[family], source_size=10, target_size=9).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    loss, fused = passed(model)
    for kernel in KERNELS:
        monkeypatch.setattr(kernel, "forward", None)  # whoever calls it fails
    with plain():
        plain_loss, formulas = passed(model)
    assert len(fused) == len(formulas) > 10
    for one, other in zip(fused, formulas, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)
    assert any(name.startswith("_") for name in nodes(loss))
    left = [name for name in nodes(plain_loss) if name.startswith("_") or "ScaledDotProduct" in name]
    assert not left


def test_plain_ends_with_its_block() -> None:
    assert not is_plain()
    with plain():
        with plain():
            assert is_plain()
        assert is_plain()
    with pytest.raises(KeyError), plain():
        raise KeyError
    assert not is_plain()
