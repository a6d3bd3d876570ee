"""The reference Transformer: each part is what torch computes with the same weights, and what the paper says."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.contracts.runs import make, make_run
from tunebench._util.errors import UserError
from tunebench.families import families
from tunebench.records import Parameters, PlannedCell
from tunebench.run.plan import plan
from tunebench.serve.finished import export
from tunebench.study import Study
from tunebench.techniques import techniques
from tunebench.zoo import checkpoints, embedded
from tunebench.zoo.transformer import Transformer, TransformerConfig
from tunebench.zoo.transformer.attention import MultiHeadAttention, scaled_dot_product_attention
from tunebench.zoo.transformer.embeddings import Positions, ScaledEmbedding, sinusoids
from tunebench.zoo.transformer.feed_forward import FeedForward
from tunebench.zoo.transformer.masks import causal, padding
from tunebench.zoo.transformer.smoothing import smoothed_cross_entropy

SMALL: dict[str, Any] = {"vocab_size": 50, "d_model": 16, "d_ff": 40, "num_layers": 3, "num_heads": 4}


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def config() -> TransformerConfig:
    return TransformerConfig(**SMALL, attn_implementation="eager")


@pytest.fixture
def model(config: TransformerConfig) -> Transformer:
    return Transformer(config).double().eval()


@pytest.fixture
def source() -> dict[str, Tensor]:
    """Two texts, the second one of four tokens."""
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[1, 4:] = 0
    return {"input_ids": torch.randint(2, 50, (2, 7)) * mask, "attention_mask": mask}


# The equations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mask", [None, causal(5, 5, torch.device("cpu")), padding(torch.tensor([[1, 1, 1, 1, 0]] * 2))]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_attention_is_torchs(dtype: torch.dtype, mask: Tensor | None) -> None:
    queries, keys, values = (torch.randn(2, 3, 5, 8, dtype=dtype) for _ in range(3))
    attended, weights = scaled_dot_product_attention(queries, keys, values, mask)
    close(attended, functional.scaled_dot_product_attention(queries, keys, values, mask))
    close(weights.sum(-1), torch.ones(2, 3, 5, dtype=dtype))
    assert mask is None or bool((weights[~mask.expand_as(weights)] == 0).all())


def test_attention_by_hand() -> None:
    queries, keys = torch.tensor([[1.0, 0.0]]), torch.tensor([[math.sqrt(2) * math.log(3), 9.0], [0.0, 9.0]])
    attended, weights = scaled_dot_product_attention(queries, keys, torch.tensor([[4.0], [8.0]]))
    close(weights, torch.tensor([[0.75, 0.25]]))
    close(attended, torch.tensor([[5.0]]))


def of_torch(ours: MultiHeadAttention) -> nn.MultiheadAttention:
    """A module of torch with our weights."""
    theirs = nn.MultiheadAttention(16, 4, bias=False, batch_first=True, dtype=ours.query.weight.dtype)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.out_proj.weight.copy_(ours.output.weight)
    return theirs.eval()


@pytest.mark.parametrize("kind", ["eager", "sdpa"])
@pytest.mark.parametrize("use", ["self", "causal", "cross"])
def test_many_heads_are_torchs(use: str, kind: str) -> None:
    config = TransformerConfig(**SMALL, attn_implementation=kind)
    ours = MultiHeadAttention(config, 0, is_causal=use == "causal").double()
    states = torch.randn(2, 5, 16, dtype=torch.float64)
    memory = torch.randn(2, 7, 16, dtype=torch.float64) if use == "cross" else None
    seen = torch.ones(2, 7 if use == "cross" else 5, dtype=torch.long)
    seen[1, 3:] = 0
    mask = padding(seen)
    assert mask is not None
    looked_at, theirs = states if memory is None else memory, of_torch(ours)
    blocked = None
    if use == "causal":
        mask = mask & causal(5, 5, torch.device("cpu"))
        blocked = ~causal(5, 5, torch.device("cpu"))[0, 0]
    expected, shares = theirs(
        states, looked_at, looked_at, key_padding_mask=seen == 0, attn_mask=blocked, average_attn_weights=False
    )
    attended, weights = ours(states, memory, mask)
    close(attended, expected)
    if kind == "eager":
        close(weights, shares)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"3 heads do not divide a width \(d_model\) of 16"):
        MultiHeadAttention(TransformerConfig(**{**SMALL, "num_heads": 3}), 0, is_causal=False)


def test_the_feed_forward_network_is_equation_2(config: TransformerConfig) -> None:
    network, states = FeedForward(config), torch.randn(2, 5, 16)
    by_hand = torch.clamp(states @ network.inner.weight.T + network.inner.bias, min=0)
    close(network(states), by_hand @ network.outer.weight.T + network.outer.bias)
    close(network(states[:, 2:3]), network(states)[:, 2:3])


def test_sinusoids_have_the_values_of_the_paper() -> None:
    encoding = sinusoids(101, 4)
    close(encoding[0], torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=torch.float64))
    close(encoding[1], torch.tensor([0.84147098, 0.54030231, 0.00999983, 0.99995000], dtype=torch.float64))
    close(encoding[100], torch.tensor([-0.50636564, 0.86231887, 0.84147098, 0.54030231], dtype=torch.float64))
    for place, column in ((7, 3), (31, 10), (100, 14)):
        angle = place / 10_000 ** (2 * (column // 2) / 16)
        expected = math.cos(angle) if column % 2 else math.sin(angle)
        assert float(sinusoids(101, 16)[place, column]) == pytest.approx(expected, abs=1e-12)


def test_places_are_added_from_the_first_one_on_and_no_text_is_too_long() -> None:
    positions = Positions(16)
    close(positions(torch.zeros(2, 3, 16), 5), sinusoids(8, 16)[5:].float())
    close(positions(torch.zeros(1, 900, 16), 0), sinusoids(900, 16).float())
    assert not positions.state_dict()


def test_an_embedding_is_scaled_by_the_root_of_the_width() -> None:
    embedding = ScaledEmbedding(50, 16)
    close(embedding(torch.tensor([7])), 4 * embedding.weight[7:8])


def test_the_loss_is_smoothed_in_training_and_plain_in_evaluation(source: dict[str, Tensor]) -> None:
    logits, labels = torch.randn(2, 3, 50), torch.tensor([[4, 5, 6], [7, -100, -100]])
    likelihoods = logits.log_softmax(-1)
    kept = [(0, 0, 4), (0, 1, 5), (0, 2, 6), (1, 0, 7)]
    terms = [0.9 * likelihoods[b, t, k] + 0.1 * likelihoods[b, t].mean() for b, t, k in kept]
    close(smoothed_cross_entropy(logits, labels, 0.1), -torch.stack(terms).mean())
    model = Transformer(TransformerConfig(**SMALL, dropout=0.0))
    for trains, smoothing in ((True, 0.1), (False, 0.0)):
        given = model.train(trains)(**source, labels=labels)
        close(given.loss, smoothed_cross_entropy(given.logits, labels, smoothing))


# The whole model ------------------------------------------------------------------------------------------------------


def as_torchs(model: Transformer) -> nn.Transformer:
    """The Transformer of torch with our weights: no biases in its attentions, no norm above a stack."""
    theirs = nn.Transformer(16, 4, 3, 3, 40, dropout=0.0, batch_first=True, dtype=torch.float64)
    theirs.encoder.norm = theirs.decoder.norm = None
    ours: Any
    for ours, layer in zip(
        [*model.encoder.layers, *model.decoder.layers], [*theirs.encoder.layers, *theirs.decoder.layers], strict=True
    ):
        pairs: list[tuple[Any, Any]] = [
            (layer.linear1, ours.feed_forward.inner),
            (layer.linear2, ours.feed_forward.outer),
            (layer.norm1, ours.after_self_attention.norm),
        ]
        attentions = [(layer.self_attn, ours.self_attention)]
        if hasattr(ours, "cross_attention"):
            attentions.append((layer.multihead_attn, ours.cross_attention))
            pairs += [(layer.norm2, ours.after_cross_attention.norm), (layer.norm3, ours.after_feed_forward.norm)]
        else:
            pairs.append((layer.norm2, ours.after_feed_forward.norm))
        for theirs_part, ours_part in pairs:
            theirs_part.load_state_dict(ours_part.state_dict())
        for attention, mine in attentions:
            attention.load_state_dict(
                {**of_torch(mine).state_dict(), "in_proj_bias": torch.zeros(48), "out_proj.bias": torch.zeros(16)}
            )
    return theirs.eval()


@pytest.mark.parametrize("kind", ["eager", "sdpa"])
def test_the_model_is_torchs_transformer(kind: str, model: Transformer, source: dict[str, Tensor]) -> None:
    model.set_attn_implementation(kind)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)  # norms, too: at 1 and 0 nobody would see them exchanged
    targets = torch.randint(2, 50, (2, 5))
    theirs, matrix = as_torchs(model), model.encoder.tokens.weight
    texts = [4 * matrix[ids] + sinusoids(ids.shape[1], 16) for ids in (source["input_ids"], targets)]
    states = theirs(
        *texts,
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64),
        src_key_padding_mask=torch.where(source["attention_mask"] == 1, 0.0, -torch.inf).double(),
        memory_key_padding_mask=torch.where(source["attention_mask"] == 1, 0.0, -torch.inf).double(),
    )
    close(model(**source, decoder_input_ids=targets).logits, states @ matrix.T)


def test_a_later_token_changes_no_earlier_output(model: Transformer, source: dict[str, Tensor]) -> None:
    targets = torch.randint(2, 50, (2, 6))
    with torch.no_grad():
        before = model(**source, decoder_input_ids=targets).logits
        for place in range(6):
            changed = targets.clone()
            changed[:, place] = (changed[:, place] + 1) % 48 + 2
            after = model(**source, decoder_input_ids=changed).logits
            assert torch.equal(after[:, :place], before[:, :place])
            assert (after[:, place:] - before[:, place:]).abs().amax(dim=(0, 2)).min() > 1e-6


def test_every_token_of_a_source_is_seen_by_all_of_it_and_padding_by_none(
    model: Transformer, source: dict[str, Tensor]
) -> None:
    with torch.no_grad():
        before = model.encoder(**source).last_hidden_state
        for place in range(7):
            ids = source["input_ids"].clone()
            ids[1, place] = 49
            after = model.encoder(ids, source["attention_mask"]).last_hidden_state
            moved = (after[1, :4] - before[1, :4]).abs().amax(-1)
            assert torch.equal(after[0], before[0])
            assert bool((moved > 1e-6).all()) if place < 4 else bool((moved == 0).all())


def test_the_decoder_hears_the_source_and_none_of_its_padding(model: Transformer, source: dict[str, Tensor]) -> None:
    targets = torch.randint(2, 50, (2, 3))
    states = model.encoder(**source).last_hidden_state
    mask = source["attention_mask"]
    with torch.no_grad():
        before = model(encoder_outputs=(states,), attention_mask=mask, decoder_input_ids=targets).logits
        for place, heard in ((1, True), (5, False)):
            changed = states.clone()
            changed[1, place] += 1.0
            after = model(encoder_outputs=(changed,), attention_mask=mask, decoder_input_ids=targets).logits
            assert torch.equal(after[1], before[1]) != heard


def test_the_base_model_has_the_parameters_of_the_closed_form() -> None:
    with torch.device("meta"):
        base = Transformer(TransformerConfig())
    vocabulary, d, f = 37_000, 512, 2048
    attention, network, norm = 4 * d * d, 2 * d * f + f + d, 2 * d
    encoder, decoder = 6 * (attention + network + 2 * norm), 6 * (2 * attention + network + 3 * norm)
    counted = sum(parameter.numel() for parameter in base.parameters())
    assert counted == vocabulary * d + encoder + decoder == 63_045_632  # "65 x 10^6" in the paper's table 3
    assert encoder == 6 * (4 * d**2 + 2 * d * f + f + 5 * d)
    assert decoder == 6 * (8 * d**2 + 2 * d * f + f + 7 * d)


def test_one_matrix_embeds_source_and_target_and_gives_the_logits(model: Transformer) -> None:
    assert model.encoder.tokens.weight is model.decoder.tokens.weight is model.lm_head.weight
    torch.manual_seed(0)
    fresh = Transformer(TransformerConfig(**{**SMALL, "vocab_size": 5000}))
    assert float(fresh.lm_head.weight.std().detach()) == pytest.approx(16**-0.5, rel=0.02)


def test_dropout_acts_on_embedded_texts_and_on_every_sub_layer() -> None:
    model = Transformer(TransformerConfig(**SMALL))
    places = [name for name, module in model.named_modules() if isinstance(module, nn.Dropout)]
    assert len(places) == 2 + 3 * 2 + 3 * 3
    assert {module.p for module in model.modules() if isinstance(module, nn.Dropout)} == {0.1}


# As a model of the transformers library -------------------------------------------------------------------------------


@pytest.mark.parametrize("beams", [1, 3])
def test_a_generation_with_its_cache_is_the_one_without(
    beams: int, model: Transformer, source: dict[str, Tensor]
) -> None:
    options: dict[str, Any] = {"num_beams": beams, "max_new_tokens": 12, "min_new_tokens": 4}
    cached = model.generate(**source, **options, use_cache=True)
    assert torch.equal(cached, model.generate(**source, **options, use_cache=False))
    assert cached.shape[1] > 5


def test_each_cached_step_has_the_logits_of_the_whole_text(model: Transformer, source: dict[str, Tensor]) -> None:
    targets = torch.randint(2, 50, (2, 6))
    with torch.no_grad():
        whole = model(**source, decoder_input_ids=targets).logits
        states, cache = (model.encoder(**source).last_hidden_state,), None
        for start, end in ((0, 2), (2, 3), (3, 6)):
            step = model(
                encoder_outputs=states,
                attention_mask=source["attention_mask"],
                past_key_values=cache,
                use_cache=True,
                decoder_input_ids=targets[:, start:end],
            )
            cache = step.past_key_values
            close(step.logits, whole[:, start:end])


def test_beams_do_not_depend_on_the_batch(model: Transformer, source: dict[str, Tensor]) -> None:
    options: dict[str, Any] = {"num_beams": 4, "max_new_tokens": 10}
    together = model.generate(**source, **options)
    for row, length in ((0, 7), (1, 4)):
        alone = model.generate(input_ids=source["input_ids"][row : row + 1, :length], **options)
        end = alone.shape[1]
        assert torch.equal(together[row : row + 1, :end], alone)
        assert bool((together[row, end:] == model.config.pad_token_id).all())


def test_a_saved_model_is_loaded_by_the_library_and_answers_as_it_did(
    source: dict[str, Tensor], tmp_path: Path
) -> None:
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    model = Transformer(TransformerConfig(**SMALL, label_smoothing=0.2)).eval()
    model.save_pretrained(tmp_path)
    again, info = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(again, Transformer)
    assert not any(info.values())
    targets = source["input_ids"]
    assert torch.equal(again.eval()(**source, labels=targets).logits, model(**source, labels=targets).logits)
    assert AutoConfig.from_pretrained(tmp_path).label_smoothing == 0.2
    assert (
        len([name for name in load_file(tmp_path / "model.safetensors") if "tokens" in name or "lm_head" in name]) == 1
    )


def test_attention_weights_are_given_where_the_equation_is_computed(
    model: Transformer, source: dict[str, Tensor]
) -> None:
    given = model(**source, labels=source["input_ids"][:, :5], output_attentions=True, output_hidden_states=True)
    for weights, shape in (
        (given.encoder_attentions, (2, 4, 7, 7)),
        (given.decoder_attentions, (2, 4, 5, 5)),
        (given.cross_attentions, (2, 4, 5, 7)),
    ):
        assert [tuple(w.shape) for w in weights] == [shape] * 3
    assert bool((given.decoder_attentions[0].triu(1) == 0).all())
    assert bool((given.cross_attentions[2][1, ..., 4:] == 0).all())
    assert len(given.encoder_hidden_states) == len(given.decoder_hidden_states) == 4
    assert torch.equal(given.decoder_hidden_states[-1] @ model.lm_head.weight.T, given.logits)


# As a family ----------------------------------------------------------------------------------------------------------

FAMILY = families()["transformer"]


@pytest.fixture
def loaded(backbones: dict[str, Path]) -> Any:
    return FAMILY.load(backbones["transformer"], "text_to_text", {}).eval()


@pytest.fixture
def texts(backbones: dict[str, Path]) -> Any:
    tokenizer = FAMILY.tokenizer(backbones["transformer"])
    return dict(tokenizer(["i feel so happy", "john won the world cup"], return_tensors="pt", padding=True))


def test_tail_of_trunk_is_the_model_at_every_depth_of_the_encoder(loaded: Any, texts: Any) -> None:
    labels = torch.tensor([[5, 6, 3], [7, 3, -100]])
    assert len(FAMILY.stages(loaded)) == 1 + 2 + 2
    with torch.no_grad():
        expected = loaded(**texts, labels=labels)
        for depth in range(1, 4):
            split = FAMILY.split(loaded, depth, False)
            above: Any = {"inputs_embeds": split.trunk(**texts), "attention_mask": texts["attention_mask"]}
            assert torch.equal(split.tail(**above, labels=labels).logits, expected.logits)
            tail: Any = split.tail
            options: dict[str, Any] = {"num_beams": 3, "max_new_tokens": 6}
            assert torch.equal(tail.generate(**above, **options), loaded.generate(**texts, **options))


def test_dropout_in_training_touches_no_frozen_stage(loaded: Any, texts: Any) -> None:
    for module in loaded.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    for depth in (1, 2, 3):
        split = FAMILY.split(loaded.eval(), depth, False)
        split.tail.train()
        with torch.no_grad():
            states = split.trunk(**texts)
            assert torch.equal(split.trunk(**texts), states)
            above = {"inputs_embeds": states, "attention_mask": texts["attention_mask"]}
            tail: Any = split.tail
            dropped = [tail.encoder(**above).last_hidden_state for _ in range(2)]
            kept = _cut_places(tail)
        assert torch.equal(*dropped) == (depth == 3)
        assert kept == 2 * (3 - depth)


def _cut_places(tail: Any) -> int:
    """Places of dropout in the encoder's part of a tail: two a layer, none for the embedded text."""
    return sum(isinstance(module, nn.Dropout) for module in tail.encoder.modules())


