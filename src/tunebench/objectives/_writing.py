"""Answers generated token by token."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedTokenizerBase


def text_of(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> tuple[str, bool]:
    """Generated tokens as text up to end-of-text, and whether end-of-text was generated."""
    end = tokenizer.eos_token_id
    kept = list(itertools.takewhile(lambda token: token != end, ids))
    return str(tokenizer.decode(kept, skip_special_tokens=True)).strip(), end in ids


class _OneSource(EncoderDecoderCache):
    """A cache that does not reorder the source's keys and values: all beams of a text share the same ones.

    Reordering them at every step took a third of the time of a beam search.
    """

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """The decoder's own keys and values follow their beams."""
        self.self_attention_cache.reorder_cache(beam_idx)  # pyright: ignore[reportArgumentType]


def write(
    network: Any,
    batch: dict[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    new_tokens: int,
    beams: int,
    **drawing: Any,
) -> Tensor:
    """Generated token ids, (batch, at most `new_tokens` after those that `generate` begins with).

    Every generation setting is given here, so that none comes from the checkpoint.
    """
    if network.config.is_encoder_decoder:
        batch = {**batch, "past_key_values": _OneSource(DynamicCache(), DynamicCache())}
    return network.generate(
        **batch,
        max_new_tokens=new_tokens,
        min_new_tokens=None,
        num_beams=beams,
        length_penalty=1.0,
        early_stopping=False,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        use_cache=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **{"do_sample": False, **drawing},
    )


def likelihoods(network: Any, batch: dict[str, Tensor], answers: Sequence[Sequence[int]]) -> Tensor:
    """Log-likelihood of each answer, as token ids, to each source of a batch: (batch, answers).

    An encoder-decoder reads each source once.
    """
    encoded = network.get_encoder()(**batch, return_dict=True)
    rows = len(batch["attention_mask"])
    scores = []
    for ids in answers:
        labels = torch.tensor(ids, device=batch["attention_mask"].device).expand(rows, -1)
        logits = network(
            encoder_outputs=encoded,
            attention_mask=batch["attention_mask"],
            decoder_input_ids=network.prepare_decoder_input_ids_from_labels(labels),
        ).logits.float()
        scores.append(-functional.cross_entropy(logits.mT, labels, reduction="none").sum(1))
    return torch.stack(scores, dim=1)


def widened(ids: Tensor, width: int, fill: int) -> Tensor:
    """Token ids, (batch, tokens), padded with `fill` to at least `width` tokens."""
    return functional.pad(ids, (0, max(0, width - ids.shape[1])), value=fill)
