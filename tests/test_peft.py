"""A setting of a PEFT method has its effect, or is refused when the study is planned."""

from typing import Any

import pytest

from tunebench._util.errors import UserError
from tunebench.engine.measure import count_parameters
from tunebench.objectives import objectives
from tunebench.techniques import techniques
from tunebench.zoo import checkpoints

ROLES = ["key", "output"]


def trained(backbone: str = "pocket-bert", objective: str = "sequence_classification", **settings: Any) -> int:
    """How many parameters the technique trains besides the head, counted as `plan` does."""
    checkpoint = checkpoints.find(backbone)
    model = checkpoint.family.skeleton(checkpoint.config, objective, objectives()[objective].head(("a", "b")))
    technique: Any = techniques()["peft"](**settings)
    return count_parameters(technique.apply(model, checkpoint.family, 10), checkpoint.family).technique


def refusal(**settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        trained(**settings)
    message = str(caught.value)
    assert "\n" not in message and len(message) <= 400
    return message


@pytest.mark.parametrize(
    "kind",
    [
        "LORA", "LOKR", "OFT", "VERA",
        *(pytest.param(kind, marks=pytest.mark.full) for kind in ("LOHA", "BOFT", "HRA", "FOURIERFT", "WAVEFT")),
    ],
)  # fmt: skip
def test_layers_to_transform_restricts_roles_in_every_method_that_has_it(kind: str) -> None:
    each = trained(type=kind, target_modules=ROLES, layers_to_transform=3)
    assert trained(type=kind, target_modules=ROLES, layers_to_transform=[1, 2]) == 2 * each
    assert trained(type=kind, target_modules=ROLES) == 4 * each


@pytest.mark.parametrize(
    ("backbone", "objective", "share"), [("pocket-gpt2", "causal_lm", 4), ("pocket-t5", "text_to_text", 4)]
)
def test_layers_to_transform_restricts_roles_in_every_family(backbone: str, objective: str, share: int) -> None:
    one = trained(backbone, objective, type="LORA", target_modules=ROLES, layers_to_transform=[2])
    assert trained(backbone, objective, type="LORA", target_modules=ROLES) == share * one


def test_layers_pattern_restricts_where_it_fits_and_is_refused_where_it_does_not() -> None:
    roles = {"type": "LOHA", "target_modules": ROLES, "layers_to_transform": [2]}
    assert trained(**roles, layers_pattern="layer") == trained(**roles)
    assert "PEFT refuses these settings" in refusal(**roles, layers_pattern="blocks")


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"target_modules": ["key", "ouput.dense"]}, "peft.target_modules 'ouput.dense'"),
        ({"layers_to_transform": [2, 40]}, "peft.layers_to_transform 40"),
        ({"rank_pattern": {"nowhere": 2}}, "peft.rank_pattern {'nowhere': 2}"),
        ({"alpha_pattern": {"key": 2, "nowhere": 4}}, "peft.alpha_pattern 'nowhere'"),
        ({"exclude_modules": ["nowhere"]}, "peft.exclude_modules ['nowhere']"),
        ({"lora_dropout": -0.25}, "peft.lora_dropout: -0.25 is no such fraction"),
        ({"loftq_config": {"loftq_bits": 4}}, "peft.loftq_config {'loftq_bits': 4}"),
        ({"use_qalora": True}, "peft.use_qalora True"),
        ({"type": "LOKR", "use_effective_conv2d": True}, "peft.use_effective_conv2d True"),
        ({"type": "OFT", "layers_pattern": "layer"}, "OFT"),
    ],
)
def test_a_setting_that_changes_nothing_is_refused_with_its_name(settings: dict[str, Any], part: str) -> None:
    assert part in refusal(**{"type": "LORA", "target_modules": ROLES, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {"r": 8, "lora_alpha": 8},
        {"r": 3, "lora_alpha": 5, "lora_dropout": 0.25, "use_rslora": True, "init_lora_weights": "gaussian"},
        {"rank_pattern": {"key": 2}, "alpha_pattern": {"output.dense": 3}, "bias": "all"},
        {"exclude_modules": ["layer.1.attention.self.key"]},
        {"type": "IA3", "target_modules": ["key", "output.dense"], "feedforward_modules": ["output.dense"]},
        {"type": "VERA", "r": 16, "projection_prng_key": 5, "d_initial": 0.5, "save_projection": True},
        {"type": "LOKR", "decompose_factor": 4, "rank_dropout": 0.1, "module_dropout": 0.1},
    ],
)
def test_settings_with_an_effect_or_equal_to_the_default_are_taken(settings: dict[str, Any]) -> None:
    assert trained(**{"type": "LORA", "target_modules": ROLES, **settings}) > 0


