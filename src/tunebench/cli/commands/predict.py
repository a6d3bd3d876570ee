"""`tunebench predict`: answer new texts with a finished run's model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tunebench._util.errors import UserError
from tunebench.cli.options import Json, Models, RunDir, model_folders
from tunebench.cli.printing import print_json, say


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

    answers = serving.predict(run_dir, texts, pairs, model_folders(model))
    if json_:
        print_json({"answers": answers})
        return
    for answer in answers:
        say(_line(answer))


def _texts(text: list[str] | None, pair: list[str] | None, file: Path | None) -> tuple[list[str], list[str] | None]:
    if (text is None) == (file is None):
        raise UserError("predict: give either --text or --file.")
    if file is not None:
        return _texts_in(file)
    if pair is not None and len(pair) != len(text or []):
        raise UserError(f"predict: {len(text or [])} --text but {len(pair)} --pair. Give one --pair for each --text.")
    return text or [], pair


def _texts_in(file: Path) -> tuple[list[str], list[str] | None]:
    """A file's lines; as pairs where all of them have a tab."""
    try:
        lines = [line for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--file {file}: it cannot be read as UTF-8 text ({error}).") from error
    if not lines:
        raise UserError(f"--file {file}: it contains no text.")
    if all("\t" in line for line in lines):
        return [line.split("\t")[0] for line in lines], [line.split("\t")[1] for line in lines]
    return lines, None


def _line(answer: dict[str, Any]) -> str:
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
