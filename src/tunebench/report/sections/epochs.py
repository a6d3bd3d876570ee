"""How many epochs each technique may have, and why, where the study says `epochs: auto`."""

from tunebench.records import SettledEpochs
from tunebench.report import text
from tunebench.report.blocks import Block, Column, Details, Table, TableEntry, Text
from tunebench.report.sections.base import Case

_COLUMNS = (
    Column("Technique", numeric=False),
    Column("Epochs", note="at most"),
    Column("Per step"),
    Column("Trunk"),
    Column("Tuning", note="of these epochs"),
    Column("Allowed"),
)


def blocks(case: Case) -> list[Block]:
    """Nothing where the study gives a number."""
    if not case.epochs:
        return []
    first = case.epochs[0]
    return [
        Text(
            f"Epochs: auto. Each technique may train for the epochs that fit into the seconds of "
            f"{text.plural(first.reference_epochs, 'epoch')} of {first.reference}, at least {first.reference_epochs} "
            f"and at most {int(first.times * first.reference_epochs)}. The seconds were forecast from steps that were "
            "timed side by side before the first run; each schedule of learning rates was planned for all its epochs.",
            "fine",
        ),
        Details(Table("Epochs of each technique, settled once", _COLUMNS, tuple(map(_row, case.epochs)))),
    ]


def _row(one: SettledEpochs) -> tuple[TableEntry, ...]:
    allowed = TableEntry(text.seconds(one.allowed_seconds), order=one.allowed_seconds)
    if one.pace is None:
        unknown = [TableEntry(text.ABSENT)] * 3
        return TableEntry(one.label, one.reason or ""), TableEntry(str(one.epochs)), *unknown, allowed
    tuning = one.pace.seconds(one.epochs)
    return (
        TableEntry(one.label),
        TableEntry(str(one.epochs), order=one.epochs),
        TableEntry(text.latency(one.pace.step_seconds), order=one.pace.step_seconds),
        TableEntry(text.seconds(one.pace.trunk_seconds), order=one.pace.trunk_seconds),
        TableEntry(text.seconds(tuning), order=tuning),
        allowed,
    )
