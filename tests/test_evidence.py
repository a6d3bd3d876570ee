"""What the report shows behind a score, and what it says of a whole study."""

import gc
import re
from pathlib import Path
from typing import Any

import pytest

import tunebench
from tests.records import Write, done
from tunebench.evaluation.choice import ACCEPTED
from tunebench.records import DataInfo, Done
from tunebench.report.blocks import Card, Table
from tunebench.report.charts import cost as cost_chart
from tunebench.report.read.comparisons import Comparison, comparisons
from tunebench.report.read.predictions import read_answers, read_predictions
from tunebench.report.read.study import read_study
from tunebench.report.sections import by_label, disagreements, summary
from tunebench.report.sections.cards import card
from tunebench.report.stats.notices import Group
from tunebench.report.stats.paired import paired

Rows = list[dict[str, Any]]


def rows_of(predictions: list[Any], references: list[Any]) -> Rows:
    return [
        {"input": f"text {n}", "prediction": p, "reference": r}
        for n, (p, r) in enumerate(zip(predictions, references, strict=True))
    ]


def result(technique: str, value: float, labels: list[str], metric: str = "accuracy", **changes: Any) -> Done:
    made = done(technique, value, **changes)
    data = DataInfo(rows={"test": 4}, source="here", fingerprint="f", labels=labels)
    main = made.main_metric.model_copy(update={"name": metric})
    return made.model_copy(update={"data": data, "main_metric": main})


def one(out: Path) -> tuple[Comparison, dict[str, Any]]:
    (comparison,) = comparisons(read_study(out))
    return comparison, {run.name: read_answers(out, run.name) for run in (out / "runs").iterdir()}


def texts(table: Table) -> list[list[str]]:
    return [[entry.text for entry in row] for row in table.rows]


def test_each_label_has_its_f1_by_technique(study: Write) -> None:
    gold = ["joy", "joy", "fear", "fear"]
    full, head = result("full", 0.75, ["joy", "fear"]), result("head", 0.5, ["joy", "fear"])
    answers = {full.run.id: rows_of(["joy", "joy", "joy", "fear"], gold), head.run.id: rows_of(["joy"] * 4, gold)}
    (table,) = by_label.by_label(by_label.labelled(*one(study(full, head, answers=answers))))
    assert [column.title for column in table.columns] == ["Label", "Support", "full", "head"]
    assert texts(table) == [["fear", "2", "0.667", "0.000"], ["joy", "2", "0.800", "0.667"]]
    assert [[entry.best for entry in row[2:]] for row in table.rows] == [[True, False], [True, False]]


def test_entity_types_are_counted_as_whole_entities_over_all_seeds(study: Write) -> None:
    gold = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "O"]]
    half = [["B-PER", "O", "O"], ["B-LOC", "O", "O"]]  # a person cut short is no person
    runs = [result("full", 0.9, ["O", "B-PER"], "entity_f1", seed=seed) for seed in (0, 1)]
    answers = {runs[0].run.id: rows_of(gold, gold), runs[1].run.id: rows_of(half, gold)}
    comparison, given = one(study(*runs, answers=answers))
    counted = by_label.labelled(comparison, given)
    (table,) = by_label.by_label(counted)
    assert table.caption == "F1 per entity type, 2 seeds pooled"
    assert texts(table) == [["LOC", "1", "1.000"], ["PER", "1", "0.500"]]
    assert by_label.confusions(counted) == []


def test_answers_that_are_no_labels_or_cannot_be_read_have_no_labels_to_count(study: Write) -> None:
    gold = ["joy", "fear"]
    runs = [result(name, 0.5, ["joy", "fear"]) for name in ("full", "mixed", "nested", "lost")]
    comparison, _ = one(study(*runs))
    shown = [gold, ["joy", 3], ["joy", ["fear"]]]
    counted = by_label.labelled(comparison, {r.run.id: (p, gold) for r, p in zip(runs, shown, strict=False)})
    assert [(row.label, counts) for row, counts in counted] == [("full", {("joy", "joy"): 1, ("fear", "fear"): 1})]


def test_a_matrix_has_true_labels_down_and_every_answer_across_even_one_that_is_no_label(study: Write) -> None:
    gold = ["joy", "joy", "fear", "fear"]
    full = result("full", 0.5, ["joy", "fear"])
    answers = {full.run.id: rows_of(["joy", "fear", "fear", "(no label)"], gold)}
    (table,) = by_label.confusions(by_label.labelled(*one(study(full, answers=answers))))
    assert [column.title for column in table.columns] == ["True label", "joy", "fear", "(no label)"]
    assert texts(table) == [["joy", "1", "1", "0"], ["fear", "0", "1", "1"]]
    assert [entry.shade for entry in table.rows[0][1:]] == [0.5, 0.5, 0.0]


