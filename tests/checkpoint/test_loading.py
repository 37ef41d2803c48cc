"""Model folders: what is saved comes back bit for bit, and every kind of damage is one line that names the file."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from support.training_toys import FAMILIES, TRANSFORMER, model, only_line, parallel, tokenizer, write_folder

from nmtkit import checkpoint
from nmtkit.batches.batch import Batch, make_batch
from nmtkit.batches.corpus import load_corpus
from nmtkit.decoding.settings import SearchSettings
from nmtkit.models.interface import Model
from nmtkit.models.options import (
    ConvolutionalOptions,
    ModelOptions,
    RecurrentOptions,
    TransformerOptions,
    options_to_mapping,
)
from nmtkit.models.options.recurrent import SCORES
from nmtkit.models.options.transformer import POSITIONS
from nmtkit.tokenizer.build import TokenizerOptions, train_tokenizer
from nmtkit.tokenizer.tokenizer import Tokenizer

OPTIONS, BEST, LAST = "options.json", "weights.safetensors", "last.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undamaged folder."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    write_folder(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def batch() -> Batch:
    return make_batch(load_corpus(*parallel(6, seed=9), tokenizer(), 99, 99), list(range(6)))


@torch.no_grad()
def log_probs(made: Model) -> torch.Tensor:
    given = batch()
    return made.decode(made.encode(given.source_BS, given.mask_BS), given.target_in_BT).dense()


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_loaded_is_the_same_distribution_bit_for_bit(family: str, tmp_path: Path) -> None:
    made = write_folder(tmp_path / "model", FAMILIES[family], beam=3)
    for weights in ("best", "last"):
        torch.manual_seed(99)
        loaded = checkpoint.load(tmp_path / "model", weights=weights)
        assert torch.equal(log_probs(loaded.model), log_probs(made))
        assert not loaded.model.training
        assert loaded.tokenizer.hash() == tokenizer().hash()
        assert (loaded.steps, loaded.scores) == (12, {"loss": 1.5, "bleu": 30.0})
        assert loaded.options.defaults == SearchSettings(beam=3)
        assert loaded.options.model == FAMILIES[family]


RECURRENT = {"embedding": 6, "units": 4, "encoder_units": 2, "attention": 4, "dropout": 0.0}
SMALL: list[ModelOptions] = [
    *(RecurrentOptions(**RECURRENT, score=score) for score in SCORES),  # type: ignore[arg-type]
    RecurrentOptions(**RECURRENT, score="cosine", strength=0.0),  # type: ignore[arg-type]
    RecurrentOptions(**RECURRENT, score="cosine", heads=2, extent="local-p", cell="lstm"),  # type: ignore[arg-type]
    RecurrentOptions(**RECURRENT, order="luong", input_feeding=True, cell="rnn"),  # type: ignore[arg-type]
    RecurrentOptions(**RECURRENT, order="none"),  # type: ignore[arg-type]
    *(TransformerOptions(width=8, feedforward=4, heads=2, positions=one) for one in POSITIONS if one != "concatenated"),
    TransformerOptions(width=8, feedforward=4, heads=2, positions="concatenated", position_width=2, norm="post"),
    ConvolutionalOptions(width=4, embedding=4, encoder_layers=1, decoder_layers=1),
]


@pytest.mark.parametrize("options", SMALL, ids=str)
def test_every_kind_of_parameter_is_kept(options: ModelOptions, tmp_path: Path) -> None:
    """A cosine's strength is a single number, a location table wider than anything: the folder holds them all."""
    made = write_folder(tmp_path / "model", options)
    loaded = checkpoint.load(tmp_path / "model")
    assert torch.equal(log_probs(loaded.model), log_probs(made))
    state = made.state_dict()
    assert state.keys() == loaded.model.state_dict().keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.model.state_dict().items())


def test_best_and_last_are_two_files(folder: Path) -> None:
    other = model(seed=2, shake=0.5)
    weights = checkpoint.unique_weights(other)
    digest = checkpoint.model_hash(options_to_mapping(TRANSFORMER), tokenizer(), weights)
    before = log_probs(checkpoint.load(folder).model)
    checkpoint.save_weights(folder / LAST, weights, digest, 13, {"loss": 2.0})
    best, last = checkpoint.load(folder), checkpoint.load(folder, weights="last")
    assert torch.equal(log_probs(best.model), before) and torch.equal(log_probs(last.model), log_probs(other.eval()))
    assert (best.steps, last.steps) == (12, 13) and best.hash != last.hash == digest


