"""A response generated token by token after a prompt."""

import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tunebench.objectives import _writing
from tunebench.objectives.base import IGNORED, Features, Objective
from tunebench.tasks.examples import Example


class CausalLm(Objective):
    """Next-token prediction on prompt, response and end-of-text; cross entropy on the response, or on all (`loss_on`).

    End-of-text and padding differ by position, never by id: in GPT-2 both are the same token. A prompt and response
    that are too long lose the prompt's beginning first, down to half the limit, then the response's end; a prompt with
    a cue loses what precedes the cue. Where the task asks for texts, predictions are generated.
    """

    name = "causal_lm"
    pipeline = "text-generation"
    pooled = False

    loss_on: Literal["response", "all"] = "response"
    prompt: str = ""
    cue: str = ""
    samples: int = 16
    max_new_tokens: int = 64
    beams: int = 1

    @property
    def writes(self) -> bool:  # type: ignore[override]
        """Predictions are texts for every task but language modelling."""
        return self.task.objective != self.name

    @staticmethod
    def head(labels: Sequence[str]) -> dict[str, Any]:
        """The pretrained head is used."""
        return {}

    def encode(self, examples: Sequence[Example]) -> Features:
        """Token ids of prompt, response and end-of-text; the label is where the response begins."""
        prompts = [self.task.prompt_of(example) for example in examples]
        return self.encode_texts(prompts, [self.task.target_of(example, self.labels) for example in examples])

    def encode_texts(self, asked: Sequence[str], answers: Sequence[str]) -> Features:
        """Like `encode`, from prompts and responses as texts."""
        rows, starts, cut = [], [], {"prompts": 0, "responses": 0}
        prompts, responses = self._ids(asked, answers)
        for prompt, response in zip(prompts, responses, strict=True):
            room = max(self.max_tokens // 2, self.max_tokens - len(response))
            kept = self._fitted(prompt, room)
            whole = kept + response
            cut["prompts"] += len(kept) < len(prompt) + len(self._cue)
            cut["responses"] += len(whole) > self.max_tokens
            ids = whole[: self.max_tokens]
            rows.append({"input_ids": ids, "attention_mask": [1] * len(ids)})
            starts.append(len(kept))
        return Features(rows, starts, {what: count for what, count in cut.items() if count}, prompts=prompts)

    @property
    def reads_prompts(self) -> bool:  # type: ignore[override]
        """The whole model continues a prompt."""
        return self.writes

    def collate_labels(self, features: Features, indices: Sequence[int], width: int) -> Tensor:
        """Token ids, (batch, tokens), -100 where the loss ignores them; the model itself shifts them."""
        starts = [features.labels[index] if self.loss_on == "response" else 0 for index in indices]
        return _targets(features, indices, width, starts)

    def loss_terms(self, labels: Tensor) -> float:
        """Labels that have a token before them."""
        return super().loss_terms(labels[:, 1:])

    def reduce(self, logits: Tensor, features: Features, indices: Sequence[int]) -> Tensor:
        """Negative log-likelihood of every real token but the first, in nats, (batch, tokens - 1); 0 at padding."""
        targets = _targets(features, indices, logits.shape[1], [0] * len(indices)).to(logits.device)
        # One text at a time: the logits of a batch in float32, and their softmax, would take gigabytes.
        rows = [
            functional.cross_entropy(row[:-1].float(), target[1:], ignore_index=IGNORED, reduction="none")
            for row, target in zip(logits, targets, strict=True)
        ]
        return torch.stack(rows)

    def outputs(self, network: Any, batch: dict[str, Tensor], features: Features, indices: Sequence[int]) -> Tensor:
        """The negative log-likelihoods of `reduce`, or generated token ids, (batch, new_tokens)."""
        if not self.writes:
            return super().outputs(network, batch, features, indices)
        prompts = self.prompts(features, indices)
        ids = _writing.write(
            network,
            {name: x.to(network.device) for name, x in prompts.items()},
            self.tokenizer,
            self.new_tokens,
            self.beams,
        )
        width = prompts["input_ids"].shape[1]
        return _writing.widened(ids[:, width:], self.new_tokens, int(self.tokenizer.pad_token_id))  # type: ignore[arg-type]

    @property
    def new_tokens(self) -> int:
        """The largest number of tokens of an answer: the task's limit, at most half the limit of a text."""
        return min(self.max_new_tokens, self.max_tokens // 2)

    def decode(self, outputs: Tensor, features: Features, indices: Sequence[int]) -> tuple[list[Any], list[Any]]:
        """Summed negative log-likelihoods in nats with their token counts, or texts."""
        if self.writes:
            written = [_writing.text_of(row, self.tokenizer) for row in outputs.tolist()]
            return [text for text, _ in written], [{"text": text, "ended": ended} for text, ended in written]
        sums = []
        for row, index in zip(outputs.double(), indices, strict=True):
            tokens, start = len(features.inputs[index]["input_ids"]), features.labels[index]
            sums.append(
                {
                    "response_nll": float(row[start - 1 : tokens - 1].sum()),
                    "response_tokens": tokens - start,
                    "nll": float(row[: tokens - 1].sum()),
                    "tokens": tokens - 1,
                }
            )
        return sums, [None] * len(indices)

    def prompts(self, features: Features, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch to continue: prompts cut to leave room for the answer, padded on the left, (batch, tokens)."""
        ids = [self._fitted(features.prompts[index], self.max_tokens - self.new_tokens) for index in indices]
        width = max(map(len, ids))
        batch = np.full((2, len(ids), width), self.tokenizer.pad_token_id, dtype=np.int64)
        batch[1] = 0
        for number, row in enumerate(ids):
            batch[0, number, width - len(row) :] = row
            batch[1, number, width - len(row) :] = 1
        return {"input_ids": torch.from_numpy(batch[0]), "attention_mask": torch.from_numpy(batch[1])}

    def _ids(self, asked: Sequence[str], answers: Sequence[str]) -> tuple[list[list[int]], list[list[int]]]:
        """Token ids of prompts, without the cue, and of responses with end-of-text."""
        prompts = self.tokenizer(list(asked), verbose=False)["input_ids"]
        responses = self.tokenizer(list(answers), add_special_tokens=False, verbose=False)["input_ids"]
        end = self.tokenizer.eos_token_id
        return prompts, [[*ids, end] for ids in responses]  # type: ignore[return-value, arg-type]

    @functools.cached_property
    def _cue(self) -> list[int]:
        return self.tokenizer(self.cue, add_special_tokens=False)["input_ids"] if self.cue else []  # type: ignore[return-value]

    def _fitted(self, ids: list[int], room: int) -> list[int]:
        """A prompt cut to `room` tokens: at its end if a cue follows, which is kept, else at its beginning.

        The token that begins every text is kept.
        """
        if self._cue:
            return ids[: max(0, room - len(self._cue))] + self._cue
        if len(ids) <= room:
            return ids
        first = ids[:1] if ids[0] == self.tokenizer.bos_token_id else []
        return first + ids[len(ids) - room + len(first) :]


def _targets(features: Features, indices: Sequence[int], width: int, starts: Sequence[int]) -> Tensor:
    padded = np.full((len(indices), width), IGNORED, dtype=np.int64)
    for row, index, start in zip(padded, indices, starts, strict=True):
        ids = features.inputs[index]["input_ids"]
        row[start : len(ids)] = ids[start:]
    return torch.from_numpy(padded)
