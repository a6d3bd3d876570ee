"""The commands. Imports stand inside functions here, and only here, so that help and listings are instant."""

import atexit
import functools
import gc
import json
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tunebench import __version__
from tunebench._util.errors import UserError

if TYPE_CHECKING:
    from tunebench.run.executors.base import Executor
    from tunebench.run.job import Job
    from tunebench.study import Places, Run, Study

app = typer.Typer(
    help="Which fine-tuning technique should I use, and what does it cost me?\n\n"
    "Start with 'tunebench show demo' for a study to copy, 'tunebench plan STUDY' for what it would train, and "
    "'tunebench run STUDY' to do it. After an interruption the same command continues.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StudyArgument = Annotated[str, typer.Argument(help="a built-in name (tunebench list studies) or a YAML file")]
DataRoot = Annotated[
    Path | None, typer.Option(help="read built-in tasks' data from DIR/<data set>/<split>.parquet instead of the hub")
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME=PATH", help="use the local folder PATH for the model NAME"),
]
Data = Annotated[
    Literal["embedded"] | None, typer.Option(help="embedded: use the small data sets that tunebench ships")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]
RunDir = Annotated[Path, typer.Argument(help="the folder of a finished run: OUT/runs/<run>")]
Kind = Literal["techniques", "tasks", "families", "studies", "recipes"]


def _told_when_stopped(command: Callable[..., None]) -> Callable[..., None]:
    """The command, which ends with one sentence and exit code 130 where Ctrl-C comes before or after its runs."""

    @functools.wraps(command)
    def told(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            _say("Stopped. Finished runs are kept; the same command continues.")
            raise typer.Exit(130) from None

    return told


@app.command()
@_told_when_stopped
def run(
    study: StudyArgument,
    out: Annotated[Path | None, typer.Option(help="output folder; default: runs/<study>")] = None,
    only: Annotated[
        str | None, typer.Option(help="cells to run, FAMILY/TASK/TECHNIQUE with * (quote it): 'bert/emotion/*'")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="run seeds 0 to N-1 instead of the study's")] = None,
    workers: Annotated[
        str, typer.Option(help="runs at once: a number, or auto (one per GPU, or one per core without GPUs)")
    ] = "1",
    data_root: DataRoot = None,
    data: Data = None,
    model: Models = None,
    track: Annotated[
        str | None, typer.Option(help="also log to tensorboard, wandb or mlflow (install tunebench[<name>])")
    ] = None,
) -> None:
    """Make all runs of a study that have no result yet, then write its report.

    Stop it at any moment: the same command continues. Exit code: 0 all done, 1 a run failed, 2 wrong use, 130 stopped.

    Example: tunebench run my-study.yaml --workers auto --only 'bert/emotion/*'
    """
    from tunebench import report as reports
    from tunebench.run.executors.local import Local
    from tunebench.run.folder import failed_runs, locked, planned_in, write_plan
    from tunebench.run.job import job_in
    from tunebench.run.pending import costliest_first, pending_runs
    from tunebench.study import read_study

    parsed, text = read_study(study)
    if seeds is not None:
        parsed = parsed.with_seeds(seeds)
    parsed, runs, places = _runs(parsed, model, data_root, data)
    _check_tracker(track)
    count = _worker_count(workers)

    target = out or Path("runs") / parsed.name
    with locked(target):
        earlier = planned_in(target)
        chosen, remarks = pending_runs(runs, places, target, only)
        with Local(target, len(chosen), count) as executor:
            from tunebench.run.plan import plan  # torch comes with it; the workers import theirs at the same time

            cells = plan(runs, places, earlier)
            write_plan(target, parsed, text, f"tunebench {shlex.join(sys.argv[1:])}", runs, cells)
            _say(f"{len(runs)} runs in {target}, {len(chosen)} to make.")
            for remark in remarks:
                _say(remark)
            ordered = chosen if count == 1 else costliest_first(chosen, cells)
            interrupted = _drive([job_in(target, one, places, track) for one in ordered], executor)
        page = reports.build(target)
    if interrupted:
        _say(f"Stopped. Finished runs are kept; the same command continues. Report so far: {page}")
        raise typer.Exit(130)
    _say(f"Report: {page}")
    failed = failed_runs(target, runs)
    for name, reason in failed:
        _say(f"failed: {name}: {reason}")
    if failed:
        _say("The same command makes failed runs again; each run's error.txt has the details.")
        raise typer.Exit(1)


def _drive(jobs: "list[Job]", executor: "Executor") -> bool:
    """Execute the jobs in their order and show their progress; says whether Ctrl-C came first."""
    from rich.console import Console

    from tunebench.cli.progress import display_on, name_of
    from tunebench.run.drive import drive
    from tunebench.run.scheduler import FixedList

    try:
        with display_on(Console(), len(jobs)) as display:
            drive(FixedList(jobs), executor, lambda job, event: display.show(job.run.id, name_of(job.run), event))
    except KeyboardInterrupt:
        return True
    return False


@app.command()
def plan(
    study: StudyArgument,
    json_: Json = False,
    data_root: DataRoot = None,
    data: Data = None,
    model: Models = None,
) -> None:
    """Show every cell of a study: whether its technique applies or why not, and what it would train.

    Offline and without weights: parameters are counted on the shape of the model alone.
    """
    from tunebench.study import read_study

    parsed, _ = read_study(study)
    parsed, runs, places = _runs(parsed, model, data_root, data)

    from tunebench.run import plan as plans

    cells = plans.plan(runs, places)
    if json_:
        _print_json({"cells": [cell.model_dump(mode="json") for cell in cells]})
        return
    rows = [
        [
            cell.model,
            cell.task,
            cell.label,
            f"{cell.parameters.trainable:,}" if cell.parameters else "-",
            f"{cell.parameters.trainable / cell.parameters.total:.2%}" if cell.parameters else "-",
            f"{cell.parameters.total:,}" if cell.parameters else "-",
            cell.reason or "",
        ]
        for cell in cells
    ]
    _print_table(
        f"{parsed.name}: {len(cells)} cells x {len(parsed.seeds)} seeds = {len(runs)} runs",
        ["model", "task", "technique", "trainable", "share", "total", "not applicable because"],
        rows,
        right={3, 4, 5},
    )


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="the output folder of 'tunebench run'")],
    rescore: Annotated[
        bool, typer.Option("--rescore", help="compute every test metric again from the predictions, and compare")
    ] = False,
) -> None:
    """Write report.html, report.md, report.tex, results.csv and results.json from a study's result files."""
    from tunebench import report as reports

    if not rescore:
        _say(f"Report: {reports.build(out)}")
        return
    path, changes, unread = reports.build_rescored(out)
    for run in unread:
        _say(f"{run}: its predictions cannot be read; its record is unchanged.")
    for change in changes:
        _say(
            f"{change.run}: {change.metric} is recorded as {change.recorded}; its predictions give {change.recomputed}."
        )
    _say(f"Report: {path}")
    if changes or unread:
        raise typer.Exit(1)


