"""`tunebench plan`: what a study would train."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunebench._util.words import plural
from tunebench.cli.options import Data, DataRoot, Json, Models, StudyName, opened_study
from tunebench.cli.printing import print_json, print_table, say

if TYPE_CHECKING:
    from tunebench.records import PlannedCell, PlannedData
    from tunebench.study import AutoEpochs


def plan(
    study: StudyName,
    json_: Json = False,
    data_root: DataRoot = None,
    data: Data = None,
    model: Models = None,
    out: Annotated[
        Path | None, typer.Option(help="where 'epochs: auto' may be settled already; default: runs/<study>")
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="forecast what each model needs in memory; takes seconds per cell")
    ] = False,
) -> None:
    """Show every cell of a study: whether its technique applies or why not, and what it would train; and its data.

    Offline and without weights: parameters are counted on the shape of the model alone. Data that are here are read
    as a run reads them: rows of each file, rows of each split, and what was converted, carved or left out.
    """
    opened = opened_study(study, model, data_root, data)

    from tunebench.cli.settling import with_epochs
    from tunebench.run.epochs import settling
    from tunebench.run.plan import plan as planned
    from tunebench.run.survey import survey
    from tunebench.run.task_data import TaskData

    known = settling(opened.study, opened.places, out or Path("runs") / opened.study.name)
    opened = with_epochs(opened, known)
    surveyed = survey(opened.runs, TaskData(opened.places))
    open_ = {(one.run.model, one.run.task.name, one.run.label): one.auto for one in known.missing}
    cells = [
        cell.model_copy(update={"epochs": None}) if _key(cell) in open_ else cell
        for cell in planned(opened.runs, opened.places, surveyed=surveyed)
    ]
    if memory:
        from tunebench.run.memory import forecasts

        needed = forecasts(opened.runs, opened.places)
        cells = [cell.model_copy(update={"memory": needed.get(_key(cell))}) for cell in cells]
    if json_:
        dumped = {"cells": cells, "data": surveyed.records}
        print_json({name: [record.model_dump(mode="json") for record in records] for name, records in dumped.items()})
        return
    print_table(
        f"{opened.study.name}: {plural(len(cells), 'cell')} x {plural(len(opened.study.seeds), 'seed')} = "
        f"{plural(len(opened.runs), 'run')}",
        ["model", "task", "technique", "trainable", "share", "total", "epochs", "not applicable because"],
        [_row(cell, open_.get(_key(cell))) for cell in cells],
        right={3, 4, 5, 6},
    )
    if open_:
        say("\nEpochs of a range are settled by 'tunebench run', which times each technique side by side first.")
    if memory:
        _show_memory(cells)
    for one in surveyed.records:
        say("\n" + "\n  ".join(_described(one)))


def _show_memory(cells: "list[PlannedCell]") -> None:
    parts = ("weights", "gradients", "optimizer", "activations", "kept")
    rows = [
        [cell.model, cell.task, cell.label, *(_megabytes(getattr(cell.memory, part)) for part in ("total", *parts))]
        for cell in cells
        if cell.memory is not None
    ]
    say("")
    print_table("Memory in MB", ["model", "task", "technique", "total", *parts], rows, right={3, 4, 5, 6, 7, 8})
    say(
        "Activations are those of the longest training texts; kept are the outputs of a frozen trunk. On a CPU the "
        "process of a run needs about 800 MB more."
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f}"


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


def _key(cell: "PlannedCell") -> tuple[str, str, str]:
    return cell.model, cell.task, cell.label


def _row(cell: "PlannedCell", auto: "AutoEpochs | None") -> list[str]:
    counts = cell.parameters
    shown = (
        [f"{counts.trainable:,}", f"{counts.trainable / counts.total:.2%}", f"{counts.total:,}"]
        if counts
        else ["-", "-", "-"]
    )
    epochs = "" if cell.epochs is None or not cell.applicable else str(cell.epochs)
    if auto is not None:
        epochs = f"{auto.epochs} to {auto.most}" if auto.most > auto.epochs else str(auto.epochs)
    return [cell.model, cell.task, cell.label, *shown, epochs, cell.reason or ""]
