"""Comparisons: one model on one task, one row per technique over its seeds."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isclose
from statistics import fmean

from tunebench._util.words import inside
from tunebench.records import Done, Failed, NotApplicable, Parameters, Paused, PlannedCell, PlannedRun, RetimedCell
from tunebench.report import text
from tunebench.report.read.study import RunResult, StudyResults
from tunebench.report.read.timing import Clock, Timing, timings, unequal_load

Interval = tuple[float, float]


@dataclass(frozen=True)
class Score:
    """One metric of one row over its completed seeds; without values it was not measured."""

    values: tuple[float | None, ...]
    intervals: tuple[Interval | None, ...]

    @property
    def mean(self) -> float | None:
        """The mean over seeds; undefined if any seed is, because a mean of the others would hide it."""
        known = [value for value in self.values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(self.values) else None

    @property
    def range(self) -> Interval | None:
        """The lowest and the highest seed."""
        known = [value for value in self.values if value is not None]
        return (min(known), max(known)) if known and len(known) == len(self.values) else None

    @property
    def interval(self) -> Interval | None:
        """From the lowest to the highest end of the seeds' intervals: with one seed, its 95 % interval."""
        known = [bounds for bounds in self.intervals if bounds is not None]
        if not known or len(known) < len(self.intervals) or self.mean is None:
            return None
        return min(low for low, _ in known), max(high for _, high in known)


@dataclass(frozen=True)
class Row:
    """One technique in one comparison."""

    label: str
    cell: PlannedCell | None
    runs: tuple[RunResult, ...]
    timing: Timing = field(default_factory=Timing)

    @cached_property
    def done(self) -> list[Done]:
        """The results with figures, one per seed."""
        return [run.result for run in self.runs if isinstance(run.result, Done)]

    @property
    def title(self) -> str:
        """The technique inside a sentence: full fine-tuning, LoRA (rank=8); with a label that has no name."""
        if self.cell is None or not self.cell.title:
            return self.label
        words = inside(self.cell.title)
        return words if self.label == self.cell.technique else f"{words} ({self._settings(self.cell.technique)})"

    @property
    def name(self) -> str:
        """The title at the beginning of a line: Full fine-tuning."""
        if self.cell is None or not self.cell.title:
            return self.label
        settings = self._settings(self.cell.technique)
        return self.cell.title if self.label == self.cell.technique else f"{self.cell.title} ({settings})"

    def _settings(self, technique: str) -> str:
        return self.label.removeprefix(f"{technique} ")

    @property
    def parameters(self) -> Parameters | None:
        """As measured, else as planned."""
        if self.done:
            return self.done[0].parameters
        return self.cell.parameters if self.cell else None

    @property
    def baseline(self) -> bool:
        """Whether it trained no weight."""
        return self.parameters is not None and self.parameters.trainable == 0

    @property
    def without_backbone(self) -> bool:
        """Whether it fitted parameters of its own, without a pretrained model."""
        return bool(self.done) and self.done[0].backbone is None and not self.baseline

    @property
    def untuned(self) -> bool:
        """Whether it is the pretrained model, unchanged, as techniques begin with it.

        A baseline may ask that model too, and train nothing; a plan counts no parameters for it.
        """
        planned = self.cell is None or self.cell.parameters is not None
        return self.baseline and bool(self.done) and self.done[0].backbone is not None and planned

    @property
    def from_scratch(self) -> bool:
        """Whether it started from random weights."""
        return any(result.backbone is not None and not result.backbone.pretrained for result in self.done)

    @property
    def all_tuned(self) -> bool:
        """Whether it started from pretrained weights and trained all of them."""
        known = self.parameters
        return known is not None and known.trainable == known.total > 0 and bool(self.done) and not self.from_scratch

    def score(self, metric: str) -> Score:
        """A metric over the completed seeds that recorded it."""
        scored = [result for result in self.done if metric == result.main_metric.name or metric in result.metrics.test]
        return Score(tuple(_value(r, metric) for r in scored), tuple(r.intervals.get(metric) for r in scored))

    def validation(self, metric: str, seeds: Iterable[int] | None = None) -> float | None:
        """Mean over its seeds, or these, of the best epochs' validation scores; None if a seed has none."""
        wanted = None if seeds is None else set(seeds)
        scores = [_validation(r, metric) for r in self.done if wanted is None or r.run.seed in wanted]
        known = [score for score in scores if score is not None]
        return fmean(known) if known and len(known) == len(scores) else None

    @property
    def train_seconds(self) -> float | None:
        """Mean seconds of tuning, trunk and training, by the comparison's clock."""
        spent = [self.timing.tuning(result) for result in self.done]
        return sum(spent) / len(spent) if spent else None

    @property
    def spent(self) -> str:
        """The mean tuning time in words: 12.3 s, 12.3 s of CPU time."""
        return f"{text.seconds(self.train_seconds or 0)}{self.timing.clock.value if self.train_seconds else ''}"

    @property
    def price(self) -> str:
        """Trained parameters and mean tuning time: 4,614 parameters in 12.3 s."""
        trained = self.parameters.trainable if self.parameters else 0
        return f"{text.plural(trained, 'parameter') if trained else 'no trained weights'} in {self.spent}"

    @property
    def troubles(self) -> list[str]:
        """Why planned figures are missing, in words; empty if every run is done."""
        if not self.runs and self.cell and not self.cell.applicable:
            return [f"not applicable: {self.cell.reason or 'no reason given'}"]
        seeds: dict[str, list[int]] = {}
        for run in self.runs:
            if isinstance(run.result, Failed | NotApplicable | Paused):
                by_hand = isinstance(run.result, Failed) and run.result.by_hand
                what = "" if by_hand else f"{run.status.replace('_', ' ')}: "
                seeds.setdefault(f"{what}{run.result.reason}", []).append(run.plan.seed)
            elif run.result is None:
                seeds.setdefault("pending: no result yet", []).append(run.plan.seed)
        if not self.runs:
            return ["pending: no run planned"]
        if len(seeds) == 1 and len(self.runs) == sum(map(len, seeds.values())):
            return list(seeds)
        return [f"{'seed' if len(s) == 1 else 'seeds'} {', '.join(map(str, s))} {words}" for words, s in seeds.items()]


