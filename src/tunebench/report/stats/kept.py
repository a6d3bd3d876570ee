"""A cache of paired tests in the study's folder: a report that is made again tests only what has changed."""

import functools
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import to_json

from tunebench._util.files import read_json, write_json
from tunebench._util.registry import definitions_in
from tunebench.evaluation import bootstrap, entities, metrics, rouge, variances
from tunebench.evaluation.metrics import base
from tunebench.report.stats import draws, trials
from tunebench.report.stats.trials import TrialOutcome

FILE = ".tests.json"


class Kept:
    """Outcomes by a hash of what determines them: answers, metric, and the code of the test.

    Args:
        folder: a study's output folder; with None every outcome is computed and none is kept.

    Attributes:
        used: the requested outcomes by key, as JSON, each with its signature.
    """

    def __init__(self, folder: Path | None = None):
        self._path = folder / FILE if folder else None
        self._before = dict(read_json(self._path) or {}) if self._path else {}
        self.used: dict[str, Any] = {}

    def outcome(self, content: Iterable[Any], test: Callable[[], TrialOutcome]) -> TrialOutcome:
        """The kept outcome of this content, else the test's."""
        digest = hashlib.sha256(_code())
        for part in content:
            digest.update(to_json(part) + b"\n")  # a third of the time of repr
        key = digest.hexdigest()
        before = self._before.get(key)
        if isinstance(before, list) and before and before[-1] == _signature(key, before[:-1]):
            self.used[key] = before
            return TrialOutcome(*(np.array(side, dtype=float) for side in before[:-1]))
        outcome = test()
        sides = [_plain(side) for side in outcome]
        self.used[key] = [*sides, _signature(key, sides)]
        return outcome

    def save(self) -> None:
        """Write the outcomes that this report used, if they have changed; all others are dropped."""
        if self._path and self.used != self._before:
            write_json(self._path, self.used)


def _signature(key: str, sides: list[Any]) -> str:
    """What tells an outcome that was damaged since it was kept."""
    return hashlib.sha256(to_json([key, sides])).hexdigest()


def _plain(numbers: np.ndarray) -> list[Any]:
    """As JSON, which has no NaN."""
    plain = numbers.astype(object)
    plain[~np.isfinite(numbers)] = None
    return plain.tolist()


@functools.cache
def _code() -> bytes:
    scoring = [definition.module for definition in definitions_in(metrics, "tunebench.metrics")]
    modules = (*scoring, base, entities, rouge, bootstrap, draws, trials, variances)
    sources = [Path(str(module.__file__)).read_bytes() for module in modules]
    return b"".join([*sources, np.__version__.encode()])
