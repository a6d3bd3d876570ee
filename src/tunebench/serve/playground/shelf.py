"""Finished runs that answer: each is loaded once, and a few of them stay in memory."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebench._util.errors import UserError

if TYPE_CHECKING:
    from tunebench.serve.finished import FinishedRun

LONGEST = 20_000
"""Characters of a text; a model truncates it much earlier."""


@dataclass(frozen=True)
class Answered:
    """An answer of `FinishedRun.predict`.

    Attributes:
        content: the answer.
        seconds: what it took, the model being loaded.
        loaded: seconds of loading; None where the model was in memory.
        note: what the text lost on its way to the model.
    """

    content: dict[str, Any]
    seconds: float
    loaded: float | None
    note: str


class Shelf:
    """Answers one question at a time.

    Args:
        models: a model's name -> its folder now, if it was moved since the run.
        room: how many runs stay in memory; the one that was asked least recently makes room.
    """

    def __init__(self, models: Mapping[str, str] | None = None, room: int = 4):
        self._models, self._room = models or {}, room
        self._runs: OrderedDict[Path, FinishedRun] = OrderedDict()
        self._one = threading.Lock()

    def answer(self, folder: Path, text: str, pair: str | None) -> Answered:
        """The answer of a run.

        Raises:
            UserError: the run, its model or the text cannot be used.
        """
        check(text, pair)
        with self._one:
            finished, loaded = self._loaded(folder)
            texts, note = finished.as_written([text])
            began = time.perf_counter()
            (content,) = finished.predict(texts, None if pair is None else [pair])
            return Answered(content, time.perf_counter() - began, loaded, note)

    def attention(self, folder: Path, text: str, pair: str | None) -> str:
        """The page on the attention of a run's model over a text.

        Raises:
            UserError: as `answer`, or the run is a baseline.
        """
        from tunebench.serve.attention.maps import attention
        from tunebench.serve.attention.page import html

        check(text, pair)
        with self._one:
            return html(attention(folder, text, pair, None, self._of_its_model(folder)))

    @property
    def held(self) -> list[Path]:
        """The runs in memory, the one that was asked last at the end."""
        return list(self._runs)

    def _loaded(self, folder: Path) -> "tuple[FinishedRun, float | None]":
        if folder in self._runs:
            self._runs.move_to_end(folder)
            return self._runs[folder], None
        from tunebench.serve.finished import FinishedRun

        while len(self._runs) >= self._room:
            self._runs.popitem(last=False)
        began = time.perf_counter()
        finished = FinishedRun.load(folder, self._of_its_model(folder))
        finished.ready()
        self._runs[folder] = finished
        return finished, time.perf_counter() - began

    def _of_its_model(self, folder: Path) -> dict[str, str]:
        from tunebench.study import read_run

        name = read_run(folder)[0].model
        return {name: self._models[name]} if name in self._models else {}


def check(text: str, pair: str | None) -> None:
    """Refuse what no model is asked.

    Raises:
        UserError: a text is empty or very long.
    """
    if not text.strip():
        raise UserError("The text is empty. Type at least one word.")
    for given in (text, pair or ""):
        if len(given) > LONGEST:
            raise UserError(f"A text has {len(given):,} characters. Type at most {LONGEST:,}.")
