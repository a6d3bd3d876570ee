"""Published figures are shown next to the measured ones, only in the published cells, and labelled as such."""

from typing import Any

from tests.records import Write, done
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.study import read_study as read_folder
from tunebench.report.sections.published import figures, published
from tunebench.study import read_study


def test_every_published_cell_is_a_cell_of_the_study_with_these_techniques() -> None:
    study, _ = read_study("published")
    planned = {(run.model, run.task.name): set() for run in study.runs()}
    for run in study.runs():
        planned[run.model, run.task.name].add(run.technique)
    cells: dict[tuple[str, str], Any] = {
        (cell["model"], task): cell["techniques"]
        for family in ("bert", "gpt2", "t5")
        for task, cell in figures()[family].items()
    }
    assert set(cells) == set(planned)
    for key, techniques in cells.items():
        assert set(techniques) <= planned[key]


def test_figures_of_other_models_and_data_are_marked(study: Write) -> None:
    out = study(done("full", 0.9), done("lora", 0.8))
    (comparison,) = comparisons(read_folder(out))
    (shown,) = published(comparison, "demo")
    assert "This study uses another model (tiny) or other data, so the figures are not comparable." in shown.caption
    rows = {row[0].text: [entry.text for entry in row[1:]] for row in shown.rows}
    assert rows["full"][:2] == ["0.9260", "0.9000"]
    assert rows["classifier_head"][:2] == ["0.4775", "-"]
    assert published(comparison, "mine") == []


def test_figures_of_the_same_model_are_not_marked_and_are_explained(study: Write) -> None:
    out = study(done("lora", 0.9, model="gpt2", family="gpt2"))
    (comparison,) = comparisons(read_folder(out))
    (shown,) = published(comparison, "published")
    assert "another model" not in shown.caption
    assert "1.0000 cannot be right" in shown.caption
