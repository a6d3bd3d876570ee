"""Span corruption, and questions made of the text's own sentences (after Lewis et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebench.zoo.pretraining.objectives.base import Part, Passage
from tunebench.zoo.pretraining.objectives.span_corruption import SpanCorruption, sentinels_and_end

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

ASKED = 0.5  # of the texts


class ClozeQuestions(SpanCorruption):
    """T5: half of the texts as in span corruption; before each of the others stands a question that it answers.

    The answer is a name, a number or a few words of some sentence, the question that sentence without them: words left
    out, its halves or neighbouring words exchanged, a question word in front (noisy cloze; Lewis et al. 2019, section
    2.3). `When William crossed the Channel? <extra_id_0> In 1066 William crossed the Channel. Harold met him. </s>`,
    target `<extra_id_0> 1066 </s>`. Where Lewis et al. have a tagger for names, this has rules for English.
    """

    name = "cloze_questions"
    title = "Span corruption and cloze questions"
    paper = "Raffel et al. 2020, arXiv:1910.10683; after Lewis et al. 2019, arXiv:1906.04980"
    shortest = 32

    def batch(
        self, texts: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """input_ids and labels of span corruption, question_input_ids and question_labels of the rest.

        (batch, tokens) each; question_labels end in -100 where an answer is shorter than the longest.
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        from tunebench.zoo.pretraining.objectives._questions import Pieces

        corrupted = len(texts) - int(ASKED * len(texts))
        batch = super().batch(texts[:corrupted], tokenizer, rng)
        length, pieces = batch["input_ids"].shape[1], Pieces.of(tokenizer)
        rows = [ask(text, length, rng, pieces, *sentinels_and_end(tokenizer)) for text in texts[corrupted:]]
        if rows:
            inputs, targets = ([torch.from_numpy(row) for row in side] for side in zip(*rows, strict=True))
            batch["question_input_ids"] = torch.stack(inputs)
            batch["question_labels"] = pad_sequence(targets, batch_first=True, padding_value=-100)
        return batch

    def loss(self, model: Any, batch: dict[str, Tensor]) -> dict[str, Part]:
        """Spans to guess, and answers to find."""
        parts = super().loss(model, batch)
        if "question_labels" in batch:
            parts["answers"] = self.spans(model, batch["question_input_ids"], batch["question_labels"])
        return parts


def ask(
    text: Passage, length: int, rng: np.random.Generator, pieces: Any, first_sentinel: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """The encoder's input of `length` tokens, and the decoder's target."""
    from tunebench.zoo.pretraining.objectives._questions import question

    room = length // 5
    asked, answer = question(text.tokens[: length - 2 - room], text.ends, rng, pieces)
    source = np.concatenate([asked[: room - 1], pieces.mark, [first_sentinel], text.tokens])[: length - 1]
    return np.append(source, end), np.concatenate([[first_sentinel], answer[: length // 10], [end]])
