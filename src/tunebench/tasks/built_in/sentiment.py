"""Film reviews, for or against: IMDB, https://huggingface.co/datasets/stanfordnlp/imdb."""

from tunebench.tasks.base import HubData
from tunebench.tasks.problems.sequence_classification import SequenceClassificationTask

sentiment = SequenceClassificationTask(
    name="sentiment",
    title="Sentiment of film reviews",
    hub=HubData(id="stanfordnlp/imdb", files="plain_text/{split}-*.parquet"),
    folder="imdb",
    labels=("negative", "positive"),
    metrics=("accuracy", "macro_f1"),
    max_tokens=512,
    prompt="sentiment: {text}",
    max_new_tokens=10,
    beams=5,
    licence="none stated; research use",
    citation="Maas et al. 2011, Learning Word Vectors for Sentiment Analysis, https://aclanthology.org/P11-1015",
    caveats=(
        "The data set has no validation split: 10 % of train, drawn with seed 0, is used.",
        "123 test reviews also occur in train, with the same label.",
        "Reviews have up to 2,470 words: the end of a long one, which may contain the verdict, is truncated.",
    ),
)
