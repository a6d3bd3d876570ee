"""How to cite and reproduce the study: sources, its command, the machine and versions, and its file."""

from collections.abc import Iterator

from tunebench._util.words import listed
from tunebench.records import Done, Failed
from tunebench.report import text
from tunebench.report.blocks import Block, Code, Heading, Item, Items, Section, Table, Text
from tunebench.report.read.study import StudyResults
from tunebench.report.sections._differences import differences
from tunebench.report.sections.base import Whole
from tunebench.tasks import tasks


def sections(whole: Whole) -> list[Section]:
    """What to cite; then command, environment and study file, verbatim."""
    study = whole.study
    language = "python" if study.plan.command.startswith("tunebench.") else "sh"
    blocks: list[Block] = [
        *_sources(whole),
        Heading("Reproduce"),
        Text(
            "Save the file below as study.yaml and give it to the command below: it makes the same runs, under the "
            "same names. Other versions or processors may change the last digits of a figure."
        ),
        Code(study.plan.command, "Command", language),
        Heading("Environment"),
        *(environment(study) or [Text("No run has recorded it yet.")]),
        Heading("study.yaml"),
        Code(study.text, "study.yaml", "yaml"),
    ]
    return [Section("again", "Cite and reproduce this study", tuple(blocks), "Cite and reproduce")]


def _sources(whole: Whole) -> Iterator[Block]:
    """A sentence on the method, and the sources of techniques, data and models."""
    runs = [run.plan for run in whole.study.runs]
    known = dict.fromkeys((cell.title, cell.paper) for cell in whole.study.plan.cells if cell.paper)
    papers = [Item(title, paper) for title, paper in known]
    data = [Item(name, _data(whole, name)) for name in dict.fromkeys(run.task for run in runs)]
    models = [Item(name, _model(whole, name)) for name in dict.fromkeys(run.model for run in runs)]
    yield Heading("Cite")
    yield Text(f"“{_method(whole)}” Cite these sources, too:")
    yield Items((*papers, *data, *models))


def _method(whole: Whole) -> str:
    study = whole.study
    versions = sorted({version for run in study.runs if (version := _version(run.result))})
    seeds = len({run.plan.seed for run in study.runs})
    return (
        f"Fine-tuning techniques were compared with tunebench{f' {listed(versions)}' if versions else ''} "
        f"(study {study.plan.study}, {text.plural(len(study.runs), 'run')}, {text.plural(seeds, 'seed')}): test scores "
        "of the epoch that is best on validation, 95 % intervals, paired tests corrected for the number of comparisons."
    )


def _version(result: object) -> str | None:
    return result.environment.get("packages", {}).get("tunebench") if isinstance(result, Done | Failed) else None


def _data(whole: Whole, task: str) -> str:
    results = [run.result for run in whole.study.runs if run.plan.task == task and isinstance(run.result, Done)]
    source = results[0].data.source if results else ""
    known = tasks()[task].citation if task in tasks() else ""
    return "; ".join(filter(None, [f"data: {source}" if source else "", known]))


def _model(whole: Whole, model: str) -> str:
    results = [run.result for run in whole.study.runs if run.plan.model == model and isinstance(run.result, Done)]
    known = next((result.backbone for result in results if result.backbone), None)
    if known is None:
        return "model"
    commit = f", commit {known.commit}" if known.commit else ""
    return f"model: {known.source}{commit}, files {known.fingerprint[:12]}"


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
