"""What techniques do is what their papers publish, computed here a second time from the formulas."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor
from torch.nn import functional

from tests.contracts.runs import make, make_run
from tunebench._util.errors import UserError
from tunebench.engine.measure import count_parameters
from tunebench.evaluation.metrics import METRICS
from tunebench.families import families
from tunebench.objectives import objectives
from tunebench.study import Study
from tunebench.techniques import techniques
from tunebench.zoo import checkpoints


def applied(folder: Path, objective: str, name: str, **settings: Any) -> tuple[Any, Any]:
    """A technique, and a tiny model that it was applied to."""
    family = checkpoints.find(str(folder)).family
    torch.manual_seed(0)
    model = family.load(folder, objective, objectives()[objective].head(("a", "b")))
    technique: Any = techniques()[name](**settings)
    return technique, technique.apply(model, family, 10)


# Weight decay ---------------------------------------------------------------------------------------------------------

DIAGONALS = {"type": "RANDLORA", "r": 4, "target_modules": ["query"]}
DECAY: list[tuple[str, dict[str, Any], str, bool]] = [
    ("ia3", {}, ".ia3_l.", False),
    ("peft", {"type": "IA3", "target_modules": ["key"], "feedforward_modules": []}, ".ia3_l.", False),
    ("peft", {"type": "BOFT", "target_modules": ["query"]}, ".boft_s.", False),
    ("peft", {"type": "BEFT", "target_modules": ["query"]}, ".beft_bias.", False),
    ("peft", DIAGONALS, ".randlora_lambda.", False),
    ("peft", DIAGONALS, ".randlora_gamma.", False),
    ("peft", {"type": "VERA", "target_modules": ["query"], "save_projection": True}, ".vera_lambda_b.", False),
    ("adalora", {}, ".lora_E.", False),
    ("adalora", {"initial_rank": 1, "target_rank": 1}, ".lora_A.", True),
    ("dora", {"rank": 1}, ".lora_magnitude_vector.", False),
    ("dora", {"rank": 1}, ".lora_A.", True),
    ("lora", {"rank": 1}, ".lora_B.", True),
    ("lora", {}, "classifier.modules_to_save.default.weight", True),
    ("ia3", {}, "classifier.modules_to_save.default.weight", True),
    ("full", {}, "classifier.weight", True),
    ("full", {}, "LayerNorm.weight", False),
    ("full", {}, "word_embeddings.weight", True),
    ("prompt_tuning", {"prefix_length": 1}, "prompt", True),
    ("bottleneck_adapter", {"reduction": 32}, ".down.weight", True),
]


@pytest.mark.parametrize(("name", "settings", "part", "decays"), DECAY)
def test_weight_decay_pulls_matrices_and_embeddings_and_leaves_vectors_however_they_are_stored(
    name: str, settings: dict[str, Any], part: str, decays: bool, backbones: dict[str, Path]
) -> None:
    """Without a gradient a step of AdamW multiplies by 1 - rate x decay, or by 1."""
    technique, model = applied(backbones["bert"], "regression", name, **settings)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for parameter in trained.values():
        parameter.grad = torch.zeros_like(parameter)
        with torch.no_grad():
            parameter.fill_(1.0)
    groups = technique.parameter_groups(model, families()["bert"], 0.25)
    torch.optim.AdamW([{**group, "lr": 0.5} for group in groups]).step()
    after = [p for n, p in trained.items() if part in f".{n}."]
    assert after
    for parameter in after:
        assert torch.equal(parameter, torch.full_like(parameter, 1 - 0.5 * 0.25 if decays else 1.0))


def test_what_rescales_in_ia3_stays_at_one_where_the_loss_says_nothing(backbones: dict[str, Path]) -> None:
    technique, model = applied(backbones["bert"], "regression", "ia3")
    vectors = [p for n, p in model.named_parameters() if "ia3_l" in n]
    optimizer = torch.optim.AdamW(technique.parameter_groups(model, families()["bert"], 0.9))
    for _ in range(5):
        for parameter in vectors:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    assert len(vectors) == 3 * 4
    assert all(p.ndim == 2 and bool((p == 1).all()) for p in vectors)


# Bottleneck adapters --------------------------------------------------------------------------------------------------


def excite(model: Any) -> dict[str, Tensor]:
    """Let every adapter change what it reads; returns the model's weights."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".adapter." in name:
                parameter.normal_(std=0.7)
            if name.endswith(("LayerNorm.weight", "LayerNorm.bias", "ln_2.weight", "layer_norm.weight")):
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return dict(model.state_dict())


