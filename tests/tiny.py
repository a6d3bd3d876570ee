"""Tiny backbones with random weights, and small learnable data sets: made here, from a seed, without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HIDDEN, LAYERS, HEADS, POSITIONS = 32, 4, 2, 64
ROWS = {"train": 96, "validation": 36, "test": 36}

EMOTION_WORDS = {
    "sadness": ("lonely", "gloomy"),
    "joy": ("happy", "delighted"),
    "love": ("tender", "loving"),
    "anger": ("furious", "angry"),
    "fear": ("afraid", "nervous"),
    "surprise": ("amazed", "shocked"),
}
"""Label, in the order of its index -> the words that give it away."""

ENTITIES = {
    "PER": (("john", "johnson"), ("maria",), ("peter", "smithson")),
    "ORG": (("united", "motors"), ("reuters",)),
    "LOC": (("london",), ("new", "york")),
    "MISC": (("german",), ("world", "cup")),
}
"""Type of entity -> entities as words; `johnson` and `smithson` are two sub-words each."""

NER_TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")

ADVERBS = {"never": 0.0, "rarely": 1.25, "sometimes": 2.5, "often": 3.75, "always": 5.0}
"""A word of the second sentence -> the similarity score."""

_PLAIN = """
i feel am so very today and really quite this morning again the a man woman dog is was said on in of met near playing
reading eating guitar book apple outside slowly visited won lost yesterday with from to for he she they . , !
"""
_PIECES = ("john", "smith", "##son", "##ing", "##ed", "##s")


def words() -> list[str]:
    """Every word that the generated texts use, and that the tokenizer keeps whole but for the names in -son."""
    entities = [word for named in ENTITIES.values() for entity in named for word in entity]
    emotions = [word for cues in EMOTION_WORDS.values() for word in cues]
    return sorted({*_PLAIN.split(), *emotions, *ADVERBS, *entities} - {"johnson", "smithson"})


def make_tokenizer(token_types: bool = True) -> Any:
    """A WordPiece tokenizer with BERT's special tokens; letters are in its vocabulary, so that no word is unknown."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + [str(digit) for digit in range(10)]
    vocabulary = list(dict.fromkeys([*special, *letters, *(f"##{c}" for c in letters), *_PIECES, *words()]))
    index = {token: number for number, token in enumerate(vocabulary)}
    backend = Tokenizer(models.WordPiece(index, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", index["[CLS]"]), ("[SEP]", index["[SEP]"])],
    )
    names = ["input_ids", *(["token_type_ids"] if token_types else []), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=POSITIONS,
        model_input_names=names,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def make_decoder_tokenizer() -> Any:
    """The same words for a decoder: no special tokens around a text, none for padding, `</s>` for its end."""
    tokenizer = make_tokenizer(token_types=False)
    backend = tokenizer.backend_tokenizer
    backend.post_processor = None
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=POSITIONS,
        unk_token="[UNK]",
        eos_token="[SEP]",
        model_input_names=["input_ids", "attention_mask"],
    )


def make_seq2seq_tokenizer() -> Any:
    """The same words for an encoder-decoder: `[SEP]` ends every text, and joins what is decoded to words again."""
    from tokenizers import decoders, processors
    from transformers import PreTrainedTokenizerFast

    backend = make_tokenizer(token_types=False).backend_tokenizer
    end = backend.token_to_id("[SEP]")
    backend.post_processor = processors.TemplateProcessing(single="$A [SEP]", special_tokens=[("[SEP]", end)])
    backend.decoder = decoders.WordPiece(cleanup=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=POSITIONS,
        unk_token="[UNK]",
        eos_token="[SEP]",
        pad_token="[PAD]",
        model_input_names=["input_ids", "attention_mask"],
    )


def make_backbone(folder: Path, model_type: str = "bert", seed: int = 0) -> Path:
    """A folder as `save_pretrained` makes it: configuration, random weights in safetensors, tokenizer.

    Args:
        folder: made if it is not there.
        model_type: "bert", "ernie" or "roberta" (with a pooler), "electra" (with narrow embeddings), "distilbert",
            "modernbert"; "gpt2", "llama", "qwen3", "gpt_neox"; "t5", "transformer".
        seed: of the weights.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    decoder = model_type in ("gpt2", "llama", "qwen3", "gpt_neox")
    tokenizer = (
        make_decoder_tokenizer() if decoder else make_tokenizer(token_types=model_type in ("bert", "ernie", "electra"))
    )
    auto: Any = AutoModelForCausalLM if decoder else AutoModel
    seq2seq = model_type in ("t5", "transformer")
    if model_type == "transformer":
        from tunebench.zoo import transformer  # noqa: F401  (makes it known to transformers)
    if seq2seq:
        tokenizer, auto = make_seq2seq_tokenizer(), AutoModelForSeq2SeqLM
    pad = tokenizer.pad_token_id
    end = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    bert = {
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 2 * HIDDEN,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": pad,
    }
    shapes: dict[str, dict[str, Any]] = {
        "bert": bert,
        "ernie": bert,
        "electra": {**bert, "embedding_size": HIDDEN // 2},
        "roberta": {  # positions start above the padding's number
            **bert, "max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1,
            "bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id,
        },
        "distilbert": {
            "dim": HIDDEN, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": 2 * HIDDEN,
            "max_position_embeddings": POSITIONS, "pad_token_id": pad,
        },
        "modernbert": {  # local attention reaches two tokens to each side in all layers but the first
            **bert, "local_attention": 4, "global_attn_every_n_layers": 4, "cls_token_id": tokenizer.cls_token_id,
            "sep_token_id": tokenizer.sep_token_id, "bos_token_id": tokenizer.cls_token_id,
            "eos_token_id": tokenizer.sep_token_id,
        },
        "gpt2": {"n_embd": HIDDEN, "n_layer": LAYERS, "n_head": HEADS, "n_positions": POSITIONS, **end},
        "llama": {**bert, "num_key_value_heads": 1, **end},
        "qwen3": {**bert, "num_key_value_heads": 1, "head_dim": HIDDEN, **end},
        "gpt_neox": {**bert, "rotary_pct": 0.5, **end},
        "t5": {
            "d_model": HIDDEN, "d_kv": HIDDEN // HEADS, "d_ff": 2 * HIDDEN, "num_layers": LAYERS, "num_heads": HEADS,
            "num_decoder_layers": 3, "dropout_rate": 0.0, "pad_token_id": pad, "decoder_start_token_id": pad,
            "eos_token_id": tokenizer.eos_token_id,
        },
        "transformer": {
            "d_model": HIDDEN, "d_ff": 2 * HIDDEN, "num_layers": 2, "num_heads": HEADS, "dropout": 0.0,
            "label_smoothing": 0.0, "pad_token_id": pad, "decoder_start_token_id": pad,
            "eos_token_id": tokenizer.eos_token_id,
        },
    }  # fmt: skip
    config = AutoConfig.for_model(model_type, vocab_size=len(tokenizer), **shapes[model_type])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = auto.from_config(config)
        for name, parameter in model.named_parameters():
            if (
                parameter.ndim >= 2 and not seq2seq
            ):  # larger than BERT's 0.02: else a model this narrow says the same of all texts
                torch.nn.init.normal_(parameter, std=0.2 if "emb" in name or "wte" in name else 0.15)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def emotion_rows(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Texts whose emotion is given away by one word; every label occurs as often as any other."""
    labels = rng.permutation(np.arange(count) % len(EMOTION_WORDS))
    cues = list(EMOTION_WORDS.values())
    texts = [
        " ".join([*_some(("i", "feel", "am", "so", "very", "really"), rng), _one(cues[label], rng), *_filler(rng)])
        for label in labels
    ]
    return pd.DataFrame({"text": texts, "label": labels.astype("int64")})


def conll2003_rows(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Sentences with entities of one or two words, in IOB2; parts of speech and chunks are all 0."""
    kinds = list(ENTITIES)
    sentences = []
    for number in range(count):
        tokens, tags = [], []
        for kind in (kinds[number % len(kinds)], _one(kinds, rng)):
            filler = _filler(rng)
            entity = _one(ENTITIES[kind], rng)
            tokens += [*filler, *(word.capitalize() for word in entity)]
            tags += ["O"] * len(filler) + [f"{'I' if at else 'B'}-{kind}" for at in range(len(entity))]
        sentences.append(([*tokens, "."], [NER_TAGS.index(tag) for tag in [*tags, "O"]]))
    rng.shuffle(sentences)
    zeros = [[0] * len(tokens) for tokens, _ in sentences]
    return pd.DataFrame(
        {
            "id": [str(number) for number in range(count)],
            "tokens": [tokens for tokens, _ in sentences],
            "pos_tags": zeros,
            "chunk_tags": zeros,
            "ner_tags": [tags for _, tags in sentences],
        }
    )


def stsb_rows(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Pairs of sentences whose score is given away by an adverb of the second one, give or take a tenth."""
    rows = []
    for number in range(count):
        adverb = list(ADVERBS)[number % len(ADVERBS)]
        who, what = _one(("man", "woman", "dog"), rng), _one(("playing", "reading", "eating"), rng)
        score = float(np.clip(ADVERBS[adverb] + rng.uniform(-0.1, 0.1), 0, 5))
        rows.append((f"a {who} is {what} outside .", f"the {who} is {adverb} {what} .", score))
    rng.shuffle(rows)
    first, second, scores = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "sentence1": list(first),
            "sentence2": list(second),
            "label": np.asarray(scores, dtype="float32"),
            "idx": np.arange(count, dtype="int32"),
        }
    )


