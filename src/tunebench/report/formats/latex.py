"""Tables for papers: LaTeX with booktabs."""

import re
from collections.abc import Sequence

from tunebench._util import visible
from tunebench.report.blocks import Card, Cards, Report, Table, TableEntry, usual, walk

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "★": r"$\star$", "≈": r"$\approx$", "▽": r"$\bigtriangledown$", "▼": r"$\bigtriangledown$", "○": r"$\circ$",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip
_SPECIALS = re.compile("[" + re.escape("".join(_SPECIAL)) + "]")


def latex(report: Report) -> str:
    """The decisions, and the tables for a paper with their usual columns, one float each."""
    tables = [block for block in walk(report.sections) if isinstance(block, Table) and block.paper]
    head = "% Made by tunebench; needs \\usepackage{booktabs}.\n"
    cards = [card for block in walk(report.sections) if isinstance(block, Cards) for card in block.cards]
    return head + "\n".join([*([_decisions(cards)] if cards else []), *map(latex_table, map(usual, tables))])


def _decisions(cards: Sequence[Card]) -> str:
    """What to use where, as a list."""
    items = [rf"  \item[{{{escaped(card.where)}}}] {escaped(card.text)}" for card in cards]
    return "\n".join([r"\begin{description}", *items, r"\end{description}", ""])


def latex_table(table: Table) -> str:
    """One table; the best of a column is bold, and intervals follow their values in small print."""
    columns = "".join("r" if column.numeric else "l" for column in table.columns)
    titles = [escaped(column.title) + (f" ({escaped(column.note)})" if column.note else "") for column in table.columns]
    rows = [" & ".join(_fields(row)) + r" \\" for row in table.rows]
    return "\n".join(
        [
            r"\begin{table}",
            rf"  \caption{{{escaped(table.caption)}}}",
            r"  \centering",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            f"    {' & '.join(titles)} \\\\",
            r"    \midrule",
            *(f"    {row}" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _fields(row: Sequence[TableEntry]) -> list[str]:
    fields = []
    for entry in row:
        shown = escaped(entry.text)
        shown = rf"\textbf{{{shown}}}" if entry.best or entry.use else shown
        shown += rf" {{\footnotesize {escaped(entry.note)}}}" if entry.note else ""
        fields.append(rf"\multicolumn{{{entry.span}}}{{l}}{{{shown}}}" if entry.span > 1 else shown)
    return fields


def escaped(text: str) -> str:
    """A text that LaTeX sets as it stands."""
    return _SPECIALS.sub(lambda match: _SPECIAL[match.group()], visible.escaped(" ".join(text.split())))
