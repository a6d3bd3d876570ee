"""How Ctrl-C ends a command."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from tunebench.cli.printing import say

INTERRUPTED = 130
"""The exit code that shells give an interrupted program."""


@contextmanager
def stoppable(sentence: str) -> Iterator[None]:
    """Where Ctrl-C comes, print the sentence and end with exit code 130. Also a decorator of a command."""
    try:
        yield
    except KeyboardInterrupt:
        say(sentence)
        raise typer.Exit(INTERRUPTED) from None
