"""Model folders with a fault each: `plan` takes them or says in one line what is wrong, never otherwise.

The seed draws model, fault and value. What is taken must also be loaded, or be refused in a line.
"""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import SEED
from tests.contracts.runs import make_run
from tunebench._util.errors import UserError
from tunebench.objectives import objectives
from tunebench.run.plan import plan
from tunebench.zoo import checkpoints, embedded

DOSE, ALL = 12, int(os.environ.get("TUNEBENCH_CAMPAIGN", "300"))
MODELS = {"pocket-bert": "emotion", "pocket-gpt2": "instruction", "pocket-t5": "summarization"}
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, -8, 3, 7, 13, 1 << 40, 0.5, -0.5, 1.5, float("nan"), float("inf")),
    *("", "gelu", "nonsense", "128", [], [1, 2], {}, {"a": 1}, [[]], "\ud83d\ude00", "x" * 3000),
)

Fault = Callable[[random.Random, Path], str]


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), "utf-8")


def another_value(chance: random.Random, folder: Path, name: str) -> str:
    content = read(folder / name)
    place = content
    while True:
        key = chance.choice(sorted(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or len(inner) > 1000 or chance.random() < 0.3:
            break
        place = inner
    place[key] = chance.choice(VALUES)
    write(folder / name, content)
    return f"{name}: {key} = {str(place[key])[:40]}"


def a_setting(chance: random.Random, folder: Path) -> str:
    return another_value(chance, folder, "config.json")


def a_size(chance: random.Random, folder: Path) -> str:
    content = read(folder / "config.json")
    key = chance.choice([k for k, v in content.items() if isinstance(v, int) and not isinstance(v, bool)])
    content[key] = chance.choice([0, -1, 1, content[key] + 1, content[key] * 2, content[key] // 2, 3, 1 << 33])
    write(folder / "config.json", content)
    return f"config.json: {key} = {content[key]}"


def a_missing_key(chance: random.Random, folder: Path) -> str:
    name = chance.choice(["config.json", "tokenizer.json", "tokenizer_config.json"])
    content = read(folder / name)
    key = chance.choice(sorted(content))
    del content[key]
    write(folder / name, content)
    return f"{name} without {key}"


def a_tokenizer_setting(chance: random.Random, folder: Path) -> str:
    return another_value(chance, folder, chance.choice(["tokenizer.json", "tokenizer_config.json"]))


def a_file_of_another_type(chance: random.Random, folder: Path) -> str:
    path = chance.choice(sorted(folder.iterdir()))
    content = chance.choice(["", "[]", "7", "null", "{", '"text"', "\x00\x01", "{}", '{"a": [1]}'])
    path.write_text(content, "utf-8")
    return f"{path.name} holds {content!r}"


def a_missing_file(chance: random.Random, folder: Path) -> str:
    path = chance.choice(sorted(folder.iterdir()))
    path.unlink()
    return f"no {path.name}"


def weights_cut_short(chance: random.Random, folder: Path) -> str:
    path = folder / "model.safetensors"
    size = chance.randrange(path.stat().st_size)
    path.write_bytes(path.read_bytes()[:size])
    return f"{size} bytes of weights"


def a_flipped_byte(chance: random.Random, folder: Path) -> str:
    path = chance.choice([folder / "model.safetensors", folder / "config.json", folder / "tokenizer.json"])
    content = bytearray(path.read_bytes())
    place = chance.randrange(min(len(content), 4000))
    content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return f"{path.name}: byte {place} flipped"


FAULTS: tuple[Fault, ...] = (
    *(a_setting, a_setting, a_size, a_size, a_missing_key, a_tokenizer_setting, a_tokenizer_setting),
    *(a_file_of_another_type, a_missing_file, weights_cut_short, a_flipped_byte),
)


def look(folder: Path, task: str, data_root: Path) -> str:
    """What a user reads: nothing, or one line."""
    try:
        run = make_run(folder, data_root, task, "full")
        plan([run], run._places)
        found = checkpoints.find(str(folder))
        objective = run.task.objective_of(found.family.auto_classes)
        assert objective is not None
        found.family.load(folder, objective, objectives()[objective].head(("a", "b")))
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("number", [pytest.param(n, marks=[] if n < DOSE else [pytest.mark.full]) for n in range(ALL)])
def test_a_faulty_model_folder_is_taken_or_refused_in_one_line(number: int, data_root: Path, tmp_path: Path) -> None:
    chance = random.Random(f"{SEED} {number}")
    model = chance.choice(sorted(MODELS))
    folder = shutil.copytree(embedded.backbones()[model], tmp_path / "model")
    fault = chance.choice(FAULTS)(chance, folder)
    said = look(folder, MODELS[model], data_root)
    assert "\n" not in said, fault
    assert len(said) < 600 + len(str(folder)), fault
    assert not said or said.startswith(("model ", "emotion", "instruction", "summarization")), (fault, said)
