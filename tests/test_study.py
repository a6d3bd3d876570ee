"""A study is read strictly: a mistake is answered with its place, its value and the way out."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunebench._util.errors import UserError
from tunebench.study import Places, Run, Study, built_in_studies, read_run, read_study, write_run


def written(folder: Path, text: str) -> str:
    path = folder / "study.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def study_text(techniques: str = "[full]", task: str = "emotion", end: str = "", start: str = "") -> str:
    return (
        f"name: mine\n{start}experiments:\n  - model: some-model\n    task: {task}\n    techniques: {techniques}\n{end}"
    )


def message_of(folder: Path, text: str) -> str:
    with pytest.raises(UserError) as caught:
        read_study(written(folder, text))
    return str(caught.value)


def only_run(**changes: Any) -> Run:
    """The run of a study with one cell; `techniques`, `task` and `training` are the experiment's."""
    top = {key: changes.pop(key) for key in ("seeds", "name") if key in changes}
    experiment = {"model": "some-model", "task": "emotion", "techniques": ["full"], **changes}
    (run,) = Study.model_validate({"name": "mine", **top, "experiments": [experiment]}).runs()
    return run


OWN = "{objective: regression, data: a.csv%s}"

MISTAKES = {
    "misspelt technique": (
        study_text("[loar]"),
        "study.yaml: experiments[0].techniques[0]: there is no technique 'loar'. Did you mean 'lora'?",
    ),
    "misspelt field of a technique": (
        study_text("[full, classifier_head, {name: lora, rnk: 8}]"),
        "study.yaml: experiments[0].techniques[2].rnk: lora has no field 'rnk'. Did you mean 'rank'?",
    ),
    "field of a technique without any": (
        study_text("[{name: untuned, rank: 8}]"),
        "study.yaml: experiments[0].techniques[0].rank: untuned has no field 'rank'. It has no settings.",
    ),
    "learning rate 0": (
        study_text("[{name: full, learning_rate: 0}]"),
        "study.yaml: experiments[0].techniques[0].learning_rate: it should be greater than 0, not 0.",
    ),
    "learning rate in words": (
        study_text("[{name: full, learning_rate: fast}]"),
        "study.yaml: experiments[0].techniques[0].learning_rate: it should be a valid number, "
        "unable to parse string as a number, not 'fast'.",
    ),
    "two mistakes at once": (
        study_text("[{name: lora, rank: 0, alpha: -1}]"),
        "study.yaml: experiments[0].techniques[0].rank: it should be greater than or equal to 1, not 0.\n"
        "study.yaml: experiments[0].techniques[0].alpha: it should be greater than 0, not -1.",
    ),
    "misspelt LoRA target": (
        study_text("[{name: lora, targets: [qurey]}]"),
        "study.yaml: experiments[0].techniques[0].targets: lora has no target 'qurey'. Did you mean 'query'?",
    ),
    "number as technique": (
        study_text("[3]"),
        "study.yaml: experiments[0].techniques[0]: 3 is no technique. Write a name, or {name: lora, rank: 8}.",
    ),
    "no techniques": (study_text("[]"), "study.yaml: experiments[0].techniques: it is empty. Give at least one."),
    "techniques that are no list": (
        study_text("full"),
        "study.yaml: experiments[0].techniques: it should be a list, not 'full'.",
    ),
    "misspelt task": (
        study_text(task="emotoin"),
        "study.yaml: experiments[0].task: there is no task 'emotoin'. Did you mean 'emotion'? "
        "Own files: task: {objective: ..., data: FILE, columns: {...}}.",
    ),
    "task whose name is a list": (
        study_text(task="{name: [emotion]}"),
        "study.yaml: experiments[0].task: there is no task '['emotion']'. Did you mean 'emotion'? "
        "Own files: task: {objective: ..., data: FILE, columns: {...}}.",
    ),
    "misspelt field of a task": (
        study_text(task="{name: emotion, row: {train: 9}}"),
        "study.yaml: experiments[0].task.row: there is no field 'row'. Did you mean 'rows'?",
    ),
    "limit of no rows": (
        study_text(task="{name: emotion, rows: {train: 0}}"),
        "study.yaml: experiments[0].task: rows.train: 0 leaves no example. Give at least 1.",
    ),
    "misspelt objective": (
        study_text(task="{objective: regresion, data: a.csv}"),
        "study.yaml: experiments[0].task: there is no objective 'regresion'. Did you mean 'regression'?",
    ),
    "objective that is a list": (
        study_text(task="{objective: [regression], data: a.csv}"),
        "study.yaml: experiments[0].task: there is no objective '['regression']'. Did you mean 'regression'?",
    ),
    "misspelt column role": (
        study_text(task=OWN % ", columns: {txt: x}"),
        "study.yaml: experiments[0].task: columns: regression has no role 'txt'. Did you mean 'text'?",
    ),
    "misspelt metric": (
        study_text(task=OWN % ", metrics: [pearsn]"),
        "study.yaml: experiments[0].task: regression has no metric 'pearsn'. Did you mean 'pearson'?",
    ),
    "metric of another objective": (
        study_text(task=OWN % ", metrics: [accuracy]"),
        "study.yaml: experiments[0].task: regression has no metric 'accuracy'. Choose from: pearson, spearman.",
    ),
    "metrics that are no list": (
        study_text(task=OWN % ", metrics: pearson"),
        "study.yaml: experiments[0].task: metrics: write a list, [pearson].",
    ),
    "metrics that are a number": (
        study_text(task=OWN % ", metrics: 5"),
        "study.yaml: experiments[0].task: metrics: write a list, [5].",
    ),
    "data without a train file": (
        study_text(task="{objective: regression, data: {test: a.csv}}"),
        "study.yaml: experiments[0].task: data names no train file. Give data: FILE, or data: {train: FILE, ...}.",
    ),
    "data of an unknown split": (
        study_text(task="{objective: regression, data: {train: a.csv, valdation: b.csv}}"),
        "study.yaml: experiments[0].task: data: there is no split 'valdation'. Did you mean 'validation'?",
    ),
    "unknown field at the top": (
        study_text(start="nmae: x\n"),
        "study.yaml: nmae: there is no field 'nmae'. Did you mean 'name'?",
    ),
    "unknown field of an experiment": (
        study_text(end="    modle: x\n"),
        "study.yaml: experiments[0].modle: there is no field 'modle'. Did you mean 'model'?",
    ),
    "unknown training field": (
        study_text(start="training: {epoch: 3}\n"),
        "study.yaml: training.epoch: there is no field 'epoch'. Did you mean 'epochs'?",
    ),
    "training value out of range": (
        study_text(start="training: {epochs: 0}\n"),
        "study.yaml: training.epochs: it should be greater than or equal to 1, not 0.",
    ),
    "training that is no mapping": (
        study_text(start="training: [3]\n"),
        "study.yaml: training: it should be a mapping, not [3].",
    ),
    "unknown training field of an experiment": (
        study_text(end="    training: {epoch: 3}\n"),
        "study.yaml: experiments[0].training.epoch: there is no field 'epoch'. Did you mean 'epochs'?",
    ),
    "training value of an experiment": (
        study_text(end="    training: {batch_size: many}\n"),
        "study.yaml: experiments[0].training.batch_size: it should be a valid integer, "
        "unable to parse string as an integer, not 'many'.",
    ),
    "mistake in the second experiment": (
        study_text(end="  - {model: other, task: ner, techniques: [fulll]}\n"),
        "study.yaml: experiments[1].techniques[0]: there is no technique 'fulll'. Did you mean 'full'?",
    ),
    "experiment without a task": (
        "name: mine\nexperiments: [{model: m, techniques: [full]}]\n",
        "study.yaml: experiments[0].task: this field is required.",
    ),
    "no experiments": ("name: mine\nexperiments: []\n", "study.yaml: experiments: it is empty. Give at least one."),
    "experiments left out": ("name: mine\n", "study.yaml: experiments: this field is required."),
    "no seeds": (study_text(start="seeds: []\n"), "study.yaml: seeds: it is empty. Give at least one."),
    "seeds that are no list": (study_text(start="seeds: 3\n"), "study.yaml: seeds: it should be a list, not 3."),
    "negative seed": (
        study_text(start="seeds: [0, -1]\n"),
        "study.yaml: seeds[1]: it should be greater than or equal to 0, not -1.",
    ),
    "name with a blank": (
        study_text().replace("mine", "my study"),
        "study.yaml: name: use letters, digits, '.', '_' and '-' only, not 'my study'.",
    ),
    "name that climbs out of its folder": (
        study_text().replace("mine", ".."),
        "study.yaml: name: use letters, digits, '.', '_' and '-' only, not '..'.",
    ),
    "list instead of a mapping": (
        "- full\n",
        "study.yaml: a study is a mapping with name and experiments. See 'tunebench show demo'.",
    ),
    "empty file": ("", "study.yaml: a study is a mapping with name and experiments. See 'tunebench show demo'."),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_study_is_reported_with_place_value_and_way_out(mistake: str, tmp_path: Path) -> None:
    text, expected = MISTAKES[mistake]

    assert message_of(tmp_path, text) == expected


def test_text_that_is_no_yaml_is_reported_with_its_line(tmp_path: Path) -> None:
    message = message_of(tmp_path, "name: mine\nexperiments: [\n  {a: b\n")

    assert message.startswith("study.yaml: this is not valid YAML: ")
    assert "line 4" in message
    assert "\n" not in message


def test_a_study_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"name: caf\xe9\n")

    with pytest.raises(UserError, match="it cannot be read as UTF-8 text") as caught:
        read_study(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "way_out"),
    [("dmeo", "Did you mean 'demo'?"), ("no-such-study.yaml", "Choose from: demo, published.")],
)
def test_a_study_that_does_not_exist_is_reported_with_the_built_in_ones(name: str, way_out: str) -> None:
    with pytest.raises(UserError) as caught:
        read_study(name)

    assert str(caught.value) == f"study '{name}': no such file and no built-in study. {way_out}"


