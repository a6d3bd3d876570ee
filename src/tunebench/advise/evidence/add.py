"""Adds the finished runs of a study's folder to the evidence."""

from pathlib import Path

from tunebench._util.errors import UserError
from tunebench.advise.evidence.base import append
from tunebench.advise.evidence.record import cell_of, run_of
from tunebench.records import Done, EvidenceCell, read_result
from tunebench.run.cell import Cell
from tunebench.study import RUN_FILE, read_run
from tunebench.tasks.load import load


def added(out: Path, into: Path) -> tuple[int, int, list[str]]:
    """How many runs were added, how many were known, and why some were left out.

    Args:
        out: a study's folder.
        into: the folder of the evidence.

    Raises:
        UserError: the folder holds no finished run.
        OSError: the evidence cannot be written.
    """
    cells: dict[tuple[str, str], EvidenceCell | UserError] = {}
    new, known, left_out = 0, 0, []
    for path in sorted(out.glob(f"runs/*/{RUN_FILE}")):
        done = read_result(path.parent)
        if not isinstance(done, Done):
            continue
        run, places = read_run(path.parent)
        key = (run.model, run.task.model_dump_json())
        if key not in cells:
            try:
                data = load(places.located(run.task), places.data_root, download=False)
                cells[key] = cell_of(Cell.of(run, places), data)
            except UserError as error:
                cells[key] = error
        cell = cells[key]
        if isinstance(cell, UserError):
            left_out.append(f"{run.id}: {cell}")
        elif cell.data != done.data.fingerprint:
            left_out.append(f"{run.id}: its data have changed since it was made")
        else:
            one = append(into, cell, run_of(run, done))
            new, known = new + one, known + (not one)
    if not new and not known and not left_out:
        raise UserError(f"evidence add {out}: it holds no finished run. Give the output folder of 'tunebench run'.")
    return new, known, left_out
