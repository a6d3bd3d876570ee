"""Pretraining: what is masked and corrupted, which text is read when, and that a killed run ends with the same bits."""

import functools
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer

from tunebench._util.errors import RunError, UserError
from tunebench.engine.events import Event, LearningTokenizer, Resumed, Step
from tunebench.engine.spans import corrupt, noise_spans
from tunebench.zoo.pretraining import corpus
from tunebench.zoo.pretraining.batches import Steps, batch_at, held_out_batches
from tunebench.zoo.pretraining.corpus import Corpus
from tunebench.zoo.pretraining.cross_entropy import CHUNK, summed_cross_entropy
from tunebench.zoo.pretraining.curve import svg
from tunebench.zoo.pretraining.muon import Muon
from tunebench.zoo.pretraining.objectives import objectives
from tunebench.zoo.pretraining.objectives.base import Passage, Shape
from tunebench.zoo.pretraining.objectives.masked_language_modelling import IGNORED, mask, pairs_of
from tunebench.zoo.pretraining.objectives.span_selection import ask
from tunebench.zoo.pretraining.optimizer import optimizers, rate_factor
from tunebench.zoo.pretraining.pretrain import pretrain
from tunebench.zoo.pretraining.recipe import Pretraining, Recipe, Sequences, built_in_recipes, read_recipe

OBJECTIVES = [
    "causal_language_modelling",
    "cloze_questions",
    "masked_language_modelling",
    "mixture",
    "span_corruption",
    "span_selection",
    "verdicts",
]
SHAPE = {"hidden": 16, "layers": 1, "heads": 2, "intermediate": 32, "vocabulary": 400, "positions": 64}


def silent(event: Event) -> None:
    """Nobody watches."""


def text(*tokens: int, ends: tuple[int, ...] = ()) -> Passage:
    return Passage(np.asarray(tokens), np.asarray(ends, dtype=int))


def prose(documents: int, seed: int) -> list[str]:
    """Made-up words in sentences, and some that judge."""
    draw = random.Random(seed)
    words = ["".join(random.Random(i).choices("abcdefgh", k=2 + i % 5)) for i in range(200)] + ["good", "bad"] * 10
    return [
        " ".join(" ".join(draw.choices(words, k=draw.randint(3, 9))).capitalize() + "." for _ in range(10))
        for _ in range(documents)
    ]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "train.txt").write_text("\n\n".join(prose(120, 0)))
    (folder / "held_out.txt").write_text("\n\n".join(prose(20, 1)))
    return folder


def recipe(objective: str, **training: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "tiny",
            "objective": objective,
            "texts": [{"title": "made up", "train": "train.txt", "held_out": "held_out.txt", "licence": "none"}],
            "shape": SHAPE,
            "training": {
                "tokens": 6000,
                "batch_tokens": 512,
                "evaluate_tokens": 2000,
                "held_out_tokens": 1000,
                "sequences": [{"share": 0.8, "length": 32}, {"share": 0.2, "length": 64}],
                "learning_rate": 2e-3,
                **training,
            },
        }
    )


