"""The whole model of Bahdanau et al. (2015) against its formulas, word by word in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nmtkit.models.build import build
from nmtkit.models.options import RecurrentOptions

Array = npt.NDArray[np.float64]


def gru(x: Array, h: Array, w: dict[str, Array], name: str) -> Array:
    """Cho et al. 2014 as `nn.GRU` writes it: reset, update, candidate."""
    incoming = w[f"{name}input.weight"] @ x + w[f"{name}input.bias"]
    state = w[f"{name}state.weight"] @ h + w[f"{name}state.bias"]
    (xr, xz, xn), (hr, hz, hn) = np.split(incoming, 3), np.split(state, 3)
    reset, update = 1 / (1 + np.exp(-xr - hr)), 1 / (1 + np.exp(-xz - hz))
    return np.asarray((1 - update) * np.tanh(xn + reset * hn) + update * h)


def written(name: str) -> str:
    """A weight's name without what only the program needs."""
    for old, new in (("inner.weight_ih_l0", "input.weight"), ("inner.bias_ih_l0", "input.bias")):
        name = name.replace(old, new).replace(old.replace("ih", "hh"), new.replace("input", "state"))
    for part in ("decoder.", "attention.", "layers."):
        name = name.replace(part, "")
    return name


def below(weights: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def annotate(words: list[Array], encoder: dict[str, Array], layers: int, units: int) -> tuple[list[Array], Array]:
    """Both directions side by side for each word, and the backward state at the first word."""
    both = words
    for layer in range(layers):
        forward, backward = [np.zeros(units)], [np.zeros(units)]
        for x in both:
            forward.append(gru(x, forward[-1], encoder, f"{layer}.left."))
        for x in reversed(both):
            backward.append(gru(x, backward[-1], encoder, f"{layer}.right."))
        both = [np.concatenate(pair) for pair in zip(forward[1:], backward[:0:-1], strict=True)]
    return both, backward[-1]


@pytest.mark.parametrize("layers", [1, 2])
def test_recurrent_model_is_the_written_formulas(layers: int) -> None:
    """For one sentence; every parameter matters."""
    torch.manual_seed(layers)
    options = RecurrentOptions(embedding=4, units=3, attention=5, encoder_layers=layers, decoder_layers=layers)
    model = build(options, source_size=8, target_size=7).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # biases, too
            parameter.copy_(0.5 * torch.randn_like(parameter))
    w = {written(name): np.asarray(value.numpy(), dtype=np.float64) for name, value in model.state_dict().items()}
    source, target_in = [5, 7, 4, 3], [1, 6, 2, 4, 5]
    annotations, back = annotate([w["front.table.weight"][i] for i in source], below(w, "encoder."), layers, 3)
    states = list(np.tanh(w["bridge.weight"] @ back + w["bridge.bias"]).reshape(layers, 3))
    keys = [w["score.key.weight"] @ h + w["score.key.bias"] for h in annotations]
    cell = {
        "input.weight": np.concatenate((w["cell.word.weight"], w["cell.extra.weight"]), axis=1),
        "input.bias": w["cell.word.bias"],
        "state.weight": w["cell.state.weight"][:9],
        "state.bias": w["cell.state.bias"][:9],
    }
    expected, attended = [], []
    for token in target_in:
        word = w["target_embedding.weight"][token]
        query = w["cell.state.weight"][9:] @ states[0] + w["cell.state.bias"][9:]
        exps = np.exp([w["score.vector"] @ np.tanh(query + key) for key in keys])
        attended.append(exps / exps.sum())
        context = np.sum([weight * h for weight, h in zip(attended[-1], annotations, strict=True)], axis=0)
        states[0] = gru(np.concatenate((word, context)), states[0], cell, "")
        for layer in range(1, layers):
            states[layer] = gru(states[layer - 1], states[layer], w, f"upper.{layer - 1}.")
        joined = np.concatenate((states[-1], word, context))
        logits = w["output_weight"][2:] @ np.tanh(w["readout.weight"] @ joined + w["readout.bias"])
        expected.append(logits - np.log(np.exp(logits).sum()))
    with torch.no_grad():
        memory = model.encode(torch.tensor([source]), torch.ones(1, 4, dtype=torch.bool))
        found = model.decode(memory, torch.tensor([target_in])).dense()
        maps = model.attention(memory, torch.tensor([target_in]))
    assert found[0, :, 2:].numpy() == pytest.approx(np.stack(expected), abs=1e-10)
    assert maps.cross[0][0, 0].numpy() == pytest.approx(np.stack(attended), abs=1e-10)
