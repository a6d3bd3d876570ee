"""One run, top to bottom. The file to read first.

Run -> examples -> features -> backbone -> technique -> frozen trunk | tail -> fit -> predictions -> scores -> Done
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from accelerate import Accelerator

from tunebench._util.errors import RunError, UserError
from tunebench.engine import measure, train, weights
from tunebench.engine.activation import use_fused_gelu
from tunebench.engine.cut import Cut
from tunebench.engine.dropout import use_fast_dropout
from tunebench.engine.evaluate import score
from tunebench.engine.events import Generating, Observer, Testing
from tunebench.engine.frozen_trunk import TrunkCache
from tunebench.engine.generate import answer_sample, kept_sample
from tunebench.engine.latency import Latency, latency, middle, seconds
from tunebench.engine.observers import tracking
from tunebench.engine.precision import (
    Precision,
    autocast_of,
    compute_in_float32,
    make_accelerator,
    store_frozen_in_bf16,
)
from tunebench.engine.seeds import HEAD, seed_of
from tunebench.evaluation.metrics import METRICS
from tunebench.families.base import Family, base_of, fresh_of
from tunebench.objectives import objectives
from tunebench.objectives.base import Objective
from tunebench.objectives.causal_lm import CausalLm
from tunebench.records import Done, NotApplicable, Parameters, Paused
from tunebench.run.job import Job
from tunebench.run.pause import VALIDATION, Pause, cost_until_now, paused
from tunebench.run.record import Outcome, compared_on, not_merged, notices, record, unreadable, write_answers
from tunebench.study import Run
from tunebench.tasks import load as data
from tunebench.tasks.load import SPLITS, Data
from tunebench.techniques.base import Baseline, Technique, Trained
from tunebench.zoo import checkpoints

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def execute(job: Job, observe: Observer) -> Done | Paused | NotApplicable:
    """Make one run in its folder, going on from its last checkpoint, and return its record, which the caller writes.

    Raises:
        UserError: the model or the data cannot be had.
        RunError: the run gives no honest figure, such as a loss that is not finite.
    """
    run, places, folder = job.run, job.places, Path(job.folder)
    found = checkpoints.find(run.model, run.revision, places.models.get(run.model))
    info = run.info(found.family.name)
    reason = not_applicable(run, found)
    if reason is not None:
        return NotApplicable(reason=reason, run=info)
    measure.reset_peak_memory()
    watch = measure.Stopwatch()
    with watch.time("total"):
        examples = data.load(places.located(run.task), places.data_root)
        if isinstance(run.entry, Baseline):
            outcome = fit_baseline(run, run.entry, examples, folder)
        else:
            assert isinstance(run.entry, Technique)
            outcome = tune(
                run, run.entry, found, examples, folder, Path(job.cache), observe, job.track, job.until_epoch
            )
    if isinstance(outcome, Pause):
        cost = cost_until_now(folder, outcome.state, outcome.trunk_seconds, watch.seconds["total"], outcome.peaks)
        return paused(info, run.training.epochs, outcome.state, cost)
    return record(run, info, examples, outcome, watch.seconds["total"], folder, job.notices)


def tune(
    run: Run,
    technique: Technique,
    found: checkpoints.Checkpoint,
    examples: Data,
    folder: Path,
    cache: Path,
    observe: Observer,
    track: str | None,
    until_epoch: int | None = None,
) -> Outcome | Pause:
    """Adapt the pretrained model, and predict the test split with its best epoch."""
    budget, family, metrics = run.training, found.family, run.task.metrics
    accelerator, precision = make_accelerator(budget.precision, folder, track)
    autocast = autocast_of(accelerator.device, precision)
    local, backbone = checkpoints.fetch(found, technique.reads_weights)
    objective = pose(run, found, examples.labels, family.tokenizer(local))
    features = {split: objective.encode(examples.splits[split]) for split in SPLITS}
    rows = compared_rows(budget.validation_rows, len(examples.splits["validation"]))
    compared = [examples.splits["validation"][row] for row in rows]
    shown = "validation"
    if len(compared) < len(examples.splits["validation"]):
        shown, features["comparison"] = "comparison", objective.encode(compared)
    cheaper = with_beams(objective, budget.validation_beams)
    steps = budget.epochs * -(-len(features["train"]) // budget.batch_size)
    model = build(run, technique, found, local, objective, steps)
    parameters = measure.count_parameters(model, family)
    if isinstance(technique, Trained) and not parameters.trainable:
        raise RunError(f"{run.technique} trains nothing on {run.model}")
    settle(model, family, accelerator, precision, objective.ranks)
    cut = Cut(
        model, family, objective, features, accelerator, precision, backbone.fingerprint,
        TrunkCache(cache, budget.cache_gigabytes * 1e9), budget.evaluation_batch_tokens, observe,
    )  # fmt: skip
    cut.source(shown)  # now, so that its trunk is not counted among the seconds of the first evaluation
    gold = run.task.references(compared, examples.labels)
    answers: tuple[list[Any], list[Any]] | None = None

    def validate() -> dict[str, float | None]:
        nonlocal answers
        answers = cut.predict(shown, cheaper)
        return score(metrics, answers[0], gold)

    state, saved, summary = train.State(), [], {}
    if isinstance(technique, Trained):
        best = folder / weights.BEST
        with tracking(accelerator, "tunebench", {"run": run.id}, observe) as told:
            training = train.Training(
                model=model,
                network=cut.network,
                groups=technique.parameter_groups(model, family, budget.weight_decay),
                source=cut.source("train"),
                objective=objective,
                autocast=autocast,
                validate=validate,
                main_metric=(metrics[0], METRICS[metrics[0]].higher_is_better),
                on_best=lambda: weights.save_weights(weights.trainable(model), best),
                technique=technique,
            )
            inputs = f"{examples.fingerprint()} {backbone.fingerprint}"
            state = train.fit(
                training, budget, run.seed, weights.Resume(folder / "resume", best, inputs), told, until_epoch
            )
        if not train.is_over(state, budget):
            predictions, details = answers or cut.predict(shown, cheaper)  # none where it stood there already
            asked = [run.task.shown(example) for example in compared]
            write_answers(folder / VALIDATION, rows, asked, predictions, gold, details)
            return Pause(state, cut.watch.seconds.get("trunk", 0.0), measure.Peaks())
        weights.load_weights(model, best)
        saved = [best]
        if technique.fold(model):
            saved = [folder / weights.FOLDED]
            weights.save_weights(weights.trainable(model), saved[0])
        technique.save_adapter(model, family, folder / "adapter")
        summary = technique.summary(model)
    exact = shown == "validation" and cheaper is objective
    if exact and state.best_epoch:
        validation = state.history[state.best_epoch - 1]["validation"]
    else:
        whole = run.task.references(examples.splits["validation"], examples.labels)
        validation = score(metrics, cut.predict("validation")[0], whole)
    observe(Testing())
    predictions, sure = cut.predict("test")
    generation = None
    if objective.writes and not objective.closed:
        generation = kept_sample(objective, examples.splits["test"], sure)
    elif isinstance(objective, CausalLm):
        observe(Generating())
        watch = measure.Stopwatch()
        with watch.time("generation"):
            generation = answer_sample(model, objective, examples.splits["test"], run.seed, autocast)
        state.seconds |= watch.seconds
    peaks, fresh = measure.Peaks(), fresh_of(model)
    spent = latency(model, technique, objective, features["test"], autocast)  # last: it may merge the model
    truncated = {f"{split} {what}": n for split in SPLITS for what, n in features[split].truncated.items()}
    return Outcome(
        predictions, sure, validation, parameters, measure.environment(accelerator.device, precision), state, saved,
        peaks, spent, trunk_seconds=cut.watch.seconds.get("trunk", 0.0), cached=cut.cached, backbone=backbone,
        truncated=truncated, tokens={split: sum(features[split].lengths) for split in SPLITS},
        notices=[
            *notices(cut, fresh, state, truncated, objective.max_tokens),
            *([] if exact or not state.best_epoch else [compared_on(len(gold), cheaper)]),
            *not_merged(spent),
            *(unreadable(predictions) if objective.writes and objective.closed else []),
        ],
        summary=summary,
        generation=generation,
    )  # fmt: skip


def pose(run: Run, found: checkpoints.Checkpoint, labels: Sequence[str], tokenizer: Any) -> Objective:
    """The task's objective for this model, which may have fewer positions than the task allows tokens."""
    known = found.family.config(found.config).vocab_size
    if len(tokenizer) > known:
        raise UserError(
            f"model '{run.model}': its tokenizer has {len(tokenizer)} tokens, its embeddings {known}. "
            "Give a model and a tokenizer that were saved together."
        )
    taken = run.entry.positions_taken(found.family) if isinstance(run.entry, Technique) else 0
    room = min(found.family.positions(found.config), tokenizer.model_max_length) - taken
    if room < 1:
        raise UserError(f"{run.technique}: {taken} virtual tokens leave no position of '{run.model}' for a text.")
    limit = min(run.task.max_tokens, room)
    posed = posed_as(run, found.family)
    return objectives()[posed](run.task, labels, tokenizer, max_tokens=limit)


