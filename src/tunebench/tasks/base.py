"""A task is a record: what is asked, of which data, and what counts as a good answer."""

from collections.abc import Collection
from string import Formatter
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tunebench._util.errors import did_you_mean
from tunebench.tasks.words import verbal

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
    "text_to_text": {"source": "source", "target": "target"},
    "question_answering": {"question": "question", "context": "context", "answers": "answers"},
}
"""Objective -> role -> the column it has unless `columns` says otherwise; None: no such column."""

PROMPTS = {
    "sequence_classification": "classify: {text}\n{pair}",
    "regression": "score: {text}\n{pair}",
    "causal_lm": "Instruction: {instruction}\nInput: {input}\nResponse:",
    "text_to_text": "{source}",
    "question_answering": "question: {question}\ncontext: {context}",
}
"""Objective -> what a model that answers in words reads; its fields are roles."""

ALSO_AS = {
    "sequence_classification": ("text_to_text",),
    "regression": ("text_to_text",),
    "text_to_text": ("causal_lm",),
    "question_answering": ("text_to_text", "causal_lm"),
}
"""Objective of a task -> what a family without it does instead, best first."""

DEFAULT_METRICS = {
    "sequence_classification": ("macro_f1", "accuracy", "weighted_f1"),
    "regression": ("pearson", "spearman"),
    "token_classification": ("entity_f1", "entity_precision", "entity_recall", "tag_accuracy"),
    "causal_lm": ("perplexity", "perplexity_all"),
    "text_to_text": ("rouge_1", "rouge_2", "rouge_l", "rouge_lsum", "token_f1", "exact_match"),
    "question_answering": ("token_f1", "exact_match"),
}

FIELDS = {
    "token_classification": ("label_subwords",),
    "causal_lm": ("prompt", "cue", "loss_on", "samples", "max_new_tokens", "beams"),
    "text_to_text": ("prompt", "verbalizer", "target_tokens", "samples", "max_new_tokens", "beams", "answer"),
    "question_answering": ("stride",),
}
"""Objective -> fields of a task that mean something to it alone."""


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
        prompt: what a model that answers in words reads; a line whose field is empty is left out. `<extra_id_0>` in it
            is the gap of T5's pretraining, and the answer, which fills the gap, begins with the same sentinel.
        verbalizer: label -> the word that a model writes for it, where that is not the label's name (text_to_text).
        cue: what stands between prompt and response where one model reads and writes both (causal_lm).
        loss_on: whether the response's tokens train a language model, or the prompt's as well.
        target_tokens: longer targets are cut in training, and counted (text_to_text).
        samples: so many answers to test prompts are kept in the result.
        max_new_tokens: an answer that has not ended by then is cut.
        beams: width of the beam search that writes the answers.
        answer: how a class or score is read off a model that writes: `rank` takes the label that it finds likeliest,
            `generate` lets it write; an answer that is no label is wrong, and counted.
        stride: tokens that two windows over a long context share (question_answering).
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
    prompt: str = ""
    verbalizer: dict[str, str] = {}
    cue: str = ""
    loss_on: Literal["response", "all"] = "response"
    samples: int = Field(default=16, ge=1)
    target_tokens: int = Field(default=64, ge=2)
    max_new_tokens: int = Field(default=64, ge=1)
    beams: int = Field(default=1, ge=1)
    answer: Literal["rank", "generate"] = "rank"
    stride: int = Field(default=128, ge=1)
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
            "prompt": values.get("prompt") or PROMPTS.get(objective, ""),
        }

    @model_validator(mode="after")
    def _known_fields(self) -> "Task":
        try:
            fields = [name for _, name, _, _ in Formatter().parse(self.prompt) if name is not None]
        except ValueError as error:
            raise ValueError(f"prompt: {error}. Write a brace that is text twice: {{{{ or }}}}.") from None
        roles = _prompt_roles(self.objective)
        for field in fields:
            if field not in roles:
                raise ValueError(f"prompt: there is no field '{field}'. {did_you_mean(field, roles)}")
        for role, column in roles.items():
            if column is not None and role not in fields:
                raise ValueError(f"prompt: the field {{{role}}} is missing.")
        return self

    def particular(self, objective: str) -> dict[str, Any]:
        """The fields that mean something to an objective alone, and what it must know of the task."""
        values = {name: getattr(self, name) for name in FIELDS.get(objective, ())}
        if objective == "text_to_text":
            values["regression"] = self.objective == "regression"
        if objective == "causal_lm":
            values["writes"] = self.objective != "causal_lm"
        return values

    def objective_of(self, known: Collection[str]) -> str | None:
        """The task's objective, or the best of `known` that it can be posed as; None: there is none."""
        ways = (self.objective, *ALSO_AS.get(self.objective, ()))
        return next((way for way in ways if way in known), None)

    @property
    def has_classes(self) -> bool:
        """Whether an answer is one of a list of labels, or several."""
        return "classification" in self.objective

    @model_validator(mode="after")
    def _words_for_labels(self) -> "Task":
        if self.labels:
            verbal(self.labels, self.verbalizer)
        elif self.verbalizer and not self.has_classes:
            raise ValueError(f"verbalizer: {self.objective} has no labels. Leave it out.")
        return self

    @model_validator(mode="after")
    def _rows_are_positive(self) -> "Task":
        for split, count in self.rows.items():
            if count < 1:
                raise ValueError(f"rows.{split}: {count} leaves no example. Give at least 1.")
        return self


_ANSWERS = ("label", "response", "target", "answers", "tokens")


def _prompt_roles(objective: str) -> dict[str, str | None]:
    """The roles that a prompt may name, and the columns they have by default: those that must be there have one."""
    return {role: column for role, column in ROLES[objective].items() if role not in _ANSWERS}
