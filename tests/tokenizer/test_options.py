"""Options of a tokenizer: impossible ones are refused in one line that names the bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nmtkit.settings import from_mapping
from nmtkit.tokenizer.options import TokenizerOptions


@pytest.mark.parametrize("name", ["vocab_size", "max_lines"])
@pytest.mark.parametrize("value", [0, -1, 10**10, 10**23, math.nan, math.inf, 1e308, "", 2.5])
def test_what_is_impossible_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} = .*choose from 1 to 1,000,000"):
        TokenizerOptions(**{name: value})
    with pytest.raises(ValueError, match=rf"^\[tokenizer\]: {name} = ") as caught:
        from_mapping(TokenizerOptions, {name: value}, "[tokenizer]")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_what_is_possible() -> None:
    assert TokenizerOptions(vocab_size=1_000_000, max_lines=1).max_lines == 1
    assert TokenizerOptions(vocab_size=1, max_lines=None).max_lines is None
