"""The pretraining loop: step, look at the held-out texts now and then, keep a state to go on from."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunebench._util.errors import RunError
from tunebench.engine.events import CheckpointDamaged, Observer, Reading, Resumed, Step
from tunebench.engine.precision import Autocast
from tunebench.engine.weights import Resume
from tunebench.zoo.pretraining.batches import Steps, held_out_batches
from tunebench.zoo.pretraining.corpus import Corpus
from tunebench.zoo.pretraining.objectives.base import PretrainingObjective
from tunebench.zoo.pretraining.optimizer import Optimizers, clip, optimizers, rate_factor
from tunebench.zoo.pretraining.recipe import Pretraining


@dataclass
class PretrainingState:
    """Where the loop stands; kept in checkpoints.

    Attributes:
        tokens: seen so far, special tokens included.
        losses: summed training loss since the last reading.
        curve: the held-out losses so far.
        seconds: of training, all starts together, readings included.
    """

    step: int = 0
    tokens: int = 0
    losses: float = 0.0
    losses_steps: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    best_epoch: None = None  # what a resume folder asks of a state: no weights are kept beside it


@dataclass(frozen=True)
class PretrainingTask:
    """What is trained on what.

    Attributes:
        autocast: the number format of products.
        on_reading: called after each reading of the held-out loss, with the curve so far.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    objective: PretrainingObjective
    train: Corpus
    held_out: Corpus
    device: torch.device
    autocast: Autocast
    on_reading: Callable[[PretrainingState], None]


def fit(task: PretrainingTask, training: Pretraining, resume: Resume, observe: Observer) -> PretrainingState:
    """Train to the last step, from the newest state where there is one; a killed run ends with the same weights.

    Raises:
        RunError: a loss or a gradient is not finite.
    """
    task.model.eval()  # no dropout: a short training sees no text often enough to learn it by heart
    optimizer = optimizers(task.model, training)
    peaks = [group["lr"] for group in optimizer.param_groups]
    saved = resume.load(task.model, optimizer, lambda extra: None)  # type: ignore[arg-type]
    state = PretrainingState(**{key: saved[key] for key in asdict(PretrainingState())}) if saved else PretrainingState()
    for name in resume.damaged:
        observe(CheckpointDamaged(checkpoint=name))
    if saved:
        observe(Resumed(step=state.step, tokens=state.tokens))
    plan = training.plan()
    cycle = len(plan) // training.cycles
    warmup = math.ceil(cycle * training.warmup_fraction)
    longest = max(training.sequences, key=lambda some: some.length)
    held_out = held_out_batches(
        task.held_out, task.objective, task.tokenizer, longest.length, training.rows(longest), training.held_out_tokens
    )
    last_save = started = time.monotonic()
    before = state.seconds
    batches = Steps(task.train, task.objective, task.tokenizer, training, plan).after(state.step, task.device)
    for step in range(state.step, len(plan)):
        factor = rate_factor(step % cycle, cycle, warmup, training.schedule)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        sequences = training.sequences[plan[step][0]]
        loss = _step(task, optimizer, next(batches), training.max_gradient_norm, step)
        state.step += 1
        state.tokens += training.rows(sequences) * sequences.length
        state.losses += loss
        state.losses_steps += 1
        state.seconds = before + time.monotonic() - started
        observe(Step(step=state.step, steps=len(plan), loss=loss))
        if state.step == len(plan) or _due(state, training.evaluate_tokens):
            _read(task, held_out, state)
            state.seconds = before + time.monotonic() - started
            observe(Reading(**state.curve[-1]))
            task.on_reading(state)
        if time.monotonic() - last_save >= training.checkpoint_seconds or state.step == len(plan):
            resume.save(task.model, optimizer, asdict(state), {})  # type: ignore[arg-type]
            last_save = time.monotonic()
    return state


def _due(state: PretrainingState, every: int) -> bool:
    return state.tokens // every > (state.curve[-1]["tokens"] if state.curve else 0) // every


def _step(task: PretrainingTask, optimizer: Optimizers, batch: dict[str, Tensor], limit: float, step: int) -> float:
    with task.autocast():
        parts = task.objective.loss(task.model, {name: x.to(task.device) for name, x in batch.items()})
        loss = torch.stack([part.total / part.count for part in parts.values()]).sum()
    loss.backward()
    value = float(loss.detach())
    norm = clip(task.model.parameters(), limit)
    if not math.isfinite(value) or not math.isfinite(norm):
        raise RunError(
            f"at step {step + 1} the loss is {value} and the gradient's norm {norm}; a lower learning rate may help"
        )
    optimizer.step()
    optimizer.zero_grad()
    return value


def _read(task: PretrainingTask, batches: list[dict[str, Tensor]], state: PretrainingState) -> None:
    """Append the held-out figures to the curve: nats a prediction by part, and the main part's perplexity."""
    totals: dict[str, float] = {}
    counts: dict[str, int] = {}
    with torch.no_grad(), task.autocast():
        for batch in batches:
            parts = task.objective.loss(task.model, {name: x.to(task.device) for name, x in batch.items()})
            for name, part in parts.items():
                totals[name] = totals.get(name, 0.0) + float(part.total)
                counts[name] = counts.get(name, 0) + part.count
    losses = {name: totals[name] / counts[name] for name in totals}
    main = next(iter(losses))
    state.curve.append(
        {
            "step": state.step,
            "tokens": state.tokens,
            "train_loss": state.losses / state.losses_steps,
            "held_out": losses,
            "predictions": counts[main],
            "perplexity": math.exp(losses[main]),
        }
    )
    state.losses, state.losses_steps = 0.0, 0