def test_roles_that_are_one_module_are_each_taken() -> None:
    both = trained("pocket-gpt2", "causal_lm", type="LORA", target_modules=["query", "key"])
    assert both == trained("pocket-gpt2", "causal_lm", type="LORA", target_modules=["key"])


def test_adalora_by_the_name_of_peft_is_refused_in_favour_of_adalora() -> None:
    message = refusal(type="AdaLora", init_r=4, target_r=1, total_step=30, target_modules=ROLES)
    assert message.endswith("Use adalora.")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r": "nine"}, "PEFT refuses these settings"),
        ({"r": -2}, "PEFT refuses these settings"),
        ({"target_modules": 7}, "PEFT refuses these settings"),
        ({"target_modules": "x" * 5000}, "PEFT refuses these settings"),
        ({"r": {"a": 1}}, "PEFT refuses these settings"),
        ({"init_lora_weights": "corda"}, "peft.init_lora_weights: it asks for data before training"),
        ({"kasa_config": {"beta": 1.0}}, "peft.kasa_config: it asks for data before training"),
        ({"type": "SHIRA"}, "peft.type: SHIRA cannot be planned without the weights"),
        ({"type": "XLORA"}, "peft.type: XLORA leaves the head as it was drawn"),
        ({"type": "POLY"}, "peft.type POLY: it asks for the number of a task with each text. Use LORA."),
    ],
)
def test_what_peft_refuses_late_or_cannot_do_here_is_one_line_when_planned(
    settings: dict[str, Any], message: str
) -> None:
    assert message in refusal(**{"type": "LORA", "target_modules": ROLES, **settings})


@pytest.mark.parametrize(
    ("objective", "settings", "message"),
    [
        ("text_to_text", {"target_modules": ["shared"]}, "does not use what LORA adds to 'shared'"),
        ("text_to_text", {"target_modules": ["shared", "q"]}, "does not use what LORA adds to 'shared'"),
        ("text_to_text", {"type": "HIRA", "target_modules": ["shared"]}, "does not use what HIRA adds to 'shared'"),
        ("text_to_text", {"type": "TINYLORA", "target_modules": ["shared"]}, "peft"),
        ("text_to_text", {"type": "FOURIERFT", "scaling": "x"}, "PEFT refuses these settings"),
        ("text_to_text", {"target_modules": "("}, "PEFT refuses these settings"),
        ("text_to_text", {"exclude_modules": "("}, "PEFT refuses these settings"),
        ("text_to_text", {"trainable_token_indices": [10**9]}, "1000000000 is no token of this model. Give 0 to"),
        ("text_to_text", {"trainable_token_indices": [-1]}, "-1 is no token of this model"),
        ("text_to_text", {"trainable_token_indices": {"shared": ["x"]}}, "x is no token of this model"),
        ("text_to_text", {"lora_dropout": 1.5}, "peft.lora_dropout: 1.5 is no such fraction"),
        ("text_to_text", {"type": "LOHA", "rank_dropout": 1}, "peft.rank_dropout: 1 is no such fraction"),
        ("text_to_text", {"type": "LOHA", "module_dropout": "x"}, "peft.module_dropout: x is no such fraction"),
        ("causal_lm", {"type": "OSF"}, "OSF: it adds nothing to these modules"),
    ],
)
def test_what_would_fail_in_training_is_refused_in_one_line_when_planned(
    objective: str, settings: dict[str, Any], message: str
) -> None:
    backbone = "pocket-t5" if objective == "text_to_text" else "pocket-gpt2"
    with pytest.raises(UserError) as caught:
        trained(backbone, objective, **{"type": "LORA", "target_modules": ["query"], **settings})
    refused = str(caught.value)
    assert message in refused
    assert "\n" not in refused and len(refused) <= 400


def test_embeddings_that_the_model_calls_are_taken() -> None:
    for objective, name in (("causal_lm", "wte"), ("sequence_classification", "wte")):
        assert trained("pocket-gpt2", objective, type="LORA", target_modules=[name], r=2) == 2 * (8192 + 256)
    assert trained(type="LORA", target_modules=["word_embeddings"], r=2) > 0
