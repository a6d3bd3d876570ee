"""The settings of the next trial, drawn by Optuna: a function of the trials so far and of the trial's number.

The journal in the study's folder is Optuna's own, so that its dashboard opens it. A killed search continues with it:
a trial is one line of the journal before it is made, and its outcome is one more.
"""

import itertools
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from tunebench._util.ranges import Range

JOURNAL = "search.journal"

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def journal_in(out: Path) -> JournalStorage:
    """The journal of a study's folder, which nobody else has open; a line that was cut off is removed."""
    path = out / JOURNAL
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            path.write_bytes(content[:whole])
    (out / f"{JOURNAL}.lock").unlink(missing_ok=True)  # of a killed process: the folder's own lock is ours
    return JournalStorage(JournalFileBackend(str(path)))


class Proposals:
    """The trials of one technique.

    Args:
        journal: where they are kept.
        name: of the technique's search: its trials are found again by it.
        space: setting -> where it is drawn from; not empty.
        sampler: tpe, random, grid or gp.
        higher_is_better: the direction of the trials' scores.
        trials: how many are planned, if that is known; a grid is made for them.
    """

    def __init__(
        self,
        journal: JournalStorage,
        name: str,
        space: Mapping[str, Range],
        sampler: str,
        higher_is_better: bool,
        trials: int | None,
    ):
        self._space, self._sampler, self._planned = space, sampler, trials
        self._direction: Literal["maximize", "minimize"] = "maximize" if higher_is_better else "minimize"
        self._distributions = {setting: _distribution(one) for setting, one in space.items()}
        self._study = optuna.create_study(
            storage=journal, study_name=name, direction=self._direction, load_if_exists=True
        )

    @property
    def open(self) -> list[tuple[int, dict[str, Any]]]:
        """Number and settings of the trials that were proposed and have no outcome yet."""
        return [
            (trial.number, self._settings(trial.params))
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state == TrialState.RUNNING
        ]

    @property
    def count(self) -> int:
        """Of all trials that were proposed."""
        return len(self._study.get_trials(deepcopy=False))

    @property
    def ended(self) -> list[tuple[int, dict[str, Any], float | None, dict[str, Any]]]:
        """Number, settings, score (None: failed) and remarks of ended trials, in the order in which they ended."""
        return [
            (trial.number, self._settings(trial.params), trial.value if _scored(trial) else None, trial.user_attrs)
            for trial in self._ended()
        ]

    def propose(self) -> tuple[int, dict[str, Any]] | None:
        """Number and settings of a new trial; None where a grid has no further point."""
        number = self.count
        params = self._params(number)
        if params is None:
            return None
        self._study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=self._distributions))
        return number, self._settings(params)

    def tell(
        self, number: int, score: float | None, remarks: Mapping[str, Any], dropped_after: int | None = None
    ) -> None:
        """Keep a trial's outcome; a trial without a score failed, one that was dropped has its last epoch's score."""
        trial = optuna.trial.Trial(self._study, self._study.get_trials(deepcopy=False)[number]._trial_id)
        for key, value in remarks.items():
            trial.set_user_attr(key, value)
        if score is None:
            self._study.tell(number, state=TrialState.FAIL)
        elif dropped_after is not None:
            trial.report(score, dropped_after)  # which Optuna takes for the trial's value
            self._study.tell(number, state=TrialState.PRUNED)
        else:
            self._study.tell(number, score)

    def _ended(self) -> list[FrozenTrial]:
        trials = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.is_finished()]
        return sorted(trials, key=lambda trial: (trial.datetime_complete, trial.number))

    def _params(self, number: int) -> dict[str, Any] | None:
        if number == 0:
            return {name: _encoded(one, one.default) for name, one in self._space.items()}
        if self._sampler == "grid":
            grid = _grid(self._space, self._planned or 9)
            return grid[number - 1] if number <= len(grid) else None
        study = optuna.create_study(sampler=self._drawn_by(number), direction=self._direction)
        study.add_trials(self._ended())
        return study.ask(self._distributions).params

    def _drawn_by(self, number: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence([len(self._space), number]).generate_state(1)[0])
        first = max(3, (self._planned or 9) // 3)  # trials at random before a model of the scores is used
        if self._sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if self._sampler == "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=first)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=first)

    def _settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _decoded(self._space[name], value) for name, value in params.items()}


def _scored(trial: FrozenTrial) -> bool:
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def _distribution(one: Range) -> BaseDistribution:
    if one.choices:
        return CategoricalDistribution([_encoded(one, choice) for choice in one.choices])
    assert one.low is not None and one.high is not None
    if one.whole:
        return IntDistribution(math.ceil(one.low), math.floor(one.high), log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)


def _encoded(one: Range, value: Any) -> Any:
    """A value as Optuna takes it: choices may be lists, so that they are written as JSON."""
    return json.dumps(value) if one.choices else value


def _decoded(one: Range, value: Any) -> Any:
    return next(c for c in one.choices if json.dumps(c) == value) if one.choices else value


def _grid(space: Mapping[str, Range], trials: int) -> Sequence[dict[str, Any]]:
    """The points of a grid other than the defaults, in a fixed random order: about as many as there are trials."""
    per_interval = max(2, round(trials ** (1 / len(space))))
    points = [_spread(one, per_interval) for one in space.values()]
    grid = [dict(zip(space, values, strict=True)) for values in itertools.product(*points)]
    order = np.random.default_rng(0).permutation(len(grid))
    default = {name: _encoded(one, one.default) for name, one in space.items()}
    return [grid[place] for place in order if grid[place] != default]


def _spread(one: Range, count: int) -> list[Any]:
    if one.choices:
        return [_encoded(one, choice) for choice in one.choices]
    assert one.low is not None and one.high is not None
    values = np.geomspace(one.low, one.high, count) if one.log else np.linspace(one.low, one.high, count)
    return sorted({round(value) for value in values}) if one.whole else [float(value) for value in values]
