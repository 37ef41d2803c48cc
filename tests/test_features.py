"""Feature files: every kind gives back the matrices that were written, in numbered order; anything else is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from nmtkit.features import Described, is_features, matrix_of, read_features, read_source, read_sources, width_of


def matrices(lengths: list[int], width: int) -> list[np.ndarray]:
    generator = np.random.default_rng(len(lengths))
    return [generator.normal(size=(length, width)).astype(np.float32) for length in lengths]


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=13), width=st.integers(1, 3))
def test_matrices_come_back_in_their_order(
    ending: str, lengths: list[int], width: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The tenth is behind the ninth, not behind the first."""
    path, written = tmp_path_factory.mktemp("features") / f"some{ending}", matrices(lengths, width)
    if ending == ".npz":
        np.savez(path, *written)
    else:
        save_file({f"sentence-{number}": matrix for number, matrix in enumerate(written)}, path)
    found = read_source(path)
    assert len(found) == len(written)
    for number, (line, matrix) in enumerate(zip(found, written, strict=True), start=1):
        assert np.array_equal(matrix_of(line, ""), matrix)
        assert (
            line.startswith(f"some{ending}[{number}]: {len(matrix)} × {width} features, ") if len(matrix) else not line
        )
    assert width_of(found, "") == width


def test_one_array_of_all(tmp_path: Path) -> None:
    whole = np.arange(24).reshape(2, 3, 4)
    np.save(tmp_path / "a.npy", whole)
    found = read_features(tmp_path / "a.npy")
    assert [line.matrix.tolist() for line in found] == whole.tolist()
    assert all(line.matrix.dtype == np.float32 for line in found)


def test_a_line_is_known_by_its_vectors() -> None:
    first, second = matrices([2, 2], 3)
    assert Described.of(first, "a") == Described.of(first.copy(), "a") != Described.of(second, "a")


def test_vectors_belong_to_texts_line_by_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", *matrices([2, 3], 2))
    (tmp_path / "a.en").write_text("one\ntwo\n")
    source, texts = read_sources(tmp_path / "a.npz", tmp_path / "a.en")
    assert len(source) == 2 and texts == ["one", "two"]
    (tmp_path / "a.en").write_text("one\n")
    with pytest.raises(ValueError, match=r"a\.npz has 2 lines, .*a\.en has 1 line"):
        read_sources(tmp_path / "a.npz", tmp_path / "a.en")


WRONG = {
    "another width": ({"a0": np.zeros((2, 3)), "a1": np.zeros((2, 4))}, "a1 has 4 features per position; .* 3"),
    "no matrix": ({"a0": np.zeros(3)}, r"a0 is of shape \(3,\)"),
    "no numbers": ({"a0": np.array([["x"]])}, "a0 is of shape .* and type <U1"),
    "not finite": ({"a0": np.array([[np.inf]])}, "a0 has values that are not finite"),
    "too large": ({"a0": np.array([[1e300]])}, "a0 has values that are not finite"),
    "no order": ({"first": np.zeros((1, 1))}, "'first' does not end in the number"),
    "twice": ({"a1": np.zeros((1, 1)), "b1": np.zeros((1, 1))}, "have the same number"),
    "no features": ({"a0": np.zeros((2, 0))}, "a0 has 0 features"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_is_refused(case: str, tmp_path: Path) -> None:
    arrays, message = WRONG[case]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=rf"a\.npz: .*{message}") as refusal:
        read_features(tmp_path / "a.npz")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("ending", [".npz", ".npy", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_is_told_in_one_line(ending: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{path}: not a feature file that can be read") as refusal:
        read_features(path)
    assert "\n" not in str(refusal.value)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="not a feature file"):
        read_features(tmp_path / "a.npy")


def test_a_missing_file_is_an_ordinary_error(tmp_path: Path) -> None:
    for name in ("a.npz", "a.npy", "a.safetensors"):
        with pytest.raises(FileNotFoundError):
            read_features(tmp_path / name)


def test_text_is_no_features() -> None:
    assert not is_features("a.txt") and is_features(Path("b/a.npz"))
    with pytest.raises(ValueError, match=r"^line 3: this model reads vectors, .*\*\.npz"):
        matrix_of("text", "line 3")
