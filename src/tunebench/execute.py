"""One run, top to bottom. The file to read first.

Run -> examples -> features -> backbone -> technique -> frozen prefix | tail -> fit -> predictions -> scores -> Done
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import Accelerator

from tunebench import checkpoints, data
from tunebench.data import SPLITS, Data
from tunebench.engine import checkpoint, measure, train
from tunebench.engine.cut import Cut
from tunebench.engine.dropout import use_fast_dropout
from tunebench.engine.evaluate import score
from tunebench.engine.frozen_prefix import PrefixCache
from tunebench.engine.generate import answer_sample
from tunebench.engine.observers import Observer, tracking
from tunebench.engine.precision import Precision, compute_in_float32, make_accelerator, store_frozen_in_bf16
from tunebench.engine.seeds import HEAD, seed_of
from tunebench.errors import RunError, UserError
from tunebench.families.base import Family, base_of, fresh_of
from tunebench.metrics import METRICS, bootstrap_interval
from tunebench.objectives import objectives
from tunebench.objectives.base import Objective
from tunebench.objectives.causal_lm import CausalLm
from tunebench.results import (
    Cost,
    DataInfo,
    Done,
    Epoch,
    Generation,
    MainMetric,
    ModelInfo,
    NotApplicable,
    Notice,
    Parameters,
    RunInfo,
    Scores,
    write_atomically,
)
from tunebench.study import Run
from tunebench.techniques.base import Baseline, Technique, Trained

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

PREDICTIONS = "predictions.jsonl"


def execute(run: Run, folder: Path, cache: Path, observe: Observer, track: str | None = None) -> Done | NotApplicable:
    """Make one run in its folder, going on from its last checkpoint, and return its record, which the caller writes.

    Raises:
        UserError: the model or the data cannot be had.
        RunError: the run gives no honest figure, such as a loss that is not finite.
    """
    found = checkpoints.find(run.model, run.revision, run.folder)
    info = run_info(run, found.family.name)
    reason = not_applicable(run, found.family)
    if reason is not None:
        return NotApplicable(reason=reason, run=info)
    measure.reset_peak_memory()
    watch = measure.Stopwatch()
    with watch.time("total"):
        examples = data.load(run.task, Path(run.data_root) if run.data_root else None)
        if isinstance(run.entry, Baseline):
            outcome = fit_baseline(run, run.entry, examples, folder)
        else:
            assert isinstance(run.entry, Technique)
            outcome = tune(run, run.entry, found, examples, folder, cache, observe, track)
    return record(run, info, examples, outcome, watch.seconds["total"], folder)


@dataclass(frozen=True)
class Outcome:
    """What tuning or fitting gives, before the test split is scored."""

    predictions: list[Any]
    sure: list[Any]
    validation: dict[str, float | None]
    parameters: Parameters
    environment: dict[str, Any]
    state: train.State
    saved: list[Path]
    prefix_seconds: float = 0.0
    cached: bool = False
    backbone: ModelInfo | None = None
    truncated: dict[str, int] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    learnt: dict[str, Any] = field(default_factory=dict)
    generation: Generation | None = None


def tune(
    run: Run,
    technique: Technique,
    found: checkpoints.Checkpoint,
    examples: Data,
    folder: Path,
    cache: Path,
    observe: Observer,
    track: str | None,
) -> Outcome:
    """Adapt the pretrained model, and predict the test split with its best epoch."""
    budget, family, metrics = run.training, found.family, run.task.metrics
    accelerator, precision = make_accelerator(budget.precision, folder, track)
    local, backbone = checkpoints.fetch(found)
    objective = pose(run, found, examples.labels, family.tokenizer(local))
    features = {split: objective.encode(examples.splits[split]) for split in SPLITS}
    steps = budget.epochs * -(-len(features["train"]) // budget.batch_size)
    model = build(run, technique, found, local, objective, steps)
    parameters = measure.count_parameters(model, family)
    if isinstance(technique, Trained) and not parameters.trainable:
        raise RunError(f"{run.technique} trains nothing on {run.model}")
    settle(model, family, accelerator, precision)
    cut = Cut(
        model, family, objective, features, accelerator, precision, backbone.fingerprint,
        PrefixCache(cache, budget.cache_gigabytes * 1e9), budget.evaluation_batch_tokens, observe,
    )  # fmt: skip
    cut.source("validation")  # now, so that its prefix is not counted among the seconds of the first evaluation
    gold = objective.references(examples.splits["validation"], examples.labels)

    def validate() -> dict[str, float | None]:
        return score(metrics, cut.predict("validation")[0], gold)

    state, saved, learnt = train.State(), [], {}
    if isinstance(technique, Trained):
        best = folder / checkpoint.BEST
        with tracking(accelerator, "tunebench", {"run": run.id}, observe) as told:
            training = train.Training(
                model=model,
                network=cut.network,
                groups=technique.parameter_groups(model, family, budget.weight_decay),
                source=cut.source("train"),
                objective=objective,
                autocast=accelerator.autocast,  # pyright: ignore[reportArgumentType]
                validate=validate,
                main_metric=(metrics[0], METRICS[metrics[0]].higher_is_better),
                on_best=lambda: checkpoint.save_weights(checkpoint.trainable(model), best),
                technique=technique,
            )
            inputs = f"{examples.fingerprint()} {backbone.fingerprint}"
            state = train.fit(training, budget, run.seed, checkpoint.Resume(folder / "resume", best, inputs), told)
        checkpoint.load_weights(model, best)
        saved = [best]
        if technique.fold(model):
            saved = [folder / checkpoint.FOLDED]
            checkpoint.save_weights(checkpoint.trainable(model), saved[0])
        technique.save_adapter(model, family, folder / "adapter")
        learnt = technique.learnt(model)
    validation = state.history[state.best_epoch - 1]["validation"] if state.best_epoch else validate()
    observe({"event": "test"})
    predictions, sure = cut.predict("test")
    generation = None
    if isinstance(objective, CausalLm):
        observe({"event": "generation"})
        watch = measure.Stopwatch()
        with watch.time("generation"):
            generation = answer_sample(model, objective, examples.splits["test"], run.seed, accelerator.autocast)  # pyright: ignore[reportArgumentType]
        state.seconds |= watch.seconds
    truncated = {f"{split} {what}": n for split in SPLITS for what, n in features[split].truncated.items()}
    return Outcome(
        predictions, sure, validation, parameters, measure.environment(accelerator.device, precision), state, saved,
        prefix_seconds=cut.watch.seconds.get("prefix", 0.0), cached=cut.cached, backbone=backbone, truncated=truncated,
        notices=_notices(cut, fresh_of(model), state, truncated, objective.max_tokens), learnt=learnt,
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
    return objectives()[run.task.objective](labels, tokenizer, max_tokens=limit, **run.task.particular)


def build(
    run: Run, technique: Technique, found: checkpoints.Checkpoint, folder: Path, objective: Objective, steps: int
) -> Any:
    """The pretrained model under a head drawn from the run's seed, with the technique applied."""
    torch.manual_seed(seed_of(run.seed, HEAD))
    model = found.family.load(folder, run.task.objective, objective.head(objective.labels))
    model.name_or_path = str(found.folder or run.model)  # what PEFT names as the adapter's base
    return technique.apply(model, found.family, steps)


