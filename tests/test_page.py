"""The report in a real browser: drawn, sorted, filtered, printed, and deaf to what texts in it say."""

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from tests.records import done, failed, write_study
from tunebench.evaluation.choice import Option, choose
from tunebench.records import DataInfo, Done
from tunebench.report.blocks import Card, CardChoice, Cards, Report, Section
from tunebench.report.formats.html import html

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
TAG = '"><img src=x onerror=alert(1)>'
END = "</script><script>alert(1)</script>"
LINK = "javascript:alert('1')"
LABELS = ["joy", "fear", END]
TECHNIQUES = ["full", "lora", "dora", "ia3", "adalora", "freeze", "llrd", TAG, LINK]
EXAMPLES = 40


def labelled(technique: str, place: int) -> tuple[Done, list[dict[str, Any]]]:
    """A technique that errs the more, the later its place; costs grow from thousands to billions."""
    rows = [
        {"input": f"{TAG} text {n} {END}", "reference": LABELS[n % 3], "prediction": LABELS[(n + (n < 3 * place)) % 3]}
        for n in range(EXAMPLES)
    ]
    right = sum(row["prediction"] == row["reference"] for row in rows)
    result = done(
        technique,
        right / EXAMPLES,
        model=END,
        trainable=10 ** (place + 1),
        train_seconds=3.0**place,
        id=f"emotion-{place}",
    )
    data = DataInfo(rows={"test": EXAMPLES}, source=LINK, fingerprint="f", labels=LABELS)
    return result.model_copy(update={"data": data}), rows


def scored(technique: str, error: float) -> tuple[Done, list[dict[str, Any]]]:
    rows = [{"input": TAG, "reference": n % 5 + 0.0, "prediction": n % 5 + error * (n % 3)} for n in range(EXAMPLES)]
    result = done(technique, 0.9 - error, task="similarity")
    main = result.main_metric.model_copy(update={"name": "pearson"})
    return result.model_copy(update={"main_metric": main, "intervals": {}}), rows


