"""The report's pages: HTML, Markdown and LaTeX from one content."""

import base64
import hashlib
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunebench.report import text
from tunebench.report.charts import vega
from tunebench.report.content import overviews, read_all
from tunebench.report.formats.latex import document
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.study import StudyResults
from tunebench.report.sections.summary import progress
from tunebench.report.stats.kept import Kept
from tunebench.report.stats.paired import paired
from tunebench.report.table import BEST, Table

_LOADER = PackageLoader("tunebench.report")


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


def notebook(study: StudyResults) -> str:
    """The techniques by tasks, for a notebook's output."""
    found = comparisons(study)
    kept = Kept(study.folder)
    tested = [paired(comparison, read_all(study, comparison)[0], kept) for comparison in found]
    template = _html_environment().get_template("notebook.html.j2")
    return template.render(study=study, progress=progress(study), overviews=overviews(found, tested), best=BEST)