@dataclass(frozen=True)
class Comparison:
    """The techniques on one model and one task.

    Attributes:
        rows: in the order of the plan.
        each_setting: no setting of a technique is chosen: all are ranked.
        price_per_hour: of the machine, if it is known.
    """

    model: str
    family: str
    task: str
    rows: tuple[Row, ...]
    each_setting: bool = False
    price_per_hour: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Model and task, which no other comparison of the study has."""
        return self.model, self.task

    @cached_property
    def main(self) -> tuple[str, bool, str] | None:
        """Name, direction (True: higher is better) and split of the metric that ranks; None while nothing is done."""
        first = next((result for row in self.rows for result in row.done), None)
        return (first.main_metric.name, first.main_metric.higher_is_better, first.main_metric.split) if first else None

    @cached_property
    def metrics(self) -> list[str]:
        """The main metric, then every other test metric."""
        results = [result for row in self.rows for result in row.done]
        names = [result.main_metric.name for result in results[:1]]
        return list(dict.fromkeys([*names, *(name for result in results for name in result.metrics.test)]))

    def main_score(self, row: Row) -> Score:
        """A row's scores in the main metric."""
        return row.score(self.main[0]) if self.main else Score((), ())

    @cached_property
    def other_settings(self) -> dict[str, list[Row]]:
        """Label -> rows of the same technique and training whose settings are worse on validation, best first.

        The chosen row speaks for the technique: choosing by test scores would favour the technique with most settings.
        """
        groups: dict[str, list[Row]] = {}
        for row in self.rows if self.main and not self.each_setting else ():
            if not row.baseline and row.validation(self.main[0] if self.main else "") is not None:
                groups.setdefault(_apart_from_settings(row.done[0]), []).append(row)
        ordered = [self._by_validation(group) for group in groups.values() if len(group) > 1]
        return {chosen.label: others for chosen, *others in ordered}

    def _by_validation(self, group: list[Row]) -> list[Row]:
        """Best first, over the seeds that all have, if there are any."""
        assert self.main is not None
        name, higher, _ = self.main
        common = _common_seeds(group) or None
        return sorted(group, key=lambda row: (row.validation(name, common) or 0.0) * (-1 if higher else 1))

    @cached_property
    def candidates(self) -> list[Row]:
        """The rows that are ranked and tested: of several settings of a technique the one chosen on validation."""
        others = {row.label for rows in self.other_settings.values() for row in rows}
        return [row for row in self.rows if row.label not in others]

    @cached_property
    def short(self) -> list[Row]:
        """Rows with less than two of the seeds that two or more others share: they are shown, and not judged.

        Common seeds would be one or none with them, and every verdict would be about single runs.
        """
        several = [row for row in self._scored if len(row.done) > 1]
        common = _common_seeds(several)
        if len(several) < 2 or len(common) < 2:
            return []
        return [row for row in self._scored if len(common & _common_seeds([row])) < 2]

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that every judged row has: rows are ranked and tested on these."""
        return tuple(sorted(_common_seeds(self._judged)))

    @property
    def unequal_seeds(self) -> bool:
        """Whether a judged row has seeds that another one lacks."""
        return any(len(row.done) > len(self.seeds) for row in self._judged)

    @property
    def _scored(self) -> list[Row]:
        return [row for row in self.candidates if self.main_score(row).mean is not None]

    @property
    def _judged(self) -> list[Row]:
        return [row for row in self._scored if row not in self.short]

    @property
    def clock(self) -> Clock:
        """What its tuning times are compared by."""
        return self.rows[0].timing.clock if self.rows else Clock.WALL

    @cached_property
    def unequal_load(self) -> bool:
        """Whether its wall-clock times were measured under unequal load."""
        return unequal_load(result for row in self.rows for result in row.done)

    @property
    def alone(self) -> bool:
        """Whether only one row has a defined main metric."""
        return sum(self.rank_score(row) is not None for row in self.candidates) == 1

    def rank_score(self, row: Row) -> float | None:
        """The mean that ranks: over `seeds`, or over the row's own if no seed is common; None if it is not judged."""
        if self.main is None or self.main_score(row).mean is None or row in self.short:
            return None
        done = [result for result in row.done if result.run.seed in self.seeds] or row.done
        return fmean(value for result in done if (value := _value(result, self.main[0])) is not None)

    @cached_property
    def ranked(self) -> list[Row]:
        """Candidates, best first; then those without a rank; then those without figures."""

        def rank(row: Row) -> tuple[int, float]:
            mean = self.rank_score(row)
            if mean is None or self.main is None:
                return (1 if row.done else 2), 0.0
            return 0, -mean if self.main[1] else mean

        return sorted(self.candidates, key=rank)

    @cached_property
    def listed(self) -> list[Row]:
        """All rows: those ranked, each followed by the other settings of its technique."""
        return [each for row in self.ranked for each in (row, *self.other_settings.get(row.label, ()))]

    @cached_property
    def best(self) -> list[Row]:
        """The rows with the best `rank_score`: several if they are equal."""
        best = self.rank_score(self.ranked[0]) if self.ranked else None
        if best is None:
            return []
        scores = [(row, self.rank_score(row)) for row in self.ranked]
        return [row for row, score in scores if score is not None and isclose(score, best, abs_tol=1e-12)]

    @cached_property
    def notes(self) -> list[str]:
        """How splits of the data were carved, limited or replaced."""
        return list(dict.fromkeys(note for row in self.rows for result in row.done for note in result.data.notes))

    @cached_property
    def warnings(self) -> list[str]:
        """Why these rows may not be comparable."""
        results = [result for row in self.rows for result in row.done]
        warnings = []
        if len({result.run.task_version for result in results}) > 1:
            warnings.append("Runs use different versions of this task: their figures are not comparable.")
        prints: dict[int, set[str]] = {}
        for result in results:
            prints.setdefault(result.run.seed, set()).add(result.data.fingerprint)
        if any(len(of_seed) > 1 for of_seed in prints.values()):
            warnings.append(
                "Not all runs of a seed used the same data (fingerprints differ): their figures are not comparable."
            )
        if len({result.main_metric.name for result in results}) > 1:
            warnings.append("Runs were selected by different main metrics: their figures are not comparable.")
        return warnings


