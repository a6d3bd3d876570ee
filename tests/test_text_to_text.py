"""Encoder-decoders: a frozen encoder's cache, answers that no batch changes, answers that are no label, windows."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contracts.runs import make, make_run, published
from tunebench._util.errors import UserError
from tunebench.engine.evaluate import predict
from tunebench.engine.precision import make_accelerator
from tunebench.engine.settle import settle
from tunebench.engine.sources import TokenSource
from tunebench.families import families
from tunebench.objectives import objectives
from tunebench.objectives.base import IGNORED
from tunebench.objectives.text_to_text import TextToText
from tunebench.tasks import load as data
from tunebench.tasks import tasks
from tunebench.tasks.examples import PromptExample, TextExample
from tunebench.tasks.problems import problems
from tunebench.tasks.problems.question_answering import QuestionAnsweringTask, QuestionExample
from tunebench.tasks.problems.regression import RegressionTask
from tunebench.tasks.problems.text_to_text import TextToTextTask
from tunebench.tasks.written import NO_LABEL, NO_NUMBER, label_of, score_as_text, score_of

T5 = families()["t5"]


def asked(backbone: Path, labels: tuple[str, ...] = (), problem: str = "", **settings: Any) -> TextToText:
    kind: Any = problems()[problem or ("sequence_classification" if labels else "text_to_text")]
    text = "source" if kind.form == "text" else "text"
    return TextToText(
        kind(name="asked", **{"prompt": f"{{{text}}}", **settings}), labels, T5.tokenizer(backbone), max_tokens=32
    )


def answers(model: Any, objective: TextToText, examples: list[Any], batch_tokens: int) -> tuple[list[Any], list[Any]]:
    source = TokenSource(objective, objective.encode(examples), torch.device("cpu"))
    return predict(model, source, objective, lambda: torch.autocast("cpu", enabled=False), batch_tokens)


@pytest.fixture
def model(backbones: dict[str, Path]) -> Any:
    torch.manual_seed(0)
    return T5.load(backbones["t5"], "text_to_text", {}).eval()


@pytest.fixture
def texts(data_root: Path) -> list[Any]:
    return data.load(tasks()["sentiment"], data_root).splits["test"]


# The family -----------------------------------------------------------------------------------------------------------


def test_tail_of_trunk_is_the_model_at_every_depth_of_the_encoder(model: Any, backbones: dict[str, Path]) -> None:
    batch: Any = dict(T5.tokenizer(backbones["t5"])(["i feel so happy", "john won"], return_tensors="pt", padding=True))
    labels = torch.tensor([[5, 6, 3], [7, 3, IGNORED]])
    with torch.no_grad():
        expected = model(**batch, labels=labels)
        for depth in range(1, 6):
            split = T5.split(model, depth, False)
            states, mask = split.trunk(**batch), batch["attention_mask"]
            tail: Any = split.tail
            assert torch.equal(tail(inputs_embeds=states, attention_mask=mask, labels=labels).logits, expected.logits)
            written = tail.generate(inputs_embeds=states, attention_mask=mask, num_beams=3, max_new_tokens=6)
            assert torch.equal(written, model.generate(**batch, num_beams=3, max_new_tokens=6))
    assert len(T5.stages(model)) == 1 + 4 + 3 + 1


def test_plain_attention_gives_what_the_fused_one_gives(model: Any, backbones: dict[str, Path]) -> None:
    batch: Any = dict(T5.tokenizer(backbones["t5"])(["i feel so happy", "john won"], return_tensors="pt", padding=True))
    labels = torch.tensor([[5, 6, 3], [7, 3, IGNORED]])
    gradients = []
    for kind in ("eager", "sdpa"):
        model.set_attn_implementation(kind)
        model.zero_grad()
        model(**batch, labels=labels).loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_the_first_upper_layer_borrows_the_position_biases_and_the_model_stays_as_it_was(model: Any) -> None:
    before = [(name, id(p)) for name, p in model.named_parameters()]
    flags = [block.layer[0].SelfAttention.has_relative_attention_bias for block in model.encoder.block]
    T5.split(model, 3, False)
    assert [(name, id(p)) for name, p in model.named_parameters()] == before
    assert [block.layer[0].SelfAttention.has_relative_attention_bias for block in model.encoder.block] == flags


def test_dropout_in_training_touches_no_frozen_stage(model: Any, backbones: dict[str, Path]) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    batch: Any = dict(T5.tokenizer(backbones["t5"])(["i feel so happy"], return_tensors="pt"))
    for depth in (3, 5):
        split = T5.split(model.eval(), depth, False)
        split.tail.train()
        with torch.no_grad():
            assert torch.equal(split.trunk(**batch), split.trunk(**batch))
            states = {"inputs_embeds": split.trunk(**batch), "attention_mask": batch["attention_mask"]}
            encoder: Any = split.tail
            dropped = [encoder.encoder(**states).last_hidden_state for _ in range(2)]
        assert torch.equal(*dropped) == (depth == 5)


def test_the_published_t5_counts_are_the_closed_form_ones() -> None:
    cells = published("t5")
    counted = {(cell.task, cell.technique): cell.parameters.trainable for cell in cells if cell.parameters}
    embeddings, attention, feed_forward = 32128 * 512, 4 * 512 * 512, 2 * 512 * 2048
    encoder = 6 * (attention + feed_forward + 2 * 512) + 32 * 8 + 512
    decoder = 6 * (2 * attention + feed_forward + 3 * 512) + 32 * 8 + 512
    assert counted["sentiment", "full"] == embeddings + encoder + decoder == 60_506_624
    assert {c.parameters.total for c in cells if c.parameters and c.technique == "full"} == {60_506_624}
    assert {n for (_, technique), n in counted.items() if technique == "lora"} == {294_912}
    assert {n for (_, technique), n in counted.items() if technique == "freeze"} == {decoder}
    assert counted["question_answering", "p_tuning_v2"] == 20 * 12 * 2 * 512
    assert counted["summarization", "prompt_tuning"] == 20 * 512


def test_a_cached_encoder_gives_what_an_uncached_one_gives(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    made = {}
    for gigabytes in (1.0, 0.0):
        run = make_run(backbones["t5"], data_root, "summarization", "freeze", cache_gigabytes=gigabytes)
        made[gigabytes] = make(run, tmp_path / str(gigabytes))
    assert [made[g].cost.cached for g in made] == [True, False]
    assert made[1.0].metrics == made[0.0].metrics
    for one, other in zip(made[1.0].history, made[0.0].history, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-5)


@pytest.mark.parametrize("settings", [{"frozen_layers": 2}, {"frozen_layers": 0, "frozen_decoder_layers": 2}])
def test_the_lower_layers_of_either_stack_may_be_frozen(
    settings: dict[str, Any], backbones: dict[str, Path], model: Any
) -> None:
    from tunebench.techniques import techniques

    technique: Any = techniques()["freeze"](**settings)
    technique.apply(model, T5, 1)
    trains = [stage.name for stage in T5.stages(model) if stage.trains()]
    encoder, decoder = settings["frozen_layers"], settings.get("frozen_decoder_layers", 0)
    assert trains == [
        *(f"encoder layer {n}" for n in range(encoder, 4)),
        *(f"decoder layer {n}" for n in range(decoder, 3)),
        "norm",
    ]


def test_a_stack_that_a_model_has_not_is_reported(backbones: dict[str, Path], data_root: Path, tmp_path: Path) -> None:
    for technique, message in (
        ({"name": "freeze", "frozen_decoder_layers": 1}, "not an encoder-decoder. Give frozen_layers"),
        ({"name": "p_tuning_v2", "prefix_length": 4, "reach": "decoder"}, "not an encoder-decoder"),
    ):
        with pytest.raises(UserError, match=message):
            make(make_run(backbones["bert"], data_root, "emotion", technique), tmp_path)


@pytest.mark.parametrize("reach", ["encoder", "decoder", "both"])
def test_a_prefix_reaches_the_stacks_that_reach_names(reach: str, backbones: dict[str, Path], model: Any) -> None:
    from tunebench.techniques import techniques

    batch: Any = dict(T5.tokenizer(backbones["t5"])(["i feel so happy"], return_tensors="pt"))
    with torch.no_grad():
        states = model.encoder(**batch).last_hidden_state
        logits = model(encoder_outputs=(states,), labels=torch.tensor([[5, 3]])).logits
        technique: Any = techniques()["p_tuning_v2"](prefix_length=4, reach=reach)
        technique.apply(model, T5, 1)
        unreached = torch.allclose(model.encoder(**batch).last_hidden_state, states, atol=1e-5)
        assert unreached == (reach == "decoder")
        same = torch.allclose(model(encoder_outputs=(states,), labels=torch.tensor([[5, 3]])).logits, logits, atol=1e-5)
        assert same == (reach == "encoder")
    attentions = {"encoder": 4, "decoder": 6, "both": 10}[reach]
    assert model.prefix.states.numel() == 4 * attentions * 2 * 32


@pytest.mark.parametrize("name", ["prompt_tuning", "p_tuning_v2", "prefix_tuning"])
def test_virtual_tokens_change_neither_padding_nor_a_generation_with_its_cache(
    name: str, backbones: dict[str, Path], model: Any
) -> None:
    from tunebench.techniques import techniques

    technique: Any = techniques()[name](prefix_length=4)
    technique.apply(model, T5, 1)
    tokenizer = T5.tokenizer(backbones["t5"])
    short: Any = tokenizer("i feel so happy", return_tensors="pt")
    padded: Any = tokenizer(
        ["i feel so happy", "john won the world cup in new york"], return_tensors="pt", padding=True
    )
    with torch.no_grad():
        labels = torch.tensor([[5, 6, 7, 3]])
        alone = model(**short, labels=labels).logits
        torch.testing.assert_close(model(**padded, labels=labels.repeat(2, 1)).logits[:1], alone, rtol=1e-4, atol=1e-5)
        options = {"num_beams": 2, "max_new_tokens": 8}
        assert torch.equal(
            model.generate(**short, **options, use_cache=True), model.generate(**short, **options, use_cache=False)
        )


# Answers --------------------------------------------------------------------------------------------------------------


def test_written_answers_depend_neither_on_batch_size_nor_on_order(
    backbones: dict[str, Path], model: Any, texts: list[Any]
) -> None:
    objective = asked(backbones["t5"], beams=3, max_new_tokens=8)
    examples = [PromptExample(row.text, "good") for row in texts]
    together, _ = answers(model, objective, examples, 4096)
    assert answers(model, objective, examples, 1)[0] == together
    assert answers(model, objective, examples[::-1], 64)[0] == together[::-1]
    assert len(set(together)) > 1


def test_answers_are_those_of_the_librarys_own_cache(backbones: dict[str, Path], model: Any, texts: list[Any]) -> None:
    objective = asked(backbones["t5"], beams=3, max_new_tokens=8)
    features = objective.encode([PromptExample(row.text, "good") for row in texts[:8]])
    batch = objective.collate(features, range(8))
    del batch["labels"]
    with torch.no_grad():
        expected = model.generate(**batch, num_beams=3, max_new_tokens=8, eos_token_id=objective.tokenizer.eos_token_id)
        generated = objective.outputs(model, batch, features, range(8))
    assert torch.equal(generated[:, : expected.shape[1] - 1], expected[:, 1:])


def test_ranked_answers_depend_neither_on_batch_size_nor_on_order(
    backbones: dict[str, Path], model: Any, texts: list[Any]
) -> None:
    objective = asked(backbones["t5"], ("happy", "so very", "won"))
    _, together = answers(model, objective, texts, 4096)
    _, alone = answers(model, objective, texts, 1)
    _, turned = answers(model, objective, texts[::-1], 64)
    for one, two, three in zip(together, alone, turned[::-1], strict=True):
        assert two == pytest.approx(one, rel=1e-3)
        assert three == pytest.approx(one, rel=1e-3)
    assert max(row[0] for row in together) > 1.01 * min(row[0] for row in together)


def test_ranking_takes_the_label_whose_loss_is_the_smallest(
    backbones: dict[str, Path], model: Any, texts: list[Any]
) -> None:
    labels = ("happy", "john johnson", "so very")
    objective = asked(backbones["t5"], labels)
    losses = []
    for index in range(len(labels)):
        rows = [TextExample(row.text, index) for row in texts[:8]]
        features = objective.encode(rows)
        with torch.no_grad():
            losses.append(
                [float(model(**objective.collate(features, [at])).loss) * len(features.labels[at]) for at in range(8)]
            )
    best = [labels[int(column.argmin())] for column in torch.tensor(losses).T]
    assert answers(model, objective, texts[:8], 4096)[0] == best


def test_a_written_answer_that_is_no_label_is_counted(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    task = {"name": "sentiment", "answer": "generate", "beams": 2, "max_new_tokens": 5}
    done = make(make_run(backbones["t5"], data_root, task, "untuned"), tmp_path)
    (notice,) = [notice for notice in done.notices if notice.code == "unreadable"]
    assert notice.message.startswith("36 of 36 test answers are not a valid label")
    assert done.metrics.test == {"accuracy": 0.0, "macro_f1": 0.0}


def test_a_label_is_posed_and_read_as_the_word_that_stands_for_it(backbones: dict[str, Path]) -> None:
    objective = asked(backbones["t5"], ("negative", "positive"), answer="generate", verbalizer={"positive": "happy"})
    features = objective.encode([TextExample("so so", 1), TextExample("so so", 0)])
    posed = [objective.tokenizer.decode(row, skip_special_tokens=True) for row in features.labels]
    assert posed == [
        objective.tokenizer.decode(objective.tokenizer(word)["input_ids"], skip_special_tokens=True)
        for word in ("happy", "negative")
    ]
    assert objective.decode(torch.tensor(features.labels[:1]), features, [0])[0] == ["positive"]
    ranked = asked(backbones["t5"], ("negative", "positive"), verbalizer={"positive": "happy"})
    assert ranked.decode(torch.tensor([[0.0, 1.0]]), features, [0])[0] == ["positive"]


def test_a_prompt_with_a_gap_is_answered_behind_its_sentinel(backbones: dict[str, Path]) -> None:
    objective = asked(backbones["t5"], prompt="It was <extra_id_0>. {source}", max_new_tokens=3)
    objective.tokenizer.add_tokens(["<extra_id_0>"], special_tokens=True)
    sentinel, *_ = objective.tokenizer("<extra_id_0>")["input_ids"]
    features = objective.encode([PromptExample("It was <extra_id_0>. so so", "happy")])
    assert features.labels[0] == [sentinel, *objective.tokenizer("happy")["input_ids"]]
    assert objective.new_tokens == 4
    assert objective.decode(torch.tensor(features.labels), features, [0])[0] == ["happy"]


def test_a_gap_that_is_cut_off_with_a_texts_end_is_reported(backbones: dict[str, Path]) -> None:
    objective = asked(backbones["t5"], ("bad", "good"), prompt="{text} It was <extra_id_0>.")
    objective.tokenizer.add_tokens(["<extra_id_0>"], special_tokens=True)
    with pytest.raises(UserError, match=r"prompt: 1 of 2 texts is truncated at max_tokens \(32\), before the gap"):
        objective.encode([TextExample("so so", 1), TextExample("so " * 60, 1)])


def test_a_gap_needs_a_tokenizer_with_sentinels(backbones: dict[str, Path]) -> None:
    objective = asked(backbones["t5"], prompt="It was <extra_id_0>. {source}")
    objective.tokenizer = families()["gpt2"].tokenizer(backbones["gpt2"])
    with pytest.raises(UserError, match="tokenizer has no <extra_id_0>"):
        objective.encode([PromptExample("so happy", "so")])


@pytest.mark.parametrize(
    ("verbalizer", "message"),
    [
        ({"postive": "good"}, "there is no label 'postive'. Did you mean 'positive'?"),
        ({"positive": "Negative"}, "'negative' stands for two labels"),
    ],
)
def test_words_for_labels_are_checked(verbalizer: dict[str, str], message: str, backbones: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=message):
        asked(backbones["t5"], ("negative", "positive"), verbalizer=verbalizer).encode([TextExample("a", 0)])
    with pytest.raises(ValueError, match=message):
        tasks()["sentiment"].model_validate(tasks()["sentiment"].model_dump() | {"verbalizer": verbalizer})


@pytest.mark.parametrize(
    ("text", "label"),
    [("positive", "positive"), (" Positive ", "positive"), ("positively", NO_LABEL), ("", NO_LABEL), ("pos", NO_LABEL)],
)
def test_a_label_is_read_letter_by_letter(text: str, label: str) -> None:
    assert label_of(text, ("negative", "positive")) == label


@pytest.mark.parametrize(
    ("text", "score"),
    [("3.2", 3.2), (" 4 ", 4.0), ("", NO_NUMBER), ("four", NO_NUMBER), ("inf", NO_NUMBER), ("nan", NO_NUMBER)],
)
def test_a_score_is_read_as_t5s_own_evaluation_does(text: str, score: float) -> None:
    assert score_of(text) == score


@pytest.mark.parametrize(("score", "text"), [(0.0, "0.0"), (2.57, "2.6"), (2.5, "2.4"), (3.1, "3.2"), (5.0, "5.0")])
def test_scores_are_posed_in_fifths(score: float, text: str) -> None:
    assert score_as_text(score) == text
    assert RegressionTask(name="scored").target_of(TextExample("a", score), ()) == text


def test_scores_beyond_the_scale_that_is_ranked_are_reported(backbones: dict[str, Path]) -> None:
    rows = [TextExample("so happy", 4.0), TextExample("so so", 80.0)]
    with pytest.raises(UserError, match=r"the score 80.0 is outside the range 0 to 5.*answer: generate"):
        asked(backbones["t5"], problem="regression").encode(rows)
    assert len(asked(backbones["t5"], problem="regression", answer="generate").encode(rows)) == 2


@pytest.mark.parametrize("exact", [True, False])
def test_ranking_has_logits_in_float32_and_writing_in_bf16(
    exact: bool, backbones: dict[str, Path], model: Any, tmp_path: Path
) -> None:
    accelerator, precision = make_accelerator("bf16", tmp_path, None)
    for parameter in model.parameters():
        parameter.requires_grad = False
    settle(model, T5, accelerator.device, precision, exact)
    ids = torch.tensor([[5, 6, 3]], device=accelerator.device)
    with torch.no_grad(), accelerator.autocast():
        logits = model(input_ids=ids, decoder_input_ids=ids).logits
    assert bool((logits.float() == logits.bfloat16().float()).all()) == (not exact)
    assert model.lm_head.weight is model.shared.weight


def test_sources_and_targets_have_their_own_limits_and_cuts_are_counted(backbones: dict[str, Path]) -> None:
    objective = asked(backbones["t5"], target_tokens=4)
    features = objective.encode([PromptExample("happy " * 40, "so " * 10), PromptExample("happy", "so")])
    assert [len(row["input_ids"]) for row in features.inputs] == [32, 2]
    assert [len(ids) for ids in features.labels] == [4, 2]
    assert features.truncated == {"sources": 1, "targets": 1}
    labels = objective.collate(features, [0, 1])["labels"]
    assert labels[1, 2:].tolist() == [IGNORED, IGNORED]


def test_epochs_may_be_compared_on_a_sample_and_greedily_and_the_result_says_so(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones["t5"], data_root, "summarization", "full", validation_rows=12)
    done = make(run, tmp_path / "a")
    (notice,) = [notice for notice in done.notices if notice.code == "comparison"]
    assert "12 validation examples, decoded with 1 beam." in notice.message
    whole = make(make_run(backbones["t5"], data_root, "summarization", "full", validation_beams=None), tmp_path / "b")
    assert not [notice for notice in whole.notices if notice.code == "comparison"]
    assert whole.metrics.validation == whole.history[(whole.best_epoch or 1) - 1].validation


# Questions ------------------------------------------------------------------------------------------------------------


def spans(backbone: Path, **settings: Any) -> Any:
    task = QuestionAnsweringTask(name="asked", **settings)
    return objectives()["question_answering"](task, (), families()["bert"].tokenizer(backbone), max_tokens=16)


def test_windows_cover_a_long_context_and_the_best_one_answers(backbones: dict[str, Path]) -> None:
    context = "the man is outside and the woman is outside and the dog is outside and john is reading the book today"
    example = QuestionExample("who is reading", context, ("john",), (context.index("john"),))
    objective = spans(backbones["bert"], stride=4)
    features = objective.encode([example, QuestionExample("is", "john won", ("won",), (5,))])
    count = len(features) - 1
    assert count > 1
    assert features.truncated == {"contexts (read in windows)": 1}
    held = [at for at in range(count) if features.labels[at] != (0, 0)]
    assert held
    outputs = torch.zeros(len(features), 16, 2)
    for at in held:
        outputs[at, features.labels[at][0], 0] = outputs[at, features.labels[at][1], 1] = 9.0
    outputs[-1, features.labels[-1][0], 0] = outputs[-1, features.labels[-1][1], 1] = 5.0
    answers, details = objective.decode(outputs, features, range(len(features)))
    assert objective.joined(answers, details, features)[0] == ["john", "won"]


def test_a_span_never_ends_before_it_begins(backbones: dict[str, Path]) -> None:
    objective = spans(backbones["bert"])
    features = objective.encode([QuestionExample("is", "john won the cup", ("john",), (0,))])
    outputs = torch.zeros(1, 16, 2)
    outputs[0, 6, 0], outputs[0, 3, 1], outputs[0, 6, 1] = 9.0, 9.0, 8.0
    assert objective.decode(outputs, features, [0])[0] == ["cup"]


def test_a_context_of_which_nothing_is_kept_has_no_answer(backbones: dict[str, Path]) -> None:
    objective = spans(backbones["bert"])
    features = objective.encode([QuestionExample("is", "\u200b", ("",), (0,))])
    assert objective.decode(torch.zeros(1, 16, 2), features, [0]) == ([""], [0.0])


def test_a_question_that_fills_a_window_and_an_answer_that_is_nowhere_are_reported(backbones: dict[str, Path]) -> None:
    objective = spans(backbones["bert"])
    with pytest.raises(UserError, match="more than half of the 16"):
        objective.encode([QuestionExample("is " * 12, "john won", ("won",), (5,))])
    with pytest.raises(UserError, match="does not contain its answer 'maria'"):
        objective.encode([QuestionExample("is", "john won", ("maria",), (-1,))])


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
def test_every_family_answers_questions_and_gold_is_the_same_for_all(
    kind: str, backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    done = make(make_run(backbones[kind], data_root, "question_answering", "full", epochs=1), tmp_path)
    posed = {"bert": "question_answering", "gpt2": "causal_lm", "t5": "text_to_text"}[kind]
    assert done.run.task_settings["objective"] == posed
    assert set(done.metrics.test) == {"token_f1", "exact_match"}
    assert (done.generation is None) == (kind == "bert")


def test_a_summary_by_one_model_keeps_the_cue_and_cuts_the_articles_end(backbones: dict[str, Path]) -> None:
    task = TextToTextTask(name="summed up", cue=" said", max_new_tokens=4)
    tokenizer = families()["gpt2"].tokenizer(backbones["gpt2"])
    objective: Any = objectives()["causal_lm"](task, (), tokenizer, max_tokens=16)
    features = objective.encode([PromptExample("happy " * 5 + "john " * 20, "won")])
    ids = features.inputs[0]["input_ids"]
    happy, said = (objective.tokenizer(word)["input_ids"][0] for word in ("happy", "said"))
    assert ids[0] == happy
    assert ids[features.labels[0] - 1] == said
    prompt = objective.prompts(features, [0])["input_ids"][0].tolist()
    assert (len(prompt), prompt[0], prompt[-1]) == (12, happy, said)
    assert features.truncated == {"prompts": 1}
