"""The sections of a report, one file each, and their order.

To add a section, write a file with a function of one of the two types and add one line to a list. Sections never
import each other, and no format knows them.
"""

from tunebench.report.sections import (
    across,
    again,
    answers,
    appendix,
    by_label,
    charts,
    comparisons,
    conclusions,
    disagreements,
    epochs,
    how_to_read,
    notices,
    published,
    results,
    search,
    summary,
)
from tunebench.report.sections.base import OfComparison, OfStudy

OF_COMPARISON: tuple[OfComparison, ...] = (
    conclusions.blocks,
    results.blocks,
    charts.blocks,
    published.blocks,
    search.blocks,
    epochs.blocks,
    by_label.blocks,
    disagreements.blocks,
    answers.blocks,
)
"""Sections of one comparison. Folded blocks follow after all others."""

OF_STUDY: tuple[OfStudy, ...] = (
    summary.sections,
    across.sections,
    comparisons.sections,
    how_to_read.sections,
    notices.sections,
    again.sections,
    appendix.sections,
)
"""Sections of the report. The table of contents follows the first one."""
