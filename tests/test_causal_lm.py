"""Perplexity counts what it says, whatever a text shares its batch with; answers stop where they should."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contracts.runs import make, make_run
from tests.contracts.test_techniques import ALIKE, NEEDED, TRAINED, VIRTUAL_TOKENS, entry
from tunebench.engine.batching import plan_evaluation
from tunebench.engine.evaluate import predict, score
from tunebench.engine.generate import answer_sample, generate
from tunebench.engine.sources import TokenSource
from tunebench.objectives._writing import text_of
from tunebench.objectives.base import IGNORED
from tunebench.objectives.causal_lm import CausalLm
from tunebench.tasks import load as data
from tunebench.tasks import tasks
from tunebench.tasks.examples import PromptExample
from tunebench.tasks.problems.causal_lm import CausalLmTask
from tunebench.zoo.checkpoints import find

EXAMPLES = [
    PromptExample("Instruction: the man is reading .\nResponse:", "man was reading"),
    PromptExample("Instruction: the dog is eating .\nInput: today\nResponse:", "dog was eating today and yesterday"),
    PromptExample("Instruction: the woman is playing .\nResponse:", ""),
    PromptExample("Instruction: a\nResponse:", "book"),
]
METRICS = ("perplexity", "perplexity_all")


def posed(backbone: Path, **settings: Any) -> tuple[Any, Any]:
    """A language model in evaluation mode with its objective."""
    family = find(str(backbone)).family
    torch.manual_seed(0)
    model = family.load(backbone, "causal_lm", {}).eval()
    limit = settings.pop("max_tokens", 64)
    return model, CausalLm(CausalLmTask(name="asked", **settings), (), family.tokenizer(backbone), max_tokens=limit)


def perplexities(model: Any, objective: Any, examples: Any, batch_tokens: int) -> dict[str, float | None]:
    source = TokenSource(objective, objective.encode(examples), torch.device("cpu"))
    rows, _ = predict(model, source, objective, torch.no_grad, batch_tokens)
    return score(METRICS, rows, objective.task.references(examples, ()))


def by_hand(model: Any, objective: Any, examples: Any) -> dict[str, float]:
    """One text at a time, without padding: exp of the mean negative log-probability of the counted tokens."""
    tokenizer, inside, everywhere = objective.tokenizer, [], []
    for example in examples:
        prompt = tokenizer(example.prompt)["input_ids"]
        response = tokenizer(example.response, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        ids = torch.tensor([prompt + response])
        with torch.no_grad():
            log_probabilities = model(input_ids=ids).logits.double().log_softmax(-1)
        losses = [-float(log_probabilities[0, at - 1, ids[0, at]]) for at in range(1, ids.shape[1])]
        everywhere += losses
        inside += losses[len(prompt) - 1 :]
    means = (torch.tensor(values, dtype=torch.float64).mean() for values in (inside, everywhere))
    return dict(zip(METRICS, (float(mean.exp()) for mean in means), strict=True))


def check_perplexity(backbone: Path) -> None:
    """Equal to the one by hand in any batch, in any order."""
    model, objective = posed(backbone)
    expected = pytest.approx(by_hand(model, objective, EXAMPLES), rel=1e-5)
    for batch_tokens in (1, 60, 4096):
        assert perplexities(model, objective, EXAMPLES, batch_tokens) == expected
    assert perplexities(model, objective, EXAMPLES[::-1], 4096) == expected


def check_labels(backbone: Path) -> None:
    """The model's own loss on a padded batch is that of the texts one by one, end-of-text included."""
    model, objective = posed(backbone)
    for loss_on in ("response", "all"):
        objective.loss_on = loss_on
        features = objective.encode(EXAMPLES)
        batch = objective.collate(features, range(len(EXAMPLES)))
        for row, index in zip(batch["labels"], range(len(EXAMPLES)), strict=True):
            ids, start = features.inputs[index]["input_ids"], features.labels[index] if loss_on == "response" else 0
            assert row.tolist() == [IGNORED] * start + ids[start:] + [IGNORED] * (len(row) - len(ids))
            assert row[len(ids) - 1] == objective.tokenizer.eos_token_id
        expected = by_hand(model, objective, EXAMPLES)["perplexity" if loss_on == "response" else "perplexity_all"]
        with torch.no_grad():
            assert float(model(**batch).loss.exp()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox"])
def test_perplexity_is_the_same_in_any_batch(kind: str, backbones: dict[str, Path]) -> None:
    check_perplexity(backbones[kind])


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox"])
def test_the_loss_is_the_models_own_over_the_responses_or_over_all(kind: str, backbones: dict[str, Path]) -> None:
    check_labels(backbones[kind])


@pytest.mark.parametrize("name", ["lora", "prefix_tuning", "prompt_tuning", "bottleneck_adapter"])
def test_perplexity_of_a_tuned_model_is_the_same_in_any_batch(
    name: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    technique = {"name": name, **NEEDED.get(name, {})}
    small = make_run(backbones["gpt2"], data_root, "instruction", technique, epochs=1, evaluation_batch_tokens=16)
    large = make_run(backbones["gpt2"], data_root, "instruction", technique, epochs=1, evaluation_batch_tokens=4096)
    first, second = make(small, tmp_path / "a"), make(large, tmp_path / "b")
    assert second.metrics.test == pytest.approx(first.metrics.test, rel=1e-5)
    assert not first.main_metric.higher_is_better
    rows = [json.loads(line) for line in (tmp_path / "a/predictions.jsonl").read_text().splitlines()]
    _, objective = posed(backbones["gpt2"])
    features = objective.encode(data.load(tasks()["instruction"], data_root).splits["test"])
    assert [row["prediction"]["tokens"] for row in rows] == [n - 1 for n in features.lengths]


# What is cut ----------------------------------------------------------------------------------------------------------


def test_a_long_prompt_loses_its_beginning_and_a_long_response_its_end(backbones: dict[str, Path]) -> None:
    _, objective = posed(backbones["gpt2"], max_tokens=16)
    whole = posed(backbones["gpt2"])[1]
    word = objective.tokenizer("man")["input_ids"]
    long_prompt, long_response = PromptExample("man " * 30, "dog"), PromptExample("dog", "man " * 30)
    both = PromptExample("man " * 30, "dog " * 30)
    features = objective.encode([long_prompt, long_response, both, PromptExample("man", "dog")])
    assert features.lengths == [16, 16, 16, 3]
    assert features.labels == [14, 1, 8, 1]
    assert features.truncated == {"prompts": 2, "responses": 2}
    assert features.inputs[1]["input_ids"][1:] == word * 15
    assert whole.encode([long_prompt]).truncated == {}


def test_a_token_that_begins_every_text_is_never_cut(backbones: dict[str, Path]) -> None:
    _, objective = posed(backbones["gpt2"], max_tokens=16)
    tokenizer = objective.tokenizer
    tokenizer.bos_token = "[CLS]"
    encode = type(tokenizer).__call__

    class Beginning:
        def __getattr__(self, name: str) -> Any:
            return getattr(tokenizer, name)

        def __call__(self, texts: Any, add_special_tokens: bool = True, **options: Any) -> Any:
            encoded = encode(tokenizer, texts, **options)
            first = [tokenizer.bos_token_id] if add_special_tokens else []
            return {"input_ids": [first + ids for ids in encoded["input_ids"]]}

    objective.tokenizer = Beginning()
    features = objective.encode([PromptExample("man " * 30, "dog")])
    assert features.inputs[0]["input_ids"][0] == tokenizer.bos_token_id
    assert features.lengths == [16]


# Answers --------------------------------------------------------------------------------------------------------------


def step_by_step(model: Any, objective: Any, example: PromptExample, count: int) -> list[int]:
    """The likeliest tokens without a cache, a batch or the library's generation."""
    ids = objective.tokenizer(example.prompt)["input_ids"]
    begin = len(ids)
    for _ in range(count):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)).long()).logits
        ids = [*ids, int(logits[0, -1].argmax())]
        if ids[-1] == objective.tokenizer.eos_token_id:
            break
    return ids[begin:]


