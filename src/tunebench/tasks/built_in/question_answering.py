"""Questions about paragraphs of Wikipedia: SQuAD 1.1, https://huggingface.co/datasets/rajpurkar/squad."""

from tunebench.tasks.base import HubData
from tunebench.tasks.problems.question_answering import QuestionAnsweringTask

question_answering = QuestionAnsweringTask(
    name="question_answering",
    title="Question answering",
    hub=HubData(id="rajpurkar/squad", files="plain_text/{split}-*.parquet"),
    folder="squad",
    metrics=("token_f1", "exact_match"),
    max_tokens=512,
    target_tokens=64,
    max_new_tokens=32,
    beams=4,
    cue="\nanswer:",
    licence="CC BY-SA 4.0",
    citation="Rajpurkar et al. 2016, SQuAD, https://aclanthology.org/D16-1264",
    caveats=(
        "The official test set is hidden: the official development set is the test split, validation is 10 % of train.",
        "Validation questions share paragraphs with training questions, test questions do not.",
        "Training uses the first answer; a test answer is scored against the closest of all reference answers.",
    ),
)
