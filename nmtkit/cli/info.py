"""`nmtkit info`: what is in a model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from nmtkit.cli import paths
from nmtkit.cli.parameters import Folder, WeightsFlags, given, takes
from nmtkit.cli.streams import write_result
from nmtkit.console import stdout_console


@takes(model=WeightsFlags)
def info(
    folder: Folder,
    json_file: Annotated[Path | None, paths.written("Write JSON to this file.", "--json")] = None,
    *,
    model: WeightsFlags,
) -> None:
    """Show a model: architecture, sizes, steps, scores, defaults, provenance; nmtkit history shows its training."""
    from nmtkit import checkpoint
    from nmtkit.models.build import parameters

    loaded = checkpoint.load(folder, **given(model))
    facts: dict[str, Any] = {
        "folder": str(folder),
        "hash": loaded.hash,
        "parameters": parameters(loaded.model),
        "steps": loaded.steps,
        "scores": loaded.scores,
        **loaded.options.facts(),
    }
    if json_file:
        write_result(json_file, json.dumps(facts, indent=2, ensure_ascii=False) + "\n", f"what is known of {folder}")
    if json_file != paths.STANDARD:
        _show(facts)


def _show(facts: dict[str, Any]) -> None:
    """Print each fact on its own line, as name and value; the parts of a group are indented below it."""
    console = stdout_console()
    for name, value in facts.items():
        if isinstance(value, dict):
            console.print(name, soft_wrap=True)
            for key, part in value.items():
                console.print(f"  {key:<20} {_plain(part)}", soft_wrap=True)
        else:
            console.print(f"{name:<22} {_plain(value)}", soft_wrap=True)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    return str(value)
