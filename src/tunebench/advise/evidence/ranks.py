"""What the evidence says of a cell: how far each technique stayed behind the best one, at each of its rates."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tunebench.advise.evidence.base import Evidence
from tunebench.evaluation.choice import whole
from tunebench.evaluation.metrics import METRICS, Metric
from tunebench.records import EvidenceRun


@dataclass(frozen=True)
class Variant:
    """A technique with settings, without its learning rate and the budget."""

    technique: str
    settings: str = "{}"
    """As JSON with sorted keys."""

    @classmethod
    def of(cls, technique: str, settings: dict[str, Any]) -> "Variant":
        """Of settings that differ from the technique's defaults."""
        return cls(technique, json.dumps(settings, sort_keys=True))


@dataclass(frozen=True)
class Setting:
    """A variant at one rate in one cell, over its seeds.

    Attributes:
        sign: 1 where a higher score is better, else -1.
    """

    variant: Variant
    learning_rate: float | None
    runs: tuple[EvidenceRun, ...]
    sign: int

    @property
    def validation(self) -> float:
        """Mean over seeds, higher is better; minus infinity where a seed has none: it failed."""
        return _mean([run.validation for run in self.runs], self.sign)

    @property
    def test(self) -> float:
        """Mean over seeds, higher is better; minus infinity where a seed has none."""
        return _mean([run.test for run in self.runs], self.sign)

    @property
    def seconds(self) -> float:
        """CPU seconds of tuning, a mean over seeds; wall-clock seconds where a run has none."""
        return fmean(run.cpu_seconds if run.cpu_seconds is not None else run.seconds for run in self.runs)


def settings_of(evidence: Evidence) -> list[Setting]:
    """The settings of a cell, each with its seeds."""
    grouped: dict[tuple[Variant, float | None, int, int], list[EvidenceRun]] = {}
    for run in evidence.runs:
        key = (Variant.of(run.technique, run.settings), run.learning_rate, run.epochs, run.batch_size)
        grouped.setdefault(key, []).append(run)
    sign = 1 if evidence.cell.higher_is_better else -1
    return [Setting(variant, rate, tuple(runs), sign) for (variant, rate, *_), runs in grouped.items()]


def chosen_of(evidence: Evidence) -> dict[Variant, Setting]:
    """Each variant at the rate that validation chooses."""
    best: dict[Variant, Setting] = {}
    for one in settings_of(evidence):
        if one.variant not in best or one.validation > best[one.variant].validation:
            best[one.variant] = one
    return {variant: one for variant, one in best.items() if math.isfinite(one.validation)}


def regrets(evidence: Evidence) -> dict[Variant, float]:
    """How far each variant's test score, at its chosen rate, is behind the best one's, in points (`unit`)."""
    chosen = chosen_of(evidence)
    if not chosen:
        return {}
    best = max(one.test for one in chosen.values())
    one_point = unit(METRICS[evidence.cell.metric], best)
    return {variant: (best - one.test) / one_point for variant, one in chosen.items()}


def unit(metric: Metric, best: float) -> float:
    """One point in the metric's unit: a hundredth; of a metric without an upper end, a hundredth of the best score."""
    return 0.01 * max(whole(metric, best), 1e-9)


def _mean(values: Sequence[float | None], sign: int) -> float:
    known = [value for value in values if value is not None]
    return sign * fmean(known) if len(known) == len(values) else -math.inf
