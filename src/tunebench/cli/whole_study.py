"""All of a study that has no result yet, whatever has to be settled or searched before."""

from pathlib import Path
from typing import TYPE_CHECKING

from tunebench.cli.making import make_pending, plan_of
from tunebench.cli.options import OpenedStudy
from tunebench.cli.searching import searched
from tunebench.cli.settling import settled
from tunebench.cli.where import Opening

if TYPE_CHECKING:
    from tunebench.run.task_data import TaskData


def make_study(
    opened: OpenedStudy, out: Path, only: str | None, where: Opening, track: str | None = None
) -> tuple[OpenedStudy, bool]:
    """Settle `epochs: auto`, search, and make the runs that have no result. The folder is locked.

    Args:
        opened: the study.
        out: its output folder.
        only: the cells to run; None: all.
        where: opens the executor of the runs.
        track: where runs are logged, too.

    Returns:
        The study of the final runs, and whether Ctrl-C came first.

    Raises:
        UserError: a model or the data are unavailable, the folder cannot be written, or `only` matches nothing.
    """
    from tunebench.engine.energy import require_codecarbon
    from tunebench.run.task_data import TaskData

    if "energy" in opened.study.measure:
        require_codecarbon()
    seen, interrupted = TaskData(opened.places), False
    if opened.study.unsettled:
        _check(opened, seen, out)
        opened = settled(opened, out)
    if opened.study.search is not None:
        _check(opened, seen, out)
        opened, interrupted = searched(opened, seen, out, only, where, track)
    return opened, interrupted or make_pending(opened, seen, out, only, where, track)


def _check(opened: OpenedStudy, data: "TaskData", out: Path) -> None:
    """Write the plan of the techniques with their default settings: a mistake is known before the search begins."""
    from tunebench.run.folder import planned_in, write_plan
    from tunebench.run.plan import plan
    from tunebench.run.survey import models_here, survey

    earlier = planned_in(out)
    surveyed = survey(opened.runs, data, earlier.data if earlier else (), download=True)
    cells = plan(opened.runs, opened.places, earlier.cells if earlier else (), surveyed)
    models_here(opened.runs, opened.places, cells)
    if earlier is None:
        write_plan(out, opened.text, plan_of(opened, cells, surveyed.records))
