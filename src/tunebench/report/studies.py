"""Several studies side by side: did a change help?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunebench._util.errors import UserError
from tunebench.report.blocks import Charts, Pictures, Report
from tunebench.report.charts import vega
from tunebench.report.charts.base import looks
from tunebench.report.charts.improvements import improvements_chart
from tunebench.report.charts.pictures import pictures
from tunebench.report.files import Texts, write_files
from tunebench.report.formats.html import html
from tunebench.report.formats.markdown import markdown
from tunebench.report.options import Options
from tunebench.report.read.changes import changes
from tunebench.report.read.comparisons import Comparison, comparisons
from tunebench.report.read.matches import matches
from tunebench.report.read.predictions import Given, read_all
from tunebench.report.read.study import StudyResults, read_study
from tunebench.report.sections import side_by_side
from tunebench.report.sections.base import Case
from tunebench.report.sections.cards import drawn_card
from tunebench.report.sections.improvements import Progress, sections, sentences, shifts
from tunebench.report.sections.results import comparison_table
from tunebench.report.stats.improvements import improvements
from tunebench.report.stats.paired import paired


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
    if (folder / "plan.json").exists():
        raise UserError(f"--out {folder}: it is the folder of a study, whose figures would go. Name another one.")
    studies = [_Read.of(name, out) for name, out in zip(_names(outs), outs, strict=True)]
    vega.begin()
    steps, drawn = [], 0
    for study in studies[1:]:
        steps.append(_progress(studies[0], study, margin, drawn))
        drawn += len(steps[-1].pictures.pictures)
    sides = list(_sides(studies, margin, drawn))
    parts = [part for number, step in enumerate(steps, 1) for part in sections(step, number)]
    progress = " ".join(f"{study.name}: {study.study.progress}" for study in studies)
    title = " → ".join(study.name for study in studies)
    page = _write(Report(title, progress, (*parts, *side_by_side.sections(sides, 100 * margin))), folder)
    return ComparedStudies(tuple((step.second, tuple(sentences(step))) for step in steps), page)


@dataclass(frozen=True)
class _Read:
    """A study with its comparisons and what their runs answered."""

    name: str
    study: StudyResults
    compared: list[Comparison]
    given: dict[tuple[str, str], Given]

    @classmethod
    def of(cls, name: str, out: Path) -> "_Read":
        """A study's folder.

        Raises:
            UserError: it holds none.
        """
        study = read_study(out)
        compared = comparisons(study)
        return cls(name, study, compared, {one.key: read_all(out, one) for one in compared})


def _progress(first: _Read, other: _Read, margin: float, drawn: int) -> Progress:
    """From the first study to another one; `drawn` pictures stand before."""
    matched, lone = matches(first.compared, other.compared)
    tested = improvements(matched, first.given, other.given, margin)
    chart = improvements_chart(first.name, other.name, list(shifts(tested)))
    shown = Pictures(pictures([chart] if chart else [], other.name, drawn))
    return Progress(first.name, other.name, tested, changes(matched), lone, shown, margin)


def _sides(studies: Sequence[_Read], margin: float, drawn: int) -> Iterator[side_by_side.Side]:
    """Each comparison of each study, as its own report has it."""
    look = looks([row.label for study in studies for one in study.compared for row in one.rows])
    for number, study in enumerate(studies, 1):
        for place, one in enumerate(study.compared, 1):
            given = study.given[one.key]
            tests = paired(one, given.answers, None, Options(margin), groups=given.groups)
            anchor = f"study-{number}-{place}"
            case = Case(study.name, one, tests, given.answers, given.inputs, look, 100 * margin, anchor)
            card = drawn_card(case)
            charts = card.picture.charts if isinstance(card.picture, Charts) else ()
            picture = Pictures(pictures(charts, f"{study.name}-{one.model}-{one.task}", drawn))
            drawn += len(picture.pictures)
            where = f"{card.where}: {study.name}"
            yield side_by_side.Side(
                study.name, (one, tests, replace(card, where=where, picture=picture)), comparison_table(one, tests)
            )


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
    def texts(script: str | None) -> Texts:
        return {"comparison.html": lambda: html(report, script), "comparison.md": lambda: markdown(report)}

    try:
        write_files(report, folder, texts)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}). Name another folder with --out.") from error
    return folder / "comparison.html"
