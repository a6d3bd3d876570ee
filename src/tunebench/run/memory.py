"""How much memory a run will need: its first steps on torch's fake tensors, which have shapes and no bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from tunebench.engine.cut import WORTH_KEEPING
from tunebench.engine.live_bytes import LiveBytes
from tunebench.engine.precision import Autocast, autocast_of, resolve_precision
from tunebench.engine.settle import fit_out
from tunebench.families.base import Split, base_of
from tunebench.objectives.base import Objective
from tunebench.records import PlannedMemory
from tunebench.run.cell import Cell
from tunebench.study import Places, Run
from tunebench.tasks import load as data
from tunebench.tasks.examples import Example
from tunebench.tasks.load import Data
from tunebench.techniques.base import Technique, Trained
from tunebench.zoo import checkpoints

_CANDIDATES = 4  # times the batch: texts with the most letters, of which those with the most tokens are taken
_MOMENTS = 8  # bytes of AdamW's two moments of a parameter
_WRITTEN = 2  # copies of a trunk's outputs while they are written


def forecasts(runs: Sequence[Run], places: Places) -> dict[tuple[str, str, str], PlannedMemory]:
    """Model, task and label of each cell that has a model -> what it needs on this machine's device.

    Raises:
        UserError: a task's data or a model's tokenizer are not on this machine.
    """
    device = PartialState().device
    assert device is not None, "a new PartialState has a device"
    known: dict[str, Data] = {}
    found: dict[tuple[str, str, str], PlannedMemory] = {}
    for run in runs:
        key = (run.model, run.task.name, run.label)
        cell = Cell.of(run, places)
        if key in found or cell.reason is not None or not isinstance(run.entry, Technique):
            continue
        task = run.task.model_dump_json()
        if task not in known:
            known[task] = data.load(places.located(run.task), places.data_root, download=False)
        found[key] = forecast(cell, known[task], device)
    return found


def forecast(cell: Cell, examples: Data, device: torch.device) -> PlannedMemory:
    """What a run's model needs on a device at its worst moment: a step on its longest texts, or an evaluation.

    Raises:
        UserError: the model's tokenizer is not on this machine, or does not fit.
    """
    budget = cell.run.training
    local, _ = checkpoints.fetch(cell.checkpoint, weights=False, download=False)
    objective = cell.objective(examples.labels, cell.family.tokenizer(local))
    longest = _Longest.of(objective, examples.splits["train"], budget.micro_batch_size or budget.batch_size)
    precision = resolve_precision(budget.precision, device)
    model = cell.shape(examples.labels).float()  # as a run loads it, whatever its files hold
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        model.to_empty(device=device)
        base_of(model).tie_weights()  # emptied one by one, shared weights would count twice
        fit_out(model.eval(), cell.family, device, precision, objective.ranks)
        inputs = {name: fake.from_tensor(tensor).to(device) for name, tensor in longest.batch.items()}
        rows = min(max(1, budget.evaluation_batch_tokens // longest.width), len(examples.splits["validation"]))
        with LiveBytes([*model.parameters(), *model.buffers(), *inputs.values()]) as live:
            steps = _Steps(cell, objective, model, live, autocast_of(device, precision))
            reading = steps.evaluation({name: _repeated(tensor, rows) for name, tensor in inputs.items()})
            training = steps.training(inputs) if isinstance(cell.technique, Trained) else 0
        trained = [p for p in model.parameters() if p.requires_grad] if training else []
        gradients = sum(p.nbytes for p in trained)
        kept = _WRITTEN * steps.bytes_per_token * longest.tokens if steps.depth >= WORTH_KEEPING else 0
        return PlannedMemory(
            weights=sum(p.nbytes for p in model.parameters()),
            gradients=gradients,
            optimizer=_MOMENTS * sum(p.numel() for p in trained),
            activations=max(reading, training - gradients),
            kept=kept if kept <= _WRITTEN * 1e9 * budget.cache_gigabytes else 0,
        )


@dataclass(frozen=True)
class _Longest:
    """The training texts with the most tokens.

    Attributes:
        batch: of these.
        tokens: about how many the whole split has.
    """

    batch: dict[str, Tensor]
    tokens: int

    @classmethod
    def of(cls, objective: Objective, train: Sequence[Example], rows: int) -> "_Longest":
        """A batch of so many rows."""
        letters = [len(objective.task.input_of(example)) for example in train]
        order = sorted(range(len(train)), key=letters.__getitem__)[-_CANDIDATES * rows :]
        features = objective.encode([train[index] for index in order])
        longest = sorted(range(len(features)), key=features.lengths.__getitem__)[-rows:]
        share = sum(features.lengths) / max(1, sum(letters[index] for index in order))
        return cls(objective.collate(features, longest), round(share * sum(letters)))

    @property
    def width(self) -> int:
        """Tokens of each row."""
        return self.batch["input_ids"].shape[1]


class _Steps:
    """What a run does with its model, and the bytes that it needs at its worst moment.

    Attributes:
        depth: frozen stages below the part that trains.
        bytes_per_token: of the outputs of these stages.
    """

    def __init__(self, cell: Cell, objective: Objective, model: Any, live: LiveBytes, autocast: Autocast):
        self._objective, self._model, self._live, self._autocast = objective, model, live, autocast
        self.depth, self.bytes_per_token = cell.family.frozen_depth(model), 0
        self._split = cell.family.split(model, self.depth, objective.pooled) if self.depth else None

    def evaluation(self, inputs: dict[str, Tensor]) -> int:
        """A batch without gradients."""
        self._live.restart()
        with torch.no_grad(), self._autocast():
            self._model(**inputs)
        return self._live.peak

    def training(self, inputs: dict[str, Tensor]) -> int:
        """A forward and a backward pass, gradients among them."""
        network, batch = (self._model, inputs) if self._split is None else self._above(self._split, inputs)
        network.train()
        self._live.restart()
        with self._autocast():
            loss = self._objective.loss(network, batch)
        loss.backward()
        return self._live.peak

    def _above(self, split: Split, inputs: dict[str, Tensor]) -> tuple[nn.Module, dict[str, Tensor]]:
        """The part that trains, and its inputs."""
        texts = {name: tensor for name, tensor in inputs.items() if name != "labels"}
        with torch.no_grad(), self._autocast():
            states = split.trunk(**texts)
        self.bytes_per_token = states.nbytes // texts["input_ids"].numel()
        mask = {} if split.one_vector else {"attention_mask": texts["attention_mask"]}
        return split.tail, {"inputs_embeds": states, "labels": inputs["labels"], **mask}


def _repeated(tensor: Tensor, rows: int) -> Tensor:
    """So many rows of the same length."""
    return tensor[:1].expand(rows, *tensor.shape[1:]).contiguous()