def test_more_labels_than_a_matrix_bears_become_the_most_frequent_confusions(study: Write) -> None:
    labels = [f"label {n:02}" for n in range(30)]
    full = result("full", 0.5, labels)
    answers = {full.run.id: rows_of([*labels[1:], labels[2], labels[2]], [*labels[:-1], labels[1], labels[1]])}
    (table,) = by_label.confusions(by_label.labelled(*one(study(full, answers=answers))))
    assert table.caption == "The 20 most frequent of 29 confusions of full (30 labels)"
    assert texts(table)[0] == ["label 01", "label 02", "3"]


def differing(comparison: Comparison, answers: Any, inputs: Any) -> list[Table]:
    """The tables of the examples on which techniques differ most."""
    found = disagreements.differing(comparison, answers, inputs)
    return disagreements.most(found) if found else []


def test_examples_that_divide_techniques_come_first_with_their_input_and_the_untuned_model_is_left_out(
    study: Write,
) -> None:
    gold = ["joy", "joy", "fear", "fear"]
    runs = [
        result("full", 0.75, ["joy", "fear"]),
        result("lora", 0.5, ["joy", "fear"]),
        result("untuned", 0.25, ["joy", "fear"], trainable=0),
    ]
    answers = {
        runs[0].run.id: rows_of(["joy", "joy", "fear", "joy"], gold),
        runs[1].run.id: rows_of(["joy", "fear", "fear", "joy"], gold),
        runs[2].run.id: rows_of(["fear"] * 4, gold),
    }
    out = study(*runs, answers=answers)
    comparison, given = one(out)
    (table,) = differing(comparison, given, read_predictions(out, runs[0].run.id)[1])
    assert [column.title for column in table.columns] == ["Test example", "Input", "True", "full", "lora"]
    assert texts(table) == [["1", "text 1", "joy", "✓ joy", "✗ fear"]]


def test_entities_are_shown_with_their_words(study: Write) -> None:
    gold = [["O", "B-PER", "I-PER"]]
    runs = [result(name, 0.9, ["O", "B-PER"], "entity_f1") for name in ("full", "lora")]
    rows = {"full": gold, "lora": [["O", "B-LOC", "O"]]}
    answers = {
        run.run.id: [{**row, "input": "said Ann Lee"} for row in rows_of(rows[run.run.label], gold)] for run in runs
    }
    out = study(*runs, answers=answers)
    comparison, given = one(out)
    (table,) = differing(comparison, given, read_predictions(out, runs[0].run.id)[1])
    assert texts(table) == [["0", "said Ann Lee", "PER: Ann Lee", "✓ PER: Ann Lee", "✗ LOC: Ann"]]
    (blind,) = differing(comparison, given, None)
    assert texts(blind) == [["0", "PER: 2-3", "✓ PER: 2-3", "✗ LOC: 2"]]
    assert [column.note for column in blind.columns] == ["", "type: word positions", "", ""]


def test_written_texts_stand_beside_their_reference_with_the_score_of_each(study: Write) -> None:
    gold = ["the cat sat", "a dog ran"]
    runs = [result(name, 0.5, [], "rouge_l") for name in ("full", "lora")]
    answers = {
        runs[0].run.id: rows_of(["the cat sat", "a dog ran"], gold),
        runs[1].run.id: rows_of(["the cat", "a dog ran"], gold),
    }
    out = study(*runs, answers=answers)
    comparison, given = one(out)
    (differs,) = differing(comparison, given, None)
    assert differs.caption == "Test example 0"
    assert texts(differs) == [
        ["(reference)", "the cat sat", "-"],
        ["full", "the cat sat", "1.0000"],
        ["lora", "the cat", "0.8000"],
    ]
    assert len(disagreements.sample(comparison, given, None)) == 2


def test_more_examples_are_one_table_that_a_page_filters_by_label(study: Write) -> None:
    gold = ["joy", "fear"] * 60
    runs = [result("full", 1.0, ["joy", "fear"]), result("lora", 0.0, ["joy", "fear"])]
    answers = {runs[0].run.id: rows_of(gold, gold), runs[1].run.id: rows_of(["love"] * 120, gold)}
    comparison, given = one(study(*runs, answers=answers))
    found = disagreements.differing(comparison, given, None)
    assert found is not None
    (table,) = disagreements.every(found)
    assert table.caption == "The 100 of 120 test examples on which techniques differ"
    assert [row[1].labels for row in table.rows[:2]] == [("joy",), ("fear",)]
    assert [row[0].text for row in table.rows[:6]] == [row[0] for row in texts(disagreements.most(found)[0])]


