"""The options of training: everything that determines the weights, together with the data and the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nmtkit.decoding.settings import SearchSettings
from nmtkit.settings import SEED, Within, bounds, check_bounds

UPDATES, SHARE = Within(1, 100_000_000), Within(0, 1, below=True)
BEST_BY = ("bleu", "loss")
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training run.

    Attributes:
        updates: steps of the optimiser; a finished run can be continued with more.
        batch_tokens: most padded target pieces of a batch; 0: 4096 on a CPU, what the memory holds on a GPU.
        accumulate: batches whose gradients make one update, over all processes.
        learning_rate: peak learning rate, reached after the warm-up.
        warmup: updates of linear growth; from there on it falls with the inverse square root (Vaswani 2017, 5.3).
        label_smoothing: share of the target spread evenly (Szegedy 2016).
        subword_regularization: other segmentations are drawn in every epoch; 0: never. For BPE the probability that a
            merge is skipped, usually 0.1 (Provilkov 2020); for unigram the exponent of P with which one of the 64 best
            is drawn, usually 0.1 to 0.5 (Kudo 2018).
        clip_norm: gradients are scaled down to this norm; 0 leaves them (Pascanu 2013).
        adam_beta1: decay of Adam's first moment (Kingma and Ba 2015).
        adam_beta2: decay of its second moment.
        weight_decay: weight decay, weight decay, applied apart from the gradient (Loshchilov and Hutter 2019).
        max_source: pairs with more source pieces are left out.
        max_target: pairs with more target pieces are left out.
        validate_every: updates between validations.
        snapshot_every: updates between snapshots of the weights.
        average: the mean of this many last snapshots is validated and kept; 1: no averaging.
        ema: decay of a moving average of the weights, which takes the place of the mean of snapshots; 0: none.
        patience: validations without a better score after which training stops; 0: never.
        best_by: "bleu" (of beam output on the dev set) or "loss" (unsmoothed, on the dev set).
        valid_beam: beam size of the validation.
        valid_length_alpha: length exponent of the validation; both become the defaults of the model folder.
        save_every: updates between saves of the state from which an interrupted run goes on.
        log_every: updates between lines of progress.
        precision: of the factors of products: "float32", "bfloat16", "float16" or "auto" (bfloat16 where it is faster).
        tf32: a GPU may round the factors of float32 products to 11 bits.
        compile: compile the model before the first update, which takes minutes; a gain on GPUs, a loss on CPUs.
        freeze: names of parameters that are not trained, or patterns of names such as "encoder.*".
        seed: seed of all random choices.
    """

    updates: Annotated[int, UPDATES] = 10_000
    batch_tokens: Annotated[int, Within(0, 1_000_000)] = 4096
    accumulate: Annotated[int, Within(1, 10_000)] = 1
    learning_rate: Annotated[float, Within(0, 1, above=True, usual=0.001)] = 0.001
    warmup: Annotated[int, UPDATES] = 1000
    label_smoothing: Annotated[float, SHARE] = 0.1
    subword_regularization: Annotated[float, SHARE] = 0.0
    clip_norm: Annotated[float, Within(0, 1_000_000)] = 1.0
    adam_beta1: Annotated[float, SHARE] = 0.9
    adam_beta2: Annotated[float, SHARE] = 0.98
    weight_decay: Annotated[float, Within(0, 100)] = 0.0
    max_source: Annotated[int, Within(1, 100_000)] = 256
    max_target: Annotated[int, Within(1, 100_000)] = 256
    validate_every: Annotated[int, UPDATES] = 500
    snapshot_every: Annotated[int, UPDATES] = 100
    average: Annotated[int, Within(1, 1000)] = 5
    ema: Annotated[float, Within(0, 1, below=True, usual=0.999)] = 0.0
    patience: Annotated[int, Within(0, 100_000_000)] = 10
    best_by: str = "bleu"
    valid_beam: Annotated[int, bounds(SearchSettings, "beam")] = 5
    valid_length_alpha: Annotated[float, bounds(SearchSettings, "length_alpha")] = 0.7
    save_every: Annotated[int, UPDATES] = 500
    log_every: Annotated[int, UPDATES] = 100
    precision: str = "auto"
    tf32: bool = False
    compile: bool = False
    freeze: tuple[str, ...] = ()
    seed: Annotated[int, SEED] = 1

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.ema and self.average not in (1, type(self).average):
            raise ValueError(f"ema = {self.ema} takes the place of average = {self.average}: leave out one of them")
        if self.best_by not in BEST_BY:
            raise ValueError(f"best_by = {self.best_by!r} is not known: choose one of {', '.join(BEST_BY)}")
        if self.precision not in ("auto", *PRECISIONS):
            choices = ", ".join(("auto", *PRECISIONS))
            raise ValueError(f"precision = {self.precision!r} is not known: choose one of {choices}")


CONTINUABLE = ("updates", "patience", "log_every", "save_every")
"""Options that may differ when a run is resumed: they do not change the updates already made."""
