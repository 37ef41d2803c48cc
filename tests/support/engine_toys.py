"""Small random Transformers with a real tokenizer, for an engine to run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nmtkit.decoding.beam import Beam
from nmtkit.decoding.hypothesis import Hypothesis
from nmtkit.decoding.settings import SearchSettings
from nmtkit.interop.engine import Engine
from nmtkit.interop.export import export
from nmtkit.interop.specification import Exportable
from nmtkit.models.build import build
from nmtkit.models.options import TransformerOptions
from nmtkit.specials import EOS, PAD
from nmtkit.translator import Translator
from support.training_toys import tokenizer

LINES = (
    *("Jane visits Africa in September.", "Paris is beautiful.", "", "The weather is fine.", "a", "   "),
    *("The book is on the table of the little kitchen, which she cleaned.", "Yes.", "No, thank you very much."),
)
"""Lines of many lengths, blank ones among them."""
TEXT = tuple(line for line in LINES if line.strip())
SETTINGS = SearchSettings(beam=3, length_alpha=0.7)


def random_options(rng: random.Random) -> TransformerOptions:
    """Any Transformer that CTranslate2 can run, small."""
    heads = rng.choice([1, 2, 4])
    width = heads * rng.choice([5, 8]) * (1 + (heads == 1))
    positions = rng.choice(["sinusoidal", "concatenated", "learned", "none"])
    special = {"concatenated": {"position_width": rng.randint(1, width - 1)}, "learned": {"max_positions": 70}}
    return TransformerOptions(
        width=width,
        feedforward=rng.choice([3, 8, 16]),
        heads=heads,
        encoder_layers=rng.randint(1, 3),
        decoder_layers=rng.randint(1, 3),
        norm=rng.choice(["pre", "post"]),
        positions=positions,
        tie_source=rng.choice([True, False]),
        tie_output=rng.choice([True, False]),
        **special.get(positions, {}),
    )


def random_translator(options: TransformerOptions, seed: int, separate: bool = False) -> Translator:
    """A model with random weights everywhere, also where training begins at zero or one, that likes to end."""
    sides = tokenizer(joint=not (separate and not options.tie_source))
    torch.manual_seed(seed)
    model = build(options, source_size=sides.source.size, target_size=sides.target.size).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        for table in {*model.tables()["source"], *model.tables()["target"]}:
            table[PAD] = 0
        translator = Translator(model, sides, SETTINGS)
        _let_end(translator)
    return translator


def _let_end(translator: Translator) -> None:
    """Scale the output embedding of EOS so that log P(EOS) is about −1 on average: outputs of some pieces."""
    model: Any = translator.model
    source, mask = translator.read(TEXT, SETTINGS).batch(range(7))
    generator = torch.Generator().manual_seed(1)
    target = torch.randint(EOS + 1, translator.tokenizer.target.size, (7, 8), generator=generator)
    row = model.output_weight[EOS].clone()

    def distance(scale: float) -> float:
        model.output_weight[EOS] = scale * row
        log_probs = model.decode(model.encode(source, mask), target).at(torch.full_like(target, EOS))
        return abs(float(log_probs.mean()) + 3)

    model.output_weight[EOS] = row * min(
        (sign * 1.3**power for power in range(-8, 16) for sign in (1, -1)), key=distance
    )


def exportable(translator: Translator, options: Any, folder_hash: str = "f" * 64) -> Exportable:
    return Exportable(translator.model, translator.tokenizer, options, folder_hash)


def engine_of(
    translator: Translator,
    options: TransformerOptions,
    folder: Path,
    settings: SearchSettings = SETTINGS,
    precision: str = "float32",
) -> Engine:
    """The engine of a new export."""
    export(exportable(translator, options), folder, precision)
    return Engine.load(folder, translator.tokenizer, settings, torch.device("cpu"), precision)


def searched(translator: Translator, search: Any, settings: SearchSettings, lines: Sequence[str] = LINES) -> Any:
    return translator.find(search, translator.read(lines, settings), settings)


def best(results: Sequence[Any]) -> list[Hypothesis]:
    return [hypotheses[0] for hypotheses in results]


def own_search(translator: Translator, engine: Engine, lines: Sequence[str] = LINES) -> list[Any]:
    """What `Beam` finds under the settings of the engine."""
    return list(searched(translator, Beam.of(engine.settings), engine.settings, lines))
