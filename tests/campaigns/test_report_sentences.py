"""Random result sets: no sentence of a report contradicts another one or the numbers.

An oracle of its own computes means, ranks and the limits of the tests from the answers; it takes only the intervals
and corrected p-values from the tests. Fewer trials than usual are made, so that many techniques leave no verdict
possible.
"""

import math
import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import pytest
import scipy.stats

from tests.campaigns import doses, draws
from tests.records import done, failed
from tunebench.evaluation.choice import ACCEPTED
from tunebench.records import Done, Plan, PlannedCell, PlannedRun, Result, Scores
from tunebench.report import text
from tunebench.report.blocks import CardChoice, Table, Text
from tunebench.report.read.comparisons import Comparison, comparisons
from tunebench.report.read.predictions import Answers
from tunebench.report.read.study import RunResult, StudyResults
from tunebench.report.sections import across, appendix, conclusions, results, summary
from tunebench.report.sections.base import Case
from tunebench.report.sections.cards import card
from tunebench.report.stats import paired
from tunebench.report.stats.checks import checks
from tunebench.report.stats.corrections import LEVEL
from tunebench.report.stats.paired import Difference, Pairs
from tunebench.report.stats.verdicts import SHORT

TRIALS = 400
NAMES = ("alder", "birch", "cedar", "elm", "fir", "hazel", "juniper", "larch", "maple", "oak")
WORDS = ("fails", "no better than", "nothing cheaper", "No cheaper")


@dataclass
class Drawn:
    """One random comparison: its results, and right answers (1, 0) by technique and seed.

    Of a perplexity a right answer has a likelihood of 1 nat and a wrong one of 3.
    """

    comparison: Comparison
    lower: bool
    answers: dict[str, Answers | None]
    right: dict[str, dict[int, list[int]]]
    trained: dict[str, bool]
    tests: Pairs | None = field(init=False)

    def __post_init__(self) -> None:
        self.tests = paired.paired(self.comparison, self.answers)


def drawn(rng: random.Random) -> Drawn:
    """Few or many rows, techniques and seeds; ties, failures, missing seeds, undefined metrics, unreadable answers."""
    examples, lower = rng.choice([1, 3, 8, 12, 12, 30, 60, 120, 400]), rng.random() < 0.3
    names = list(NAMES[: rng.choice([1, 2, 2, 3, 4, 5, 8])])
    seeds = range(rng.choice([1, 1, 2, 3]))
    kind = rng.choice(["mixed", "mixed", "mixed", "equal", "baselines", "untuned alone"])
    start = rng.random() < 0.7 or kind == "untuned alone"
    skills = {name: rng.choice([0.1, 0.5, 0.5, 0.8, 0.9, 1.0]) for name in names}
    first = names[0]
    names = [first] if kind == "untuned alone" else names
    right: dict[str, dict[int, list[int]]] = {}
    made: list[Result] = []
    answers: dict[str, Answers | None] = {}
    trained = {name: not (kind in ("baselines", "untuned alone") or (start and name == first)) for name in names}
    usual = rng.choice([0.5, 0.95])
    same = [int(rng.random() < usual) for _ in range(examples)]
    for name in names:
        for seed in seeds:
            if rng.random() < 0.08:
                made.append(failed(name, "it broke", seed))
                continue
            given = same if kind == "equal" else _answers(rng, same, skills[name])
            result = _result(rng, name, seed, given, trained[name], start and name == first, lower)
            made.append(result)
            if result.main_metric.value is not None:
                right.setdefault(name, {})[seed] = given
            guesses = [
                {"response_nll": 3 - 2 * hit, "response_tokens": 1} if lower else "joy" if hit else "fear"
                for hit in given
            ]
            answers[result.run.id] = None if rng.random() < 0.02 else (guesses, ["joy"] * examples)
    return Drawn(_compared(rng, made), lower, answers, right, trained)


