"""Trials as jobs: where they lie, so that trials on other data or another model have another folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tunebench.run.job import Job
from tunebench.study import Places, Run

FOLDER = "trials"
"""In a study's folder: one folder per trial, as `runs` has one per run."""


def content_of(data: str, model: str | None) -> str:
    """A digest of what a trial reads, from the fingerprints of its data, and of its model where it reads one."""
    read = [data] if model is None else [data, model]
    return hashlib.sha256(" ".join(read).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Jobs:
    """Makes a technique's runs jobs; trials on other content have another folder."""

    out: Path
    places: Places
    track: str | None
    family: str
    content: str

    def trial(self, run: Run) -> Job:
        """A run as a trial."""
        return Job(
            run=run,
            places=self.places.of(run),
            family=self.family,
            folder=str(self.out / FOLDER / self.content / run.id),
            cache=str(self.out / "cache"),
            track=self.track,
            trial=True,
        )