def test_a_folder_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file and no built-in study"):
        read_study(str(tmp_path))


def test_the_built_in_studies_parse_and_have_distinct_runs() -> None:
    names = list(built_in_studies())

    assert names == ["demo", "published"]
    for name in names:
        study, text = read_study(name)
        ids = [run.id for run in study.runs()]
        assert study.name == name
        assert Study.model_validate(yaml.safe_load(text)) == study
        assert len(ids) == len(set(ids)) >= 15


# Values ---------------------------------------------------------------------------------------------------------------


def test_a_number_that_yaml_reads_as_text_is_accepted(tmp_path: Path) -> None:
    assert yaml.safe_load("2e-5") == "2e-5", "the trap that this test is about"
    study, _ = read_study(written(tmp_path, study_text("[{name: full, learning_rate: 2e-5}]")))

    (run,) = study.runs()
    assert run.entry.model_dump() == {"learning_rate": 2e-5}


def test_an_experiment_overrides_single_training_settings() -> None:
    study = Study.model_validate(
        {
            "name": "mine",
            "training": {"epochs": 7, "batch_size": 4},
            "experiments": [
                {"model": "a", "task": "emotion", "techniques": ["full"], "training": {"epochs": 30}},
                {"model": "b", "task": "emotion", "techniques": ["full"]},
            ],
        }
    )
    first, second = study.runs()

    assert (first.training.epochs, first.training.batch_size) == (30, 4)
    assert (second.training.epochs, second.training.batch_size) == (7, 4)


