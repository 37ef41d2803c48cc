"""Engines measured: nmtkit's own search against CTranslate2, with the same weights, objective and text, in one run.

    python tests/benchmarks/engines.py --folder runs/multi30k --source val.en --reference val.de --threads 2

CTranslate2 is called directly (its own batches, tokens in, tokens out), and by --engine, without and with the forced
pass that gives the scores. Every line says how many outputs are those of nmtkit's own search under the engine's rules,
BLEU, and mean J by the forced pass in float32. The peak is that of fp32 matrix products before and after (see
speed.py).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from speed import Peak

from nmtkit.decoding.beam import Beam
from nmtkit.decoding.engines import Rescored
from nmtkit.decoding.settings import SearchSettings
from nmtkit.evaluation.metrics import METRICS
from nmtkit.evaluation.scoring import evaluate
from nmtkit.interop.engine import Engine, settings_of_engine
from nmtkit.interop.export import export
from nmtkit.interop.specification import Exportable
from nmtkit.specials import EOS
from nmtkit.translator import Translator

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
            max_decoding_length=max(2 * len(line) + 10 for line in pieces),
        )
        return [(*(engine.ids[piece] for piece in answer.hypotheses[0]), EOS) for answer in answers]

    return run


def measure(run: Run, lines: Sequence[str], alone: bool) -> tuple[float, Tokens]:
    """Seconds and outputs, in batches or one line at a time."""
    run(lines[:20])
    started = time.perf_counter()
    outputs = [run([line])[0] for line in lines] if alone else run(lines)
    return time.perf_counter() - started, outputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--alone", type=int, default=100, help="lines that are searched one by one")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    lines, references = (
        path.read_text(encoding="utf-8").split("\n")[:-1][: arguments.lines]
        for path in (arguments.source, arguments.reference)
    )
    translator = Translator.load(arguments.folder, device="cpu", threads=arguments.threads)
    assert translator.options is not None
    base = replace(translator.defaults, beam=5, n_best=1)
    twin = settings_of_engine(base, translator.tokenizer.target.size)
    exported = Exportable(translator.model, translator.tokenizer, translator.options.model, translator.folder_hash)
    source = translator.read(lines, base)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {time.strftime('%Y-%m-%d')}; {base.in_words}")
    runs: dict[str, Run] = {
        "nmtkit, float32, the engine's rules": searching(translator, Beam.of(twin), twin),
        "nmtkit, float32, its own rules": searching(translator, Beam.of(base), base),
    }
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "int8"):
            export(exported, Path(folder) / precision, precision)
            engine = Engine.load(
                Path(folder) / precision, translator.tokenizer, base, translator.model.device, precision
            )
            runs[f"{engine.in_words}, called directly"] = direct(engine, translator)
            runs[f"{engine.in_words}, --engine"] = searching(translator, engine, engine.settings)
            runs[f"{engine.in_words}, --engine, scored"] = searching(translator, Rescored.of(engine), engine.settings)
        for alone in (False, True):
            chosen = lines[: arguments.alone] if alone else lines
            print(f"{'one by one' if alone else 'in batches'}, {len(chosen)} lines")
            expected: Tokens = []
            first = 0.0
            for name, run in runs.items():
                peak = Peak(torch.device("cpu"), "float32")
                peak.measure()
                seconds, outputs = measure(run, chosen, alone)
                peak.measure()
                expected, first = expected or outputs, first or seconds
                same = sum(output == own for output, own in zip(outputs, expected, strict=True))
                text = f"  {name}: {len(chosen) / seconds:.1f} lines/s ({first / seconds:.2f} times the first; peak "
                text += f"{peak.sustained() / 1e9:.0f} GFLOP/s), {same} identical"
                if not alone:
                    scores = translator.score(source, [[output] for output in outputs], base)
                    mean = sum(own.score for (own,) in scores) / len(scores)
                    texts = [translator.decode_target(output) for output in outputs]
                    (bleu,) = evaluate(texts, [references], [METRICS["bleu"]], resamples=2)
                    text += f", BLEU {bleu.value:.2f}, mean J {mean:.5f}"
                print(text, flush=True)


if __name__ == "__main__":
    main()