def settle(model: Any, family: Family, accelerator: Accelerator, precision: Precision) -> None:
    """Put a model on its device in its number formats, in evaluation mode."""
    if precision == "bf16":
        store_frozen_in_bf16(model, family.head(model))
    if accelerator.device.type == "cpu":
        use_fast_dropout(model, base_of(model))
    for module in family.head(model):
        compute_in_float32(module, accelerator.device.type)
    model.to(accelerator.device).eval()


def fit_baseline(run: Run, baseline: Baseline, examples: Data, folder: Path) -> Outcome:
    """Fit a baseline on the training examples, and predict the test split."""
    cls, watch = objectives()[run.task.objective], measure.Stopwatch()
    with watch.time("train"):
        predictor = baseline.fit(examples.splits["train"], run.task.objective, examples.labels, run.seed)
    saved = predictor.save(folder)
    with watch.time("evaluation"):
        guesses, _ = predictor.predict(examples.splits["validation"])
        validation = score(run.task.metrics, guesses, cls.references(examples.splits["validation"], examples.labels))
    predictions, sure = predictor.predict(examples.splits["test"])
    parameters = Parameters(
        total=predictor.parameters, trainable=predictor.parameters, technique=predictor.parameters, head=0
    )
    environment = measure.environment(torch.device("cpu"), "float64")
    return Outcome(predictions, sure, validation, parameters, environment, train.State(seconds=watch.seconds), saved)


