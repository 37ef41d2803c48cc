"""The recurrent family in NumPy, float64, one sentence and one target word at a time: the papers' formulas written out.

Slow and without batches, padding or heads side by side; it shares no code with nmtkit and reads nothing but options
and the weights by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from nmtkit.models.options import RecurrentOptions

Array = npt.NDArray[np.float64]


def numpy(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)


# --- normalisers ------------------------------------------------------------------------------------------------------


def sigmoid(values: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(values)))


def softmax(energies: Array) -> Array:
    exps = np.exp(energies - energies.max())
    return np.asarray(exps / exps.sum())


def sparsemax(energies: Array) -> Array:
    """The nearest point of the simplex: the largest support k with 1 + k e_(k) > Σ_{j ≤ k} e_(j)."""
    energies = energies - energies.max()
    ordered = np.sort(energies)[::-1]
    sums = np.cumsum(ordered)
    support = max(k for k in range(1, len(energies) + 1) if 1 + k * ordered[k - 1] > sums[k - 1])
    return np.asarray(np.maximum(energies - (sums[support - 1] - 1) / support, 0.0))


def entmax(energies: Array) -> Array:
    """max(e / 2 − τ, 0)² with the τ for which it sums to one, by bisection."""
    halves = (energies - energies.max()) / 2
    low, high = -1.0, 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if (np.maximum(halves - middle, 0) ** 2).sum() > 1 else (low, middle)
    return np.asarray(np.maximum(halves - low, 0) ** 2)


def normalise(name: str, energies: Array, allowed: npt.NDArray[np.bool_], bias: bool = False) -> Array:
    """Weights of the allowed positions; zero elsewhere."""
    weights, inside = np.zeros(len(energies)), energies[allowed]
    if name == "sigmoid":
        weights[allowed] = sigmoid(inside - np.log(len(inside)) if bias else inside)
    else:
        weights[allowed] = {"softmax": softmax, "sparsemax": sparsemax, "entmax": entmax}[name](inside)
    return weights


# --- scores -----------------------------------------------------------------------------------------------------------


def energy(name: str, query: Array, key: Array, weights: dict[str, Array]) -> float:
    """One query with one annotation (of a head); `weights` by their names within a score."""
    if name == "additive":
        return float(weights["vector"] @ np.tanh(query + weights["key.weight"] @ key + weights["key.bias"]))
    if name == "dot":
        return float(sum(q * k for q, k in zip(query, key, strict=True)))
    if name == "scaled-dot":
        return float(sum(q * k for q, k in zip(query, key, strict=True)) / np.sqrt(len(key)))
    if name == "general":
        return float(query @ (weights["key.weight"] @ key))
    assert name == "cosine"
    cosine = query @ key / (np.sqrt((query**2).sum()) * np.sqrt((key**2).sum()))
    return float(cosine * np.exp(weights["log_strength"]) if "log_strength" in weights else cosine)


def energies(name: str, query: Array, keys: Array, weights: dict[str, Array]) -> Array:
    """One query with all annotations of a head; −∞ beyond the table of the location score."""
    if name == "uniform":
        return np.zeros(len(keys))
    if name == "location":
        return np.array([query[place] if place < len(query) else -np.inf for place in range(len(keys))])
    return np.array([energy(name, query, key, weights) for key in keys])


# --- extents ----------------------------------------------------------------------------------------------------------


def window(
    name: str, reach: int, t: int, length: int, state: Array, weights: dict[str, Array]
) -> tuple[npt.NDArray[np.bool_], Array]:
    """Which of `length` positions may be looked at for target word t, and the factors of their weights."""
    if name == "global":
        return np.ones(length, dtype=bool), np.ones(length)
    if name == "local-m":
        centre = min(t, length - 1)
        return np.array([abs(place - centre) <= reach for place in range(length)]), np.ones(length)
    predicted = length * sigmoid(weights["vector.weight"] @ np.tanh(weights["inner.weight"] @ state)).item()
    deviation = reach / 2
    factors = [np.exp(-((place - predicted) ** 2) / (2 * deviation**2)) for place in range(length)]
    return np.array([abs(place - predicted) <= reach for place in range(length)]), np.array(factors)


# --- units ------------------------------------------------------------------------------------------------------------


def advance(kind: str, of_input: Array, of_state: Array, state: Array) -> Array:
    """The next state from both shares of the gates; that of an LSTM is output and cell side by side."""
    if kind == "rnn":
        return np.asarray(np.tanh(of_input + of_state))
    if kind == "gru":
        reset, update, new = zip(np.split(of_input, 3), np.split(of_state, 3), strict=True)
        r, z = sigmoid(sum(reset)), sigmoid(sum(update))
        return np.asarray((1 - z) * np.tanh(new[0] + r * new[1]) + z * state)
    enter, forget, proposed, out = np.split(of_input + of_state, 4)
    cell = sigmoid(forget) * np.split(state, 2)[1] + sigmoid(enter) * np.tanh(proposed)
    return np.concatenate((sigmoid(out) * np.tanh(cell), cell))


# --- the whole model --------------------------------------------------------------------------------------------------


class Reference:
    """A model's distributions and attention, of one sentence; `chosen` forces the positions of hard attention."""

    def __init__(self, options: RecurrentOptions, model: nn.Module) -> None:
        self.options = options
        self.weights = {name: numpy(tensor) for name, tensor in model.state_dict().items()}

    def part(self, prefix: str) -> dict[str, Array]:
        return {name[len(prefix) :]: values for name, values in self.weights.items() if name.startswith(prefix)}

    def linear(self, name: str, vector: Array) -> Array:
        bias = self.weights.get(f"{name}.bias", 0.0)
        return np.asarray(self.weights[f"{name}.weight"] @ vector + bias)

    def layer(self, prefix: str, vectors: Sequence[Array], state: Array) -> tuple[list[Array], Array]:
        units, outputs, inner = len(self.weights[f"{prefix}.inner.weight_hh_l0"][0]), [], self.part(f"{prefix}.inner.")
        for vector in vectors:
            of_input = inner["weight_ih_l0"] @ vector + inner["bias_ih_l0"]
            of_state = inner["weight_hh_l0"] @ state[:units] + inner["bias_hh_l0"]
            state = advance(self.options.cell, of_input, of_state, state)
            outputs.append(state[:units])
        return outputs, state

    def encode(self, source: Sequence[int]) -> tuple[Array, Array]:
        """Annotations (S, D), and the first states (L, Z)."""
        o = self.options
        parts = 2 if o.cell == "lstm" else 1
        units = o.encoder_units or o.units
        vectors = [self.weights["front.table.weight"][token] for token in source]
        for number in range(o.encoder_layers):
            zero = np.zeros(parts * units)
            left, _ = self.layer(f"encoder.{number}.left", vectors, zero)
            right: list[Array] = [np.zeros(0)] * len(left)
            if o.bidirectional:
                right = self.layer(f"encoder.{number}.right", vectors[::-1], zero)[0][::-1]
            vectors = [np.concatenate(both) for both in zip(left, right, strict=True)]
        last = left[-1] if not o.bidirectional else right[0]
        if o.order == "none" and o.bidirectional:
            last = np.concatenate((left[-1], right[0]))
        return np.stack(vectors), np.tanh(self.linear("bridge", last)).reshape(o.decoder_layers, -1)

    def look(self, state: Array, query: Array, t: int, annotations: Array, chosen: Any) -> tuple[Array, Array]:
        """Weights (H, S) and the context."""
        o, prefix = self.options, "decoder.attention"
        score = self.part(f"{prefix}.score.")
        several = o.heads > 1
        known = min(len(annotations), o.max_positions) if o.score == "location" else len(annotations)
        allowed = np.zeros(len(annotations), dtype=bool)
        factors = np.zeros(len(annotations))
        inside = window(o.extent, o.window, t, known, state, self.part(f"{prefix}.extent."))
        allowed[:known], factors[:known] = inside
        weights, contexts = [], []
        for head in range(o.heads):
            keys = values = annotations
            if several:
                values = np.stack([np.split(self.linear(f"{prefix}.value", one), o.heads)[head] for one in annotations])
            if several and o.score != "location":
                keys = np.stack([np.split(self.linear(f"{prefix}.key", one), o.heads)[head] for one in annotations])
            found = energies(o.score, np.split(query, o.heads)[head], keys, score)
            row = normalise(o.normaliser, found, allowed, o.sigmoid_bias) * factors
            if o.hard:
                place = int(row.argmax()) if chosen is None else chosen[t][head]
                row = np.eye(len(row))[place]
            weights.append(row)
            contexts.append(sum(weight * value for weight, value in zip(row, values, strict=True)))
        return np.stack(weights), np.concatenate(contexts)

    def decode(self, source: Sequence[int], target_in: Sequence[int], chosen: Any = None) -> tuple[Array, Array | None]:
        """log P (T, V) with −∞ at PAD and BOS, and attention (H, T, S) if there is any."""
        annotations, states = self.encode(source)
        step = {"none": self.plain, "bahdanau": self.bahdanau, "luong": self.luong}[self.options.order]
        fed = np.zeros(self.options.embedding)
        rows, maps = [], []
        for t, token in enumerate(target_in):
            word = self.weights["target_embedding.weight"][token]
            states, fed, weights = step(word, fed, list(states), t, annotations, chosen)
            logits = self.weights["output_weight"][2:] @ fed
            rows.append([-np.inf, -np.inf, *np.log(softmax(logits))])
            maps.append(weights)
        return np.array(rows), None if maps[0] is None else np.stack(maps, axis=1)

    def upper(self, name: str, vector: Array, states: list[Array]) -> tuple[Array, list[Array]]:
        after = []
        for number, state in enumerate(states):
            (vector,), state = self.layer(f"decoder.{name}.layers.{number}", [vector], state)
            after.append(state)
        return vector, after

    def plain(self, word: Array, fed: Array, states: list[Array], t: int, annotations: Array, chosen: Any) -> Any:
        hidden, states = self.upper("stack", word, states)
        return states, np.tanh(self.linear("decoder.readout", np.concatenate((hidden, word)))), None

    def bahdanau(self, word: Array, fed: Array, states: list[Array], t: int, annotations: Array, chosen: Any) -> Any:
        before = states[0][: self.options.units]
        of_state = self.linear("decoder.cell.state", before)
        gates = len(self.weights["decoder.cell.word.weight"])
        query = of_state[gates:] if len(of_state) > gates else before
        weights, context = self.look(before, query, t, annotations, chosen)
        of_input = self.linear("decoder.cell.word", word) + self.linear("decoder.cell.extra", context)
        lowest = advance(self.options.cell, of_input, of_state[:gates], states[0])
        hidden, above = self.upper("upper", lowest[: self.options.units], states[1:])
        output = np.tanh(self.linear("decoder.readout", np.concatenate((hidden, word, context))))
        return [lowest, *above], output, weights

    def luong(self, word: Array, fed: Array, states: list[Array], t: int, annotations: Array, chosen: Any) -> Any:
        own = []
        vector, above = word, states
        if self.options.input_feeding:
            of_input = self.linear("decoder.cell.word", word) + self.linear("decoder.cell.extra", fed)
            of_state = self.linear("decoder.cell.state", states[0][: self.options.units])
            own = [advance(self.options.cell, of_input, of_state, states[0])]
            vector, above = own[0][: self.options.units], states[1:]
        hidden, after = self.upper("stack", vector, above)
        query = self.linear("decoder.query", hidden) if "decoder.query.weight" in self.weights else hidden
        weights, context = self.look(hidden, query, t, annotations, chosen)
        return [*own, *after], np.tanh(self.linear("decoder.combine", np.concatenate((context, hidden)))), weights
