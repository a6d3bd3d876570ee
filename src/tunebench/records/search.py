"""The record of a study's search."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tunebench.records.base import SCHEMA, Record, read_record

SEARCH = "search.json"
"""The record of a study's search, in its folder."""
DROPPED = "dropped.json"
"""Why a race dropped a run, in its folder."""


class Elimination(Record):
    """Why a race dropped a run.

    Attributes:
        epoch: after which it was compared.
        difference: how far it was behind the leader on validation, in the metric's unit.
        error: the difference's standard error, over validation examples and seeds.
        p: two-sided, of this test alone.
        level: of this test, after correction for the number of looks and competitors.
        leader: the run that it was compared with: its id.
    """

    epoch: int
    difference: float
    error: float
    p: float
    level: float
    leader: str

    @property
    def reason(self) -> str:
        """In words."""
        return (
            f"after epoch {self.epoch} it was {self.difference:.3g} behind the leader "
            f"(p = {self.p:.2g}, below {self.level:.2g})"
        )


class Trial(Record):
    """One trial of a search: settings that were tried on the validation split.

    Attributes:
        number: in the order of proposals, from 0; trial 0 has the defaults.
        score: the main metric at the best epoch, of a trial that did not finish after its last one; None: it failed, or
            the metric is undefined.
        curve: the metric after each epoch.
        seconds: what it cost.
        run: the name of its folder.
        reason: why it has no score, or was dropped.
        same_as: the trial with equal settings, which was not made twice.
        status: how it ended; out of time: the seconds ended before it did; paused: the search was interrupted; None in
            records of earlier versions, where it finished or failed.
        elimination: when and why a race dropped it.
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
    status: Literal["finished", "dropped", "failed", "out of time", "paused"] | None = None
    elimination: Elimination | None = None


class SearchedTechnique(Record):
    """The trials of one technique on one model and task, what they were drawn from, and what was chosen.

    `chosen_epoch` is the epoch after which the chosen trial was best where the seconds ended before any trial did; None
    where one finished. `rule` says in words how a race dropped trials; None where there was none.
    """

    model: str
    task: str
    technique: str
    label: str
    metric: str
    higher_is_better: bool
    space: dict[str, str]
    trials: tuple[Trial, ...]
    chosen: dict[str, Any] | None
    chosen_epoch: int | None = None
    rule: str | None = None


class SearchRecord(Record):
    """A study's `search.json`: the budget of each technique, and its trials."""

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    budget: dict[str, Any]
    techniques: tuple[SearchedTechnique, ...]


def read_search(out: Path) -> SearchRecord | None:
    """The record of a study's search; None where there was none, or its file is damaged."""
    return read_record(out / SEARCH, SearchRecord)


def read_elimination(folder: Path) -> Elimination | None:
    """Why a race dropped the run in this folder; None where it did not."""
    return read_record(folder / DROPPED, Elimination)
