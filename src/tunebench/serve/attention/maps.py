"""Attention maps of a finished run over the tokens of a text."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import transformers

from tunebench._util.errors import UserError
from tunebench.families.base import AttentionKind, base_of
from tunebench.run.cell import Cell
from tunebench.serve.attention.reading import Read, Token, read
from tunebench.serve.attention.weights import weights
from tunebench.serve.finished import FinishedRun, examples_of
from tunebench.techniques.base import Technique, Virtual


@dataclass(frozen=True)
class Map:
    """Attention of one kind, in all layers and heads.

    Attributes:
        kind: "self" attends to the whole text, "masked" to what precedes, "cross" to the encoder's states.
        queries: the rows, tokens that attend.
        keys: the columns, tokens that are attended to.
        tuned: (layers, heads, queries, keys), float32; each row sums to 1.
        backbone: the same of the backbone without the technique, (layers, heads, its queries, its keys): it has no
            virtual tokens.
    """

    kind: AttentionKind
    queries: tuple[Token, ...]
    keys: tuple[Token, ...]
    tuned: np.ndarray
    backbone: np.ndarray

    @cached_property
    def untuned(self) -> np.ndarray:
        """`backbone` in the shape of `tuned`; NaN at virtual tokens."""
        wide = np.full_like(self.tuned, np.nan)
        rows, columns = (
            np.flatnonzero([token.role != "virtual" for token in side]) for side in (self.queries, self.keys)
        )
        wide[:, :, rows[:, None], columns] = self.backbone
        return wide

    @cached_property
    def difference(self) -> np.ndarray:
        """Tuned minus untuned; NaN at virtual tokens."""
        return self.tuned - self.untuned


@dataclass(frozen=True)
class Attention:
    """The attention of a run's model, and of its backbone, over one text.

    Attributes:
        run: the run's id.
        text: as given; `pair` is the second text, if the task takes two.
        answer: of a model that generates: its own answer to the text, or the given target; else None.
        maps: one per kind of attention.
        computed: model, technique, number format, truncation and versions, in words.
    """

    run: str
    text: str
    pair: str | None
    answer: str | None
    maps: Mapping[AttentionKind, Map]
    computed: Mapping[str, str]


def attention(
    run_dir: str | Path,
    text: str,
    pair: str | None = None,
    target: str | None = None,
    models: Mapping[str, str] | None = None,
) -> Attention:
    """Attention of a finished run's model and of its backbone over a text, per layer and head.

    A model that generates also reads its own answer to the text, or `target`. Weights are computed in float32 on the
    CPU.

    Raises:
        UserError: as `load_finetuned`; the text is empty or lacks its pair; `target` is empty, or the model does not
            generate.
    """
    if not text.strip():
        raise UserError("attention: the text is empty. Give at least one word with --text.")
    if target is not None and not target.strip():
        raise UserError("attention: the target is empty. Omit --target, and the model reads its own answer.")
    finished = FinishedRun.load(run_dir, models)
    run = finished.run
    if not isinstance(run.entry, Technique):
        raise UserError(
            f"{finished.folder}: {run.technique} is a baseline and has no attention. Give a run of a Transformer."
        )
    (example,) = examples_of(run, [text], None if pair is None else [pair], "attention")
    cell, family = finished.cell, finished.cell.family
    asked = read(finished, example, target)
    tuned = weights(finished.model.cpu(), family, asked.batch)
    virtual: dict[AttentionKind, Virtual | None] = {
        kind: run.entry.virtual_tokens(finished.model, family, kind) for kind in tuned
    }
    how = str(base_of(finished.model).config._attn_implementation)
    finished.forget_model()  # two models need not fit in memory at once
    untuned = weights(finished.backbone(), family, asked.batch)
    maps: dict[AttentionKind, Map] = {
        kind: _map(kind, asked, virtual[kind], tuned[kind], untuned[kind]) for kind in tuned
    }
    return Attention(run.id, text, pair, asked.answer, maps, _computed(cell, asked, maps, virtual, how))


def _map(kind: AttentionKind, asked: Read, virtual: Virtual | None, tuned: np.ndarray, untuned: np.ndarray) -> Map:
    written = asked.source if asked.written is None else asked.written
    rows = asked.source if kind == "self" else written
    columns = written if kind == "masked" else asked.source
    if virtual is not None:
        added = tuple(Token(f"{virtual.name} {number + 1}", "virtual") for number in range(virtual.count))
        columns = added + columns if virtual.before else columns + added
        if virtual.query:
            rows = added + rows if virtual.before else rows + added
    assert tuned.shape[2:] == (len(rows), len(columns)), "every row and column of a map has its token"
    return Map(kind, rows, columns, tuned, untuned)


def _computed(
    cell: Cell,
    asked: Read,
    maps: Mapping[AttentionKind, Map],
    virtual: Mapping[AttentionKind, Virtual | None],
    how: str,
) -> dict[str, str]:
    """How the maps were computed, in words."""
    run = cell.run
    settings = ", ".join(f"{name}={value}" for name, value in run.entry.model_dump(mode="json").items())
    added = [f"{kind}: {some.count} ({some.name})" for kind, some in virtual.items() if some is not None]
    return {
        "Model": f"{run.model} ({cell.family.name})",
        "Technique": f"{run.technique} ({settings or 'no settings'}), seed {run.seed}",
        "Task": f"{run.task.name}, posed as {cell.posed}",
        "Layers and heads": "; ".join(
            "{}: {} layers, {} heads".format(kind, *one.tuned.shape[:2]) for kind, one in maps.items()
        ),
        "Tokens": asked.length,
        "Virtual tokens": "; ".join(added) or "none",
        "Attention implementation": how.replace("_", " "),
        "Precision": "float32 on the CPU, without dropout",
        "Libraries": f"transformers {transformers.__version__}",
    }
