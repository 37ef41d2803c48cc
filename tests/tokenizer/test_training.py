"""Learning subwords: the same bytes twice, everything kept, errors that say what to change."""

import hashlib
import os
import random
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmtkit.files import Lines
from nmtkit.specials import BOS, EOS, PAD, UNK
from nmtkit.tokenizer import training
from nmtkit.tokenizer.training import train_subwords


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_size_kind_and_specials(models, kind):
    subwords = models[kind]
    assert (subwords.size, subwords.kind) == (325, kind)
    assert subwords.pieces([PAD, BOS, UNK, EOS, 4, 259]) == ["<pad>", "<s>", "<unk>", "</s>", "<0x00>", "<0xFF>"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_the_same_bytes_twice_and_on_one_core(models, lines, kind):
    assert train_subwords(iter(lines), vocab_size=325, kind=kind).to_bytes() == models[kind].to_bytes()
    code = (
        "import hashlib, os, sys\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from nmtkit.tokenizer.training import train_subwords\n"
        f"model = train_subwords(sys.stdin.read().splitlines(), vocab_size=325, kind={kind!r})\n"
        "print(hashlib.sha256(model.to_bytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    output = subprocess.run(
        [sys.executable, "-c", code],
        input="\n".join(lines),
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert output.strip() == hashlib.sha256(models[kind].to_bytes()).hexdigest()


def test_training_says_nothing(lines, capfd):
    train_subwords(lines, vocab_size=320)
    with pytest.raises(ValueError, match="too small"):
        train_subwords(lines, vocab_size=10)
    assert capfd.readouterr() == ("", "")


NASTY = [
    "<s> <unk> </s> <pad> <0x41> ⁇",
    "x<s>y<unk>z<0x41>w",
    "a\0b\tc\rd\x01e\u2028f\x85g",
    "▁ ▁▁",
    " " * 40,
    "a  b   c    d",
    "ﬁ \uff21 e\u0301 \ufeff \xa0",
]


@settings(max_examples=15, deadline=None)
@given(
    odd=st.lists(st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"])), max_size=5),
    kind=st.sampled_from(["unigram", "bpe"]),
)
def test_odd_training_text_gives_a_lossless_model(lines, odd, kind):
    text = lines + odd * 20
    characters = len(set("".join(text)) - {" "} | {"▁"})
    subwords = train_subwords(text, vocab_size=4 + 256 + characters + 10, kind=kind)
    for text in [*NASTY, *odd, "a dog", ""]:
        if not {"\n", "▁"} & set(text):
            assert subwords.decode(subwords.encode(text)) == text
            assert UNK not in subwords.encode(text)


def test_very_long_lines_are_learned_from():
    long = " ".join(["zebra"] * 20_000)
    subwords = train_subwords([long], vocab_size=270, kind="bpe")
    assert len(subwords.encode("zebra")) < 5


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_vocabulary_that_does_not_fit_is_refused_with_the_one_that_does(lines, kind):
    characters = len(set("".join(lines)) - {" "} | {"▁"})
    smallest = 4 + 256 + characters
    for size in (-5, 0, 3, 100, smallest - 1):
        with pytest.raises(
            ValueError, match=rf"of {size:,} pieces is too small for this text, which needs {smallest:,} or"
        ):
            train_subwords(lines, vocab_size=size, kind=kind)
    for size in (10_000, 2**40):
        with pytest.raises(ValueError, match=rf"of {size:,} pieces is too large .* at most; lower") as caught:
            train_subwords(lines, vocab_size=size, kind=kind)
    largest = int(re.search(r"which has (\d+) at most", str(caught.value))[1])
    assert train_subwords(lines, vocab_size=largest, kind=kind).size == largest
    with pytest.raises(ValueError, match="too large"):
        train_subwords(lines, vocab_size=largest + 1, kind=kind)


def test_character_coverage_leaves_rare_characters_to_the_bytes(lines):
    rare = [*lines, "ß"]  # one character of 15,000
    kept = train_subwords(rare, vocab_size=325)
    spelled = train_subwords(rare, vocab_size=325, character_coverage=0.999)
    assert "ß" in kept.pieces(kept.encode("ß"))
    assert spelled.pieces(spelled.encode("ß"))[-2:] == ["<0xC3>", "<0x9F>"]
    assert spelled.decode(spelled.encode("ß")) == "ß"


def test_a_sample_of_the_lines_follows_the_seed():
    many = [f"{word} " * 3 for word in ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")] * 20
    everything = train_subwords(many, vocab_size=285, kind="bpe", max_lines=len(many)).to_bytes()
    assert everything == train_subwords(many, vocab_size=285, kind="bpe").to_bytes()
    samples = [
        train_subwords(many, vocab_size=285, kind="bpe", max_lines=60, seed=seed).to_bytes() for seed in (1, 1, 2)
    ]
    assert samples[0] == samples[1] != samples[2]
    assert everything not in samples


@pytest.mark.parametrize("most", [None, 60])
def test_a_stream_is_sampled_as_a_list_would_be(most, tmp_path, monkeypatch, capsys):
    """Also by default, of a text of many lines; blank lines do not count."""
    words = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
    many = [text for word in words * 20 for text in (f"{word} " * 3, " ")]
    (tmp_path / "text").write_text("".join(f"{line}\n" for line in many[:100]))
    stream = Lines(tmp_path / "text", many[100:])
    full = [line for line in many if line.strip()]
    sample = [full[i] for i in sorted(random.Random(4).sample(range(160), 60))]
    monkeypatch.setattr(training, "MANY", 60)
    found = train_subwords(stream, vocab_size=285, kind="bpe", max_lines=most, seed=4).to_bytes()
    note = "the tokenizer learns from 60 of 160 lines; max_lines asks for another number\n"
    assert capsys.readouterr().err == (note if most is None else "")
    assert found == train_subwords(sample, vocab_size=285, kind="bpe").to_bytes()
    assert found == train_subwords(iter(many), vocab_size=285, kind="bpe", max_lines=60, seed=4).to_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lines": []}, "no text to learn from"),
        ({"lines": ["", "  "]}, "no text to learn from"),
        ({"kind": "unigramm"}, r"unknown kind of tokenizer 'unigramm'; did you mean 'unigram'\?"),
        ({"character_coverage": 0.5}, r"character_coverage = 0\.5 is not possible: choose from 0\.98 to 1"),
        ({"character_coverage": float("nan")}, "character_coverage = nan is not possible"),
        ({"max_lines": 0}, "max_lines = 0 is not possible: choose from 1 to 1,000,000,000"),
    ],
)
def test_what_is_refused(lines, options, message):
    with pytest.raises(ValueError, match=message):
        train_subwords(**{"lines": lines, "vocab_size": 325, **options})
