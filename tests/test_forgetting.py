"""What tuning makes a model forget: frozen backbones nothing, to the last bit, and nothing else changes by asking."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contracts.runs import LocatedRun, make, make_run
from tests.contracts.test_techniques import choice, on_kinds
from tests.records import Write, done
from tunebench.engine import forgetting
from tunebench.engine.forgetting import Probe
from tunebench.families import families
from tunebench.records import Cost, Done
from tunebench.report import results
from tunebench.study import Study
from tunebench.techniques import techniques
from tunebench.techniques.base import Technique
from tunebench.techniques.guide import guides
from tunebench.zoo import embedded
from tunebench.zoo.embedded import passages
from tunebench.zoo.pretraining.objectives.span_corruption import SpanCorruption

POCKET_BERT = embedded.backbones()["pocket-bert"]
FEW = {"name": "emotion", "rows": {"train": 32, "validation": 12, "test": 12}}


ASKED = ("bert", "gpt2", "modernbert")


@pytest.fixture(autouse=True)
def few_passages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "passages", lambda: passages()[:20])


def asking(folder: Path, data_root: Path, technique: Any, task: Any = FEW, **training: Any) -> LocatedRun:
    run = make_run(folder, data_root, task, technique, **{"epochs": 1, **training})
    asked = LocatedRun.model_validate({**run.model_dump(), "measure": ("forgetting",)})
    asked._places = run._places
    return asked


def measured(run: LocatedRun, folder: Path) -> tuple[float | None, float | None]:
    cost = make(run, folder).cost
    return cost.forgetting_nats, cost.feature_drift


def test_the_passages_are_two_hundred_different_ones_of_thirty_to_sixty_words() -> None:
    assert len(set(passages())) == len(passages()) == 200
    assert all(30 <= len(passage.split()) <= 60 for passage in passages())
    assert len("".join(passages()).encode()) < 100_000


@pytest.mark.parametrize(
    ("technique", "kind"), on_kinds(["classifier_head", "untuned"], "bert", ASKED, "classifier_head")
)
def test_a_frozen_backbone_forgets_exactly_nothing(
    kind: str, technique: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    nats, drift = measured(asking(backbones[kind], data_root, technique), tmp_path)
    assert (nats, drift) == ((0.0, None) if kind == "gpt2" else (None, 0.0))


def test_a_frozen_backbone_forgets_exactly_nothing_in_bf16(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = asking(backbones["gpt2"], data_root, "classifier_head", precision="bf16")
    assert measured(run, tmp_path) == (0.0, None)


def test_a_masked_language_model_is_measured_under_its_own_head(data_root: Path, tmp_path: Path) -> None:
    full = {"name": "full", "learning_rate": 1e-2}
    nats, drift = measured(asking(POCKET_BERT, data_root, full), tmp_path)
    assert nats is not None and nats > 0.1 and drift is None


@pytest.mark.parametrize(("technique", "kind"), on_kinds(["full", "lora", "prompt_tuning"], "gpt2", ASKED, "full"))
def test_what_changes_a_backbone_is_seen(
    kind: str, technique: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    nats, drift = measured(asking(backbones[kind], data_root, choice(technique)), tmp_path)
    figure = nats if kind == "gpt2" else drift
    assert figure is not None and 0 < abs(figure) < 10


def test_a_language_model_is_measured_under_the_head_that_it_answers_with(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = asking(backbones["gpt2"], data_root, {"name": "full", "learning_rate": 1e-2}, "instruction")
    nats, drift = measured(run, tmp_path)
    assert nats and drift is None


def test_a_t5_fills_gaps_where_its_tokenizer_has_sentinels(data_root: Path, tmp_path: Path) -> None:
    rows = {"train": 16, "validation": 4, "test": 4}
    few = {"name": "sentiment", "rows": rows, "data": "embedded", "max_tokens": 48}
    t5 = embedded.backbones()["pocket-t5"]
    nats, drift = measured(asking(t5, data_root, {"name": "full", "learning_rate": 1e-2}, few), tmp_path)
    assert nats is not None and nats > 0.1 and drift is None


@pytest.mark.parametrize("kind", ["t5", "transformer"])
def test_an_encoder_decoder_without_sentinels_is_measured_by_its_encoder(
    kind: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    assert measured(asking(backbones[kind], data_root, "untuned"), tmp_path / "untuned") == (None, 0.0)
    _, drift = measured(asking(backbones[kind], data_root, choice("full")), tmp_path / "full")
    assert drift is not None and drift > 0


def test_the_loss_of_the_untuned_model_is_that_of_transformers() -> None:
    family = families()["bert"]
    model: Any = family.language_model(POCKET_BERT)
    assert model is not None
    probe = Probe(family, family.tokenizer(POCKET_BERT), 128, torch.no_grad, True, False, model.eval())
    questions = forgetting._masked(probe)
    assert questions is not None
    with torch.no_grad():
        batches = [(inputs, labels) for _, inputs, labels in forgetting._batches(questions, probe, model.device)]
        sums = [model(**inputs, labels=labels).loss * (labels != -100).sum() for inputs, labels in batches]
    expected = float(sum(sums) / sum((labels != -100).sum() for _, labels in batches))
    assert forgetting._loss(model, questions, probe) == pytest.approx(expected, abs=1e-5)
    assert 1 < expected < 7  # of 8,000 words; guessing at random costs 9 nats


def test_the_loss_of_a_t5_is_that_of_its_pretraining() -> None:
    family, folder = families()["t5"], embedded.backbones()["pocket-t5"]
    model: Any = family.load(folder, "text_to_text", {})
    probe = Probe(family, family.tokenizer(folder), 512, torch.no_grad, True, True, None)
    questions = forgetting._spans(probe)
    assert questions is not None and len(questions) == 4
    with torch.no_grad():
        ids = [(torch.tensor([q.inputs["input_ids"]]), torch.tensor([q.labels])) for q in questions]
        parts = [SpanCorruption().spans(model, inputs, labels) for inputs, labels in ids]
    expected = float(sum(part.total for part in parts)) / sum(part.count for part in parts)
    assert forgetting._loss(model.eval(), questions, probe) == pytest.approx(expected, abs=1e-4)
    assert 3 < expected < 6


def test_vectors_as_far_away_as_their_mean_have_drifted_by_one() -> None:
    untuned = torch.nn.functional.normalize(torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    assert forgetting._drift(untuned, untuned) == 0
    assert forgetting._drift(untuned.mean(0).expand(20, 4), untuned) == pytest.approx(1)


def test_asking_changes_no_other_figure(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    plain = make_run(backbones["gpt2"], data_root, "instruction", choice("lora"), epochs=1)
    asked = asking(backbones["gpt2"], data_root, choice("lora"), "instruction")
    one, other = make(plain, tmp_path / "plain"), make(asked, tmp_path / "asked")
    assert one.cost.forgetting_nats is None and other.cost.forgetting_nats is not None
    same = ("metrics", "intervals", "files", "generation", "parameters", "best_epoch", "summary")
    assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
    assert [epoch.train_loss for epoch in one.history] == [epoch.train_loss for epoch in other.history]


def asked_study(**changes: Any) -> Study:
    compared = ["untuned", "tfidf", "from_scratch", "full", "cosine"]
    experiment = {"model": "pocket-bert", "task": "emotion", "techniques": compared}
    return Study.model_validate({"name": "s", "experiments": [experiment], **changes})


def test_only_runs_with_pretrained_weights_that_may_change_are_others_where_a_study_asks() -> None:
    plain, asked = asked_study().runs(), asked_study(measure=["forgetting"]).runs()
    changed = {one.technique for one, other in zip(plain, asked, strict=True) if one.id != other.id}
    assert changed == {"untuned", "full"}
    assert [run.id for run in asked_study(measure=[]).runs()] == [run.id for run in plain]


def test_the_trials_of_a_search_measure_nothing_else() -> None:
    plain, asked = asked_study(search={"trials": 2}), asked_study(search={"trials": 2}, measure=["forgetting"])
    assert [one.run.id for one in plain.searched()] == [one.run.id for one in asked.searched()]


def test_the_report_shows_forgetting_where_a_run_has_it_and_nowhere_else(study: Write) -> None:
    def run(technique: str, nats: float | None, seed: int = 0) -> Done:
        one = done(technique, 0.5, seed)
        return one.model_copy(update={"cost": one.cost.model_copy(update={"forgetting_nats": nats})})

    out = study(run("full", 0.5), run("full", 0.7, 1), run("head", 0.0), run("tfidf", None))
    written = (out / "report.md").read_text()
    assert "Forgetting (nats per token)" in written and "Feature drift" not in written
    assert r"\+0.6 (\+0.5..+0.7)" in written
    assert "how much worse the tuned model, as it answers, models general text" in written
    assert all("+0.6" in (out / name).read_text() for name in ("report.tex", "report.html"))
    assert results(out)["forgetting_nats"].tolist()[:3] == [0.5, 0.7, 0.0]
    assert "Forgetting" not in (study(run("full", None)) / "report.md").read_text()


def test_every_technique_that_tunes_a_model_says_what_it_forgets() -> None:
    tuning = {name for name, cls in techniques().items() if issubclass(cls, Technique)}
    assert {name for name, guide in guides().items() if guide.forgets} == tuning & set(guides())


def test_a_record_from_before_forgetting_was_measured_still_reads() -> None:
    stored = done("full", 0.5).cost.model_dump()
    earlier = {name: value for name, value in stored.items() if name not in ("forgetting_nats", "feature_drift")}
    assert Cost.model_validate(earlier).forgetting_nats is None
