"""The record of a recommendation."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tunebench.records.base import SCHEMA, Record, read_record

RECOMMENDATION = "recommendation.json"
"""Its file, in the output folder."""


class Choice(Record):
    """What is known of one technique.

    Attributes:
        label: as in the study's tables.
        title: in prose.
        settings: as a study writes them.
        applicable: False: `reason` says why the technique has no meaning here.
        excluded: which limit it breaks, or why it could not be measured.
        datasets: of the evidence that speak for it; 0: no data.
        expected: points below the best technique on similar data; None: no data.
        status: of its best run in the race; None: it was not in it.
        epochs: that this run trained.
        validation: its score.
        behind: of a dropped run, how far behind the race's leader, in the metric's unit.
        why: it was dropped, or failed.
        p_best: probability that it is the best one.
        regret: expected points below the best one.
        tied: not significantly behind the best one.
        tuning_seconds: forecast; of one that finished in the race, measured.
        money: of its training, at the price per hour.
    """

    label: str
    title: str
    technique: str
    settings: dict[str, Any] = {}
    applicable: bool = True
    reason: str | None = None
    excluded: str | None = None
    datasets: int = 0
    expected: float | None = None
    status: str | None = None
    epochs: int = 0
    validation: float | None = None
    behind: float | None = None
    why: str | None = None
    p_best: float | None = None
    regret: float | None = None
    tied: bool | None = None
    tuning_seconds: float | None = None
    memory_bytes: int | None = None
    saved_bytes: int | None = None
    latency_seconds: float | None = None
    money: float | None = None


class Recommendation(Record):
    """An output folder's `recommendation.json`.

    Attributes:
        answer: the sentences of the answer, the decision first.
        chosen: the label of the technique that is recommended.
        second: that of the second choice; None: there is no other.
        choices: all techniques, those that may be chosen first, by expected regret.
        run: the folder of the finished run; None without a race.
        test: its main metric on the test split.
        spent: seconds of measuring and of the race.
    """

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    model: str
    task: str
    metric: str
    answer: tuple[str, ...]
    chosen: str
    second: str | None = None
    choices: tuple[Choice, ...]
    data: str
    findings: tuple[str, ...] = ()
    run: str | None = None
    test: float | None = None
    seconds: float
    spent: float


def read_recommendation(out: Path) -> Recommendation | None:
    """The recommendation in a folder; None where there is none, or its file is damaged."""
    return read_record(out / RECOMMENDATION, Recommendation)
