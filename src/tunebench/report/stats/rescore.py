"""Computes every metric again from the predictions, as a third party could with pandas and the reference libraries."""

import math
from dataclasses import dataclass, replace
from typing import Any

from tunebench.evaluation.intervals import intervals, methods
from tunebench.evaluation.metrics import METRICS
from tunebench.records import Done
from tunebench.report.read.predictions import read_predictions, recorded_digest
from tunebench.report.read.study import RunResult, StudyResults

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Change:
    """A recorded value that differs from the one computed from the predictions; None is undefined."""

    run: str
    metric: str
    recorded: float | None
    recomputed: float | None


def rescore(study: StudyResults) -> tuple[StudyResults, list[Change], list[str]]:
    """The study with its test metrics and intervals computed again.

    Returns:
        The study, the changed values, and the runs whose predictions cannot be read or scored (their records stay).
    """
    runs, changes, unread = [], [], []
    for run in study.runs:
        if not isinstance(run.result, Done):
            runs.append(run)
            continue
        answers, _, groups = read_predictions(study.folder, run.plan.id, recorded_digest(run.result))
        if answers is None or _uneven(run.result, *answers):
            unread.append(run.plan.id)
            runs.append(run)
            continue
        again = _again(run.result, *answers, groups)
        changes += [
            Change(run.plan.id, name, value, again.metrics.test[name])
            for name, value in run.result.metrics.test.items()
            if not _same(value, again.metrics.test[name])
        ]
        runs.append(RunResult(run.plan, again))
    return replace(study, runs=tuple(runs)), changes, unread


def _again(result: Done, answers: list[Any], gold: list[Any], groups: list[int] | None) -> Done:
    names = [name for name in result.metrics.test if name in METRICS]
    values = {name: METRICS[name].compute(answers, gold) for name in names}
    test = {**result.metrics.test, **{name: v if math.isfinite(v) else None for name, v in values.items()}}
    main = result.main_metric
    return result.model_copy(
        update={
            "metrics": result.metrics.model_copy(update={"test": test}),
            "main_metric": main.model_copy(update={"value": test.get(main.name, main.value)}),
            "intervals": {
                **result.intervals,
                **intervals([METRICS[name] for name in names], answers, gold, groups),
            },
            "interval_methods": {**result.interval_methods, **methods(names)},
        }
    )


def _uneven(result: Done, answers: list[Any], gold: list[Any]) -> bool:
    """Whether the number of tags differs from the number of words in any sentence, which tag metrics cannot score."""
    main = METRICS.get(result.main_metric.name)
    tags = main is not None and main.form == "tags"
    return tags and any(len(a) != len(b) for a, b in zip(answers, gold, strict=True))


def _same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and math.isclose(one, other, abs_tol=_TOLERANCE))