@pytest.mark.parametrize(
    "options",
    [
        TransformerOptions(width=16, feedforward=16, heads=2, encoder_layers=1, decoder_layers=1, tie_source=True),
        RecurrentOptions(embedding=16, units=8, attention=8, tie_source=True),
    ],
)
def test_a_shared_table_is_stored_once_and_is_shared_again_when_loaded(options: Any, tmp_path: Path) -> None:
    write_folder(tmp_path, options)
    vocabulary = tokenizer().source.size
    with safe_open(tmp_path / BEST, "pt") as stream:
        shapes = [tuple(stream.get_tensor(name).shape) for name in stream.keys()]  # noqa: SIM118
    assert shapes.count((vocabulary, 16)) == 1
    loaded: Any = checkpoint.load(tmp_path).model
    assert loaded.front.table.weight is loaded.target_embedding.weight is loaded.output_weight
    parameters = sum(parameter.numel() for parameter in loaded.parameters())
    assert sum(torch.Size(shape).numel() for shape in shapes) == parameters


def test_tables_that_are_not_shared_are_all_stored(tmp_path: Path) -> None:
    untied = TransformerOptions(
        width=16, feedforward=16, heads=2, encoder_layers=1, decoder_layers=1, tie_source=False, tie_output=False
    )
    made = write_folder(tmp_path, untied)
    with safe_open(tmp_path / BEST, "pt") as stream:
        shapes = [tuple(stream.get_tensor(name).shape) for name in stream.keys()]  # noqa: SIM118
    assert shapes.count((tokenizer().source.size, 16)) == 3
    assert torch.equal(log_probs(checkpoint.load(tmp_path).model), log_probs(made))


def other_tokenizer() -> Tokenizer:
    return train_tokenizer(*parallel(200, seed=1), TokenizerOptions(301, "bpe"), seed=1)


def test_the_hash_knows_options_tokenizer_and_every_weight() -> None:
    options = options_to_mapping(TRANSFORMER)
    weights = checkpoint.unique_weights(model())
    found = checkpoint.model_hash(options, tokenizer(), weights)
    backwards = dict(reversed(options.items())), dict(reversed(weights.items()))
    assert checkpoint.model_hash(backwards[0], tokenizer(), backwards[1]) == found and len(found) == 64
    hashes = {found}
    for name, value in (("heads", 4), ("dropout", 0.1), ("tie_source", False)):
        hashes.add(checkpoint.model_hash({**options, name: value}, tokenizer(), weights))
    hashes.add(checkpoint.model_hash(options, other_tokenizer(), weights))
    for name, tensor in weights.items():
        near = tensor.clone().flatten()
        near[-1] = torch.nextafter(near[-1], torch.tensor(9.0))
        hashes.add(checkpoint.model_hash(options, tokenizer(), {**weights, name: near.view(tensor.shape)}))
        hashes.add(checkpoint.model_hash(options, tokenizer(), {**weights, name: tensor.unsqueeze(0)}))
    same_shape = [name for name in weights if weights[name].shape == (16, 16)]
    swapped = {same_shape[0]: weights[same_shape[1]], same_shape[1]: weights[same_shape[0]]}
    hashes.add(checkpoint.model_hash(options, tokenizer(), {**weights, **swapped}))
    assert len(hashes) == 1 + 3 + 1 + 2 * len(weights) + 1


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content)


def truncate(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, size if size >= 0 else (folder / name).stat().st_size + size)


def edit(**changes: Any) -> Callable[[Path], Any]:
    """Other values in options.json."""
    return lambda folder: (folder / OPTIONS).write_text(
        json.dumps({**json.loads((folder / OPTIONS).read_text()), **changes})
    )


def model_of_another_size(folder: Path) -> None:
    edit(model={**options_to_mapping(TRANSFORMER), "width": 32})(folder)


def weights_of_another_folder(folder: Path) -> None:
    other = folder.parent / "other"
    write_folder(other, FAMILIES["recurrent"])
    shutil.copy(other / BEST, folder / BEST)


def training_state(folder: Path) -> None:
    checkpoint.save_tensors(folder / BEST, {"a": torch.zeros(2)}, {"kind": "the state of a training run"})


def other_tokenizer_of_the_same_size(folder: Path) -> None:
    made = train_tokenizer(*parallel(200, seed=1), TokenizerOptions(300, "unigram"), seed=1)
    assert made.source.size == tokenizer().source.size
    made.save(folder)


