"""Events of a run, a worker and a pretraining: one type for each event, JSON only between processes and on disk."""

import json
import time
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter

from tunebench.records import Epoch, Record

# A run ----------------------------------------------------------------------------------------------------------------


class Resumed(Record):
    """Training resumes from a kept state: a run's after `epoch` whole epochs, a pretraining's after `tokens`."""

    event: Literal["resumed"] = "resumed"
    step: int
    epoch: int | None = None
    tokens: int | None = None


class CheckpointDamaged(Record):
    """A checkpoint was damaged, so training resumes from an earlier one, or starts again."""

    event: Literal["damaged"] = "damaged"
    checkpoint: str


class Step(Record):
    """One optimizer step of `steps`; a pretraining has no epochs."""

    event: Literal["step"] = "step"
    step: int
    steps: int
    loss: float
    epoch: int | None = None
    epochs: int | None = None


class BatchDone(Record):
    """One batch of a long pass without training, such as the pass through the frozen layers."""

    event: Literal["batch"] = "batch"
    phase: str
    batch: int
    batches: int


class EpochEnded(Epoch):
    """An epoch was trained and validated."""

    event: Literal["epoch"] = "epoch"


class Testing(Record):
    """Training is over; the test split is predicted."""

    __test__: ClassVar[bool] = False  # pytest collects classes of this name

    event: Literal["test"] = "test"


class Generating(Record):
    """A sample of the test prompts is answered in full."""

    event: Literal["generation"] = "generation"


# A study --------------------------------------------------------------------------------------------------------------


class Driving(Record):
    """A command begins to make runs, at most `workers` at once; `started` is when its process began, in Unix time."""

    event: Literal["driving"] = "driving"
    host: str
    process: int
    started: float
    workers: int


class Placed(Record):
    """A job was given to the executor; `folder` is that of its run, in the study's folder."""

    event: Literal["placed"] = "placed"
    folder: str
    model: str
    task: str
    technique: str
    label: str
    seed: int
    until_epoch: int | None = None
    trial: bool = False


class Driven(Record):
    """No further run is made by this command."""

    event: Literal["driven"] = "driven"


# A pretraining --------------------------------------------------------------------------------------------------------


class LearningTokenizer(Record):
    """The tokenizer is trained on the training texts."""

    event: Literal["tokenizer"] = "tokenizer"


class Tokenising(Record):
    """A part of the texts, `train` or `held_out`, is tokenised."""

    event: Literal["tokenising"] = "tokenising"
    part: str


class Reading(Record):
    """The held-out texts were scored: nats per prediction by part, and the main part's perplexity."""

    event: Literal["reading"] = "reading"
    step: int
    tokens: int
    train_loss: float
    held_out: dict[str, float]
    predictions: int
    perplexity: float


# The process border ---------------------------------------------------------------------------------------------------


class Ready(Record):
    """A worker has imported everything and takes jobs."""

    event: Literal["ready"] = "ready"


class ResultWritten(Record):
    """A job ended; its result is in the run's folder."""

    event: Literal["result"] = "result"
    status: Literal["done", "paused", "failed", "not_applicable"]
    reason: str | None = None


class Unwritable(Record):
    """The output folder cannot be written, so no run can continue."""

    event: Literal["unwritable"] = "unwritable"
    reason: str


class Ended(Record):
    """A worker's process ended."""

    event: Literal["ended"] = "ended"
    code: int


Event = (
    Resumed
    | CheckpointDamaged
    | Step
    | BatchDone
    | EpochEnded
    | Testing
    | Generating
    | LearningTokenizer
    | Tokenising
    | Reading
    | Ready
    | Driving
    | Placed
    | Driven
    | ResultWritten
    | Unwritable
    | Ended
)
Observer = Callable[[Event], None]

_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
_OPTIONAL = {"epoch", "tokens", "until_epoch"}


def read_event(line: str | bytes) -> Event:
    """An event from its JSON.

    Raises:
        pydantic.ValidationError: the line is not an event.
    """
    return _EVENT.validate_json(line)


def line_of(event: Event) -> str:
    """A line of `events.jsonl`: the Unix time in seconds, the event's name, its fields."""
    fields = event.model_dump(mode="json", exclude={"event"})
    absent = {name for name in _OPTIONAL if fields.get(name, 0) is None}
    named: dict[str, Any] = {name: value for name, value in fields.items() if name not in absent}
    return json.dumps({"time": round(time.time(), 3), "event": event.event, **named}) + "\n"
