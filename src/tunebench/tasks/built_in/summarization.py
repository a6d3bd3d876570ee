"""News articles with highlights: CNN/DailyMail, https://huggingface.co/datasets/abisee/cnn_dailymail (3.0.0)."""

from tunebench.tasks.base import HubData
from tunebench.tasks.problems.text_to_text import TextToTextTask

summarization = TextToTextTask(
    name="summarization",
    title="Summarization of news",
    hub=HubData(id="abisee/cnn_dailymail", files="3.0.0/{split}-*.parquet"),
    folder="cnn_dailymail",
    columns={"source": "article", "target": "highlights"},
    metrics=("rouge_1", "rouge_2", "rouge_l", "rouge_lsum"),
    max_tokens=512,
    target_tokens=128,
    max_new_tokens=128,
    beams=4,
    prompt="summarize: {source}",
    cue="\nSummary:",
    licence="Apache-2.0 for the compilation; articles are copyright CNN and Daily Mail",
    citation="See et al. 2017, Get To The Point, https://aclanthology.org/P17-1099",
    caveats=(
        "The highlights were written as teasers, so the first three sentences of an article are hard to beat.",
        "ROUGE-L is computed over the whole text, ROUGE-Lsum over its sentences; 'ROUGE-L' in papers is the latter.",
    ),
)
