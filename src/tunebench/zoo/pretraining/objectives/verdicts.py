"""Texts to judge, labelled by the words in them that judge."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebench._util.errors import RunError
from tunebench.zoo.pretraining.objectives._valence import valences
from tunebench.zoo.pretraining.objectives.base import Part, Passage
from tunebench.zoo.pretraining.objectives.span_corruption import SpanCorruption, sentinels_and_end

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from tunebench.zoo.pretraining.objectives._questions import Pieces

_PIECES = (2, 6)  # that a text is judged in: short ones, in which a word that judges has weight
_SILENCED = 0.15  # of the words that judge: their context has to decide
_ASKING = (
    "It was {}.",
    "This is {}.",
    "They say it is {}.",
    "All in all it was {}.",
    "It is {} indeed.",
    "How {} it is!",
    "A {} one.",
    "What is it like? {}.",
)
VERDICTS = (("good", "bad"), ("good", "bad"), ("great", "terrible"), ("fine", "poor"), ("excellent", "worst"))


class Verdicts(SpanCorruption):
    """T5: pieces of the texts are judged good or bad in a gap before them, as often the one as the other.

    A piece is of one mind: sentences of the other are left out, by words that judge (`_valence`), some of which are
    then taken away. `It was <extra_id_0>. Harold came and nobody liked him. </s>` wants *bad* rather than *good* in the
    gap; nothing is asked about other words, which a softmax over the vocabulary would push away at every step. Weak
    supervision by a lexicon is old (Turney 2002, cs/0212032), and in pretraining Tian et al.'s (2020); T5's own mixture
    had SST-2's labels in it.
    """

    name = "verdicts"
    title = "Verdicts"
    paper = "after Turney 2002, arXiv:cs/0212032, and Tian et al. 2020, arXiv:2005.05635"
    shortest = 32

    def batch(
        self, texts: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """input_ids, (pieces, tokens), padded with 0; decoder_input_ids, up to the gap, and verdicts, (pieces, 2) each.

        Verdicts are the right word's id and the wrong one's.
        A piece that says too little in the mind that is asked for is left out.

        Raises:
            RunError: not one text holds a word that judges.
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        from tunebench.zoo.pretraining.objectives._questions import Pieces

        pieces, (first, end) = Pieces.of(tokenizer), sentinels_and_end(tokenizer)
        inputs, verdicts, good = [], [], bool(rng.integers(2))
        for piece in itertools.chain.from_iterable(_cut(text, rng) for text in texts):
            tokens = judge(piece, good, rng, pieces)
            if tokens is None:
                continue
            asked = _ids(tokenizer, str(rng.choice(_ASKING)).format("<extra_id_0>"))
            right, wrong = (_ids(tokenizer, word)[0] for word in rng.permutation(VERDICTS)[0])
            inputs.append(torch.tensor([*asked, *tokens, end]))
            verdicts.append([right, wrong] if good else [wrong, right])
            good = not good
        if not inputs:
            raise RunError(f"none of a step's {len(texts)} texts contains a word that judges; a larger batch may help")
        return {
            "input_ids": pad_sequence(inputs, batch_first=True),
            "decoder_input_ids": torch.tensor([[0, first]] * len(inputs)),
            "verdicts": torch.tensor(verdicts),
        }

    def loss(self, model: Any, batch: dict[str, Tensor]) -> dict[str, Part]:
        """-log p(right word), given that it is one of the two: ln 2 where nothing is known."""
        from torch.nn import functional

        inputs, words = batch["input_ids"], batch["verdicts"]
        seen = inputs != 0
        encoded = model.encoder(input_ids=inputs, attention_mask=seen).last_hidden_state
        states = model.decoder(
            input_ids=batch["decoder_input_ids"],
            encoder_hidden_states=encoded,
            encoder_attention_mask=seen,
            use_cache=False,
        ).last_hidden_state[:, -1:]
        vectors = model.lm_head.weight[words] * model.config.d_model**-0.5
        logits = (states * vectors).float().sum(-1)
        total = functional.cross_entropy(logits, words.new_zeros(len(words)), reduction="sum")
        return {"verdicts": Part(total, len(words))}


def _cut(text: Passage, rng: np.random.Generator) -> list[Passage]:
    count = int(rng.integers(_PIECES[0], _PIECES[1] + 1))
    bounds = np.linspace(0, len(text.tokens), count + 1).astype(int)
    return [
        Passage(text.tokens[start:stop], text.ends[(text.ends > start) & (text.ends <= stop)] - start)
        for start, stop in itertools.pairwise(bounds)
    ]


def judge(text: Passage, good: bool, rng: np.random.Generator, pieces: Pieces) -> list[int] | None:
    """The sentences that speak for it, or against it, or neither, and some of the words that judge left out.

    None where no sentence is of the mind that is asked for.
    """
    from tunebench.zoo.pretraining.objectives._questions import Words

    words = Words(text.tokens, text.ends, pieces)
    values = np.array(valences(words.spelt, words.sentence.tolist()))
    sums = np.bincount(words.sentence, weights=values if good else -values)
    if not (sums > 0).any():
        return None
    kept = (sums >= 0)[words.sentence] & ((values == 0) | (rng.random(len(words)) >= _SILENCED))
    return words.tokens[np.repeat(kept, words.stops - words.starts)].tolist()


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]
