"""What a study shows on the terminal when it ends: each comparison's leaderboard and conclusion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunebench.cli.printing import print_table, say

if TYPE_CHECKING:
    from tunebench.report.formats.leaderboard import Leaderboard

_TABLES = 12
"""Of more comparisons only the conclusions are printed; the report has the tables."""


def print_leaderboards(leaderboards: "Sequence[Leaderboard]") -> None:
    """Print a table and a sentence for each comparison that has figures."""
    begun = [board for board in leaderboards if any(all(row) for row in board.rows)]
    for board in begun:
        say(f"\n{board.title}")
        if len(begun) <= _TABLES:
            numbers = {at for at, name in enumerate(board.header) if at > 0 and not name.startswith("Verdict")}
            print_table("", board.header, board.rows, numbers if all(map(all, board.rows)) else ())
        say(board.conclusion)
    say("")
