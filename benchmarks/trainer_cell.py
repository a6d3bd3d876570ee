"""One cell by HF Trainer and PEFT, written as a careful user would write it, with the flags that make it fastest.

A task with target texts takes a Seq2SeqTrainer, every other task a Trainer. Nothing of tunebench is imported.
`vs_trainer.py` starts this script; it also runs alone.
"""

import argparse
import collections
import json
import math
import re
import string
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    DataCollatorWithPadding,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainingArguments,
    set_seed,
)

Rows = list[dict[str, Any]]


# Both kinds of task ---------------------------------------------------------------------------------------------------


class TimedSaving:
    """Mixed into a Trainer: measures how long it saves checkpoints and loads the best one."""

    saving_seconds = 0.0

    def _save_checkpoint(self, *inputs: Any, **options: Any) -> None:
        start = time.perf_counter()
        super()._save_checkpoint(*inputs, **options)  # type: ignore[misc]
        self.saving_seconds += time.perf_counter() - start

    def _load_best_model(self) -> None:
        start = time.perf_counter()
        super()._load_best_model()  # type: ignore[misc]
        self.saving_seconds += time.perf_counter() - start


def flags(options: argparse.Namespace, rows: int) -> dict[str, Any]:
    """Trainer's flags; `save_strategy="best"` saves no more often than tunebench does."""
    steps = options.epochs * math.ceil(rows / options.batch_size)
    return {
        "output_dir": str(options.out),
        "num_train_epochs": options.epochs,
        "per_device_train_batch_size": options.batch_size,
        "per_device_eval_batch_size": options.evaluation_batch_size,
        "learning_rate": options.learning_rate,
        "weight_decay": options.weight_decay,
        "warmup_steps": math.ceil(steps * options.warmup_fraction),
        "lr_scheduler_type": "linear",
        "optim": "adamw_torch_fused",
        "bf16": options.bf16,
        "use_cpu": not torch.cuda.is_available(),
        "train_sampling_strategy": "group_by_length",
        "remove_unused_columns": False,
        "label_names": ["labels"],
        "dataloader_num_workers": options.dataloader_workers,
        "dataloader_persistent_workers": options.dataloader_workers > 0,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "eval_strategy": "epoch",
        "save_strategy": options.save,
        "save_only_model": True,
        "save_total_limit": 1,
        "load_best_model_at_end": options.technique != "prefix_tuning",  # Trainer cannot load a prefix again
        "metric_for_best_model": "score",
        "greater_is_better": True,
        "logging_strategy": "no",
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "seed": options.seed,
    }


# Classes and scores ---------------------------------------------------------------------------------------------------


class TimedTrainer(TimedSaving, Trainer):
    """Trainer that measures what it saves."""


def classifier(options: argparse.Namespace, examples: dict[str, Any], tokenizer: Any) -> TimedTrainer:
    """The Trainer of a classification or a regression."""
    train, validation = (inputs(examples[s], tokenizer, examples["max_tokens"]) for s in ("train", "validation"))
    labels = examples["labels"]
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    set_seed(options.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        options.model,
        num_labels=len(labels) or 1,
        problem_type="single_label_classification" if labels else "regression",
        pad_token_id=tokenizer.pad_token_id,
        dtype=torch.float32,  # half-precision checkpoints too
    )
    return TimedTrainer(
        prepared_classifier(options.technique, model, options.fresh),
        TrainingArguments(**flags(options, len(train))),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
        compute_metrics=weighted_f1() if labels else pearson(),
    )


def inputs(rows: list[list[Any]], tokenizer: Any, max_tokens: int) -> Rows:
    """[text, pair or None, label] -> token ids, unpadded. A plain list is faster to read than an Arrow table."""
    sides = [[row[0] for row in rows]]
    if rows[0][1] is not None:
        sides.append([row[1] for row in rows])
    encoded = tokenizer(*sides, truncation=True, max_length=max_tokens)
    return [
        {**{name: encoded[name][index] for name in encoded}, "labels": row[2]}  # all names are the model's
        for index, row in enumerate(rows)
    ]


