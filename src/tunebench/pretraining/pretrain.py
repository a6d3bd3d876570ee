"""A recipe from top to bottom: tokenizer, corpus, model, training, an ordinary transformers folder with its card."""

import copy
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunebench.engine.checkpoint import Resume
from tunebench.engine.observers import Observer, event_file, seldom, tell_all
from tunebench.engine.precision import make_accelerator
from tunebench.pretraining import card, corpus
from tunebench.pretraining.corpus import Corpus
from tunebench.pretraining.loop import State, Task, fit
from tunebench.pretraining.recipe import Recipe
from tunebench.result import read_json, write_json

MODEL = "model"


def pretrain(recipe: Recipe, data_root: Path, out: Path, observe: Observer) -> Path:
    """Make the backbone, or go on where an interrupted start stood.

    OUT/model is an ordinary transformers folder, written anew at each reading of the held-out loss; beside it stand
    events.jsonl, the tokenised texts, and, until the end, the state to resume from.

    Returns:
        OUT/model.

    Raises:
        UserError: a text file is missing, unreadable or too small, or has no such column.
        RunError: a loss is not finite.
    """
    out.mkdir(parents=True, exist_ok=True)
    transformers.utils.logging.disable_progress_bar()
    observe = tell_all([event_file(out / "events.jsonl"), seldom(observe)])
    train = [data_root / source.train for source in recipe.texts]
    held_out = [data_root / source.held_out for source in recipe.texts if source.held_out]
    digest = corpus.files_digest([*train, *held_out])
    tokenizer, key = _tokenizer(recipe, data_root, digest, out, observe)
    objective = recipe.pretraining
    accelerator, precision = make_accelerator(recipe.training.precision, out, None)
    torch.manual_seed(recipe.training.seed)
    model = objective.new_model(recipe.shape, tokenizer)

    def made(part: str, paths: list[Path]) -> Corpus:
        observe({"event": "tokenising", "part": part})
        texts = _texts(recipe, data_root, paths)
        return corpus.tokenised(texts, tokenizer, objective.separator(tokenizer), key, out / "corpus" / part)

    task = Task(
        model=model.to(accelerator.device),  # type: ignore[arg-type]
        tokenizer=tokenizer,
        objective=objective,
        train=made("train", train),
        held_out=made("held_out", held_out),
        device=accelerator.device,
        autocast=lambda: accelerator.autocast(),
        on_reading=lambda state: _export(recipe, task, state, precision, out),
    )
    inputs = json.dumps([recipe.model_dump(mode="json", exclude={"description"}), key], sort_keys=True)
    resume = Resume(out / "resume", out / "none", hashlib.sha256(inputs.encode()).hexdigest())
    fit(task, recipe.training, resume, observe)
    return out / MODEL


def _texts(recipe: Recipe, data_root: Path, paths: list[Path]) -> Iterator[str]:
    columns = {data_root / file: source.column for source in recipe.texts
               for file in (source.train, source.held_out) if file}  # fmt: skip
    for path in paths:
        yield from corpus.documents(path, columns[path])


def _tokenizer(
    recipe: Recipe, data_root: Path, digest: str, out: Path, observe: Observer
) -> tuple[PreTrainedTokenizerBase, str]:
    """The recipe's tokenizer, learnt once, and a key that says from what."""
    from transformers import AutoTokenizer

    settings = [recipe.objective, recipe.shape.vocabulary, [s.train for s in recipe.texts], digest]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    folder = out / "tokenizer"
    kept = read_json(folder / "made_from.json")
    if kept is None or kept["key"] != key:
        observe({"event": "tokenizer"})
        paths = [data_root / source.train for source in recipe.texts]
        learnt = recipe.pretraining.train_tokenizer(lambda: _texts(recipe, data_root, paths), recipe.shape.vocabulary)
        learnt.model_max_length = recipe.shape.positions
        learnt.save_pretrained(folder)
        write_json(folder / "made_from.json", {"key": key})
    return AutoTokenizer.from_pretrained(folder, local_files_only=True), key


def _export(recipe: Recipe, task: Task, state: State, precision: str, out: Path) -> None:
    """The model so far in half precision, its tokenizer and its card."""
    folder = out / MODEL
    _in_half_precision(task.model, folder)
    task.tokenizer.save_pretrained(folder)
    card.write(folder, recipe, task, state, precision)


def _in_half_precision(model: PreTrainedModel, folder: Path) -> None:
    """Save a float16 copy; the model itself goes on in float32."""
    copy.deepcopy(model).half().save_pretrained(folder)
