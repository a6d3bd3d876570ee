"""Which runs of a study are to be made: those that were chosen and have no whole result yet."""

import fnmatch
import functools
from collections.abc import Sequence
from pathlib import Path

from tunebench._util.errors import UserError
from tunebench.records import Done, read_result
from tunebench.run.folder import Cell
from tunebench.study import Run
from tunebench.tasks import load as data
from tunebench.tasks.base import Task
from tunebench.zoo import checkpoints


def pending_runs(runs: Sequence[Run], out: Path, only: str | None = None) -> list[tuple[Run, str]]:
    """The chosen runs with their family that have no readable result yet, or a failed one; torch is not needed.

    Args:
        runs: a study's.
        out: its output folder.
        only: FAMILY/TASK/TECHNIQUE or MODEL/TASK/TECHNIQUE as a shell pattern; None chooses all.

    Raises:
        UserError: a model is not known, or `only` matches none.
    """
    families: dict[str, str] = {}
    for run in runs:
        if run.model not in families:
            families[run.model] = checkpoints.find(run.model, run.revision, run.folder).family.name
    chosen = [run for run in runs if only is None or _matches(run, families[run.model], only)]
    if not chosen:
        raise UserError(
            f"--only '{only}': it matches no cell. Cells read FAMILY/TASK/TECHNIQUE, "
            f"such as '{families[runs[0].model]}/{runs[0].task.name}/{runs[0].technique}'."
        )
    return [(run, families[run.model]) for run in chosen if not is_done(run, out / "runs" / run.id)]


def costliest_first(pending: Sequence[tuple[Run, str]], cells: Sequence[Cell]) -> list[tuple[Run, str]]:
    """In the order for side by side: a long run that started last would leave the other workers idle."""
    trained = {(c["model"], c["task"], c["label"]): (c["parameters"] or {"trainable": 0})["trainable"] for c in cells}
    return sorted(pending, key=lambda item: -trained[item[0].model, item[0].task.name, item[0].label])


def _matches(run: Run, family: str, pattern: str) -> bool:
    ends = f"{run.task.name}/{run.technique}"
    return any(fnmatch.fnmatchcase(f"{start}/{ends}", pattern) for start in (family, run.model))


def is_done(run: Run, folder: Path) -> bool:
    """Whether a run needs no further work; a damaged result, or one of other contents of the user's files, is none."""
    result = read_result(folder)
    if isinstance(result, Done) and run.task.data is not None:
        return result.data.fingerprint == _own_data(run.task.model_dump_json())
    return result is not None and result.status != "failed"


@functools.cache
def _own_data(task: str) -> str:
    """Fingerprint of a task made of the user's files; cached by content, as a Task holds dicts and has no hash."""
    return data.load(Task.model_validate_json(task)).fingerprint()
