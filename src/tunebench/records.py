"""Result records and their store: JSON only, written last and atomically, so that a result's existence means done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from tunebench._util.base import Strict
from tunebench._util.files import read_json, write_json

SCHEMA: Literal[2] = 2
"""Of results, plans and run files. Results of schema 1 are read, with their names mapped to today's."""


PREDICTIONS = "predictions.jsonl"
"""The file of a run's answers on the test split."""
TIMING = "timing.json"
"""The file of `Retimed` in a study's folder."""

SEARCH = "search.json"
"""The record of a study's search, in its folder."""


class Record(Strict):
    """Base of all records: no NaN."""

    model_config = ConfigDict(allow_inf_nan=False)


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
    """A run that broke; the traceback is in the run's `error.txt`."""

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    status: Literal["failed"] = "failed"
    reason: str
    run: RunInfo
    environment: dict[str, Any]


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


class Trial(Record):
    """One trial of a search: settings that were tried on the validation split.

    Attributes:
        number: in the order of proposals, from 0; trial 0 has the defaults.
        score: the main metric at the best epoch; None: it failed, or the metric is undefined.
        curve: the metric after each epoch.
        seconds: what it cost.
        run: the name of its folder.
        reason: why it has no score.
        same_as: the trial with equal settings, which was not made twice.
    """

    number: int
    settings: dict[str, Any]
    score: float | None
    seconds: float
    run: str | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    curve: list[float | None] = []
    reason: str | None = None
    same_as: int | None = None


class SearchedTechnique(Record):
    """The trials of one technique on one model and task, what they were drawn from, and what was chosen."""

    model: str
    task: str
    technique: str
    label: str
    metric: str
    higher_is_better: bool
    space: dict[str, str]
    trials: tuple[Trial, ...]
    chosen: dict[str, Any] | None


class SearchRecord(Record):
    """A study's `search.json`: the budget of each technique, and its trials."""

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    budget: dict[str, Any]
    techniques: tuple[SearchedTechnique, ...]


class _PlanRecord(BaseModel):
    """Base of a study's own records: a later version may say more, so unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class PlannedRun(_PlanRecord):
    """One run: the name of its folder, and which technique it measures on what, with which seed."""

    id: str = Field(pattern=r"^\w[^/\\\x00-\x1f]*$", max_length=255)
    model: str
    family: str
    task: str
    technique: str
    label: str
    seed: int


class PlannedCell(_PlanRecord):
    """One technique on one model and task: whether it applies, and how many parameters it would train.

    `parameters` is None where the technique does not apply, and for a baseline, whose size depends on the data.
    `title` is the technique's name in prose; plans of schema 1 do not have it.
    """

    model: str
    family: str
    task: str
    technique: str
    label: str
    title: str = ""
    settings: dict[str, Any] = {}
    applicable: bool = True
    reason: str | None = None
    parameters: Parameters | None = None


class PlannedData(_PlanRecord):
    """A task's data as the plan read them.

    Attributes:
        rows: examples of each split, as used.
        files: rows of each file, as read; empty for data that are not files.
        tokens: about how many each split has (a quarter of its letters), for a forecast of the time that a run takes.
        notes: what was converted, carved, limited or left out.
        smallest_difference: the difference in accuracy between two techniques that this test split shows in four of
            five studies; None where an answer is not one class.
    """

    task: str
    source: str
    rows: dict[str, int]
    files: dict[str, int] = {}
    tokens: dict[str, int] = {}
    labels: int = 0
    notes: tuple[str, ...] = ()
    smallest_difference: float | None = None


class Plan(_PlanRecord):
    """A study's `plan.json`, written before the first run."""

    schema_version: int = Field(default=1, alias="schema")  # plans of schema 1 do not say so
    study: str
    command: str
    runs: tuple[PlannedRun, ...]
    cells: tuple[PlannedCell, ...]
    data: tuple[PlannedData, ...] = ()


class RetimedCell(_PlanRecord):
    """What `tunebench time` measured of one technique on one model and task.

    Attributes:
        run: the run that it was measured on.
        rounds: how often its turn came.
        seconds: per optimizer step, the median over rounds; of a baseline, for its whole fit.
        low: the fastest round.
        high: the slowest round.
        trunk_seconds: of the training split's frozen trunk, from a sample of its batches; the median over rounds.
        baseline: whether it has no steps.
        threads: of the process that measured.
        busy_cores: how many cores other processes kept busy before a round, at most.
    """

    run: str
    rounds: int
    seconds: float
    low: float
    high: float
    trunk_seconds: float = 0.0
    baseline: bool = False
    threads: int
    busy_cores: float

    def tuning(self, steps: int) -> float:
        """Seconds of tuning of a run with so many optimizer steps."""
        return self.trunk_seconds + self.seconds * (1 if self.baseline else steps)

    @property
    def spread(self) -> float:
        """From the fastest to the slowest round, as a share of the median."""
        return (self.high - self.low) / self.seconds if self.seconds else 0.0


class Retimed(_PlanRecord):
    """A study's `timing.json`: the steps of its techniques, timed side by side.

    Attributes:
        cells: one for each technique that was measured.
        left_out: run -> why it was not measured.
    """

    schema_version: int = Field(default=1, alias="schema")
    cells: tuple[RetimedCell, ...] = ()
    left_out: dict[str, str] = {}


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


def read_search(out: Path) -> SearchRecord | None:
    """The record of a study's search; None where there was none, or its file is damaged."""
    stored = read_json(out / SEARCH)
    try:
        return None if stored is None else SearchRecord.model_validate(stored)
    except ValidationError:
        return None


def read_retimed(out: Path) -> Retimed | None:
    """What `tunebench time` measured in a study's folder; None where it did not, or its file is damaged."""
    content = read_json(out / TIMING)
    try:
        return None if content is None else Retimed.model_validate(content)
    except ValidationError:
        return None


def write_retimed(out: Path, retimed: Retimed) -> None:
    """Write `timing.json`, atomically."""
    write_json(out / TIMING, retimed.model_dump(mode="json", by_alias=True))
