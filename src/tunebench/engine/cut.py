"""A model cut above its frozen stages: the tail trains; the outputs of the trunk are computed once and kept."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from tunebench.engine.batching import plan_evaluation
from tunebench.engine.evaluate import predict
from tunebench.engine.events import BatchDone, Observer
from tunebench.engine.frozen_trunk import KeptStates, Trunk, TrunkCache
from tunebench.engine.measure import Peaks, Spent
from tunebench.engine.precision import Precision, autocast_of
from tunebench.engine.proof import proven_split
from tunebench.engine.sources import Batch, CachedSource, CachedVectorSource, ComputedSource, Source, TokenSource
from tunebench.families.base import Family, Split, pooling_of
from tunebench.objectives.base import Features, Objective

_COMPUTATION = 2  # raised when this package changes how frozen outputs are computed, even in their last bits only
WORTH_KEEPING = 2  # stages: embeddings and a layer. An embedding lookup alone costs no more than reading what was kept


@dataclass
class TrunkCosts:
    """What frozen trunks cost one process.

    Attributes:
        by_split: what computing a split's kept states takes, whichever process did it: what a run is charged.
        peaks: of memory, until the training split's had been computed; what came later may belong to another technique.
        computed: of these, the seconds of the passes that this process made.
        inside: what this process spent in the cache: computing, waiting for another worker, reading.
    """

    by_split: dict[str, Spent] = field(default_factory=dict)
    peaks: Peaks = field(default_factory=lambda: Peaks(0, 0))
    computed: float = 0.0
    inside: Spent = field(default_factory=Spent)

    def add(self, split: str, kept: KeptStates | None, inside: Spent) -> None:
        """Take down a visit to the cache."""
        self.inside += inside
        if kept is not None:
            self.by_split[split] = kept.cost
            self.computed += kept.cost.seconds if kept.computed else 0.0
            self.peaks = kept.peaks if split == "train" else self.peaks

    @property
    def train(self) -> Spent:
        """That of the training split: a part of tuning."""
        return self.by_split.get("train", Spent())

    @property
    def test(self) -> Spent:
        """That of the test split: neither tuning nor evaluation."""
        return self.by_split.get("test", Spent())

    @property
    def validation(self) -> Spent:
        """Those of all other splits: a part of evaluation."""
        others = [cost for split, cost in self.by_split.items() if split not in ("train", "test")]
        return sum(others, Spent())


class Cut:
    """A model with its splits.

    Args:
        model: with `requires_grad` set; in evaluation mode, so that the frozen stages run without dropout.
        identity: the backbone's fingerprint.
        batch_tokens: padded tokens per batch where nothing trains.

    Attributes:
        network: what takes the batches: the model itself, or its tail.
        cached: whether any split is read from kept states.
        over_budget: whether any split exceeds the cache's budget and is computed each time.
        trunks: what the trunks of the splits cost.
        unproven: frozen stages that are computed with the model in every step, because a model cut above them gave
            other answers.
    """

    def __init__(
        self,
        model: nn.Module,
        family: Family,
        objective: Objective,
        features: Mapping[str, Features],
        accelerator: Accelerator,
        precision: Precision,
        identity: str,
        cache: TrunkCache,
        batch_tokens: int,
        observe: Observer,
    ):
        self._objective, self._features, self._accelerator = objective, features, accelerator
        self._autocast = autocast_of(accelerator.device, precision)
        self._cache, self._batch_tokens, self._observe = cache, batch_tokens, observe
        self._sources: dict[str, Source] = {}
        self._model = model
        self.depth = family.frozen_depth(model)
        self.cached = self.over_budget = False
        self.trunks = TrunkCosts()
        self.network = model
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        split = self._split_of(family, objective.pooled) if self.depth else None
        self.unproven = self.depth if split is None else 0
        self.depth -= self.unproven
        if split is not None:
            self.network = split.tail
            key = (
                f"{_COMPUTATION} {identity} {self.depth} {split.one_vector and pooling_of(model)} {precision} "
                f"{accelerator.device.type} {torch.__version__}"
            )
            self._split = split
            self._trunk = Trunk(self._compute, hashlib.sha256(key.encode()).hexdigest(), split.one_vector)

    def _split_of(self, family: Family, pooled: bool) -> Split | None:
        """The model cut above its frozen stages, compared with the whole on its shortest and longest training text."""

        def batch() -> Batch:
            lengths = self._features["train"].lengths
            order = sorted(range(len(lengths)), key=lengths.__getitem__)
            tokens = TokenSource(self._objective, self._features["train"], self._accelerator.device)
            return tokens.batch(sorted({order[0], order[-1]}))

        return proven_split(self._model, family, self.depth, pooled, batch, self._autocast, self._dtype)

    def source(self, split: str) -> Source:
        """The batches of a split; made at first use, so that the test split is not read before the end."""
        if split not in self._sources:
            tokens = TokenSource(self._objective, self._features[split], self._accelerator.device)
            self._sources[split] = self._above_trunk(split, tokens) if self.depth else tokens
        return self._sources[split]

    def seconds_of_pass(self, split: str, batches: int) -> float:
        """Wall-clock seconds that one pass of the trunk over a split takes, from some of its batches; 0 without any.

        The batches lie evenly between the shortest and the longest texts, and count by their padded tokens.
        """
        if not isinstance(self.source(split), CachedSource | CachedVectorSource):
            return 0.0  # nothing is kept: there is no trunk, or each step computes it
        features = self._features[split]
        plan = plan_evaluation(features.lengths, self._batch_tokens)
        tokens = TokenSource(self._objective, features, self._accelerator.device)
        chosen = [plan[number * len(plan) // batches] for number in range(min(batches, len(plan)))]

        def padded(indices: Sequence[int]) -> int:
            return len(indices) * max(features.lengths_of(indices))

        def compute(indices: list[int]) -> None:
            batch = tokens.batch(indices)
            del batch["labels"]
            self._trunk.compute(batch).cpu()

        compute(chosen[0])  # warm-up
        start = Spent.now()
        for indices in chosen:
            compute(indices)
        spent = (Spent.now() - start).seconds
        return spent / sum(map(padded, chosen)) * sum(map(padded, plan))

    def predict(self, split: str, objective: Objective | None = None) -> tuple[list[Any], list[Any]]:
        """Predictions for a split and their details; `objective` may decode in a cheaper way than the run's."""
        objective = objective or self._objective
        whole = objective.reads_prompts
        return predict(
            self._model if whole else self.network,
            TokenSource(objective, self._features[split], self._accelerator.device) if whole else self.source(split),
            objective,
            self._autocast,
            self._batch_tokens,
            self._reporter(f"answers, {split}") if objective.writes or objective.ranks else _silent,
        )

    def _above_trunk(self, split: str, tokens: TokenSource) -> Source:
        trunk = self._trunk
        if self.depth >= WORTH_KEEPING:
            start = Spent.now()
            kept = self._cache.states(trunk, tokens, self._batch_tokens, self._reporter(f"frozen layers, {split}"))
            self.trunks.add(split, kept, Spent.now() - start)
            if kept is not None:
                self.cached = True
                gathered = CachedVectorSource if trunk.one_vector else CachedSource
                return gathered(self._objective, tokens.features, self._accelerator.device, kept.states)
            self.over_budget = True
        return ComputedSource(tokens, trunk.compute, trunk.one_vector)

    def _compute(self, inputs: Batch) -> Tensor:
        with torch.no_grad(), self._autocast():
            return self._split.trunk(**inputs).to(self._dtype)

    def _reporter(self, phase: str) -> Callable[[int, int], None]:
        def on_batch(done: int, total: int) -> None:
            self._observe(BatchDone(phase=phase, batch=done, batches=total))

        return on_batch


def _silent(done: int, total: int) -> None:
    """A pass of a few seconds reports no progress."""
