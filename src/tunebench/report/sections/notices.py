"""What a reader must know before trusting the figures, by code, with the runs that it concerns."""

from tunebench.report.blocks import Block, Heading, Item, Items, Section, Text
from tunebench.report.sections.base import Whole


def sections(whole: Whole) -> list[Section]:
    """One heading per code, one item per message."""
    blocks: list[Block] = []
    for notice in whole.notices:
        blocks.append(Heading(notice.code, code=True))
        blocks.append(Items(tuple(Item(message, "; ".join(runs)) for message, runs in notice.messages)))
    return [Section("notices", "Notices", tuple(blocks or [Text("None.")]))]
