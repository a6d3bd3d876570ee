"""Text to text: an encoder reads the source, a decoder generates the answer."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tunebench._util.errors import UserError
from tunebench._util.words import plural
from tunebench.objectives import _writing
from tunebench.objectives.base import IGNORED, Features, Objective
from tunebench.tasks.examples import Example
from tunebench.tasks.written import BLANK


class TextToText(Objective):
    """Cross entropy over the target's tokens and end-of-text (Raffel et al. 2020, section 2.4).

    Classes are posed as their names or as their verbalizer's words, scores as numbers rounded to fifths. Such an answer
    is either ranked, where the source is encoded once and each label scored by one decoder pass, or generated and
    compared with the labels. A prompt with a gap (`<extra_id_0>`) is answered after that sentinel, as in pretraining.
    """

    name = "text_to_text"
    pipeline = "text-generation"
    pooled = False

    prompt: str = ""
    verbalizer: Mapping[str, str] = {}
    target_tokens: int = 64
    samples: int = 16
    max_new_tokens: int = 64
    beams: int = 1
    answer: Literal["rank", "generate"] = "rank"

    @staticmethod
    def head(labels: Sequence[str]) -> dict[str, Any]:
        """The pretrained head is used."""
        return {}

    @property
    def closed(self) -> bool:  # type: ignore[override]
        """Whether the task has a closed set of answers."""
        return self.task.closed

    @property
    def ranks(self) -> bool:  # type: ignore[override]
        """Whether the likelihoods of all answers are compared: they are few, and `answer` is `rank`."""
        return bool(self._ranked) and self.answer == "rank"

    @property
    def new_tokens(self) -> int:
        """The largest number of tokens of an answer; the sentinel of a gap comes on top."""
        return self.max_new_tokens + (BLANK in self.prompt)

    @property
    def writes(self) -> bool:  # type: ignore[override]
        """Answers that are not ranked are generated."""
        return not self.ranks

    def encode(self, examples: Sequence[Example]) -> Features:
        """Sources to token ids, cut at their end; labels are the targets' ids.

        Raises:
            UserError: scores are ranked, and one lies outside their scale; or a prompt's gap is cut off with the end
                of its text.
        """
        if self.ranks:
            self.task.check_ranked(examples)
        sources = [self.task.prompt_of(example) for example in examples]
        return self.encode_texts(sources, [self.task.target_of(example, self.labels) for example in examples])

    def encode_texts(self, sources: Sequence[str], answers: Sequence[str]) -> Features:
        """Like `encode`, from sources and targets as texts."""
        encoded = self._tokenize(list(sources))
        full = [text for text, ids in zip(sources, encoded["input_ids"], strict=True) if len(ids) >= self.max_tokens]
        cut = {"sources": self._count_cut(full) if full else 0}
        targets = self._targets(answers)
        self._gaps_stand(encoded["input_ids"])
        cut["targets"] = sum(len(ids) > self.target_tokens for ids in targets)
        kept = [ids[: self.target_tokens] for ids in targets]
        return Features(self.rows_of(encoded), kept, {what: count for what, count in cut.items() if count})

    def _gaps_stand(self, sources: Sequence[Sequence[int]]) -> None:
        gap = self.tokenizer.convert_tokens_to_ids(BLANK)
        lost = sum(gap not in ids for ids in sources) if BLANK in self.prompt else 0
        if lost:
            raise UserError(
                f"prompt: {lost:,} of {plural(len(sources), 'text')} {'is' if lost == 1 else 'are'} truncated at "
                f"max_tokens ({self.max_tokens}), before the gap {BLANK}. Put the gap before the long field, or raise "
                "max_tokens."
            )

    @functools.cached_property
    def _ranked(self) -> tuple[str, ...]:
        return self.task.ranked(self.labels)

    def _targets(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with end-of-text, uncut; after the gap's sentinel, where the prompt has a gap."""
        if BLANK in self.prompt:
            if BLANK not in self.tokenizer.get_vocab():
                raise UserError(f"prompt: the model's tokenizer has no {BLANK}. Write a prompt without a gap.")
            texts = [f"{BLANK} {text}" for text in texts]
        return self.tokenizer(text_target=list(texts), verbose=False)["input_ids"]  # type: ignore[return-value]

    def collate_labels(self, features: Features, indices: Sequence[int], width: int) -> Tensor:
        """Token ids of the targets, (batch, longest target), padded with -100."""
        rows = [features.labels[index] for index in indices]
        padded = np.full((len(rows), max(map(len, rows))), IGNORED, dtype=np.int64)
        for row, ids in zip(padded, rows, strict=True):
            row[: len(ids)] = ids
        return torch.from_numpy(padded)

    def outputs(self, network: Any, batch: dict[str, Tensor], features: Features, indices: Sequence[int]) -> Tensor:
        """Log-likelihoods of all labels, (batch, labels), or generated token ids, (batch, max_new_tokens)."""
        if self.ranks:
            return _writing.likelihoods(network, batch, self._targets(self._ranked))
        ids = _writing.write(network, batch, self.tokenizer, self.new_tokens, self.beams)
        return _writing.widened(ids[:, 1:], self.new_tokens, int(self.tokenizer.pad_token_id))  # type: ignore[arg-type]

    def decode(self, outputs: Tensor, features: Features, indices: Sequence[int]) -> tuple[list[Any], list[Any]]:
        """Answers in task space, with every label's probability or the generated text."""
        if self.ranks:
            best = [self._ranked[index] for index in outputs.argmax(-1).tolist()]
            answers = [self.task.answer_of(text, self.labels) for text in best]
            return answers, outputs.double().softmax(-1).tolist() if self.labels else [None] * len(best)
        written = [_writing.text_of(row, self.tokenizer) for row in outputs.tolist()]
        details = [{"text": text, "ended": ended} for text, ended in written]
        return [self.task.answer_of(text, self.labels) for text, _ in written], details
