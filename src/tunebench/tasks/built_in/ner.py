"""Named entities in Reuters news: CoNLL-2003, https://huggingface.co/datasets/eriktks/conll2003 in IOB2."""

from tunebench.tasks.base import HubData
from tunebench.tasks.problems.token_classification import TokenClassificationTask

ner = TokenClassificationTask(
    name="ner",
    title="Named-entity recognition",
    # The data set's own revision is a loading script, which datasets 4 no longer runs; this is the hub's conversion.
    hub=HubData(id="eriktks/conll2003", revision="refs/convert/parquet", files="conll2003/{split}/*.parquet"),
    folder="conll2003",
    columns={"tokens": "tokens", "label": "ner_tags"},
    labels=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"),
    max_tokens=256,
    label_subwords="all",
    licence="Reuters news text, research use only under the Reuters/NIST agreement",
    citation="Tjong Kim Sang and De Meulder 2003, https://aclanthology.org/W03-0419",
    caveats=(
        "All sub-words of a word carry its label in the loss (`label_subwords`), as in the published BERT cell; the "
        "score uses the first sub-word, and a truncated word counts as predicted O.",
        "193 validation and 126 test sentences, short score and date lines, occur in train.",
        "Sentence level: published figures that use the surrounding document are higher.",
    ),
)
