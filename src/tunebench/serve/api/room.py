"""The playground on the served runs: its questions wait in the same queue as all others."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from tunebench.evaluation.metrics import METRICS
from tunebench.serve.api.models import Models, ServedModel
from tunebench.serve.playground.routes import Contestant
from tunebench.serve.playground.shelf import Answered, Shelf, check
from tunebench.techniques.base import Technique

Ask = Callable[[Request, ServedModel, Sequence[str], Sequence[str] | None], Awaitable[list[dict[str, Any]]]]


class ServedRespondents:
    """Served runs, by their names.

    Args:
        models: that are served.
        ask: puts a question into the queue, and waits.
        folders: a model's name -> its folder now.
    """

    def __init__(self, models: Models, ask: Ask, folders: Mapping[str, str]):
        self._models, self._ask = models, ask
        self._shelf = Shelf(folders)  # only for attention, which needs models before and after tuning

    def contestants(self) -> list[Contestant]:
        """The served runs, those of a cell together."""
        found = [_contestant(model) for model in self._models.all()]
        order = list(dict.fromkeys(one.cell for one in found))
        return sorted(found, key=lambda one: order.index(one.cell))

    async def answer(self, request: Request, one: Contestant, text: str, pair: str | None) -> Answered:
        """As `POST /predict` gives it, from a text as people write it."""
        check(text, pair)
        model = self._models.named(one.key)
        texts, note = await run_in_threadpool(model.served.finished.as_written, [text])
        began = time.perf_counter()
        (content,) = await self._ask(request, model, texts, None if pair is None else [pair])
        return Answered(content, time.perf_counter() - began, None, note)

    async def attention(self, one: Contestant, text: str, pair: str | None) -> str:
        """Computed beside the queue, one at a time."""
        return await run_in_threadpool(self._shelf.attention, one.folder, text, pair)


def _contestant(model: ServedModel) -> Contestant:
    finished = model.served.finished
    run, main = finished.run, finished.done.main_metric
    value = "undefined" if main.value is None else f"{main.value:.4f}"
    return Contestant(
        model.name,
        f"{run.task.name} with {run.model}",
        f"{run.entry.title}, seed {run.seed}",
        f"test {METRICS[main.name].title} {value} \u00b7 {model.name}",
        finished.folder,
        run.task.second if run.task.second_column is not None else None,
        run.task.second_is_optional,
        isinstance(run.entry, Technique),
    )
