"""Examines the comparisons of a large study in parallel, one process per core."""

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
"""Number of runs from which on processes are worth their start."""


def each(function: Callable[[int], T], count: int, runs: int) -> Iterator[T]:
    """function(0), function(1), ... function(count - 1), each in a free process.

    Processes are forked, so that nothing is sent to them and nothing is imported again; their results are pickled. On
    systems other than Linux, where a fork is not safe, and for studies with few runs, this process does all the work,
    with the same results.
    """
    cores = cpu_count() if sys.platform == "linux" else 1
    if cores == 1 or count == 1 or runs < MANY:
        yield from map(function, range(count))
        return
    with ProcessPoolExecutor(
        min(cores, count), multiprocessing.get_context("fork"), initializer=_begin, initargs=(function,)
    ) as processes:
        try:
            yield from processes.map(_answer, range(count))
        except BaseException:  # Ctrl-C too: what has not begun is not worth waiting for
            processes.shutdown(wait=False, cancel_futures=True)
            raise


_function: Callable[[int], Any]


def _begin(function: Callable[[int], Any]) -> None:
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End with the parent: if it was killed, its processes would wait forever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _answer(number: int) -> Any:
    return _function(number)