@pytest.fixture(scope="module")
def pretrained(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Objective -> the folder of a backbone that has learned something; made once."""
    return functools.cache(
        lambda name: pretrain(
            recipe(name, tokens=30_000, evaluate_tokens=6000), texts, tmp_path_factory.mktemp("pretrained"), silent
        )
    )


def continued(objective: str, start: Path, **training: Any) -> Recipe:
    made = recipe(objective).model_dump(mode="json", exclude={"shape"})
    return Recipe.model_validate({**made, "start_from": str(start), "training": {**made["training"], **training}})


# Masking and corruption, on hand-made cases ---------------------------------------------------------------------------


def test_15_percent_of_the_tokens_are_chosen_and_special_ones_never() -> None:
    ids = np.arange(5, 105).reshape(2, 50).copy()
    special = np.zeros_like(ids, dtype=bool)
    special[:, [0, 25, 49]] = True
    masked, labels = mask(ids, special, 4, 500, np.random.default_rng(0))
    chosen = labels != IGNORED
    assert chosen.sum(1).tolist() == [7, 7]  # 15 % of 47, rounded
    assert not (chosen & special).any()
    assert (labels[chosen] == ids[chosen]).all()
    assert (masked[~chosen] == ids[~chosen]).all()


def test_of_the_chosen_tokens_80_percent_are_masked_10_random_and_10_kept() -> None:
    ids = np.full((200, 100), 7)
    masked, labels = mask(ids, np.zeros_like(ids, dtype=bool), 4, 1000, np.random.default_rng(1))
    chosen = labels != IGNORED
    assert chosen.sum() == 3000
    assert (masked[chosen] == 4).mean() == pytest.approx(0.8, abs=0.02)
    assert (masked[chosen] == 7).mean() == pytest.approx(0.1, abs=0.02)
    assert len(np.unique(masked[chosen])) > 200  # the random ones are spread over the vocabulary


def test_a_short_text_has_at_least_one_token_to_guess() -> None:
    ids = np.array([[2, 9, 3]])
    _, labels = mask(ids, np.array([[True, False, True]]), 4, 10, np.random.default_rng(0))
    assert labels.tolist() == [[IGNORED, 9, IGNORED]]


def test_a_text_is_cut_after_a_sentence_and_not_where_a_document_ends() -> None:
    stop = np.asarray([1])
    one = text(10, 11, 12, 1, 13, 14, 1, 15, 16, 17, ends=(4,))
    for seed in range(20):
        ((a, b, random_),) = pairs_of([one], stop, np.random.default_rng(seed))
        assert (a.tolist(), b.tolist(), random_) == ([10, 11, 12, 1, 13, 14, 1], [15, 16, 17], False)


def test_half_of_the_second_parts_come_from_another_text_and_begin_as_a_sentence_does() -> None:
    stop = np.asarray([1])
    several = [text(*[100 * n + i for i in range(5)], 1, *[100 * n + i for i in range(6, 12)]) for n in range(1, 9)]
    labels = []
    for seed in range(40):
        for index, (a, b, other) in enumerate(pairs_of(several, stop, np.random.default_rng(seed))):
            labels.append(other)
            assert len(a) + len(b) == 12
            assert a[0] // 100 == index + 1
            assert (b[0] // 100 == index + 1) is not other
            assert b[0] % 100 == 6
    assert np.mean(labels) == pytest.approx(0.5, abs=0.1)


def test_spans_become_sentinels_and_the_target_holds_them() -> None:
    inputs, targets = corrupt(np.arange(10, 20), np.asarray([[1, 3], [6, 7]]), first_sentinel=99, end=1)
    assert inputs.tolist() == [10, 99, 13, 14, 15, 98, 17, 18, 19, 1]
    assert targets.tolist() == [99, 11, 12, 98, 16, 1]


def test_spans_cover_15_percent_with_a_mean_of_three_tokens_and_never_touch() -> None:
    for seed in range(20):
        spans = noise_spans(200, np.random.default_rng(seed))
        assert len(spans) == 10
        assert (spans[:, 1] - spans[:, 0]).sum() == 30
        assert (spans[:, 1] > spans[:, 0]).all()
        assert (spans[1:, 0] > spans[:-1, 1]).all()
        assert spans[0, 0] > 0
        assert spans[-1, 1] == 200


def test_a_window_of_span_corruption_fills_the_wanted_length() -> None:
    objective = objectives()["span_corruption"]
    size = objective.window(64)
    inputs, _ = corrupt(np.arange(100, 100 + size), noise_spans(size, np.random.default_rng(0)), 99, 1)
    assert len(inputs) == 64


def test_a_query_asks_for_a_span_by_the_tokens_around_it() -> None:
    tokens = np.arange(1000, 2000)  # no token twice: it stands where its number says
    for seed in range(50):
        inputs, targets = ask(tokens, 40, np.random.default_rng(seed), first_sentinel=999, end=1)
        query, text, gap = inputs[:6], inputs[6:-1], int(np.flatnonzero(inputs == 999)[0])
        assert text.tolist() == tokens[:33].tolist()  # whole, nothing is hidden in it
        answer = targets[1:-1]
        assert targets.tolist() == [999, *range(answer[0], answer[0] + 3), 1]
        left, right = query[:gap], query[gap + 1 :]
        assert answer[-1] <= text[-1]
        assert (np.diff([*left, answer[0], *right]) > 0).all()
        assert all(token not in answer and token in text for token in (*left, *right))
        assert all(answer[0] - token <= 10 and token - answer[-1] <= 10 for token in (*left, *right))


@pytest.mark.parametrize(("length", "queries"), [(32, 1), (64, 2), (128, 4), (512, 16)])
def test_texts_with_queries_have_one_length_whatever_they_ask(length: int, queries: int) -> None:
    for seed in range(20):
        inputs, targets = ask(np.arange(1000, 2000), length, np.random.default_rng(seed), first_sentinel=999, end=1)
        assert (len(inputs), len(targets)) == (length, 4 * queries + 1)
        assert [token for token in targets if token < 1000] == [*range(999, 999 - queries, -1), 1]
        assert [token for token in inputs if token < 1000] == [*range(999, 999 - queries, -1), 1]


def test_a_quarter_of_the_texts_are_asked_about_and_the_others_corrupted() -> None:
    guess, find = objectives()["span_corruption"], objectives()["span_selection"]
    tokenizer = guess.train_tokenizer(lambda: prose(50, 0), 400)
    some = [text(*range(10 + row, 10 + row + guess.window(32))) for row in range(9)]
    batch = find.batch(some, tokenizer, np.random.default_rng(0))
    alone = guess.batch(some[:7], tokenizer, np.random.default_rng(0))
    assert torch.equal(batch["input_ids"], alone["input_ids"])
    assert torch.equal(batch["labels"], alone["labels"])
    assert batch["query_input_ids"].shape == (2, 32)
    assert set(find.batch(some[:3], tokenizer, np.random.default_rng(0))) == {"input_ids", "labels"}


def test_a_batch_is_a_function_of_seed_length_and_step(texts: Path, tmp_path: Path) -> None:
    tokens = np.arange(5, 1000, dtype=np.uint16) % 300 + 5
    source = Corpus(tokens, np.asarray([400, 995]), "")
    for name in set(OBJECTIVES) - {"verdicts", "mixture"}:  # made-up words judge nothing
        objective = objectives()[name]
        tokenizer = objective.train_tokenizer(lambda: prose(50, 0), 400)
        first = batch_at(source, objective, tokenizer, 32, 4, (0, 0, 7))
        batch_at(source, objective, tokenizer, 32, 4, (3, 1, 2))
        again = batch_at(source, objective, tokenizer, 32, 4, (0, 0, 7))
        other = batch_at(source, objective, tokenizer, 32, 4, (1, 0, 7))
        assert first.keys() == again.keys()
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert not torch.equal(first["input_ids"], other["input_ids"])
        assert sum(len(first[key]) for key in first if key.endswith("input_ids")) == 4
        assert first["input_ids"].shape[1] == 32


@pytest.mark.filterwarnings("ignore:'pin_memory' argument")  # there is no GPU to pin for
@pytest.mark.parametrize("name", ["masked_language_modelling", "mixture"])
def test_batches_made_ahead_by_other_processes_are_those_made_in_turn(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = objectives()[name]
    texts = prose(50, 0)
    tokenizer = objective.train_tokenizer(lambda: texts, 400)
    tokens = np.concatenate([tokenizer(line, add_special_tokens=False)["input_ids"] for line in texts])
    training = recipe(name).training
    steps = Steps(
        Corpus(tokens.astype(np.uint16), np.asarray([len(tokens)]), ""), objective, tokenizer, training, training.plan()
    )
    monkeypatch.setattr("tunebench.zoo.pretraining.batches.cpu_count", lambda: 3)
    ahead, in_turn = (list(steps.after(2, torch.device(kind))) for kind in ("cuda", "cpu"))
    assert len(ahead) == len(in_turn) == len(steps.plan) - 2
    for one, other in zip(ahead, in_turn, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", ["verdicts", "mixture"])
def test_a_batch_that_judges_is_a_function_of_seed_length_and_step(name: str) -> None:
    objective = objectives()[name]
    texts = prose(50, 0)
    tokenizer = objective.train_tokenizer(lambda: texts, 400)
    tokens = np.concatenate([tokenizer(line, add_special_tokens=False)["input_ids"] for line in texts])
    source = Corpus(tokens.astype(np.uint16), np.asarray([len(tokens)]), "")
    first, again, other = (batch_at(source, objective, tokenizer, 64, 8, (seed, 0, 7)) for seed in (0, 0, 1))
    assert first.keys() == again.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["input_ids"], other["input_ids"])


def test_the_steps_of_two_lengths_alternate_as_their_shares_have_it() -> None:
    training = Pretraining(
        tokens=6400, batch_tokens=64, sequences=(Sequences(share=0.8, length=16), Sequences(share=0.2, length=64))
    )
    plan = training.plan()
    assert [which for which, _ in plan[:10]] == [0, 0, 1, 0, 0, 0, 0, 1, 0, 0]
    for which, steps in ((0, 80), (1, 20)):
        assert [number for other, number in plan if other == which] == list(range(steps))


def test_cycles_repeat_the_schedule_and_read_on() -> None:
    parts = (Sequences(share=0.8, length=16), Sequences(share=0.2, length=64))
    once = Pretraining(tokens=6400, batch_tokens=64, sequences=parts).plan()
    twice = Pretraining(tokens=12800, batch_tokens=64, sequences=parts, cycles=2).plan()
    assert twice[: len(once)] == once
    for which, steps in ((0, 160), (1, 40)):
        assert [number for other, number in twice if other == which] == list(range(steps))


def test_a_second_cycle_goes_on_from_the_first_and_begins_its_rates_again(texts: Path, tmp_path: Path) -> None:
    rates: list[float] = []
    monkey = pytest.MonkeyPatch()

    def noted(*place: Any) -> float:
        rates.append(rate_factor(*place))
        return rates[-1]

    monkey.setattr("tunebench.zoo.pretraining.loop.rate_factor", noted)
    once = recipe("causal_language_modelling")
    folders = [pretrain(once, texts, tmp_path / "once", silent)]
    steps = len(rates)
    twice = recipe("causal_language_modelling", tokens=2 * once.training.tokens, cycles=2)
    folders.append(pretrain(twice, texts, tmp_path / "twice", silent))
    monkey.undo()
    assert rates == rates[:steps] * 3
    short, long = (json.loads((folder / "pretraining.json").read_text())["curve"] for folder in folders)
    before = short[:-1]  # the last reading is of the end, wherever that falls
    assert before and long[: len(before)] == before


def test_one_pass_reads_each_window_once() -> None:
    source = Corpus(np.arange(1000, dtype=np.uint16), np.asarray([1000]), "")
    objective = objectives()["causal_language_modelling"]
    tokenizer: Any = None
    starts = [
        int(row[0])
        for step in range(7)
        for row in batch_at(source, objective, tokenizer, 32, 4, (0, 0, step))["input_ids"]
    ]  # 31 windows of 32 lie in 1,000 tokens; one is lost to the offset
    assert len(set(starts[:28])) == 28
    assert len({start % 32 for start in starts}) == 1


def test_held_out_batches_are_the_same_for_every_training(tmp_path: Path) -> None:
    source = Corpus(np.arange(1000, dtype=np.uint16), np.asarray([1000]), "")
    objective = objectives()["causal_language_modelling"]
    tokenizer: Any = None
    batches = held_out_batches(source, objective, tokenizer, 32, 4, 300)
    assert sum(len(batch["input_ids"]) for batch in batches) == 9
    assert batches[0]["input_ids"][0, 0] == 0
    assert batches[-1]["input_ids"][-1, 0] == 30 * 32


# The loss -------------------------------------------------------------------------------------------------------------


def test_chunked_cross_entropy_has_the_loss_and_the_gradients_of_the_plain_one() -> None:
    torch.manual_seed(0)
    states = torch.randn(CHUNK + 37, 16, requires_grad=True)
    weight = torch.randn(50, 16, requires_grad=True)
    labels = torch.randint(0, 50, (CHUNK + 37,))
    torch.nn.functional.cross_entropy(states @ weight.T, labels, reduction="sum").backward()
    plain = (states.grad, weight.grad)
    states.grad = weight.grad = None
    with torch.autocast("cpu", torch.bfloat16):
        total = summed_cross_entropy(states, weight, labels)
    total.backward()
    expected = torch.nn.functional.cross_entropy(states @ weight.T, labels, reduction="sum")
    assert total.item() == pytest.approx(expected.item(), rel=2e-3)
    for ours, theirs in zip((states.grad, weight.grad), plain, strict=True):
        assert ours is not None
        assert theirs is not None
        assert ((ours - theirs).norm() / theirs.norm()).item() < 0.01


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in {"verdicts", "mixture"}])
def test_the_loss_is_the_models_own(name: str) -> None:
    objective = objectives()[name]
    tokenizer = objective.train_tokenizer(lambda: prose(50, 0), 400)
    torch.manual_seed(0)
    model: Any = objective.new_model(Shape(**SHAPE), tokenizer).eval()
    source = Corpus(
        np.asarray([i for t in prose(5, 1) for i in tokenizer(t, add_special_tokens=False)["input_ids"]]),
        np.asarray([10**6]),
        "",
    )
    batch = batch_at(source, objective, tokenizer, 32, 4, (0, 0, 0))
    ours = torch.stack([part.total / part.count for part in objective.loss(model, batch).values()]).sum()
    labels = {"labels": batch["input_ids"]} if "labels" not in batch else {}
    asked = {key.split("_", 1)[1]: batch.pop(key) for key in list(batch) if key.startswith(("query_", "question_"))}
    losses = [model(**some).loss.item() for some in ({**batch, **labels}, asked) if some]
    assert float(ours.detach()) == pytest.approx(sum(losses), rel=1e-5)


@pytest.mark.parametrize(
    ("step", "schedule", "expected"),
    [(0, "cosine", 0.1), (9, "cosine", 1.0), (10, "cosine", 1.0), (60, "cosine", 0.5), (110, "cosine", 0.0),
     (0, "inverse_square_root", 0.1), (39, "inverse_square_root", 0.5), (999, "inverse_square_root", 0.1)],
)  # fmt: skip
def test_the_rate_rises_and_falls_as_its_schedule_says(step: int, schedule: str, expected: float) -> None:
    assert rate_factor(step, 110, 10, schedule) == pytest.approx(expected)


def test_a_new_berts_first_layer_looks_at_the_neighbours() -> None:
    objective = objectives()["masked_language_modelling"]
    tokenizer = objective.train_tokenizer(lambda: prose(50, 0), 400)
    torch.manual_seed(0)
    shape = Shape(hidden=256, layers=2, heads=4, intermediate=64, vocabulary=400, positions=512)
    model: Any = objective.new_model(shape, tokenizer).eval()
    model.set_attn_implementation("eager")
    attended = model.bert(torch.randint(5, 400, (1, 300)), output_attentions=True).attentions[0][0]
    middle = torch.arange(10, 290)
    for head, distance in enumerate((-1, 1, -2, 2)):
        assert attended[head, middle, middle + distance].mean() > 0.1  # evenly spread it would be 1 in 300


def test_a_new_t5_hears_at_each_sentinel_what_stands_beside_it() -> None:
    objective = objectives()["span_corruption"]
    tokenizer = objective.train_tokenizer(lambda: prose(50, 0), 400)
    torch.manual_seed(0)
    shape = Shape(hidden=256, layers=2, heads=4, intermediate=64, vocabulary=400, positions=512)
    model: Any = objective.new_model(shape, tokenizer)
    first = int(tokenizer.convert_tokens_to_ids("<extra_id_0>"))
    ids = torch.randint(5, 250, (1, 30))
    ids[0, 7], ids[0, 20] = first, first - 1
    with torch.no_grad():
        out = model.eval()(input_ids=ids, decoder_input_ids=torch.tensor([[first, first - 1]]), output_attentions=True)
    reading, crossing = out.encoder_attentions[0][0], out.cross_attentions[0][0]
    for head, distance in enumerate((-1, 1, -2, 2)):
        assert int(reading[head, 15].argmax()) == 15 + distance
    assert crossing[:, 0, 7].mean() > 0.1  # evenly spread it would be 1 in 30
    assert crossing[:, 1, 20].mean() > 0.1


def test_a_grafted_t5_finds_the_place_where_the_same_words_stand() -> None:
    objective = objectives()["span_selection"]
    tokenizer = objective.train_tokenizer(lambda: prose(50, 0), 400)
    torch.manual_seed(0)
    shape = Shape(hidden=256, layers=2, heads=4, intermediate=64, vocabulary=400, positions=512)
    model: Any = objective.new_model(shape, tokenizer).eval()
    objective.begin(model, torch.randint(5, 290, (50, 64)))
    first = int(tokenizer.convert_tokens_to_ids("<extra_id_0>"))
    words = torch.randperm(240)[:40] + 5
    ids = torch.cat([words[19:20], torch.tensor([first]), words[23:24], words])[None]  # what stands between these two?
    begin, end = 3 + 20, 3 + 22  # of the answer in `ids`
    written = torch.tensor([[first, *ids[0, begin : end + 1]]])
    with torch.no_grad():
        out = model(input_ids=ids, decoder_input_ids=written, output_attentions=True)
    left, right = out.encoder_attentions[1][0, :2, 1]
    assert int(left[[*range(1), *range(2, 43)]].argmax()) == begin - 1  # but for itself
    assert int(right[[*range(1), *range(2, 43)]].argmax()) == end - 1
    following = out.cross_attentions[1][0, 2]
    assert [int(following[step].argmax()) for step in (1, 2)] == [begin + 1, end]


def test_a_model_without_room_for_heads_that_copy_is_refused(
    texts: Path, pretrained: Callable[[str], Path], tmp_path: Path
) -> None:
    plain = pretrained("span_corruption")
    with pytest.raises(UserError, match="heads that copy need a T5 with 2 layers, 4 heads"):
        pretrain(continued("span_selection", plain), texts, tmp_path / "more", silent)


# A whole recipe -------------------------------------------------------------------------------------------------------


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModel.from_pretrained(folder).state_dict()


KILLED = [
    ("masked_language_modelling", "adamw"),
    ("causal_language_modelling", "muon"),
    ("span_selection", "muon"),
    ("mixture", "muon"),
]
"""An encoder, a decoder and an encoder-decoder, and batches of several kinds; each optimizer."""


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        pytest.param(name, optimizer, marks=[] if (name, optimizer) in KILLED else [pytest.mark.full])
        for name in OBJECTIVES
        for optimizer in ("adamw", "muon")
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_a_killed_pretraining_goes_on_and_ends_with_the_same_bits(
    name: str, optimizer: str, texts: Path, tmp_path: Path
) -> None:
    made = recipe(name, optimizer=optimizer, checkpoint_seconds=0)
    straight = pretrain(made, texts, tmp_path / "straight", silent)

    def kill_at(step: int) -> Any:
        def observe(event: Event) -> None:
            if isinstance(event, Step) and event.step >= step:
                raise KeyboardInterrupt

        return observe

    monkey = pytest.MonkeyPatch()
    monkey.setattr("tunebench.zoo.pretraining.pretrain.seldom", lambda observer: observer)
    for step in (4, 9):  # both lengths come before and after
        with pytest.raises(KeyboardInterrupt):
            pretrain(made, texts, tmp_path / "killed", kill_at(step))
    monkey.undo()
    events: list[Event] = []
    resumed = pretrain(made, texts, tmp_path / "killed", events.append)
    assert any(isinstance(event, Resumed) and event.step == 8 for event in events)
    ours, theirs = weights(resumed), weights(straight)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    curves = [json.loads((folder / "pretraining.json").read_text())["curve"] for folder in (resumed, straight)]
    assert curves[0] == curves[1]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_pretraining_learns_and_writes_an_ordinary_folder_with_a_card(
    name: str, pretrained: Callable[[str], Path]
) -> None:
    folder = pretrained(name)
    assert AutoConfig.from_pretrained(folder).model_type == recipe(name).pretraining.family
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.float16
    assert tokenizer.is_fast
    assert model.get_input_embeddings().weight.shape == (400, 16)
    curve = json.loads((folder / "pretraining.json").read_text())["curve"]
    if name != "verdicts":  # one word against another: nothing is learned in so few steps from random weights
        assert curve[-1]["perplexity"] < 0.8 * curve[0]["perplexity"]
    assert curve[-1]["tokens"] >= 30_000
    card = (folder / "README.md").read_text()
    assert f"**{curve[-1]['perplexity']:.2f}**" in card
    assert "| made up | none |" in card
    drawn = (folder / "curve.svg").read_text()
    assert drawn.count('aria-roledescription="point"') == len(curve)
    assert drawn == svg(curve)


def test_tied_weights_are_stored_once(pretrained: Callable[[str], Path]) -> None:
    from safetensors import safe_open

    folder = pretrained("span_corruption")
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert len([name for name in names if "embed_tokens" in name or "shared" in name or "lm_head" in name]) == 1


def test_the_same_texts_give_the_same_tokenizer() -> None:
    for name in OBJECTIVES:
        one, two = (objectives()[name].train_tokenizer(lambda: prose(50, 0), 400) for _ in range(2))
        assert one._tokenizer.to_str() == two._tokenizer.to_str()


def test_a_finished_pretraining_changes_nothing_when_run_again(texts: Path, tmp_path: Path) -> None:
    made = recipe("causal_language_modelling")
    folder = pretrain(made, texts, tmp_path / "out", silent)
    before = (folder / "model.safetensors").read_bytes()
    pretrain(made, texts, tmp_path / "out", silent)
    assert (folder / "model.safetensors").read_bytes() == before


def test_changed_texts_start_from_nothing(texts: Path, tmp_path: Path) -> None:
    data = shutil.copytree(texts, tmp_path / "texts")
    made = recipe("causal_language_modelling")
    pretrain(made, data, tmp_path / "out", silent)
    (data / "train.txt").write_text("\n\n".join(prose(120, 9)))
    events: list[Event] = []
    pretrain(made, data, tmp_path / "out", events.append)
    assert not any(isinstance(event, Resumed) for event in events)
    assert any(isinstance(event, LearningTokenizer) for event in events)


def test_a_rate_that_is_far_too_high_is_reported_not_smoothed(texts: Path, tmp_path: Path) -> None:
    made = recipe("causal_language_modelling", learning_rate=1e30, max_gradient_norm=1e30, tokens=30_000)
    with pytest.raises(RunError, match="a lower learning rate may help"):
        pretrain(made, texts, tmp_path / "out", silent)


# Texts ----------------------------------------------------------------------------------------------------------------


def test_documents_are_read_from_parquet_jsonl_and_text(tmp_path: Path) -> None:
    import pandas as pd

    rows = ["one text", "another\ntext"]
    pd.DataFrame({"body": rows}).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"body": row}) + "\n" for row in rows))
    (tmp_path / "a.txt").write_text("one text\n\n\nanother\ntext\n")
    assert list(corpus.documents(tmp_path / "a.parquet", "body")) == rows
    assert list(corpus.documents(tmp_path / "a.jsonl", "body")) == rows
    assert list(corpus.documents(tmp_path / "a.txt", "")) == ["one text", "another text"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", None, "there is no file"),
        ("a.csv", "text\n", "is not in a supported format. Use one of .parquet, .jsonl, .txt"),
        ("a.jsonl", '{"text": 3}\n', "row 0: 3 is not a text"),
        ("a.jsonl", "{\n", "line 1: this is not valid JSON"),
        ("a.parquet", "no parquet", "cannot be read as parquet"),
    ],
)
def test_texts_that_cannot_be_read_are_named(name: str, content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        list(corpus.documents(tmp_path / name, "text"))


def test_a_missing_column_is_answered_with_those_there_are(tmp_path: Path) -> None:
    import pandas as pd

    pd.DataFrame({"body": ["x"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="has no column 'text', only body"):
        list(corpus.documents(tmp_path / "a.parquet", "text"))


def test_too_little_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("\n\n".join(prose(20, 0)))
    (tmp_path / "held_out.txt").write_text("Three little words.")
    with pytest.raises(UserError, match="fewer than one sequence"):
        pretrain(recipe("causal_language_modelling"), tmp_path, tmp_path / "out", silent)


# Going on from a backbone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["causal_language_modelling", "masked_language_modelling", "span_corruption"])
def test_a_backbone_is_gone_on_from_with_its_tokenizer_and_weights(
    name: str, texts: Path, pretrained: Callable[[str], Path], tmp_path: Path
) -> None:
    start = pretrained(name)
    before = json.loads((start / "pretraining.json").read_text())["curve"]
    more = tmp_path / "more.txt"
    more.write_text("\n\n".join(prose(60, 2)))
    made = continued(name, start, learning_rate=1e-4, warmup_fraction=0)
    other = made.model_copy(update={"texts": (made.texts[0].model_copy(update={"train": str(more)}),)})
    folder = pretrain(other, texts, tmp_path / "more", silent)
    curve = json.loads((folder / "pretraining.json").read_text())["curve"]
    assert curve[0]["perplexity"] < 0.8 * before[0]["perplexity"]
    assert (folder / "tokenizer.json").read_text() == (start / "tokenizer.json").read_text()
    assert f"the shape of {start}, from whose weights" in (folder / "README.md").read_text()
    named = other.model_copy(update={"start_from": "mine"})
    again = pretrain(named, texts, tmp_path / "again", silent, {"mine": str(start)})
    ours, theirs = weights(again), weights(folder)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_backbone_that_cannot_be_gone_on_from_is_refused(
    texts: Path, pretrained: Callable[[str], Path], tmp_path: Path
) -> None:
    start = pretrained("causal_language_modelling")
    with pytest.raises(UserError, match="is a gpt2, but span_corruption trains a t5"):
        pretrain(continued("span_corruption", start), texts, tmp_path / "out", silent)
    long = continued("causal_language_modelling", start, sequences=[{"share": 1, "length": 128}])
    with pytest.raises(UserError, match=r"sequences of 128 tokens do not fit .* which has 64"):
        pretrain(long, texts, tmp_path / "out", silent)
    with pytest.raises(UserError, match="nowhere"):
        pretrain(continued("causal_language_modelling", tmp_path / "nowhere"), texts, tmp_path / "out", silent)


# Muon -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(24, 24), (12, 40), (40, 12)])
def test_muon_in_float32_is_torchs_within_the_rounding_of_bf16(shape: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=draw)
    ours, theirs = (nn.Parameter(start.clone()) for _ in range(2))
    settings: dict[str, Any] = {"lr": 0.02, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
    steps = [(ours, Muon([ours], **settings)), (theirs, torch.optim.Muon([theirs], **settings))]
    for _ in range(4):
        gradient = torch.randn(shape, generator=draw)
        for parameter, optimizer in steps:
            parameter.grad = gradient.clone()
            optimizer.step()
    moved = (theirs - start).norm()
    assert moved > 0.1
    assert (ours - theirs).norm() < 0.02 * moved


def test_muon_moves_matrices_of_one_shape_together_as_it_would_alone() -> None:
    draw = torch.Generator().manual_seed(0)
    shapes = [(8, 8), (8, 20), (8, 8), (20, 8)]
    starts, gradients = ([torch.randn(shape, generator=draw) for shape in shapes] for _ in range(2))
    settings: dict[str, Any] = {"lr": 0.02, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
    together, alone = ([nn.Parameter(start.clone()) for start in starts] for _ in range(2))
    several = [Muon(together, **settings), *(Muon([parameter], **settings) for parameter in alone)]
    for _ in range(3):
        for parameter, gradient in zip([*together, *alone], [*gradients, *gradients], strict=True):
            parameter.grad = gradient.clone()
        for optimizer in several:
            optimizer.step()
    for one, other, start in zip(together, alone, starts, strict=True):
        assert not torch.equal(one, start)
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("precision", "kind"), [("float32", Muon), ("bf16", torch.optim.Muon)])
def test_products_of_muon_are_in_bf16_only_where_that_is_fast(
    precision: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunebench.zoo.pretraining.optimizer.resolve_precision", lambda wanted, device: precision)
    made = optimizers(nn.Linear(4, 4), recipe("span_corruption", optimizer="muon").training)
    assert type(made.parts[1]) is kind


# Recipes --------------------------------------------------------------------------------------------------------------


def test_every_objective_has_a_shipped_recipe() -> None:
    assert sorted(objectives()) == OBJECTIVES
    recipes = {name: read_recipe(name)[0] for name in built_in_recipes()}
    assert sorted(recipes) == [
        "pocket-bert",
        "pocket-gpt2",
        "pocket-t5",
        "pocket-t5-questions",
        "pocket-t5-selection",
        "pocket-t5-spans",
        "pocket-t5-verdicts",
    ]
    assert sorted(made.objective for made in recipes.values()) == OBJECTIVES


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("objective: masked", "objective: unmasked", "there is no pretraining objective 'unmasked_language_modelling'"),
        ("hidden: 256", "hiden: 256", r"shape: there is no field 'hiden'|shape.hiden: there is no field 'hiden'"),
        ("heads: 4", "heads: 3", "3 heads do not divide a hidden size of 256"),
        ("share: 0.9", "share: 0.8", "the sequences' shares sum to 0.9, not to 1"),
        ("shape:", "start_from: gpt2\nshape:", "give either shape, to begin with random weights, or start_from"),
        ("length: 128", "length: 4", "sequences of 4 tokens are too short for masked_language_modelling: 8"),
        ("length: 512", "length: 600", "sequences of 600 tokens do not fit 512 positions"),
        ("optimizer: muon", "optimizer: sgd", "not 'sgd'"),
        ("held_out: ", "# ", "no source has held_out texts"),
        ("batch_tokens: 4096", "batch_tokens: many", "training.batch_tokens: it should be a valid integer"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    written = built_in_recipes()["pocket-bert"]
    assert old in written
    path = tmp_path / "recipe.yaml"
    path.write_text(written.replace(old, new))
    with pytest.raises(UserError, match=message):
        read_recipe(str(path))
