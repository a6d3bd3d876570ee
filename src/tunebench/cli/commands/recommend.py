"""`tunebench recommend`: which technique to use, and what it costs."""

import math
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunebench._util.errors import UserError
from tunebench._util.files import write_json
from tunebench.cli.options import DataRoot, Json, OpenedStudy, model_choice, opened_study
from tunebench.cli.printing import print_json, print_table, say
from tunebench.cli.stopping import stoppable

if TYPE_CHECKING:
    from tunebench.records import Choice, Recommendation

_STOPPED = "Stopped. What was measured and trained is kept; the same command continues."


@stoppable(_STOPPED)
def recommend(
    study: Annotated[
        str | None, typer.Argument(help="a built-in name or a YAML file; or give --model and --data")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="[NAME=]MODEL", help="a folder, a hub id, or one that ships")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="a file, or a folder with train, validation and test files")] = None,
    columns: Annotated[list[str] | None, typer.Option(help="ROLE=COLUMN,...: text=review,label=stars")] = None,
    objective: Annotated[str | None, typer.Option(help="the problem type, if the columns do not say it")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="to measure and to race; 0: answer from evidence alone")] = 600,
    max_saved_bytes: Annotated[float | None, typer.Option(help="of what one task stores")] = None,
    max_memory: Annotated[float | None, typer.Option(help="peak bytes of training")] = None,
    max_latency: Annotated[float | None, typer.Option(help="seconds of one answer")] = None,
    mergeable: Annotated[bool, typer.Option("--mergeable", help="nothing may be added to the model")] = False,
    many_tasks: Annotated[
        int | None, typer.Option(help="so many tasks share the backbone: storage is the cost")
    ] = None,
    keep_knowledge: Annotated[bool, typer.Option("--keep-knowledge", help="no pretrained weight may change")] = False,
    accept: Annotated[float, typer.Option(min=0, help="points of expected regret a cheaper technique may have")] = 1.0,
    price_per_hour: Annotated[float | None, typer.Option(min=0, help="of this machine, in any currency")] = None,
    out: Annotated[Path | None, typer.Option(help="output folder; default: runs/recommend-<study>")] = None,
    workers: Annotated[int, typer.Option(min=1, help="runs at once")] = 1,
    data_root: DataRoot = None,
    json_: Json = False,
) -> None:
    """Say which technique to use on your data, and what it costs: look, measure, compare with earlier results, race.

    The winner is an ordinary finished run in OUT/runs: predict with it, export it. Stop it at any moment: the same
    command continues.

    Example: tunebench recommend --model pocket-bert --data reviews.csv --columns text=review,label=stars --seconds 300
    """
    from tunebench.advise.limits import Limits
    from tunebench.cli.pricing import Wish
    from tunebench.cli.recommending import finished, recommended
    from tunebench.cli.settling import settled
    from tunebench.engine.energy import require_codecarbon
    from tunebench.records import RECOMMENDATION
    from tunebench.run.folder import locked

    for option, value in (("seconds", seconds), ("accept", accept), ("price-per-hour", price_per_hour or 0.0)):
        if not math.isfinite(value):
            raise UserError(f"--{option} {value}: give a finite number.")
    limits = Limits(
        max_saved_bytes=max_saved_bytes,
        max_memory=max_memory,
        max_latency=max_latency,
        mergeable=mergeable,
        many_tasks=many_tasks,
        keep_knowledge=keep_knowledge,
    )
    opened, target = _opened(study, model, data, columns, objective, out, data_root)
    if "energy" in opened.study.measure:
        require_codecarbon()
    price = opened.study.price_per_hour if price_per_hour is None else price_per_hour
    wish = Wish(seconds, limits, accept, price, workers)
    # For programs, standard output is the answer alone.
    with redirect_stdout(sys.stderr) if json_ else nullcontext(), locked(target):
        opened = settled(opened, target)
        made, raced = recommended(opened, target, wish)
        made = finished(opened, target, made, raced, workers)
        write_json(target / RECOMMENDATION, made.model_dump(mode="json", by_alias=True))
    if json_:
        print_json(made.model_dump(mode="json", by_alias=True))
        return
    _print(made, target)


def _opened(
    study: str | None,
    model: str | None,
    data: Path | None,
    columns: list[str] | None,
    objective: str | None,
    out: Path | None,
    data_root: Path | None,
) -> tuple[OpenedStudy, Path]:
    """The study, and the output folder; of the user's own file the study is written there."""
    from tunebench.cli.own_data import columns_of, study_text

    if (study is None) == (model is None or data is None) or (study is not None and (columns or objective)):
        raise UserError("recommend: give a study, or --model and --data (with --columns and --objective).")
    if study is not None:
        opened = opened_study(study, None, data_root, None)
        if len(opened.study.experiments) > 1:
            count = len(opened.study.experiments)
            raise UserError(
                f"recommend {study}: the study has {count} experiments, and an answer is about one model and one task. "
                "Give a study with one experiment."
            )
        return opened, out or Path("runs") / f"recommend-{opened.study.name}"
    assert model is not None and data is not None
    target = out or Path("runs") / f"recommend-{data.name.split('.')[0]}"
    text = study_text(data, model_choice(model), columns_of(columns), objective)
    target.mkdir(parents=True, exist_ok=True)
    (target / "compared.yaml").write_text(text, "utf-8")
    return opened_study(str(target / "compared.yaml"), None, None, None), target


def _print(made: "Recommendation", out: Path) -> None:
    say("")
    for sentence in made.answer:
        say(sentence)
    header = [
        "technique",
        "P(best)",
        "regret",
        "evidence",
        "race",
        "validation",
        "seconds",
        "stored",
        "left out because",
    ]
    print_table("", header, [_row(choice) for choice in made.choices], right={1, 2, 5, 6, 7})
    if made.run is not None:
        score = "undefined" if made.test is None else f"{made.test:.3f}"
        say(f"\n{made.metric} on the test split, which nothing else has read: {score}.")
        say(f"Use it: tunebench predict {made.run} --text '...', or tunebench export {made.run} FOLDER")
    say(f"Everything: {out / 'recommendation.json'}")


def _row(choice: "Choice") -> list[str]:
    from tunebench.advise.limits import size

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    evidence = "no data" if choice.expected is None else f"-{choice.expected:.1f} ({choice.datasets} sets)"
    return [
        choice.label,
        number(choice.p_best, ".0%"),
        number(choice.regret, ".1f"),
        evidence if choice.applicable else "",
        f"{choice.status} ({choice.epochs})" if choice.status else "",
        number(choice.validation, ".3f"),
        number(choice.tuning_seconds, ".3g"),
        "" if choice.saved_bytes is None else size(choice.saved_bytes),
        choice.excluded or choice.why or "",
    ]
