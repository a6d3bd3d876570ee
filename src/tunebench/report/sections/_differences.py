"""Records as one table of fields, which several sections show."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunebench.report import text
from tunebench.report.blocks import Column, Table, table


def differences(caption: str, records: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Table]:
    """One line per field; where records differ, one per value with its owners. No table without records."""
    fields: dict[str, dict[str, list[str]]] = {}
    owners = []
    for owner, record in records:
        owners.append(owner)
        for name, value in record.items():
            fields.setdefault(name, {}).setdefault(text.plain(value), []).append(owner)
    rows = []
    for name, values in fields.items():
        for value, having in values.items():
            rows.append([name, value, _whose(having, owners)])
    columns = [Column("Field", numeric=False), Column("Value", numeric=False), Column("Of", numeric=False)]
    return [table(caption, columns, rows)] if rows else []


def _whose(having: Sequence[str], owners: Sequence[str]) -> str:
    """All, or the shorter of two lists: those that have the value, or those that do not."""
    theirs = set(having)
    others = [owner for owner in owners if owner not in theirs]
    if not others:
        return "all"
    return f"all but {', '.join(others)}" if len(others) < len(having) else ", ".join(having)