class Formulas:
    """One layer of a model, from its weights alone."""

    def __init__(self, weights: dict[str, Tensor], layer: str):
        self.weights, self.layer = weights, layer

    def linear(self, name: str, states: Tensor) -> Tensor:
        weight, bias = (self.weights[f"{self.layer}.{name}.{kind}"] for kind in ("weight", "bias"))
        return states @ weight.T + bias

    def norm(self, name: str, states: Tensor) -> Tensor:
        weight, bias = (self.weights[f"{self.layer}.{name}.{kind}"] for kind in ("weight", "bias"))
        centred = states - states.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt() * weight + bias

    def adapter(self, place: str, states: Tensor) -> Tensor:
        """W_up relu(W_down x + b_down) + b_up."""
        return self.linear(f"{place}.adapter.up", self.linear(f"{place}.adapter.down", states).clamp(min=0))

    def attention(self, states: Tensor, heads: int) -> Tensor:
        query, key, value = (
            self.linear(f"attention.self.{name}", states).unflatten(-1, (heads, -1)).transpose(0, 1)
            for name in ("query", "key", "value")
        )
        looked = (query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])).softmax(-1)
        return (looked @ value).transpose(0, 1).flatten(1)


def seen(module: Any, call: Any) -> tuple[Tensor, Tensor]:
    """What enters and leaves a module during a call, (tokens, hidden) of one text each."""
    passed: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda _, args, output: passed.append((args[0][0], output[0])))
    with torch.no_grad():
        call()
    handle.remove()
    return passed[0]


@pytest.mark.parametrize("placement", ["pfeiffer", "houlsby"])
def test_adapters_of_bert_stand_where_their_paper_puts_them(placement: str, backbones: dict[str, Path]) -> None:
    """Houlsby et al. 2019, figure 2; Pfeiffer et al. 2020 (MAD-X), equation 1 and figure 2."""
    _, model = applied(backbones["bert"], "regression", "bottleneck_adapter", placement=placement, reduction=2)
    formulas = Formulas(excite(model), "bert.encoder.layer.2")
    layer = model.eval().bert.encoder.layer[2]
    entered, left = seen(layer, lambda: model(input_ids=torch.tensor([[5, 9, 14, 21]])))

    attended = formulas.linear("attention.output.dense", formulas.attention(entered, heads=2))
    if placement == "houlsby":
        attended = attended + formulas.adapter("attention.output.dense", attended)
    middle = formulas.norm("attention.output.LayerNorm", attended + entered)
    residual = formulas.linear("output.dense", functional.gelu(formulas.linear("intermediate.dense", middle)))
    if placement == "houlsby":
        adapted = residual + formulas.adapter("output.dense", residual)
    else:
        normed = formulas.norm("output.LayerNorm", residual + middle)
        adapted = residual + formulas.adapter("output.LayerNorm", normed)
    torch.testing.assert_close(left, formulas.norm("output.LayerNorm", adapted + middle), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "objective", "end"),
    [
        ("gpt2", "regression", lambda model: model.transformer.h[1]),
        ("llama", "regression", lambda model: model.model.layers[1]),
        ("modernbert", "regression", lambda model: model.model.layers[1]),
        ("t5", "text_to_text", lambda model: model.decoder.block[1].layer[2]),
        ("t5", "text_to_text", lambda model: model.encoder.block[1].layer[1]),
    ],
)
def test_a_pfeiffer_adapter_reads_the_sum_where_a_layer_normalises_first(
    kind: str, objective: str, end: Any, backbones: dict[str, Path]
) -> None:
    """AdapterHub's `seq_bn` on GPT-2 and T5: without a norm after the addition the adapter reads h + residual."""
    _, model = applied(backbones[kind], objective, "bottleneck_adapter", reduction=2)
    module, weights = end(model.eval()), excite(model)
    name = next(name for name, other in model.named_modules() if other is module)
    batch = {"input_ids": torch.tensor([[5, 9, 14, 21]])}
    if objective == "text_to_text":
        batch["labels"] = torch.tensor([[7, 8]])
    entered, left = seen(module, lambda: model(**batch))
    with torch.no_grad():
        plain = module.forward(entered[None], **call_of(module, model, batch))[0]  # as it is without hooks
    formulas = Formulas(weights, name)
    inner = formulas.linear("adapter.down", plain).clamp(min=0)
    torch.testing.assert_close(left, plain + formulas.linear("adapter.up", inner))


