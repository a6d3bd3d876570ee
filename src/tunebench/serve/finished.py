"""What a finished run is for: the tuned model, its answers, and a folder that other libraries load."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers
from safetensors import SafetensorError

from tunebench._util.errors import UserError
from tunebench.engine import weights
from tunebench.engine.evaluate import predict as run_network
from tunebench.engine.generate import generate
from tunebench.engine.precision import autocast_of, make_accelerator
from tunebench.engine.sources import TokenSource
from tunebench.objectives.base import Objective
from tunebench.objectives.causal_lm import CausalLm
from tunebench.records import Done, read_result
from tunebench.run.execute import build, pose
from tunebench.study import RUN_FILE, Places, Run
from tunebench.study import read_run as read_definition
from tunebench.tasks.examples import Example
from tunebench.techniques.base import Baseline, Predictor, Technique, Trained
from tunebench.zoo import checkpoints

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def load_finetuned(run_dir: str | Path) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """The model of a finished run with its best weights, in evaluation mode and float32, and its tokenizer.

    Raises:
        UserError: the folder holds no finished run, its backbone is not to be had or is not the one that was tuned,
            or the run is a baseline without a model.
    """
    run, places, done = read_run(Path(run_dir))
    model, objective = load(run, places, done, Path(run_dir))
    return model, objective.tokenizer


def predict(run_dir: str | Path, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """A finished run's answers to new texts, one dict a text.

    A class gives `label` and `scores` {label: probability}; a score gives `score`; tagging splits a text at blanks and
    gives `tokens`, `tags` and `scores`; an instruction gives `response`, the likeliest token each time, and `ended`,
    whether it ended by itself; a text to be summarized, or a question with its context as the pair, gives `answer`.

    Raises:
        UserError: as `load_finetuned`, or there is nothing to answer.
    """
    folder = Path(run_dir)
    _not_empty(texts, "predict")
    run, places, done = read_run(folder)
    examples = examples_of(run, texts, pairs, "predict")
    if isinstance(run.entry, Baseline):
        answers, sure = _baseline(run.entry, run, done, folder).predict(examples)
    else:
        answers, sure = answers_of(run, folder, *load(run, places, done, folder), examples)
    rows = zip(texts, answers, sure, strict=True)
    return [run.task.answered(text, answer, details, done.data.labels) for text, answer, details in rows]


def _not_empty(texts: Sequence[str], command: str) -> None:
    if not texts or any(not text.strip() for text in texts):
        raise UserError(f"{command}: a text is empty. Give at least one word.")


def examples_of(run: Run, texts: Sequence[str], pairs: Sequence[str] | None, command: str) -> list[Example]:
    """New texts, or pairs of texts, as examples of the run's task; `command` begins the message of an error.

    Raises:
        UserError: a text is empty, or the task asks for another number of texts.
    """
    _not_empty(texts, command)
    task, second = run.task, run.task.second
    takes_two = second is not None and task.columns.get(second) is not None
    if pairs is None and takes_two and not task.second_is_optional:
        what = "the second one" if second == "pair" else f"the {second}"
        raise UserError(f"{command}: {task.name} takes two texts. Give {what} with --pair (in a file: after a tab).")
    if pairs is not None and not takes_two:
        raise UserError(f"{command}: {task.name} takes one text at a time. Leave --pair (in a file: the tabs) out.")
    if pairs is not None and not task.second_is_optional and any(not pair.strip() for pair in pairs):
        raise UserError(f"{command}: a {second} is empty. Give at least one word with each --pair.")
    return [task.asked(text, pair) for text, pair in zip(texts, pairs or [""] * len(texts), strict=True)]


def export(run_dir: str | Path, target: str | Path) -> Path:
    """Write a finished run's model and tokenizer as an ordinary transformers folder, adapters merged into the weights.

    Raises:
        UserError: as `load_finetuned`, or the target exists.
    """
    folder = Path(target)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"export {folder}: it exists and is no empty folder. Choose another one.")
    run, places, done = read_run(Path(run_dir))
    model, objective = load(run, places, done, Path(run_dir))
    assert isinstance(run.entry, Technique)
    merged: Any = run.entry.merged(model)
    merged.save_pretrained(folder)
    objective.tokenizer.save_pretrained(folder)
    return folder


def read_run(folder: Path) -> tuple[Run, Places, Done]:
    """A finished run's definition, where its model lay, and its record.

    Raises:
        UserError: the folder holds no finished run.
    """
    result = read_result(folder)
    if result is None or not (folder / RUN_FILE).is_file():
        raise UserError(
            f"{folder}: this is no folder of a finished run. Give OUT/runs/<run>, which holds a result.json."
        )
    if not isinstance(result, Done):
        raise UserError(f"{folder}: this run is {result.status} ({result.reason}), so there is no model.")
    return *read_definition(folder), result


def load(run: Run, places: Places, done: Done, folder: Path) -> tuple[Any, Objective]:
    """A finished run's model with its best weights, in evaluation mode and float32, and its objective.

    Raises:
        UserError: as `load_finetuned`.
    """
    if not isinstance(run.entry, Technique):
        raise UserError(
            f"{folder}: {run.technique} is a baseline without a pretrained model. 'tunebench predict' answers with it."
        )
    found = checkpoints.find(run.model, run.revision, places.models.get(run.model))
    local, backbone = checkpoints.fetch(found, run.entry.reads_weights)
    assert done.backbone is not None
    if backbone.fingerprint != done.backbone.fingerprint:
        raise UserError(
            f"{folder}: the weights of '{run.model}' in {local} are not those that were tuned "
            f"(fingerprint {backbone.fingerprint[:12]}, not {done.backbone.fingerprint[:12]}). Give back the same ones."
        )
    objective = pose(run, found, done.data.labels, found.family.tokenizer(local))
    model = build(run, run.entry, found, local, objective, max(1, done.cost.steps))
    if isinstance(run.entry, Trained):
        kept = weights.FOLDED if run.entry.fold(model) else weights.BEST
        try:
            weights.load_weights(model, folder / kept)
        except ValueError as error:
            raise UserError(f"{error}. Remove the folder and run the study again.") from error
    return model.eval(), objective


def _baseline(baseline: Baseline, run: Run, done: Done, folder: Path) -> Predictor:
    try:
        return baseline.load(folder, run.task.objective, done.data.labels)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"{folder}: the fitted {run.technique} cannot be read ({error}). Remove the folder and run the study again."
        ) from error


def answers_of(
    run: Run, folder: Path, model: Any, objective: Objective, examples: Sequence[Example]
) -> tuple[list[Any], list[Any]]:
    """A loaded model's answers in task space, and for each what `Objective.decode` knows besides."""
    accelerator, precision = make_accelerator("float32", folder, None)
    autocast = autocast_of(accelerator.device, precision)
    if isinstance(objective, CausalLm) and not objective.writes:
        answers = generate(model.to(accelerator.device), objective, examples, autocast)
        return [text for text, _ in answers], [ended for _, ended in answers]
    source = TokenSource(objective, objective.encode(examples), accelerator.device)
    return run_network(
        model.to(accelerator.device),
        source,
        objective,
        autocast,
        run.training.evaluation_batch_tokens,
    )
