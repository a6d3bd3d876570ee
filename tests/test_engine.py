"""The instrument's parts: dropout masks, rates, kept trunks, precision, failures, trackers, hub commits."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import T5Config, T5ForConditionalGeneration
from transformers.activations import NewGELUActivation

from tests.contracts.runs import job_of, make, make_run
from tunebench._util.errors import RunError
from tunebench.engine import cut, train
from tunebench.engine.activation import use_fused_gelu
from tunebench.engine.dropout import FastDropout, attention, scaled_mask
from tunebench.engine.events import Testing
from tunebench.engine.measure import peak_memory, reset_peak_memory
from tunebench.engine.precision import resolve_precision
from tunebench.engine.schedule import rate_factor
from tunebench.engine.seeds import STEP, seed_of, seed_torch, seeds_of_steps
from tunebench.run.execute import execute
from tunebench.study import Places


def test_a_step_draws_the_numbers_that_torchs_own_seeding_gives() -> None:
    seeds = seeds_of_steps(3, 1, 9)
    seed_torch(seeds[7])
    drawn = torch.rand(5)
    torch.manual_seed(seed_of(3, STEP, 1, 7, 0))
    assert torch.equal(drawn, torch.rand(5))
    seed_torch(seeds[8])
    assert not torch.equal(drawn, torch.rand(5))


def test_a_mask_drops_at_its_rate_and_keeps_the_expectation() -> None:
    torch.manual_seed(0)
    mask = scaled_mask(torch.empty(1000, 1001), 0.1)
    dropped = (mask == 0).float().mean().item()
    assert dropped == pytest.approx(0.1, abs=0.001)
    assert mask.mean().item() == pytest.approx(1.0, abs=0.001)
    assert mask.unique().tolist() == pytest.approx([0.0, 65536 / (65536 - 6554)], rel=1e-6)
    columns = (mask == 0).float().mean(0)
    assert (columns - 0.1).abs().max() < 0.06  # no position is favoured


def test_a_mask_is_a_function_of_the_seed() -> None:
    like = torch.empty(7, 13)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(scaled_mask(like, 0.5))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_neighbouring_masks_are_independent() -> None:
    torch.manual_seed(0)
    kept = (scaled_mask(torch.empty(400_000), 0.5) > 0).float()
    for shift in (1, 2, 3, 4):
        assert torch.corrcoef(torch.stack([kept[:-shift], kept[shift:]]))[0, 1].abs() < 0.01


def test_dropout_does_nothing_in_evaluation_and_at_rate_zero() -> None:
    x = torch.randn(5, 5)
    assert torch.equal(FastDropout(0.5).eval()(x), x)
    assert torch.equal(FastDropout(0.0).train()(x), x)
    assert FastDropout(1.0).train()(x).abs().sum() == 0


def test_attention_with_dropout_has_torchs_expectation() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 9, 8) for _ in range(3))
    mask = torch.ones(2, 1, 9, 9, dtype=torch.bool)
    mask[0, ..., 6:] = False
    module = torch.nn.Module()
    module.is_causal = False  # type: ignore[assignment]
    expected = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)
    plain, _ = attention(module, query, key, value, mask)
    torch.testing.assert_close(plain, expected)
    mean = torch.stack([attention(module, query, key, value, mask, dropout=0.1)[0] for _ in range(3000)]).mean(0)
    torch.testing.assert_close(mean, expected, atol=0.05, rtol=0)


def test_rates_rise_over_the_warm_up_and_fall_to_zero() -> None:
    factors = [rate_factor(step, 10, 4) for step in range(11)]
    assert factors == pytest.approx([0, 0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0])
    assert rate_factor(0, 10, 0) == 1.0


def test_the_inverse_square_root_schedule_is_that_of_the_paper() -> None:
    width, warmup, peak = 512, 4000, (512 * 4000) ** -0.5
    for number in (1, 17, 3999, 4000, 4001, 100_000):
        expected = width**-0.5 * min(number**-0.5, number * warmup**-1.5)
        assert peak * rate_factor(number - 1, 1, warmup, "inverse_square_root") == pytest.approx(expected)
    assert [rate_factor(step, 1, 0, "inverse_square_root") for step in (0, 3)] == [1.0, 0.5]


def test_a_study_may_choose_its_schedule(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    runs = [
        make_run(backbones["bert"], data_root, "emotion", "full", schedule=s, warmup_fraction=0.5, epochs=1)
        for s in ("linear", "inverse_square_root")
    ]
    losses = [make(run, tmp_path / str(number)).history[0].train_loss for number, run in enumerate(runs)]
    assert losses[0] != losses[1]
    assert runs[0].id != runs[1].id


def test_auto_precision_is_float32_where_bf16_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, expected in (("fpu avx2", "float32"), ("fpu avx512_bf16 amx_bf16", "bf16")):
        monkeypatch.setattr(Path, "read_text", lambda self, flags=flags: f"flags : {flags}")
        assert resolve_precision("auto", torch.device("cpu")) == expected
    assert resolve_precision("float32", torch.device("cpu")) == "float32"


@pytest.mark.parametrize("technique", ["freeze", "classifier_head"])
@pytest.mark.parametrize("task", ["emotion", "ner"])
def test_a_kept_trunk_gives_the_run_that_computes_it(
    task: str, technique: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    kept = make(make_run(backbones["bert"], data_root, task, technique), tmp_path / "kept")
    computed = make(make_run(backbones["bert"], data_root, task, technique, cache_gigabytes=0), tmp_path / "computed")
    assert kept.cost.cached
    assert [n.code for n in kept.notices if "cached" in n.code] == ["cached"]
    assert not computed.cost.cached
    assert [n.code for n in computed.notices if "cached" in n.code] == ["uncached"]
    assert kept.run.id == computed.run.id
    losses = [[epoch.train_loss for epoch in result.history] for result in (kept, computed)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert kept.metrics.test == pytest.approx(computed.metrics.test, abs=1e-6)


def test_runs_that_share_a_frozen_trunk_share_its_entry(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    make(make_run(backbones["bert"], data_root, "emotion", "untuned"), tmp_path / "a", cache=cache)
    entries = {path.name: path.stat().st_mtime_ns for path in cache.glob("*.safetensors")}
    head = make_run(backbones["bert"], data_root, "emotion", {"name": "classifier_head", "learning_rate": 1e-2})
    make(head, tmp_path / "b", cache=cache)
    assert set(entries) < {path.name for path in cache.glob("*.safetensors")}
    assert len(list(cache.glob("*.safetensors"))) == 3  # validation and test were there; train is new


def test_outputs_that_an_older_computation_kept_are_not_read(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, entries = make_run(backbones["bert"], data_root, "emotion", "untuned"), []
    for number in (1, 2):
        monkeypatch.setattr(cut, "_COMPUTATION", number)
        make(run, tmp_path / str(number), cache=tmp_path / "cache")
        entries.append(len(list((tmp_path / "cache").glob("*.safetensors"))))
    assert entries == [2, 4]


def test_a_loss_that_is_not_finite_ends_the_run_at_its_step(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_micro_batches", lambda training, indices, size: [(_poisoned(training, indices), 1.0)])
    run = make_run(backbones["bert"], data_root, "similarity", "full")
    with pytest.raises(RunError, match=r"the loss is nan at step 1; a lower learning rate may help"):
        execute(job_of(run, tmp_path), lambda event: None)


def _poisoned(training: Any, indices: list[int]) -> Any:
    batch = training.source.batch(indices)
    return {**batch, "labels": batch["labels"] * math.nan}


def test_early_stopping_keeps_the_best_epoch(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.7, 0.6, 0.7, 0.9])
    from tunebench.run import evaluate as module

    real = module.score
    monkeypatch.setattr(
        module,
        "score",
        lambda metrics, predictions, gold: (
            {m: next(scores) for m in metrics[:1]} | dict.fromkeys(metrics[1:], 0.0)
            if len(gold) == 36 and not done
            else real(metrics, predictions, gold)
        ),
    )
    done: list[bool] = []
    run = make_run(backbones["bert"], data_root, "emotion", "classifier_head", epochs=5, patience=2)
    result = make(run, tmp_path, lambda event: done.append(True) if isinstance(event, Testing) else None)
    assert (result.best_epoch, result.cost.epochs) == (2, 4)  # an equal score is no better one
    assert result.metrics.validation["weighted_f1"] == 0.7


def test_a_new_peak_starts_with_each_run() -> None:
    big = torch.ones(60_000_000)
    del big
    high = peak_memory()
    reset_peak_memory()
    assert peak_memory() < high - 100_000_000


def test_a_tracker_gets_losses_and_scores(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = make_run(backbones["bert"], data_root, "emotion", "classifier_head")
    execute(job_of(run, tmp_path, track="tensorboard"), lambda event: None)
    folders = {path.parent for path in tmp_path.rglob("events.out.tfevents*")}
    tags = {tag for folder in folders for tag in EventAccumulator(str(folder)).Reload().Tags()["scalars"]}
    assert {"train/loss", "validation/weighted_f1"} <= tags


def test_the_result_names_the_commits_that_the_hub_resolved(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    import huggingface_hub

    def snapshot(repository: str, repo_type: str = "model", **options: Any) -> str:
        commit = tmp_path / repo_type / ("c0ffee" if repo_type == "model" else "decade")
        if not commit.exists():
            source = backbones["bert"] if repo_type == "model" else data_root / "emotion"
            shutil.copytree(source, commit if repo_type == "model" else commit / "split")
            for path in commit.glob("split/*.parquet"):
                path.rename(path.with_name(f"{path.stem}-00000-of-00001.parquet"))
        assert options["revision"] == ("v2" if repo_type == "model" else "main")
        return str(commit)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    run = make_run(backbones["bert"], data_root, "emotion", "classifier_head")
    run = run.model_copy(update={"model": "bert-base-uncased", "revision": "v2"})
    result = make(run, tmp_path / "run", places=Places())
    assert result.backbone is not None
    assert (result.backbone.source, result.backbone.commit) == ("bert-base-uncased", "c0ffee")
    assert result.data.source == "dair-ai/emotion@decade"
    assert json.loads((tmp_path / "run/result.json").read_text())["run"]["revision"] == "v2"


def test_flan_t5s_gated_gelu_is_replaced_too() -> None:
    shape = {"d_model": 16, "d_ff": 32, "d_kv": 8, "num_heads": 2, "num_layers": 1, "vocab_size": 20}
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(**shape, feed_forward_proj="gated-gelu")).eval()
    ids = {"input_ids": torch.arange(2, 10)[None], "decoder_input_ids": torch.arange(5)[None]}
    with torch.no_grad():
        before = model(**ids).logits
        use_fused_gelu(model)
        assert not any(isinstance(module, NewGELUActivation) for module in model.modules())
        torch.testing.assert_close(model(**ids).logits, before)


def test_one_kernel_of_gpt2s_gelu_is_nearer_to_the_function_than_eight_in_bf16() -> None:
    model = torch.nn.Sequential(NewGELUActivation())
    x = torch.linspace(-6, 6, 10_001)
    exact, rounded = model(x.double()), model(x.bfloat16()).double()
    use_fused_gelu(model)
    assert torch.allclose(model(x).double(), exact, atol=1e-6)
    wanted = torch.nn.functional.gelu(x.bfloat16().double(), approximate="tanh")
    assert (model(x.bfloat16()).double() - wanted).abs().mean() < (rounded - wanted).abs().mean()


@pytest.mark.parametrize("error", [TypeError, OSError, AttributeError])
def test_a_run_begins_where_the_c_library_cannot_be_opened(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str | None) -> None:
        raise error("as on Windows")

    monkeypatch.setattr("ctypes.CDLL", refuse)
    reset_peak_memory()
    assert peak_memory() > 0
