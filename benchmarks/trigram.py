"""Is a pretrained backbone better than counting? Its held-out perplexity beside an interpolated trigram model's.

The trigram model is interpolated Kneser-Ney (Kneser and Ney 1995; Chen and Goodman 1999, section 2.7) with one discount
an order, counted on the tokens that `tunebench pretrain` wrote, with the backbone's own tokenizer. Both are scored on
the same held-out windows: the trigram on each token with two before it, the backbone on what its objective asks (a
causal model nearly the same tokens; masked and corrupted ones are a sample of them, guessed from both sides).
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from tunebench.zoo.pretraining.batches import spread_texts
from tunebench.zoo.pretraining.corpus import Corpus
from tunebench.zoo.pretraining.recipe import Recipe


class Counts:
    """How often each key occurs."""

    def __init__(self, keys: np.ndarray, counts: np.ndarray | None = None):
        if counts is None:
            self.keys, self.counts = np.unique(keys, return_counts=True)
        else:
            self.keys, self.counts = keys, counts

    def __call__(self, keys: np.ndarray) -> np.ndarray:
        """The counts of these keys, 0 where there is none."""
        at = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.counts[at], 0)

    def discount(self) -> float:
        """n1 / (n1 + 2 n2) (Ney, Essen and Kneser 1994)."""
        once, twice = (int((self.counts == n).sum()) for n in (1, 2))
        return once / max(1, once + 2 * twice)


def summed(keys: np.ndarray, values: np.ndarray) -> Counts:
    """The values of equal, sorted keys added up."""
    distinct, starts = np.unique(keys, return_index=True)
    return Counts(distinct, np.add.reduceat(values, starts))


class KneserNey:
    """Interpolated Kneser-Ney over three tokens."""

    def __init__(self, tokens: np.ndarray, vocabulary: int):
        size = self.size = vocabulary
        a, b, c = (tokens[i : len(tokens) - 2 + i].astype(np.int64) for i in range(3))
        self.trigrams = Counts((a * size + b) * size + c)
        contexts = self.trigrams.keys // size
        self.trigram_totals = summed(contexts, self.trigrams.counts)
        self.trigram_kinds = summed(contexts, np.ones_like(contexts))
        followers = self.trigrams.keys % (size * size)  # each distinct trigram counts once for its last two tokens
        self.bigrams = Counts(followers)
        first = self.bigrams.keys // size
        self.bigram_totals = summed(first, self.bigrams.counts)
        self.bigram_kinds = summed(first, np.ones_like(first))
        self.unigrams = Counts(np.sort(self.bigrams.keys % size))
        self.discounts = [counts.discount() for counts in (self.unigrams, self.bigrams, self.trigrams)]

    def probabilities(self, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        """p(c | a b)."""
        size, (d1, d2, d3) = self.size, self.discounts
        total = self.unigrams.counts.sum()
        one = (np.maximum(self.unigrams(c) - d1, 0) + d1 * len(self.unigrams.keys) / size) / total
        two = _interpolated(self.bigrams(b * size + c), self.bigram_totals(b), self.bigram_kinds(b), d2, one)
        context = a * size + b
        three = self.trigrams(context * size + c)
        return _interpolated(three, self.trigram_totals(context), self.trigram_kinds(context), d3, two)


def _interpolated(
    count: np.ndarray, total: np.ndarray, kinds: np.ndarray, discount: float, lower: np.ndarray
) -> np.ndarray:
    seen = total > 0
    safe = np.where(seen, total, 1)
    return np.where(seen, np.maximum(count - discount, 0) / safe + discount * kinds / safe * lower, lower)


def main() -> None:
    """Count, score, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="the output folder of 'tunebench pretrain'")
    out = parser.parse_args().out
    about = json.loads((out / "model" / "pretraining.json").read_text())
    recipe = Recipe.model_validate(about["recipe"])
    train, held_out = (
        Corpus(
            np.fromfile(out / "corpus" / part / "tokens.bin", np.uint16),
            np.load(out / "corpus" / part / "ends.npy"),
            "",
        )
        for part in ("train", "held_out")
    )
    length = max(some.length for some in recipe.training.sequences)
    texts = spread_texts(held_out, recipe.pretraining, length, recipe.training.held_out_tokens)
    model = KneserNey(train.tokens, json.loads((out / "model" / "config.json").read_text())["vocab_size"])
    a, b, c = (np.concatenate([text.tokens[i : len(text.tokens) - 2 + i] for text in texts]) for i in range(3))
    p = model.probabilities(a, b, c)
    check = sum(model.probabilities(a[:50], b[:50], np.full(50, token)) for token in range(model.size))
    assert np.allclose(check, 1, atol=1e-6), "the probabilities do not sum to 1"
    last = about["curve"][-1]
    print(
        json.dumps(
            {
                "backbone": recipe.name,
                "backbone_perplexity": last["perplexity"],
                "backbone_predictions": last["predictions"],
                "tokens_seen": last["tokens"],
                "trigram_perplexity": math.exp(-np.log(p).mean()),
                "trigram_predictions": len(p),
                "discounts": model.discounts,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
