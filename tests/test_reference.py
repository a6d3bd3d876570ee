"""The reference of study files: every field has a meaning, and the schema for editors accepts what a study may hold."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_docs import STUDIES
from tunebench.cli import app as cli
from tunebench.study import Study, built_in_studies
from tunebench.study.reference import described, parts
from tunebench.study.schema import json_schema
from tunebench.tasks.problems import problems


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["tunebench", "show", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    return capsys.readouterr().out


# Fields ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", parts())
def test_every_field_of_every_part_has_a_type_and_a_meaning(name: str) -> None:
    fields = described(parts()[name])

    assert [field.name for field in fields] == list(parts()[name].model_fields)
    for field in fields:
        assert len(field.meaning) > 5, field.name
        assert field.type, field.name


def test_types_ranges_and_defaults_are_those_of_the_classes() -> None:
    training = {field.name: (field.type, field.default) for field in described(parts()["training"])}
    split = {field.name: field.type for field in described(parts()["split"])}
    labels = {field.name: field for field in described(parts()["multi_label_classification"])}

    assert training["warmup_fraction"] == ("number ≥ 0 < 1", "0.06")
    assert training["micro_batch_size"] == ("whole number ≥ 1 or null", "null")
    assert training["schedule"] == ("`linear` or `inverse_square_root`", "linear")
    assert split["folds"] == "whole number ≥ 2 or null"
    assert (labels["columns"].default, labels["objective"].default) == (
        "{text: text, pair: null, labels: labels}",
        None,
    )
    assert labels["threshold"].meaning.startswith("a label belongs to a text from this probability on")


@pytest.mark.parametrize("name", ["study", "training", *problems()])
def test_show_prints_every_field_of_a_part(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shown(capsys, monkeypatch, name)

    for field in described(parts()[name]):
        assert re.search(rf"^{field.name} ", out, re.MULTILINE), field.name


# The schema -----------------------------------------------------------------------------------------------------------

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def accepts(schema: Any, value: Any, root: Any) -> bool:
    """Whether a value fits a JSON schema, as far as those of studies go."""
    if schema is True or schema is False:
        return schema
    inner = schema.get("$ref", "").rpartition("/")[2]
    parts_fit = [accepts(root["$defs"][inner], value, root)] if inner else []
    if "anyOf" in schema:
        parts_fit.append(any(accepts(one, value, root) for one in schema["anyOf"]))
    if "enum" in schema:
        parts_fit.append(value in schema["enum"])
    if "const" in schema:
        parts_fit.append(value == schema["const"])
    if "type" in schema:
        parts_fit.append(
            isinstance(value, TYPES[schema["type"]]) and (value is not True or schema["type"] == "boolean")
        )
    if isinstance(value, dict):
        parts_fit.append(_object_fits(schema, value, root))
    if isinstance(value, list):
        parts_fit += [accepts(schema.get("items", True), item, root) for item in value]
        parts_fit.append(len(value) >= schema.get("minItems", 0))
    if isinstance(value, int | float):
        parts_fit.append(value >= schema.get("minimum", value) and value <= schema.get("maximum", value))
    return all(parts_fit)


def _object_fits(schema: Any, value: dict[str, Any], root: Any) -> bool:
    fields = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    return set(schema.get("required", ())) <= set(value) and all(
        accepts(fields.get(name, others), item, root) for name, item in value.items()
    )


@pytest.mark.parametrize("text", [*built_in_studies().values(), *(block for _, block in STUDIES)])
def test_the_schema_accepts_every_study_of_ours(text: str) -> None:
    schema, as_editors_read = json_schema(), re.sub(r"\b(\d+)e-", r"\1.0e-", text)  # PyYAML reads 1e-3 as a text

    assert accepts(schema, yaml.safe_load(as_editors_read), schema)


EXPERIMENT: dict[str, Any] = {"model": "m", "task": "emotion", "techniques": ["full"]}
WRONG: list[dict[str, Any]] = [
    {"modle": "m"},
    {"task": "emotoin"},
    {"task": {"objective": "regression", "data": "a.csv", "colums": {}}},
    {"task": {"objective": "regression", "data": "a.csv", "columns": {"label_": "a"}}},
    {"task": {"objective": "regression", "data": "a.csv", "metrics": ["accuracy"]}},
    {"techniques": [{"name": "lora", "rnk": 3}]},
    {"techniques": [{"name": "lora", "rank": 0}]},
    {"techniques": []},
    {"training": {"epochs": 0}},
    {"model": {"path": "a", "nam": "b"}},
]
RIGHT: list[dict[str, Any]] = [
    {},
    {"model": {"path": "a", "name": "b"}},
    {"task": {"name": "emotion", "rows": {"train": 10}}},
    {"task": {"objective": "token_classification", "data": {"train": "a.conll"}, "columns": {"tokens": 0, "label": 3}}},
    {"techniques": ["full", {"name": "peft", "type": "VERA", "r": 4}]},
]


@pytest.mark.parametrize(("change", "right"), [*((c, False) for c in WRONG), *((c, True) for c in RIGHT)])
def test_the_schema_refuses_what_a_study_refuses(change: dict[str, Any], right: bool) -> None:
    schema = json_schema()
    content = {"name": "s", "experiments": [{**EXPERIMENT, **change}]}
    try:
        read = bool(Study.model_validate(content))
    except ValueError:
        read = False

    assert (accepts(schema, content, schema), read) == (right, right)


def test_the_schema_is_printed_for_a_study_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads(shown(capsys, monkeypatch, "study", "--json-schema")) == json_schema()

    monkeypatch.setattr(sys, "argv", ["tunebench", "show", "lora", "--json-schema"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "only a study file has one" in capsys.readouterr().err


# Names of models ------------------------------------------------------------------------------------------------------


def study_of(model: Any) -> Study:
    return Study.model_validate({"name": "s", "experiments": [{**EXPERIMENT, "model": model}]})


def test_a_folder_with_a_name_is_the_same_run_wherever_it_lies() -> None:
    here, there = study_of({"path": "a/model", "name": "MiniLM"}), study_of({"path": "/b/other", "name": "MiniLM"})
    (run,) = here.runs()

    assert [run] == there.runs()
    assert run.model == "MiniLM"
    assert run.id.startswith("MiniLM--emotion--full--s0--")
    assert here.places().models == {"MiniLM": str(Path("a/model").absolute())}
    assert here.places({"MiniLM": "/c"}).models == {"MiniLM": "/c"}


def test_a_folder_without_a_name_has_its_own_also_where_its_path_looks_like_a_hub_id() -> None:
    (named,), (plain,) = study_of({"path": "venv/bert"}).runs(), study_of("./venv/bert").runs()

    assert named == plain


def test_a_hub_id_with_a_name_stays_what_is_tuned() -> None:
    (named,), (plain,) = study_of({"id": "org/bert", "name": "BERT"}).runs(), study_of("org/bert").runs()

    assert (named.model, named.hub, named.source) == ("BERT", "org/bert", "org/bert")
    assert (plain.model, plain.hub, plain.source) == ("org/bert", None, "org/bert")
    assert study_of({"id": "org/bert"}).runs() == [plain]
    assert named.id != study_of({"id": "org/other", "name": "BERT"}).runs()[0].id
    assert "org" not in named.id


def test_ids_of_models_without_a_name_are_those_of_earlier_versions() -> None:
    (run,) = study_of("org/bert").runs()

    assert run.id == "org_bert--emotion--full--s0--5f986804"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "a"}, "give either id or path: {id: HUB-ID, name: NAME} or {path: FOLDER, name: NAME}."),
        ({"id": "a", "path": "b"}, "give either id or path"),
        ({"path": "a", "name": "b=c"}, "String should match pattern"),
        (5, "it should be a hub id, a local folder, or {id: HUB-ID, name: NAME} or {path: FOLDER, name: NAME}, not 5."),
        ("", "it should be a hub id, a local folder, or"),
    ],
    ids=str,
)
def test_a_model_that_is_none_is_refused_with_the_way_out(model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        study_of(model)
