"""One run, top to bottom. The file to read first.

Prepare (examples -> features, backbone -> technique, frozen trunk | tail) -> train -> evaluate -> describe -> Done
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunebench._util.errors import RunError
from tunebench.engine import measure, train, weights
from tunebench.engine.energy import EnergyMeter
from tunebench.engine.evaluate import score
from tunebench.engine.events import Generating, Observer, Testing
from tunebench.engine.generate import answer_sample, kept_sample
from tunebench.engine.latency import latency
from tunebench.engine.observers import to_all, tracking
from tunebench.families.base import pooled_otherwise, pooling_of
from tunebench.objectives.causal_lm import CausalLm
from tunebench.records import Done, Generation, NotApplicable, Notice, Paused
from tunebench.run import adapter, remarks
from tunebench.run.baseline import fit_baseline, try_baseline
from tunebench.run.card import write_adapter_card
from tunebench.run.cell import Cell
from tunebench.run.cost import Sitting, cost_until_now, spent
from tunebench.run.job import Job
from tunebench.run.load import LoadWatch
from tunebench.run.measures import forgetting_of
from tunebench.run.pause import VALIDATION, Pause, paused
from tunebench.run.prepare import Prepared, prepare, training_of
from tunebench.run.record import Outcome, answered, describe, write_answers
from tunebench.tasks import load as data
from tunebench.tasks.load import SPLITS
from tunebench.techniques.base import Baseline, Trained


@dataclass(frozen=True)
class Tuned:
    """The outcome of training: the loop's state, the files of the weights, and the technique's summary of the model."""

    state: train.State = field(default_factory=train.State)
    saved: tuple[Path, ...] = ()
    summary: dict[str, Any] = field(default_factory=dict)


def execute(job: Job, observe: Observer) -> Done | Paused | NotApplicable:
    """Make one run in its folder, resuming from its last checkpoint, and return its record, which the caller writes.

    Raises:
        UserError: the model or the data are unavailable.
        RunError: the run cannot give a valid figure, such as when the loss is not finite.
    """
    run, folder = job.run, Path(job.folder)
    cell = Cell.of(run, job.places)
    info = run.info(cell.family.name)
    if cell.reason is not None:
        return NotApplicable(reason=cell.reason, run=info)
    measure.begin_memory()
    watch = measure.Stopwatch()
    with EnergyMeter("energy" in run.measure) as energy, LoadWatch(folder) as load, watch.time("total"):
        observe = to_all([observe, load.observe])
        examples = data.load(job.places.located(run.task), job.places.data_root)
        if isinstance(run.entry, Baseline):
            outcome = (try_baseline if job.trial else fit_baseline)(cell, run.entry, examples, folder)
        else:
            prepared = prepare(job, cell, examples, observe)
            tuned = tune(job, prepared, watch, energy, observe)
            outcome = evaluate(prepared, tuned, energy, observe) if _is_over(job, tuned) else _pause(prepared, tuned)
        loaded = load.until_now()
    sitting = Sitting(watch.spent("total") - outcome.apart, outcome.peaks, outcome.trunks, loaded, energy.until_now())
    if isinstance(outcome, Pause):
        reason = _why_paused(job, outcome.state)
        return paused(info, reason, outcome.state, cost_until_now(folder, outcome.state, sitting))
    done = describe(job, info, examples, outcome, sitting)
    if (folder / adapter.FOLDER).is_dir():
        write_adapter_card(folder / adapter.FOLDER, cell, done)
    return done


def tune(job: Job, prepared: Prepared, watch: measure.Stopwatch, energy: EnergyMeter, observe: Observer) -> Tuned:
    """Train until the budget is used up or the job pauses, and keep the best epoch's weights, or the answers so far.

    `watch` and `energy` measure the whole sitting.
    """
    run, technique, model = job.run, prepared.cell.technique, prepared.model
    if not isinstance(technique, Trained):
        return Tuned(_scored(prepared, watch, Path(job.folder) / VALIDATION) if job.trial else train.State())
    folder = Path(job.folder)
    best = folder / weights.BEST
    inputs = f"{prepared.examples.fingerprint()} {prepared.backbone.fingerprint}"
    with tracking(prepared.accelerator, "tunebench", {"run": run.id}, observe) as watched:
        training = replace(
            training_of(prepared, technique),
            on_best=lambda: weights.save_weights(weights.trainable(model), best),
            spent=lambda state: spent(
                state,
                Sitting(watch.running("total"), measure.Peaks(), prepared.cut.trunks, energy=energy.until_now()),
            ),
        )
        resume = weights.Resume(folder / "resume", best, inputs)
        state = train.fit(training, run.training, run.seed, resume, watched, job.until_epoch)
    if job.trial or not train.is_over(state, run.training):
        _write_validation(folder / VALIDATION, prepared)
        return Tuned(state)
    if state.best_epoch is None:
        raise RunError(f"{run.technique}: no epoch ended with weights that may be kept; more epochs may help")
    weights.load_weights(model, best)
    saved = best
    if technique.fold(model):
        saved = folder / weights.FOLDED
        weights.save_weights(weights.trainable(model), saved)
    # Where the head reads another vector than it would elsewhere, other libraries could not use the adapter.
    if not pooled_otherwise(model) and technique.save_adapter(model, prepared.cell.family, folder / adapter.FOLDER):
        adapter.tidy(folder / adapter.FOLDER)
    return Tuned(state, (saved,), technique.summary(model))


def evaluate(prepared: Prepared, tuned: Tuned, energy: EnergyMeter, observe: Observer) -> Outcome:
    """Score the whole validation split, predict the test split, and measure what an answer costs."""
    objective, features, cut, model = prepared.objective, prepared.features, prepared.cut, prepared.model
    state = tuned.state
    validation = _validation(prepared, state)
    settled, remark = _settled(prepared)
    observe(Testing())
    predictions, details = cut.predict("test")
    watch = measure.Stopwatch()
    generation = _sample(prepared, details, watch, observe)
    state.seconds |= watch.seconds
    peaks, fresh = measure.Peaks(), remarks.on_fresh(model)
    energy.stop()
    with watch.time("measures"):
        forgotten = forgetting_of(prepared)
    technique = prepared.cell.technique
    spent = latency(model, technique, objective, features["test"], prepared.autocast)  # last: it may merge
    truncated = {f"{split} {what}": n for split in SPLITS for what, n in features[split].truncated.items()}
    return Outcome(
        predictions=predictions,
        details=details,
        validation=validation,
        parameters=prepared.parameters,
        environment=measure.environment(prepared.accelerator.device, prepared.precision),
        state=state,
        saved=list(tuned.saved),
        peaks=peaks,
        latency=spent,
        trunks=cut.trunks,
        cached=cut.cached,
        backbone=prepared.backbone,
        truncated=truncated,
        tokens={split: sum(features[split].lengths) for split in SPLITS},
        notices=[
            *prepared.notices,
            *remarks.on_features(truncated, objective.max_tokens),
            *remarks.on_trunk(cut),
            *fresh,
            *remarks.on_training(state),
            *remarks.on_comparison(prepared.comparison, state),
            *remarks.on_latency(spent),
            *remarks.on_answers(objective, predictions, details),
            *remark,
        ],
        pooling=pooling_of(model),
        summary=tuned.summary | settled | objective.described,
        generation=generation,
        forgetting=forgotten,
        apart=watch.spent("measures"),
    )


def _is_over(job: Job, tuned: Tuned) -> bool:
    trained = isinstance(job.run.entry, Trained)
    return not job.trial and (not trained or train.is_over(tuned.state, job.run.training))


def _why_paused(job: Job, state: train.State) -> str:
    budget = job.run.training
    if job.trial and (not isinstance(job.run.entry, Trained) or train.is_over(state, budget)):
        return Paused.TRIAL
    return f"{state.epoch} of at most {budget.epochs} epochs are trained"


def _scored(prepared: Prepared, watch: measure.Stopwatch, path: Path) -> train.State:
    """The state of a trial that trains nothing: one epoch without steps, whose answers are written."""
    with watch.time("evaluation"):
        scores = prepared.comparison.scores(prepared.cut, prepared.cell.run.task.metrics)
        _write_validation(path, prepared)
    seconds = watch.seconds["evaluation"]
    epoch = {"epoch": 1, "train_loss": None, "validation": scores, "seconds": seconds}
    return train.State(epoch=1, best_epoch=1, history=[epoch], seconds={"evaluation": seconds})


def _pause(prepared: Prepared, tuned: Tuned) -> Pause:
    return Pause(tuned.state, prepared.cut.trunks, measure.Peaks())


def _validation(prepared: Prepared, state: train.State) -> dict[str, float | None]:
    """The best epoch's scores on the whole validation split, from the history if it has them."""
    if prepared.comparison.exact and state.best_epoch:
        return state.history[state.best_epoch - 1]["validation"]
    task, examples = prepared.cell.run.task, prepared.examples
    gold = task.references(examples.splits["validation"], examples.labels)
    return score(task.metrics, prepared.cut.predict("validation")[0], gold)


