"""Twenty steps of our loop against HF Trainer's, on the same batches: the instrument measures what people know."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from tunebench.engine import train
from tunebench.engine.batching import plan_epoch
from tunebench.engine.events import Step
from tunebench.engine.precision import make_accelerator
from tunebench.engine.sources import TokenSource
from tunebench.engine.weights import Resume
from tunebench.families import families
from tunebench.objectives import objectives
from tunebench.study import Training
from tunebench.tasks import load as data
from tunebench.tasks import tasks
from tunebench.techniques import techniques
from tunebench.techniques.base import Trained

STEPS, BATCH, SEED = 20, 8, 3


class Rows(Dataset):
    """The features in the order of our plan, so that Trainer's sequential batches are ours."""

    def __init__(self, features: Any, order: list[int]):
        self.features, self.order = features, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> int:
        return self.order[index]


@pytest.mark.parametrize("name", ["full", "lora", "classifier_head"])
@pytest.mark.parametrize("task", ["emotion", "similarity", "ner"])
def test_twenty_steps_have_the_losses_of_hf_trainer(
    task: str, name: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    record = tasks()[task]
    family = families()["bert"]
    examples = data.load(record, data_root)
    tokenizer = family.tokenizer(backbones["bert"])
    objective = objectives()[record.objective](record, examples.labels, tokenizer, max_tokens=64)
    gold = examples.splits["train"]
    features = objective.encode([gold[index % len(gold)] for index in range(STEPS * BATCH)])
    # One gradient descends alike only without dropout: the masks are drawn in another order.
    settings: dict[str, Any] = {"learning_rate": 1e-3} | ({} if name == "full" else {"dropout": 0.0})

    def fresh() -> Any:
        torch.manual_seed(SEED)
        model = family.load(backbones["bert"], record.objective, objective.head(examples.labels))
        model = techniques()[name](**settings).apply(model, family, STEPS)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        return model

    budget = Training(epochs=1, batch_size=BATCH, warmup_fraction=0.1, precision="float32", weight_decay=0.01)
    accelerator, _ = make_accelerator("float32", tmp_path, None)
    ours, technique = fresh().to(accelerator.device), techniques()[name](**settings)
    assert isinstance(technique, Trained)
    losses: list[float] = []
    train.fit(
        train.TrainingSetup(
            model=ours,
            network=ours,
            groups=technique.parameter_groups(ours, family, budget.weight_decay),
            source=TokenSource(objective, features, accelerator.device),
            objective=objective,
            autocast=accelerator.autocast,
            validate=lambda: {"loss": 0.0},
            main_metric=("loss", True),
            on_best=lambda: None,
            technique=technique,
        ),
        budget,
        SEED,
        Resume(tmp_path / "resume", tmp_path / "best", ""),
        lambda event: losses.append(event.loss) if isinstance(event, Step) else None,
    )
    plan = plan_epoch(features.lengths, BATCH, SEED, 0)
    theirs, model = trainer_losses(fresh(), objective, features, plan, tmp_path)
    assert len(losses) == len(theirs) == STEPS
    assert losses == pytest.approx(theirs, rel=1e-4)
    assert min(losses[-5:]) < losses[0]
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for n, p in ours.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(p, trained[n], rtol=1e-3, atol=1e-4)


def trainer_losses(
    model: Any, objective: Any, features: Any, plan: list[list[int]], folder: Path
) -> tuple[list[float], Any]:
    """HF Trainer with the same AdamW, warm-up, decay and clipping, fed our batches in our order."""
    from transformers import Trainer, TrainingArguments

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        learning_rate=1e-3,
        weight_decay=0.01,
        warmup_steps=2,
        lr_scheduler_type="linear",
        max_grad_norm=1.0,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        seed=SEED,
        label_names=["labels"],
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = InOrder(
        model=model,
        args=arguments,
        train_dataset=Rows(features, [index for batch in plan for index in batch]),
        data_collator=lambda indices: objective.collate(features, indices),
    )
    trainer.train()
    return [row["loss"] for row in trainer.state.log_history if "loss" in row], trainer.model
