"""The pages say what the code does: generated ones are up to date, links lead somewhere, commands are real."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from docs.generate import DOCS, pages

from tunebench.cli import app as cli
from tunebench.cli.catalogue import entries
from tunebench.run.plan import plan
from tunebench.study import Study, built_in_studies
from tunebench.techniques import techniques
from tunebench.techniques.base import Technique
from tunebench.techniques.guide import guides
from tunebench.zoo import checkpoints

ROOT = DOCS.parent
MARKDOWN = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("benchmarks/*.md")])


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# Generated pages ------------------------------------------------------------------------------------------------------


def test_every_technique_has_a_guide() -> None:
    assert set(guides()) == set(techniques()), "a technique's guide is src/tunebench/techniques/guide/<name>.yaml"


def test_generated_pages_are_what_the_code_makes_of_them() -> None:
    made = pages()
    kept = {
        str(path.relative_to(DOCS)): path.read_text(encoding="utf-8")
        for path in [*(DOCS / "techniques").iterdir(), *(DOCS / "families").iterdir(), *(DOCS / "tasks").iterdir()]
    } | {"reference.md": (DOCS / "reference.md").read_text(encoding="utf-8")}

    assert sorted(kept) == sorted(made), "run `make docs`"
    for path, text in made.items():
        assert kept[path] == text, f"docs/{path}: run `make docs`"


def shape(model: str) -> dict[str, Any]:
    """What the closed forms call a model's measures."""
    checkpoint = checkpoints.find(model)
    config: Any = checkpoint.family.config(checkpoint.config)
    inner = [getattr(config, name, None) for name in ("intermediate_size", "n_inner", "d_ff")]
    return {
        "hidden": config.hidden_size,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "inner": next((width for width in inner if width), 4 * config.hidden_size),
        "vocabulary": config.vocab_size,
        "positions": getattr(config, "max_position_embeddings", None),
        "classes": 6,
        "decoder_layers": getattr(config, "num_decoder_layers", None),
    }


COUNTED = [
    pytest.param(name, model, marks=[] if name == "lora" or model == next(iter(guide.counts)) else [pytest.mark.full])
    for name, guide in guides().items()
    for model in guide.counts
]
"""Every technique's form on one model, and one technique's on every model."""


@pytest.mark.parametrize(("name", "model"), COUNTED)
def test_a_closed_form_gives_what_a_plan_counts(name: str, model: str) -> None:
    guide = guides()[name]
    technique = {"name": name, **guide.example}
    study = Study.model_validate(
        {"name": "one", "experiments": [{"model": model, "task": "emotion", "techniques": [technique]}]}
    )
    (cell,) = plan(study.runs())

    count = guide.counts[model]
    settings = techniques()[name](**guide.example).model_dump() | guide.example
    assert eval(count.form, {"__builtins__": {}}, {**settings, **shape(model)}) == count.trained
    assert cell.parameters is not None
    assert (cell.parameters.head if count.head else cell.parameters.technique) == count.trained


def test_all_techniques_are_counted_where_they_apply() -> None:
    for name, entry in techniques().items():
        if issubclass(entry, Technique):
            counted = set(guides()[name].counts)
            assert counted >= {"bert-base-uncased", "gpt2"}, name
            refused = entry(**guides()[name].example).not_applicable(
                checkpoints.find("t5-small").family, "text_to_text"
            )
            assert ("t5-small" in counted) == (refused is None), name


def test_the_short_form_is_on_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tunebench", "show", "lora"])
    with pytest.raises(SystemExit):
        cli.main()

    out = capsys.readouterr().out
    for part in (
        "h = W x + (alpha / rank)",
        "294,912 without the head = 2 * layers * rank",
        "Use it when:",
        "Avoid it when:",
    ):
        assert part in out


# Links ----------------------------------------------------------------------------------------------------------------

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def prose(path: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """What headings are called in links."""
    titles = re.findall(r"^#+ (.*)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", MARKDOWN, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for groups in _LINK.findall(prose(page)):
        link = "".join(groups)
        if re.match(r"https?://|mailto:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{named(page)}: {link}"
        on_site = page.is_relative_to(DOCS)
        assert not on_site or target.is_relative_to(DOCS), f"{named(page)}: {link} leaves docs/, where the site ends"
        assert not anchor or anchor in anchors(target), f"{named(page)}: {link}"


_FILE = re.compile(r"`((?:src|tests|docs|benchmarks)/[\w./-]+|(?:\w+/)+\w+\.py)`")


@pytest.mark.parametrize("page", [page for page in MARKDOWN if page.name != "CHANGELOG.md"], ids=named)
def test_every_file_of_ours_that_a_page_names_exists(page: Path) -> None:
    for path in _FILE.findall(prose(page)):
        assert any((root / path).exists() for root in (ROOT, ROOT / "src/tunebench")), f"{named(page)}: {path}"


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="the site needs tunebench[docs]")
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "build" / "site" / "techniques" / "lora" / "index.html").is_file()
    assert not list((tmp_path / "build").rglob("*.py"))


# Commands and studies -------------------------------------------------------------------------------------------------

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_PLACEHOLDERS = {"STUDY", "RECIPE", "NAME", "my-study.yaml"}  # the README writes my-study.yaml out


def commands(page: Path) -> Iterator[str]:
    """`tunebench ...` in blocks of code, and between backticks."""
    text = page.read_text(encoding="utf-8")
    for _, language, block in _FENCE.findall(text):
        if language in ("sh", "bash", ""):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip().startswith("tunebench "):
                    yield re.sub(r"\s#.*", "", line).strip()
    for span in re.findall(r"`(tunebench [^`]+)`", prose(page)):
        yield " ".join(span.split())


WRITTEN = sorted({(named(page), command) for page in MARKDOWN for command in commands(page)})


def test_there_are_commands_to_test() -> None:
    assert len(WRITTEN) > 20


@pytest.mark.parametrize(("page", "written"), WRITTEN)
def test_every_command_in_the_pages_is_one(page: str, written: str) -> None:
    group: Any = typer.main.get_command(cli.app)
    command, _, _ = written.partition(" > ")
    _, name, *arguments = shlex.split(re.sub(r"\$\(.*?\)(?=\s|$)", "computed", command))
    if name == "--help":
        return
    assert name in group.commands, f"there is no command {name}"
    if not arguments:  # the command is only mentioned
        return
    parsed = group.commands[name].make_context(name, arguments).params
    known = {kind: set(about) for kind, about in entries().items()}
    if name in ("run", "plan") and parsed["study"] not in _PLACEHOLDERS:
        assert parsed["study"] in built_in_studies() or (ROOT / parsed["study"]).is_file(), "there is no such study"
    if name == "show" and parsed["name"] not in _PLACEHOLDERS:
        assert any(parsed["name"] in names for names in known.values()), "nothing has this name"
    if name == "pretrain" and parsed["recipe"] not in _PLACEHOLDERS:
        assert parsed["recipe"] in known["recipes"], "there is no such recipe"


STUDIES = [
    (named(page), block)
    for page in MARKDOWN
    for _, language, block in _FENCE.findall(page.read_text(encoding="utf-8"))
    if language == "yaml" and "experiments:" in block
]


@pytest.mark.parametrize(
    ("page", "block"), [*STUDIES, *((named(p), p.read_text()) for p in DOCS.rglob("results/*.yaml"))]
)
def test_every_study_in_the_pages_is_valid(page: str, block: str) -> None:
    assert Study.model_validate(yaml.safe_load(block)).runs()
