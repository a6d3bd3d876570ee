"""How to read the figures of a report."""

from tunebench.evaluation.metrics import METRICS, Metric
from tunebench.report import text
from tunebench.report.blocks import Section, items
from tunebench.report.charts import pictures
from tunebench.report.read.comparisons import Comparison
from tunebench.report.read.costs import NOISE, TARGET
from tunebench.report.sections.base import Whole

READING = (
    "Values are test scores of the epoch with the best validation score. If a data set has no labelled test split, the "
    "notes below its table say what replaces it.",
    "One seed: the value with its 95 % interval over test examples, or over groups of them that depend on each other "
    "(questions about one context; rows with the same `group`). The interval covers the sampling of examples, not the "
    "variation between seeds.",
    "Several seeds: the mean over completed seeds. The main metric of a tested technique has the 95 % interval [low, "
    "high] of its expected score over seeds and test examples; other metrics have the lowest and the highest seed "
    "(low..high).",
    "Settings: of rows of one technique and training that differ in settings, the one with the best validation mean "
    "speaks for the technique. The others stand below it and are neither ranked nor tested, because the one with the "
    "best test score would be favoured by luck. 'tunebench report OUT --each-setting' ranks and tests them all.",
    "Significance: each technique is compared with the best one and with the untuned model, on the same test examples. "
    "With several seeds a test covers the variation between seeds and between examples (a t test, and approximate "
    "randomisation; the larger p counts): it is about the techniques. With one seed it covers examples alone: it is "
    "about these runs, and the tables say so. P-values and intervals are corrected: for the choice of the best by "
    "the same scores (Tukey, Games and Howell), and for the number of comparisons with the untuned model (Bonferroni). "
    "Differences with a corrected p below 0.05 are significant.",
    "Verdicts follow from the interval of the difference from the best, and a margin of differences that do not matter "
    "('--margin', 0.01 unless changed; of a perplexity this share of the best). Best: the best mean. Equivalent: the "
    "interval lies within the margin. Statistically tied: not significant, which does not show that the difference is "
    "zero. Clearly worse: the interval lies beyond the margin. Worse: significant. A technique that trained is first "
    "compared with the untuned model: without a significant difference it is not shown to beat it, and is never called "
    "the best. With too few test examples no difference can be significant, and no verdict is possible. With '--pairs' "
    "all pairs are tested; techniques that share a group letter do not differ significantly.",
    "A card recommends the cheapest technique that its rule allows. A technique is compared with the best one, and the "
    "best one with that which trains the most parameters, or with the next one.",
    "Techniques with different seeds are ranked and tested on the seeds that all of them have; the tables show the "
    "mean over all seeds of each.",
    "An undefined value is shown as undefined. A mean that includes an undefined value is undefined.",
    "Trainable parameters include the head; each is counted once.",
    "Peak memory is that of the worker process: libraries, data and model. What earlier runs of the process left "
    "behind is subtracted.",
    "Trunk: what computing the frozen lower stages of the training texts takes, whichever run did it. Train: training. "
    "Tuning: both. Whole run: tuning, evaluation (with the trunk of the validation texts), the trunk of the test "
    "texts, loading and saving. With several seeds, times are means; memory and saved bytes are maxima.",
    "Unequal load: beside the runs of a table different numbers of other workers were active, or the runs waited for a "
    "core for different shares of their time. Techniques are then compared by the CPU seconds of tuning, or by steps "
    "that 'tunebench time' has timed side by side.",
    f"To target: seconds of training and validation until an epoch reaches {100 * TARGET:g} % of the best validation "
    "score of all techniques. Latency: time to answer one test text of median length, alone in its batch, as trained "
    "and with the technique merged into the weights. Pareto front: the costs for which no other technique is both "
    "cheaper and better (significance is not considered). Memory that differs by at most "
    f"{100 * NOISE:g} % counts as equal, and so do times within the spread over seeds or rounds.",
    "Learning curves: one line per run. A ring marks the best epoch; a dotted line marks a technique without epochs. "
    "Quality against cost: bars are 95 % intervals, small rings are seeds, and ★ with a large ring is recommended. A "
    "dashed line is the score of the untuned model, of a technique without a backbone, or of one at no cost or below; "
    "the stepped line is the Pareto front. Click a name in a legend to highlight it. In learning curves hold Shift to "
    "zoom with the wheel or to drag; double-click to reset.",
    "Test examples on which techniques differ: those whose scores (the main metric of one example) vary most between "
    "techniques. The untuned model is excluded; the first seed that all techniques share is shown.",
    "Generated answers: greedy takes the most likely token at each step; sampled draws from the most likely tokens "
    "that together hold 90 % of the probability, with the run's seed. All techniques get the same test prompts; the "
    "first seed of each is shown.",
    "Early stopping ends runs after different numbers of epochs. Times are therefore times to completion, not the cost "
    "of equal work.",
)