def _answers(rng: random.Random, same: list[int], skill: float) -> list[int]:
    """Of an own skill, or all but a few as another technique has them."""
    if skill > 0.5 and rng.random() < 0.5:
        spoilt = set(rng.sample(range(len(same)), rng.choice([0, rng.randint(0, 1 + len(same) // 40)])))
        return [0 if n in spoilt else hit for n, hit in enumerate(same)]
    return [int(rng.random() < skill) for _ in same]


def _value(given: list[int], lower: bool) -> float:
    right = sum(given) / len(given)
    return math.exp(3 - 2 * right) if lower else right


def _result(
    rng: random.Random, name: str, seed: int, given: list[int], trained: bool, untuned: bool, lower: bool
) -> Done:
    value = None if rng.random() < 0.03 else _value(given, lower)
    metric = "perplexity" if lower else "accuracy"
    result = done(name, value, seed, trainable=rng.choice([1, 50, 4_614]) if trained else 0,
                  train_seconds=rng.choice([0.5, 12.3, 700.0]))  # fmt: skip
    main = result.main_metric.model_copy(update={"name": metric, "higher_is_better": not lower})
    changes = {"main_metric": main, "metrics": Scores(validation={metric: value}, test={metric: value})}
    changes["intervals"] = {metric: result.intervals["accuracy"]}
    return result.model_copy(update=changes if trained or untuned else {**changes, "backbone": None})


def _compared(rng: random.Random, made: list[Result]) -> Comparison:
    fields = ("model", "family", "task", "technique", "label")
    of = [{name: getattr(result.run, name) for name in fields} for result in made]
    runs = [PlannedRun(id=r.run.id, seed=r.run.seed, **f) for r, f in zip(made, of, strict=True)]
    cells = {f["label"]: f for f in of}
    counted = {r.run.label: r.parameters for r in made if isinstance(r, Done)}
    planned = [PlannedCell(**f, parameters=counted.get(label)) for label, f in cells.items()]
    rng.shuffle(planned)
    plan = Plan(study="mine", command="tunebench run a.yaml", runs=tuple(runs), cells=tuple(planned))
    kept = [None if rng.random() < 0.03 else result for result in made]  # pending
    study = StudyResults(Path(), plan, "", tuple(map(RunResult, runs, kept)))
    (comparison,) = comparisons(study)
    return comparison


@dataclass
class Oracle:
    """What the numbers say, independent of the report's code."""

    one: Drawn

    def __post_init__(self) -> None:
        planned = {row.label: {r.run.seed for r in row.done} for row in self.one.comparison.rows if row.done}
        defined = {name: seeds for name, seeds in planned.items() if set(self.one.right.get(name, {})) >= seeds}
        of_several = [seeds for seeds in defined.values() if len(seeds) > 1]
        shared = set.intersection(*of_several) if len(of_several) > 1 else set()
        if len(shared) > 1:  # who lacks these is not judged
            defined = {name: seeds for name, seeds in defined.items() if len(seeds & shared) > 1}
        common = set.intersection(*defined.values()) if defined else set()
        self.means = {}
        for name, seeds in defined.items():
            of = [self.one.right[name][seed] for seed in sorted(common or seeds)]
            self.means[name] = fmean(_value(given, self.one.lower) for given in of)
        top = (min if self.one.lower else max)(self.means.values(), default=0.0)
        self.best = {name for name, mean in self.means.items() if abs(mean - top) < 1e-9}
        tests = self.one.tests
        self.of_best = {frozenset((d.first, d.second)): d for d in (tests.differences if tests else ())}
        self.of_untuned = {d.first: d for d in (tests.untuned if tests else ())}
        self.once = len(common) == 1
        self.tested = set(tests.tested) if tests else set()
        names = [row.label for row in self.one.comparison.rows if row.untuned]
        self.untuned = names[0] if names else None

    def verdict(self, name: str, best: str) -> str | None:
        """What the interval of the difference from the best says; None where it was not tested."""
        difference = self.of_best.get(frozenset((name, best)))
        if difference is None or difference.interval is None:
            return None
        allowed = 0.01 * (self.means[best] if self.one.lower else 1)
        low, high = sorted(sign(difference, best) * end for end in difference.interval)
        assert abs(sign(difference, best) * difference.value - self.behind(name, best)) < 1e-9
        assert (difference.adjusted < LEVEL) == (low > 0 or high < 0) or abs(low) < 1e-9
        if -allowed <= low and high <= allowed:
            return "equivalent to the best"
        if difference.adjusted >= LEVEL:
            return "statistically tied with the best"
        return "clearly worse" if low > allowed else "worse"

    def behind(self, name: str, other: str) -> float:
        """How much worse the first one's mean is."""
        gap = self.means[other] - self.means[name]
        return -gap if self.one.lower else gap

    def decidable(self) -> bool:
        """Whether answers that differ in every example could differ significantly, or any do."""
        examples = len(next(iter(next(iter(self.one.right.values())).values())))
        least = max(0.5 ** (examples - 1), 1 / (TRIALS + 1))
        least = min(least, 3.178 * 2 * scipy.stats.norm.sf(math.sqrt(examples)))
        quantile = math.sqrt(2) * scipy.stats.norm.isf(least / 2)
        possible = bool(scipy.stats.studentized_range.sf(quantile, len(self.tested), math.inf) < LEVEL)
        return possible or any(d.adjusted < LEVEL for d in (*self.of_best.values(), *self.of_untuned.values()))


def sign(difference: Difference, best: str) -> int:
    """1 if the difference is that of the best from another one."""
    return 1 if difference.first == best else -1


def sentences(one: Drawn) -> tuple[list[str], list[str]]:
    """What the summary (its card, the card's doubt, what limits all) and the comparison's conclusions say."""
    tests = one.tests
    made = card(one.comparison, tests, ACCEPTED)
    said = [made.text, *([made.doubt] if made.choice and made.doubt else [])]
    limits = summary.limits([(one.comparison, tests)] if one.comparison.best else [], [])
    return [*said, *limits], conclusions.sentences(one.comparison, tests)


def verdicts(one: Drawn) -> tuple[dict[str, str], set[str]]:
    """Verdicts and stars, as the table of results shows them; that of tasks must show the same."""
    case = Case("mine", one.comparison, one.tests, one.answers, None, {})
    table, note = results.blocks(case)[:2]
    assert isinstance(table, Table) and isinstance(note, Text)
    titles = [column.title for column in table.columns]
    stars = {row[0].text for row in table.rows if len(row) > 1 and row[1].best}
    overview = across.family_table([(one.comparison, one.tests, card(one.comparison, one.tests, ACCEPTED))])
    assert ("★" in note.text) == (bool(stars) or not one.comparison.best)
    if "Verdict" not in titles:
        return {}, stars
    at = titles.index("Verdict")
    judged = {row[0].text: row[at].text for row in table.rows if len(row) > at}
    for row in overview.rows:
        if judged.get(row[0].text, "-") not in ("-", "not tested"):
            assert row[1].note.partition(",")[0] == SHORT[judged[row[0].text]].partition(",")[0]
    about = table.columns[at].note == "in this run"
    assert one.tests is not None and about == one.tests.one_run == ("these runs" in overview.caption)
    return judged, stars


def hold(one: Drawn) -> None:
    """All rules."""
    oracle = Oracle(one)
    summary, concluded = sentences(one)
    judged, stars = verdicts(one)
    whole = " ".join([*summary, *concluded])
    _words(whole)
    assert "in 1 of 1" not in whole
    _marks(oracle, stars, judged)
    for name, verdict in judged.items():
        _verdict(oracle, name, verdict)
    _named(oracle, summary, concluded, judged)
    _faster(one, concluded)
    _card(one, oracle, judged)
    assert one.tests is None or oracle.decidable() == ("no difference can be significant" not in whole)
    for code, message, *_ in checks(one.comparison, one.tests, one.answers):
        assert not re.search(r"(?<![\d,.])1 (test examples|epochs|learning rates)\b", message), (code, message)
    if one.tests:
        for table in appendix._pairs(one.comparison, one.tests):
            for row in table.rows:
                assert oracle.behind(row[0].text, row[1].text) <= 1e-9


def _card(one: Drawn, oracle: Oracle, judged: dict[str, str]) -> None:
    """The card against the numbers and the verdicts of the table."""
    made = card(one.comparison, one.tests, ACCEPTED)
    assert set(oracle.means) == {choice.label for choice in made.choices}
    for choice in made.choices:
        _standing(oracle, choice)
    words = [choice.lead for choice in made.choices if choice.lead.startswith("Nothing")]
    differences = [*oracle.of_best.values(), *oracle.of_untuned.values()]
    if words:
        assert not any(d.adjusted < LEVEL for d in differences) and len(made.choices) > 1
    if made.choice is None:
        unshown = all("not shown to beat" in judged.get(name, "") for name in oracle.best)
        assert not oracle.best or unshown, "a card without a recommendation"
        return
    name = made.choice.label
    verdict = judged.get(name, "-")
    assert "not shown to beat" not in verdict and verdict != "worse than the untuned model"
    assert verdict not in ("worse", "clearly worse") or name == oracle.untuned
    usable = {n for n in oracle.means if judged.get(n, "-") in FINE} or oracle.best
    point = 0.01 * (oracle.means[next(iter(oracle.best))] if one.lower else 1)
    assert oracle.behind(name, min(usable, key=lambda n: oracle.behind(n, name))) <= point * (1 + 1e-6)
    spent = {row.label: row.train_seconds or 0 for row in one.comparison.rows}
    for other in usable if judged else ():
        if other != oracle.untuned and oracle.behind(other, next(iter(oracle.best))) < point * (1 - 1e-6):
            assert spent[name] <= spent[other] * 1.5 or name in oracle.best, (name, other)


FINE = ("best", "equivalent to the best", "statistically tied with the best", "no verdict possible")
STANDINGS = {
    "statistically tied with": "statistically tied with the best",
    "equivalent (within": "equivalent to the best",
    "significantly better than": "worse",
    "significantly worse than": "worse",
    "clearly better than": "clearly worse",
    "clearly worse than": "clearly worse",
}


def _standing(oracle: Oracle, choice: CardChoice) -> None:
    """What a card says of a technique and its rival."""
    value = oracle.one.comparison.main_score(
        next(row for row in oracle.one.comparison.rows if row.label == choice.label)
    ).mean
    assert re.search(rf"(Accuracy|Perplexity) {re.escape(text.score(value))}\b", choice.words)
    for words, expected in STANDINGS.items():
        if words in choice.words:
            (rival,) = re.findall("|".join(NAMES), choice.words)
            name, best = (choice.label, rival) if choice.label not in oracle.best else (rival, choice.label)
            assert oracle.verdict(name, best) == expected
            assert (" in this run" in choice.words) == oracle.once
            assert ("better" in words) <= (choice.label in oracle.best)
    if "the same score as" in choice.words:
        assert choice.label in oracle.best
    if "no verdict possible" in choice.words:
        assert not oracle.decidable()


def _words(whole: str) -> None:
    """No claim of absence, and numbers that agree with their nouns."""
    assert not [word for word in WORDS if word in whole]
    assert not re.search(
        r"(?<![\d,.])1 (parameters|seeds|cells|pairs|test examples|techniques|more techniques)\b", whole
    )
    assert not re.search(
        r"\b(?!1 )[\d,]+ (parameter|seed|cell|pair|test example|technique)\b", re.sub(r"\b1 ", "", whole)
    )
    assert not re.search(r"undefined on|None|nan", whole.replace("None of them", ""))


def _marks(oracle: Oracle, stars: set[str], judged: dict[str, str]) -> None:
    assert stars <= oracle.best
    for name in oracle.best:
        untested = all(judged.get(other) in (None, "not tested") for other in oracle.best)
        assert (name in stars) == (judged.get(name, "") == "best" or untested)
    assert all(judged.get(name, "best") in ("best", "not tested", "-") for name in stars)


def _verdict(oracle: Oracle, name: str, words: str) -> None:
    """One technique's verdict against the numbers."""
    against = [verdict for best in oracle.best - {name} if (verdict := oracle.verdict(name, best))]
    if words == "no verdict possible":
        assert not oracle.decidable()
        return
    if words in ("not tested", "-"):
        assert name not in oracle.tested or not against
        return
    assert oracle.decidable()
    untuned = oracle.of_untuned.get(name)
    assert (untuned is None) == (oracle.untuned not in oracle.tested or not oracle.one.trained[name])
    leads = name in oracle.best
    if untuned is not None:
        assert abs(untuned.value + oracle.behind(name, untuned.second)) < 1e-9
    if untuned is not None and untuned.adjusted >= LEVEL:
        expected = "best score, not shown to beat the untuned model" if leads else "not shown to beat the untuned model"
    elif untuned is not None and untuned.value < 0:
        expected = "worse than the untuned model"
    elif leads:
        expected = "best"
    else:
        order = ("equivalent to the best", "statistically tied with the best", "worse", "clearly worse")
        expected = min(against, key=order.index)
    assert words == expected


def _named(oracle: Oracle, summary: list[str], concluded: list[str], judged: dict[str, str]) -> None:
    """Each technique stands in the sentence of its verdict and in no other, with its cost if it is recommended."""
    of = {
        "Statistically tied with": ["statistically tied with the best"],
        "Equivalent to": ["equivalent to the best"],
        "Significantly worse than the untuned model": ["worse than the untuned model"],
        "Significantly worse than": ["worse", "worse than the untuned model"],
        "Clearly worse than": ["clearly worse"],
        "Trained, but not shown": [UNSHOWN, f"best score, {UNSHOWN}"],
    }
    for beginning, verdicts_of in of.items():
        lines = [line for line in concluded if line.startswith(beginning)]
        assert all((" in this run" in line.partition(": ")[0]) == oracle.once for line in lines)
        found = {name for line in lines for name in re.findall("|".join(NAMES), line.partition(": ")[2])}
        assert found == {name for name, verdict in judged.items() if verdict in verdicts_of}, beginning
    if judged and oracle.decidable():
        assert oracle.once == any("about these runs, not about the techniques" in line for line in concluded)
        assert oracle.once == any("all of this is about these runs" in line for line in summary)
    for line in [*concluded, *summary]:
        if line.startswith(("Best: ", "Best in this run: ")):
            assert re.search(r" in [\d.]+ (s|min|h)|took [\d.]+ (s|min|h)", line)
        recommending = ("Statistically tied", "Equivalent", "With the same score", "Not shown to")
        if line.startswith(recommending):
            listed = line.partition(": ")[2].partition(". ")[0]
            for name in re.findall("|".join(NAMES), listed):
                assert re.search(rf"{name} \((no trained weights|[\d,]+ parameters?) in [^)]+\)", listed), line


UNSHOWN = "not shown to beat the untuned model"


def _faster(one: Drawn, concluded: list[str]) -> None:
    spent = {row.label: row.train_seconds or 0 for row in one.comparison.rows}
    near = ("Equivalent to", "Statistically tied", "Not shown to differ")
    listed = [line.partition(": ")[2].partition(". ")[0] for line in concluded if line.startswith(near)]
    rivals = [name for names in listed for name in re.findall("|".join(NAMES), names)]
    for line in concluded:
        if "faster than" in line:
            best = line.rstrip(".").rpartition(" ")[2]
            assert all(spent[name] >= spent[best] for name in rivals)
            assert line.startswith("It") == (len(rivals) == 1)


@pytest.fixture(autouse=True)
def fewer_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "TRIALS", TRIALS)


@doses(300, 10_000)
def test_no_sentence_of_a_report_contradicts_another_one_or_the_numbers(dose: int) -> None:
    for case, rng in enumerate(draws(dose)):
        made = drawn(rng)
        try:
            hold(made)
        except AssertionError as error:
            lines = "\n".join(line for part in sentences(made) for line in part)
            raise AssertionError(f"case {case}:\n{lines}\n{error}") from error