@app.command(name="list")
def list_(kind: Annotated[Kind, typer.Argument(help="what to list")], json_: Json = False) -> None:
    """List the techniques, tasks, families, built-in studies or recipes. 'tunebench show NAME' prints details."""
    from tunebench.cli.catalogue import entries

    found = entries()[kind]
    if json_:
        _print_json({kind: [{"name": name, **about} for name, about in found.items()]})
        return
    rows = [[name, about["title"], about["source"]] for name, about in found.items()]
    _print_table(f"{len(rows)} {kind}", ["name", "title", "source"], rows)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="a technique, task, family, study or recipe")], json_: Json = False
) -> None:
    """Show a technique with its settings, a task with its data, a family with its models, a study's text."""
    from tunebench.cli.catalogue import entry_of

    kind, about = entry_of(name)
    if json_:
        _print_json({"kind": kind, "name": name, **about})
        return
    if about["details"] is None:  # a study's or a recipe's text
        sys.stdout.write(about["text"])
        return
    _say(f"{name}: {about['title']}\n\n{about['text']}\n\nSource: {about['source']}\n")
    for title, lines in _guided(about.get("guide")):
        _say(f"{title}:\n" + "".join(f"  {line}\n" for line in lines))
    _print_table("", *about["details"])
    for example in about.get("examples", []):
        _say("\n" + "\n".join(f"{column}: {value}" for column, value in example.items()))


