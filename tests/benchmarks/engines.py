"""Engines measured: nmtkit's own search against CTranslate2, with the same weights, objective and text, in one run.

    python tests/benchmarks/engines.py --folder runs/multi30k --source val.en --reference val.de --threads 2
    python tests/benchmarks/engines.py … --random transformer-base --length 20 --lines 50 --alone 10

All of them search some lines by turns, so that what else the machine does meets all alike. CTranslate2 is called
directly (its own batches, tokens in, tokens out), and by --engine, without and with the forced pass that gives the
scores. --random takes the tokenizer of the folder, and a model of random weights that nearly never ends before the
limit, so that all search for as long. Every line says how many outputs are those of nmtkit's own search under the
engine's rules, BLEU, and mean J by the forced pass in float32. The peak is that of fp32 matrix products before and
after (see speed.py).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from speed import Peak

from nmtkit.decoding.beam import Beam
from nmtkit.decoding.engines import OtherPrecision, Rescored
from nmtkit.decoding.settings import SearchSettings
from nmtkit.evaluation.metrics import METRICS
from nmtkit.evaluation.scoring import evaluate
from nmtkit.interop.engine import Engine, settings_of_engine
from nmtkit.interop.export import export
from nmtkit.interop.specification import Exportable
from nmtkit.models.build import build
from nmtkit.models.interface import Model
from nmtkit.models.options import preset
from nmtkit.specials import EOS
from nmtkit.translator import Translator

PART = 250
"""Lines that are searched before it is the next one's turn."""

Tokens = Sequence[tuple[int, ...]]
Run = Callable[[Sequence[str]], Tokens]


def searching(translator: Translator, search: Any, settings: SearchSettings) -> Run:
    """Lines to ids by the translator, which tokenises them."""

    def run(lines: Sequence[str]) -> Tokens:
        results = translator.find(search, translator.read(lines, settings), settings)
        return [hypotheses[0].tokens for hypotheses in results]

    return run


def direct(engine: Engine, translator: Translator) -> Run:
    """Lines to ids by one call of CTranslate2 with the largest limit, as its users call it."""

    def run(lines: Sequence[str]) -> Tokens:
        source = translator.tokenizer.source
        pieces = [source.pieces(source.encode(line)) for line in lines]
        answers = engine.runner.translate_batch(
            pieces,
            max_batch_size=2048,
            batch_type="tokens",
            beam_size=engine.settings.beam,
            patience=engine.settings.patience or 1.0,
            length_penalty=engine.settings.length_alpha,
            max_input_length=0,
            min_decoding_length=0,
            max_decoding_length=max(engine.settings.lengths(len(line))[1] for line in pieces),
        )
        return [(*(engine.ids[piece] for piece in answer.hypotheses[0]), EOS) for answer in answers]

    return run


def measure(runs: dict[str, Run], parts: Sequence[Sequence[str]]) -> tuple[dict[str, float], dict[str, Tokens]]:
    """Seconds and outputs of each run over all parts, one part after another by turns."""
    seconds: dict[str, float] = dict.fromkeys(runs, 0.0)
    outputs: dict[str, list[tuple[int, ...]]] = {name: [] for name in runs}
    for run in runs.values():
        run(parts[0])
    for part in parts:
        for name, run in runs.items():
            started = time.perf_counter()
            outputs[name] += run(part)
            seconds[name] += time.perf_counter() - started
    return seconds, outputs  # type: ignore[return-value]


