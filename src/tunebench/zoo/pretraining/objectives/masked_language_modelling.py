"""Masked language modelling with next-sentence prediction (Devlin et al. 2019, section 3.1 and appendix A.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebench.zoo.pretraining.objectives.base import Part, Passage, PretrainingObjective, Shape

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MASKED, KEPT, RANDOM = 0.15, 0.10, 0.10  # of all tokens; of the masked ones; the rest of those becomes [MASK]
NOT_NEXT = 0.5
IGNORED = -100
_ALPHABET = 250  # characters; rarer ones are unknown
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SENTENCE_ENDS = (".", "!", "?")


class MaskedLanguageModelling(PretrainingObjective):
    """BERT: guess 15 % of the tokens, and whether the second half of a text follows the first.

    Of the chosen tokens 80 % become [MASK], 10 % a random token and 10 % stay. A sequence is [CLS] A [SEP] B [SEP]: B
    begins at a sentence's end within one document; in half of the sequences it comes from another sequence of the
    batch instead.
    """

    name = "masked_language_modelling"
    title = "Masked language modelling and next-sentence prediction"
    family = "bert"
    paper = "Devlin et al. 2019, arXiv:1810.04805"

    def train_tokenizer(self, texts: Callable[[], Iterable[str]], vocabulary: int) -> PreTrainedTokenizerBase:
        """WordPiece, cased: capitals mark names."""
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
        from transformers import BertTokenizer

        normalizer = normalizers.BertNormalizer(lowercase=False)
        alphabet = frequent_characters(map(normalizer.normalize_str, texts()), _ALPHABET)
        learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # type: ignore[call-arg]
        learner.normalizer = normalizer
        learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary,
            # The library numbers "##a" in an order that changes from run to run, and breaks ties by these numbers:
            # named here, they are numbered first.
            special_tokens=[*_SPECIAL, *(f"##{character}" for character in alphabet)],
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            show_progress=False,
        )
        learner.train_from_iterator(texts(), trainer)
        return BertTokenizer(vocab=learner.get_vocab(), do_lower_case=False)

    def new_model(self, shape: Shape, tokenizer: Any) -> PreTrainedModel:
        """BERT with both pretraining heads, its first layer looking at neighbours."""
        from transformers import BertConfig, BertForPreTraining

        from tunebench.zoo.pretraining.objectives._neighbours import attend_to_neighbours

        config = BertConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.intermediate,
            max_position_embeddings=shape.positions,
            pad_token_id=tokenizer.pad_token_id,
            # As it is trained here. Frozen layers under a dropout that they have never known answer worse.
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            classifier_dropout=0.1,  # of a classifier above it, which does not exist yet
        )
        model = BertForPreTraining(config)
        attend_to_neighbours(model)
        return model

    def window(self, length: int) -> int:
        """[CLS] and two [SEP] are added."""
        return length - 3

    def batch(
        self, texts: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """input_ids, token_type_ids, labels (batch, tokens) and next_sentence_label (batch,), 1 where B is random."""
        import torch

        pairs = pairs_of(texts, _ids(tokenizer, *_SENTENCE_ENDS), rng)
        first, last, mask_id = (int(id_) for id_ in _ids(tokenizer, "[CLS]", "[SEP]", "[MASK]"))
        rows = [np.concatenate([[first], a, [last], b, [last]]) for a, b, _ in pairs]
        types = [np.repeat([0, 1], [len(a) + 2, len(b) + 1]) for a, b, _ in pairs]
        ids = np.stack(rows)
        special = np.isin(ids, tokenizer.all_special_ids)
        masked, labels = mask(ids, special, mask_id, len(tokenizer), rng)
        return {
            "input_ids": torch.from_numpy(masked),
            "token_type_ids": torch.from_numpy(np.stack(types)),
            "labels": torch.from_numpy(labels),
            "next_sentence_label": torch.tensor([int(other) for _, _, other in pairs]),
        }

    def loss(self, model: Any, batch: dict[str, Tensor]) -> dict[str, Part]:
        """The model's own loss, with logits for the masked positions only: the others enter no loss."""
        from torch.nn import functional

        states, pooled = model.bert(
            input_ids=batch["input_ids"], token_type_ids=batch["token_type_ids"], return_dict=False
        )
        chosen = batch["labels"] != IGNORED
        logits = model.cls.predictions(states[chosen])
        tokens = functional.cross_entropy(logits.float(), batch["labels"][chosen], reduction="sum")
        next_logits = model.cls.seq_relationship(pooled)
        pairs = functional.cross_entropy(next_logits.float(), batch["next_sentence_label"], reduction="sum")
        return {"masked": Part(tokens, int(chosen.sum())), "next": Part(pairs, len(next_logits))}


def frequent_characters(texts: Iterable[str], most: int) -> list[str]:
    """The commonest characters that are no space, in the order of their code points."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    common = sorted((c for c in counts if not c.isspace()), key=lambda c: (-counts[c], c))[:most]
    return sorted(common)


def _ids(tokenizer: PreTrainedTokenizerBase, *tokens: str) -> np.ndarray:
    return np.asarray(tokenizer.convert_tokens_to_ids(list(tokens)))


def pairs_of(
    texts: Sequence[Passage], sentence_ends: np.ndarray, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray, bool]]:
    """(A, B, whether B is from another text), each pair as long as its text.

    A text is cut after a sentence's end that no document ends at, the nearest to a random place in its middle half; a
    text without one is cut at that place.
    """
    cuts = [_cut(text, sentence_ends, rng) for text in texts]
    swapped = rng.random(len(texts)) < NOT_NEXT
    pairs = []
    for index, (text, cut) in enumerate(zip(texts, cuts, strict=True)):
        if not swapped[index] or len(texts) == 1:
            pairs.append((text.tokens[:cut], text.tokens[cut:], False))
            continue
        other = (index + 1 + int(rng.integers(len(texts) - 1))) % len(texts)
        size = len(text.tokens) - cut
        follows = texts[other].tokens[cuts[other] :]  # it begins as a sentence does, like a true B
        filled = np.concatenate([follows, texts[other].tokens[: cuts[other]]])[:size]
        pairs.append((text.tokens[:cut], filled, True))
    return pairs


def _cut(text: Passage, sentence_ends: np.ndarray, rng: np.random.Generator) -> int:
    size = len(text.tokens)
    wanted = int(rng.integers(size // 4, size - size // 4))
    places = np.flatnonzero(np.isin(text.tokens[:-1], sentence_ends)) + 1
    places = places[~np.isin(places, text.ends)]
    return int(places[np.abs(places - wanted).argmin()]) if len(places) else wanted


def mask(
    ids: np.ndarray, special: np.ndarray, mask_id: int, vocabulary: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Masked ids, and labels that are -100 where nothing is to be guessed; both (batch, tokens).

    In every row 15 % of the tokens that are not special are chosen, at least one.
    """
    draws = np.where(special, 2.0, rng.random(ids.shape))
    counts = np.maximum(1, np.round((~special).sum(1) * MASKED)).astype(int)
    ranks = draws.argsort(1).argsort(1)
    chosen = ranks < counts[:, None]
    labels = np.where(chosen, ids, IGNORED)
    fate = rng.random(ids.shape)
    masked = np.where(chosen & (fate >= KEPT + RANDOM), mask_id, ids)
    random_ids = rng.integers(0, vocabulary, ids.shape)
    return np.where(chosen & (fate < RANDOM), random_ids, masked), labels
