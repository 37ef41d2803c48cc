"""How far to trust a number: Wilson's interval for shares and paired bootstrap resampling for score differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest, Result

from nmtkit.evaluation.metrics import METRICS, capped, check_resampling, check_texts, sacrebleu_seed
from nmtkit.settings import nearest


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same text: their corpus scores, system minus baseline, and the p-value of "no difference"."""

    metric: str
    baseline: float
    system: float
    delta: float
    p_value: float
    signature: str


def wilson(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval (Wilson 1927) of a share; (0.0, 1.0) where nothing was counted."""
    assert 0 <= successes <= total and 0.0 < confidence < 1.0
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (
        0.0 if successes == 0 else max(0.0, centre - half),
        1.0 if successes == total else min(1.0, centre + half),
    )


def paired_bootstrap(
    metric: str,
    baseline: Sequence[str],
    system: Sequence[str],
    references: Sequence[Sequence[str]],
    resamples: int = 1000,
    seed: int = 12345,
) -> Comparison:
    """Paired bootstrap resampling (Koehn 2004) of corpus "bleu" or "chrf", as sacreBLEU computes it."""
    check_texts(baseline, references)
    check_texts(system, references)
    check_resampling(resamples, seed)
    if seed == 0:
        raise ValueError("sacreBLEU's paired test takes the seed 0 for no seed; use 1 or more")
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r};{nearest(metric, METRICS)}")
    scorer = BLEU(force=True) if metric == "bleu" else CHRF()
    with sacrebleu_seed(seed):
        test = PairedTest(
            [("baseline", baseline), ("system", system)],
            {metric: scorer},
            references,
            test_type="bs",
            n_samples=resamples,
        )
        signatures, results = test()
    (name, signature), *_ = signatures.items()
    first, second = results[name]
    assert isinstance(first, Result) and isinstance(second, Result) and second.p_value is not None
    return Comparison(
        metric="BLEU" if metric == "bleu" else "chrF",
        baseline=capped(first.score),
        system=capped(second.score),
        delta=capped(second.score) - capped(first.score),
        p_value=1.0 if first.score == second.score else float(second.p_value),  # sacreBLEU's is 0 for equal texts
        signature=str(signature),
    )
