"""The files of a report: its texts in several formats, and its pictures."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tunebench._util.chart_style import on_white
from tunebench._util.files import write_atomically
from tunebench.report import processes
from tunebench.report.blocks import Report
from tunebench.report.charts import vega

Texts = Mapping[str, Callable[[], str]]
"""By the name of a file what makes its content."""


def write_files(report: Report, folder: Path, texts: Callable[[str | None], Texts], runs: int = 0) -> None:
    """Write texts and `figures/` into a folder; pictures of an earlier report go.

    Args:
        report: whose pictures these are.
        folder: made where it is missing.
        texts: given the script that draws the page's charts, if it has any.
        runs: of the study, which decides whether texts are made side by side.

    Raises:
        OSError: the folder cannot be written.
    """
    # Before the pages: a forked process could not wait for charts in progress.
    drawn = {f"figures/{picture.file}": on_white(picture.svg) for picture in report.pictures if picture.svg}
    makers = texts(vega.javascript() if report.pictures else None)
    made = processes.each(lambda number: list(makers.values())[number](), len(makers), runs)
    for name, content in {**dict(zip(makers, made, strict=True)), **drawn}.items():
        write_atomically(folder / name, content.encode())
    for old in (folder / "figures").glob("*.svg"):
        if f"figures/{old.name}" not in drawn:
            old.unlink()