DAMAGE: list[tuple[str, Callable[[Path], Any], str]] = [
    ("missing folder", shutil.rmtree, ""),
    ("a file", lambda folder: (shutil.rmtree(folder), folder.write_text("x")), ""),
    ("no options", remove(OPTIONS), ""),
    ("options a folder", lambda folder: (remove(OPTIONS)(folder), (folder / OPTIONS).mkdir()), ""),
    ("broken JSON", truncate(OPTIONS, -5), OPTIONS),
    ("empty JSON", write(OPTIONS, b""), OPTIONS),
    ("not UTF-8", write(OPTIONS, b'{"format": "\xff"}'), OPTIONS),
    ("JSON list", write(OPTIONS, b"[1, 2]"), OPTIONS),
    ("JSON null", write(OPTIONS, b"null"), OPTIONS),
    ("JSON of something else", write(OPTIONS, b'{"architectures": ["Marian"]}'), OPTIONS),
    ("no model", write(OPTIONS, b'{"format": 1, "tokenizer": {}, "defaults": {}}'), OPTIONS),
    ("newer format", edit(format=2), OPTIONS),
    ("format true", edit(format=True), OPTIONS),
    ("format text", edit(format="1"), OPTIONS),
    ("model null", edit(model=None), ""),
    ("model a number", edit(model=5), ""),
    ("model of another size", model_of_another_size, ""),
    ("missing weights", remove(BEST), BEST),
    ("empty weights", truncate(BEST, 0), BEST),
    ("weights without header", truncate(BEST, 7), BEST),
    ("weights cut in the header", truncate(BEST, 100), BEST),
    ("weights cut by a byte", truncate(BEST, -1), BEST),
    ("weights too long", lambda folder: write(BEST, (folder / BEST).read_bytes() + b"\0")(folder), BEST),
    ("weights are text", write(BEST, b"hello, this is no model at all"), BEST),
    ("weights of another folder", weights_of_another_folder, BEST),
    ("a training state as weights", training_state, BEST),
    ("no tokenizer", remove("tokenizer.model"), ""),
    ("empty tokenizer", truncate("tokenizer.model", 0), "tokenizer.model"),
    ("tokenizer cut", truncate("tokenizer.model", -9), ""),
    ("tokenizer is text", write("tokenizer.model", b"hello"), "tokenizer.model"),
    ("other tokenizer", lambda folder: other_tokenizer().save(folder), ""),
    ("other tokenizer of the same size", other_tokenizer_of_the_same_size, ""),
]


@pytest.mark.parametrize(("damage", "file"), [one[1:] for one in DAMAGE], ids=[one[0] for one in DAMAGE])
def test_damage_is_one_line_that_names_the_file(damage: Callable[[Path], Any], file: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        checkpoint.load(folder)
    assert only_line(caught.value, folder / file if file else folder), caught.value


def test_the_newer_format_is_named(folder: Path) -> None:
    edit(format=7)(folder)
    with pytest.raises(ValueError, match="format 7 .* newer nmtkit"):
        checkpoint.load(folder)


def flipped(content: bytes, position: int, bit: int) -> bytes:
    return content[:position] + bytes([content[position] ^ (1 << bit)]) + content[position + 1 :]


def assert_recognised(folder: Path, name: str, content: bytes, position: int, bit: int) -> None:
    """An error in one line that names the file or, where the bit means nothing, all as it was."""
    before = checkpoint.load(folder)
    (folder / name).write_bytes(flipped(content, position, bit))
    try:
        after = checkpoint.load(folder)
    except ValueError as error:
        assert only_line(error, folder / name), f"byte {position}, bit {bit} of {name}: {error}"
    else:
        assert (after.steps, after.scores, after.hash) == (before.steps, before.scores, before.hash), f"byte {position}"
    (folder / name).write_bytes(content)


def test_one_flipped_bit_in_a_weight_is_recognised(folder: Path) -> None:
    content = (folder / BEST).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    rng = random.Random(4)
    for position in (start, len(content) - 1, *rng.sample(range(start, len(content)), 10)):
        assert_recognised(folder, BEST, content, position, rng.randrange(8))


def test_one_flipped_bit_in_the_header_is_recognised(folder: Path) -> None:
    content = (folder / BEST).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size].rstrip(b" ")
    metadata = header.index(b"__metadata__")
    rng = random.Random(5)
    ends = {header.index(b'"}', metadata)}
    values = {header.index(value) for value in (b": 12", b"1.5", b"30.0")}  # steps, loss, BLEU
    for position in sorted({0, 7, *(8 + one + 1 for one in ends | values), *rng.sample(range(8, 8 + len(header)), 25)}):
        assert_recognised(folder, BEST, content, position, rng.randrange(7))