def alpaca_rows(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Say when or where something was done; half of the rows have an input. The answer repeats what was done."""
    rows = []
    for number in range(count):
        who, what = _one(("man", "woman", "dog"), rng), _one(("playing", "reading", "eating"), rng)
        where = _one(("today", "yesterday", "outside"), rng) if number % 2 else ""
        rows.append((f"the {who} is {what} .", where, f"{who} was {what} {where}".strip()))
    rng.shuffle(rows)
    instructions, inputs, outputs = zip(*rows, strict=True)
    return pd.DataFrame({"instruction": instructions, "input": inputs, "output": outputs, "text": instructions})


def imdb_rows(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Texts that one word makes good or bad."""
    cues = [(*EMOTION_WORDS["anger"], *EMOTION_WORDS["sadness"]), (*EMOTION_WORDS["joy"], *EMOTION_WORDS["love"])]
    labels = rng.permutation(np.arange(count) % 2)
    texts = [" ".join(["the book was", _one(cues[label], rng), *_filler(rng)]) for label in labels]
    return pd.DataFrame({"text": texts, "label": labels.astype("int64")})


def cnn_rows(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Articles of four sentences; the highlights are what the first two say, a line each."""
    articles, highlights = [], []
    for _ in range(count):
        facts = [(_one(("man", "woman", "dog"), rng), _one(("playing", "reading", "eating"), rng)) for _ in range(4)]
        articles.append(" ".join(f"The {who} is {what} {' '.join(_filler(rng))}." for who, what in facts))
        highlights.append("\n".join(f"{who} {what}" for who, what in facts[:2]))
    return pd.DataFrame({"article": articles, "highlights": highlights, "id": [""] * count})


def squad_rows(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Who is where: the answer is a name in the context, which people gave once or twice."""
    rows = []
    for number in range(count):
        people = [" ".join(entity) for entity in ENTITIES["PER"]]
        rng.shuffle(people)
        places = [_one(("outside", "in london"), rng), "in new york", "from reuters"]
        context = " . ".join(f"{who} is {where}" for who, where in zip(people, places, strict=True)) + " ."
        start = context.index(people[0])
        texts = [people[0]] * (1 + number % 2)
        rows.append((f"is {places[0]}", context, {"text": texts, "answer_start": [start] * len(texts)}))
    questions, contexts, answers = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "id": [str(n) for n in range(count)],
            "title": [""] * count,
            "context": contexts,
            "question": questions,
            "answers": answers,
        }
    )


