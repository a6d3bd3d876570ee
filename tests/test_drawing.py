"""Charts are drawn by a process of their own: the same bytes, errors passed on, a new process if it has died."""

import re
from pathlib import Path

import pytest
import vl_convert

from tunebench._util import drawing

SPEC = {
    "data": {"values": [{"a": "A", "b": 28}, {"a": "é\u2028", "b": 55}]},
    "mark": "bar",
    "encoding": {"x": {"field": "a", "type": "nominal"}, "y": {"field": "b", "type": "quantitative"}},
}

pytestmark = pytest.mark.usefixtures("drawn_anew")


def plain(svg: str) -> str:
    """Without the numbers that Vega counts on from chart to chart."""
    return re.sub(r"\d+_clip|clip\d+|gradient_\d+", "", svg)


def test_a_chart_from_the_process_is_the_one_drawn_here() -> None:
    here = vl_convert.vegalite_to_svg(SPEC, vl_version="6.4")
    assert plain(drawing.svg(SPEC).result()) == plain(here)
    assert here.startswith("<svg")


def test_answers_come_in_the_order_of_the_questions_and_the_script_is_made_once() -> None:
    script = drawing.javascript("window.one = vegaEmbed;")
    charts = [drawing.svg({**SPEC, "title": f"chart {n}"}) for n in range(4)]
    assert [f"chart {n}" in chart.result() for n, chart in enumerate(charts)] == [True] * 4
    assert "window.one" in script.result()
    assert drawing.javascript("window.one = vegaEmbed;") is script


def test_what_vega_refuses_is_raised_here_and_the_process_goes_on() -> None:
    with pytest.raises(RuntimeError, match="ValueError: Vega-Lite to SVG conversion failed"):
        drawing.svg({"mark": 3}).result()
    assert drawing.svg(SPEC).result().startswith("<svg")


def test_a_process_that_died_is_reported_and_replaced() -> None:
    drawing.svg(SPEC).result()
    drawing._process()._process.kill()
    with pytest.raises(drawing.DrawingError, match="the process that draws charts ended with code -9"):
        drawing.svg({**SPEC, "title": "another"}).result()
    assert drawing.svg({**SPEC, "title": "another"}).result().startswith("<svg")


def cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing is drawn any more."""
    drawing._process().close()
    drawing._process.cache_clear()
    drawing.javascript.cache_clear()
    monkeypatch.setattr(drawing.sys, "executable", "/nowhere/python")


def test_a_drawing_that_is_kept_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, script = drawing.svg(SPEC).result(), drawing.javascript("window.one = vegaEmbed;").result()
    cannot_start(monkeypatch)
    assert drawing.svg(SPEC).result() == drawn
    assert drawing.javascript("window.one = vegaEmbed;").result() == script
    with pytest.raises(drawing.DrawingError, match="cannot start"):
        drawing.svg({**SPEC, "mark": "line"}).result()


def test_a_drawing_that_was_damaged_since_is_made_again(tmp_path: Path) -> None:
    drawn = drawing.svg(SPEC).result()
    (path,) = tmp_path.rglob("drawings/*")
    path.write_bytes(path.read_bytes().replace(b"<svg", b"<SVG"))
    assert plain(drawing.svg(SPEC).result()) == plain(drawn)


def test_the_drawings_unused_for_longest_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_MOST", 2)
    for mark in ("bar", "line", "bar", "point"):
        drawing.svg({**SPEC, "mark": mark}).result()
    kept = [path.read_text() for path in tmp_path.rglob("drawings/*")]
    assert len(kept) == 2
    assert not any("mark-line" in drawn for drawn in kept)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv(drawing.FOLDER, str(tmp_path / "a file"))
    assert drawing.svg(SPEC).result().startswith("<svg")
