"""The record of a study's search."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tunebench.records.base import SCHEMA, Record, read_record

SEARCH = "search.json"
"""The record of a study's search, in its folder."""


class Trial(Record):
    """One trial of a search: settings that were tried on the validation split.

    Attributes:
        number: in the order of proposals, from 0; trial 0 has the defaults.
        score: the main metric at the best epoch; None: it failed, or the metric is undefined.
        curve: the metric after each epoch.
        seconds: what it cost.
        run: the name of its folder.
        reason: why it has no score.
        same_as: the trial with equal settings, which was not made twice.
    """

    number: int
    settings: dict[str, Any]
    score: float | None
    seconds: float
    run: str | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    curve: list[float | None] = []
    reason: str | None = None
    same_as: int | None = None


class SearchedTechnique(Record):
    """The trials of one technique on one model and task, what they were drawn from, and what was chosen."""

    model: str
    task: str
    technique: str
    label: str
    metric: str
    higher_is_better: bool
    space: dict[str, str]
    trials: tuple[Trial, ...]
    chosen: dict[str, Any] | None


class SearchRecord(Record):
    """A study's `search.json`: the budget of each technique, and its trials."""

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    budget: dict[str, Any]
    techniques: tuple[SearchedTechnique, ...]


def read_search(out: Path) -> SearchRecord | None:
    """The record of a study's search; None where there was none, or its file is damaged."""
    return read_record(out / SEARCH, SearchRecord)
