"""Options of the recurrent family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from nmtkit.models.options.base import LAYERS, UNITS, ModelOptions, either, toml
from nmtkit.settings import Within

CELLS = ("gru", "lstm", "rnn")
ORDERS = ("bahdanau", "luong", "none")
SCORES = ("additive", "dot", "scaled-dot", "general", "cosine", "location", "uniform")
EXTENTS = ("global", "local-m", "local-p")
NORMALISERS = ("softmax", "sparsemax", "entmax", "sigmoid")


@dataclass(frozen=True)
class RecurrentOptions(ModelOptions):
    """A recurrent encoder-decoder, with or without attention.

    Attributes:
        embedding: width of the embeddings.
        units: units of the decoder.
        encoder_units: units of each direction of the encoder; None: as many as the decoder has.
        encoder_layers: depth of the encoder.
        decoder_layers: depth of the decoder.
        cell: "gru" (Cho et al. 2014), "lstm" (Hochreiter and Schmidhuber 1997) or "rnn" (tanh, Elman 1990).
        bidirectional: the encoder reads from both sides.
        order: "bahdanau": the query is the decoder's state before a word, and the context enters the cell of the lowest
            layer; "luong": the query is the state of the highest layer, and the context is combined with it; "none": no
            attention, the decoder knows the source only by its first state. In both orders the decoder starts as in
            Bahdanau's paper.
        input_feeding: in Luong's order, the previous output enters the lowest layer beside the word.
        score: "additive", "dot", "scaled-dot", "general", "cosine", "location" (from the decoder's state alone) or
            "uniform" (the mean of all, a control).
        attention: width of the additive score's hidden layer, and of the keys of several heads together.
        heads: heads of the attention; several have queries, keys and values of their own, but share what the score
            also learns (v, W_h, W_a, β) and the position that a local extent predicts.
        strength: initial factor of a cosine, which is then learned; 0: the bare cosine.
        max_positions: source positions that the location score knows; it cannot look beyond them.
        extent: "global"; "local-m": near the position of the target word; "local-p": near a predicted position.
        window: how far a local extent reaches to each side.
        normaliser: "softmax", "sparsemax", "entmax" (exponent 1.5) or "sigmoid".
        sigmoid_bias: the sigmoid's energies are lowered by the log of the source's length, so that the weights of long
            sources do not grow.
        hard: one position instead of a weighted sum: drawn in training, otherwise the heaviest (Xu et al. 2015).
        expected_share: share of the words for which hard attention reads the weighted sum in training after all.
        reward_weight: weight of the gradient of hard attention's draws; 1 is unbiased without label smoothing, a
            smaller weight adds less noise.
        entropy_weight: reward of hard attention for not deciding early, in nats.
    """

    family: ClassVar[str] = "recurrent"
    compiles: ClassVar[bool] = False
    embedding: Annotated[int, UNITS] = 256
    units: Annotated[int, UNITS] = 256
    encoder_units: Annotated[int | None, UNITS] = None
    attention: Annotated[int, UNITS] = 256
    encoder_layers: Annotated[int, LAYERS] = 1
    decoder_layers: Annotated[int, LAYERS] = 1
    cell: str = "gru"
    bidirectional: bool = True
    order: str = "bahdanau"
    input_feeding: bool = False
    score: str = "additive"
    heads: Annotated[int, UNITS] = 1
    strength: Annotated[float, Within(0, 1000)] = 4.0
    max_positions: Annotated[int, UNITS] = 256
    extent: str = "global"
    window: Annotated[int, UNITS] = 5
    normaliser: str = "softmax"
    sigmoid_bias: bool = True
    hard: bool = False
    expected_share: Annotated[float, Within(0, 1)] = 0.5
    reward_weight: Annotated[float, Within(0, 1)] = 0.01
    entropy_weight: Annotated[float, Within(0, 100)] = 0.002

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("embedding", "units", "attention", "encoder_layers", "decoder_layers", "heads", "max_positions")
        self._positive("window")
        if self.encoder_units is not None:
            self._positive("encoder_units")
        known = (("cell", CELLS), ("order", ORDERS), ("score", SCORES), ("extent", EXTENTS))
        for name, choices in (*known, ("normaliser", NORMALISERS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} = {getattr(self, name)!r} is not known; choose {either(choices)}")
        self._within("strength", "choose 0 (the bare cosine) to 1000")
        self._within("expected_share", "choose 0 (draw always) to 1 (never)")
        self._within("reward_weight", "choose 0 (none) to 1 (unbiased)")
        self._within("entropy_weight", "choose 0 to 100")
        self._check_combination()

    def _check_combination(self) -> None:
        """Refuse options that cannot work together, in one line that says what would work."""
        if self.input_feeding and self.order != "luong":
            raise ValueError(f"input_feeding needs order = 'luong', but it is {self.order!r}")
        of_attention = ("score", "heads", "extent", "normaliser", "hard")
        self._only(self.order != "none", "order = 'none'", "order = 'bahdanau' or 'luong'", *of_attention)
        for option, needed, *names in (
            ("score", "cosine", "strength"),
            ("score", "location", "max_positions"),
            ("normaliser", "sigmoid", "sigmoid_bias"),
            ("hard", True, "expected_share", "reward_weight", "entropy_weight"),
        ):
            value = getattr(self, option)
            self._only(value == needed, f"{option} = {toml(value)}", f"{option} = {toml(needed)}", *names)
        local = "extent = 'local-m' or 'local-p'"
        self._only(self.extent != "global", "extent = 'global'", local, "window")
        if self.score == "uniform" and self.normaliser in ("sparsemax", "entmax"):
            raise ValueError(
                f"normaliser = {self.normaliser!r} does nothing with score = 'uniform', whose energies are all alike: "
                "choose another score, or leave normaliser at 'softmax'"
            )
        if self.heads > 1:
            self._check_heads()
        elif self.order != "none" and self.score in ("dot", "scaled-dot", "cosine") and self.units != self.annotation:
            sides = 1 + self.bidirectional
            fits = f"encoder_units = {self.units // sides}"
            if self.units % sides:
                fits = f"units = {self.annotation}" if self.encoder_units else "bidirectional = false"
            raise ValueError(
                f"score = {self.score!r} compares states of width {self.units} with annotations of width "
                f"{self.annotation}: {fits} would work, or score = 'general', or several heads"
            )
        if self.hard and (self.normaliser == "sigmoid" or self.extent == "local-p" or self.score == "uniform"):
            raise ValueError(
                "hard attention draws from a distribution: choose another normaliser than 'sigmoid', another extent "
                "than 'local-p', another score than 'uniform'"
            )

    def _check_heads(self) -> None:
        if self.score == "uniform":
            raise ValueError("score = 'uniform' looks at everything alike, so several heads see the same: heads = 1")
        for name, part, width in (
            ("attention", self.attention, self.attention),
            ("encoder_units", self.encoder_units or self.units, self.annotation),
        ):
            if width % self.heads:
                raise ValueError(
                    f"{name} = {part} cannot be split into heads = {self.heads}: "
                    f"{name} = {-(-part // self.heads) * self.heads} would work"
                )

    @property
    def width(self) -> int:
        return self.units

    @property
    def annotation(self) -> int:
        """Width of the annotations."""
        return (self.encoder_units or self.units) * (1 + self.bidirectional)
