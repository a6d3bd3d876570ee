"""The report is made of records on disk, says what they say, and lets no text become markup."""

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas
import pytest

from tests.records import SCRIPT, Write, done, failed, not_applicable, paused, run_info
from tunebench._util.errors import UserError
from tunebench._util.files import write_json
from tunebench.records import Answer, Done, Generation, Notice, write_result
from tunebench.report import build, text
from tunebench.report.read.comparisons import comparisons
from tunebench.report.read.study import read_study
from tunebench.report.sections.conclusions import sentences
from tunebench.report.stats.paired import Difference, Pairs


class Page(HTMLParser):
    """Tags with attributes, and each table's rows as texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.cell: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self.cell is not None:
            self.tables[-1][-1].append(" ".join("".join(self.cell).split()))
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.append(data)


def page(out: Path) -> Page:
    return Page((out / "report.html").read_text())


def comparison(out: Path) -> dict[str, dict[str, str]]:
    """The first comparison's table: technique -> column -> text. The first table is the family's."""
    header, *rows = page(out).tables[1]
    return {row[0]: dict(zip(header, row, strict=False)) for row in rows}


def test_a_row_shows_quality_with_its_interval_and_cost_in_human_units(study: Write) -> None:
    row = comparison(study(done("head", 0.926, interval=(0.914, 0.937))))["head"]
    assert row["Accuracy"] == "★ best: 0.9260 [0.9140, 0.9370]"
    assert row["Macro F1"] == "0.5000 no interval"
    assert row["Trainable parameters"] == "4,614"
    assert row["Share"] == "0.00421 %"
    assert (row["Trunk"], row["Train"], row["Whole run"]) == ("1.5 s", "12.3 s", "4 min 05 s")
    assert (row["Peak memory"], row["Saved"]) == ("1,235 MB", "0.02 MB")
    assert (row["Epochs"], row["Best epoch"], row["Seeds"]) == ("2", "2", "1 of 1")


def test_rows_stand_best_first_and_the_best_is_marked_in_words(study: Write) -> None:
    rows = comparison(study(done("worse", 0.5), done("better", 0.9), done("middle", 0.7)))
    assert list(rows) == ["better", "middle", "worse"]
    assert ["best" in row["Accuracy"] for row in rows.values()] == [True, False, False]


def test_where_lower_is_better_the_lowest_stands_first(study: Write) -> None:
    out = study(done("high", 0.9, higher_is_better=False), done("low", 0.2, higher_is_better=False))
    assert list(comparison(out)) == ["low", "high"]
    assert "Best: low, Accuracy 0.2000 on the test split (lower is better" in (out / "report.md").read_text()


def test_what_trains_nothing_is_shown_as_a_baseline_whatever_its_name(study: Write) -> None:
    rows = comparison(study(done("head", 0.9), done("anything", 0.2, trainable=0)))
    assert "anything baseline: no weights tuned" in rows


def test_failed_pending_and_not_applicable_rows_stay_in_the_table_with_their_reason(study: Write) -> None:
    out = study(
        done("head", 0.9),
        failed("lora", "loss is not a number at step 12"),
        not_applicable("prefix", "no prefix on a recurrent model"),
        pending=(run_info("full"),),
    )
    rows = {row[0]: row[-1] for row in page(out).tables[1][1:]}
    assert rows == {
        "head": "done",
        "lora": "failed: loss is not a number at step 12",
        "prefix": "not applicable: no prefix on a recurrent model",
        "full": "pending: no result yet",
    }
    markdown = (out / "report.md").read_text()
    assert all(f"| {reason}" in markdown for reason in rows.values())
    assert "4 runs: 1 done, 1 failed, 1 not applicable, 1 pending." in markdown


def test_a_cell_of_the_plan_that_is_not_applicable_and_has_no_run_is_shown(study: Write) -> None:
    cell = {
        "model": "tiny",
        "family": "bert",
        "task": "emotion",
        "technique": "t",
        "label": "t",
        "settings": {},
        "applicable": False,
        "reason": "it has no decoder",
        "parameters": None,
    }
    out = study(done("head", 0.9), cells=[cell])
    assert ["t", "not applicable: it has no decoder"] in page(out).tables[1]


def test_a_paused_run_stays_in_the_table_with_its_state(study: Write) -> None:
    out = study(done("head", 0.9), paused("full", "1 of at most 3 epochs are trained"))
    rows = {row[0]: row[-1] for row in page(out).tables[1][1:]}
    assert rows["full"] == "paused: 1 of at most 3 epochs are trained"
    assert "2 runs: 1 done, 1 paused." in (out / "report.md").read_text()
    assert "paused" in (out / "results.csv").read_text()


def test_a_damaged_result_is_pending(study: Write, tmp_path: Path) -> None:
    out = study(done("head", 0.9))
    (out / "runs" / "tiny--emotion--head--s0" / "result.json").write_text('{"schema": 1')
    build(out)
    assert page(out).tables[1][1][-1] == "pending: no result yet"


def test_only_the_runs_of_the_plan_count(study: Write) -> None:
    out = study(done("head", 0.9))
    write_result(out / "runs" / "stray", done("stray", 0.99))
    build(out)
    assert "stray" not in (out / "report.html").read_text()


def test_several_seeds_show_mean_range_and_number(study: Write) -> None:
    out = study(done("head", 0.90, 0), done("head", 0.94, 1), done("head", 0.92, 2))
    row = comparison(out)["head"]
    assert row["Accuracy"] == "★ best: 0.9200 0.9000..0.9400"
    assert row["Seeds"] == "3 of 3"
    assert "the seeds' 95 % intervals span [0.8900, 0.9500]; mean of 3 of 3 seeds" in (out / "report.md").read_text()


def test_a_failed_seed_is_counted_and_shown(study: Write) -> None:
    row = comparison(study(done("head", 0.90, 0), failed("head", "out of memory", 1)))["head only 1 of 2 seeds"]
    assert row["Seeds"] == "1 of 2"
    assert row["Outcome"] == "seed 1 failed: out of memory"


def test_a_reason_that_all_seeds_share_is_given_once(study: Write) -> None:
    out = study(not_applicable("lora", "no attention", 0), not_applicable("lora", "no attention", 1))
    assert page(out).tables[1][1] == ["lora", "not applicable: no attention"]


def test_an_undefined_value_is_shown_and_has_no_rank(study: Write) -> None:
    out = study(done("constant", None), done("head", 0.1))
    rows = comparison(out)
    assert list(rows) == ["head", "constant"]
    assert rows["constant"]["Accuracy"] == "undefined"
    assert "Not ranked: constant, because the main metric is undefined." in (out / "report.md").read_text()


def test_a_mean_with_an_undefined_seed_is_undefined(study: Write) -> None:
    rows = comparison(study(done("shaky", 0.99, 0), done("shaky", None, 1), done("head", 0.5)))
    assert rows["shaky"]["Accuracy"] == "undefined in 1 of 2 seeds"
    assert "best" in rows["head"]["Accuracy"]


def test_overlapping_intervals_are_not_shown_to_differ_and_the_fastest_is_named(study: Write) -> None:
    out = study(
        done("full", 0.93, trainable=109_486_854, train_seconds=98.5),
        done("lora", 0.92, train_seconds=48.5),
        done("slow", 0.92, train_seconds=600.0),
        done("head", 0.40, train_seconds=1.0),
    )
    markdown = (out / "report.md").read_text()
    assert (
        "Not shown to differ from full (the 95 % intervals overlap): lora (4,614 parameters in 50.0 s), slow (4,614 "
        "parameters in 10 min 02 s). This does not show that they are equal." in markdown
    )
    assert "The fastest of them, lora, took 50 % of the time of full." in markdown
    assert "Not tested, but the 95 % interval does not overlap with that of full: head." in markdown


def scratched(value: float | None, **changes: Any) -> Done:
    record = done("from_scratch", value, trainable=109_486_854, **changes)
    assert record.backbone is not None
    return record.model_copy(update={"backbone": record.backbone.model_copy(update={"pretrained": False})})


def test_what_pretraining_is_worth_is_stated_if_all_weights_trained_with_it_and_without(study: Write) -> None:
    full, lora = done("full", 0.9, trainable=109_486_854), done("lora", 0.95)
    out = study(lora, scratched(0.6), full)
    line = "between the pretrained and the random start: 0.3000 (full 0.9000, from_scratch 0.6000). Both train every"
    assert line in (out / "report.md").read_text()
    assert "random start" not in (study(lora, scratched(0.6)) / "report.md").read_text()
    assert "random start" not in (study(lora, full, scratched(None)) / "report.md").read_text()


def test_the_worth_of_pretraining_is_positive_where_lower_is_better_and_a_tie_is_named(
    study: Write,
) -> None:
    low, high = (
        done("full", 3.0, trainable=109_486_854, higher_is_better=False),
        scratched(4.5, higher_is_better=False),
    )
    (rows,) = comparisons(read_study(study(low, high)))
    for p, beginning, ending in (
        (
            0.2,
            "Difference of Accuracy between the pretrained and the random start: 1.5000 (full 3.0000",
            "significant.",
        ),
        (0.01, "Pretraining improves Accuracy by 1.5000 (full 3.0000, from_scratch 4.5000)", "own learning rate."),
    ):
        tests = Pairs(
            (Difference("full", "from_scratch", 1.5, None, p, p),), (), ("full", "from_scratch"), (0, 1), {}, 100
        )
        (line,) = [sentence for sentence in sentences(rows, tests) if "Both train every weight" in sentence]
        assert line.startswith(beginning)
        assert line.endswith(ending)


def test_a_technique_without_an_interval_is_not_judged(study: Write) -> None:
    rival = done("lora", 0.92).model_copy(update={"intervals": {"accuracy": None}})
    markdown = (study(done("full", 0.93), rival) / "report.md").read_text()
    assert "Not compared, because there is no interval: lora." in markdown
    assert "does not overlap" not in markdown


def test_rows_of_different_data_are_called_not_comparable(study: Write) -> None:
    out = study(done("full", 0.93), done("lora", 0.92, fingerprint="f2"))
    assert "Not all runs of a seed used the same data" in (out / "report.html").read_text()
    alike = study(done("full", 0.93), done("lora", 0.92))
    assert "Not all runs of a seed used the same data" not in (alike / "report.html").read_text()


def test_the_same_label_from_another_experiment_is_another_row_and_no_seed(study: Write) -> None:
    rows = comparison(study(done("lora", 0.9), done("lora", 0.5, id="other", training={"epochs": 30})))
    assert list(rows) == ["lora", "lora (2)"]
    assert rows["lora"]["Accuracy"].startswith("★ best: 0.9000")


def test_a_family_has_one_table_of_techniques_by_task(study: Write) -> None:
    out = study(done("full", 0.9), done("head", 0.8), done("full", 0.6, task="ner"), done("head", 0.7, task="ner"))
    assert page(out).tables[0] == [
        ["Technique", "emotion Accuracy", "ner Accuracy"],
        ["full", "0.9000 ✔", "0.6000"],
        ["head", "0.8000", "0.7000 ✔"],
    ]


def test_notices_are_grouped_by_code_with_the_runs_that_have_them(study: Write) -> None:
    cached = Notice(code="cached", message="the prefix was read from the cache")
    out = study(
        done("head", 0.9, 0, notices=(cached,)),
        done("head", 0.9, 1, notices=(cached,)),
        failed("lora", "NaN", 0),
        done("lora", 0.9, 1),
    )
    lines = (out / "report.md").read_text().splitlines()
    start = lines.index("### `cached`")
    assert lines[start + 2] == "- the prefix was read from the cache: tiny / emotion: head"
    assert lines[lines.index("### `failed`") + 2] == "- NaN: tiny / emotion: lora (seed 0)"


def test_what_can_change_a_decision_most_stands_first_among_the_notices(study: Write) -> None:
    notices = [Notice(code=code, message="a") for code in ("cached", "a_plugin_s", "diverged", "test_in_train")]
    written = (study(done("full", 0.9, notices=tuple(notices)), failed("lora", "NaN")) / "report.md").read_text()
    section = written.partition("## Notices")[2].partition("## Cite")[0]
    assert re.findall("### `(.*)`", section) == ["test_in_train", "failed", "diverged", "a_plugin_s", "cached"]
    assert "Techniques without figures:" in section


def test_the_report_says_how_to_cite_and_reproduce_it(study: Write) -> None:
    runs = (done("lora", 0.9), done("full", 0.8))
    lora = {"model": "tiny", "family": "bert", "task": "emotion", "technique": "lora", "label": "lora"}
    cells = [{**lora, "title": "LoRA", "paper": "Hu et al. 2021, LoRA, https://arxiv.org/abs/2106.09685"}]
    written = (study(*runs, cells=cells) / "report.md").read_text()
    section = written.partition("## Cite and reproduce this study")[2]
    assert "(study mine, 2 runs, 1 seed)" in section
    assert "- LoRA: Hu et al. 2021" in section
    assert "- emotion: data: dair-ai/emotion; Saravia et al. 2018" in section
    assert "- tiny: model: tiny, commit abc, files weights" in section
    assert section.index("### Cite") < section.index("### Reproduce") < section.index("name: mine")


def test_a_label_with_a_script_tag_stays_text_everywhere(study: Write) -> None:
    out = study(
        done(SCRIPT, 0.9, id="r1", notices=(Notice(code=SCRIPT, message=SCRIPT),), notes=(SCRIPT,)),
        failed("lora", SCRIPT),
        done("a", 0.5, id="r2", task=SCRIPT, model=SCRIPT, family=SCRIPT, settings={SCRIPT: SCRIPT}),
    )
    (out / "study.yaml").write_text(SCRIPT)
    build(out)
    html = (out / "report.html").read_text()
    assert SCRIPT not in html
    tags = [tag for tag, _ in page(out).tags]
    data = tags.count("figure") + tags.count("article")  # of charts and cards
    assert tags.count("script") == data + 2  # the library and the page's own
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 20
    figure_texts = re.findall(r"<text[^>]*>([^<]*)</text>", html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in figure_texts
    markdown = (out / "report.md").read_text()
    assert "<script" not in markdown.replace(f"```yaml\n{SCRIPT}\n```", "")


def test_a_label_cannot_break_a_markdown_table_or_become_a_formula(study: Write) -> None:
    label = "_a|b\n$\\frac{$ *c* [d](e)"
    out = study(done(label, 0.9, id="odd"))
    row = next(line for line in (out / "report.md").read_text().splitlines() if line.startswith(r"| \_a\|b"))
    assert r"| \_a\|b \$\\frac{\$ \*c\* [d\](e) |" in row
    assert "$\\frac{$ *c* [d](e)" in (out / "report.html").read_text()


def test_a_code_block_cannot_be_left_by_backticks_in_the_study() -> None:
    assert text.fenced("a: ```` b", "yaml") == "`````yaml\na: ```` b\n`````"


def test_markdown_tables_are_aligned_in_the_source(study: Write) -> None:
    out = study(done("head", 0.9), done("full", 0.8, trainable=109_486_854))
    table = [line for line in (out / "report.md").read_text().splitlines() if line.startswith("|")][4:8]
    bars = [[index for index, letter in enumerate(line) if letter == "|"][:-1] for line in table]
    assert bars.count(bars[0]) == 4
    column = table[0].split("|").index(" Trainable parameters ")
    assert [line.split("|")[column] for line in table[2:]] == ["                4,614 ", "          109,486,854 "]


def test_csv_has_one_row_a_run_and_numbers_that_pandas_reads(study: Write) -> None:
    out = study(
        done("head", 0.926, interval=(0.914, 0.937)),
        done("constant", None),
        failed("lora", 'a "quoted",\nlong reason'),
        pending=(run_info("full"),),
    )
    frame = pandas.read_csv(out / "results.csv").set_index("technique")
    assert list(frame.status) == ["done", "done", "failed", "pending"]
    assert frame.loc["head", ["main_value", "main_low", "main_high", "test_macro_f1"]].tolist() == [
        0.926,
        0.914,
        0.937,
        0.5,
    ]
    assert frame.main_value.dtype == "float64"
    assert frame.loc["head", "parameters_trainable"] == 4614
    assert frame.loc["head", "peak_memory_bytes"] == 1_234_567_890
    assert frame.loc["lora", "reason"] == 'a "quoted",\nlong reason'
    with (out / "results.csv").open(newline="") as file:
        raw = {row["technique"]: row["main_value"] for row in csv.DictReader(file)}
    assert raw == {"head": "0.926", "constant": "NaN", "lora": "", "full": ""}  # undefined is not the same as absent


def test_json_is_the_list_of_records_as_they_were_written(study: Write) -> None:
    results = [done("head", 0.9), failed("lora", "NaN"), not_applicable("prefix", "no")]
    out = study(*results, pending=(run_info("full"),))
    expected = [json.loads((out / "runs" / result.run.id / "result.json").read_bytes()) for result in results]
    assert json.loads((out / "results.json").read_bytes()) == expected


def test_the_page_asks_for_nothing_from_outside(study: Write) -> None:
    out = study(done("head", 0.9), done("full", 0.8), notes_with_links())
    tags = page(out).tags
    assert "svg" in {tag for tag, _ in tags}
    assert not {"link", "iframe", "img", "object", "embed", "base"} & {tag for tag, _ in tags}
    policy = next(attrs["content"] for tag, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy and policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe-eval" not in policy
    addresses = [
        v for _, attrs in tags for k, v in attrs.items() if k in ("src", "href", "xlink:href", "action", "data")
    ]
    assert addresses and all(address and address.startswith("#") for address in addresses)
    styles = "".join(re.findall(r"<style.*?</style>", (out / "report.html").read_text(), re.DOTALL))
    assert "url(" not in styles and "@import" not in styles


def notes_with_links() -> Done:
    return done("linked", 0.7, notes=('see <img src="https://example.org/x.png"> and <a href="https://example.org">',))


def test_a_log_axis_has_plain_numbers(study: Write) -> None:
    html = (study(done("full", 0.9, train_seconds=24_000), done("head", 0.8)) / "report.html").read_text()
    ticks = re.findall(r"<text[^>]*>([^<]*)</text>", html)
    assert "100" in ticks and "10k" in ticks


def test_figures_are_named_and_repeat_no_id(study: Write) -> None:
    out = study(done("full", 0.9), done("untouched", 0.3, trainable=0), done("full", 0.6, task="ner"))
    tags = page(out).tags
    figures = [attrs for tag, attrs in tags if tag == "svg"]
    assert len(figures) == 3  # one technique has no cost against which to compare it
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in figures)
    ids = [attrs["id"] for _, attrs in tags if attrs.get("id")]
    assert len(ids) == len(set(ids)) > 3


def test_tables_say_which_header_is_whose(study: Write) -> None:
    tags = page(study(done("full", 0.9))).tags
    assert sum(tag == "caption" for tag, _ in tags) == sum(tag == "table" for tag, _ in tags)
    assert {attrs.get("scope") for tag, attrs in tags if tag == "th"} == {"row", "col"}


def test_the_same_results_give_the_same_bytes(study: Write) -> None:
    out = study(done("full", 0.9), done("head", 0.8), failed("lora", "NaN"))
    before = {path: path.read_bytes() for path in [*out.glob("re*.*"), *out.glob("figures/*")]}
    assert len(before) == 5 + 2
    build(out)
    assert {path: path.read_bytes() for path in before} == before


def test_a_study_without_any_result_has_a_report(study: Write) -> None:
    out = study(pending=(run_info("full"), run_info("head")))
    assert "2 runs: 2 pending." in (out / "report.md").read_text()
    assert "<svg" not in (out / "report.html").read_text()


def test_the_exact_command_and_the_study_are_in_the_appendix(study: Write) -> None:
    markdown = (study(done("full", 0.9)) / "report.md").read_text()
    assert "```sh\ntunebench run a.yaml\n```" in markdown
    assert "```yaml\nname: mine\n```" in markdown


def test_the_licences_of_the_charts_software_stand_in_the_appendix_of_the_page_alone(study: Write) -> None:
    out = study(done("full", 0.9), done("head", 0.8))
    appendix = (out / "report.html").read_text().partition('<section id="appendix"')[2].partition("</section>")[0]

    assert "Licences of the charts&#39; software" in appendix
    assert "THIS SOFTWARE IS PROVIDED" in appendix
    assert "Licences" not in (out / "report.md").read_text()


def test_the_appendix_says_whose_a_setting_is_where_runs_differ(study: Write) -> None:
    training = {"epochs": 30, "batch_size": 16}
    out = study(done("full", 0.9), done("head", 0.8), done("lora", 0.7, training=training), notes_with_links())
    rows = [row for table in page(out).tables for row in table]
    assert ["batch_size", "16", "all"] in rows
    assert ["epochs", "2", "all but lora"] in rows
    assert ["epochs", "30", "lora"] in rows


def test_what_was_done_to_the_data_stands_below_its_table(study: Write) -> None:
    out = study(done("full", 0.9, notes=("The test split is carved from train.",)))
    assert "- The test split is carved from train." in (out / "report.md").read_text()


def answered(technique: str, value: float, greedy: str) -> Done:
    texts = {"greedy": greedy, "sampled": "drawn " + greedy}
    answers = [Answer(id=number, prompt="Say | it", reference="the gold", texts=texts) for number in (4, 7)]
    written = Generation(
        rouge_l={"greedy": 0.25, "sampled": 0.125},
        ended={"greedy": 1, "sampled": 2},
        max_new_tokens=64,
        answers=answers,
    )
    return done(technique, value, task="instruction", higher_is_better=False).model_copy(update={"generation": written})


def test_answers_stand_beside_the_reference_best_technique_first(study: Write) -> None:
    out = study(answered("full", 20.0, "hello\nthere"), answered("untuned", 90.0, SCRIPT), done("lora", 0.5))
    written = (out / "report.md").read_text()
    assert "Answers to 2 test prompts, at most 64 tokens each: mean ROUGE-L:" in written
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in written.splitlines() if "|" in line]
    assert ["full", "0.2500", "0.1250", "1 of 2", "2 of 2", "0 s"] in rows
    at = rows.index(["(reference)", "the gold", "-"])
    assert [row[:2] for row in rows[at + 1 : at + 3]] == [
        ["full", "hello there"],
        ["untuned", "&lt;script&gt;alert(1)&lt;/script&gt;"],
    ]
    assert written.count("(reference)") == 2
    assert "Test prompt 4: “Say \\| it”:" in written
    assert SCRIPT not in (out / "report.html").read_text()


def test_a_folder_without_a_plan_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        build(tmp_path)
    expected = f"{tmp_path}: no study here, plan.json is missing. Give an output folder of 'tunebench run'."
    assert str(caught.value) == expected
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_cannot_be_read_is_refused_with_its_place(tmp_path: Path) -> None:
    write_json(tmp_path / "plan.json", {"study": "s", "command": "c", "cells": [], "runs": [{"id": "a"}]})
    with pytest.raises(UserError, match=re.escape("plan.json: runs.0.model: Field required")):
        build(tmp_path)


def test_importing_the_report_loads_no_torch() -> None:
    code = (
        "import sys, tunebench.report; print(sorted({'torch', 'transformers', 'peft', 'sklearn'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 s"),
        (0.02, "0.02 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3599.6, "1 h 00 min"),
        (3720, "1 h 02 min"),
    ],
)
def test_seconds_are_shown_as_a_person_says_them(value: float, shown: str) -> None:
    assert text.seconds(value) == shown
