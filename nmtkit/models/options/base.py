"""What the options of every model family share, and how they are checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nmtkit.settings import Within

DROPOUT = Within(0, 0.99, usual=0.1)
WIDEST, DEEPEST = 65536, 256
"""The most units of anything, and the most layers."""


def check(name: str, value: float, low: float, high: float, fix: str) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} = {value} is not possible: {fix}")


def toml(value: object) -> str:
    """A value as it is written in a configuration."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def either(choices: tuple[str, ...]) -> str:
    quoted = [repr(choice) for choice in choices]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


@dataclass(frozen=True)
class ModelOptions:
    """What every family has.

    Attributes:
        dropout: probability of dropping a unit after embeddings and sublayers (Srivastava et al. 2014).
        tie_source: one embedding table for source and target; needs a joint tokenizer. None: wherever it is joint.
        tie_output: the output projection is the target embedding table (Press and Wolf 2017).
    """

    family: ClassVar[str]
    dropout: float = 0.1
    tie_source: bool | None = None
    tie_output: bool = True

    def __post_init__(self) -> None:
        DROPOUT.check("dropout", self.dropout)

    @property
    def embedding(self) -> int:
        """Width of the embeddings."""
        raise NotImplementedError

    @property
    def longest(self) -> int | None:
        """Most positions on either side, end of sentence counted; None: any number."""
        return None

    def _positive(self, *names: str) -> None:
        for name in names:
            most = DEEPEST if name.endswith("_layers") else WIDEST
            check(name, getattr(self, name), 1, most, f"choose a whole number from 1 to {most}")

    def _only(self, used: bool, having: str, needs: str, *names: str) -> None:
        """Refuse a value other than the default of what is not used."""
        for name in names:
            value, default = getattr(self, name), type(self).__dataclass_fields__[name].default
            if not used and value != default:
                raise ValueError(
                    f"{name} = {toml(value)} does nothing with {having}: choose {needs}, or leave {name} at "
                    f"{toml(default)}"
                )
