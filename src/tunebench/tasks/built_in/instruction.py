"""Instructions with answers: Alpaca, https://huggingface.co/datasets/tatsu-lab/alpaca."""

from tunebench.tasks.base import HubData
from tunebench.tasks.problems.causal_lm import CausalLmTask

instruction = CausalLmTask(
    name="instruction",
    title="Following instructions",
    hub=HubData(id="tatsu-lab/alpaca", files="data/{split}-*.parquet"),
    folder="alpaca",
    columns={"instruction": "instruction", "input": "input", "response": "output"},
    metrics=("perplexity", "perplexity_all"),
    max_tokens=256,
    licence="CC BY-NC 4.0",
    citation="Taori et al. 2023, Stanford Alpaca, https://github.com/tatsu-lab/stanford_alpaca",
    caveats=(
        "The data set has one split: validation and test are 10 % of it each, drawn with seed 0.",
        "The answers come from another language model (text-davinci-003), mistakes included.",
        "Perplexities depend on the tokenizer: compare techniques on one model, not models.",
    ),
)
