"""What a search tried: the validation score against the learning rate."""

from collections.abc import Sequence
from typing import Any

from tunebench.records import SearchedTechnique
from tunebench.report import text
from tunebench.report.charts.base import FIELD, PICK, SINGLED_OUT, Chart, Looks, color_of, shape_of, where
from tunebench.report.read.comparisons import Comparison

_RATE = "learning_rate"


def search_chart(comparison: Comparison, searched: Sequence[SearchedTechnique], look: Looks) -> Chart | None:
    """A point per trial with a score; the chosen trials are larger. None where no learning rate was searched."""
    rows: list[dict[str, Any]] = [
        {
            FIELD: one.label,
            "rate": float(trial.settings[_RATE]),
            "score": trial.score,
            "trial": trial.number,
            "settings": ", ".join(f"{name} {value}" for name, value in trial.settings.items() if name != _RATE),
            "chosen": trial.settings == one.chosen,
            "end": trial.status or "finished",
        }
        for one in searched
        for trial in one.trials
        if trial.score is not None and _RATE in trial.settings and one.label in look
    ]
    if not rows:
        return None
    labels = list(dict.fromkeys(str(row[FIELD]) for row in rows))
    axis = text.metric_axis(searched[0].metric)
    encoding = {
        "x": {
            "field": "rate",
            "type": "quantitative",
            "title": "Peak learning rate (logarithmic)",
            "scale": {"type": "log"},
            "axis": {"format": ".0e"},
        },
        "y": {"field": "score", "type": "quantitative", "title": f"Validation {axis}", "scale": {"zero": False}},
        "color": color_of(labels, look),
        "shape": shape_of(labels, look),
        "opacity": SINGLED_OUT,
        "fillOpacity": {"condition": {"test": "datum.end == 'finished'", "value": 1}, "value": 0.3},
        "size": {"condition": {"test": "datum.chosen", "value": 160}, "value": 45},
        "tooltip": [
            {"field": FIELD},
            {"field": "trial", "title": "Trial"},
            {"field": "rate", "title": "Learning rate", "format": ".3g"},
            {"field": "settings", "title": "Other settings"},
            {"field": "score", "title": axis, "format": ",.4f"},
            {"field": "end", "title": "End"},
        ],
    }
    view = {"params": [PICK], "mark": {"type": "point", "filled": True}, "encoding": encoding}
    title = f"Score against learning rate: {where(comparison)}"
    early = any(row["end"] != "finished" for row in rows)
    note = "Large: the chosen trials." + " Pale: trials that did not finish, at their last epoch." * early
    return Chart("search", title, {"trials": view}, rows, note)
