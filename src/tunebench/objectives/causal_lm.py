"""A response, written token by token after a prompt."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tunebench.examples import Example, PromptExample
from tunebench.objectives.base import IGNORED, Features, Objective


class CausalLm(Objective):
    """The next token of prompt, response and end-of-text; cross entropy over the response's, or over all (`loss_on`).

    End-of-text is told from padding by its place, never by its number: in GPT-2 both are the same token. A prompt and
    response that are too long lose the prompt's beginning first, down to half the limit, then the response's end.
    """

    name = "causal_lm"
    pooled = False

    loss_on: Literal["response", "all"] = "response"
    prompt: str = ""
    samples: int = 16
    max_new_tokens: int = 64

    @staticmethod
    def head(labels: Sequence[str]) -> dict[str, Any]:
        """The pretrained head stays."""
        return {}

    def encode(self, examples: Sequence[Example]) -> Features:
        """Token ids of prompt, response and end-of-text; the label is where the response begins."""
        rows, starts, cut = [], [], {"prompts": 0, "responses": 0}
        for prompt, response in zip(*self._ids(examples), strict=True):
            room = max(self.max_tokens // 2, self.max_tokens - len(response))
            kept = self._without_beginning(prompt, room)
            whole = kept + response
            cut["prompts"] += len(kept) < len(prompt)
            cut["responses"] += len(whole) > self.max_tokens
            ids = whole[: self.max_tokens]
            rows.append({"input_ids": ids, "attention_mask": [1] * len(ids)})
            starts.append(len(kept))
        return Features(rows, starts, {what: count for what, count in cut.items() if count})

    def collate_labels(self, features: Features, indices: Sequence[int], width: int) -> Tensor:
        """Token ids, (batch, tokens), ignored where the loss does not look; the model itself shifts them."""
        starts = [features.labels[index] if self.loss_on == "response" else 0 for index in indices]
        return _targets(features, indices, width, starts)

    def loss_terms(self, labels: Tensor) -> int:
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

    def decode(self, outputs: Tensor, features: Features, indices: Sequence[int]) -> tuple[list[Any], list[Any]]:
        """Summed negative log-likelihoods in nats, with how many tokens were counted: of the response, and of all."""
        sums = []
        for row, index in zip(outputs.double(), indices, strict=True):
            tokens, start = len(features.inputs[index]["input_ids"]), features.labels[index]
            sums.append({
                "response_nll": float(row[start - 1 : tokens - 1].sum()), "response_tokens": tokens - start,
                "nll": float(row[: tokens - 1].sum()), "tokens": tokens - 1,
            })  # fmt: skip
        return sums, [None] * len(indices)

    @staticmethod
    def references(examples: Sequence[Example], labels: Sequence[str]) -> list[Any]:
        """Responses."""
        return [example.response for example in examples if isinstance(example, PromptExample)]

    def prompts(self, examples: Sequence[Example], room: int) -> dict[str, Tensor]:
        """A batch to be continued: prompts of at most `room` tokens, padded on the left, (batch, tokens)."""
        ids = [self._without_beginning(prompt, room) for prompt in self._ids(examples)[0]]
        width = max(map(len, ids))
        batch = np.full((2, len(ids), width), self.tokenizer.pad_token_id, dtype=np.int64)
        batch[1] = 0
        for number, row in enumerate(ids):
            batch[0, number, width - len(row) :] = row
            batch[1, number, width - len(row) :] = 1
        return {"input_ids": torch.from_numpy(batch[0]), "attention_mask": torch.from_numpy(batch[1])}

    def text(self, ids: Sequence[int]) -> tuple[str, bool]:
        """Generated tokens as text up to end-of-text, and whether that came."""
        end = self.tokenizer.eos_token_id
        kept = list(itertools.takewhile(lambda token: token != end, ids))
        return str(self.tokenizer.decode(kept, skip_special_tokens=True)).strip(), end in ids

    def _ids(self, examples: Sequence[Example]) -> tuple[list[list[int]], list[list[int]]]:
        """Token ids of prompts, and of responses with end-of-text."""
        rows = [example for example in examples if isinstance(example, PromptExample)]
        assert len(rows) == len(examples), "this objective takes PromptExample"
        prompts = self.tokenizer([row.prompt for row in rows], verbose=False)["input_ids"]
        responses = self.tokenizer([row.response for row in rows], add_special_tokens=False, verbose=False)
        end = self.tokenizer.eos_token_id
        return prompts, [[*ids, end] for ids in responses["input_ids"]]  # type: ignore[return-value]

    def _without_beginning(self, ids: list[int], room: int) -> list[int]:
        """The last `room` tokens; a token that begins every text stays."""
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
