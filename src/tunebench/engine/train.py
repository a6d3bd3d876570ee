"""The training loop: one for all techniques, AdamW with a warm-up and a decay, early stopping on validation.

A loss or gradient that is not finite ends the run at its step.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import nn

from tunebench._util.errors import RunError
from tunebench.engine.batching import plan_epoch
from tunebench.engine.events import CheckpointDamaged, EpochEnded, Observer, Resumed, Step
from tunebench.engine.measure import Stopwatch
from tunebench.engine.precision import Autocast
from tunebench.engine.preemption import Preempted, asked
from tunebench.engine.schedule import Schedule, rate_factor
from tunebench.engine.seeds import seed_torch, seeds_of_steps
from tunebench.engine.sources import Source
from tunebench.engine.weights import Resume
from tunebench.objectives.base import Objective
from tunebench.records import Epoch


class Budget(Protocol):
    """The training settings that the loop reads."""

    epochs: int
    batch_size: int
    micro_batch_size: int | None
    patience: int
    warmup_fraction: float
    schedule: Schedule
    max_gradient_norm: float
    checkpoint_seconds: float


@dataclass
class State:
    """The state of the loop; kept in checkpoints.

    `damaged` names the checkpoints from which training could not resume.
    `earlier` is what the sittings before this one cost up to their last checkpoints, as `TrainingSetup.spent` gives it.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    tokens: int = 0
    loss_sum: float = 0.0
    best: float | None = None
    best_epoch: int | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    earlier: dict[str, float] = field(default_factory=dict)


class Adaptation(Protocol):
    """What the loop needs of a technique (see `techniques.base.Trained`)."""

    def penalty(self, model: nn.Module) -> torch.Tensor | None:
        """Added to each batch's loss."""
        ...

    def may_be_best(self, model: nn.Module) -> bool:
        """Whether the weights at the end of an epoch may be the ones that are kept."""
        ...

    def after_step(self, model: nn.Module, step: int) -> None:
        """Called while the step's gradients are still available."""
        ...

    def extra_state(self, model: nn.Module) -> dict[str, torch.Tensor]:
        """What a checkpoint holds besides weights and optimizer."""
        ...

    def load_extra_state(self, model: nn.Module, state: dict[str, torch.Tensor]) -> None:
        """Restore what `extra_state` gave."""
        ...


@dataclass(frozen=True)
class TrainingSetup:
    """What one run trains.

    Attributes:
        model: the whole model, whose trainable weights are kept.
        network: what takes the batches: the model, or its tail above the frozen trunk.
        groups: the optimizer's groups, each with its peak rate `lr`.
        validate: computes the validation scores of the current weights.
        main_metric: its name among the scores, and whether higher is better.
        on_best: called when an epoch is the best so far, before the next epoch changes the weights.
        spent: what the run has cost so far in this sitting and the ones before: `total` and other seconds, peaks.
    """

    model: nn.Module
    network: nn.Module
    groups: list[dict[str, Any]]
    source: Source
    objective: Objective
    autocast: Autocast
    validate: Callable[[], dict[str, float | None]]
    main_metric: tuple[str, bool]
    on_best: Callable[[], None]
    technique: Adaptation
    spent: Callable[[State], dict[str, float]] = lambda state: {}


def fit(
    training: TrainingSetup,
    budget: Budget,
    seed: int,
    resume: Resume,
    observe: Observer,
    until_epoch: int | None = None,
) -> State:
    """Train until the epochs or the patience are used up, from the newest checkpoint where there is one.

    Args:
        training: what trains.
        budget: how long it trains.
        seed: determines the order of the examples and dropout.
        resume: the run's checkpoints.
        observe: called with each event.
        until_epoch: pause at the end of this epoch, with a checkpoint from which training resumes bit for bit; also
            where it is the last one, so that a run that goes on from there trains no epoch again.

    Returns:
        The final state; `on_best` has kept the weights of `best_epoch`. Training paused unless `is_over`.

    Raises:
        RunError: a loss or a gradient is not finite.
    """
    loop = _Loop(training, budget, seed, resume, observe)
    while not is_over(loop.state, budget) and (until_epoch is None or loop.state.epoch < until_epoch):
        loop.train_epoch()
        loop.end_epoch()
    if until_epoch is not None or not is_over(loop.state, budget):
        loop.save()
    return loop.state


