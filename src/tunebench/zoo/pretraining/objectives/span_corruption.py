"""Span corruption (Raffel et al. 2020, section 3.1.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebench.engine.spans import SENTINELS, corrupt, noise, noise_spans
from tunebench.zoo.pretraining.objectives.base import Part, Passage, PretrainingObjective, Shape

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_SPECIAL = ("<pad>", "</s>", "<unk>")


class SpanCorruption(PretrainingObjective):
    """T5: each of some spans (15 % of the tokens, mean length 3) becomes one sentinel; the decoder writes the spans.

    Input: `a <extra_id_0> d e <extra_id_1> </s>`, target: `<extra_id_0> b c <extra_id_1> f </s>`.
    """

    name = "span_corruption"
    title = "Span corruption"
    family = "t5"
    paper = "Raffel et al. 2020, arXiv:1910.10683"

    def train_tokenizer(self, texts: Callable[[], Iterable[str]], vocabulary: int) -> PreTrainedTokenizerBase:
        """SentencePiece's unigram model with 100 sentinels at the end of the vocabulary."""
        import json

        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
        from transformers import T5Tokenizer

        learner = Tokenizer(models.Unigram())
        learner.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
        )
        trainer = trainers.UnigramTrainer(
            vocab_size=vocabulary - SENTINELS,
            special_tokens=list(_SPECIAL),
            unk_token="<unk>",
            show_progress=False,
        )
        learner.train_from_iterator(texts(), trainer)
        pieces = [tuple(piece) for piece in json.loads(learner.to_str())["model"]["vocab"]]
        special, ordinary = pieces[: len(_SPECIAL)], pieces[len(_SPECIAL) :]
        sentinels = [(f"<extra_id_{index}>", 0.0) for index in reversed(range(SENTINELS))]
        return T5Tokenizer(vocab=[*special, *in_stable_order(ordinary), *sentinels], extra_ids=SENTINELS)

    def new_model(self, shape: Shape, tokenizer: Any) -> PreTrainedModel:
        """T5 as first published: ReLU, shared embeddings, relative positions."""
        from transformers import T5Config, T5ForConditionalGeneration

        from tunebench.zoo.pretraining.objectives._alignment import begin_aligned

        special: dict[str, Any] = {"n_positions": shape.positions, "decoder_start_token_id": tokenizer.pad_token_id}
        config = T5Config(
            vocab_size=shape.vocabulary,
            d_model=shape.hidden,
            d_kv=shape.hidden // shape.heads,
            d_ff=shape.intermediate,
            num_layers=shape.layers,
            num_decoder_layers=shape.layers,
            num_heads=shape.heads,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            dropout_rate=0.0,  # as it is trained here: frozen layers under a dropout never known answer worse
            **special,
        )
        model = T5ForConditionalGeneration(config)
        _quick(model)
        begin_aligned(model)
        return model

    def begin(self, model: Any, texts: Tensor) -> None:
        """Nothing but what makes it quick."""
        _quick(model)

    def window(self, length: int) -> int:
        """The longest text whose corrupted form and </s> fit `length`."""
        size = 2
        while _input_length(size + 1) <= length:
            size += 1
        return size

    def batch(
        self, texts: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """input_ids and labels, (batch, tokens) each; texts of one length need no padding."""
        import torch

        first, end = sentinels_and_end(tokenizer)
        rows = [corrupt(text.tokens, noise_spans(len(text.tokens), rng), first, end) for text in texts]
        inputs, targets = (torch.from_numpy(np.stack(side)) for side in zip(*rows, strict=True))
        return {"input_ids": inputs, "labels": targets}

    def loss(self, model: Any, batch: dict[str, Tensor]) -> dict[str, Part]:
        """The spans to guess."""
        return {"spans": self.spans(model, batch["input_ids"], batch["labels"])}

    def spans(self, model: Any, inputs: Tensor, labels: Tensor) -> Part:
        """The summed negative log-likelihood of the targets' tokens, sentinels included.

        Args:
            model: a T5.
            inputs: (batch, tokens), all of one length.
            labels: (batch, tokens), padded with -100.
        """
        from tunebench.zoo.pretraining.cross_entropy import summed_cross_entropy

        states = model.decoder(
            input_ids=model.prepare_decoder_input_ids_from_labels(labels),
            encoder_hidden_states=model.encoder(input_ids=inputs).last_hidden_state,
            use_cache=False,
        ).last_hidden_state
        states = states.flatten(0, 1) * model.config.d_model**-0.5  # as the model scales them for the tied embeddings
        counted = labels.flatten() != -100
        total = summed_cross_entropy(states[counted], model.lm_head.weight, labels.flatten()[counted])
        return Part(total, int(counted.sum()))


def _quick(model: Any) -> None:
    """Relative positions are learned, for which torch's fused attention falls back to its slow float32 form."""
    model.set_attn_implementation("eager")


def sentinels_and_end(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """The ids of the first sentinel, from which the others count down, and of </s>."""
    first: Any = tokenizer.convert_tokens_to_ids("<extra_id_0>")
    end: Any = tokenizer.eos_token_id
    return int(first), int(end)


def in_stable_order(pieces: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Likeliest pieces first, the same from run to run.

    The library orders equally likely pieces, and scores characters too rare to be learned, in a changing order:
    these characters get one score here, below all others.
    """
    lowest = min(score for piece, score in pieces if len(piece) > 1)
    settled = [
        (piece, round(lowest - 1 if len(piece) == 1 and score < lowest else score, 6)) for piece, score in pieces
    ]
    return sorted(settled, key=lambda entry: (-entry[1], entry[0]))


def _input_length(size: int) -> int:
    tokens, spans = noise(size)
    return size - tokens + spans + 1
