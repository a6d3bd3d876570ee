"""`tunebench plan`: what a study would train."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tunebench._util.words import plural
from tunebench.cli.options import Data, DataRoot, Json, Models, StudyName, opened_study
from tunebench.cli.printing import print_json, print_table, say

if TYPE_CHECKING:
    from tunebench.records import PlannedCell, PlannedData


def plan(
    study: StudyName,
    json_: Json = False,
    data_root: DataRoot = None,
    data: Data = None,
    model: Models = None,
) -> None:
    """Show every cell of a study: whether its technique applies or why not, and what it would train; and its data.

    Offline and without weights: parameters are counted on the shape of the model alone. Data that are here are read
    as a run reads them: rows of each file, rows of each split, and what was converted, carved or left out.
    """
    opened = opened_study(study, model, data_root, data)

    from tunebench.run.plan import plan as planned
    from tunebench.run.survey import survey
    from tunebench.run.task_data import TaskData

    surveyed = survey(opened.runs, TaskData(opened.places))
    cells = planned(opened.runs, opened.places, surveyed=surveyed)
    if json_:
        dumped = {"cells": cells, "data": surveyed.records}
        print_json({name: [record.model_dump(mode="json") for record in records] for name, records in dumped.items()})
        return
    print_table(
        f"{opened.study.name}: {plural(len(cells), 'cell')} x {plural(len(opened.study.seeds), 'seed')} = "
        f"{plural(len(opened.runs), 'run')}",
        ["model", "task", "technique", "trainable", "share", "total", "not applicable because"],
        [_row(cell) for cell in cells],
        right={3, 4, 5},
    )
    for one in surveyed.records:
        say("\n" + "\n  ".join(_described(one)))


def _described(data: "PlannedData") -> Iterator[str]:
    """A task's data: what was read, what is used, what a reader should know."""
    rows = ", ".join(f"{split} {count:,}" for split, count in data.rows.items())
    yield f"{data.task}: {rows} rows" + (f", {plural(data.labels, 'label')}" if data.labels else "")
    if data.files:
        yield "read: " + ", ".join(f"{name} {plural(count, 'row')}" for name, count in data.files.items())
    yield from data.notes
    if data.smallest_difference is not None:
        yield (
            f"With {plural(data.rows['test'], 'test row')}, a difference below {data.smallest_difference:.3f} in "
            "accuracy will mostly not be significant."
        )


def _row(cell: "PlannedCell") -> list[str]:
    counts = cell.parameters
    shown = (
        [f"{counts.trainable:,}", f"{counts.trainable / counts.total:.2%}", f"{counts.total:,}"]
        if counts
        else ["-", "-", "-"]
    )
    return [cell.model, cell.task, cell.label, *shown, cell.reason or ""]
