"""`tunebench plan`: what a study would train."""

from typing import TYPE_CHECKING

from tunebench.cli.options import Data, DataRoot, Json, Models, StudyName, opened_study
from tunebench.cli.printing import print_json, print_table

if TYPE_CHECKING:
    from tunebench.records import PlannedCell


def plan(
    study: StudyName,
    json_: Json = False,
    data_root: DataRoot = None,
    data: Data = None,
    model: Models = None,
) -> None:
    """Show every cell of a study: whether its technique applies or why not, and what it would train.

    Offline and without weights: parameters are counted on the shape of the model alone.
    """
    opened = opened_study(study, model, data_root, data)

    from tunebench.run import plan as plans

    cells = plans.plan(opened.runs, opened.places)
    if json_:
        print_json({"cells": [cell.model_dump(mode="json") for cell in cells]})
        return
    print_table(
        f"{opened.study.name}: {len(cells)} cells x {len(opened.study.seeds)} seeds = {len(opened.runs)} runs",
        ["model", "task", "technique", "trainable", "share", "total", "not applicable because"],
        [_row(cell) for cell in cells],
        right={3, 4, 5},
    )


def _row(cell: "PlannedCell") -> list[str]:
    counts = cell.parameters
    shown = (
        [f"{counts.trainable:,}", f"{counts.trainable / counts.total:.2%}", f"{counts.total:,}"]
        if counts
        else ["-", "-", "-"]
    )
    return [cell.model, cell.task, cell.label, *shown, cell.reason or ""]
