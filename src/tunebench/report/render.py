"""The report's pages: HTML, Markdown and LaTeX from one set of tables."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunebench.metrics import METRICS
from tunebench.report import text, vega
from tunebench.report.answers import answers
from tunebench.report.appendix import appendix, environment
from tunebench.report.by_label import by_label, confusions
from tunebench.report.checks import checks
from tunebench.report.comparisons import Comparison, comparisons
from tunebench.report.costs import TARGET
from tunebench.report.disagreements import disagreements, sample
from tunebench.report.figures import Chart, Looks, charts, looks
from tunebench.report.findings import findings
from tunebench.report.kept import Kept
from tunebench.report.latex import document
from tunebench.report.notices import notices
from tunebench.report.published import published
from tunebench.report.reading import Answers, Study, read_predictions
from tunebench.report.statistics import Pairs, paired
from tunebench.report.summary import progress, sentences
from tunebench.report.tables import BEST, Table, comparison_table, family_table
from tunebench.report.verdicts import NEAR

_LOADER = PackageLoader("tunebench.report")
_PICTURES = 40
"""Charts that are drawn as SVG too, a study's first ones: each takes a twentieth of a second or more."""

_READING = (
    "Values are of the test split unless said otherwise; the best epoch was chosen on validation. Where a data set "
    "has no test labels of its own, the notes below its table say what stands in for them.",
    "One seed: the value with its 95 % bootstrap interval over examples, which holds the chance of the examples drawn, "
    "not that of the seed.",
    "Several seeds: the mean over the seeds that ended, with the lowest and the highest seed (low..high).",
    "Techniques are compared in pairs on the same test examples, by approximate randomisation with 10,000 trials; "
    "p-values are corrected for the number of pairs (Holm). Techniques that share a letter are not told apart at 0.05. "
    f"Close: told apart from the best, by at most {NEAR:g} (perplexity: {NEAR:.0%}). Fails: trained, and no better "
    "than the untuned model. Seeds are averaged: this is the chance of the examples, not of the seeds.",
    "An undefined value is shown as undefined, and a mean with an undefined member is undefined.",
    "Trainable parameters are counted once each, the head included.",
    "Peak memory is that of the whole worker process: libraries, data, and what it kept of the runs that it made "
    "before (compiled kernels, mostly). So it grows along a study, and compares techniques roughly.",
    "Prefix: computing frozen layers once. Train: training. Whole run: these, evaluation, loading and saving. With "
    "several seeds, seconds are means; memory and saved bytes are the largest.",
    f"To target: seconds of tuning and validating until an epoch reaches {100 * TARGET:g} % of the best technique's "
    "validation score. Latency: one answer to one test text of median length, alone in its batch, as trained and "
    "with the technique merged into the weights. Pareto front: the costs at which no other technique is both cheaper "
    "and better (figures as they are; chance is not considered).",
    "Curves: one line a run, a ring at the best epoch, a dotted level for what has no epochs. Quality against cost: "
    "bars are intervals (several seeds: from the lowest end to the highest), a dotted level is what costs nothing, the "
    "stepped line is the Pareto front. "
    "Click on a name in a legend to single it out; with Shift, the wheel zooms and dragging moves; a double click "
    "resets.",
    "Test examples on which techniques differ: those whose scores, each example's own main metric, spread most over "
    "the techniques, the untuned model left out; the first seed that all have.",
    "Answers: greedy takes the likeliest token each time, sampled draws among the likeliest that hold 90 % of the "
    "probability, with the run's seed. The same test prompts for all techniques; the first seed of each is shown.",
    "Early stopping ends runs at different epochs, so seconds are the time to the end, not the price of equal work.",
)


@dataclass(frozen=True)
class Picture:
    """A chart in a page: its data, and its SVG unless too many were drawn before."""

    chart: Chart
    file: str
    svg: str | None

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
        given, inputs = _answers(study, comparison)
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
            for family, overview in _overviews(found, tested)
        ],
        "notices": noticed,
        "environment": environment(study),
        "appendix": appendix(found, tested),
        "metrics": [METRICS[name] for name in used if name in METRICS],
        "reading": _READING,
        "best": BEST,
        "not_drawn": _not_drawn(sum(picture.svg is None for cell in cells for picture in cell.pictures)),
    }


