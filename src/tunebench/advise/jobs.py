"""Trials as jobs: where they lie, so that trials on other data or another model have another folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tunebench.records import Failed, read_result
from tunebench.run.job import Job
from tunebench.study import Places, Run

FOLDER = "trials"
"""In a study's folder: one folder per trial, as `runs` has one per run."""


def content_of(data: str, model: str | None) -> str:
    """A digest of what a trial reads, from the fingerprints of its data, and of its model where it reads one."""
    read = [data] if model is None else [data, model]
    return hashlib.sha256(" ".join(read).encode()).hexdigest()[:8]


SET_ASIDE = "failed.json"
"""In a trial's folder: the failed result that it had before it was made again."""


def set_aside(job: Job) -> bool:
    """Set a failed result aside, so that the job is made again; once, as most failures are no accidents."""
    folder = Path(job.folder)
    if not isinstance(read_result(folder), Failed) or (folder / SET_ASIDE).exists():
        return False
    (folder / "result.json").rename(folder / SET_ASIDE)
    return True


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
