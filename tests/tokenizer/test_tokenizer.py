"""Joint and separate tokenizers in folders."""

import io
import os

import pytest
import sentencepiece

from nmtkit.tokenizer.tokenizer import Tokenizer


@pytest.fixture
def joint(models):
    return Tokenizer(models["unigram"], models["unigram"])


@pytest.fixture
def separate(models):
    return Tokenizer(models["unigram"], models["bpe"])


def test_joint_there_and_back(tmp_path, joint):
    joint.save(tmp_path / "model")
    assert os.listdir(tmp_path / "model") == ["tokenizer.model"]
    for path in (tmp_path / "model", tmp_path / "model" / "tokenizer.model"):
        again = Tokenizer.load(path)
        assert again.joint and again.hash() == joint.hash()
        assert again.target.encode("a dog") == joint.target.encode("a dog")


def test_separate_there_and_back(tmp_path, separate):
    separate.save(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["tokenizer.source.model", "tokenizer.target.model"]
    again = Tokenizer.load(tmp_path)
    assert not again.joint and again.hash() == separate.hash()
    assert (again.source.kind, again.target.kind) == ("unigram", "bpe")


def test_saving_replaces_a_tokenizer_of_the_other_form(tmp_path, joint, separate):
    for tokenizer in (joint, separate, joint):
        tokenizer.save(tmp_path)
        assert Tokenizer.load(tmp_path).hash() == tokenizer.hash()


def test_hashes_tell_tokenizers_apart(models, joint, separate):
    swapped = Tokenizer(separate.target, separate.source)
    other = Tokenizer(models["bpe"], models["bpe"])
    assert len({t.hash() for t in (joint, separate, swapped, other)}) == 4
    assert all(len(t.hash()) == 64 for t in (joint, separate))


def test_what_cannot_be_loaded(tmp_path, separate):
    with pytest.raises(ValueError, match=r"nothing: no such tokenizer; make one with: nmtkit train-tokenizer"):
        Tokenizer.load(tmp_path / "nothing")
    with pytest.raises(
        ValueError, match=r"has neither tokenizer\.model nor tokenizer\.source\.model and tokenizer\.tar"
    ):
        Tokenizer.load(tmp_path)
    separate.save(tmp_path)
    (tmp_path / "tokenizer.target.model").unlink()
    with pytest.raises(ValueError, match=r"tokenizer\.target\.model: no such tokenizer"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.target.model").write_text("hello\n")
    with pytest.raises(ValueError, match=r"tokenizer\.target\.model: not a SentencePiece model; make one with"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"foreign\.model: has its special tokens .* at the ids -1 1 0 2, but nmtkit needs 0 1 2 3; make one with"),
        ({"pad_id": 3, "unk_id": 0}, "at the ids 3 1 0 2"),
        (
            {"pad_id": 0, "bos_id": 1, "unk_id": 2, "eos_id": 3, "model_type": "char"},
            "is neither a unigram nor a BPE model",
        ),
    ],
)
def test_foreign_models_are_refused(tmp_path, lines, options, message):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, minloglevel=2, **{"vocab_size": 40, **options}
    )
    (tmp_path / "foreign.model").write_bytes(model.getvalue())
    with pytest.raises(ValueError, match=message) as caught:
        Tokenizer.load(tmp_path / "foreign.model")
    assert "\n" not in str(caught.value)