def comparisons(study: StudyResults, each_setting: bool = False) -> list[Comparison]:
    """The study's comparisons, in the order of the plan; with `each_setting` every setting of a technique is ranked."""
    cells: dict[tuple[str, str, str, int], PlannedCell] = {}
    runs: dict[tuple[str, str, str, int], list[RunResult]] = {}
    seen: Counter[tuple[object, ...]] = Counter()
    for cell in study.plan.cells:
        key = (cell.model, cell.task, cell.label)
        cells[(*key, seen[key])] = cell
        seen[key] += 1
    seen.clear()
    for run in study.runs:
        # The same label with the same seed comes from another experiment: another row, not another sample for the mean.
        key = (run.plan.model, run.plan.task, run.plan.label)
        runs.setdefault((*key, seen[(*key, run.plan.seed)]), []).append(run)
        seen[(*key, run.plan.seed)] += 1
    rows: dict[tuple[str, str], list[Row]] = {}
    for key in dict.fromkeys([*cells, *runs]):
        model, task, label, again = key
        shown = f"{label} ({again + 1})" if again else label
        rows.setdefault((model, task), []).append(Row(shown, cells.get(key), tuple(runs.get(key, ()))))
    retimed = {cell.run: cell for cell in study.retimed.cells} if study.retimed else {}
    return [
        Comparison(model, _family(group), task, tuple(_timed(group, retimed)), each_setting, study.plan.price_per_hour)
        for (model, task), group in rows.items()
    ]


