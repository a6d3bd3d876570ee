"""The charts of a comparison."""

from collections.abc import Mapping

from tunebench.report.chart import Chart, Looks
from tunebench.report.comparisons import Comparison
from tunebench.report.cost_chart import cost_chart
from tunebench.report.curve_chart import curve_chart
from tunebench.report.reading import Answers
from tunebench.report.scatter_chart import scatter_chart


def charts(comparison: Comparison, look: Looks, answers: Mapping[str, Answers | None]) -> list[Chart]:
    """The charts of one comparison; none for what was not measured. `answers` by run id."""
    if comparison.main is None:
        return []
    found = (cost_chart(comparison, look), curve_chart(comparison, look), scatter_chart(comparison, look, answers))
    return [chart for chart in found if chart is not None]
