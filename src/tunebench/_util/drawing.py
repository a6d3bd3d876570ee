"""Vega in a process of its own, so that charts are drawn while the next comparison is computed.

vl-convert holds Python's lock while it draws, so that a thread would gain nothing. As with runs (docs/decisions/0005),
questions go as JSON lines to a standard input and answers come back on a standard output, and the process ends with
that input. What was drawn once is kept in the user's cache folder: V8 takes seconds to start and to make the page's
script.
"""

import atexit
import contextlib
import functools
import hashlib
import json
import logging
import os
import sys
import tempfile
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from platformdirs import user_cache_path

from tunebench._util import python
from tunebench._util.errors import shown
from tunebench._util.files import write_atomically

FOLDER = "TUNEBENCH_CACHE"
"""Environment variable: the folder of what may be thrown away, in place of the system's cache folder."""

_LITE = "6.4"
_MOST = 500  # drawings that are kept, some 30 kB each


class DrawingError(RuntimeError):
    """The process that draws charts has died, or cannot start: most likely memory ran out."""


def drawn(answer: "Future[str]") -> str | None:
    """What was drawn; None where the process died, which a line on standard error says once."""
    try:
        return answer.result()
    except DrawingError as error:
        _warn(str(error))
        return None


@functools.cache
def _warn(reason: str) -> None:
    logging.getLogger(__name__).warning("tunebench: charts are missing: %s. Free some memory and repeat.", reason)


def svg(spec: dict[str, Any]) -> "Future[str]":
    """A Vega-Lite specification, with its data, as SVG."""
    return _ask("vegalite_to_svg", spec)


@functools.cache
def javascript(snippet: str) -> "Future[str]":
    """A script that has Vega-Embed, Vega and Vega-Lite in it, ending with a snippet that may name them."""
    return _ask("javascript_bundle", snippet)


def _ask(function: str, argument: Any) -> "Future[str]":
    kept = _Kept(function, argument)
    known = kept.read()
    if known is not None:
        answer: Future[str] = Future()
        answer.set_result(known)
        return answer
    try:
        return _process().ask(function, argument, kept)
    except OSError as error:
        answer = Future()
        answer.set_exception(DrawingError(f"the process that draws charts cannot start ({error})"))
        return answer


class _Kept:
    """The file of a drawing, named by what determines it; its first line is the digest of the rest."""

    def __init__(self, function: str, argument: Any):
        folder = os.environ.get(FOLDER) or user_cache_path("tunebench", appauthor=False)
        question = json.dumps([function, argument, _LITE, version("vl-convert-python")])
        self._path = Path(folder) / "drawings" / hashlib.sha256(question.encode()).hexdigest()

    def read(self) -> str | None:
        """The drawing; None where there is none, or it is damaged."""
        try:
            digest, _, content = self._path.read_bytes().partition(b"\n")
        except OSError:
            return None
        with contextlib.suppress(OSError):
            self._path.touch()  # what is used is dropped last
        return content.decode() if hashlib.sha256(content).hexdigest().encode() == digest else None

    def write(self, drawing: str) -> None:
        """Keep a drawing, and drop the ones unused for longest. A folder that cannot be written keeps none."""
        content = drawing.encode()
        with contextlib.suppress(OSError):
            write_atomically(self._path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
            files = sorted(self._path.parent.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
            for old in files[_MOST:]:
                old.unlink()


class _Process:
    """Answers in the order of the questions.

    Every answer's future raises RuntimeError where Vega did, DrawingError where the process has died.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self) -> None:
        # V8 writes a page before it dies.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = python.start("-m", "tunebench._util.drawing", stderr=self._complaints)
        self._thread = ThreadPoolExecutor(1, "drawing")
        atexit.register(self.close)

    def ask(self, function: str, argument: Any, kept: _Kept) -> "Future[str]":
        """Call one of vl-convert's functions, and keep what it answers."""
        try:
            return self._thread.submit(self._asked, function, argument, kept)
        except RuntimeError as error:  # no thread can be started
            raise OSError(str(error)) from error

    def _asked(self, function: str, argument: Any, kept: _Kept) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([function, argument]).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            for started in (_process, javascript):  # the next report starts another one
                started.cache_clear()
            code = self._process.wait()
            raise DrawingError(f"the process that draws charts ended with code {code}{self._last_words()}")
        answer, error = json.loads(line)
        if error:
            raise RuntimeError(error)
        kept.write(answer)
        return answer

    def _last_words(self) -> str:
        """Why it died, where it said so: V8 in the line with "Fatal", Python in the last one."""
        self._complaints.seek(0)
        lines = [line.strip("# ") for line in self._complaints.read().decode("utf-8", "replace").splitlines()]
        written = [line for line in lines if line]
        line = next((line for line in written if "Fatal" in line), written[-1] if written else "")
        return f" ({shown(line, 120)})" if line else ""

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@functools.cache
def _process() -> _Process:
    return _Process()


def answer(questions: BinaryIO, answers: BinaryIO) -> None:
    """The process: one line [answer, error] a question; one of both is null."""
    import vl_convert

    for line in questions:
        function, argument = json.loads(line)
        try:
            reply = [getattr(vl_convert, function)(argument, vl_version=_LITE), None]
        except ValueError:  # which the parent raises; of anything else this process dies
            reply = [None, traceback.format_exc()]
        answers.write(json.dumps(reply).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    answer(sys.stdin.buffer, sys.stdout.buffer)