def test_runs_come_by_experiment_then_technique_then_seed() -> None:
    study = Study.model_validate(
        {
            "name": "mine",
            "seeds": [5, 3],
            "experiments": [
                {"model": "a", "task": "emotion", "techniques": ["lora", "full"]},
                {"model": "b", "task": "ner", "techniques": ["tfidf"]},
            ],
        }
    )

    assert [(run.model, run.technique, run.seed) for run in study.runs()] == [
        ("a", "lora", 5),
        ("a", "lora", 3),
        ("a", "full", 5),
        ("a", "full", 3),
        ("b", "tfidf", 5),
        ("b", "tfidf", 3),
    ]
    assert {run.seed for run in study.with_seeds(4).runs()} == {0, 1, 2, 3}


def test_variants_of_a_technique_are_labelled_by_what_tells_them_apart() -> None:
    techniques = [
        "full",
        {"name": "lora", "rank": 4},
        {"name": "lora", "targets": ["query", "key"]},
        {"name": "lora", "rank": 4, "dropout": 0},
    ]
    study = Study.model_validate(
        {"name": "mine", "experiments": [{"model": "a", "task": "emotion", "techniques": techniques}]}
    )

    assert [run.label for run in study.runs()] == [
        "full",
        "lora rank=4 dropout=0.05 targets=query+value",
        "lora rank=8 dropout=0.05 targets=query+key",
        "lora rank=4 dropout=0.0 targets=query+value",
    ]


