"""Numbers and words as a reader sees them: human units and exact counts."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tunebench._util import visible
from tunebench._util.words import plural as plural
from tunebench.evaluation.metrics import METRICS

UNDEFINED = "undefined"
ABSENT = "-"

# Underscores inside words and brackets that open no link are not escaped, so that the source stays readable.
_MARKDOWN = re.compile(
    r"[\\`*|~$]|\](?=[(\[:])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[#+=]|^-(?=[\s-])",
)


def count(value: int) -> str:
    """An exact count: 4,614."""
    return f"{value:,}"


def share(part: float, whole: float) -> str:
    """A percentage with three significant digits; a dash if the whole is zero."""
    if whole == 0:
        return ABSENT
    percent = 100 * part / whole
    return "<0.001 %" if 0 < percent < 0.001 else f"{percent:.3g} %"


def seconds(value: float) -> str:
    """Seconds below a minute, then minutes, then hours: 12.3 s, 4 min 05 s, 1 h 02 min."""
    if value == 0:
        return "0 s"
    if value < 0.995:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(value / 60)
    return f"{minutes // 60:,} h {minutes % 60:02} min"


def latency(value: float | None) -> str:
    """Seconds of one answer: 4.56 ms, 1.2 s."""
    if value is None:
        return ABSENT
    return f"{1000 * value:.3g} ms" if value < 0.9995 else seconds(value)


def megabytes(value: int) -> str:
    """Bytes in MB of 1,000,000 bytes."""
    size = value / 1e6
    if value == 0 or size >= 100:
        return f"{size:,.0f} MB"
    return f"{size:.2f} MB" if size >= 0.01 else "<0.01 MB"


def score(value: float | None) -> str:
    """A metric's value, or "undefined" for None."""
    if value is None:
        return UNDEFINED
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.2f}"


def watt_hours(kwh: float) -> str:
    """An energy: 0.0213 Wh."""
    return f"{1000 * kwh:.3g} Wh"


def price(value: float) -> str:
    """An amount of money, in the currency that was given: 1,234.50, 0.0021."""
    return f"{value:,.2f}" if value >= 1 or not value else f"{value:.2g}"


def chance(p: float) -> str:
    """A p-value: 0.012, or that it is smaller than three digits show."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def change(value: float) -> str:
    """A difference from before, with its sign: +0.0223, or 0 where nothing changed."""
    return f"{value:+.3g}" if value else "0"


def interval(bounds: tuple[float, float]) -> str:
    """Both ends of an interval."""
    return f"[{score(bounds[0])}, {score(bounds[1])}]"


def span(values: list[int] | list[float]) -> str:
    """One number, or the lowest and the highest of several: 3 or 3..5."""
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"


def metric_title(name: str) -> str:
    """A metric's title; an unknown metric, of another version, is shown by its name in the record."""
    return METRICS[name].title if name in METRICS else name


def metric_axis(name: str) -> str:
    """A metric's name with its unit, for an axis."""
    return f"{METRICS[name].title} ({METRICS[name].unit})" if name in METRICS else name


def plain(value: Any) -> str:
    """A setting as it is written in a study: text bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def settings(values: Mapping[str, Any]) -> str:
    """Settings on one line: rank=8, alpha=16."""
    return ", ".join(f"{name}={plain(value)}" for name, value in values.items()) or "none"


def one_line(message: str, limit: int = 200) -> str:
    """A message for a table: no line breaks, cut with a visible ellipsis."""
    flat = " ".join(message.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


class Markdown(str):
    """Text that is Markdown already; every other text is escaped on its way into a Markdown page."""

    __slots__ = ()


def markdown(value: Any) -> Markdown:
    """Data as Markdown that shows it literally, on one line."""
    if isinstance(value, Markdown):
        return value
    flat = visible.escaped(" ".join(str(value).split()))
    escaped = _MARKDOWN.sub(lambda match: "\\" + match.group(), flat)
    return Markdown(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def fenced(text: str, language: str = "") -> Markdown:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}{language}\n{visible.escaped(text.rstrip())}\n{fence}")
