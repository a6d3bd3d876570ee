"""Comparisons of a large study examined side by side, a processor core each."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from joblib import cpu_count

T = TypeVar("T")

MANY = 200
"""Runs of a study from which on processes are worth their start."""


def each(function: Callable[[int], T], count: int, runs: int) -> Iterator[T]:
    """function(0), function(1), ... function(count - 1), each in whichever process is free.

    Processes are forked, so that nothing is sent to them and nothing imported again; what they answer is pickled. On
    other systems than Linux, where a fork is not safe, and for a study with few runs, all is done here: the answers are
    the same.
    """
    cores = cpu_count() if sys.platform == "linux" else 1
    if cores == 1 or count == 1 or runs < MANY:
        yield from map(function, range(count))
        return
    with ProcessPoolExecutor(
        min(cores, count), multiprocessing.get_context("fork"), initializer=_begin, initargs=(function,)
    ) as processes:
        yield from processes.map(_answer, range(count))


_function: Callable[[int], Any]


def _begin(function: Callable[[int], Any]) -> None:
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """A parent that was killed ends nobody: its processes would wait for it for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _answer(number: int) -> Any:
    return _function(number)
