"""A job: one run, or its next epochs, in the form that executors and workers exchange."""

from pathlib import Path

from tunebench.records import Notice, Record
from tunebench.run.pending import Pending
from tunebench.study import Places, Run


class Job(Record):
    """What a worker needs to make a run, on this machine or on another one.

    Attributes:
        run: what to make.
        places: the folders of models and data on the machine that executes the job.
        family: the model's family, for the record of a run that fails before its model is read.
        folder: the run's folder.
        cache: the folder of frozen outputs that runs share.
        track: tensorboard, wandb or mlflow.
        until_epoch: pause at the end of this epoch; None: train to the end.
        trial: pause where training has ended, so that the test split is not read.
        notices: what the record must say of how the job came about.
    """

    run: Run
    places: Places = Places()
    family: str
    folder: str
    cache: str
    track: str | None = None
    until_epoch: int | None = None
    trial: bool = False
    notices: tuple[Notice, ...] = ()


def job_in(out: Path, pending: Pending, places: Places, track: str | None = None) -> Job:
    """A pending run as a job in a study's output folder."""
    run = pending.run
    return Job(
        run=run,
        places=places.of(run),
        family=pending.family,
        folder=str(out / "runs" / run.id),
        cache=str(out / "cache"),
        track=track,
        notices=pending.notices,
    )
