"""`nmtkit export`: a model folder for another engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmtkit.cli import paths
from nmtkit.cli.parameters import Folder, MachineFlags, choice, load_translator, takes
from nmtkit.console import note
from nmtkit.interop.package import PRECISIONS

if TYPE_CHECKING:
    from nmtkit.translator import Translator

FORMATS = ("ctranslate2",)


@takes(model=MachineFlags)
def export(
    folder: Folder,
    output: Annotated[Path, paths.output_folder("Folder for the export.", "--output", "-o")],
    format: Annotated[str, choice("The engine to export for.", FORMATS, metavar="NAME")] = FORMATS[0],
    precision: Annotated[
        str,
        choice(
            "int8, int8_float32, int8_float16, int8_bfloat16, int16, float16, bfloat16 or float32.",
            PRECISIONS,
            metavar="NAME",
        ),
    ] = PRECISIONS[0],
    verify: Annotated[Path | None, paths.read("Compare with the model on this source text.", "--verify")] = None,
    reference: Annotated[
        Path | None,
        paths.read("Compare the scores of these translations.", "--reference", "-r", default="the model's own"),
    ] = None,
    *,
    model: MachineFlags,
) -> None:
    """Export a Transformer for CTranslate2, with its tokenizer, into a new folder.

    With --verify, the scores of every piece and the outputs are compared with those of the model. An export in float32
    is only kept if no log P of a piece differs by more than 0.00005.
    """
    from nmtkit.features import read_sources
    from nmtkit.interop import package
    from nmtkit.interop.export import export as write
    from nmtkit.interop.export import refuse_folder
    from nmtkit.interop.specification import Exportable

    if reference and not verify:
        raise typer.BadParameter("--reference is scored by --verify: add the source text")
    package.load()
    refuse_folder(output)
    lines, *references = read_sources(verify, *([reference] if reference else [])) if verify else [[]]
    translator = load_translator([folder], model)
    assert translator.options is not None
    exported = Exportable(translator.model, translator.tokenizer, translator.options.model, translator.folder_hash)

    def check(written: Path) -> None:
        if verify:
            _verify(translator, written, precision, lines, references[0] if references else None)

    write(exported, output, precision, check)
    size = sum(path.stat().st_size for path in output.iterdir()) / 1e6
    note(f"{output}: {precision} for {format} ({size:,.1f} MB)")


def _verify(
    translator: Translator, written: Path, precision: str, lines: Sequence[str], references: Sequence[str] | None
) -> None:
    """Note how far the export and the model agree. Raises ValueError if they do not in float32."""
    from dataclasses import replace

    from nmtkit.decoding.settings import SearchSettings
    from nmtkit.interop.engine import Engine
    from nmtkit.interop.verification import TOLERANCE, Agreement, Comparison
    from nmtkit.report.export import in_words

    usual = translator.defaults
    settings = SearchSettings(beam=usual.beam, length_alpha=usual.length_alpha, batch_tokens=usual.batch_tokens)
    engine = Engine.load(written, translator.tokenizer, settings, translator.model.device)
    source = translator.read(lines, settings, 1)
    queries = translator.queries(source, settings)
    if references is not None:
        targets = [translator.encode_target(text) for text in references]
        queries = [replace(query, targets=(own,)) for query, own in zip(queries, targets, strict=True)]
    compared = translator.find(Comparison(engine), source, settings, queries)
    agreement = Agreement.of(compared)
    note(f"compared with {engine.in_words}:")
    for sentence in in_words(agreement):
        note(sentence)
    if precision == PRECISIONS[0] and agreement.difference > TOLERANCE:
        raise ValueError(
            f"line {agreement.at}: the export gives a piece another log P, by {agreement.difference:.1e}; at most "
            f"{TOLERANCE} is rounding, so the export is not kept; run on the CPU"
        )
