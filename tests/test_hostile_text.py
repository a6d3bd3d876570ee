"""Texts of unknown origin are shown, never obeyed: by terminals, by spreadsheets, by pages."""

import csv
import io
import json

import pytest
from rich.console import Console

from tests.records import Write, done, failed
from tunebench._util.errors import UserError, message_of
from tunebench._util.visible import as_json, escaped
from tunebench.cli.printing import print_json, print_table, say
from tunebench.cli.progress import Lines
from tunebench.engine.events import ResultWritten
from tunebench.run.forecast import Forecast
from tunebench.serve.attention.drawing import canvas
from tunebench.serve.attention.reading import Token

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J \u202egnp.exe\u2066 \u2028\ufeff"
COMMANDS = "\x1b\x07\x9b\u202e\u2066\u2028\ufeff"


def harmless(text: str) -> bool:
    return not set(text) & set(COMMANDS)


def test_what_a_terminal_would_obey_is_shown() -> None:
    assert escaped(HOSTILE) == (r"\x1b]0;owned\x07\x1b[31mred\x9b2J \u202egnp.exe\u2066 \u2028\ufeff")
    ordinary = "naïve\tЖЮ\n中文 👩‍🚀 می‌خواهم"
    assert escaped(ordinary) == ordinary


def test_json_for_programs_says_the_same_without_commands() -> None:
    value = {HOSTILE: ["\ud800", 1.5, None]}
    assert harmless(as_json(value))
    assert json.loads(as_json(value)) == value


def test_every_way_to_the_terminal_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    print_json({"label": HOSTILE})
    print_table(HOSTILE, ["a"], [[HOSTILE]])
    out = capsys.readouterr().out
    assert harmless(out)
    assert out.count(r"\x1b]0;owned") == 3
    file = io.StringIO()
    Lines(Console(file=file), 1, Forecast(1)).show("key", HOSTILE, ResultWritten(status="failed", reason=HOSTILE))
    assert harmless(file.getvalue())
    assert harmless(message_of(UserError(HOSTILE)))


def test_the_reports_texts_hold_no_commands(study: Write) -> None:
    out = study(done("full", 0.8, label=HOSTILE), failed("lora", HOSTILE), done("tfidf", 0.7))
    (out / "study.yaml").write_text(f"name: mine # {HOSTILE}\n", encoding="utf-8")
    from tunebench.report import build

    build(out)
    for name in ("report.md", "report.tex", "report.html"):
        text = (out / name).read_text("utf-8")
        assert harmless(text.partition("<main>")[2].partition("<script>")[0] or text), name
        assert r"\x1b" in text or "textbackslash{}x1b" in text or "\\\\x1b" in text, name


def test_charts_and_attention_maps_show_marks_of_direction(study: Write) -> None:
    from tunebench.report import build

    mark = "lora \u202egnp"
    out = study(done("full", 0.8, label=mark), done("tfidf", 0.7), done("lora", 0.6, label="\u2066lora"))
    build(out)
    figures = [*out.rglob("*.svg")]
    page = (out / "report.html").read_text("utf-8")
    assert figures
    assert all(harmless(figure.read_text("utf-8")) for figure in figures)
    assert any(r"lora \u202egnp" in figure.read_text("utf-8") for figure in figures)
    assert not any(escape in page for escape in ('"lora \\u202egnp', "\u202e"))
    tokens = [Token("\u202egnp"), Token("plain")]
    drawn = canvas(tokens, tokens)
    assert [label.text for label in (*drawn.rows, *drawn.columns)] == [r"\u202egnp", "plain"] * 2


def test_a_cell_that_begins_like_a_formula_is_a_text(study: Write) -> None:
    formulas = ("=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)", "\tx")
    out = study(
        *(failed("lora", reason, seed=seed) for seed, reason in enumerate(formulas)),
        failed("lora", "a\rb", 9),
        done("full", -0.5),
    )
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["reason"] for row in rows][:5] == [f"'{formula}" for formula in formulas]
    assert rows[5]["reason"] == r"a\rb"
    assert all(not value.startswith(("=", "+", "@", "\t", "\r")) for row in rows for value in row.values() if value)
    assert float(rows[-1]["main_value"]) == -0.5


@pytest.mark.parametrize(
    ("asked", "used", "shown"),
    [("auto", "mean", "mean"), ("first", "first", "first"), ("mean", None, "mean"), ("auto", None, "")],
)
def test_the_table_of_results_says_which_pooling_a_run_used(
    asked: str, used: str | None, shown: str, study: Write
) -> None:
    record = done("full", 0.5)
    out = study(record.model_copy(update={"pooling": used, "run": record.run.model_copy(update={"pooling": asked})}))
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["pooling"] == shown
