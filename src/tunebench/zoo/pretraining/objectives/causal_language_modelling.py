"""Causal language modelling (Radford et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebench.zoo.pretraining.objectives.base import Part, Passage, PretrainingObjective, Shape

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_END = "<|endoftext|>"


class CausalLanguageModelling(PretrainingObjective):
    """GPT-2: guess each token from those before it. Documents are packed, each followed by <|endoftext|>."""

    name = "causal_language_modelling"
    title = "Causal language modelling"
    family = "gpt2"
    paper = "Radford et al. 2019, Language Models are Unsupervised Multitask Learners"

    def train_tokenizer(self, texts: Callable[[], Iterable[str]], vocabulary: int) -> PreTrainedTokenizerBase:
        """Byte-level BPE: every text can be written, nothing is unknown."""
        import json

        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
        from transformers import GPT2Tokenizer

        learner = Tokenizer(models.BPE())
        learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=[_END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        learner.train_from_iterator(texts(), trainer)
        merges: Any = [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
        return GPT2Tokenizer(vocab=learner.get_vocab(), merges=merges)

    def separator(self, tokenizer: PreTrainedTokenizerBase) -> int | None:
        """<|endoftext|>."""
        return tokenizer.eos_token_id  # type: ignore[return-value]

    def new_model(self, shape: Shape, tokenizer: Any) -> PreTrainedModel:
        """GPT-2 with its head tied to the token embeddings."""
        from transformers import GPT2Config, GPT2LMHeadModel

        config = GPT2Config(
            vocab_size=shape.vocabulary,
            n_embd=shape.hidden,
            n_layer=shape.layers,
            n_head=shape.heads,
            n_inner=shape.intermediate,
            n_positions=shape.positions,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            # As it is trained here. Frozen layers under a dropout that they have never known answer worse.
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
        return GPT2LMHeadModel(config)

    def window(self, length: int) -> int:
        """Nothing is added."""
        return length

    def batch(
        self, texts: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """input_ids (batch, tokens); every token but the first of a sequence is guessed."""
        import torch

        return {"input_ids": torch.from_numpy(np.stack([text.tokens for text in texts]))}

    def loss(self, model: Any, batch: dict[str, Tensor]) -> dict[str, Part]:
        """The summed negative log-likelihood of each next token."""
        from tunebench.zoo.pretraining.cross_entropy import summed_cross_entropy

        ids = batch["input_ids"]
        (states,) = model.transformer(input_ids=ids, use_cache=False, return_dict=False)
        states, labels = states[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
        return {"next": Part(summed_cross_entropy(states, model.lm_head.weight, labels), len(labels))}