def call_of(module: Any, model: Any, batch: dict[str, Tensor]) -> dict[str, Any]:
    """The other arguments with which a model calls one of its layers."""
    kept: dict[str, Any] = {}
    handle = module.register_forward_pre_hook(lambda _, args, kwargs: kept.update(kwargs), with_kwargs=True)
    with torch.no_grad():
        model(**batch)
    handle.remove()
    return kept


def test_adapters_of_houlsby_train_every_norm_and_those_of_pfeiffer_none() -> None:
    """On BERT-base: two norms per layer and that of the embeddings, 2 x 768 each."""
    checkpoint = checkpoints.find("bert-base-uncased")
    counted = {}
    for placement in ("houlsby", "pfeiffer"):
        head = objectives()["sequence_classification"].head(("a", "b", "c"))
        skeleton = checkpoint.family.skeleton(checkpoint.config, "sequence_classification", head)
        model = techniques()["bottleneck_adapter"](placement=placement).apply(skeleton, checkpoint.family, 1)  # type: ignore
        counted[placement] = count_parameters(model, checkpoint.family).technique
        normal = {n for n, p in model.named_parameters() if "LayerNorm" in n and "adapter" not in n and p.requires_grad}
        assert len(normal) == (2 * 25 if placement == "houlsby" else 0)
    adapter = 768 * 48 + 48 + 48 * 768 + 768
    assert counted == {"houlsby": 24 * adapter + 25 * 2 * 768, "pfeiffer": 12 * adapter}


# AdaLoRA --------------------------------------------------------------------------------------------------------------


def test_adalora_keeps_an_epoch_with_the_target_ranks_although_an_earlier_one_scored_better(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    monkeypatch.setattr(
        "tunebench.run.evaluate.EpochComparison.scores", lambda *_: dict.fromkeys(METRICS, next(scores))
    )
    settings = {"name": "adalora", "initial_rank": 6, "target_rank": 3, "warmup": 0.1, "final": 0.4, "every": 3}
    done = make(make_run(backbones["bert"], data_root, "emotion", settings, epochs=6, patience=1), tmp_path)

    # 60 % of 72 steps are over within the fourth epoch; patience counts from there.
    assert (done.best_epoch, len(done.history)) == (4, 5)
    kept = {name: tensor for name, tensor in load_file(tmp_path / "best.safetensors").items() if "lora_E" in name}
    assert sum(np.count_nonzero(tensor) for tensor in kept.values()) == 3 * len(kept) == 3 * 8


def test_adalora_that_takes_no_rank_away_keeps_its_best_epoch_and_stops_by_patience(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.9, 0.8, 0.7])
    monkeypatch.setattr(
        "tunebench.run.evaluate.EpochComparison.scores", lambda *_: dict.fromkeys(METRICS, next(scores))
    )
    settings = {"name": "adalora", "initial_rank": 4, "target_rank": 4}
    done = make(make_run(backbones["bert"], data_root, "emotion", settings, epochs=6, patience=2), tmp_path)
    assert (done.best_epoch, len(done.history)) == (1, 3)


@pytest.mark.parametrize(("steps", "settings"), [(1, {}), (3, {"warmup": 0.5, "final": 0.4})])
def test_adalora_refuses_a_training_without_a_step_in_which_ranks_decrease(
    steps: int, settings: dict[str, Any], backbones: dict[str, Path]
) -> None:
    family = families()["bert"]
    model = family.load(backbones["bert"], "regression", objectives()["regression"].head(()))
    technique: Any = techniques()["adalora"](**settings)
    with pytest.raises(UserError, match=f"of {steps} optimizer step.* none is left in which ranks decrease"):
        technique.apply(model, family, steps)


@pytest.mark.parametrize("steps", [2, 3, 7, 40])
def test_adalora_reaches_its_target_by_the_last_step_even_with_no_final_phase(
    steps: int, backbones: dict[str, Path]
) -> None:
    technique, _ = applied(backbones["bert"], "regression", "adalora", initial_rank=6, target_rank=2, final=0)
    family = families()["bert"]
    model = technique.apply(
        family.load(backbones["bert"], "regression", objectives()["regression"].head(())), family, steps
    )
    torch.manual_seed(1)
    for step in range(steps):
        for name, parameter in model.named_parameters():
            if "lora_" in name and parameter.requires_grad:
                parameter.grad = torch.randn_like(parameter)
                with torch.no_grad():
                    parameter.add_(parameter.grad, alpha=0.01)
        assert not technique.may_be_best(model)
        technique.after_step(model, step)
    assert technique.may_be_best(model)
    assert sum(technique.summary(model)["ranks"].values()) == 2 * 8