def _settled(prepared: Prepared) -> tuple[dict[str, Any], list[Notice]]:
    """What the validation split settles of how answers are read off the tuned model's outputs."""
    objective, examples = prepared.objective, prepared.examples
    if not objective.settles:
        return {}, []
    _, details = prepared.cut.predict("validation")
    gold = prepared.cell.run.task.references(examples.splits["validation"], examples.labels)
    settled, text = objective.settle(details, gold)
    return settled, [Notice(code="settled", message=text)]


def _sample(prepared: Prepared, details: list[Any], watch: measure.Stopwatch, observe: Observer) -> Generation | None:
    """Answers to some test prompts, if the model generates free text; None for labels and scores.

    Answers that exist already are in `details`; a model that was scored by likelihood generates them now.
    """
    objective, test = prepared.objective, prepared.examples.splits["test"]
    if objective.writes and not objective.closed:
        return kept_sample(objective, test, details)
    if not isinstance(objective, CausalLm):
        return None
    observe(Generating())
    with watch.time("generation"):
        return answer_sample(prepared.model, objective, test, prepared.cell.run.seed, prepared.autocast)


def _write_validation(path: Path, prepared: Prepared) -> None:
    """Write the answers of the epoch at which a job pauses; they are computed again if no epoch was trained."""
    comparison = prepared.comparison
    predictions, details = comparison.answers or prepared.cut.predict(comparison.split, comparison.objective)
    asked = [prepared.cell.run.task.shown(example) for example in comparison.examples]
    write_answers(path, answered(comparison.rows, asked, predictions, comparison.gold, details))
