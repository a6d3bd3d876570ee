"""How to reproduce the study: its command, the machine and versions, and its file."""

from tunebench.records import Done, Failed
from tunebench.report.blocks import Block, Code, Heading, Section, Table, Text
from tunebench.report.read.study import StudyResults
from tunebench.report.sections._differences import differences
from tunebench.report.sections.base import Whole


def sections(whole: Whole) -> list[Section]:
    """Command, environment and study file, verbatim."""
    study = whole.study
    blocks: list[Block] = [
        Heading("Command"),
        Code(study.plan.command, "Command", "sh"),
        Heading("Environment"),
        *(environment(study) or [Text("No run has recorded it yet.")]),
        Heading("study.yaml"),
        Code(study.text, "study.yaml", "yaml"),
    ]
    return [Section("again", "Reproduce this study", tuple(blocks))]


def environment(study: StudyResults) -> list[Table]:
    """Machine, and versions of the code and its libraries; where runs differ, each value with its runs."""
    records = [
        (
            run.name,
            {k: v for k, v in run.result.environment.items() if k != "packages"}
            | dict(run.result.environment.get("packages", {})),
        )
        for run in study.runs
        if isinstance(run.result, Done | Failed)
    ]
    return differences("Machines and versions that the runs used", records)
