"""One thread that answers: it encodes what arrives, and computes batch after batch of whatever waits."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any

from tunebench.serve.mixed import FAILURES, Row, answer
from tunebench.serve.served import Inquiry, Served
from tunebench.serve.turns import Turns

Answers = list[dict[str, Any]]


@dataclass(frozen=True)
class BatchLimits:
    """How rows are put together.

    Attributes:
        tokens: of a batch, padding included.
        wait: seconds that the first row of an idle server waits for others.
    """

    tokens: int = 4096
    wait: float = 0.002


@dataclass(frozen=True)
class ComputedBatch:
    """What a batch was.

    Attributes:
        rows: that it answered, or failed to.
        runs: that were asked.
        texts: different ones that passed a shared trunk; 0 where none was shared.
        seconds: that it took.
        waiting: rows that wait for the next one.
    """

    rows: int
    runs: int
    texts: int
    seconds: float
    waiting: int


@dataclass(frozen=True)
class _Arrival:
    served: Served
    texts: Sequence[str]
    pairs: Sequence[str] | None
    future: "Future[Answers]"


@dataclass(frozen=True)
class _Errand:
    function: Callable[[], Any]
    future: "Future[Any]"


class AnsweringThread:
    """Answers questions in a thread of its own, where all models live; started at once, ended by `close`.

    Args:
        limits: of a batch.
        observe: is called with each batch, in that thread.
    """

    def __init__(self, limits: BatchLimits, observe: Callable[[ComputedBatch], None] = lambda batch: None):
        self._limits, self._observe = limits, observe
        self._inbox: queue.SimpleQueue[_Arrival | _Errand | None] = queue.SimpleQueue()
        self._turns = Turns(limits.tokens)
        self._futures: dict[Inquiry, Future[Answers]] = {}
        self._open = True
        self._thread = threading.Thread(target=self._work, name="answering", daemon=True)
        self._thread.start()

    def ask(self, served: Served, texts: Sequence[str], pairs: Sequence[str] | None = None) -> "Future[Answers]":
        """The answers, one dict per text; a cancelled future gives up its place.

        The future raises UserError where the texts do not suit the task, and RunError where the model fails.
        """
        future: Future[Answers] = Future()
        self._inbox.put(_Arrival(served, texts, pairs, future))
        return future

    def call(self, function: Callable[[], Any]) -> "Future[Any]":
        """What a function gives that must run where the models live, between two batches."""
        future: Future[Any] = Future()
        self._inbox.put(_Errand(function, future))
        return future

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self, seconds: float) -> bool:
        """End the thread when all that waits is answered; says whether it was, within these seconds."""
        self._inbox.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while self._open or len(self._turns):
            if not len(self._turns):
                self._receive(self._inbox.get())
                self._gather()
            while not self._inbox.empty():
                self._receive(self._inbox.get())
            if len(self._turns):
                self._compute()

    def _gather(self) -> None:
        """Let others join the first row of an idle server, for a short time."""
        until = time.monotonic() + self._limits.wait
        while len(self._turns) and self._turns.tokens < self._limits.tokens:
            try:
                self._receive(self._inbox.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                return

    def _receive(self, message: _Arrival | _Errand | None) -> None:
        if message is None:
            self._open = False
        elif isinstance(message, _Errand):
            _settle(message.future, message.function)
        elif not message.future.cancelled():
            try:
                asked = Inquiry(message.served, message.texts, message.pairs)
            except FAILURES as error:
                _fail(message.future, error)
                return
            self._futures[asked] = message.future
            self._turns.add(asked.served.group, [(length, (asked, row)) for row, length in enumerate(asked.lengths)])

    def _compute(self) -> None:
        rows: list[Row] = [row for row in self._turns.next() if row[0] in self._futures]
        for asked in {asked for asked, _ in rows}:
            if self._futures[asked].cancelled():
                del self._futures[asked]
        rows = [row for row in rows if row[0] in self._futures]
        if not rows:
            return
        start = time.monotonic()
        answered = answer(rows)
        for (asked, _), error in answered.failed:
            _fail(self._futures.pop(asked, Future()), error)
        for asked in {asked for asked, _ in rows if asked.complete and asked in self._futures}:
            _settle(self._futures.pop(asked), asked.answers)
        runs = len({asked.served for asked, _ in rows})
        seconds = time.monotonic() - start
        self._observe(ComputedBatch(len(rows), runs, answered.texts, seconds, len(self._turns)))


def _settle(future: "Future[Any]", function: Callable[[], Any]) -> None:
    try:
        value = function()
    except FAILURES as error:
        _fail(future, error)
        return
    try:
        future.set_result(value)
    except InvalidStateError:  # cancelled meanwhile
        return


def _fail(future: "Future[Any]", error: Exception) -> None:
    try:
        future.set_exception(error)
    except InvalidStateError:
        return