def record(run: Run, info: RunInfo, examples: Data, outcome: Outcome, total_seconds: float, folder: Path) -> Done:
    """Score the test predictions, keep them, and put all together."""
    gold = objectives()[run.task.objective].references(examples.splits["test"], examples.labels)
    test = score(run.task.metrics, outcome.predictions, gold)
    rows = [
        {"id": number, "prediction": prediction, "reference": reference, "scores": sure}
        for number, (prediction, reference, sure) in enumerate(
            zip(outcome.predictions, gold, outcome.sure, strict=True)
        )
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    write_atomically(folder / PREDICTIONS, lines.encode())
    main, state = METRICS[run.task.metrics[0]], outcome.state
    train_seconds = state.seconds.get("train", 0.0)
    notices = list(outcome.notices)
    for name, value in test.items():
        if value is None:
            notices.append(
                Notice(
                    code="undefined",
                    message=f"{METRICS[name].title} on test is undefined: no finite number says it.",
                )
            )
    return Done(
        run=info,
        backbone=outcome.backbone,
        main_metric=MainMetric(
            name=main.name, split="test", value=test[main.name], higher_is_better=main.higher_is_better
        ),
        metrics=Scores(validation=outcome.validation, test=test),
        intervals={name: bootstrap_interval(METRICS[name], outcome.predictions, gold) for name in test},
        parameters=outcome.parameters,
        cost=Cost(
            prefix_seconds=outcome.prefix_seconds,
            train_seconds=train_seconds,
            evaluation_seconds=state.seconds.get("evaluation", 0.0),
            generation_seconds=state.seconds.get("generation", 0.0),
            total_seconds=total_seconds,
            peak_memory_bytes=measure.peak_memory(),
            peak_gpu_memory_bytes=measure.peak_gpu_memory(),
            saved_bytes=sum(path.stat().st_size for path in outcome.saved),
            epochs=state.epoch,
            steps=state.step,
            train_tokens=state.tokens,
            tokens_per_second=state.tokens / train_seconds if state.tokens else None,
            cached=outcome.cached,
        ),
        best_epoch=state.best_epoch,
        learnt=outcome.learnt,
        generation=outcome.generation,
        history=[Epoch.model_validate(epoch) for epoch in state.history],
        data=DataInfo(
            rows={split: len(examples.splits[split]) for split in SPLITS},
            source=examples.source,
            fingerprint=examples.fingerprint(),
            labels=list(examples.labels),
            truncated=outcome.truncated,
            notes=list(examples.notes),
        ),
        environment=outcome.environment,
        notices=notices,
    )


def run_info(run: Run, family: str) -> RunInfo:
    """The run as its record names it."""
    return RunInfo(
        id=run.id,
        model=run.model,
        revision=run.revision,
        family=family,
        task=run.task.name,
        task_version=run.task.version,
        task_settings=run.task.model_dump(mode="json", include={"max_tokens", "rows"}) | run.task.particular,
        technique=run.technique,
        label=run.label,
        settings=run.entry.model_dump(mode="json"),
        seed=run.seed,
        training=run.training.model_dump(),
    )


def not_applicable(run: Run, family: Family) -> str | None:
    """Why a run has no meaning, or None."""
    if run.task.objective not in family.auto_classes:
        return f"the family {family.name} has no head for {run.task.objective}"
    return run.entry.not_applicable(family, run.task.objective)


def _notices(
    cut: Cut, fresh: tuple[str, ...], state: train.State, truncated: dict[str, int], limit: int
) -> list[Notice]:
    notices = [
        Notice(code="truncated", message=f"{count} {what} were cut at {limit} tokens.")
        for what, count in truncated.items()
    ]
    if cut.cached:
        text = (
            f"The outputs of {cut.depth} frozen stages were computed once and kept. They come from batches sorted by "
            "length, so scores can differ in their last digits from a run that computes them at every step."
        )
        notices.append(Notice(code="cached", message=text))
    if cut.over_budget:
        text = (
            "The frozen stages' outputs exceed training.cache_gigabytes, or the disk is full: computed at every step."
        )
        notices.append(Notice(code="uncached", message=text))
    if fresh:
        text = (
            f"The checkpoint's {', '.join(fresh)} was never trained, or is missing: "
            "it belongs to the head, and trains with it."
        )
        notices.append(Notice(code="fresh_module", message=text))
    losses = [epoch["train_loss"] for epoch in state.history]
    if len(losses) > 1 and losses[-1] > losses[0]:
        text = f"The training loss rose from {losses[0]:.3g} to {losses[-1]:.3g}: the learning rate may be too high."
        notices.append(Notice(code="diverged", message=text))
    return notices
