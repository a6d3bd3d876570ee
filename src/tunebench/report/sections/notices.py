"""What a reader must know before trusting the figures, by code, with the runs that it concerns."""

from itertools import groupby

from tunebench.report.blocks import Block, Heading, Item, Items, Section, Text
from tunebench.report.sections.base import Whole


def sections(whole: Whole) -> list[Section]:
    """What can change a decision comes first; one heading per code, one item per message."""
    blocks: list[Block] = []
    for weight, groups in groupby(whole.notices, key=lambda group: group.weight):
        blocks.append(Text(f"{weight.value}:"))
        for group in groups:
            blocks.append(Heading(group.code, code=True))
            blocks.append(Items(tuple(Item(message, "; ".join(runs)) for message, runs in group.messages)))
    return [Section("notices", "Notices", tuple(blocks or [Text("None.")]))]
