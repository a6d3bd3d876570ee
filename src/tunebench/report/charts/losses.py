"""Training losses by step, of runs at work."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunebench.report.charts.base import FIELD, PICK, SINGLED_OUT, Chart, Looks, color_of, dash_of


def loss_chart(place: str, rows: Sequence[Mapping[str, Any]], look: Looks) -> Chart:
    """One line per run.

    Args:
        place: task and model, for the title.
        rows: technique, run, step and loss.
        look: of each technique.
    """
    labels = list(dict.fromkeys(row[FIELD] for row in rows))
    encoding = {
        "x": {"field": "step", "type": "quantitative", "title": "Optimizer step", "axis": {"tickMinStep": 1}},
        "y": {"field": "loss", "type": "quantitative", "title": "Training loss of a batch", "scale": {"zero": False}},
        "color": color_of(labels, look),
        "strokeDash": dash_of(labels, look),
        "opacity": SINGLED_OUT,
        "detail": {"field": "run", "type": "nominal"},
        "tooltip": [
            {"field": "run", "title": "Run"},
            {"field": "step", "title": "Step"},
            {"field": "loss", "title": "Loss", "format": ",.4f"},
        ],
    }
    mark = {"type": "line", "strokeWidth": 1.4, "point": len(rows) == len({row["run"] for row in rows})}
    views = {"training loss": {"mark": mark, "encoding": encoding, "params": [PICK]}}
    return Chart("losses", f"Losses of runs at work: {place}", views, [dict(row) for row in rows])
