"""Several studies side by side: did a change help?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunebench._util.chart_style import on_white
from tunebench._util.errors import UserError
from tunebench._util.files import write_atomically
from tunebench.report.blocks import Pictures, Report
from tunebench.report.charts import vega
from tunebench.report.charts.improvements import improvements_chart
from tunebench.report.charts.pictures import pictures
from tunebench.report.formats.html import html
from tunebench.report.formats.markdown import markdown
from tunebench.report.read.changes import changes
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.matches import matches
from tunebench.report.read.predictions import read_all
from tunebench.report.read.study import read_study
from tunebench.report.sections.improvements import Progress, sections, sentences, shifts
from tunebench.report.stats.improvements import improvements


@dataclass(frozen=True)
class ComparedStudies:
    """What a comparison of studies says: for each but the first its name and the sentences on it, and the page."""

    sentences: tuple[tuple[str, tuple[str, ...]], ...]
    page: Path


def compare(outs: Sequence[Path], folder: Path, margin: float = 0.01) -> ComparedStudies:
    """Compare studies with the first of them; write `comparison.html`, `comparison.md` and `figures/` into a folder.

    Techniques are matched by model, task and label. Each is tested on the seeds and the test examples of both studies.

    Args:
        outs: output folders of `tunebench run`, at least two.
        folder: made where it is missing.
        margin: a difference that does not matter: points; of a metric without an upper end a share of the best score.

    Raises:
        UserError: a folder is no study, stands twice, or nothing can be written.
    """
    names = _names(outs)
    studies = [read_study(out) for out in outs]
    compared = [comparisons(study) for study in studies]
    read = [
        {comparison.key: read_all(study.folder, comparison) for comparison in each}
        for study, each in zip(studies, compared, strict=True)
    ]
    vega.begin()
    steps, drawn = [], 0
    for number in range(1, len(outs)):
        matched, lone = matches(compared[0], compared[number])
        tested = improvements(matched, read[0], read[number], margin)
        chart = improvements_chart(names[0], names[number], list(shifts(tested)))
        shown = Pictures(pictures([chart] if chart else [], names[number], drawn))
        drawn += len(shown.pictures)
        steps.append(Progress(names[0], names[number], tested, changes(matched), lone, shown, margin))
    parts = [part for number, step in enumerate(steps, 1) for part in sections(step, number)]
    progress = " ".join(f"{name}: {study.progress}" for name, study in zip(names, studies, strict=True))
    page = _write(Report(" → ".join(names), progress, tuple(parts)), folder)
    return ComparedStudies(tuple((step.second, tuple(sentences(step))) for step in steps), page)


def _names(outs: Sequence[Path]) -> list[str]:
    """The folders' names, as much of their paths as keeps them apart."""
    places = [out.resolve() for out in outs]
    for place, out in zip(places, outs, strict=True):
        if places.count(place) > 1:
            raise UserError(f"{out} stands twice. Give the folders of different studies.")
    for length in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-length:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def _write(report: Report, folder: Path) -> Path:
    drawn = {f"figures/{picture.file}": on_white(picture.svg) for picture in report.pictures if picture.svg}
    script = vega.javascript() if report.pictures else None
    files = {"comparison.html": html(report, script), "comparison.md": markdown(report), **drawn}
    try:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / name, content.encode())
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}). Name another folder with --out.") from error
    return folder / "comparison.html"