def random_translator(own: Translator, name: str, length: int) -> Translator:
    """A model of random weights with the tokenizer of another, and outputs of at most `length` pieces."""
    torch.manual_seed(1)
    options, sides = preset(name), own.tokenizer
    model = build(options, source_size=sides.source.size, target_size=sides.target.size).eval()
    model.lay_out("float32")
    assert own.options is not None
    return Translator(model, sides, replace(own.defaults, max_length=length), replace(own.options, model=options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--alone", type=int, default=100, help="lines that are searched one by one")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--random", metavar="PRESET", help="a model of random weights instead of the folder's")
    parser.add_argument("--length", type=int, default=20, help="pieces of an output of --random")
    arguments = parser.parse_args()
    lines, references = (
        path.read_text(encoding="utf-8").split("\n")[:-1][: arguments.lines]
        for path in (arguments.source, arguments.reference)
    )
    translator = Translator.load(arguments.folder, device="cpu", threads=arguments.threads)
    if arguments.random:
        translator = random_translator(translator, arguments.random, arguments.length)
    base = replace(translator.defaults, beam=5, n_best=1)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {time.strftime('%Y-%m-%d')}; {base.in_words}")
    with tempfile.TemporaryDirectory() as folder:
        runs = searches(translator, base, Path(folder))
        for alone in (False, True):
            chosen = lines[: arguments.alone] if alone else lines
            size = 1 if alone else PART
            print(f"{'one by one' if alone else f'in batches, {PART} lines at a time'}, {len(chosen)} lines")
            peak = Peak(torch.device("cpu"), "float32")
            peak.measure()
            seconds, outputs = measure(runs, [chosen[start : start + size] for start in range(0, len(chosen), size)])
            peak.measure()
            print(f"  peak {peak.sustained() / 1e9:.0f} GFLOP/s")
            show(translator, base, seconds, outputs, chosen, references)


def searches(translator: Translator, base: SearchSettings, folder: Path) -> dict[str, Run]:
    """All that is measured."""
    assert translator.options is not None
    model = cast(Model, translator.model)
    exported = Exportable(model, translator.tokenizer, translator.options.model, translator.folder_hash)
    twin = settings_of_engine(base, translator.tokenizer.target.size)
    runs: dict[str, Run] = {
        "nmtkit, float32, CTranslate2's rules": searching(translator, Beam.of(twin), twin),
        "nmtkit, float32, its own rules": searching(translator, Beam.of(base), base),
    }
    for precision in ("bfloat16", "int8"):
        own = OtherPrecision(model.lowered(precision), precision, twin)
        runs[f"{own.in_words}, CTranslate2's rules"] = searching(translator, own, twin)
        runs[f"{own.in_words}, CTranslate2's rules, scored"] = searching(translator, Rescored.of(own), twin)
    for precision in ("float32", "int8"):
        export(exported, folder / precision, precision)
        engine = Engine.load(folder / precision, translator.tokenizer, base, model.device, precision)
        runs[f"{engine.in_words}, called directly"] = direct(engine, translator)
        runs[f"{engine.in_words}, --engine"] = searching(translator, engine, engine.settings)
        runs[f"{engine.in_words}, --engine, scored"] = searching(translator, Rescored.of(engine), engine.settings)
    return runs


def show(
    translator: Translator,
    base: SearchSettings,
    seconds: dict[str, float],
    outputs: dict[str, Tokens],
    lines: Sequence[str],
    references: Sequence[str],
) -> None:
    """A line for each run."""
    first = next(iter(outputs))
    for name, own in outputs.items():
        pieces, same = sum(map(len, own)), sum(a == b for a, b in zip(own, outputs[first], strict=True))
        text = f"  {name}: {pieces / seconds[name]:,.0f} pieces/s ({seconds[first] / seconds[name]:.2f} × the first), "
        source = translator.read(lines[: len(own)], base)
        scores = translator.score(source, [[output] for output in own], base)
        texts = [translator.decode_target(output) for output in own]
        (bleu,) = evaluate(texts, [references[: len(own)]], [METRICS["bleu"]], resamples=2)
        mean = sum(hypothesis.score for (hypothesis,) in scores) / len(scores)
        print(f"{text}{same} identical, BLEU {bleu.value:.2f}, mean J {mean:.5f}", flush=True)


if __name__ == "__main__":
    main()
