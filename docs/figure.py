"""A model's blocks as SVG: what is frozen, what trains, what is added. Outlines say again what colours say."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Block:
    """A part of a model; `state` is frozen, trained, or added: a frozen part with a trained addition."""

    name: str
    state: str


@dataclass(frozen=True)
class Row:
    """Blocks that stand together, under one name."""

    name: str
    blocks: Sequence[Block]


_LEFT, _HEIGHT, _GAP, _TOP = 118, 34, 8, 10
_STYLE = """text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1b1b1f; }
.row { fill: #55565c; } rect { stroke-width: 1; }
.frozen { fill: #eceef2; stroke: #9a9ba3; stroke-dasharray: 3 3; }
.trained { fill: #f3c26b; stroke: #7a4b00; stroke-width: 2; }
.added { fill: #8cc8ee; stroke: #00476f; stroke-width: 2; }
.page { fill: #ffffff; }"""


def draw(title: str, rows: Sequence[Row]) -> str:
    """The rows, top first, and a legend."""
    parts, y = [], _TOP
    widths = []
    for row in rows:
        parts.append(f'<text class="row" x="{_LEFT - 10}" y="{y + 22}" text-anchor="end">{escape(row.name)}</text>')
        x = _LEFT
        for block in row.blocks:
            drawn, width = _block(block, x, y)
            parts.append(drawn)
            x += width + _GAP
        widths.append(x)
        y += _HEIGHT + _GAP
    legend, x = [Block("frozen", "frozen"), Block("trained", "trained"), Block("added, and trained", "new")], _LEFT
    for block in legend:
        kind = "added" if block.state == "new" else block.state
        parts.append(f'<rect class="{kind}" x="{x}" y="{y + 8}" width="18" height="14" rx="2"/>')
        parts.append(f'<text x="{x + 24}" y="{y + 20}">{block.name}</text>')
        x += 48 + _wide(block.name)
    width, height = max(*widths, x) + _GAP, y + 32
    page = f'<rect class="page" width="{width}" height="{height}" rx="6"/>'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    lines = [opening, f"<title>{escape(title)}</title>", f"<style>{_STYLE}</style>", page, *parts, "</svg>"]
    return "\n".join(lines) + "\n"


def _block(block: Block, x: int, y: int) -> tuple[str, int]:
    """A rectangle with its name; behind a frozen part what is added to it. Virtual tokens are nothing but added."""
    width = _wide(block.name) + 16
    alone = block.name.startswith(("prefix", "prompt"))
    kind = "frozen" if block.state == "added" and not alone else block.state
    drawn = _box(kind, block.name, x, y, width)
    if kind == block.state:
        return drawn, width
    return drawn + _box("added", "+", x + width, y, 18), width + 18


def _box(kind: str, name: str, x: int, y: int, width: int) -> str:
    return (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{_HEIGHT}" rx="4"/>'
        f'<text x="{x + width / 2:g}" y="{y + 22}" text-anchor="middle">{escape(name)}</text>'
    )


def _wide(text: str) -> int:
    return round(6.9 * len(text))
