"""How alike are two sentences, 0 to 5: STS-B, https://huggingface.co/datasets/nyu-mll/glue (config `stsb`)."""

from tunebench.tasks.base import HubData
from tunebench.tasks.problems.regression import RegressionTask

similarity = RegressionTask(
    name="similarity",
    title="Sentence similarity",
    hub=HubData(id="nyu-mll/glue", files="stsb/{split}-*.parquet"),
    folder="stsb",
    columns={"text": "sentence1", "pair": "sentence2", "label": "label"},
    hidden_label=-1,
    metrics=("pearson", "spearman"),
    max_tokens=128,
    prompt="stsb sentence1: {text}\nsentence2: {pair}",
    max_new_tokens=10,
    beams=5,
    licence="scores CC BY-SA 4.0; each text source keeps its own licence",
    citation="Cer et al. 2017, SemEval-2017 Task 1, https://aclanthology.org/S17-2001",
    caveats=(
        "GLUE withholds the test scores (-1): then the official validation split is the test split, and 10 % of train, "
        "drawn with seed 0, are the validation split. A test split with scores under the data root is used unchanged.",
    ),
)