def is_over(state: State, budget: Budget) -> bool:
    """Whether the epochs or the patience are used up; patience counts from an epoch that may be the best."""
    if state.epoch >= budget.epochs:
        return True
    return state.best_epoch is not None and state.epoch - state.best_epoch >= budget.patience


def seconds_per_step(training: TrainingSetup, budget: Budget, seed: int, warm_up: int, steps: int) -> float:
    """Mean wall-clock seconds of the first epoch's first optimizer steps after a warm-up.

    The learning rate is 0, which takes as long, and moves no weight.

    Raises:
        RunError: as `fit`.
    """
    optimizer = torch.optim.AdamW([{**group, "lr": 0.0} for group in training.groups], fused=True)
    plan = plan_epoch(training.source.features.lengths, budget.batch_size, seed, 0)
    batches = [plan[number % len(plan)] for number in range(warm_up + steps)]
    training.network.train()
    watch = Stopwatch()
    for number, indices in enumerate(batches):
        with watch.time("warm-up" if number < warm_up else "steps"):
            seed_torch(seed)
            _step(training, optimizer, indices, budget, number)
    return watch.seconds["steps"] / steps


class _Loop:
    """One training: what it changes, and the clock."""

    def __init__(self, training: TrainingSetup, budget: Budget, seed: int, resume: Resume, observe: Observer):
        self._training, self._budget, self._seed = training, budget, seed
        self._resume, self._observe = resume, observe
        self._optimizer = torch.optim.AdamW(training.groups, fused=True)
        self._peaks = [group["lr"] for group in self._optimizer.param_groups]
        self.state = self._restored()
        self._watch = Stopwatch(self.state.seconds, self.state.cpu_seconds)
        self._steps = math.ceil(len(training.source.features) / budget.batch_size)  # per epoch
        self._total = self._steps * budget.epochs
        self._warmup = math.ceil(self._total * budget.warmup_fraction)
        self._saved_at = time.monotonic()

    def train_epoch(self) -> None:
        """Make the steps of the current epoch that are left.

        Raises:
            Preempted: the run must leave this machine; its checkpoint is written.
        """
        state, lengths = self.state, self._training.source.features.lengths
        self._training.network.train()
        with self._watch.time("train"):
            plan = plan_epoch(lengths, self._budget.batch_size, self._seed, state.epoch)
            seeds = seeds_of_steps(self._seed, state.epoch, len(plan))
        for indices, drawn in zip(plan[state.step_in_epoch :], seeds[state.step_in_epoch :], strict=True):
            self._train_step(indices, drawn)
            if asked.is_set() or time.monotonic() - self._saved_at >= self._budget.checkpoint_seconds:
                self.save()
                self._saved_at = time.monotonic()
            if asked.is_set():
                raise Preempted

    def end_epoch(self) -> None:
        """Score the weights, keep them where they are the best so far, and write the epoch into the history."""
        state, (name, higher_is_better) = self.state, self._training.main_metric
        with self._watch.time("evaluation"):
            scores = self._training.validate()
        value = scores[name]
        state.epoch += 1
        state.seconds, state.cpu_seconds = self._watch.seconds, self._watch.cpu_seconds
        spent = sum(state.seconds.values()) - sum(epoch["seconds"] for epoch in state.history)
        loss = state.loss_sum / self._steps
        epoch = Epoch(epoch=state.epoch, train_loss=loss, validation=scores, seconds=spent)
        state.history.append(epoch.model_dump())
        state.step_in_epoch, state.loss_sum = 0, 0.0
        # An undefined score is never better; the first epoch that may be the best is, until another beats it.
        better = value is not None and (
            state.best is None or ((value > state.best) == higher_is_better and value != state.best)
        )
        may_be = self._training.technique.may_be_best(self._training.model)
        if may_be and (better or state.best_epoch is None):
            state.best, state.best_epoch = value, state.epoch
            self._training.on_best()
        self._observe(EpochEnded(**state.history[-1]))

    def save(self) -> None:
        """Write a checkpoint."""
        model = self._training.model
        self.state.seconds, self.state.cpu_seconds = self._watch.seconds, self._watch.cpu_seconds
        extra = self._training.technique.extra_state(model)
        state = replace(self.state, earlier=self._training.spent(self.state))
        self._resume.save(model, self._optimizer, asdict(state), extra)

    def _restored(self) -> State:
        """The state of the newest checkpoint, with its weights and optimizer in place; else that of the beginning."""
        model, technique = self._training.model, self._training.technique
        saved = self._resume.load(model, self._optimizer, lambda extra: technique.load_extra_state(model, extra))
        known = {} if saved is None else {key: saved[key] for key in asdict(State()) if key in saved}
        state = State(**known)
        state.damaged += self._resume.damaged
        for name in self._resume.damaged:
            self._observe(CheckpointDamaged(checkpoint=name))
        if saved is not None:
            # A checkpoint of an earlier version does not know what its sittings cost.
            state.earlier = state.earlier or {"total": sum(state.seconds.values())}
            self._observe(Resumed(epoch=state.epoch, step=state.step))
        return state

    def _train_step(self, indices: list[int], drawn: int) -> None:
        state, budget = self.state, self._budget
        factor = rate_factor(state.step, self._total, self._warmup, budget.schedule)
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor
        with self._watch.time("train"):
            seed_torch(drawn)
            loss = _step(self._training, self._optimizer, indices, budget, state.step)
        state.step += 1
        state.step_in_epoch += 1
        state.loss_sum += loss
        state.tokens += sum(self._training.source.features.lengths_of(indices))
        self._observe(Step(step=state.step, steps=self._total, loss=loss, epoch=state.epoch + 1, epochs=budget.epochs))