def prepared_classifier(technique: str, model: Any, fresh: list[str]) -> Any:
    """The model with what trains set; `fresh` modules of the backbone train with the head."""
    decoder = model.config.model_type == "gpt2"
    if technique == "classifier_head":
        model.base_model.requires_grad_(False)
        for name in fresh:
            model.base_model.get_submodule(name).requires_grad_(True)
    elif technique == "freeze":
        layers = model.base_model.encoder.layer
        model.base_model.embeddings.requires_grad_(False)
        layers[: len(layers) // 2].requires_grad_(False)
    elif technique == "lora":
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(
            task_type="SEQ_CLS",
            r=8,
            lora_alpha=16,
            lora_dropout=0.05,
            target_modules=["c_attn"] if decoder else ["query", "value"],
            fan_in_fan_out=decoder,
            modules_to_save=["score" if decoder else "classifier", *fresh],
        )
        model = get_peft_model(model, config)
    elif technique == "prefix_tuning":
        from peft import PrefixTuningConfig, get_peft_model

        config = PrefixTuningConfig(
            task_type="SEQ_CLS", num_virtual_tokens=20, prefix_projection=True, encoder_hidden_size=512
        )
        model = get_peft_model(model, config)
    return model


def weighted_f1() -> Callable[[Any], dict[str, float]]:
    """The metric of predicted classes; its import comes before the stopwatch starts."""
    from sklearn.metrics import f1_score

    def score(outputs: Any) -> dict[str, float]:
        guesses = np.argmax(outputs.predictions, axis=-1)
        return {"score": float(f1_score(outputs.label_ids, guesses, average="weighted", zero_division=0))}

    return score


def pearson() -> Callable[[Any], dict[str, float]]:
    """The metric of predicted scores; its import comes before the stopwatch starts."""
    from scipy.stats import pearsonr

    def score(outputs: Any) -> dict[str, float]:
        return {"score": float(pearsonr(outputs.predictions.reshape(-1), outputs.label_ids.reshape(-1)).statistic)}

    return score


# Generated answers ----------------------------------------------------------------------------------------------------


class TimedSeq2SeqTrainer(TimedSaving, Seq2SeqTrainer):
    """Seq2SeqTrainer that measures what it saves."""


def seq2seq(options: argparse.Namespace, examples: dict[str, Any], tokenizer: Any) -> TimedSeq2SeqTrainer:
    """The Trainer of a task whose answers are generated: greedily, as on tunebench's side."""
    train, validation = (sources(examples[split], tokenizer, examples) for split in ("train", "validation"))
    set_seed(options.seed)
    model = AutoModelForSeq2SeqLM.from_pretrained(options.model, dtype=torch.float32)
    # Evaluation is grouped by length as well, so answers come in another order than questions.
    references = {tuple(row["labels"]): given[2] for row, given in zip(validation, examples["validation"], strict=True)}

    def token_f1(outputs: Any) -> dict[str, float]:
        ids = np.where(outputs.predictions < 0, tokenizer.pad_token_id, outputs.predictions)
        guesses = tokenizer.batch_decode(ids, skip_special_tokens=True)
        asked = [tuple(row[(row >= 0) & (row != tokenizer.pad_token_id)].tolist()) for row in outputs.label_ids]
        best = [max(f1(guess, gold) for gold in references[key]) for guess, key in zip(guesses, asked, strict=True)]
        return {"score": float(np.mean(best))}

    return TimedSeq2SeqTrainer(
        prepared_seq2seq(options.technique, model),
        Seq2SeqTrainingArguments(
            **flags(options, len(train)),
            predict_with_generate=True,
            generation_num_beams=1,
            generation_max_length=examples["max_new_tokens"] + 1,  # with the token that a decoder begins with
        ),
        data_collator=DataCollatorForSeq2Seq(tokenizer, model=model),
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
        compute_metrics=token_f1,
    )


def sources(rows: list[list[Any]], tokenizer: Any, examples: dict[str, Any]) -> Rows:
    """[source, target, references] -> token ids, unpadded."""
    encoded = tokenizer([row[0] for row in rows], truncation=True, max_length=examples["max_tokens"])
    targets = tokenizer(text_target=[row[1] for row in rows], truncation=True, max_length=examples["target_tokens"])
    return [
        {**{name: encoded[name][index] for name in encoded}, "labels": targets["input_ids"][index]}
        for index in range(len(rows))
    ]


def prepared_seq2seq(technique: str, model: Any) -> Any:
    """The model with what trains set; its pretrained head answers."""
    if technique == "freeze":
        model.shared.requires_grad_(False)
        model.encoder.requires_grad_(False)
    elif technique == "lora":
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(task_type="SEQ_2_SEQ_LM", r=8, lora_alpha=16, lora_dropout=0.05, target_modules=["q", "v"])
        model = get_peft_model(model, config)
    elif technique != "full":
        sys.exit(f"--technique: a task with target texts takes freeze, lora or full, not {technique}")
    return model


def words(text: str) -> list[str]:
    """SQuAD's normalisation."""
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def f1(guess: str, gold: str) -> float:
    """SQuAD's F1 of words."""
    ours, theirs = words(guess), words(gold)
    same = sum((collections.Counter(ours) & collections.Counter(theirs)).values())
    return 2 * same / (len(ours) + len(theirs)) if same else 0.0


# The command ----------------------------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train, and return the seconds and the best score."""
    examples = json.loads(options.examples.read_text("utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(options.model, **options.tokenizer)
    trainer: Any = (seq2seq if "target_tokens" in examples else classifier)(options, examples, tokenizer)
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    return {
        "train_seconds": seconds,
        "saving_seconds": trainer.saving_seconds,
        "score": trainer.state.best_metric,
        "steps": trainer.state.global_step,
        "trainable": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "threads": torch.get_num_threads(),
        "tokens": {
            split: sum(len(row["input_ids"]) for row in rows)
            for split, rows in (("train", trainer.train_dataset), ("validation", trainer.eval_dataset))
        },
    }


def main() -> None:
    """Read the options, run the cell and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="local model folder")
    parser.add_argument(
        "--examples",
        type=Path,
        required=True,
        help="JSON: labels, max_tokens, train, validation; with target texts also target_tokens, max_new_tokens",
    )
    parser.add_argument(
        "--technique", choices=["classifier_head", "freeze", "lora", "prefix_tuning", "full"], required=True
    )
    parser.add_argument("--fresh", nargs="*", default=[], help="modules that the checkpoint lacks or never trained")
    parser.add_argument("--tokenizer", type=json.loads, default={}, help="JSON: options of from_pretrained")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--evaluation-batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--warmup-fraction", type=float, default=0.06)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--save", choices=["best", "epoch"], default="best", help="best: only where the score rose")
    parser.add_argument("--dataloader-workers", type=int, default=0, help="0 is fastest: token ids need no work")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--result", type=Path, required=True, help="file for the figures, JSON")
    options = parser.parse_args()
    options.result.write_text(json.dumps(run(options)), "utf-8")


if __name__ == "__main__":
    main()