_INTERVALS = {
    "fraction": "Wilson's, for the effective number of examples by the jackknife",
    "correlation": "on Fisher's z, with the jackknife's standard error",
    "positive": "on the logarithm, with the jackknife's standard error",
    None: "BCa bootstrap",
}

PRICE = (
    "Price: the wall-clock hours of tuning (trunk and training) times the price of the machine per hour, in that "
    "price's currency. Validation, test and the machine's idle time are not in it."
)
ASKED_FOR = {
    "energy_kwh": "Energy: what the process of a run consumed until its test split was answered, by CodeCarbon. It is "
    "measured where the machine has sensors that may be read (RAPL, NVIDIA). Elsewhere CodeCarbon estimates it from "
    "the processor's nominal power (TDP), the process's share of it, and the size of the memory. A trunk that another "
    "run computed is not counted.",
    "forgetting_nats": "Forgetting: how much worse the tuned model, as it answers, models general text than the "
    "untuned one: the difference of their losses on 200 passages that tunebench ships, in nats per token, under the "
    "checkpoint's own language-modelling head. 0: nothing is forgotten; below 0: it models the text better.",
    "feature_drift": "Feature drift, where the checkpoint has no language-modelling head: the squared distance of the "
    "tuned model's vectors of the same passages from the untuned ones, relative to the variance of those. 0: "
    "unchanged; 1: as far away as one vector for all passages would be.",
}
"""What a study's `measure` adds to the costs, by its field in the records."""

EARLIER = (
    "Some results are of an earlier version: their intervals are percentile bootstrap intervals over single examples, "
    "which are too short near 100 %. `tunebench report OUT --rescore` computes them again."
)


def sections(whole: Whole) -> list[Section]:
    """Sentences that hold for every study, then the metrics of this one."""
    names = dict.fromkeys(name for comparison in whole.comparisons for name in comparison.metrics)
    lines = [
        *READING,
        *([_undrawn(whole.undrawn)] if whole.undrawn else []),
        *(_metric(METRICS[name]) for name in names if name in METRICS),
        *([PRICE] if any(comparison.price_per_hour is not None for comparison in whole.comparisons) else []),
        *(line for name, line in ASKED_FOR.items() if any(_has(comparison, name) for comparison in whole.comparisons)),
        *([EARLIER] if any(_of_earlier_versions(comparison) for comparison in whole.comparisons) else []),
    ]
    return [Section("reading", "How to read the figures", (items(lines, "fine"),))]


def _metric(metric: Metric) -> str:
    better = "higher" if metric.higher_is_better else "lower"
    return f"{metric.title}: {metric.unit}, {better} is better; {metric.source}. Interval: {_INTERVALS[metric.scale]}."


def _of_earlier_versions(comparison: Comparison) -> bool:
    """Whether some result does not say how its intervals were computed."""
    return any(not result.interval_methods for row in comparison.rows for result in row.done)


def _has(comparison: Comparison, cost: str) -> bool:
    """Whether some run measured it."""
    return any(getattr(result.cost, cost) is not None for row in comparison.rows for result in row.done)


def _undrawn(count: int) -> str:
    return (
        f"Only the first {pictures.MOST} charts are also drawn as pictures, to keep reports of large studies fast: "
        f"{text.plural(count, 'chart')} of report.html cannot be printed or exported as a file."
    )
