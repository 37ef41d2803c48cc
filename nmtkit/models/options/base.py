"""The options that all model families share, and how options are checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from nmtkit.settings import Within, bounds

DROPOUT = Within(0, 0.99, usual=0.1)
UNITS, LAYERS = Within(1, 65536), Within(1, 256)
"""The bounds of any size, and of the depth of a stack."""


def check(name: str, value: float, low: float, high: float, fix: str) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} = {value} is not possible: {fix}")


def toml(value: object) -> str:
    """A value in the spelling of a configuration."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def either(choices: tuple[str, ...]) -> str:
    quoted = [repr(choice) for choice in choices]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


@dataclass(frozen=True)
class ModelOptions:
    """Options of every family.

    Attributes:
        dropout: probability of dropping a unit after embeddings and sublayers (Srivastava et al. 2014).
        tie_source: one embedding table for source and target; needs a joint tokenizer; None: if there is one.
        tie_output: the output projection is the target embedding table (Press and Wolf 2017).
    """

    family: ClassVar[str]
    compiles: ClassVar[bool] = True
    """Whether torch.compile can compile the loss once for sentences of every length."""
    dropout: Annotated[float, DROPOUT] = 0.1
    tie_source: bool | None = None
    tie_output: bool = True

    def __post_init__(self) -> None:
        DROPOUT.check("dropout", self.dropout)

    @property
    def width(self) -> int:
        """Width of the hidden states, between which the large products lie."""
        raise NotImplementedError

    @property
    def embedding(self) -> int:
        """Width of the embeddings."""
        raise NotImplementedError

    @property
    def longest(self) -> int | None:
        """Most positions on either side, end of sentence counted; None: any number."""
        return None

    def _positive(self, *names: str) -> None:
        """Refuse numbers outside the bounds of their fields."""
        for name in names:
            within = bounds(type(self), name)
            self._within(name, f"choose a whole number from {within.low} to {within.high}")

    def _within(self, name: str, fix: str) -> None:
        within = bounds(type(self), name)
        check(name, getattr(self, name), within.low, within.high, fix)

    def _only(self, used: bool, having: str, needs: str, *names: str) -> None:
        """Refuse a value other than the default for options that are not used."""
        for name in names:
            value, default = getattr(self, name), type(self).__dataclass_fields__[name].default
            if not used and value != default:
                raise ValueError(
                    f"{name} = {toml(value)} does nothing with {having}: choose {needs}, or leave {name} at "
                    f"{toml(default)}"
                )
