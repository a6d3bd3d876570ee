"""The report's pages: HTML and Markdown from one set of tables."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tunebench.metrics import METRICS
from tunebench.report import text
from tunebench.report.answers import answers
from tunebench.report.appendix import appendix
from tunebench.report.checks import checks
from tunebench.report.comparisons import Comparison, comparisons
from tunebench.report.costs import TARGET
from tunebench.report.figures import drawings, styles
from tunebench.report.kept import Kept
from tunebench.report.latex import document
from tunebench.report.notices import notices
from tunebench.report.published import published
from tunebench.report.reading import Study, read_answers
from tunebench.report.statistics import paired
from tunebench.report.summary import progress, sentences
from tunebench.report.tables import BEST, Table, comparison_table, family_table
from tunebench.report.verdicts import NEAR

_LOADER = PackageLoader("tunebench.report")
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
    "bars are the intervals by which techniques are compared, a dotted level is what costs nothing.",
    "Answers: greedy takes the likeliest token each time, sampled draws among the likeliest that hold 90 % of the "
    "probability, with the run's seed. The same test prompts for all techniques; the first seed of each is shown.",
    "Early stopping ends runs at different epochs, so seconds are the time to the end, not the price of equal work.",
)


def page(study: Study, kept: Kept) -> dict[str, Any]:
    """What both templates show; `kept` is what earlier reports found."""
    found = comparisons(study)
    families: dict[str, list[Comparison]] = {}
    for comparison in found:
        families.setdefault(comparison.family, []).append(comparison)
    tested, doubts = [], []
    for comparison in found:
        ids = [result.run.id for row in comparison.rows for result in row.done]
        given = {run: read_answers(study.folder, run) for run in ids}
        tested.append(paired(comparison, given, kept))
        doubts.append(checks(comparison, tested[-1], given))
    of = dict(zip(map(id, found), tested, strict=True))
    used = dict.fromkeys(name for comparison in found for name in comparison.metrics)
    return {
        "study": study,
        "progress": progress(study),
        "families": [(family, family_table(group), group) for family, group in families.items()],
        "comparison_table": lambda comparison: comparison_table(comparison, of[id(comparison)]),
        "answers": lambda comparison: [*published(comparison, study.plan.study), *answers(comparison)],
        "sentences": lambda comparison: sentences(comparison, of[id(comparison)]),
        "notices": notices(found, doubts),
        "appendix": appendix(study, found, tested),
        "metrics": [METRICS[name] for name in used if name in METRICS],
        "reading": _READING,
        "best": BEST,
    }


def html(content: dict[str, Any]) -> str:
    """One page, with everything in it. Every text is escaped."""
    looks = styles(
        [row.label for _, _, group in content["families"] for comparison in group for row in comparison.rows]
    )
    environment = Environment(loader=_LOADER, autoescape=True, trim_blocks=True, lstrip_blocks=True,
                              undefined=StrictUndefined)  # fmt: skip
    template = environment.get_template("report.html.j2")
    return template.render(content, drawings=lambda comparison: drawings(comparison, looks))


def markdown(content: dict[str, Any]) -> str:
    """The same without figures. Every text is escaped that is not `text.Markdown`."""
    environment = Environment(loader=_LOADER, autoescape=False, finalize=text.markdown, trim_blocks=True,
                              lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined)  # fmt: skip
    template = environment.get_template("report.md.j2")
    return template.render(content, table=markdown_table, fenced=text.fenced)


def latex(content: dict[str, Any]) -> str:
    """The tables of the families and their comparisons, for a paper."""
    tables = []
    for _, overview, group in content["families"]:
        tables += [overview, *map(content["comparison_table"], group)]
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