def posed_as(run: Run, family: Family) -> str:
    """The objective that the run's task is posed as to this family."""
    posed = run.task.objective_of(family.auto_classes)
    assert posed is not None, "`not_applicable` comes first"
    return posed


def compared_rows(wanted: int | None, there: int) -> list[int]:
    """The rows of the validation split that epochs are compared on."""
    if wanted is None or wanted >= there:
        return list(range(there))
    return sorted(np.random.default_rng(0).permutation(there)[:wanted].tolist())


def with_beams(objective: Objective, beams: int | None) -> Objective:
    """The objective, or one that writes with fewer beams."""
    if beams is None or not objective.writes or beams >= objective.beams:
        return objective
    cheaper = copy.copy(objective)
    cheaper.beams = beams
    return cheaper


def build(
    run: Run, technique: Technique, found: checkpoints.Checkpoint, folder: Path, objective: Objective, steps: int
) -> Any:
    """What the run begins with, with the technique applied."""
    return technique.apply(begin(run, technique, found, folder, objective), found.family, steps)


def begin(run: Run, technique: Technique, found: checkpoints.Checkpoint, folder: Path, objective: Objective) -> Any:
    """The pretrained model under a head drawn from the run's seed, or all of it drawn."""
    torch.manual_seed(seed_of(run.seed, HEAD))
    head = objective.head(objective.labels)
    if technique.reads_weights:
        model = found.family.load(folder, objective.name, head)
    else:
        model = found.family.draw(found.config, objective.name, head)
    model.name_or_path = str(found.folder or run.model)  # what PEFT names as the adapter's base
    return model