def written(technique: str, words: str) -> tuple[Done, list[dict[str, Any]]]:
    rows = [{"input": TAG, "reference": f"the cat sat {n}", "prediction": f"{words} {n}"} for n in range(EXAMPLES)]
    result = done(technique, 0.5, task="summarization")
    return result.model_copy(update={"main_metric": result.main_metric.model_copy(update={"name": "rouge_l"})}), rows


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every kind of cell, full of hostile texts."""
    made = [labelled(technique, place) for place, technique in enumerate(TECHNIQUES)]
    made += [scored("full", 0.1), scored(TAG, 0.4), written("full", "the cat sat"), written(END, f"{END} dog")]
    results = [*(result for result, _ in made), failed(LINK, END)]
    answers = {result.run.id: rows for result, rows in made}
    return write_study(tmp_path_factory.mktemp("page"), *results, answers=answers) / "report.html"


@dataclass
class Opened:
    """A page and everything that a well-behaved one has none of."""

    page: Any
    troubles: list[str] = field(default_factory=list)

    def draw_all(self) -> None:
        """Scroll to every chart and wait for it."""
        for figure in self.page.locator("figure.chart").all():
            figure.scroll_into_view_if_needed()
            figure.locator(".live svg.marks").wait_for()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed; CHROMIUM=path names one")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, report: Path) -> Iterator[Opened]:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    opened = Opened(page)
    page.on("console", lambda message: message.type in ("error", "warning") and opened.troubles.append(message.text))
    page.on("pageerror", lambda error: opened.troubles.append(str(error)))
    page.on("dialog", lambda dialog: (opened.troubles.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: request.url == report.as_uri() or opened.troubles.append(request.url))
    page.goto(report.as_uri())
    yield opened
    page.close()


def rows_of(table: Any, column: int = 0) -> list[str]:
    cells = [row.locator("th, td").nth(column) for row in table.locator("tbody tr:visible").all()]
    return [cell.inner_text().splitlines()[0] for cell in cells]


def comparison(page: Any) -> Any:
    return page.locator("#comparison-1-1 table").first


def test_every_chart_is_drawn_and_nothing_is_asked_or_complained_of(opened: Opened) -> None:
    opened.draw_all()
    charts = opened.page.locator("figure.chart[data-state=drawn]")
    assert charts.count() == opened.page.locator("figure.chart").count() == 7  # 3 x (cost, curves), and the scatter
    assert opened.page.locator("figure.chart .picture:visible").count() == 0
    points = opened.page.locator("figure.chart").first.locator(".live .mark-symbol.role-mark path[aria-label]")
    assert points.count() == len(TECHNIQUES)
    assert opened.troubles == []


def test_hostile_texts_are_only_texts(opened: Opened) -> None:
    opened.draw_all()
    assert opened.page.locator("img, [onerror], iframe").count() == 0
    assert not [
        href
        for href in opened.page.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href'))")
        if href and not href.startswith("#")
    ]
    assert TAG in opened.page.locator("#comparison-1-1").inner_text()
    assert END in opened.page.locator("#comparison-1-1").inner_text()
    chart = opened.page.locator("figure.chart").first
    chart.scroll_into_view_if_needed()
    chart.locator(f".live .mark-symbol.role-mark path[aria-label*='{TAG[:5]}']").first.hover(force=True)
    tooltip = opened.page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    assert TAG in tooltip.inner_text()
    assert tooltip.locator("img").count() == 0
    assert opened.troubles == []


def test_the_policy_of_the_page_stops_what_escaping_might_miss(opened: Opened) -> None:
    opened.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.hit=1'}))"
    )
    opened.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hit=1\">')")
    assert opened.page.evaluate("window.hit") is None
    assert opened.page.evaluate("fetch('https://example.org').catch(() => 'refused')") == "refused"


def test_a_column_sorts_by_its_numbers_by_mouse_and_keyboard(opened: Opened) -> None:
    table = comparison(opened.page)
    planned = rows_of(table)
    header = table.locator("th", has_text="Train").filter(has_not_text="Trainable")
    index = table.locator("thead th").all_inner_texts().index(header.inner_text())
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert rows_of(table, index)[:3] == ["1.0 s", "3.0 s", "9.0 s"]
    assert rows_of(table, index)[-1] == "1 h 49 min"
    opened.page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert rows_of(table, index)[0] == "1 h 49 min"
    opened.page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "none"
    assert rows_of(table) == planned


def test_a_table_has_few_columns_and_a_reader_chooses_others(opened: Opened) -> None:
    section = opened.page.locator("#comparison-1-1 .table").first
    section.scroll_into_view_if_needed()
    shown = section.locator("thead th:visible")
    names = [name.splitlines()[0].strip(" \u2060↕") for name in shown.all_inner_texts()]
    assert names == ["Technique", "Accuracy", "Verdict", "Trainable parameters", "Train", "Saved"]
    section.locator("summary").click()
    section.get_by_label("Epochs").check()
    assert shown.count() == 7
    assert rows_of(section, section.locator("thead th").all_inner_texts().index(shown.nth(5).inner_text()))
    section.get_by_label("Verdict").uncheck()
    assert shown.count() == 6


@pytest.mark.parametrize("width", [390, 1280])
def test_no_usual_column_is_cut_and_headers_stay_in_sight(opened: Opened, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 740})
    table = opened.page.locator("#comparison-1-1 table").first
    table.scroll_into_view_if_needed()
    opened.page.locator("#comparison-1-1 .scroll.fits").first.wait_for()
    assert table.evaluate("table => table.offsetWidth <= table.closest('.scroll').clientWidth")
    table.locator("tbody tr").last.evaluate("row => row.scrollIntoView({ block: 'start' })")
    top = table.locator("thead th").first.evaluate("head => head.getBoundingClientRect().top")
    assert -1 <= top <= table.evaluate("table => table.getBoundingClientRect().bottom")


def test_rows_without_a_figure_stay_last_whichever_way_a_column_is_sorted(opened: Opened) -> None:
    overview = opened.page.locator("#across table").first
    header = overview.locator("th").nth(2)  # similarity: two techniques have figures
    for _ in range(2):
        header.locator("button").click()
        assert [text == "-" for text in rows_of(overview, 2)] == [False] * 2 + [True] * 8


def test_a_filter_keeps_the_rows_with_all_its_words_and_says_how_many(opened: Opened) -> None:
    section = opened.page.locator("#comparison-1-1 .table").first
    section.get_by_label("Filter rows").fill("LORA worse")
    assert rows_of(section) == ["adalora"]
    assert section.get_by_role("status").inner_text() == "1 of 9 rows"
    section.get_by_label("Filter rows").fill("")
    assert len(rows_of(section)) == 9


def test_examples_are_filtered_by_label_and_by_words(opened: Opened) -> None:
    section = opened.page.locator("#comparison-1-1")
    folded = section.locator("details").filter(has_text="test examples on which techniques differ").first
    folded.locator("summary").first.click()
    table = folded.locator("tbody")
    total = table.locator("tr:visible").count()
    folded.get_by_label("True label").select_option("fear")
    of_fear = table.locator("tr:visible").count()
    assert 0 < of_fear < total
    assert {row.locator("td").nth(1).inner_text() for row in table.locator("tr:visible").all()} == {"fear"}
    folded.get_by_label("Filter rows").fill("TEXT 22")
    assert table.locator("tr:visible").count() == 1
    assert folded.get_by_role("status").inner_text().endswith(f" of {total} rows")


def test_every_heading_has_an_address(opened: Opened) -> None:
    headings = opened.page.locator("main :is(h2, h3)").filter(has_not=opened.page.locator(".card h3"))
    for heading in headings.all():
        if heading.locator("a").count() == 0:  # a family's name above its table
            continue
        link = heading.locator("a").first.get_attribute("href")
        assert link and opened.page.locator(f"[id='{link[1:]}']").count() == 1
    opened.page.goto(f"{opened.page.url}#again--environment")
    assert opened.page.locator("[id='again--environment']").evaluate("node => node.getBoundingClientRect().top") < 900
    ids = opened.page.eval_on_selector_all("[id]", "all => all.map(node => node.id)")
    assert len(ids) == len(set(ids))


def accept(page: Any, points: float, spared: str) -> None:
    page.get_by_label("I accept losing up to").fill(str(points))
    page.get_by_label("points to save").select_option(spared)


def test_what_a_reader_accepts_changes_the_card_the_picture_and_the_heat_map(chromium: Any, tmp_path: Path) -> None:
    (full, right), (lora, wrong) = labelled("full", 0), labelled("lora", 1)  # 40 and 37 of 40
    full = full.model_copy(update={"cost": full.cost.model_copy(update={"train_seconds": 100.0})})
    answers = {full.run.id: right, lora.run.id: wrong}
    opened = Opened(chromium.new_page(viewport={"width": 1280, "height": 900}))
    page, card = opened.page, opened.page.locator(".card")
    page.on("console", lambda message: message.type in ("error", "warning") and opened.troubles.append(message.text))
    page.goto((write_study(tmp_path, full, lora, answers=answers) / "report.html").as_uri())
    page.locator(".live svg.marks", has_text="★ full").first.wait_for()
    accept(page, 8, "training time")
    assert card.locator(".decision strong").inner_text() == "lora"
    card.locator(".live svg.marks", has_text="★ lora").wait_for()
    assert [mark.strip() for mark in page.locator(".use").all_inner_texts()] == ["", "✔"]
    assert "in training time of those that score at most 8 points below" in page.locator(".rule").inner_text()
    said = page.locator(".control").get_by_role("status")
    assert said.inner_text() == "1 of 1 recommendations differ from the report's."
    accept(page, 8, "trainable parameters")
    card.locator(".live svg.marks", has_text="Trainable parameters (count, log scale)").wait_for()
    card.locator(".live svg.marks", has_text="★ full").wait_for()
    assert card.locator(".decision strong").inner_text() == "full"
    assert opened.troubles == []
    page.close()


SPARING = ("training time", "trainable parameters", "memory", "saved bytes", "latency", "forgetting")


def random_card(rng: random.Random, number: int) -> Card:
    """Ties in loss and cost, costs that were not measured, techniques that no rule allows."""

    def choice(place: int) -> CardChoice:
        loss = rng.choice([0.0, 0.0, 0.1, 0.4, 1.0, 1.5, 3.0, rng.uniform(0, 12)])
        most = rng.choice([inf, loss, loss + 0.6, loss + rng.uniform(0, 4)])
        costs = {name: rng.choice([None, 0.0, 1.0, 1.03, 1.06, rng.uniform(0, 9)]) for name in SPARING}
        return CardChoice(
            f"t{place}", f"{place} {TAG}", "Use", ("well", "cheap"), Option(loss, rng.random() < 0.5, most), costs
        )

    choices = tuple(choice(place) for place in range(rng.randint(1, 6)))
    noises = {name: rng.choice([0.0, 0.05]) for name in SPARING}
    options = {one.label: replace(one.option, cost=one.costs[SPARING[0]]) for one in choices}
    labels = [one.label for one in choices]
    label = choose(options, 1.0, noises[SPARING[0]])
    chosen = None if label is None else labels.index(label)
    return Card(f"task {number}", choices, chosen, "None.", "", noises, f"comparison-1-{number}")


def test_the_script_chooses_as_the_rule_on_a_hundred_random_studies(chromium: Any, tmp_path: Path) -> None:
    rng = random.Random(0)
    cards = tuple(random_card(rng, number) for number in range(100))
    decisions = Cards(cards, "{spared} {points}", SPARING[0], 1.0)
    path = tmp_path / "report.html"
    path.write_text(html(Report("random", "", (Section("summary", "Summary", (decisions,)),)), None))
    page = chromium.new_page()
    page.goto(path.as_uri())
    none = 0
    for spared in SPARING:
        for points in (0, 0.5, 1, 2.5, 10):
            accept(page, points, spared)
            said = page.locator(".decision").all_inner_texts()
            for card, words in zip(cards, said, strict=True):
                options = {one.label: replace(one.option, cost=one.costs[spared]) for one in card.choices}
                label = choose(options, points, card.noises[spared])
                none += label is None
                assert " ".join(words.split()) == next(
                    (one.text for one in card.choices if one.label == label), "None."
                )
    assert 0 < none < 3_000
    page.close()


def test_a_name_in_the_legend_singles_out_its_technique(opened: Opened) -> None:
    chart = opened.page.locator("#comparison-1-1 figure.chart").first
    chart.scroll_into_view_if_needed()
    chart.locator(".live .role-legend-label text", has_text="dora").first.click()
    chart.locator(".live .mark-symbol.role-mark path[opacity='0.15']").first.wait_for()
    faint = chart.locator(".live .mark-symbol.role-mark path[aria-label][opacity='0.15']")
    assert faint.count() == 2 * (len(TECHNIQUES) - 1)  # of two epochs


@pytest.mark.parametrize("width", [360, 390, 768, pytest.param(1280, marks=pytest.mark.full), 1920])
def test_no_page_scrolls_sideways(opened: Opened, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 740})
    opened.draw_all()
    opened.page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


AXE_SHOWS_ALL = ".figures { content-visibility: visible !important }"
"""axe judges what is laid out."""


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.full), "dark"])
def test_axe_finds_nothing_serious(opened: Opened, scheme: str) -> None:
    opened.page.emulate_media(color_scheme=scheme)
    opened.draw_all()
    opened.page.add_style_tag(content=AXE_SHOWS_ALL)
    opened.page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    found = axe.Axe().run(opened.page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["help"], [node["html"][:120] for node in one["nodes"][:3]]) for one in serious] == []


def test_the_page_is_used_by_keyboard_alone(opened: Opened) -> None:
    page, press = opened.page, opened.page.keyboard.press
    focused = "document.activeElement"
    press("Tab")
    assert page.evaluate(f"{focused}.className") == "skip"
    for _ in range(200):
        if page.evaluate(f"{focused}.closest('.control') && {focused}.type") == "number":
            break
        press("Tab")
    press("ArrowUp")
    assert page.evaluate(f"{focused}.value") == "1.5"
    press("Tab")
    press("ArrowDown")
    assert page.evaluate(f"{focused}.selectedIndex") == 1
    assert "recommendations differ" in page.locator(".control").get_by_role("status").inner_text()
    columns = page.locator("#comparison-1-1 details.columns summary").first
    columns.scroll_into_view_if_needed()
    columns.focus()
    press("Enter")
    press("Tab")
    press("Space")
    assert page.evaluate(f"{focused}.checked") is False
    visible = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(visible) != "none"


def test_a_dark_page_has_light_ink_in_text_and_charts(opened: Opened) -> None:
    opened.page.emulate_media(color_scheme="dark")
    opened.draw_all()
    ink = "node => getComputedStyle(node).color"
    assert opened.page.locator("body").evaluate(ink) == "rgb(232, 232, 236)"
    label = opened.page.locator(".live .role-axis-label text").first
    assert label.evaluate("node => getComputedStyle(node).fill") == "rgb(232, 232, 236)"


def test_print_has_the_pictures_and_what_was_folded(opened: Opened) -> None:
    opened.draw_all()
    opened.page.emulate_media(media="print")
    assert opened.page.locator(".picture svg:visible").count() == 7
    assert opened.page.locator(".live svg.marks:visible").count() == 0
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.locator("details:not([open], .columns)").count() == 0
    opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.page.locator("details:not([open])").count() > 0


def test_without_scripts_the_page_is_whole(chromium: Any, report: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".picture svg:visible").count() == 7
    assert page.locator("#comparison-1-1 table tbody tr").count() > 10
    context.close()
