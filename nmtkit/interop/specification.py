"""A Transformer as CTranslate2's own specification, which writes the model.

CTranslate2's Transformer adds positions to words, so ours that concatenate them are written as wider words with zeros
in the channels of the positions, and positions with zeros in the channels of the words. The readout of such a model is
a linear map, so it is multiplied into the output projection. PAD and BOS, which our distribution leaves out, get a
bias of −10,000: their probability is zero in float32.

Shape key: V vocabulary, E embedding width, D width, P positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmtkit.interop import package
from nmtkit.models.interface import Stepper
from nmtkit.models.options import ModelOptions, TransformerOptions
from nmtkit.models.positions import sinusoids
from nmtkit.specials import BOS, EOS, PAD, UNK
from nmtkit.tokenizer.tokenizer import Tokenizer

Array = NDArray[Any]

IMPOSSIBLE = -1e4
"""The bias of a token that no output has; float16 can hold it."""
POSITIONS = 4096
"""Most positions on either side of an exported model whose own number of positions has no limit."""


@dataclass(frozen=True)
class Exportable:
    """A model with all that its export holds.

    Attributes:
        model: the model of a folder.
        options: the options of the model.
        hash: hash of the model folder.

    Raises:
        ValueError: for a model that CTranslate2 cannot express; names the option.
    """

    model: Stepper[Any, Any]
    tokenizer: Tokenizer
    options: ModelOptions
    hash: str

    def __post_init__(self) -> None:
        why = ""
        if "+" in self.hash:
            why = "an ensemble has several models: name one folder"
        elif self.tokenizer.features is not None:
            why = f"the source is vectors (features = {self.tokenizer.features}), not text"
        elif not isinstance(self.options, TransformerOptions):
            why = f"family = {self.options.family!r} is not one of its models: choose a 'transformer'"
        elif self.options.neighbourhood is not None:
            why = f"neighbourhood = {self.options.neighbourhood}: its attention sees all positions"
        if why:
            raise ValueError(f"CTranslate2 cannot run this model: {why}")

    @property
    def positions(self) -> int:
        """Most positions on either side of the exported model."""
        return min(POSITIONS, self.options.longest or POSITIONS)


def specification(exported: Exportable) -> Any:
    """The validated specification, not quantised yet; it shares no memory with the model."""
    specs = package.load("specs")
    options, tokenizer = exported.options, exported.tokenizer
    assert isinstance(options, TransformerOptions)
    module: Any = exported.model
    weights = {name: tensor.detach().float().cpu().numpy() for name, tensor in module.state_dict().items()}
    layers = (options.encoder_layers, options.decoder_layers)
    spec = specs.TransformerSpec.from_config(layers, options.heads, pre_norm=options.norm == "pre")
    spec.encoder.embeddings[0].weight = _wide(weights["front.table.weight"], options.width)
    spec.decoder.embeddings.weight = _wide(weights["target_embedding.weight"], options.width)
    for stack, name, side in ((spec.encoder, "encoder", "source"), (spec.decoder, "decoder", "target")):
        stack.scale_embeddings = float(options.embedding**0.5)
        stack.position_encodings.encodings = _positions(options, weights, side, exported.positions)
        _fill_stack(stack, weights, name, options)
    for number, layer in enumerate(spec.decoder.layer):
        _fill_cross_attention(layer.attention, weights, f"decoder.{number}", options)
    spec.decoder.projection.weight, spec.decoder.projection.bias = _projection(weights)
    spec.register_source_vocabulary(tokenizer.source.pieces(range(tokenizer.source.size)))
    pieces = tokenizer.target.pieces(range(tokenizer.target.size))
    spec.register_target_vocabulary(pieces)
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = pieces[UNK], pieces[BOS], pieces[EOS]
    spec.config.decoder_start_token, spec.config.add_source_eos = pieces[BOS], True
    spec.config.layer_norm_epsilon = 1e-5
    spec.validate()
    return spec


def _wide(table_VE: Array, width: int) -> Array:
    """The table with zeros in the channels of concatenated positions, (V, D)."""
    return np.pad(table_VE, ((0, 0), (0, width - table_VE.shape[1])))


def _positions(options: TransformerOptions, weights: Mapping[str, Array], side: str, size: int) -> Array:
    """What is added at each position to the scaled vector of a word, (P, D)."""
    table = np.zeros((size, options.width), dtype=np.float32)
    if options.positions == "learned":
        table[:] = weights[f"{side}_positions.table"][:size] * options.embedding**0.5
    elif options.positions == "concatenated":
        table[:, options.embedding :] = sinusoids(size, options.position_width).numpy()
    elif options.positions == "sinusoidal":
        table[:] = sinusoids(size, options.width).numpy()
    return table


def _projection(weights: Mapping[str, Array]) -> tuple[Array, Array]:
    """Weight (V, D) and bias (V) of the output projection."""
    table_VE = weights["output_weight"]
    bias_V = np.zeros(table_VE.shape[0], dtype=np.float32)
    if "readout.weight" in weights:
        bias_V[:] = table_VE.astype(np.float64) @ weights["readout.bias"]
        table_VE = (table_VE.astype(np.float64) @ weights["readout.weight"]).astype(np.float32)
    bias_V[[PAD, BOS]] = IMPOSSIBLE
    return table_VE.copy(), bias_V


def _fill_stack(stack: Any, weights: Mapping[str, Array], name: str, options: TransformerOptions) -> None:
    """Self-attention and feed-forward network of every layer, and the norm after the stack."""
    if options.norm == "pre":
        _fill_norm(stack.layer_norm, weights, f"{name}_norm")
    for number, layer in enumerate(stack.layer):
        inside = f"{name}.{number}"
        _fill_norm(layer.self_attention.layer_norm, weights, f"{inside}.self_norm")
        _fill_linear(layer.self_attention.linear[0], weights, f"{inside}.self_attention.input")
        _fill_linear(layer.self_attention.linear[1], weights, f"{inside}.self_attention.output")
        _fill_norm(layer.ffn.layer_norm, weights, f"{inside}.feedforward_norm")
        _fill_linear(layer.ffn.linear_0, weights, f"{inside}.feedforward.inner")
        _fill_linear(layer.ffn.linear_1, weights, f"{inside}.feedforward.outer")


def _fill_cross_attention(attention: Any, weights: Mapping[str, Array], name: str, options: TransformerOptions) -> None:
    """Queries of the decoder apart from keys and values of the encoder."""
    own, rest = slice(options.width), slice(options.width, None)
    _fill_norm(attention.layer_norm, weights, f"{name}.cross_norm")
    _fill_linear(attention.linear[0], weights, f"{name}.cross_attention.input", own)
    _fill_linear(attention.linear[1], weights, f"{name}.cross_attention.input", rest)
    _fill_linear(attention.linear[2], weights, f"{name}.cross_attention.output")


def _fill_norm(norm: Any, weights: Mapping[str, Array], name: str) -> None:
    norm.gamma, norm.beta = weights[f"{name}.weight"].copy(), weights[f"{name}.bias"].copy()


def _fill_linear(linear: Any, weights: Mapping[str, Array], name: str, rows: slice = slice(None)) -> None:
    # copies, since quantisation scales what it is given in place
    linear.weight, linear.bias = weights[f"{name}.weight"][rows].copy(), weights[f"{name}.bias"][rows].copy()