@pytest.mark.parametrize("name", ["prompt_tuning", "p_tuning_v2", "prefix_tuning"])
def test_virtual_tokens_change_neither_padding_nor_a_generation_with_its_cache(
    name: str, loaded: Any, texts: Any
) -> None:
    technique: Any = techniques()[name](prefix_length=4)
    labels, short = torch.tensor([[5, 6, 7, 3]]), {key: value[:1, :5] for key, value in texts.items()}
    with torch.no_grad():
        untouched = loaded(**short, labels=labels).logits
        technique.apply(loaded, FAMILY, 1)
        alone = loaded(**short, labels=labels).logits
        close(loaded(**texts, labels=labels.repeat(2, 1)).logits[:1], alone)
        assert (alone - untouched).abs().max() > 1e-4
        options: dict[str, Any] = {"num_beams": 2, "max_new_tokens": 8}
        cached = loaded.generate(**short, **options, use_cache=True)
        assert torch.equal(cached, loaded.generate(**short, **options, use_cache=False))


def test_a_cached_encoder_gives_what_an_uncached_one_gives(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    made = {}
    for gigabytes in (1.0, 0.0):
        run = make_run(backbones["transformer"], data_root, "summarization", "freeze", cache_gigabytes=gigabytes)
        made[gigabytes] = make(run, tmp_path / str(gigabytes))
    assert [made[g].cost.cached for g in made] == [True, False]
    assert made[1.0].metrics == made[0.0].metrics


def planned(model: str, *chosen: Any, task: Any = "sentiment") -> tuple[PlannedCell, ...]:
    experiment = {"model": model, "task": task, "techniques": list(chosen)}
    return plan(Study.model_validate({"name": "a", "data": "embedded", "experiments": [experiment]}).runs())


def test_the_papers_shapes_are_counted_offline() -> None:
    for model, count in (("transformer-base", 63_045_632), ("transformer-big", 214_171_648)):
        (cell,) = planned(model, "from_scratch")
        assert cell.parameters == Parameters(total=count, trainable=count, technique=count, head=0)
    with pytest.raises(
        UserError, match=r"has no tokenizer\. Give a folder .* or use pocket-transformer, which has both"
    ):
        checkpoints.fetch(checkpoints.find("transformer-base"), weights=False)


def test_the_shipped_shape_has_no_weights_and_says_what_can_be_done_with_it() -> None:
    scratch, full, untuned, tfidf = planned("pocket-transformer", "from_scratch", "full", "untuned", "tfidf")
    v, d, f = 8193, 256, 1024
    count = v * d + 4 * (4 * d**2 + 2 * d * f + f + 5 * d) + 4 * (8 * d**2 + 2 * d * f + f + 7 * d)
    assert scratch.parameters is not None
    assert scratch.parameters.trainable == count == 9_457_920
    assert f"{count:,} parameters" in (embedded.backbones()["pocket-transformer"] / "README.md").read_text()
    reason = "pocket-transformer has no pretrained weights to begin with: from_scratch draws its own"
    assert [cell.reason for cell in (full, untuned)] == [reason, reason]
    assert tfidf.applicable
    assert not list(embedded.backbones()["pocket-transformer"].glob("*.safetensors"))


def test_the_shipped_tokenizer_is_that_of_pocket_gpt2_with_an_end_behind_every_text() -> None:
    folder = embedded.backbones()["pocket-transformer"]
    tokenizer = FAMILY.tokenizer(folder)
    theirs = families()["gpt2"].tokenizer(embedded.backbones()["pocket-gpt2"])
    text = "When did Zoë move to Hull, at 9:30?"
    assert tokenizer(text)["input_ids"] == [*theirs(text)["input_ids"], tokenizer.eos_token_id]
    assert tokenizer(text_target=[text])["input_ids"] == [tokenizer(text)["input_ids"]]
    assert str(tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True)).strip() == text
    config = FAMILY.config(checkpoints.find("pocket-transformer").config)
    assert (config.pad_token_id, config.eos_token_id, config.decoder_start_token_id) == (8192, 0, 8192)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, len(tokenizer)) == (8192, 0, config.vocab_size)


def test_what_a_run_exports_can_be_tuned_as_any_checkpoint(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    make(make_run(backbones["transformer"], data_root, "sentiment", "from_scratch", epochs=1), tmp_path / "run")
    export(tmp_path / "run", tmp_path / "model")
    done = make(make_run(tmp_path / "model", data_root, "sentiment", "lora", epochs=1), tmp_path / "tuned")
    assert done.backbone is not None
    assert done.backbone.pretrained