def test_unreadable_numbers_in_the_header_name_the_file(folder: Path) -> None:
    content = (folder / BEST).read_bytes()
    for old, new in ((b": 12", b": x2"), (b"1.5", b"1,5"), (b"steps", b"stops"), (b"scores", b"scares")):
        assert content.count(old) == 1
        (folder / BEST).write_bytes(content.replace(old, new))
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            checkpoint.load(folder)
        assert only_line(caught.value, folder / BEST), caught.value


def test_a_pickle_is_refused_and_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = folder / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(ran),))

    (folder / BEST).write_bytes(pickle.dumps({"model": Bomb()}))
    with pytest.raises(ValueError, match=BEST):
        checkpoint.load(folder)
    torch.save({"model": torch.zeros(2), "bomb": Bomb()}, folder / BEST)
    with pytest.raises(ValueError, match=BEST):
        checkpoint.load(folder)
    assert not ran.exists()


def test_nothing_is_unpickled_when_a_folder_is_loaded(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("unpickled")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(module, name, refuse)
    checkpoint.load(whole)


@pytest.mark.parametrize("what", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_file_whole(
    what: str, error: BaseException, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = checkpoint.unique_weights(model(seed=2))
    writers: list[Callable[[], None]] = [
        lambda: checkpoint.save_weights(folder / BEST, other, "0" * 64, 99, {}),
        lambda: checkpoint.save_options(folder, {"model": 1}),
    ]

    def fail(*_: Any) -> None:
        raise error

    for writer in writers:
        with monkeypatch.context() as patch:
            patch.setattr(os, what, fail)
            with pytest.raises(type(error)):
                writer()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert checkpoint.load(folder).steps == 12


def test_weights_by_a_wrong_name_suggest_the_right_one(whole: Path) -> None:
    with pytest.raises(ValueError, match="'lasst'.*did you mean 'last'"):
        checkpoint.load(whole, weights="lasst")


def test_separate_tokenizers_belong_to_their_sides(tmp_path: Path) -> None:
    both = tokenizer(joint=False)
    swapped = Tokenizer(both.target, both.source)
    options, weights = options_to_mapping(TRANSFORMER), checkpoint.unique_weights(model())
    assert checkpoint.model_hash(options, both, weights) != checkpoint.model_hash(options, swapped, weights)


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    weights = checkpoint.unique_weights(model())
    files = set()
    for number in range(8):
        path = tmp_path / f"{number}.safetensors"
        checkpoint.save_weights(path, weights, "0" * 64, 3, {"loss": 1.0, "bleu": 2.0})
        files.add(path.read_bytes())
    assert len(files) == 1


@torch.no_grad()
def test_several_folders_are_the_mean_of_their_probabilities(tmp_path: Path) -> None:
    made = [write_folder(tmp_path / str(seed), FAMILIES[family], seed=seed) for seed, family in enumerate(FAMILIES)]
    folders = [tmp_path / str(seed) for seed in range(len(made))]
    loaded = checkpoint.load_ensemble(folders)
    probabilities = torch.stack([log_probs(one).exp() for one in made]).mean(0)
    torch.testing.assert_close(log_probs(loaded.model).exp(), probabilities)
    assert loaded.hash == "+".join(checkpoint.load(folder).hash for folder in folders)
    alone = checkpoint.load_ensemble(folders[:1])
    assert torch.equal(log_probs(alone.model), log_probs(made[0])) and "+" not in alone.hash


def test_folders_with_other_vocabularies_are_no_ensemble(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    texts = parallel(60, seed=77)
    changed = train_tokenizer(*texts, TokenizerOptions(tokenizer().target.size, "bpe"), seed=1)
    changed.save(other)
    options = checkpoint.read_options(other)
    weights = checkpoint.unique_weights(checkpoint.build_model(options.model, changed))
    digest = options.model_hash(changed, weights)
    checkpoint.save_weights(other / BEST, weights, digest, 1, {})
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        checkpoint.load_ensemble([folder, other])
    assert only_line(caught.value, other, str(folder), "--tokenizer")


def test_weights_of_a_model_that_is_built_otherwise_now_are_refused(folder: Path) -> None:
    """As of an earlier nmtkit: header and hash are right, but a weight has another name."""
    weights, header = checkpoint.load_tensors(folder / BEST, checkpoint.WEIGHTS)
    first = sorted(weights)[0]
    renamed = {("old." + name if name == first else name): tensor for name, tensor in weights.items()}
    options = checkpoint.read_options(folder)
    digest = options.model_hash(Tokenizer.load(folder), renamed)
    checkpoint.save_weights(folder / BEST, renamed, digest, header["steps"], header["scores"])
    with pytest.raises(ValueError, match=r"weights\.safetensors: holds the weights of a model that this nmtkit builds"):
        checkpoint.load(folder)