_MAKERS = {
    "emotion": emotion_rows,
    "conll2003": conll2003_rows,
    "stsb": stsb_rows,
    "alpaca": alpaca_rows,
    "imdb": imdb_rows,
    "cnn_dailymail": cnn_rows,
    "squad": squad_rows,
}


def write_data_root(folder: Path, seed: int = 0, rows: Mapping[str, int] = ROWS) -> Path:
    """A data root: every built-in task's data set, with the columns and types of the real one.

    Args:
        folder: made if it is not there.
        seed: of the texts.
        rows: split -> how many rows it has; a split that is left out is not written.
    """
    for number, (name, make) in enumerate(_MAKERS.items()):
        for at, (split, count) in enumerate(rows.items()):
            path = folder / name / f"{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            make(count, np.random.default_rng([seed, number, at])).to_parquet(path, index=False)
    return folder


def _one(options: Sequence[Any], rng: np.random.Generator) -> Any:
    return options[int(rng.integers(len(options)))]


def _some(options: Sequence[str], rng: np.random.Generator) -> list[str]:
    """A beginning of the options, at least one."""
    return list(options[: 1 + int(rng.integers(len(options)))])


def _filler(rng: np.random.Generator) -> list[str]:
    return [
        _one(("today", "and", "the", "outside", "slowly", "again", "yesterday"), rng) for _ in range(rng.integers(1, 5))
    ]


def of_whole_words(frequent: Sequence[str], rare: Sequence[str]) -> Any:
    """A T5 tokenizer of whole words with 100 sentinels: the frequent ones, some that nobody says, and the others."""
    from transformers import T5Tokenizer

    fillers = [f"▁filler{index}" for index in range(150 - 3 - len(frequent) - 3)]
    pieces = ["<pad>", "</s>", "<unk>", ".", ",", "?", *(f"▁{word}" for word in frequent), *fillers]
    pieces += [f"▁{word}" for word in rare]
    return T5Tokenizer(
        vocab=[
            *((piece, -float(rank)) for rank, piece in enumerate(pieces)),
            *((f"<extra_id_{index}>", 0.0) for index in reversed(range(100))),
        ],
        extra_ids=100,
    )
