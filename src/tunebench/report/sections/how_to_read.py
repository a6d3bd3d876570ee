"""What the figures of a report mean, in the words of the page."""

from tunebench.report.read.costs import TARGET
from tunebench.report.stats.verdicts import NEAR

READING = (
    "Values are of the test split unless said otherwise; the best epoch was chosen on validation. Where a data set "
    "has no test labels of its own, the notes below its table say what stands in for them.",
    "One seed: the value with its 95 % bootstrap interval over examples, which holds the chance of the examples drawn, "
    "not that of the seed.",
    "Several seeds: the mean over the seeds that ended, with the lowest and the highest seed (low..high).",
    "Techniques are compared in pairs on the same test examples, by approximate randomisation with 10,000 trials; "
    "p-values are corrected for the number of pairs (Holm). Techniques that share a letter are not told apart at 0.05. "
    f"Close: told apart from the best, by at most {NEAR:g} (perplexity: {NEAR:.0%}). Fails: trained, and no better "
    "than the untuned model. Seeds are averaged: this is the chance of the examples, not of the seeds.",
    "An undefined value is shown as undefined, and a mean with an undefined member is undefined.",
    "Trainable parameters are counted once each, the head included.",
    "Peak memory is that of the whole worker process: libraries, data, and what it kept of the runs that it made "
    "before (compiled kernels, mostly). So it grows along a study, and compares techniques roughly.",
    "Prefix: computing frozen layers once. Train: training. Whole run: these, evaluation, loading and saving. With "
    "several seeds, seconds are means; memory and saved bytes are the largest.",
    f"To target: seconds of tuning and validating until an epoch reaches {100 * TARGET:g} % of the best technique's "
    "validation score. Latency: one answer to one test text of median length, alone in its batch, as trained and "
    "with the technique merged into the weights. Pareto front: the costs at which no other technique is both cheaper "
    "and better (figures as they are; chance is not considered).",
    "Curves: one line a run, a ring at the best epoch, a dotted level for what has no epochs. Quality against cost: "
    "bars are intervals (several seeds: from the lowest end to the highest), a dotted level is what costs nothing, the "
    "stepped line is the Pareto front. "
    "Click on a name in a legend to single it out; with Shift, the wheel zooms and dragging moves; a double click "
    "resets.",
    "Test examples on which techniques differ: those whose scores, each example's own main metric, spread most over "
    "the techniques, the untuned model left out; the first seed that all have.",
    "Answers: greedy takes the likeliest token each time, sampled draws among the likeliest that hold 90 % of the "
    "probability, with the run's seed. The same test prompts for all techniques; the first seed of each is shown.",
    "Early stopping ends runs at different epochs, so seconds are the time to the end, not the price of equal work.",
)
