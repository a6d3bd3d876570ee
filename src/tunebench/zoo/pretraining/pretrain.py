"""A recipe from top to bottom: tokenizer, corpus, model, training, an ordinary transformers folder with its card.

OUT/model is that folder, written anew at each reading of the held-out loss; beside it stand events.jsonl, the tokenised
texts, and, until the end, the state to resume from.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunebench._util.errors import UserError
from tunebench._util.files import read_json, write_json
from tunebench.engine.events import LearningTokenizer, Observer, Tokenising
from tunebench.engine.observers import event_file, seldom, to_all
from tunebench.engine.precision import make_accelerator
from tunebench.engine.weights import Resume
from tunebench.zoo import checkpoints
from tunebench.zoo.pretraining import card, corpus
from tunebench.zoo.pretraining.batches import spread_texts
from tunebench.zoo.pretraining.corpus import Corpus
from tunebench.zoo.pretraining.loop import PretrainingState, PretrainingTask, fit
from tunebench.zoo.pretraining.objectives.base import Shape
from tunebench.zoo.pretraining.recipe import Recipe

MODEL = "model"
_BEGIN_TOKENS = 25_600  # on which an objective may look at the model that it goes on from


def pretrain(
    recipe: Recipe, data_root: Path, out: Path, observe: Observer, folders: Mapping[str, str] | None = None
) -> Path:
    """Make the backbone, or go on where an interrupted start stood.

    Args:
        recipe: what to make.
        data_root: where its texts' paths begin.
        out: the output folder.
        observe: receives the events.
        folders: name of a backbone -> its folder, for `start_from`.

    Returns:
        OUT/model.

    Raises:
        UserError: a text file is missing, unreadable or too small, or has no such column; the backbone to go on from is
            missing, of another family, or too small for the sequences.
        RunError: a loss is not finite.
    """
    start = _backbone(recipe, folders or {}) if recipe.start_from else None
    out.mkdir(parents=True, exist_ok=True)
    transformers.utils.logging.disable_progress_bar()
    observe = to_all([event_file(out / "events.jsonl"), seldom(observe)])
    paths = _paths(recipe, data_root)
    digest = corpus.files_digest([*paths["train"], *paths["held_out"]])
    tokenizer, key = _tokenizer(recipe, data_root, digest, out, observe, start)
    objective = recipe.pretraining
    accelerator, precision = make_accelerator(recipe.training.precision, out, None)
    torch.manual_seed(recipe.training.seed)

    def made(part: str) -> Corpus:
        observe(Tokenising(part=part))
        texts = _texts(recipe, data_root, paths[part])
        return corpus.tokenised(texts, tokenizer, objective.separator(tokenizer), key, out / "corpus" / part)

    texts = made("train")
    model = _continued(recipe, start[0], texts) if start else objective.new_model(_shape(recipe), tokenizer)
    task = PretrainingTask(
        model=model.to(accelerator.device),  # type: ignore[arg-type]
        tokenizer=tokenizer,
        objective=objective,
        train=texts,
        held_out=made("held_out"),
        device=accelerator.device,
        autocast=lambda: accelerator.autocast(),
        on_reading=lambda state: _export(recipe, task, state, precision, out),
    )
    fit(task, recipe.training, _resume(recipe, key, out), observe)
    return out / MODEL


def _paths(recipe: Recipe, data_root: Path) -> dict[str, list[Path]]:
    """The recipe's text files by part."""
    return {
        "train": [data_root / source.train for source in recipe.texts],
        "held_out": [data_root / source.held_out for source in recipe.texts if source.held_out],
    }


def _resume(recipe: Recipe, key: str, out: Path) -> Resume:
    """The states to resume from; those of another recipe or of other texts are ignored."""
    inputs = json.dumps([recipe.model_dump(mode="json", exclude={"description"}), key], sort_keys=True)
    return Resume(out / "resume", out / "none", hashlib.sha256(inputs.encode()).hexdigest())


