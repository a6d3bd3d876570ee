"""The report of a study that may still run, made in a process of its own: a page must answer meanwhile.

Questions go as JSON lines to a standard input and answers come back on a standard output, and the process ends with
that input. Nothing is written into the study's folder.
"""

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tunebench._util import python
from tunebench._util.errors import UserError, message_of
from tunebench.report.assemble import assemble
from tunebench.report.charts import vega
from tunebench.report.formats.html import html, show
from tunebench.report.options import Options
from tunebench.report.read.study import read_study
from tunebench.report.stats.kept import Kept

NICE = 10
"""How much the page and its report cede the processor to runs, whose seconds are measured."""


@dataclass(frozen=True)
class Made:
    """The report's first section, and its whole page; or why there is none."""

    cards: str
    page: str
    trouble: str = ""


class Reporter:
    """Makes reports, one after another."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._one = threading.Lock()

    def made(self, folder: Path) -> Made:
        """The report on what is there now."""
        with self._one:
            try:
                answer = self._asked(folder)
            except OSError as error:
                answer = b""
                reason = f"cannot start ({error.strerror})"
            else:
                reason = "ended"
            if not answer:
                self.close()
                why = "The terminal of 'tunebench watch' says why, unless memory ran out"
                return Made("", "", f"The process that makes reports {reason}. {why}.")
            return Made(**json.loads(answer))

    def _asked(self, folder: Path) -> bytes:
        if self._process is None:
            self._process = python.start("-m", "tunebench.watch.reporting")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(str(folder)).encode() + b"\n")
            self._process.stdin.flush()
            return self._process.stdout.readline()
        except BrokenPipeError:
            return b""

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None


def make(folder: Path) -> Made:
    """A study's report."""
    try:
        report = assemble(read_study(folder), Kept(folder), Options())
        script = vega.javascript() if report.pictures else None
        return Made(str(show(report.sections[0])), html(report, script))
    except UserError as error:
        return Made("", "", message_of(error))
    except OSError as error:
        return Made("", "", f"{error.filename or folder}: {error.strerror}.")


def main(questions: BinaryIO, answers: BinaryIO) -> None:
    """The process."""
    with suppress(OSError, AttributeError):
        os.nice(NICE)
    for line in questions:
        made = make(Path(json.loads(line)))
        answers.write(json.dumps(vars(made)).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
