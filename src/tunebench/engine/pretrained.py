"""A pretrained model that stays as it is, asked for vectors of texts and likelihoods of answers."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tunebench._util.errors import UserError
from tunebench.engine.batching import plan_evaluation
from tunebench.families.base import Family, Pooling, mean_of
from tunebench.objectives._writing import likelihoods


class Pretrained:
    """A checkpoint in float32; its weights are read at the first question, and its answers depend on no seed.

    Args:
        family: the checkpoint's.
        folder: of its files.
        pooling: how the vector of a text is made.
        max_tokens: longer texts are truncated.
        batch_tokens: padded tokens per batch.
        device: where it computes.

    Attributes:
        truncated: the texts that were longer.
    """

    def __init__(
        self, family: Family, folder: Path, pooling: Pooling, max_tokens: int, batch_tokens: int, device: torch.device
    ):
        self._family, self._folder = family, folder
        self._pooling: Pooling = pooling
        self.max_tokens, self._batch_tokens, self._device = max_tokens, batch_tokens, device
        self.truncated: set[str] = set()

    @cached_property
    def parameters(self) -> int:
        """How many numbers the parts hold that were asked, each tensor once."""
        asked = [self.__dict__[name] for name in ("_encoder", "_writer") if name in self.__dict__]
        return sum({id(p): p.numel() for module in asked for p in module.parameters()}.values())

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """A vector of length 1 for each text, (texts, hidden); zeros for a text without tokens."""
        different = list(dict.fromkeys(texts))
        rows = self._tokenized(different, self.max_tokens)
        vectors = np.zeros((len(different), self._encoder.config.hidden_size), dtype=np.float32)
        for indices, batch in self._batches(rows):
            with torch.inference_mode():
                states = self._encoder(**batch).last_hidden_state
                pooled = _pooled(states, batch["attention_mask"], self._pooling)
            vectors[indices] = functional.normalize(pooled.float(), dim=1).cpu().numpy()
        place = {text: number for number, text in enumerate(different)}
        return vectors[[place[text] for text in texts]]

    def likelihoods(self, prompts: Sequence[str], answers: Sequence[str], cue: str) -> np.ndarray:
        """Log-likelihood of each answer after each prompt, (prompts, answers).

        Args:
            prompts: texts that the model reads; truncated where they are too long.
            answers: what may follow.
            cue: stands between prompt and answer where one stack reads both; it counts for all answers alike.

        Raises:
            UserError: the answers leave no room for a prompt.
        """
        continued = self._family.architecture == "decoder"
        words = [f"{cue} {answer}" for answer in answers] if continued else list(answers)
        options = {"add_special_tokens": False} if continued else {}
        targets = [list(ids) for ids in self._tokenizer(words, **options)["input_ids"]]
        room = self.max_tokens - max(map(len, targets)) if continued else self.max_tokens
        if room < 1:
            raise UserError(
                f"the longest label has {self.max_tokens - room} tokens with its cue, which leaves no room for a text: "
                f"max_tokens is {self.max_tokens}. Raise it, or give the labels shorter words (verbalizer)."
            )
        rows = self._tokenized(prompts, room)
        scores = np.zeros((len(prompts), len(answers)), dtype=np.float32)
        if continued:
            rows = [row if row["input_ids"] else {"input_ids": [self._beginning]} for row in rows]
            for number, ids in enumerate(targets):
                scores[:, number] = self._continued(rows, ids)
            return scores
        for indices, batch in self._batches(rows):
            with torch.inference_mode():
                scores[indices] = likelihoods(self._writer, batch, targets).cpu().numpy()
        return scores

    def _continued(self, prompts: list[dict[str, list[int]]], ids: list[int]) -> np.ndarray:
        """Log-likelihood of these tokens after each prompt; logits are computed at their places only."""
        rows = [{"input_ids": row["input_ids"] + ids} for row in prompts]
        ends = [len(row["input_ids"]) for row in rows]
        scores = np.zeros(len(rows), dtype=np.float32)
        target = torch.tensor(ids, device=self._device)
        for indices, batch in self._batches(rows):
            first = torch.tensor([ends[index] - len(ids) - 1 for index in indices], device=self._device)
            places = first[:, None] + torch.arange(len(ids), device=self._device)
            with torch.inference_mode():
                states = self._writer.base_model(**batch).last_hidden_state
                gathered = states[torch.arange(len(states), device=self._device)[:, None], places]
                logits = self._writer.get_output_embeddings()(gathered)
                loss = functional.cross_entropy(logits.float().mT, target.expand(len(states), -1), reduction="none")
            scores[indices] = -loss.sum(1).cpu().numpy()
        return scores

    def _tokenized(self, texts: Sequence[str], limit: int) -> list[dict[str, list[int]]]:
        encoded = self._tokenizer(list(texts), truncation=True, max_length=limit, return_attention_mask=True)
        rows = [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]
        full = [text for text, row in zip(texts, rows, strict=True) if len(row["input_ids"]) >= limit]
        if full:  # only an input that fills the limit can have been cut
            whole = self._tokenizer(full, truncation=False, verbose=False)["input_ids"]
            self.truncated |= {text for text, ids in zip(full, whole, strict=True) if len(ids) > limit}
        return rows

    def _batches(self, rows: list[dict[str, list[int]]]) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """Batches of similar lengths, padded on the right, with the places of their rows; empty rows are left out."""
        kept = [index for index, row in enumerate(rows) if row["input_ids"]]
        for plan in plan_evaluation([len(rows[index]["input_ids"]) for index in kept], self._batch_tokens):
            indices = [kept[number] for number in plan]
            batch = self._tokenizer.pad(
                [rows[index] for index in indices], padding=True, padding_side="right", return_tensors="pt"
            )
            yield indices, {name: tensor.to(self._device) for name, tensor in batch.items()}

    @cached_property
    def _tokenizer(self) -> Any:
        return self._family.tokenizer(self._folder)

    @property
    def _beginning(self) -> int:
        """What stands before the first word of a text of its own."""
        start = self._tokenizer.bos_token_id
        return self._tokenizer.eos_token_id if start is None else start

    @cached_property
    def _encoder(self) -> Any:
        """What reads a text and gives states: under a head of tags no token's state is moved to another's place."""
        known = self._family.auto_classes
        model = self._loaded("token_classification" if "token_classification" in known else next(iter(known)))
        return self._family.entrances(model)[0][0]

    @cached_property
    def _writer(self) -> Any:
        """The model with its language-modelling head."""
        return self._loaded("causal_lm" if "causal_lm" in self._family.auto_classes else "text_to_text")

    def _loaded(self, objective: str) -> Any:
        model: Any = self._family.load(self._folder, objective, {})
        return model.to(self._device).eval()


def _pooled(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    if pooling == "mean":
        return mean_of(states, mask)
    last = mask.sum(1) - 1
    return states[:, 0] if pooling == "first" else states[torch.arange(len(states), device=states.device), last]
