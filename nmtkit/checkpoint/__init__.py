"""A model folder: options.json, the tokenizer, weights.safetensors (best) and last.safetensors.

The options and the tokenizer are written once, when training starts. The weights are replaced whole; their header
holds the number of updates, the scores, and a hash over model options, tokenizer and tensors, so weights that do not
belong to the folder or were damaged are recognised.
"""

from nmtkit.checkpoint.loading import RESTORE, Checkpoint, Facts, build_model, load, load_ensemble, read_facts
from nmtkit.checkpoint.options import (
    FORMAT,
    OPTIONS,
    FolderOptions,
    begin,
    go_on,
    read_options,
    save_defaults,
    save_options,
)
from nmtkit.checkpoint.tensors import load_tensors, read_header, save_tensors, tensors_hash
from nmtkit.checkpoint.values import (
    Call,
    ChosenOn,
    Configuration,
    Languages,
    Origin,
    Pairs,
    Provenance,
    TokenizerFacts,
)
from nmtkit.checkpoint.weights import (
    BEST,
    FILES,
    LAST,
    WEIGHTS,
    load_weights,
    model_hash,
    read_scores,
    read_weights,
    save_weights,
    unique_weights,
    updates,
)

__all__ = [
    "BEST",
    "FILES",
    "FORMAT",
    "LAST",
    "OPTIONS",
    "RESTORE",
    "WEIGHTS",
    "Call",
    "Checkpoint",
    "ChosenOn",
    "Configuration",
    "Facts",
    "FolderOptions",
    "Languages",
    "Origin",
    "Pairs",
    "Provenance",
    "TokenizerFacts",
    "begin",
    "build_model",
    "go_on",
    "load",
    "load_ensemble",
    "load_tensors",
    "load_weights",
    "model_hash",
    "read_facts",
    "read_header",
    "read_options",
    "read_scores",
    "read_weights",
    "save_defaults",
    "save_options",
    "save_tensors",
    "save_weights",
    "tensors_hash",
    "unique_weights",
    "updates",
]