def of_make_test(name: str, kind: str) -> bool:
    """Virtual tokens on every decoder, whose positions they shift; every other kind of weights on one."""
    return name in VIRTUAL_TOKENS or (kind == "gpt2" and name not in ALIKE)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[] if of_make_test(name, kind) else [pytest.mark.full])
        for name in (*TRAINED, "untuned")
        if name != "classifier_head"
        for kind in ("gpt2", "llama", "gpt_neox")
    ],
)
def test_answers_with_cache_and_padding_are_those_step_by_step(
    name: str, kind: str, backbones: dict[str, Path]
) -> None:
    family = find(str(backbones[kind])).family
    model, objective = posed(backbones[kind], max_new_tokens=12)
    tuned: Any = entry(name).apply(model, family, 10)
    with torch.no_grad():  # what begins at zero must tell
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter += 0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    tuned.eval()
    asked = [*EXAMPLES, *(PromptExample(f"the {word}", "") for word in ("man", "guitar", "book", "happy today", "."))]
    answers = generate(tuned, objective, asked, torch.no_grad)
    expected = [text_of(step_by_step(tuned, objective, example, 12), objective.tokenizer) for example in asked]
    assert answers == expected
    assert any(text for text, _ in answers)


def test_an_answer_ends_at_end_of_text(backbones: dict[str, Path]) -> None:
    _, objective = posed(backbones["gpt2"])
    book, end = objective.tokenizer("book")["input_ids"][0], objective.tokenizer.eos_token_id
    assert text_of([book, end, book, end], objective.tokenizer) == ("book", True)
    assert text_of([book, book], objective.tokenizer) == ("book book", False)
    assert text_of([end], objective.tokenizer) == ("", True)


def test_drawn_answers_depend_on_the_seed_alone(backbones: dict[str, Path], data_root: Path) -> None:
    model, objective = posed(backbones["gpt2"], samples=5, max_new_tokens=8)
    examples = data.load(tasks()["instruction"], data_root).splits["test"]
    first, again, other = (answer_sample(model, objective, examples, seed, torch.no_grad) for seed in (1, 1, 2))
    assert first == again
    assert [answer.texts["greedy"] for answer in first.answers] == [answer.texts["greedy"] for answer in other.answers]
    assert [answer.texts["sampled"] for answer in first.answers] != [
        answer.texts["sampled"] for answer in other.answers
    ]
    assert len(first.answers) == 5
    for answer in first.answers:
        assert (answer.prompt, answer.reference) == (examples[answer.id].prompt, examples[answer.id].response)  # type: ignore[union-attr]


def test_prompt_and_answer_fit_the_models_positions(backbones: dict[str, Path]) -> None:
    model, objective = posed(backbones["gpt2"], max_new_tokens=500)
    long = PromptExample("man " * 200, "")
    assert objective.new_tokens == 32
    assert objective.prompts(objective.encode([long]), [0])["input_ids"].shape == (1, 32)
    assert generate(model, objective, [long], torch.no_grad) == [
        text_of(step_by_step(model, objective, PromptExample("man " * 32, ""), 32), objective.tokenizer)
    ]


def test_evaluation_batches_hold_more_than_one_text_here(backbones: dict[str, Path]) -> None:
    _, objective = posed(backbones["gpt2"])
    assert [len(batch) for batch in plan_evaluation(objective.encode(EXAMPLES).lengths, 4096)] == [len(EXAMPLES)]
