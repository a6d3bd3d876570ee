"""Progress bars as the output of a notebook's cell, without widgets: HTML that is replaced."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import Progress

_SECONDS = 0.25  # between two drawings
_FRAME = '<pre style="line-height: 1.2; margin: 0">{code}</pre>'


class CellOutput:
    """The bars of a progress, drawn by a console that records, shown by a handle of IPython's display."""

    def __init__(self, progress: Progress, handle: Any):
        self.progress, self._handle = progress, handle
        self._last = 0.0

    def redraw(self) -> None:
        """Draw the bars, at most four times a second."""
        now = time.monotonic()
        if now - self._last < _SECONDS:
            return
        self._last = now
        console = self.progress.console
        console.print(self.progress.get_renderable())
        console.file.seek(0)  # what is recorded is enough
        console.file.truncate()
        self._update(console.export_html(inline_styles=True, code_format=_FRAME))

    def clear(self) -> None:
        """Leave nothing of the bars."""
        self._update("")

    def _update(self, html: str) -> None:
        from IPython.display import HTML  # type: ignore[import-not-found]  # a notebook has it

        self._handle.update(HTML(html))


@contextmanager
def in_cell(progress: Progress) -> Iterator[CellOutput]:
    """The bars below what the cell has printed, until the context ends."""
    from IPython.display import HTML, display  # type: ignore[import-not-found]  # a notebook has it

    cell = CellOutput(progress, display(HTML(""), display_id=True))
    try:
        yield cell
    finally:
        cell.clear()
