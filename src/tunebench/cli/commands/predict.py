"""`tunebench predict`: answer new texts with a finished run's model."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tunebench._util.errors import UserError
from tunebench.cli.answers import OutputFormat, lines
from tunebench.cli.options import Best, Json, Models, Only, RunOrStudy, Technique, model_folders
from tunebench.cli.printing import print_json
from tunebench.cli.study_folder import chosen
from tunebench.cli.texts import InputFormat, NewTexts, TextInput


def predict(
    run_dir: RunOrStudy,
    text: Annotated[list[str] | None, typer.Option(help="a text to answer; may be given several times")] = None,
    pair: Annotated[
        list[str] | None, typer.Option(help="the second text: to compare, or an instruction's input")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="a csv, tsv, json, jsonl or parquet file with the task's columns, or any other file with one text per "
            "line (a pair: tab-separated); - is standard input"
        ),
    ] = None,
    input_format: Annotated[
        InputFormat | None, typer.Option(help="read --file as this; default: by its ending; standard input: text")
    ] = None,
    format_: Annotated[OutputFormat, typer.Option("--format", help="how answers are printed, one per line")] = "text",
    json_: Json = False,
    best: Best = False,
    technique: Technique = None,
    only: Only = None,
    model: Models = None,
) -> None:
    """Answer new texts with a finished run's model: labels, scores, or a written response.

    Example: tunebench predict runs/reviews --best --file reviews.csv --format csv > answers.csv
    """
    if (text is None) == (file is None):
        raise UserError("predict: give either --text or --file.")
    source = TextInput.of(file, input_format) if file is not None else _options(text or [], pair)
    folder = chosen(run_dir, best, technique, only)
    from tunebench.serve.finished import FinishedRun

    finished = FinishedRun.load(folder, model_folders(model))
    new = source if isinstance(source, NewTexts) else source.texts_for(finished.run.task)
    texts, warning = finished.as_written(new.texts) if new.raw else (new.texts, "")
    for note in (*new.notes, *([warning] if warning else [])):
        sys.stderr.write(f"tunebench: {note}\n")
    answers = finished.predict(texts, new.seconds)
    if json_:
        print_json({"answers": answers})
        return
    for line in lines(answers, format_):
        sys.stdout.write(line + "\n")


def _options(texts: list[str], pairs: list[str] | None) -> NewTexts:
    if pairs is not None and len(pairs) != len(texts):
        raise UserError(f"predict: {len(texts)} --text but {len(pairs)} --pair. Give one --pair for each --text.")
    if any(not text.strip() for text in texts):
        raise UserError("predict: a text is empty. Give at least one word.")
    return NewTexts(texts, pairs)
