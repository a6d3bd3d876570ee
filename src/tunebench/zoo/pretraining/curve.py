"""The curve on a backbone's card: held-out loss against the tokens seen."""

from collections.abc import Sequence
from typing import Any

from tunebench._util import chart_style, drawing

_BLUE = "#0072B2"  # of Okabe and Ito (2008)


def svg(readings: Sequence[dict[str, Any]]) -> str | None:
    """An SVG file's content; None where the process that draws has died.

    Args:
        readings: as pretraining.json holds them under `curve`. The first loss of each reading is drawn, in nats per
            prediction: the other ones have scales of their own.
    """
    name = next(iter(readings[0]["held_out"]))
    points = [{"tokens": reading["tokens"], "loss": reading["held_out"][name]} for reading in readings]
    unpadded = {"zero": False, "nice": False, "padding": 8}
    x = {"field": "tokens", "scale": unpadded, "axis": {"format": "~s", "tickCount": 7}, "title": "Tokens seen"}
    y = {"field": "loss", "scale": {"zero": False}, "title": f"Held-out loss, {name} (nats per prediction)"}
    spec = {
        "$schema": chart_style.SCHEMA,
        "config": chart_style.CONFIG,
        "width": 440,
        "height": 220,
        "data": {"values": points},
        "mark": {"type": "line", "color": _BLUE, "strokeWidth": 1.6, "point": {"color": _BLUE, "size": 24}},
        "encoding": {"x": {"type": "quantitative", **x}, "y": {"type": "quantitative", **y}},
    }
    drawn = drawing.drawn(drawing.svg(spec))
    return drawn and chart_style.on_white(chart_style.with_ids(drawn, "curve"))
