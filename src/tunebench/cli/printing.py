"""What commands print on standard output: sentences, JSON and tables."""

import json
import sys
from collections.abc import Collection
from typing import Any

from tunebench._util.visible import as_json, escaped


def say(text: str) -> None:
    """Print a line at once, as a pipe would otherwise see it late."""
    sys.stdout.write(escaped(text) + "\n")
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """Print JSON for programs; its letters are escaped where the output's encoding may lack some of them."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    say(as_json(value, 1) if unicode else json.dumps(value, indent=1))


def print_table(title: str, header: list[str], rows: list[list[str]], right: Collection[int] = ()) -> None:
    """Print a table; `right` are the columns of numbers, which are aligned to the right and never wrapped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=escaped(title) or None, title_justify="left", box=None, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index in right else "left", no_wrap=index in right)
    for row in rows:
        table.add_row(*(Text(escaped(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:  # a pipe has no width: do not wrap for it
        console.width = 200
    console.print(table)
