"""Results of runs and their store: JSON only, written last and atomically, so that a result's existence means done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from tunebench._util.files import read_json, write_json
from tunebench.records.base import SCHEMA, Record

PREDICTIONS = "predictions.jsonl"
"""The file of a run's answers on the test split."""


class RunInfo(Record):
    """Which run this is; `settings` are the technique's, `training` the budget's, `pooling` what the study asks for."""

    id: str
    model: str
    revision: str | None = None
    pooling: str = "auto"
    family: str
    task: str
    task_version: int
    task_settings: dict[str, Any] = {}
    technique: str
    label: str
    settings: dict[str, Any]
    seed: int
    training: dict[str, int | float | str | None]

    @field_validator("settings", "training")
    @classmethod
    def _numbers(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A damaged record is refused here: reports compute with these values."""
        for name in ("epochs", "batch_size", "warmup_fraction", "learning_rate"):
            if not isinstance(values.get(name), int | float | None):
                raise ValueError(f"{name} is not a number")
        return values


class Notice(Record):
    """Something a reader of the figures must know; `code` is stable, for programs."""

    code: str
    message: str


class MainMetric(Record):
    """The figure that ranks; value None means undefined (say, a correlation of constant predictions)."""

    name: str
    split: str
    value: float | None
    higher_is_better: bool


class Scores(Record):
    """Metric values a split; None is undefined, never zero.

    `test_without_overlap` leaves out test inputs that stand in train; empty if there are none, or no others.
    """

    validation: dict[str, float | None]
    test: dict[str, float | None]
    test_without_overlap: dict[str, float | None] = {}


class Parameters(Record):
    """Counts of parameters, each tensor once; `technique` + `head` = `trainable`."""

    total: int
    trainable: int
    technique: int
    head: int


class Cost(Record):
    """What the run costs. Seconds are wall-clock, memory is the process's peak resident set in bytes.

    A frozen trunk is charged by what computing its outputs takes, whichever run did it: train's as `trunk_seconds`, a
    part of tuning; validation's within `evaluation_seconds`; test's apart. `total_seconds` has all three in place of
    the time that this run computed, waited or read. `computed_trunk_seconds` is what this run really computed.

    `left_behind_bytes` is what earlier runs of the process kept, and is no part of the peak. `other_workers` is their
    mean number, `waiting_share` the share of the time in which the run's threads waited for a core. What versions
    before did not record is None; their `trunk_seconds` are those of all splits, spent by the run itself.

    Latencies are median seconds of one answer to one test text of `latency_tokens` tokens, alone in its batch; merged:
    with the technique multiplied into the weights, None where it cannot be, or where nothing was added to them.

    What only a study's `measure` asks for is None elsewhere: the energy of the run's process (`energy_kwh`), and how
    much worse the tuned model models general text than the untuned one, in nats per token (`forgetting_nats`) or, where
    the checkpoint has no language-modelling head, by its vectors (`feature_drift`).
    """

    trunk_seconds: float
    train_seconds: float
    evaluation_seconds: float
    generation_seconds: float = 0.0
    total_seconds: float
    peak_memory_bytes: int
    peak_gpu_memory_bytes: int | None = None
    saved_bytes: int
    epochs: int
    steps: int
    train_tokens: int
    tokens_per_second: float | None
    cached: bool
    latency_seconds: float | None = None
    merged_latency_seconds: float | None = None
    latency_tokens: int | None = None
    validation_trunk_seconds: float | None = None
    test_trunk_seconds: float | None = None
    computed_trunk_seconds: float | None = None
    tuning_cpu_seconds: float | None = None
    total_cpu_seconds: float | None = None
    left_behind_bytes: int | None = None
    other_workers: float | None = None
    waiting_share: float | None = None
    energy_kwh: float | None = None
    forgetting_nats: float | None = None
    feature_drift: float | None = None


class Epoch(Record):
    """One epoch of training: mean training loss, and the validation scores after it."""

    epoch: int
    train_loss: float | None
    validation: dict[str, float | None]
    seconds: float


class Answer(Record):
    """What a model wrote after one test prompt, by way (greedy, sampled, 4 beams); id counts test rows."""

    id: int
    prompt: str
    reference: str
    texts: dict[str, str]


class Generation(Record):
    """Answers to a sample of the test prompts: mean ROUGE-L (F-measure) and how many ended by themselves, by way."""

    rouge_l: dict[str, float]
    ended: dict[str, int]
    max_new_tokens: int
    answers: list[Answer]


class DataInfo(Record):
    """Where the examples came from; fingerprint is the SHA-256 of all examples as used.

    `tokens` counts what a split's inputs hold, without padding; empty where nothing was tokenized. `test_groups` is the
    number of groups of test examples that depend on each other; None: each is its own.
    """

    rows: dict[str, int]
    source: str
    fingerprint: str
    labels: list[str] = []
    truncated: dict[str, int] = {}
    tokens: dict[str, int] = {}
    notes: list[str] = []
    files: dict[str, int] = {}
    test_groups: int | None = None


class ModelInfo(Record):
    """The checkpoint that was tuned; commit is what the revision resolved to on the hub.

    `pretrained`: its weights were read, not only its configuration and tokenizer.
    """

    source: str
    commit: str | None
    fingerprint: str
    pretrained: bool = True


class Done(Record):
    """A run that ended with figures.

    `interval_methods` names how each metric's interval was computed; without it, by a percentile bootstrap.
    `pooling` says how the vector of a text was made: first, mean or last; None where the run reads none, or an earlier
    version made it. `files` holds the SHA-256 of every file that the run keeps, by its name in the run's folder;
    results of versions that did not write it have none.
    """

    model_config = ConfigDict(protected_namespaces=())

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    status: Literal["done"] = "done"
    reason: None = None
    run: RunInfo
    backbone: ModelInfo | None
    main_metric: MainMetric
    metrics: Scores
    intervals: dict[str, tuple[float, float] | None]
    interval_methods: dict[str, str] = {}
    parameters: Parameters
    cost: Cost
    best_epoch: int | None
    pooling: str | None = None
    summary: dict[str, Any] = {}
    generation: Generation | None = None
    history: list[Epoch]
    data: DataInfo
    environment: dict[str, Any]
    notices: list[Notice]
    files: dict[str, str] = {}


class Failed(Record):
    """A run that broke; the traceback is in the run's `error.txt`.

    `by_hand`: nothing broke. Somebody stopped it, or skipped its technique.
    """

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    status: Literal["failed"] = "failed"
    reason: str
    run: RunInfo
    environment: dict[str, Any]
    by_hand: Literal["stopped", "skipped"] | None = None


class NotApplicable(Record):
    """A technique that has no meaning on this family or objective, with the reason."""

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    status: Literal["not_applicable"] = "not_applicable"
    reason: str
    run: RunInfo


class PausedCost(Record):
    """What a paused run has cost so far, in the units of `Cost`."""

    trunk_seconds: float
    train_seconds: float
    evaluation_seconds: float
    total_seconds: float
    peak_memory_bytes: int
    peak_gpu_memory_bytes: int | None = None
    validation_trunk_seconds: float = 0.0
    test_trunk_seconds: float = 0.0
    computed_trunk_seconds: float = 0.0
    tuning_cpu_seconds: float = 0.0
    total_cpu_seconds: float = 0.0
    energy_kwh: float | None = None


class Paused(Record):
    """A run that stopped at the end of an epoch; a later job goes on from there with the same bits.

    `validation.jsonl` in the run's folder holds the answers that `history[-1]` scores: those of `epoch`.
    """

    TRIAL: ClassVar[str] = "a trial: its training has ended, and the test split was not read"

    schema_version: int = Field(default=SCHEMA, alias="schema")
    status: Literal["paused"] = "paused"
    reason: str
    run: RunInfo
    epoch: int
    best_epoch: int | None
    history: list[Epoch]
    cost: PausedCost


Result = Annotated[Done | Paused | Failed | NotApplicable, Field(discriminator="status")]

_RESULT: TypeAdapter[Done | Paused | Failed | NotApplicable] = TypeAdapter(Result)


def write_result(folder: Path, result: Done | Paused | Failed | NotApplicable) -> None:
    """Write `result.json`, atomically."""
    write_json(folder / "result.json", result.model_dump(mode="json", by_alias=True))


def read_result(folder: Path) -> Done | Paused | Failed | NotApplicable | None:
    """The result in a run's folder; None if there is none or it cannot be read, so that the run is made again."""
    path = folder / "result.json"
    try:
        return _RESULT.validate_json(path.read_bytes())
    except OSError:
        return None
    except ValidationError:
        return _of_schema_1(read_json(path))


def _of_schema_1(stored: Mapping[str, Any] | None) -> Done | Paused | Failed | NotApplicable | None:
    """A result of schema 1 with today's names; None where it is none."""
    if stored is None or stored.get("schema") != 1:
        return None
    content = {**stored, "schema": SCHEMA}
    if "learnt" in content:
        content["summary"] = content.pop("learnt")
    cost = content.get("cost")
    if isinstance(cost, dict) and "prefix_seconds" in cost:
        content["cost"] = {**cost, "trunk_seconds": cost["prefix_seconds"]}
        del content["cost"]["prefix_seconds"]
    try:
        return _RESULT.validate_python(content)
    except ValidationError:
        return None
