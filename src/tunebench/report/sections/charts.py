"""The charts of a comparison: learning curves, predicted scores."""

from tunebench.report.blocks import Block, Charts
from tunebench.report.charts.curves import curve_chart
from tunebench.report.charts.scatter import scatter_chart
from tunebench.report.sections.base import Case


def blocks(case: Case) -> list[Block]:
    """The charts whose data was measured."""
    comparison, looks = case.comparison, case.looks
    if comparison.main is None:
        return []
    charts = (
        curve_chart(comparison, looks),
        scatter_chart(comparison, looks, case.answers),
    )
    shown = tuple(chart for chart in charts if chart is not None)
    return [Charts(shown)] if shown else []