def _backbone(recipe: Recipe, folders: Mapping[str, str]) -> tuple[Path, str]:
    """The folder of the backbone to continue from, and its fingerprint."""
    assert recipe.start_from
    checkpoint = checkpoints.find(recipe.start_from, place=folders.get(recipe.start_from))
    kind = checkpoint.config["model_type"]
    if kind != recipe.pretraining.family:
        raise UserError(
            f"start_from: {recipe.start_from} is a {kind}, but {recipe.objective} trains a "
            f"{recipe.pretraining.family}. Name a {recipe.pretraining.family}."
        )
    folder, info = checkpoints.fetch(checkpoint)
    return folder, info.fingerprint


def _continued(recipe: Recipe, folder: Path, texts: Corpus) -> PreTrainedModel:
    from transformers import AutoModelForPreTraining

    model = AutoModelForPreTraining.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    length = min(some.length for some in recipe.training.sequences)
    windows = [window.tokens for window in spread_texts(texts, recipe.pretraining, length, _BEGIN_TOKENS)]
    recipe.pretraining.begin(model, torch.from_numpy(np.stack(windows)))
    return model


def _shape(recipe: Recipe) -> Shape:
    assert recipe.shape, "a recipe has either a shape or start_from"
    return recipe.shape


def _texts(recipe: Recipe, data_root: Path, paths: list[Path]) -> Iterator[str]:
    columns = {
        data_root / file: source.column for source in recipe.texts for file in (source.train, source.held_out) if file
    }
    for path in paths:
        yield from corpus.documents(path, columns[path])


def _tokenizer(
    recipe: Recipe, data_root: Path, digest: str, out: Path, observe: Observer, start: tuple[Path, str] | None
) -> tuple[PreTrainedTokenizerBase, str]:
    """The recipe's tokenizer, trained once or taken from its start_from, and a key of what it depends on."""
    from transformers import AutoTokenizer

    if start:
        folder, fingerprint = start
        given = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        _fits(recipe, given)
        return given, hashlib.sha256(json.dumps([fingerprint, digest]).encode()).hexdigest()
    shape = _shape(recipe)
    settings = [recipe.pretraining.family, shape.vocabulary, [s.train for s in recipe.texts], digest]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    folder = out / "tokenizer"
    kept = read_json(folder / "made_from.json")
    if kept is None or kept["key"] != key:
        observe(LearningTokenizer())
        paths = [data_root / source.train for source in recipe.texts]
        tokenizer = recipe.pretraining.train_tokenizer(lambda: _texts(recipe, data_root, paths), shape.vocabulary)
        tokenizer.model_max_length = shape.positions
        tokenizer.save_pretrained(folder)
        write_json(folder / "made_from.json", {"key": key})
    return AutoTokenizer.from_pretrained(folder, local_files_only=True), key


def _fits(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> None:
    if recipe.longest > tokenizer.model_max_length:
        raise UserError(
            f"start_from: sequences of {recipe.longest} tokens do not fit {recipe.start_from}, which has "
            f"{tokenizer.model_max_length} positions. Shorten the recipe's sequences."
        )
    if len(tokenizer) > corpus.MOST_IDS:
        raise UserError(
            f"start_from: {recipe.start_from} has a vocabulary of {len(tokenizer):,}; token ids are stored in 16 "
            f"bits: at most {corpus.MOST_IDS:,}. Use another backbone."
        )


def _export(recipe: Recipe, task: PretrainingTask, state: PretrainingState, precision: str, out: Path) -> None:
    """The model so far in half precision, its tokenizer and its card."""
    folder = out / MODEL
    _in_half_precision(task.model, folder)
    task.tokenizer.save_pretrained(folder)
    card.write(folder, recipe, task, state, precision)


def _in_half_precision(model: PreTrainedModel, folder: Path) -> None:
    """Save a float16 copy; the model itself goes on in float32."""
    copy.deepcopy(model).half().save_pretrained(folder)
