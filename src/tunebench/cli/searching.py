"""The search before a study's final runs: its trials, shown as they are made."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tunebench._util.words import plural
from tunebench.cli.options import OpenedStudy
from tunebench.cli.printing import say
from tunebench.cli.where import Opening

_RACE = (
    "The trials of each technique race: each pauses after epochs 1, 2, 4, ..., the best continues first, and one that "
    "is significantly behind the best on validation is dropped."
)

if TYPE_CHECKING:
    from tunebench.advise.search import Searching
    from tunebench.engine.events import Event
    from tunebench.run.executors.base import Executor
    from tunebench.run.job import Job
    from tunebench.run.task_data import TaskData


def searched(
    opened: OpenedStudy, data: "TaskData", out: Path, only: str | None, where: Opening, track: str | None
) -> tuple[OpenedStudy, bool]:
    """The study with the settings that its search chose; says whether Ctrl-C came first.

    Raises:
        UserError: a model or the data are unavailable.
    """
    from tunebench.advise.search import Searching
    from tunebench.run.pending import matching

    study = opened.study
    assert study.search is not None
    techniques = study.searched()
    chosen = matching([one.run for one in techniques], opened.places, out, only)
    search = Searching(out, study.search, techniques, data, opened.places, track, chosen)
    interrupted = False
    if not search.finished:
        say(f"Searching the settings of {plural(search.count, 'technique')}, {study.search.budget} each ...")
        if study.search.races:
            say(_RACE)
        with where(out, search.trials or 10_000) as executor:
            interrupted = _execute(search, executor, out)
    for label, settings in search.decisions:
        say(f"{label}: {settings}")
    final = study.chosen(search.chosen)
    return replace(opened, study=final, runs=final.runs()), interrupted


def _execute(search: "Searching", executor: "Executor", out: Path) -> bool:
    from rich.console import Console

    from tunebench.cli.progress import display_on
    from tunebench.run.drive import drive
    from tunebench.run.forecast import Forecast

    workers = max(executor.room, 1)

    class Left(Forecast):
        """The budgets' seconds, where they say when the search ends."""

        @property
        def left(self) -> float | None:
            if search.seconds is not None:
                return search.seconds / workers
            return None if search.races else super().left  # nobody knows which trials will be dropped

    try:
        results = None if search.races else search.trials  # in a race a trial has a result at each pause
        with display_on(Console(), results, Left(search.trials or 0, workers)) as display:

            def show(job: "Job", event: "Event") -> None:
                for line in search.news():
                    display.say(line)
                display.show(job.run.id, search.name_of(job), event)

            drive(search, executor, show, out)
            for line in search.news():
                display.say(line)
    except KeyboardInterrupt:
        return True
    return False
