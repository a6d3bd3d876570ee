"""The notices of a report by code, each with the runs that it concerns; what can change a decision most comes first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tunebench.records import Done
from tunebench.report import text
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.read.study import RunResult
from tunebench.report.stats.checks import Finding


class Weight(Enum):
    """What notices mean for a decision, and their codes: the weightiest first."""

    WRONG = "Figures that may be wrong or not comparable"
    MISSING = "Techniques without figures"
    DOUBT = "Techniques that may be better or worse than they look"
    MINOR = "How figures came about"


_CODES: dict[Weight, tuple[str, ...]] = {
    Weight.WRONG: (
        "not_comparable",
        "padded_positions",
        "test_in_train",
        "label_in_input",
        "unequal_budgets",
        "mixed_versions",
        "undefined",
    ),
    Weight.MISSING: ("failed", "stopped", "skipped", "not_applicable", "paused", "pending"),
    Weight.DOUBT: (
        "diverged",
        "constant_answer",
        "unmoved",
        "underfitted",
        "edge_of_grid",
        "untuned_rates",
        "stopped_in_warmup",
        "too_few_examples",
        "contradictory",
        "unreadable",
        "blank",
        "unseen_words",
    ),
    Weight.MINOR: ("truncated", "comparison", "fresh_module", "not_merged", "uncached", "uncut", "cached"),
}


@dataclass(frozen=True)
class Group:
    """All notices of one code: each message with the runs or comparisons that it concerns."""

    code: str
    messages: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def weight(self) -> Weight:
        """What it means for a decision; a code that is not listed casts doubt."""
        return next((weight for weight, codes in _CODES.items() if self.code in codes), Weight.DOUBT)

    @property
    def place(self) -> tuple[int, int, str]:
        """Among other notices: the weightiest first."""
        codes = _CODES[self.weight]
        known = codes.index(self.code) if self.code in codes else len(codes)
        return [*Weight].index(self.weight), known, self.code


def notices(comparisons: Sequence[Comparison], checked: Sequence[Sequence[Finding]] = ()) -> list[Group]:
    """The runs' own notices, why figures are missing or not comparable, and the findings of the checks.

    `checked` holds each comparison's findings.
    """
    codes: dict[str, dict[str, list[str]]] = {}
    for comparison, findings in zip(comparisons, checked or [()] * len(comparisons), strict=True):
        where = f"{comparison.model} / {comparison.task}"
        for warning in comparison.warnings:
            codes.setdefault("not_comparable", {}).setdefault(warning, []).append(where)
        seeds: dict[tuple[str, str], dict[str, list[int]]] = {}
        for row in comparison.rows:
            for code, message, of in _of_row(row):
                seeds.setdefault((code, message), {}).setdefault(row.label, []).extend(of)
        for code, message, label, seed in findings:
            if label is None:
                codes.setdefault(code, {}).setdefault(message, []).append(where)
            else:
                seeds.setdefault((code, message), {}).setdefault(label, []).append(seed)
        for (code, message), labels in seeds.items():
            codes.setdefault(code, {}).setdefault(message, []).append(f"{where}: {_who(comparison, labels)}")
    groups = [
        Group(code, tuple((message, tuple(abouts)) for message, abouts in messages.items()))
        for code, messages in codes.items()
    ]
    return sorted(groups, key=lambda group: group.place)


def _who(comparison: Comparison, labels: Mapping[str, Sequence[int]]) -> str:
    """Techniques, with their seeds if not all are concerned."""
    planned = {row.label: len(row.runs) for row in comparison.rows}
    whole = {label for label, seeds in labels.items() if len(seeds) == planned[label]}
    if whole == set(planned) and len(planned) > 1:
        return "all techniques"
    return ", ".join(
        label if label in whole else f"{label} (seed {' and '.join(map(str, seeds))})"
        for label, seeds in labels.items()
    )


def _of_row(row: Row) -> Iterator[tuple[str, str, list[int]]]:
    if not row.runs:
        code, _, reason = row.troubles[0].partition(": ")
        yield code.replace(" ", "_"), reason, []
    for run in row.runs:
        for code, message in _of_run(run):
            yield code, message, [run.plan.seed]


def _of_run(run: RunResult) -> Iterator[tuple[str, str]]:
    result = run.result
    if result is None:
        yield "pending", "no result yet"
        return
    if not isinstance(result, Done):
        yield run.status, result.reason
        return
    for notice in result.notices:
        yield notice.code, notice.message
    cut = {split: number for split, number in result.data.truncated.items() if number}
    if cut and not any(notice.code == "truncated" for notice in result.notices):
        yield "truncated", f"Truncated texts: {text.settings(cut)}."