def _step(
    training: TrainingSetup, optimizer: torch.optim.Optimizer, indices: list[int], budget: Budget, step: int
) -> float:
    """One optimizer step; returns the batch's mean loss."""
    loss = 0.0
    for part, weight in _micro_batches(training, indices, budget.micro_batch_size):
        with training.autocast():
            part_loss = training.objective.loss(training.network, part)
        if weight < 1:
            part_loss = part_loss * weight
        part_loss.backward()
        loss += float(part_loss.detach())
    penalty = training.technique.penalty(training.model)
    if penalty is not None:
        penalty.backward()
        loss += float(penalty.detach())
    if not math.isfinite(loss):
        raise RunError(f"the loss is {loss} at step {step + 1}; a lower learning rate may help")
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if not math.isfinite(float(norm)):
        raise RunError(f"the gradient's norm is {float(norm)} at step {step + 1}; a lower learning rate may help")
    if float(norm) > budget.max_gradient_norm:  # below it torch would multiply every gradient by 1
        nn.utils.clip_grads_with_norm_(parameters, budget.max_gradient_norm, norm)
    optimizer.step()
    training.technique.after_step(training.model, step)
    for parameter in parameters:  # `zero_grad` does the same, and reports it to the profiler: 3 % of a head's step
        parameter.grad = None
    return loss


def _micro_batches(
    training: TrainingSetup, indices: list[int], size: int | None
) -> Iterator[tuple[dict[str, torch.Tensor], float]]:
    """Parts of a batch, each weighted by its share of the loss's terms: the gradient is that of the whole batch."""
    if size is None or size >= len(indices):
        yield training.source.batch(indices), 1.0
        return
    parts = [indices[at : at + size] for at in range(0, len(indices), size)]
    terms = [training.objective.loss_terms(training.source.batch(part)["labels"]) for part in parts]
    for part, count in zip(parts, terms, strict=True):
        if count:
            yield training.source.batch(part), count / sum(terms)
