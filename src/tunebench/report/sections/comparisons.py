"""The comparisons, by family: each with the blocks of its own sections."""

from tunebench.report.blocks import Section
from tunebench.report.sections.base import Examined, Whole


def sections(whole: Whole) -> list[Section]:
    """One section per family, one inside it per comparison."""
    return [
        Section(f"family-{number}", family, tuple(_parts(group)))
        for number, (family, group) in enumerate(whole.families.items(), 1)
    ]


def _parts(group: list[Examined]) -> list[Section]:
    several = len({one.comparison.model for one in group}) > 1
    parts = []
    for one in group:
        task, model = one.comparison.task, one.comparison.model
        short = f"{task}, {model}" if several else task
        parts.append(Section(one.card.anchor, f"{task} with {model}", one.blocks, short))
    return parts