@app.command()
def predict(
    run_dir: RunDir,
    text: Annotated[list[str] | None, typer.Option(help="a text to answer; may be given several times")] = None,
    pair: Annotated[
        list[str] | None, typer.Option(help="the second text: to compare, or an instruction's input")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="a file with one text per line (a pair: tab-separated)")] = None,
    json_: Json = False,
    model: Models = None,
) -> None:
    """Answer new texts with a finished run's model: labels, scores, or a written response.

    Example: tunebench predict runs/demo/runs/<run> --text "i feel wonderful today"
    """
    texts, pairs = _texts(text, pair, file)
    from tunebench.serve import finished as serving

    answers = serving.predict(run_dir, texts, pairs, _models(model))
    if json_:
        _print_json({"answers": answers})
        return
    for answer in answers:
        _say(_shown(answer))


@app.command()
def attention(
    run_dir: RunDir,
    text: Annotated[str, typer.Option(help="the text that is read")],
    pair: Annotated[str | None, typer.Option(help="the second text, where the task takes two")] = None,
    target: Annotated[
        str | None, typer.Option(help="read this answer instead of the run's own, where the model writes one")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="output folder; default: attention/<run>")] = None,
    model: Models = None,
) -> None:
    """Show what a finished run's model looks at in a text, by layer and head, before and after tuning.

    Writes a page (attention.html), two figures per kind of attention (svg), the weights (attention.safetensors) and
    their tokens (attention.json).

    Example: tunebench attention runs/demo/runs/<run> --text "i feel wonderful today"
    """
    from tunebench.serve.attention.maps import attention as compute
    from tunebench.serve.attention.page import write

    found = compute(run_dir, text, pair, target, _models(model))
    _say(f"Attention: {write(found, out or Path('attention') / found.run)}")


@app.command()
def export(run_dir: RunDir, target: Annotated[Path, typer.Argument(help="a new folder")], model: Models = None) -> None:
    """Write a finished run's model as an ordinary transformers folder, adapters merged into the weights."""
    from tunebench.serve import finished as serving

    _say(f"Exported: {serving.export(run_dir, target, _models(model))}")


@app.command()
def pretrain(
    recipe: Annotated[str, typer.Argument(help="a built-in name (tunebench list recipes) or a YAML file")],
    data_root: Annotated[Path, typer.Option(help="the folder that the recipe's text files are relative to")] = Path(),
    out: Annotated[Path | None, typer.Option(help="output folder; default: backbones/<recipe>")] = None,
    model: Models = None,
) -> None:
    """Train a tokenizer and a backbone from plain text, by the objective of its family.

    OUT/model is an ordinary transformers folder with a card, usable as a model name; it is written again at each
    reading of the held-out loss. Stop it at any moment: the same command continues and ends with the same weights.

    Example: tunebench pretrain pocket-bert --data-root ../shared/data
    """
    from rich.console import Console

    from tunebench.cli.progress import display_on
    from tunebench.zoo.pretraining.recipe import read_recipe

    parsed, _ = read_recipe(recipe)
    target = out or Path("backbones") / parsed.name

    from tunebench._util.errors import RunError
    from tunebench.run.folder import locked
    from tunebench.zoo.pretraining.pretrain import pretrain as make

    with locked(target):
        try:
            with display_on(Console()) as display:
                observe = functools.partial(display.show, parsed.name, parsed.name)
                made = make(parsed, data_root, target, observe, _models(model))
        except KeyboardInterrupt:
            _say(f"Stopped. The same command continues. Model so far: {target}/model")
            raise typer.Exit(130) from None
        except RunError as error:
            _say(f"failed: {error}")
            raise typer.Exit(1) from error
    _say(f"Backbone: {made}")


@app.command()
def env(json_: Json = False) -> None:
    """Show what the figures of a run depend on: versions, processor, device, precision."""
    import torch
    from accelerate import PartialState

    from tunebench.engine.measure import environment
    from tunebench.engine.precision import resolve_precision

    device = PartialState().device
    assert device is not None, "a new PartialState has a device"
    values = {
        "tunebench": __version__,
        **environment(device, resolve_precision("auto", device)),
        "cuda": torch.version.cuda,
    }
    if json_:
        _print_json(values)
        return
    packages = values.pop("packages")
    _print_table("", ["", ""], [[key, str(value)] for key, value in {**values, **packages}.items()])


# What the commands share ----------------------------------------------------------------------------------------------