def test_the_same_cell_twice_is_reported() -> None:
    experiment = {"model": "some-model", "task": "emotion", "techniques": ["full", "lora"]}
    study = Study.model_validate({"name": "mine", "experiments": [experiment, experiment]})

    with pytest.raises(UserError) as caught:
        study.runs()
    assert str(caught.value) == "study 'mine': some-model x emotion x full stands in it twice. Remove one."


def test_the_same_seed_twice_is_reported() -> None:
    with pytest.raises(UserError, match="stands in it twice"):
        only_run(seeds=[1, 1])


def study_of(*models: str, **experiment: Any) -> Study:
    """A study with an experiment for each model."""
    common = {"task": "emotion", "techniques": ["full"], **experiment}
    return Study.model_validate({"name": "mine", "experiments": [{"model": model, **common} for model in models]})


def test_a_model_option_that_names_no_model_of_the_study_is_reported() -> None:
    with pytest.raises(UserError) as caught:
        study_of("some-model").places({"sme-model": "folder"})

    assert str(caught.value) == "--model sme-model: the study has no such model. Did you mean 'some-model'?"


def test_a_model_option_gives_the_model_its_place() -> None:
    places = study_of("some-model", "org/other").places({"some-model": "/a/folder"})

    assert places.models == {"some-model": "/a/folder"}


def test_a_model_option_may_name_a_folder_as_the_study_writes_it_or_as_its_runs_do() -> None:
    for name in ("/models/bert", "bert"):
        assert study_of("/models/bert").places({name: "/moved/elsewhere"}).models == {"bert": "/moved/elsewhere"}


def test_own_data_is_named_after_its_train_file() -> None:
    one = only_run(task={"objective": "regression", "data": "somewhere/scores.csv"})
    split = only_run(task={"objective": "regression", "data": {"train": "x/stars.csv", "test": "x/test.csv"}})

    assert (one.task.name, split.task.name) == ("scores", "stars")


def test_a_built_in_task_keeps_what_is_not_overridden() -> None:
    plain, limited = only_run().task, only_run(task={"name": "emotion", "rows": {"train": 9}}).task

    assert limited.rows == {"train": 9}
    assert limited.model_copy(update={"rows": {}}) == plain


# Identity -------------------------------------------------------------------------------------------------------------


