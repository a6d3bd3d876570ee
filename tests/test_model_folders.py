"""Model folders with one odd value: what is wrong is said in one line, and the reason is the true one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.runs import make_run
from tunebench._util.errors import UserError
from tunebench.run.plan import plan


@pytest.fixture
def changed(backbones: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    def change(kind: str, name: str, **values: Any) -> Path:
        folder = shutil.copytree(backbones[kind], tmp_path / "model")
        content = json.loads((folder / name).read_text("utf-8"))
        (folder / name).write_text(json.dumps({**content, **values}), "utf-8")
        return folder

    return change


def planned(folder: Path, data_root: Path, task: str) -> Any:
    run = make_run(folder, data_root, task, "full")
    return plan([run], run._places)


@pytest.mark.parametrize("value", [0, -8, False])
def test_a_tokenizer_without_a_position_is_not_laid_to_virtual_tokens(
    value: int, changed: Callable[..., Path], data_root: Path
) -> None:
    folder = changed("bert", "tokenizer_config.json", model_max_length=value)
    with pytest.raises(
        UserError, match=r"^model 'model': its tokenizer leaves no position for a text \(model_max_leng"
    ):
        planned(folder, data_root, "emotion")


def test_a_decoder_with_no_end_of_text_in_its_configuration_is_planned(
    changed: Callable[..., Path], data_root: Path
) -> None:
    (cell,) = planned(changed("gpt2", "config.json", eos_token_id=[]), data_root, "instruction")
    assert cell.applicable


def test_a_model_type_of_thousands_of_letters_is_cut(changed: Callable[..., Path], data_root: Path) -> None:
    folder = changed("bert", "config.json", model_type="x" * 3000)
    with pytest.raises(UserError, match=r"model_type 'x{79}…' is not supported"):
        planned(folder, data_root, "emotion")
