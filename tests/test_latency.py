"""What an answer takes is measured on one text, before and after merging, and changes nothing."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contracts.runs import make, make_run
from tests.contracts.test_techniques import choice, on_kinds
from tunebench._util.errors import UserError
from tunebench.engine import latency
from tunebench.run import execute as executing
from tunebench.serve import finished as serving
from tunebench.techniques import techniques

MERGES = {"lora", "dora", "adalora", "ia3", "peft"}


def test_every_technique_is_known_to_merge_or_not() -> None:
    assert set(techniques()) >= MERGES


@pytest.mark.parametrize(("name", "kind"), on_kinds(sorted(MERGES), "bert", ("bert", "fresh_pooler", "gpt2", "t5")))
def test_a_merged_model_gives_the_same_logits(
    name: str, kind: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones[kind], data_root, "emotion", choice(name), epochs=1)
    done = make(run, tmp_path)
    finished = serving.FinishedRun.load(tmp_path)
    model, objective = finished.model, finished.objective
    ids = torch.arange(10, 22).reshape(2, 6)
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if kind == "t5":
        inputs["decoder_input_ids"] = ids[:, :3]
    with torch.no_grad():
        before = model(**inputs).logits
        assert run.entry.merges(model)  # type: ignore[attr-defined]
        merged = run.entry.merged(model).eval()  # type: ignore[attr-defined]
        assert not any("lora" in name or "ia3" in name or "vera" in name for name, _ in merged.named_modules())
        assert torch.allclose(merged(**inputs).logits, before, atol=1e-5)
    assert done.cost.latency_seconds is not None and done.cost.latency_seconds > 0
    assert done.cost.merged_latency_seconds is not None and done.cost.merged_latency_seconds > 0
    assert objective is not None


@pytest.mark.parametrize(
    "name", ["full", "classifier_head", "bottleneck_adapter", "prompt_tuning", "prefix_tuning", "untuned", "tfidf"]
)
def test_what_cannot_be_merged_has_one_latency(
    name: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    cost = make(make_run(backbones["bert"], data_root, "emotion", choice(name), epochs=1), tmp_path).cost
    assert cost.latency_seconds is not None and cost.latency_seconds > 0
    assert cost.merged_latency_seconds is None
    assert (cost.latency_tokens is None) == (name == "tfidf")


def test_a_peft_method_whose_merge_raises_ends_its_run_and_says_so(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    lily = {"name": "peft", "type": "LILY", "r": 2, "target_modules": ["query"]}
    run = make_run(backbones["bert"], data_root, "emotion", lily, epochs=1)
    done = make(run, tmp_path)
    (notice,) = [notice for notice in done.notices if notice.code == "not_merged"]
    assert notice.message == (
        "The latency of the merged model could not be measured. peft: PEFT does not merge this adapter into the "
        "weights (NotImplementedError: This method is not supported for Lily)."
    )
    assert done.cost.latency_seconds is not None and done.cost.merged_latency_seconds is None
    with pytest.raises(UserError, match="peft: PEFT does not merge this adapter into the weights"):
        serving.export(tmp_path, tmp_path / "exported")


@pytest.mark.parametrize("task", ["ner", "instruction", "summarization", "question_answering"])
def test_every_way_to_answer_is_measured_on_a_text_of_median_length(
    task: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    kind = {"summarization": "t5", "instruction": "gpt2"}.get(task, "bert")
    run = make_run(backbones[kind], data_root, task, choice("lora"), epochs=1)
    cost = make(run, tmp_path).cost
    assert cost.latency_tokens is not None and cost.latency_tokens > 2
    assert cost.latency_seconds is not None and cost.merged_latency_seconds is not None


def test_measuring_draws_nothing_and_moves_no_figure(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(backbones["gpt2"], data_root, "instruction", choice("lora"), epochs=1)
    states: list[Any] = []
    measured = latency.latency

    def watched(*arguments: Any) -> Any:
        states.append(torch.get_rng_state())
        spent = measured(*arguments)
        states.append(torch.get_rng_state())
        return spent

    monkeypatch.setattr(executing, "latency", watched)
    with_it = make(run, tmp_path / "with")
    assert torch.equal(*states)
    monkeypatch.setattr(executing, "latency", lambda *arguments: latency.Latency(1.0))
    without = make(run, tmp_path / "without")
    assert (with_it.metrics, with_it.generation) == (without.metrics, without.generation)
    for name in ("best.safetensors", "predictions.jsonl", "adapter/adapter_model.safetensors"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()


def test_the_first_third_of_the_calls_is_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    durations = [0.09, 0.05, 0.02, 0.01, 0.03, 0.02, 0.02, 0.04]
    ends = [sum(durations[:n]) for n in range(len(durations) + 1)]
    ticks = itertools.chain.from_iterable(itertools.pairwise(ends))
    monkeypatch.setattr(latency, "_SECONDS", 0.25)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(ticks))
    assert latency.seconds(lambda: None) == pytest.approx(0.02)  # of 0.02, 0.01, 0.03, 0.02, 0.02, 0.04


@pytest.mark.parametrize(("length", "calls"), [(0.001, 30), (1.0, 3), (0.05, 5)])
def test_measuring_takes_a_quarter_of_a_second_or_three_calls(
    length: float, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.chain.from_iterable((n * length, (n + 1) * length) for n in itertools.count())
    monkeypatch.setattr(latency, "_SECONDS", 0.25)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(ticks))
    made: list[int] = []
    assert latency.seconds(lambda: made.append(1)) == pytest.approx(length)
    assert len(made) == calls


def test_the_middle_is_the_first_text_of_median_length() -> None:
    assert latency.middle([9, 4, 4, 7, 4]) == [4]
    assert latency.middle([5]) == [0]