def settle(model: Any, family: Family, accelerator: Accelerator, precision: Precision, exact_logits: bool) -> None:
    """Put a model on its device in its number formats, in evaluation mode.

    `exact_logits`: a pretrained language-modelling head computes in float32, too.
    """
    use_fused_gelu(model)
    head = [*family.head(model), *([base_of(model).get_output_embeddings()] if exact_logits else [])]
    if precision == "bf16":
        store_frozen_in_bf16(model, head)
    if accelerator.device.type == "cpu":
        use_fast_dropout(model, base_of(model))
    for module in head:
        compute_in_float32(module, accelerator.device.type)
    model.to(accelerator.device).eval()


def fit_baseline(run: Run, baseline: Baseline, examples: Data, folder: Path) -> Outcome:
    """Fit a baseline on the training examples, and predict the test split."""
    watch = measure.Stopwatch()
    with watch.time("train"):
        predictor = baseline.fit(examples.splits["train"], run.task.objective, examples.labels, run.seed)
    saved = predictor.save(folder)
    with watch.time("evaluation"):
        guesses, _ = predictor.predict(examples.splits["validation"])
        validation = score(
            run.task.metrics, guesses, run.task.references(examples.splits["validation"], examples.labels)
        )
    predictions, sure = predictor.predict(examples.splits["test"])
    parameters = Parameters(
        total=predictor.parameters, trainable=predictor.parameters, technique=predictor.parameters, head=0
    )
    environment, peaks = measure.environment(torch.device("cpu"), "float64"), measure.Peaks()
    (index,) = middle([len(str(example)) for example in examples.splits["test"]])
    spent = Latency(seconds=seconds(lambda: predictor.predict(examples.splits["test"][index : index + 1])))
    state = train.State(seconds=watch.seconds)
    return Outcome(predictions, sure, validation, parameters, environment, state, saved, peaks, spent)


def not_applicable(run: Run, found: checkpoints.Checkpoint) -> str | None:
    """Why a run has no meaning, or None."""
    family = found.family
    posed = run.task.objective_of(family.auto_classes)
    if posed is None:
        return f"the family {family.name} has no head for {run.task.objective}"
    if not found.pretrained and isinstance(run.entry, Technique) and run.entry.reads_weights:
        return f"{run.model} has no pretrained weights to begin with: from_scratch draws its own"
    return run.entry.not_applicable(family, run.task.objective if isinstance(run.entry, Baseline) else posed)