def test_generated_texts_stand_beside_their_references_in_the_table_of_more_examples(study: Write) -> None:
    gold = [f"the cat sat {n}" for n in range(8)]
    runs = [result(name, 0.5, [], "rouge_l") for name in ("full", "lora")]
    answers = {runs[0].run.id: rows_of(gold, gold), runs[1].run.id: rows_of(["the cat"] * 8, gold)}
    comparison, given = one(study(*runs, answers=answers))
    found = disagreements.differing(comparison, given, None)
    assert found is not None
    (table,) = disagreements.every(found)
    assert texts(table)[0] == ["0", "the cat sat 0", "the cat sat 0", "the cat"]
    assert [entry.note for entry in table.rows[0][2:]] == ["ROUGE-L 1.0000", "ROUGE-L 0.6667"]


def test_likelihoods_are_compared_by_their_ratio(study: Write) -> None:
    def likelihoods(*values: float) -> list[Any]:
        return [{"response_nll": value, "response_tokens": 1, "nll": value, "tokens": 1} for value in values]

    runs = [result(name, 5.0, [], "perplexity", higher_is_better=False) for name in ("full", "lora")]
    answers = {
        runs[0].run.id: rows_of(likelihoods(0.1, 7.0), ["a", "b"]),
        runs[1].run.id: rows_of(likelihoods(2.1, 7.5), ["a", "b"]),
    }
    (table,) = differing(*one(study(*runs, answers=answers)), None)
    assert [row[0] for row in texts(table)] == ["0", "1"]  # e^2 times as unlikely, though the second differs by more
    assert texts(table)[0][2:] == ["1.1052", "8.1662"]


def test_a_line_separator_inside_an_answer_ends_no_row(study: Write) -> None:
    out = study(done("full", 0.9), answers={"tiny--emotion--full--s0": rows_of(["a\u2028b\x85c"], ["d"])})
    assert read_answers(out, "tiny--emotion--full--s0") == (["a\u2028b\x85c"], ["d"])


def judged(study: Write, right: dict[str, int], **changes: Any) -> list[tuple[Comparison, Any]]:
    """A cell whose techniques have so many of 200 answers right."""
    gold = ["joy", "fear"] * 100
    runs = [
        result(name, n / 200, ["joy", "fear"], trainable=10**place, **changes)
        for place, (name, n) in enumerate(right.items(), 3)
    ]
    answers = {
        run.run.id: rows_of(gold[:n] + ["other"] * (200 - n), gold) for run, n in zip(runs, right.values(), strict=True)
    }
    comparison, given = one(study(*runs, answers=answers))
    return [(comparison, paired(comparison, given))]


def carded(study: Write, right: dict[str, int], **changes: Any) -> Card:
    ((comparison, tests),) = judged(study, right, **changes)
    return card(comparison, tests, ACCEPTED)


def test_a_card_says_what_to_use_how_good_it_is_and_what_it_costs(study: Write) -> None:
    made = carded(study, {"head": 90, "lora": 179, "full": 180})
    assert (made.where, made.chosen) == ("emotion with tiny", 0)
    assert made.text == (
        "Use full: Accuracy 0.9000 [0.8900, 0.9100], statistically tied with lora (0.8950) in this run, at 10 times "
        "its trainable parameters, 100 % of its training time."
    )


def test_a_cheaper_technique_that_is_tied_is_recommended_and_compared_with_the_best(study: Write) -> None:
    gold = ["joy", "fear"] * 100
    runs = [
        result("full", 0.9, ["joy", "fear"], trainable=100_000, train_seconds=100.0),
        result("lora", 0.895, ["joy", "fear"], trainable=1_000, train_seconds=58.0),
    ]
    right = {"full": 180, "lora": 179}
    answers = {run.run.id: rows_of(_right(gold, right[run.run.label]), gold) for run in runs}
    comparison, given = one(study(*runs, answers=answers))
    made = card(comparison, paired(comparison, given), ACCEPTED)
    assert made.text == (
        "Nothing can be told apart; the cheapest by the rule is lora: Accuracy 0.8950 [0.8850, 0.9050], statistically "
        "tied with full (0.9000) in this run, at 1 % of its trainable parameters, 58.6 % of its training time."
    )
    assert made.doubt == "The difference of 0.0050 between full and lora is too small to matter."


def _right(gold: list[str], count: int) -> list[str]:
    return gold[:count] + ["other"] * (len(gold) - count)


