"""What a report shows, put together from a study: the same for every format."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tunebench.metrics import METRICS
from tunebench.report import text, vega
from tunebench.report.answers import answers
from tunebench.report.appendix import appendix, environment
from tunebench.report.by_label import by_label, confusions, labelled
from tunebench.report.chart import Chart, Looks, looks
from tunebench.report.checks import checks
from tunebench.report.comparisons import Comparison, comparisons
from tunebench.report.disagreements import disagreements, sample
from tunebench.report.figures import charts
from tunebench.report.findings import findings
from tunebench.report.how_to_read import READING
from tunebench.report.kept import Kept
from tunebench.report.notices import notices
from tunebench.report.published import published
from tunebench.report.reading import Answers, Study, read_predictions
from tunebench.report.statistics import Pairs, paired
from tunebench.report.summary import progress, sentences
from tunebench.report.table import BEST, Table
from tunebench.report.tables import comparison_table, family_table

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


def page(study: Study, kept: Kept) -> dict[str, Any]:
    """What both templates show; `kept` is what earlier reports found."""
    found = comparisons(study)
    look = looks([row.label for comparison in found for row in comparison.rows])
    cells, doubts = [], []
    for comparison in found:
        given, inputs = read_all(study, comparison)
        tests = paired(comparison, given, kept)
        doubts.append(checks(comparison, tests, given))
        cells.append(_cell(study, comparison, tests, given, inputs, look, sum(len(cell.pictures) for cell in cells)))
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


def read_all(study: Study, comparison: Comparison) -> tuple[dict[str, Answers | None], list[str] | None]:
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


def _cell(
    study: Study,
    comparison: Comparison,
    tests: Pairs | None,
    given: dict[str, Answers | None],
    inputs: list[str] | None,
    look: Looks,
    drawn: int,
) -> Cell:
    labels = labelled(comparison, given)
    matrices = confusions(labels)
    shown = [
        *published(comparison, study.plan.study), *by_label(labels), *matrices[:1],
        *disagreements(comparison, given, inputs), *answers(comparison),
    ]  # fmt: skip
    return Cell(
        comparison=comparison,
        tests=tests,
        sentences=sentences(comparison, tests),
        table=comparison_table(comparison, tests),
        pictures=list(_pictures(comparison, charts(comparison, look, given), drawn)),
        tables=shown,
        folded=[*matrices[1:], *sample(comparison, given, inputs)],
    )


def _pictures(comparison: Comparison, drawn: list[Chart], before: int) -> Iterator[Picture]:
    where = re.sub(r"[^A-Za-z0-9]+", "-", f"{comparison.model}-{comparison.task}").strip("-").lower()[:80]
    for number, chart in enumerate(drawn, before + 1):
        file = f"{number:03}-{where}-{chart.name}.svg"
        yield Picture(chart, file, vega.Drawn(chart, f"figure-{number}") if number <= _PICTURES else None)


def pictures(content: dict[str, Any]) -> dict[str, str]:
    """The figures as files, by name: the first view of each chart, on white."""
    found = [picture for _, _, group in content["families"] for cell in group for picture in cell.pictures]
    return {picture.file: vega.on_white(picture.svg) for picture in found if picture.svg}
