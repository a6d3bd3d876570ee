"""What a report shows, put together from a study: the same for every format."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tunebench._util import chart_style
from tunebench.evaluation.metrics import METRICS
from tunebench.report import beside, text
from tunebench.report.charts import vega
from tunebench.report.charts.base import Chart, Looks, looks
from tunebench.report.charts.figures import charts
from tunebench.report.read.comparisons import Comparison, comparisons
from tunebench.report.read.study import Answers, StudyResults, read_predictions
from tunebench.report.sections.answers import answers
from tunebench.report.sections.appendix import appendix, environment
from tunebench.report.sections.by_label import by_label, confusions, labelled
from tunebench.report.sections.disagreements import disagreements, sample
from tunebench.report.sections.findings import findings
from tunebench.report.sections.how_to_read import READING
from tunebench.report.sections.notices import notices
from tunebench.report.sections.published import published
from tunebench.report.sections.summary import progress, sentences
from tunebench.report.sections.tables import comparison_table, family_table
from tunebench.report.stats.checks import Finding, checks
from tunebench.report.stats.kept import Kept
from tunebench.report.stats.paired import Pairs, paired
from tunebench.report.table import BEST, Table

_PICTURES = 40
"""Charts that are drawn as SVG too, a study's first ones: each takes a twentieth of a second or more."""


@dataclass(frozen=True)
class Picture:
    """A chart in a page: its data, and its SVG unless there are too many before it."""

    chart: Chart
    file: str
    drawn: vega.Drawn | None

    @property
    def svg(self) -> str | None:
        """The SVG, as soon as it is drawn."""
        return self.drawn.svg if self.drawn else None

    @property
    def inline(self) -> Markup:
        """The SVG as a part of a page."""
        return vega.inline(self.svg, self.chart.title) if self.svg else Markup()

    @property
    def data(self) -> Markup:
        """What the page's script draws, as JSON that cannot end its element."""
        return Markup(json.dumps(vega.data(self.chart), ensure_ascii=False).replace("<", "\\u003c"))


@dataclass(frozen=True)
class Cell:
    """One comparison with everything that is shown of it. Folded tables stand behind a click."""

    comparison: Comparison
    tests: Pairs | None
    sentences: list[str]
    table: Table
    pictures: list[Picture]
    tables: list[Table]
    folded: list[Table]


def page(study: StudyResults, kept: Kept) -> dict[str, Any]:
    """What both templates show; `kept` is what earlier reports found."""
    found = comparisons(study)
    look = looks([row.label for comparison in found for row in comparison.rows])
    cells, doubts = [], []
    if any(row.done for comparison in found for row in comparison.rows):
        vega.begin()

    def examine(number: int) -> _Examined:
        return _examined(study, found[number], kept, look)

    for comparison, examined in zip(found, beside.each(examine, len(found), len(study.runs)), strict=True):
        kept.used |= examined.outcomes
        doubts.append(examined.doubts)
        cells.append(_cell(comparison, examined, sum(len(cell.pictures) for cell in cells)))
    used = dict.fromkeys(name for comparison in found for name in comparison.metrics)
    noticed = notices(found, doubts)
    tested = [cell.tests for cell in cells]
    return {
        "study": study,
        "progress": progress(study),
        "findings": findings(list(zip(found, tested, strict=True)), noticed),
        "families": [
            (family, overview, [cell for cell in cells if cell.comparison.family == family])
            for family, overview in overviews(found, tested)
        ],
        "notices": noticed,
        "environment": environment(study),
        "appendix": appendix(found, tested),
        "metrics": [METRICS[name] for name in used if name in METRICS],
        "reading": READING,
        "best": BEST,
        "not_drawn": _not_drawn(sum(picture.drawn is None for cell in cells for picture in cell.pictures)),
    }


def read_all(study: StudyResults, comparison: Comparison) -> tuple[dict[str, Answers | None], list[str] | None]:
    """By run id; and what the models were asked, from the first run that says it."""
    given: dict[str, Answers | None] = {}
    inputs = None
    for run in (result.run.id for row in comparison.rows for result in row.done):
        given[run], asked = read_predictions(study.folder, run)
        inputs = inputs or asked
    return given, inputs


def overviews(found: Sequence[Comparison], tested: Sequence[Pairs | None]) -> list[tuple[str, Table]]:
    """By family, in the order of the plan."""
    families: dict[str, list[tuple[Comparison, Pairs | None]]] = {}
    for comparison, tests in zip(found, tested, strict=True):
        families.setdefault(comparison.family, []).append((comparison, tests))
    return [(family, family_table(*zip(*group, strict=True))) for family, group in families.items()]


def _not_drawn(count: int) -> str:
    if not count:
        return ""
    which = f"Of the charts the first {_PICTURES} are drawn as pictures too, so that a large study is written quickly"
    return f"{which}: {text.plural(count, 'chart')} of report.html would be missing in print, and are in no file."


@dataclass(frozen=True)
class _Examined:
    """What is found out about one comparison, with nothing in it that another process could not send."""

    tests: Pairs | None
    outcomes: dict[str, Any]
    doubts: list[Finding]
    sentences: list[str]
    table: Table
    charts: list[Chart]
    tables: list[Table]
    folded: list[Table]


def _examined(study: StudyResults, comparison: Comparison, kept: Kept, look: Looks) -> _Examined:
    given, inputs = read_all(study, comparison)
    tests = paired(comparison, given, kept)
    labels = labelled(comparison, given)
    matrices = confusions(labels)
    return _Examined(
        tests=tests,
        outcomes=kept.used,
        doubts=checks(comparison, tests, given),
        sentences=sentences(comparison, tests),
        table=comparison_table(comparison, tests),
        charts=charts(comparison, look, given),
        tables=[
            *published(comparison, study.plan.study), *by_label(labels), *matrices[:1],
            *disagreements(comparison, given, inputs), *answers(comparison),
        ],
        folded=[*matrices[1:], *sample(comparison, given, inputs)],
    )  # fmt: skip


def _cell(comparison: Comparison, examined: _Examined, drawn: int) -> Cell:
    return Cell(
        comparison=comparison,
        tests=examined.tests,
        sentences=examined.sentences,
        table=examined.table,
        pictures=list(_pictures(comparison, examined.charts, drawn)),
        tables=examined.tables,
        folded=examined.folded,
    )


def _pictures(comparison: Comparison, drawn: list[Chart], before: int) -> Iterator[Picture]:
    where = re.sub(r"[^A-Za-z0-9]+", "-", f"{comparison.model}-{comparison.task}").strip("-").lower()[:80]
    for number, chart in enumerate(drawn, before + 1):
        file = f"{number:03}-{where}-{chart.name}.svg"
        yield Picture(chart, file, vega.Drawn(chart, f"figure-{number}") if number <= _PICTURES else None)


def pictures(content: dict[str, Any]) -> dict[str, str]:
    """The figures as files, by name: the first view of each chart, on white."""
    found = [picture for _, _, group in content["families"] for cell in group for picture in cell.pictures]
    return {picture.file: chart_style.on_white(picture.svg) for picture in found if picture.svg}