def test_a_run_keeps_its_id_between_processes() -> None:
    code = (
        "from tunebench.study import Study; "
        "study = Study.model_validate({'name': 'mine', 'experiments': "
        "[{'model': 'some-model', 'task': 'emotion', 'techniques': ['full']}]}); "
        "print(study.runs()[0].id)"
    )
    ids = {subprocess.check_output([sys.executable, "-c", code], text=True).strip() for _ in range(2)}

    assert ids == {only_run().id}


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [1]},
        {"model": "other-model"},
        {"revision": "v2"},
        {"techniques": [{"name": "full", "learning_rate": 1e-5}]},
        {"techniques": ["llrd"]},
        {"training": {"epochs": 6}},
        {"training": {"precision": "float32"}},
        {"task": {"name": "emotion", "rows": {"train": 9}}},
        {"task": {"name": "emotion", "max_tokens": 64}},
    ],
    ids=str,
)
def test_whatever_can_change_a_figure_changes_the_id(changes: dict[str, Any]) -> None:
    assert only_run(**changes).id != only_run().id


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"checkpoint_seconds": 1}},
        {"training": {"cache_gigabytes": 0}},
        {"name": "another-study"},
        {"task": {"name": "emotion", "caveats": ["a remark"]}},
    ],
    ids=str,
)
def test_whatever_cannot_change_a_figure_keeps_the_id(changes: dict[str, Any]) -> None:
    assert only_run(**changes).id == only_run().id


def test_a_copy_of_a_run_has_the_id_of_its_contents() -> None:
    run = only_run()
    first = run.id

    assert run.model_copy(update={"seed": 1}).id == only_run(seeds=[1]).id != first
    assert run.model_copy().id == first


@pytest.mark.parametrize(
    "model", ["/models/bert", "/elsewhere/bert", "~/bert", "./bert", "../models/bert", "./x/../bert/"]
)
def test_a_model_folder_is_named_by_its_name_wherever_it_lies(model: str) -> None:
    run = only_run(model=model)

    assert (run.model, run.id) == ("bert", only_run(model="/models/bert").id)


@pytest.mark.parametrize("model", ["bert", "org/bert", "models/bert"])
def test_any_other_model_is_named_as_it_is_written_whether_or_not_a_folder_has_that_name(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(model)
    (before,), nowhere = study.runs(), study.places()
    (tmp_path / model).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (run,) = study.runs()

    assert (run.model, run.id) == (model, before.id)
    assert nowhere.models == {}
    assert study.places().models == {model: str(tmp_path / model)}


def test_relative_model_folders_are_found_from_wherever_a_run_is_read(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)

    assert study_of("./models/bert").places({}).models == {"bert": str(tmp_path / "models/bert")}
    assert study_of("bert").places({"bert": "elsewhere"}).models == {"bert": str(tmp_path / "elsewhere")}


@pytest.mark.parametrize("models", [("/a/bert", "/b/bert"), ("/a/bert", "bert"), ("./bert", "../bert")], ids=str)
def test_two_models_of_one_name_are_reported(models: tuple[str, str]) -> None:
    with pytest.raises(UserError) as caught:
        study_of(*models).runs()

    assert str(caught.value) == (
        f"study 'mine': the models {models[0]} and {models[1]} are both named 'bert'. "
        "Give one of them another name: model: {path: FOLDER, name: NAME}."
    )


def test_one_model_folder_may_be_written_in_two_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="stands in it twice"):
        study_of("./bert", str(tmp_path / "bert")).runs()


OWN_FILES = {"objective": "regression", "data": "here/scores.csv"}


def test_where_the_users_own_files_lie_is_a_place_and_no_part_of_a_run() -> None:
    here, there = (study_of("m", task={**OWN_FILES, "data": f"{folder}/scores.csv"}) for folder in ("here", "/there"))
    (run,), (other,) = here.runs(), there.runs()

    assert run == other
    assert "here" not in run.model_dump_json()
    assert there.places().located(other.task).data == "/there/scores.csv"
    assert here.places().of(run).files == {"scores": "here/scores.csv"}


