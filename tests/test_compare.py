"""Two studies side by side: what became better, what was changed, and what cannot be compared."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.records import done, failed, run_info, write_study
from tunebench._util.errors import UserError
from tunebench.cli.app import app
from tunebench.records import Done, Result
from tunebench.report.read.changes import changes
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.matches import Lone, matches
from tunebench.report.read.predictions import read_all
from tunebench.report.read.study import read_study
from tunebench.report.stats.improvements import Improvement, improvements
from tunebench.report.studies import compare

GOLD = ["joy", "fear"] * 200


def made(
    technique: str, right: int, seed: int = 0, shift: int = 0, **options: Any
) -> tuple[Done, list[dict[str, Any]]]:
    """A run of which `right` of 400 answers are right."""
    guess = [label if (n + shift) % 400 < right else "love" for n, label in enumerate(GOLD)]
    rows = [{"prediction": p, "reference": r} for p, r in zip(guess, GOLD, strict=True)]
    return done(technique, right / 400, seed, **options), rows


def written(folder: Path, *runs: tuple[Done, list[dict[str, Any]]], others: tuple[Result, ...] = ()) -> Path:
    return write_study(folder, *(run for run, _ in runs), *others, answers={run.run.id: rows for run, rows in runs})


def compared(before: Path, after: Path, margin: float = 0.01) -> tuple[list[Improvement], list[Lone]]:
    studies = [read_study(folder) for folder in (before, after)]
    sides = [comparisons(study) for study in studies]
    read = [{c.key: read_all(s.folder, c) for c in side} for s, side in zip(studies, sides, strict=True)]
    matched, lone = matches(*sides)
    return improvements(matched, read[0], read[1], margin), lone


def seeds(technique: str, right: int, **options: Any) -> list[tuple[Done, list[dict[str, Any]]]]:
    return [made(technique, right + 2 * seed, seed, 40 * seed, **options) for seed in range(3)]


def test_a_technique_that_answers_more_is_better_and_one_that_answers_less_is_worse(tmp_path: Path) -> None:
    before = written(tmp_path / "a", *seeds("full", 240), *seeds("lora", 300))
    after = written(tmp_path / "b", *seeds("full", 300), *seeds("lora", 240))
    tested, lone = compared(before, after)
    assert [(one.match.after.label, one.verdict) for one in tested] == [
        ("full", "clearly better"),
        ("lora", "clearly worse"),
    ]
    assert [one.difference.value for one in tested if one.difference] == pytest.approx([0.15, -0.15])
    assert [one.scores for one in tested] == [pytest.approx((0.605, 0.755)), pytest.approx((0.755, 0.605))]
    assert not lone


def test_p_values_are_corrected_for_the_number_of_techniques(tmp_path: Path) -> None:
    before = written(tmp_path / "a", made("full", 240), made("lora", 300))
    after = written(tmp_path / "b", made("full", 246), made("lora", 300))
    full, lora = (one.difference for one in compared(before, after)[0])
    assert full and lora
    assert full.p == pytest.approx(2 / 2**6, abs=0.01)  # six answers more, none less
    assert full.adjusted >= 2 * full.p
    assert (lora.p, lora.adjusted) == (1.0, 1.0)


def test_with_one_seed_the_verdict_is_about_these_runs(tmp_path: Path) -> None:
    before, after = (written(tmp_path / name, made("full", right)) for name, right in (("a", 240), ("b", 300)))
    assert [one.verdict for one in compared(before, after)[0]] == ["clearly better in this run"]


def test_equal_answers_need_no_test(tmp_path: Path) -> None:
    before, after = (written(tmp_path / name, made("full", 240)) for name in ("a", "b"))
    assert [one.verdict for one in compared(before, after)[0]] == ["the same answers"]


def test_a_small_difference_between_many_equal_answers_is_equivalent_within_a_wide_margin(tmp_path: Path) -> None:
    before, after = (written(tmp_path / name, made("full", right)) for name, right in (("a", 240), ("b", 241)))
    assert [one.verdict for one in compared(before, after, margin=0.05)[0]] == ["equivalent in this run"]
    assert [one.verdict for one in compared(before, after, margin=0.001)[0]] == ["not significant in this run"]


def test_a_setting_in_the_label_or_another_model_does_not_part_what_belongs_together(tmp_path: Path) -> None:
    four = done("lora", 0.8, label="lora rank=4", settings={"learning_rate": 2e-5, "rank": 4})
    eight = done("lora", 0.8, label="lora rank=8", model="small", settings={"learning_rate": 2e-5, "rank": 8})
    (match,), lone = matches(
        *(comparisons(read_study(write_study(tmp_path / one.run.model, one))) for one in (four, eight))
    )
    assert (match.before.label, match.after.label, match.where) == (
        "lora rank=4",
        "lora rank=8",
        "emotion with tiny and small",
    )
    assert not lone
    assert {(change.field, change.before, change.after) for change in changes([match])} == {
        ("model", "tiny", "small"),
        ("rank", "4", "8"),
    }


def test_what_was_changed_is_named_with_the_techniques_that_it_is_true_of(tmp_path: Path) -> None:
    before = written(tmp_path / "a", made("full", 240), made("lora", 240))
    longer = made("full", 240, training={"epochs": 5, "batch_size": 16}, fingerprint="f2")
    matched, _ = matches(
        *(comparisons(read_study(f)) for f in (before, written(tmp_path / "b", longer, made("lora", 240))))
    )
    assert [(one.field, one.before, one.after, one.rows) for one in changes(matched)] == [
        ("training: epochs", "2", "5", ("full on emotion with tiny",)),
        ("examples (fingerprint)", "f1", "f2", ("full on emotion with tiny",)),
    ]


def test_what_cannot_be_compared_is_named_with_its_reason(tmp_path: Path) -> None:
    other, rows = made("full", 240)
    turned = [{**row, "reference": "love"} for row in rows]
    before = written(tmp_path / "a", made("full", 240), made("lora", 240), made("freeze", 240, 1), made("llrd", 240))
    after = written(
        tmp_path / "b",
        (other, turned),
        made("freeze", 240, 2),
        made("adalora", 240),
        others=(failed("llrd", "no memory"),),
    )
    tested, lone = compared(before, after)
    assert {one.match.after.label: (one.verdict, one.reason) for one in tested} == {
        "full": ("not tested", "their test examples differ"),
        "freeze": ("not tested", "no seed in common"),
        "llrd": ("not tested", "no finished run in the second study (failed: no memory)"),
    }
    assert [(one.second, one.title) for one in lone] == [(False, "lora"), (True, "adalora")]


def test_only_seeds_of_both_studies_count(tmp_path: Path) -> None:
    before = written(tmp_path / "a", made("full", 240, 0), made("full", 260, 1))
    after = written(tmp_path / "b", made("full", 300, 1), made("full", 100, 2))
    (one,), _ = compared(before, after)
    assert (one.seeds, one.scores) == ((1,), (0.65, 0.75))


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command_prints_the_answer_and_writes_a_page(tmp_path: Path) -> None:
    before = written(tmp_path / "short", *seeds("full", 240), *seeds("<b>lora", 300))
    after = written(tmp_path / "long", *seeds("full", 300), *seeds("<b>lora", 300))
    done = CliRunner().invoke(app, ["compare", str(before), str(after), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "Clearly better: 1 of 2 techniques (full on emotion with tiny, 0.6050 → 0.7550)." in done.output
    assert "The same answers: 1 of 2 techniques." in done.output
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "Is long better than short?" in page
    assert "<b>lora" not in page
    markdown = (tmp_path / "out" / "comparison.md").read_text()
    assert "+0.15 [" in markdown
    assert len(list((tmp_path / "out" / "figures").glob("*.svg"))) == 3  # the differences, and a card of each study


def test_the_page_has_the_cards_the_scores_and_the_tables_of_each_study(tmp_path: Path) -> None:
    before = written(tmp_path / "short", *seeds("full", 240), *seeds("<b>lora", 300))
    after = written(tmp_path / "long", *seeds("full", 330), *seeds("<b>lora", 300))
    compare([before, after], tmp_path / "out")
    markdown = (tmp_path / "out" / "comparison.md").read_text()
    assert "- emotion with tiny: short: Use **&lt;b&gt;lora**" in markdown
    assert "- emotion with tiny: long: Use **full**" in markdown
    rows = [line for line in markdown.partition("## Scores, study by study")[2].splitlines() if line.startswith("| ")]
    assert [field.strip() for field in rows[2].split("|")[1:4]] == [
        "full",
        "0.6050 (▼ clearly worse)",
        "0.8300 ✔ (★ best)",
    ]
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert page.count('class="card"') == 2 and "<b>lora" not in page
    assert 'id="study-2-1"' in page and 'href="#study-2-1"' in page


def test_figures_of_an_earlier_comparison_go_and_those_of_a_study_are_left_alone(tmp_path: Path) -> None:
    before, after = (written(tmp_path / name, *seeds("full", 240), *seeds("lora", 300)) for name in ("a", "b"))
    compare([before, after], tmp_path / "out")
    (tmp_path / "out" / "figures" / "009-old.svg").write_text("<svg/>")
    compare([before, after], tmp_path / "out")
    names = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    linked = set(re.findall(r"figures/([^)]*)\)", (tmp_path / "out" / "comparison.md").read_text()))
    assert names == linked and len(names) >= 2
    with pytest.raises(UserError, match="the folder of a study"):
        compare([before, after], after)


def test_each_study_is_compared_with_the_first(tmp_path: Path) -> None:
    outs = [written(tmp_path / name, *seeds("full", right)) for name, right in (("a", 240), ("b", 240), ("c", 300))]
    assert [
        (name, [line.split(":")[0] for line in lines]) for name, lines in compare(outs, tmp_path / "out").sentences
    ] == [
        ("b", ["The same answers"]),
        ("c", ["Clearly better"]),
    ]


def test_studies_without_a_technique_in_common_say_so(tmp_path: Path) -> None:
    outs = [write_study(tmp_path / task, pending=(run_info("full", task=task),)) for task in ("emotion", "ner")]
    answer = compare(outs, tmp_path / "out")
    assert answer.sentences == (
        ("ner", ("emotion and ner have no technique and task in common: compare studies of the same tasks.",)),
    )
    assert "Only in ner" in answer.page.read_text()


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    out = written(tmp_path / "a", made("full", 240))
    (tmp_path / "file").write_text("")
    for outs, folder, message in (
        ([out], tmp_path / "out", "one study alone"),
        ([out, tmp_path / "x" / ".." / "a"], tmp_path / "out", "stands twice"),
        ([out, tmp_path], tmp_path / "out", "no study here"),
        ([out, written(tmp_path / "b", made("full", 240))], tmp_path / "file", "cannot be written"),
    ):
        result = CliRunner().invoke(app, ["compare", *map(str, outs), "--out", str(folder)])
        assert isinstance(result.exception, UserError)
        assert message in str(result.exception)
        assert "\n" not in str(result.exception)