def _runs(
    study: "Study", model: list[str] | None, data_root: Path | None, data: str | None
) -> "tuple[Study, list[Run], Places]":
    if data is not None and data_root is not None:
        raise UserError("--data embedded and --data-root name two sources of data. Give one of them.")
    study = study.on_embedded_data() if data else study.on_data_root() if data_root else study
    return study, study.runs(), study.places(_models(model), _absolute(data_root) if data_root else None)


def _models(options: list[str] | None) -> dict[str, str]:
    models = {}
    for option in options or []:
        name, equals, path = option.partition("=")
        if not equals or not name or not path:
            raise UserError(f"--model {option}: write --model NAME=PATH, with a model name of the study.")
        models[name] = _absolute(Path(path))  # a run must find it again, from whichever folder
    return models


def _absolute(path: Path) -> str:
    return str(path.expanduser().absolute())


def _worker_count(value: str) -> int | None:
    if value == "auto":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise UserError(f"--workers {value}: give a number from 1 up, or auto.")
    return int(value)


def _check_tracker(track: str | None) -> None:
    from importlib.util import find_spec

    from tunebench._util.errors import did_you_mean

    known = ("tensorboard", "wandb", "mlflow")
    if track is not None and track not in known:
        raise UserError(f"--track {track}: there is no such tracker. {did_you_mean(track, known)}")
    if track is not None and find_spec(track) is None:
        raise UserError(f"--track {track}: it is not installed. Run: pip install 'tunebench[{track}]'")


def _texts(text: list[str] | None, pair: list[str] | None, file: Path | None) -> tuple[list[str], list[str] | None]:
    if (text is None) == (file is None):
        raise UserError("predict: give either --text or --file.")
    if file is None:
        if pair is not None and len(pair) != len(text or []):
            raise UserError(
                f"predict: {len(text or [])} --text but {len(pair)} --pair. Give one --pair for each --text."
            )
        return text or [], pair
    try:
        lines = [line for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--file {file}: it cannot be read as UTF-8 text ({error}).") from error
    if not lines:
        raise UserError(f"--file {file}: it contains no text.")
    if all("\t" in line for line in lines):
        return [line.split("\t")[0] for line in lines], [line.split("\t")[1] for line in lines]
    return lines, None


def _shown(answer: dict[str, Any]) -> str:
    if "tags" in answer:
        return " ".join(f"{word}/{tag}" for word, tag in zip(answer["tokens"], answer["tags"], strict=True))
    if "labels" in answer:
        return f"{', '.join(answer['labels']) or '(no label)'}\t{answer['text']}"
    if "label" in answer:
        scores = sorted(answer["scores"].items(), key=lambda item: -item[1])
        return f"{answer['label']}\t{', '.join(f'{label} {value:.3f}' for label, value in scores)}\t{answer['text']}"
    if "response" in answer:
        return f"{answer['text']}\n{answer['response']}{'' if answer['ended'] else ' …'}\n"
    return f"{answer['score']:.3f}\t{answer['text']}"


def _guided(guide: dict[str, Any] | None) -> list[tuple[str, list[str]]]:
    """A technique's guide, as titles with lines."""
    if guide is None:
        return []
    counts = [
        f"{model:18} {count['trained']:>11,} {'in' if count['head'] else 'besides'} the head = {count['form']}"
        for model, count in guide["counts"].items()
    ]
    given = ", ".join(f"{name}={value}" for name, value in guide["example"].items())
    sections = {
        "Equations": guide["equations"].splitlines(),
        f"Numbers that train, with {given or 'the defaults'}": counts,
        "Use it when": [f"- {line}" for line in guide["use"]],
        "Avoid it when": [f"- {line}" for line in guide["leave"]],
    }
    return [(title, lines) for title, lines in sections.items() if lines]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _print_json(value: Any) -> None:
    _say(json.dumps(value, indent=1, ensure_ascii=False))


def _print_table(title: str, header: list[str], rows: list[list[str]], right: Collection[int] = ()) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index in right else "left", no_wrap=index in right)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:  # a pipe has no width: do not wrap for it
        console.width = 200
    console.print(table)


def main() -> None:
    """The entry point: a user's mistake is one line on standard error and exit code 2, a bug is a traceback."""
    # Where torch is imported, looking for garbage takes two seconds in vain then, and two more at the end.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"tunebench: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