# Scores and scales ----------------------------------------------------------------------------------------------------


def test_a_score_of_minus_one_hundred_counts_in_every_micro_batch(backbones: dict[str, Path], tmp_path: Path) -> None:
    data = tmp_path / "scores.csv"
    words = ("happy", "gloomy", "furious", "afraid")
    rows = [f"i feel {words[n % 4]},{(-100.0, -100.0, -99.0, 3.5)[n % 4]}" for n in range(80)]
    data.write_text("\n".join(["text,label", *rows]) + "\n")
    task = {"objective": "regression", "data": str(data), "split": {"seed": 1}}
    settings = {"name": "classifier_head", "dropout": 0}  # nothing is dropped, so that only the parts differ
    kept = {}
    for size in (None, 1, 3):
        run = make_run(backbones["gpt2"], tmp_path, task, settings, micro_batch_size=size)
        assert make(run, tmp_path / f"run-{size}").status == "done"
        kept[size] = load_file(tmp_path / f"run-{size}" / "best.safetensors")
    for size in (1, 3):
        for name, tensor in kept[None].items():
            np.testing.assert_allclose(kept[size][name], tensor, rtol=1e-4, atol=1e-6, err_msg=name)


def test_every_text_is_a_term_of_the_loss_whatever_its_score(backbones: dict[str, Path]) -> None:
    task = (
        Study.model_validate(
            {"name": "s", "experiments": [{"model": "m", "task": "similarity", "techniques": ["full"]}]}
        )
        .runs()[0]
        .task
    )
    tokenizer = families()["bert"].tokenizer(backbones["bert"])
    regression = objectives()["regression"](task, (), tokenizer, max_tokens=8)
    labels = torch.tensor([-100.0, 2.0, -100.0])
    assert regression.loss_terms(labels) == 3
    predicted = torch.tensor([1.0, 2.0, 3.0])
    halves = (slice(2), slice(2, 3))
    parts = [functional.mse_loss(predicted[half], labels[half]) * len(labels[half]) / 3 for half in halves]
    assert float(sum(parts)) == pytest.approx(np.mean((predicted.numpy() - labels.numpy()) ** 2))


def test_lora_scales_its_update_by_two_at_its_defaults(backbones: dict[str, Path]) -> None:
    """16 / 8, as in roberta_base_*.sh of Hu et al.'s repository."""
    _, model = applied(backbones["bert"], "regression", "lora")
    layer = model.eval().base_model.model.bert.encoder.layer[0].attention.self.query
    torch.manual_seed(2)
    with torch.no_grad():
        layer.lora_B["default"].weight.normal_()
        states = torch.randn(3, 32)
        got = layer(states)
        first, second = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        plain = functional.linear(states, layer.base_layer.weight, layer.base_layer.bias)
    torch.testing.assert_close(got, plain + 2 * states @ (second @ first).T)


# What is made again ---------------------------------------------------------------------------------------------------


def test_only_runs_whose_figures_a_mended_technique_changes_have_other_ids_than_before() -> None:
    before = {
        "94fff8b6": "full",
        "6128bee0": "lora",
        "5e041eeb": "dora",
        "497bab09": "adalora",
        "afa52e8c": "ia3",
        "f426e8ad": "bottleneck_adapter",
        "3f730fa6": {"name": "bottleneck_adapter", "placement": "houlsby"},
        "83e2d398": {"name": "peft", "type": "VERA"},
        "758aa48a": {"name": "peft", "type": "IA3"},
        "1aaad020": "tfidf",
    }
    experiment = {"model": "bert-base-uncased", "task": "emotion", "techniques": list(before.values())}
    runs = Study.model_validate({"name": "s", "experiments": [experiment]}).runs()
    kept = {digest for digest, run in zip(before, runs, strict=True) if run.id.endswith(digest)}
    assert kept == {"94fff8b6", "6128bee0", "5e041eeb", "83e2d398", "1aaad020"}
