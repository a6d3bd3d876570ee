"""Assembles a report: examines comparisons in parallel and puts the sections in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunebench.report import processes
from tunebench.report.blocks import Block, Charts, Details, PageOnly, Pictures, Report
from tunebench.report.charts import vega
from tunebench.report.charts.base import Looks, looks
from tunebench.report.charts.pictures import pictures
from tunebench.report.read.comparisons import Comparison, comparisons
from tunebench.report.read.predictions import read_all
from tunebench.report.read.study import StudyResults
from tunebench.report.sections import OF_COMPARISON, OF_STUDY
from tunebench.report.sections.base import Case, Examined, Whole
from tunebench.report.stats.checks import Finding, checks
from tunebench.report.stats.kept import Kept
from tunebench.report.stats.notices import notices
from tunebench.report.stats.paired import paired


@dataclass(frozen=True)
class _Examination:
    """The outcome of one process for one comparison."""

    examined: Examined
    outcomes: dict[str, Any]
    findings: list[Finding]


def assemble(study: StudyResults, kept: Kept) -> Report:
    """The report of a study, its charts in progress; `kept` holds the outcomes of earlier paired tests."""
    compared = comparisons(study)
    look = looks([row.label for comparison in compared for row in comparison.rows])
    if any(row.done for comparison in compared for row in comparison.rows):
        vega.begin()

    def examine(number: int) -> _Examination:
        return _examination(study, compared[number], kept, look)

    examined, findings, drawn = [], [], 0
    for one in processes.each(examine, len(compared), len(study.runs)):
        kept.used |= one.outcomes
        findings.append(one.findings)
        blocks = tuple(_drawn(one.examined, drawn))
        drawn += sum(len(block.pictures) for block in blocks if isinstance(block, Pictures))
        examined.append(replace(one.examined, blocks=blocks))
    whole = Whole(study, tuple(examined), tuple(notices(compared, findings)), _undrawn(examined))
    sections = [section for of_study in OF_STUDY for section in of_study(whole)]
    return Report(study.plan.study, study.progress, tuple(sections))


def _examination(study: StudyResults, comparison: Comparison, kept: Kept, look: Looks) -> _Examination:
    answers, inputs = read_all(study.folder, comparison)
    tests = paired(comparison, answers, kept)
    case = Case(study.plan.study, comparison, tests, answers, inputs, look)
    blocks = [block for of_comparison in OF_COMPARISON for block in of_comparison(case)]
    blocks.sort(key=lambda block: isinstance(block, Details | PageOnly))
    findings = checks(comparison, tests, answers)
    return _Examination(Examined(comparison, tests, tuple(blocks)), kept.used, findings)


def _drawn(examined: Examined, before: int) -> Iterator[Block]:
    """The blocks, their charts drawn in the background from now on; only this process draws."""
    where = f"{examined.comparison.model}-{examined.comparison.task}"
    for block in examined.blocks:
        if isinstance(block, Charts):
            drawn = pictures(block.charts, where, before)
            before += len(drawn)
            yield Pictures(drawn)
        else:
            yield block


def _undrawn(examined: Sequence[Examined]) -> int:
    shown = [block for one in examined for block in one.blocks if isinstance(block, Pictures)]
    return sum(picture.drawn is None for block in shown for picture in block.pictures)
