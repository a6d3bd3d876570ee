"""Assembles a report: examines comparisons in parallel and puts the sections in order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunebench.report import processes
from tunebench.report.blocks import Block, Charts, Details, PageOnly, Pictures, Report
from tunebench.report.charts import vega
from tunebench.report.charts.base import looks
from tunebench.report.charts.pictures import pictures
from tunebench.report.options import Options
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.predictions import read_all
from tunebench.report.read.study import StudyResults
from tunebench.report.sections import OF_COMPARISON, OF_STUDY
from tunebench.report.sections.base import Case, Examined, Whole, anchors
from tunebench.report.sections.cards import drawn_card
from tunebench.report.stats.checks import Finding, checks
from tunebench.report.stats.kept import Kept
from tunebench.report.stats.notices import notices
from tunebench.report.stats.paired import paired
from tunebench.report.stats.seeds import seed_deviation


@dataclass(frozen=True)
class _Examination:
    """The outcome of one process for one comparison."""

    examined: Examined
    outcomes: dict[str, Any]
    findings: list[Finding]


def assemble(study: StudyResults, kept: Kept, options: Options) -> Report:
    """The report of a study, its charts in progress; `kept` holds the outcomes of earlier paired tests."""
    compared = comparisons(study, options.each_setting)
    look = looks([row.label for comparison in compared for row in comparison.rows])
    if any(row.done for comparison in compared for row in comparison.rows):
        vega.begin()

    places = anchors(compared)

    def examine(number: int) -> _Examination:
        comparison = compared[number]
        known = seed_deviation(compared, comparison.main[0]) if comparison.main else None
        given = read_all(study.folder, comparison)
        tests = paired(comparison, given.answers, kept, options, known, given.groups)
        searched = study.searched(comparison.model, comparison.task)
        case = Case(
            study.plan.study,
            comparison,
            tests,
            given.answers,
            given.inputs,
            look,
            100 * options.margin,
            places[number],
            searched,
            study.budget,
            study.settled(comparison.model, comparison.task),
        )
        return _examination(case, kept.used)

    examined, findings, drawn = [], [], 0
    for one in processes.each(examine, len(compared), len(study.runs)):
        kept.used |= one.outcomes
        findings.append(one.findings)
        examined.append(_drawn(one.examined, drawn))
        drawn += sum(len(shown.pictures) for shown in _pictures(examined[-1]))
    whole = Whole(study, tuple(examined), tuple(notices(compared, findings)), _undrawn(examined), 100 * options.margin)
    sections = [section for of_study in OF_STUDY for section in of_study(whole)]
    return Report(study.plan.study, study.progress, tuple(sections))


def _examination(case: Case, outcomes: dict[str, Any]) -> _Examination:
    blocks = [block for of_comparison in OF_COMPARISON for block in of_comparison(case)]
    blocks.sort(key=lambda block: isinstance(block, Details | PageOnly))
    findings = checks(
        case.comparison, case.tests, case.answers, searched=bool(case.searched), equal_seconds=bool(case.epochs)
    )
    shown = Examined(case.comparison, case.tests, tuple(blocks), drawn_card(case))
    return _Examination(shown, outcomes, findings)


def _drawn(examined: Examined, before: int) -> Examined:
    """With its charts drawn in the background from now on; only this process draws."""
    where = f"{examined.comparison.model}-{examined.comparison.task}"

    def drawn(block: Block) -> Block:
        nonlocal before
        if not isinstance(block, Charts):
            return block
        made = Pictures(pictures(block.charts, where, before))
        before += len(made.pictures)
        return made

    card = replace(examined.card, picture=drawn(examined.card.picture))
    return replace(examined, card=card, blocks=tuple(map(drawn, examined.blocks)))


def _pictures(examined: Examined) -> list[Pictures]:
    """Its card's picture, and those of its sections."""
    return [block for block in (examined.card.picture, *examined.blocks) if isinstance(block, Pictures)]


def _undrawn(examined: Sequence[Examined]) -> int:
    shown = [pictures for one in examined for pictures in _pictures(one)]
    return sum(picture.drawn is None for pictures in shown for picture in pictures.pictures)
