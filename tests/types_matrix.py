"""What works on every text `model_type` of transformers: `python -m tests.types_matrix` writes docs/types.yaml.

A tiny model of each type is made from a configuration, and every technique trains it for a step on every objective.
"""

import sys
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml

from tests.tiny_types import tiny_values
from tunebench._util.errors import UserError
from tunebench.engine.precision import autocast_of
from tunebench.engine.proof import proven_split
from tunebench.families import family_of
from tunebench.families.base import Family
from tunebench.families.structure.types import shape_of, text_types
from tunebench.objectives import objectives
from tunebench.techniques import techniques

FILE = Path(__file__).parents[1] / "docs" / "types.yaml"
HEADS = ("sequence_classification", "token_classification", "question_answering", "causal_lm", "text_to_text")
"""Objectives; multi-label classification and regression have the class of sequence classification."""
TRIED: dict[str, dict[str, Any]] = {
    "full": {},
    "freeze": {"frozen_layers": 1},
    "classifier_head": {},
    "lora": {},
    "ia3": {},
    "bottleneck_adapter": {"reduction": 2},
    "prompt_tuning": {"prefix_length": 4},
    "p_tuning_v2": {"prefix_length": 4},
}
"""Technique -> its settings. llrd trains what full trains; dora, adalora and peft wrap the modules that lora wraps;
prefix_tuning gives attention the keys and values that p_tuning_v2 gives it."""
WORDS, TOKENS = 100, 9
LARGEST = 3_000_000
"""Parameters of a model that is trained here."""

NOT_MADE = (
    *("bailing_hybrid", "dots1", "funnel", "gemma4_assistant", "gemma4_unified_assistant", "led", "longformer"),
    *("mistral4", "nemotron", "qwen4_exp", "qwen4_exp_text", "zamba", "zaya"),
)
"""Types whose tiny configuration does not make a sound model yet."""

Row = dict[str, Any]


def row(kind: str, trained: bool = True) -> Row:
    """What works on a type: its shape and heads, which techniques do not apply and why, where it trains uncut.

    Not `trained`: only its parts are looked at.
    """
    if kind in NOT_MADE:
        return {"shape": shape_of(kind), "untried": True}
    values = tiny_values(kind, WORDS)
    found: Row = {"shape": shape_of(kind)}
    try:
        family = family_of(values)
        assert family is not None, "text_types gives no other"
        family.examine()
        found["shape"] = family.architecture
    except UserError as error:
        return {**found, "refused": " ".join(str(error).split())[:300]}
    trained = trained and size(family, values) <= LARGEST
    found["heads"] = [head for head in HEADS if head in family.auto_classes]
    refused, uncut, fails = {}, {}, {}
    for head in found["heads"]:
        for name, settings in TRIED.items():
            entry: Any = techniques()[name].model_validate(settings)
            reason = entry.not_applicable(family, head)
            if reason:
                refused.setdefault(name, reason)
                continue
            outcome = "works" if not trained else trial(values, family, head, entry)
            if outcome != "works":
                (uncut if outcome == "uncut" else fails).setdefault(head, {})[name] = outcome
    found |= {"not_applicable": refused} if refused else {}
    found |= {} if trained else {"trained": False}
    found |= {"uncut": {head: sorted(names) for head, names in uncut.items()}} if uncut else {}
    return found | ({"fails": fails} if fails else {})


def size(family: Family, values: dict[str, Any]) -> int:
    """Parameters of a model: some configurations hold others, which the tiny one leaves as large as they are."""
    model = family.skeleton(values, next(iter(family.auto_classes)), {})
    return sum(p.numel() for p in model.parameters())


def trial(values: dict[str, Any], family: Family, head: str, entry: Any) -> str:
    """One training step of a technique: "works", "uncut" where the model cannot be cut, or what went wrong."""
    torch.manual_seed(0)
    settings = objectives()[head].head(("a", "b", "c"))
    try:
        model = entry.apply(drawn(values, family, head, settings), family, 100)
        batch = batch_of(head)
        depth = family.frozen_depth(model)
        split = None
        if depth:
            autocast = autocast_of(torch.device("cpu"), "float32")
            pooled = objectives()[head].pooled
            split = proven_split(model.eval(), family, depth, pooled, lambda: batch, autocast, torch.float32)
        if split is None:
            model.train()(**batch).loss.backward()
        else:
            inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
            with torch.no_grad():
                states = split.trunk(**inputs)
            seen = {} if split.one_vector else {"attention_mask": batch["attention_mask"]}
            split.tail.train()(inputs_embeds=states, labels=batch["labels"], **seen).loss.backward()
    except Exception as error:  # noqa: BLE001 (the table says what went wrong)
        return f"{type(error).__name__}: {error}".split("\n")[0][:200]
    gradients = [p.grad for p in model.parameters() if p.requires_grad and p.grad is not None]
    if not gradients or not all(bool(g.isfinite().all()) for g in gradients):
        return "nothing learns" if not gradients else "a gradient is not finite"
    return "works" if split or not depth else "uncut"


def drawn(values: dict[str, Any], family: Family, head: str, settings: dict[str, Any]) -> Any:
    """A model whose random weights are large enough to tell texts apart."""
    model: Any = family.draw(values, head, settings)
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            torch.nn.init.normal_(parameter, std=0.2 if "emb" in name else 0.15)
    return model


def batch_of(head: str) -> dict[str, torch.Tensor]:
    """Two texts, the second of which is shorter."""
    ids = torch.randint(5, WORDS, (2, TOKENS), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, TOKENS, dtype=torch.long)
    mask[1, 6:], ids[1, 6:] = 0, 0
    labels = {
        "sequence_classification": torch.tensor([0, 2]),
        "token_classification": ids.clamp(0, 2).masked_fill(mask == 0, -100),
        "question_answering": torch.tensor([[1, 2], [3, 4]]),
        "causal_lm": ids.masked_fill(mask == 0, -100),
        "text_to_text": ids[:, :5].contiguous(),
    }
    return {"input_ids": ids, "attention_mask": mask, "labels": labels[head]}


def main(kinds: list[str]) -> None:
    """Write the rows of these types, or of all, into the file."""
    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    known: dict[str, Any] = yaml.safe_load(FILE.read_text()) if FILE.exists() and kinds else {"types": {}}
    for kind in kinds or text_types():
        known["types"][kind] = row(kind)
        sys.stdout.write(f"{kind} {known['types'][kind]}\n")
        sys.stdout.flush()
    known = {"transformers": metadata.version("transformers"), "types": dict(sorted(known["types"].items()))}
    FILE.write_text(yaml.safe_dump(known, sort_keys=False, width=150))


if __name__ == "__main__":
    main(sys.argv[1:])
