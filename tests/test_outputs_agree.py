"""Page, Markdown, LaTeX, CSV and DataFrame say the same of random results."""

import html
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest

import tunebench
from tests.records import done, failed, run_info, write_study
from tunebench.records import Done, Result
from tunebench.report import text

NAMES = ("full", "lora", "freeze", "ia3", "<b>&_%")


def result(rng: random.Random, technique: str, seed: int) -> Result:
    """A run that is done, failed, or without a defined score."""
    if rng.random() < 0.15:
        return failed(technique, rng.choice(["no memory", "NaN"]), seed)
    value = None if rng.random() < 0.1 else round(rng.uniform(0.1, 0.9), 4)
    made = done(technique, value, seed, trainable=rng.choice([0, 10**4, 10**6]), train_seconds=rng.uniform(1, 5000))
    cost = made.cost.model_copy(update={"saved_bytes": rng.randint(10**3, 10**8)})
    return made.model_copy(update={"cost": cost})


def rows_of_page(page: str) -> list[list[str]]:
    """The fields of the first table of the comparison, with what every reader sees of them."""
    section = page.partition('<section id="comparison-1-1"')[2]
    body = section.partition("<table")[2].partition("</table>")[0]
    rows = []
    for row in body.split("<tr>")[1:]:
        kept = re.findall(r"<t[hd]([^>]*)>(.*?)</t[hd]>", row, re.DOTALL)
        rows.append([_plain(content) for attributes, content in kept if "more" not in attributes])
    return rows


def _plain(markup: str) -> str:
    hidden = re.sub(r'<span class="spoken">.*?</span>', "", markup)
    words = re.sub(r"<small>(.*?)</small>", r"(\1)", hidden)
    return _bare(html.unescape(re.sub("<[^>]*>", "", words)))


def _bare(words: str) -> str:
    """Without the marks that only some formats have."""
    return " ".join(re.sub(r"[★✔*()]", " ", words.replace("\\", "")).split())


def rows_of_markdown(written: str) -> list[list[str]]:
    section = written.partition("## emotion with tiny")[2].partition("split, sorted by")[2]
    table = [line for line in section.partition("\n\n")[2].partition("\n\n")[0].splitlines() if line.startswith("|")]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table]
    return [[_bare(html.unescape(field)) for field in row] for row in [rows[0], *rows[2:]]]


def rows_of_latex(written: str) -> list[list[str]]:
    table = written.partition("split, sorted by")[2].partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    rows = [line.strip().removesuffix(r"\\") for line in table.splitlines() if line.strip().endswith(r"\\")]
    return [[_of_latex(field) for field in re.split(r"(?<!\\)&", row)] for row in rows]


def _of_latex(field: str) -> str:
    field = re.sub(r"\\multicolumn\{\d+\}\{l\}\{(.*)\}", r"\1", field)
    field = re.sub(r"\{\\footnotesize (.*?)\}", r"\1", re.sub(r"\\textbf\{((?:[^{}]|\{\})*)\}", r"\1", field))
    for command, sign in ((r"\textless{}", "<"), (r"\textgreater{}", ">"), (r"\&", "&"), (r"\_", "_"), (r"\%", "%")):
        field = field.replace(command, sign)
    return _bare(field)


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(n, marks=pytest.mark.full) for n in range(4, 60))])
def test_all_outputs_have_the_same_figures(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    seeds = rng.randint(1, 3)
    results = [result(rng, name, one) for name in rng.sample(NAMES, rng.randint(2, 5)) for one in range(seeds)]
    pending = (run_info("llrd"),) if rng.random() < 0.5 else ()
    out = write_study(tmp_path, *results, pending=pending)
    page = rows_of_page((out / "report.html").read_text())
    assert len(page) == 1 + len({one.run.technique for one in results}) + len(pending)
    markdown, latex = rows_of_markdown((out / "report.md").read_text()), rows_of_latex((out / "report.tex").read_text())
    for row, other, third in zip(page, markdown, latex, strict=True):
        assert [field for field in other if field != "-"] == [field for field in row if field != "-"]
        assert [field for field in third if field != "-"] == [field for field in row if field != "-"]
    frame = tunebench.results(out)
    assert list(frame.columns) == (out / "results.csv").read_text().partition("\n")[0].split(",")
    shown = {row[0]: row[1] for row in page[1:]}
    for name in {one.run.technique for one in results if isinstance(one, Done)}:
        finished = [row for row in frame.to_dict("records") if row["technique"] == name and row["status"] == "done"]
        values = [float(row["main_value"]) for row in finished]
        if not any(map(math.isnan, values)):
            assert shown[_label(shown, name)].startswith(text.score(sum(values) / len(values)))
    cards = frame._repr_html_() or ""  # pyright: ignore[reportCallIssue]
    assert "<b>" not in cards


def _label(shown: dict[str, Any], name: str) -> str:
    return next(label for label in shown if label.split(" ")[0] == _bare(name))
