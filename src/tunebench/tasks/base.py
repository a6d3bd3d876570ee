"""A task is a record: what is asked, of which data, and what counts as a good answer."""

from string import Formatter
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tunebench.errors import did_you_mean

Split = Literal["train", "validation", "test"]
SPLITS = get_args(Split)

EMBEDDED = "embedded"
"""`data` of a built-in task on the small data set that tunebench ships for it."""

CARVED = 0.1
CARVING_SEED = 0
CARVING_RULE = (
    "A missing validation split is 10 % of train. A missing test split is the validation split if there is one, "
    "else 10 % of the rows. Rows are drawn by a shuffle seeded with 0 and leave the split they come from."
)

ROLES = {
    "sequence_classification": {"text": "text", "pair": None, "label": "label"},
    "regression": {"text": "text", "pair": None, "label": "label"},
    "token_classification": {"tokens": "tokens", "label": "tags"},
    "causal_lm": {"instruction": "instruction", "input": None, "response": "response"},
}
"""Objective -> role -> the column it has unless `columns` says otherwise; None: no such column."""

DEFAULT_METRICS = {
    "sequence_classification": ("macro_f1", "accuracy", "weighted_f1"),
    "regression": ("pearson", "spearman"),
    "token_classification": ("entity_f1", "entity_precision", "entity_recall", "tag_accuracy"),
    "causal_lm": ("perplexity", "perplexity_all"),
}

FIELDS = {
    "token_classification": ("label_subwords",),
    "causal_lm": ("prompt", "loss_on", "samples", "max_new_tokens"),
}
"""Objective -> fields of a task that mean something to it alone."""

PROMPT = "Instruction: {instruction}\nInput: {input}\nResponse:"
_PROMPT_FIELDS = ("instruction", "input")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HubData(_Record):
    """Parquet files of a hub data set.

    Script data sets can no longer be loaded, so a mirror's revision may be named.
    """

    id: str
    revision: str = "main"
    files: str = Field(description="path of a split's parquet files, with {split}")


class Task(_Record):
    """A built-in task, or one made of the user's own files.

    Attributes:
        version: raised when the definition changes, so that old results are not mixed with new ones.
        folder: the data set's folder under `--data-root`, one `<split>.parquet` each.
        data: the user's own file, or a file a split; `embedded`: the data set that tunebench ships for the task.
        labels: class or tag names in the order of their indices; empty: inferred from the training split.
        hidden_label: the value that stands where a split's labels are withheld.
        metrics: the first is the main one: it selects the best epoch and ranks.
        max_tokens: longer inputs are cut, and counted.
        label_subwords: whether each sub-word of a word carries its label in the loss, or the first only.
        rows: at most so many examples a split, drawn by a shuffle seeded with 0.
        prompt: what a model reads before its response; a line whose field is empty is left out.
        loss_on: whether the response's tokens train a language model, or the prompt's as well.
        samples: so many test prompts are answered, and the answers kept.
        max_new_tokens: an answer that has not ended by then is cut.
    """

    name: str
    title: str = ""
    version: int = 1
    objective: str
    hub: HubData | None = None
    folder: str | None = None
    data: str | dict[Split, str] | None = None
    columns: dict[str, str | None] = {}
    labels: tuple[str, ...] = ()
    hidden_label: int | None = None
    metrics: tuple[str, ...] = ()
    max_tokens: int = Field(128, ge=8)
    label_subwords: Literal["all", "first"] = "all"
    rows: dict[Split, int] = {}
    prompt: str = PROMPT
    loss_on: Literal["response", "all"] = "response"
    samples: int = Field(default=16, ge=1)
    max_new_tokens: int = Field(default=64, ge=1)
    licence: str = ""
    citation: str = ""
    caveats: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        objective = values.get("objective")
        if not isinstance(objective, str) or objective not in ROLES:
            raise ValueError(f"there is no objective '{objective}'. {did_you_mean(str(objective), ROLES)}")
        columns = values.get("columns") or {}
        for role in columns:
            if role not in ROLES[objective]:
                raise ValueError(f"columns: {objective} has no role '{role}'. {did_you_mean(role, ROLES[objective])}")
        metrics = values.get("metrics") or DEFAULT_METRICS[objective]
        if isinstance(metrics, str):
            raise ValueError(f"metrics: write a list, [{metrics}].")
        for metric in metrics:
            if metric not in DEFAULT_METRICS[objective]:
                known = did_you_mean(str(metric), DEFAULT_METRICS[objective])
                raise ValueError(f"{objective} has no metric '{metric}'. {known}")
        data = values.get("data")
        for split in data if isinstance(data, dict) else ():
            if split not in SPLITS:
                raise ValueError(f"data: there is no split '{split}'. {did_you_mean(str(split), SPLITS)}")
        return {
            **values,
            "columns": {**ROLES[objective], **columns},
            "metrics": metrics,
        }

    @field_validator("prompt")
    @classmethod
    def _known_fields(cls, prompt: str) -> str:
        try:
            fields = [name for _, name, _, _ in Formatter().parse(prompt) if name is not None]
        except ValueError as error:
            raise ValueError(f"{error}. Write a brace that is text twice: {{{{ or }}}}.") from None
        for field in fields:
            if field not in _PROMPT_FIELDS:
                raise ValueError(f"there is no field '{field}'. {did_you_mean(field, _PROMPT_FIELDS)}")
        if "instruction" not in fields:
            raise ValueError("the field {instruction} is missing.")
        return prompt

    @property
    def particular(self) -> dict[str, Any]:
        """The fields that mean something to the task's objective alone, with their values."""
        return {name: getattr(self, name) for name in FIELDS.get(self.objective, ())}

    @property
    def has_classes(self) -> bool:
        """Whether an answer is one of a list of labels, or several."""
        return "classification" in self.objective

    def prompted(self, **fields: str) -> str:
        """The prompt of these fields, without the lines whose field is empty."""
        lines = self.prompt.split("\n")
        kept = [line for line in lines if all(fields[name] for _, name, _, _ in Formatter().parse(line) if name)]
        return "\n".join(kept).format(**fields)

    @model_validator(mode="after")
    def _rows_are_positive(self) -> "Task":
        for split, count in self.rows.items():
            if count < 1:
                raise ValueError(f"rows.{split}: {count} leaves no example. Give at least 1.")
        return self