def notebook(study: Study) -> str:
    """The techniques by tasks, for a notebook's output."""
    found = comparisons(study)
    kept = Kept(study.folder)
    tested = [paired(comparison, _answers(study, comparison)[0], kept) for comparison in found]
    template = _html_environment().get_template("notebook.html.j2")
    return template.render(study=study, progress=progress(study), overviews=_overviews(found, tested), best=BEST)


def _answers(study: Study, comparison: Comparison) -> tuple[dict[str, Answers | None], list[str] | None]:
    """By run id; and what the models were asked, from the first run that says it."""
    given: dict[str, Answers | None] = {}
    inputs = None
    for run in (result.run.id for row in comparison.rows for result in row.done):
        given[run], asked = read_predictions(study.folder, run)
        inputs = inputs or asked
    return given, inputs


def _overviews(found: Sequence[Comparison], tested: Sequence[Pairs | None]) -> list[tuple[str, Table]]:
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
    matrices = confusions(comparison, given)
    shown = [
        *published(comparison, study.plan.study), *by_label(comparison, given), *matrices[:1],
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
        yield Picture(chart, file, vega.svg(chart, f"figure-{number}") if number <= _PICTURES else None)


def pictures(content: dict[str, Any]) -> dict[str, str]:
    """The figures as files, by name: the first view of each chart, on white."""
    found = [picture for _, _, group in content["families"] for cell in group for picture in cell.pictures]
    return {picture.file: vega.on_white(picture.svg) for picture in found if picture.svg}


def html(content: dict[str, Any]) -> str:
    """One page, with everything in it. Every text is escaped, and only the page's own two scripts may run."""
    charts = any(cell.pictures for _, _, group in content["families"] for cell in group)
    own = resources.files("tunebench.report").joinpath("templates/report.js").read_text("utf-8")
    scripts = [vega.javascript(), own] if charts else [own]
    template = _html_environment().get_template("report.html.j2")
    return template.render(content, scripts=list(map(Markup, scripts)), policy=_policy(scripts), charts=charts,
                           licence=vega.licence() if charts else "")  # fmt: skip


def _html_environment() -> Environment:
    return Environment(loader=_LOADER, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)


def _policy(scripts: list[str]) -> str:
    """No request, no script but these: what a text of the study says can be nothing but text."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def markdown(content: dict[str, Any]) -> str:
    """The same with its figures as files. Every text is escaped that is not `text.Markdown`."""
    environment = Environment(loader=_LOADER, autoescape=False, finalize=text.markdown, trim_blocks=True,
                              lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined)  # fmt: skip
    template = environment.get_template("report.md.j2")
    return template.render(content, table=markdown_table, fenced=text.fenced)


def latex(content: dict[str, Any]) -> str:
    """The tables of the families and their comparisons, for a paper."""
    tables = []
    for _, overview, group in content["families"]:
        tables += [overview, *(cell.table for cell in group)]
    return document(tables)


def markdown_table(table: Table) -> text.Markdown:
    """A pipe table whose columns are aligned in the source too; a last column of words is left ragged."""
    header = [
        text.markdown(f"{column.title} ({column.note})" if column.note else column.title) for column in table.columns
    ]
    lines = [header, *(_fields(table, row) for row in table.rows)]
    widths = [max(3, *(len(line[index]) for line in lines)) for index in range(len(header))]
    if not table.columns[-1].numeric:
        widths[-1] = max(3, len(header[-1]))
    rule = ["-" * (width - 1) + ":" if column.numeric else "-" * width
            for column, width in zip(table.columns, widths, strict=True)]  # fmt: skip
    padded = [
        [field.rjust(width) if column.numeric else field.ljust(width)
         for field, column, width in zip(line, table.columns, widths, strict=True)]
        for line in lines
    ]  # fmt: skip
    return text.Markdown("\n".join(f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]]))


def _fields(table: Table, row: tuple[Any, ...]) -> list[str]:
    """A row's fields; what spans the rest of a row stands in the last column."""
    fields = []
    for entry in row:
        shown = text.markdown(entry.text)
        if entry.note:
            note = text.markdown(entry.note)
            shown += f" {note}" if note.startswith("[") else f" ({note})"
        fields += [text.ABSENT] * (entry.span - 1) + [f"{BEST} **{shown}**" if entry.best else shown]
    return fields
