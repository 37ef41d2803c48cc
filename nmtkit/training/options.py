"""How to train: everything that, with the data and the seed, determines the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

BEST_BY = ("bleu", "loss")


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training run.

    Attributes:
        updates: steps of the optimiser; a finished run can be continued with more.
        batch_tokens: most padded target pieces of a batch.
        accumulate: batches whose gradients make one update.
        learning_rate: its peak, reached after the warm-up.
        warmup: updates of linear growth; from there on it falls with the inverse square root (Vaswani 2017, 5.3).
        label_smoothing: share of the target spread evenly (Szegedy 2016).
        clip_norm: gradients are scaled down to this norm; 0 leaves them (Pascanu 2013).
        adam_beta1: decay of Adam's first moment (Kingma and Ba 2015).
        adam_beta2: decay of its second moment.
        weight_decay: decoupled from the gradient (Loshchilov and Hutter 2019).
        max_source: pairs with more source pieces are left out.
        max_target: pairs with more target pieces are left out.
        validate_every: updates between validations.
        snapshot_every: updates between snapshots of the weights.
        average: the model that is validated and kept is the mean of this many last snapshots; 1: no averaging.
        patience: validations without a better score after which training stops; 0: never.
        best_by: "bleu" (of beam output on the dev set) or "loss" (unsmoothed, on the dev set).
        valid_beam: beam of the validation.
        valid_length_alpha: length normalisation of the validation; both become the model folder's defaults.
        save_every: updates between saves of the state from which an interrupted run goes on.
        log_every: updates between lines of progress.
        seed: of everything random.
    """

    updates: int = 10_000
    batch_tokens: int = 4096
    accumulate: int = 1
    learning_rate: float = 0.001
    warmup: int = 1000
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.98
    weight_decay: float = 0.0
    max_source: int = 256
    max_target: int = 256
    validate_every: int = 500
    snapshot_every: int = 100
    average: int = 5
    patience: int = 10
    best_by: str = "bleu"
    valid_beam: int = 5
    valid_length_alpha: float = 0.7
    save_every: int = 500
    log_every: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        counts = "updates batch_tokens accumulate warmup max_source max_target validate_every snapshot_every average"
        for name in (*counts.split(), "valid_beam", "save_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} is not possible: choose 1 or more")
        for name in ("clip_norm", "weight_decay", "patience"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} = {getattr(self, name)} is not possible: choose 0 or more")
        if not 0 <= self.valid_length_alpha <= 10:
            raise ValueError(f"valid_length_alpha = {self.valid_length_alpha} is not possible: choose from 0 to 10")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed = {self.seed} is not possible: choose a whole number from 0 to {2**32 - 1}")
        for name in ("label_smoothing", "adam_beta1", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} = {getattr(self, name)} is not possible: choose a number from 0 up to below 1"
                )
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate = {self.learning_rate} is not possible: choose more than 0, usually 0.001")
        if self.best_by not in BEST_BY:
            raise ValueError(f"best_by = {self.best_by!r} is not known: choose one of {', '.join(BEST_BY)}")


CONTINUABLE = ("updates", "patience", "log_every", "save_every")
"""Options that may differ when a run is resumed: they do not change the updates already made."""