def test_own_files_embedded_data_and_built_in_data_are_three_tasks() -> None:
    named = {"name": "emotion", "objective": "sequence_classification"}
    runs = [
        only_run(task=task) for task in ("emotion", {"name": "emotion", "data": "embedded"}, {**named, "data": "a.csv"})
    ]

    assert [run.task.data for run in runs] == [None, "embedded", "own"]
    assert len({run.id for run in runs}) == 3


def test_two_files_under_one_task_name_are_reported() -> None:
    study = Study.model_validate(
        {
            "name": "mine",
            "experiments": [
                {"model": "m", "task": {**OWN_FILES, "data": data}, "techniques": ["full"]}
                for data in ("a/scores.csv", {"train": "b/scores.csv", "test": "b/test.csv"})
            ],
        }
    )
    with pytest.raises(UserError) as caught:
        study.runs()
    assert str(caught.value) == (
        "study 'mine': two tasks named 'scores' read different files (a/scores.csv; b/scores.csv, b/test.csv). "
        "Give one of them another name (name: NAME)."
    )


def test_a_data_root_replaces_embedded_data() -> None:
    study = study_of("m").on_embedded_data()

    assert study.runs()[0].task.data == "embedded"
    assert study.on_data_root().runs()[0].id == only_run(model="m").id


def test_a_run_file_holds_the_run_and_only_its_own_places(tmp_path: Path) -> None:
    study = study_of("/a/bert", "/b/gpt")
    run = study.runs()[0]
    write_run(tmp_path, run, study.places(data_root="/data"))

    assert read_run(tmp_path) == (run, Places(models={"bert": "/a/bert"}, data_root="/data"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "this is no folder of a run (run.json cannot be read). Give OUT/runs/<run>."),
        ('{"run": {}}', "its run.json is damaged, or another version wrote it. Run the study again."),
        (
            '{"model": "m", "folder": "/models/m", "task": {}, "technique": "full", "seed": 0}',
            "schema 1 of tunebench wrote its run.json; this version reads schema 2. Run the study again.",
        ),
    ],
)
def test_a_run_file_that_cannot_be_read_is_reported(content: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError) as caught:
        read_run(tmp_path)

    assert str(caught.value) == f"{tmp_path}: {expected}"


def test_a_label_for_tables_is_no_part_of_the_id() -> None:
    alone = only_run(techniques=[{"name": "lora", "rank": 4}])
    study = Study.model_validate(
        {
            "name": "mine",
            "experiments": [
                {"model": "some-model", "task": "emotion", "techniques": [{"name": "lora", "rank": 4}, "lora"]}
            ],
        }
    )
    beside = study.runs()[0]

    assert alone.label != beside.label
    assert alone.id == beside.id


@pytest.mark.parametrize("name", ["../../up", "news/topics", "a b"])
def test_an_id_is_one_plain_folder_name(name: str) -> None:
    own = {"name": name, "objective": "regression", "data": "a.csv"}

    run = only_run(model="some/../model: one", task=own)
    assert Path(run.id).name == run.id
    assert " " not in run.id


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"techniques": [{"name": "lora", "rank": 4, "targets": ["query", "key"]}]},
        {"techniques": ["tfidf"], "task": "ner"},
        {"task": {"objective": "regression", "data": {"train": "a.csv"}, "columns": {"pair": "second"}}},
        {"model": "/models/bert", "training": {"micro_batch_size": 2}},
    ],
    ids=str,
)
def test_a_run_comes_back_from_json_as_it_was(changes: dict[str, Any]) -> None:
    run = only_run(**changes)

    back = Run.model_validate(json.loads(json.dumps(run.model_dump(mode="json"))))
    assert back == run
    assert type(back.entry) is type(run.entry)
    assert back.id == run.id


# Speed ----------------------------------------------------------------------------------------------------------------


def test_reading_a_study_imports_no_torch() -> None:
    code = (
        "import sys; from tunebench.study import read_study; runs = read_study('published')[0].runs(); "
        "print(len(runs), *sorted({'torch', 'transformers', 'peft', 'sklearn', 'pandas'} & set(sys.modules)))"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["44"]