def _common_seeds(rows: Iterable[Row]) -> set[int]:
    """The finished seeds that all of these rows have."""
    seeds = [{result.run.seed for result in row.done} for row in rows]
    return set.intersection(*seeds) if seeds else set()


def _timed(rows: Sequence[Row], retimed: Mapping[str, RetimedCell]) -> list[Row]:
    """The rows of a comparison, all by one clock."""
    cells = [next((retimed[run.plan.id] for run in row.runs if run.plan.id in retimed), None) for row in rows]
    how = timings([row.done for row in rows], cells)
    return [replace(row, timing=timing) for row, timing in zip(rows, how, strict=True)]


def _family(rows: Iterable[Row]) -> str:
    planned: list[PlannedCell | PlannedRun] = []
    for row in rows:
        planned += [row.cell] if row.cell else [run.plan for run in row.runs]
    return planned[0].family


def _apart_from_settings(result: Done) -> str:
    """What two settings of one technique have in common."""
    run = result.run
    return json.dumps([run.technique, run.revision, run.pooling, run.training, run.task_settings], sort_keys=True)


def _validation(result: Done, metric: str) -> float | None:
    """The best epoch's score, or the only one of a run without epochs."""
    if result.best_epoch is not None and len(result.history) >= result.best_epoch:
        return result.history[result.best_epoch - 1].validation.get(metric)
    return result.metrics.validation.get(metric)


def _value(result: Done, metric: str) -> float | None:
    return result.main_metric.value if metric == result.main_metric.name else result.metrics.test.get(metric)
