"""One question-answering cell by HF Seq2SeqTrainer and PEFT, written as a careful user would write it.

Nothing of tunebench is imported. `vs_trainer.py` starts this script; it also runs alone.
"""

import argparse
import collections
import json
import math
import re
import string
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    set_seed,
)

from timed import TimedSaving


class TimedTrainer(TimedSaving, Seq2SeqTrainer):
    """Seq2SeqTrainer with a stopwatch on what it saves."""


def tokenised(rows: list[list[Any]], tokenizer: Any, examples: dict[str, Any]) -> list[dict[str, Any]]:
    """[source, target, references] -> token ids, unpadded."""
    sources = tokenizer([row[0] for row in rows], truncation=True, max_length=examples["max_tokens"])
    targets = tokenizer(text_target=[row[1] for row in rows], truncation=True, max_length=examples["target_tokens"])
    return [
        {**{name: sources[name][index] for name in sources}, "labels": targets["input_ids"][index]}
        for index in range(len(rows))
    ]


def prepared(technique: str, model: Any) -> Any:
    """The model with what trains set."""
    if technique == "freeze":
        model.shared.requires_grad_(False)
        model.encoder.requires_grad_(False)
    elif technique == "lora":
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(
            task_type="SEQ_2_SEQ_LM", r=8, lora_alpha=16, lora_dropout=0.05, target_modules=["q", "v"]
        )  # fmt: skip
        model = get_peft_model(model, config)
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


def arguments(options: argparse.Namespace, rows: int, new_tokens: int) -> Seq2SeqTrainingArguments:
    """Seq2SeqTrainer's flags; answers are written greedily, as on tunebench's side."""
    steps = options.epochs * math.ceil(rows / options.batch_size)
    return Seq2SeqTrainingArguments(
        output_dir=str(options.out),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.evaluation_batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        warmup_steps=math.ceil(steps * options.warmup_fraction),
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        bf16=options.bf16,
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=torch.cuda.is_available(),
        predict_with_generate=True,
        generation_num_beams=1,
        generation_max_length=new_tokens + 1,  # with the token that a decoder begins with
        eval_strategy="epoch",
        save_strategy=options.save,
        save_only_model=True,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="score",
        greater_is_better=True,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        seed=options.seed,
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train, and say how long it took and what it reached."""
    examples = json.loads(options.examples.read_text("utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(options.model, **options.tokenizer)
    train, validation = (tokenised(examples[split], tokenizer, examples) for split in ("train", "validation"))
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

    trainer = TimedTrainer(
        prepared(options.technique, model),
        arguments(options, len(train), examples["max_new_tokens"]),
        data_collator=DataCollatorForSeq2Seq(tokenizer, model=model),
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
        compute_metrics=token_f1,
    )
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
            for split, rows in (("train", train), ("validation", validation))
        },
    }


def main() -> None:
    """Read the options, run the cell and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="local model folder")
    parser.add_argument("--examples", type=Path, required=True, help="JSON: limits, train, validation")
    parser.add_argument("--technique", choices=["freeze", "lora", "full"], required=True)
    parser.add_argument("--fresh", nargs="*", default=[], help="none: the pretrained head answers")
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
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--result", type=Path, required=True, help="file for the figures, JSON")
    options = parser.parse_args()
    options.result.write_text(json.dumps(run(options)), "utf-8")


if __name__ == "__main__":
    main()