def test_a_technique_alone_is_not_compared_and_has_no_rule(study: Write) -> None:
    out = study(done("full", 0.9))
    written = (out / "report.md").read_text()
    assert (
        "- emotion with tiny: Measured alone: **full**: Accuracy 0.9000 [0.8900, 0.9100], 4,614 parameters in 13.8 s, "
        "0.02 MB saved. Nothing is compared: add untuned, or another technique" in written
    )
    assert "Rule: " not in written and "cost.svg" not in written


def test_the_summary_names_one_seed_and_notices_that_cast_doubt(study: Write) -> None:
    warned = [Group("underfitted", (("too few epochs", ("here", "there")),)), Group("cached", (("kept", ("x",)),))]
    assert list(summary.limits(judged(study, {"lora": 179, "full": 180}), warned)) == [
        "There is one seed: all of this is about these runs, not about the techniques. See these notices: "
        "“underfitted” (2).",
    ]


def test_what_learned_without_a_model_has_no_share_of_one(study: Write) -> None:
    tfidf = done("tfidf", 0.9, trainable=735_714).model_copy(update={"backbone": None})
    written = (study(tfidf, done("full", 0.8)) / "report.md").read_text()
    assert "It fitted 735,714 parameters of its own, without a pretrained model, in 13.8 s." in written
    lines = written.splitlines()
    (header,) = [number for number, line in enumerate(lines) if line.startswith("| Technique") and "Share" in line]
    (row,) = [line for line in lines[header:] if line.startswith("| tfidf")][:1]
    names, cells = ([cell.strip() for cell in line.split("|")] for line in (lines[header], row))
    assert cells[names.index("Share")] == "-"


@pytest.mark.parametrize(
    ("values", "ticks"), [([13.9, 1162], [20, 50, 100, 200, 500, 1000]), ([0.0, 1, 101], [1, 10, 100])]
)
def test_a_log_axis_has_finer_ticks_within_two_decades(values: list[float], ticks: list[float]) -> None:
    shown = [tick for tick in cost_chart._ticks(values) if min(filter(None, values)) <= tick <= max(values)]
    assert shown == ticks


def test_a_study_without_figures_says_so(study: Write) -> None:
    made = card(one(study(done("constant", None)))[0], None, ACCEPTED)
    assert (made.choice, made.text) == (None, "No technique has a score yet.")


def test_a_frame_of_results_shows_techniques_by_tasks_in_a_notebook(study: Write) -> None:
    frame = tunebench.results(study(done("full", 0.9), done("<b>", 0.8)))
    shown = frame._repr_html_() or ""  # pyright: ignore[reportCallIssue]
    assert "<td" in shown and "0.9000" in shown and "&lt;b&gt;" in shown and "<b>" not in shown
    assert list(frame["main_value"]) == [0.9, 0.8]
    assert "0.9000" not in (frame[frame.main_value > 0.85]._repr_html_() or "")  # pyright: ignore[reportCallIssue]


def test_figures_are_files_that_the_markdown_shows_and_old_ones_go(study: Write) -> None:
    out = study(done("full", 0.9), done("lora", 0.8))
    (out / "figures" / "999-old.svg").write_text("<svg/>")
    tunebench.report.build(out)
    files = sorted(path.name for path in (out / "figures").iterdir())
    assert files == ["001-tiny-emotion-cost.svg", "002-tiny-emotion-curves.svg"]
    assert re.findall(r"\]\(figures/([^)]*)\)", (out / "report.md").read_text()) == files
    assert all((out / "figures" / name).read_text().startswith("<svg ") for name in files)


def test_a_large_study_says_how_many_charts_only_a_browser_draws(study: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunebench.report.charts.pictures.MOST", 3)
    of = [done(name, 0.9, task=task) for task in ("emotion", "ner") for name in ("full", "lora")]
    out = study(*of)
    note = "Only the first 3 charts are also drawn as pictures, to keep reports of large studies fast: 1 chart of"
    assert note in (out / "report.html").read_text()
    assert len(list((out / "figures").iterdir())) == 3


def test_a_report_reads_each_run_s_answers_once_and_leaves_the_collector_on(
    study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = ["joy", "fear"]
    runs = [result(name, 0.5, gold) for name in ("full", "lora")]
    out = study(*runs, answers={run.run.id: rows_of(["joy", "joy"], gold) for run in runs})
    read: list[str] = []
    whole = Path.read_bytes

    def counted(path: Path) -> bytes:
        read.append(f"{path.parent.name}/{path.name}")
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    tunebench.report.build(out)
    assert sorted(name for name in read if name.endswith(".jsonl")) == [
        f"{run.run.id}/predictions.jsonl" for run in runs
    ]
    assert gc.isenabled()
