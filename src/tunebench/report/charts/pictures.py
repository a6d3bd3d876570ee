"""Charts with their files and drawings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tunebench._util.visible import as_json
from tunebench.report.charts import vega
from tunebench.report.charts.base import Chart

MOST = 40
"""Charts that are also drawn as SVG, the first ones of a study: each takes a twentieth of a second or more."""


@dataclass(frozen=True)
class Picture:
    """A chart in a page: its data, and its SVG if it is one of the first `MOST`."""

    chart: Chart
    file: str
    drawn: vega.Drawn | None

    @property
    def svg(self) -> str | None:
        """The SVG; waits until it is drawn. None where it is not drawn here."""
        return self.drawn.svg if self.drawn else None

    @property
    def inline(self) -> Markup:
        """The SVG as a part of a page."""
        return vega.inline(self.svg, self.chart.title) if self.svg else Markup()

    @property
    def data(self) -> Markup:
        """The data for the page's script, as JSON that cannot close its script element."""
        return Markup(as_json(vega.data(self.chart)).replace("<", "\\u003c"))


def pictures(charts: Sequence[Chart], where: str, before: int) -> tuple[Picture, ...]:
    """Begin to draw charts.

    Args:
        charts: of one comparison.
        where: model and task, for the file names.
        before: number of charts of the report before these.
    """
    place = re.sub(r"[^A-Za-z0-9]+", "-", where).strip("-").lower()[:80]
    return tuple(
        Picture(
            chart,
            f"{number:03}-{place}-{chart.name}.svg",
            vega.Drawn(chart, f"figure-{number}") if number <= MOST else None,
        )
        for number, chart in enumerate(charts, before + 1)
    )
