"""Reports on a study: tables, charts and sentences, made from files only.

Data flow: `read/` (what files say, as comparisons and rows) -> `stats/` (paired tests, verdicts, checks,
notices) and `charts/` (Vega-Lite) -> `sections/` (one file each; they yield the blocks of `blocks.py`) -> `formats/`
(HTML, Markdown, LaTeX render any block; CSV, JSON and data frames are made of the records). `assemble.py` joins them
and examines the comparisons of a large study in parallel processes.

To add a section: one file in `sections/` and one line in its `__init__.py`. No format and no template changes.
"""

import gc
import os
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tunebench._util.errors import UserError
from tunebench.report.assemble import assemble
from tunebench.report.blocks import Report
from tunebench.report.files import Texts, write_files
from tunebench.report.formats.html import html
from tunebench.report.formats.latex import latex
from tunebench.report.formats.leaderboard import Leaderboard, leaderboards
from tunebench.report.formats.markdown import markdown
from tunebench.report.formats.records import as_csv, as_json
from tunebench.report.options import Options
from tunebench.report.read.study import StudyResults, read_study
from tunebench.report.stats.kept import Kept
from tunebench.report.stats.rescore import Change, rescore

if TYPE_CHECKING:
    import pandas


def build(out: Path, options: Options | None = None) -> Path:
    """Write `results.json`, `results.csv`, `report.md`, `report.tex`, `report.html`, `figures/` into a study's folder.

    Runs without a result are shown as pending: a report can be made at any time. The same results give the same bytes.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: the folder holds no study or cannot be written, or memory ran out. The runs stay as they are.
    """
    return build_with_leaderboards(out, options)[0]


def build_with_leaderboards(out: Path, options: Options | None = None) -> tuple[Path, list[Leaderboard]]:
    """As `build`, with the leaderboard and the first conclusion of each comparison.

    Raises:
        UserError: as `build`.
    """
    with _whole(out), _uncollected():
        kept = Kept(out)
        options = options or Options()
        study = read_study(out).priced(options.price_per_hour)
        report = assemble(study, kept, options)
        page = _write(study, report, out)
        kept.save()
    return page, leaderboards(report)


def build_rescored(out: Path, options: Options | None = None) -> tuple[Path, list[Change], list[str]]:
    """As `build`, with every test metric and paired test computed again from the runs' predictions.

    The records stay as they are.

    Returns:
        The path of `report.html`, the values that changed, and the runs without readable predictions.

    Raises:
        UserError: as `build`.
    """
    with _whole(out), _uncollected():
        options = options or Options()
        study, changes, unread = rescore(read_study(out).priced(options.price_per_hour))
        return _write(study, assemble(study, Kept(), options), out), changes, unread


def results(out: str | Path) -> "pandas.DataFrame":
    """A study's runs, one per row, with the columns of `results.csv`. A notebook displays techniques by tasks instead.

    Raises:
        UserError: the folder holds no study.
    """
    from tunebench.report.formats.frame import Results

    return Results.of(read_study(Path(out)))


@contextmanager
def _whole(out: Path) -> Iterator[None]:
    """One sentence where the report cannot be made to its end on this machine."""
    try:
        yield
    except (OSError, MemoryError, BrokenProcessPool) as error:
        if isinstance(error, OSError):
            reason = f"cannot be written ({os.fspath(error.filename2 or error.filename or out)}: {error.strerror})"
        else:
            reason = "needs more memory than there is"
        raise UserError(
            f"{out}: the report {reason}. All runs are kept: correct that, and 'tunebench report {out}' writes it."
        ) from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cyclic garbage collector, which would traverse all answers of a study again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _write(study: StudyResults, report: Report, out: Path) -> Path:
    def texts(script: str | None) -> Texts:
        return {
            "report.html": lambda: html(report, script),
            "report.md": lambda: markdown(report),
            "results.csv": lambda: as_csv(study),
            "results.json": lambda: as_json(study),
            "report.tex": lambda: latex(report),
        }

    write_files(report, out, texts, len(study.runs))
    return out / "report.html"
