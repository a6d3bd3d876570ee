"""The figures on the pages of results by technique, read from their tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """A technique's figure in one table.

    Attributes:
        where: the cell: task, backbone and metric.
        page: the page, with its section.
        value: the figure with its interval.
        best: the best figure of the table, and its technique.
        trained: number of trained parameters.
    """

    where: str
    page: str
    value: str
    best: str
    trained: str


def measured(folder: Path) -> dict[str, list[Measured]]:
    """Technique -> its figures, from every table whose first column is `technique` and which has a `trained` column."""
    figures: dict[str, list[Measured]] = {}
    for page in sorted(folder.glob("*.md")):
        backbone = _text(page).partition("\n")[0].rpartition(": ")[2].removeprefix("# ")
        for section, caption, header, rows in _tables(page):
            counted = next((place for place, name in enumerate(header) if name.startswith("trained")), None)
            if header[0] != "technique" or counted is None:
                continue
            where = caption.rstrip(":").split(";")[0] or f"{section}, {header[1].split(' [')[0]}, {backbone}"
            best = (min if "lower is better" in caption else max)(rows, key=lambda row: float(row[1].split()[0]))
            shown = f"{best[1].split()[0]} (`{best[0].split()[0]}`)"
            for row in rows:
                name, _, settings = row[0].partition(" ")
                one = Measured(
                    f"{where}, {settings}" if settings else where,
                    f"{page.name}#{_anchor(section)}",
                    row[1],
                    shown,
                    row[counted],
                )
                figures.setdefault(name, []).append(one)
    return figures


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _tables(page: Path) -> Iterator[tuple[str, str, list[str], list[list[str]]]]:
    """Section, caption (the paragraph just above, if it ends with a colon), header and rows of every table."""
    section, caption, lines = "", "", []
    for line in [*_text(page).splitlines(), ""]:
        if line.startswith("|"):
            lines.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if lines:
            yield section, caption, lines[0], lines[2:]
            lines, caption = [], ""
        if line.startswith("#"):
            section, caption = line.lstrip("# "), ""
        elif line.strip():
            caption = line if line.endswith(":") else ""


def _anchor(section: str) -> str:
    return re.sub(r"[^\w\- ]", "", section.lower()).replace(" ", "-")
