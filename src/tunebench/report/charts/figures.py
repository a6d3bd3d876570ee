"""The charts of a comparison."""

from collections.abc import Mapping

from tunebench.report.charts.base import Chart, Looks
from tunebench.report.charts.cost import cost_chart
from tunebench.report.charts.curves import curve_chart
from tunebench.report.charts.scatter import scatter_chart
from tunebench.report.read.comparisons import Comparison
from tunebench.report.read.study import Answers


def charts(comparison: Comparison, look: Looks, answers: Mapping[str, Answers | None]) -> list[Chart]:
    """The charts of one comparison; none for what was not measured. `answers` by run id."""
    if comparison.main is None:
        return []
    found = (cost_chart(comparison, look), curve_chart(comparison, look), scatter_chart(comparison, look, answers))
    return [chart for chart in found if chart is not None]
