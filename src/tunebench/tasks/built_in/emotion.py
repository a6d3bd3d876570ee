"""Six emotions in short English messages: https://huggingface.co/datasets/dair-ai/emotion (config `split`)."""

from tunebench.tasks.base import HubData
from tunebench.tasks.problems.sequence_classification import SequenceClassificationTask

emotion = SequenceClassificationTask(
    name="emotion",
    title="Emotion classification",
    hub=HubData(id="dair-ai/emotion", files="split/{split}-*.parquet"),
    folder="emotion",
    labels=("sadness", "joy", "love", "anger", "fear", "surprise"),
    metrics=("weighted_f1", "accuracy", "macro_f1"),
    max_tokens=128,
    prompt="emotion: {text}",
    max_new_tokens=10,
    beams=5,
    licence="educational and research use only",
    citation="Saravia et al. 2018, CARER, https://aclanthology.org/D18-1404",
    caveats=(
        "Not balanced: joy 33.5 %, surprise 3.6 % of train.",
        "30 training texts carry two different labels, and 11 test texts occur in train with another label: "
        "no method can reach 100 %.",
    ),
)
