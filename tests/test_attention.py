"""What a run looks at: true weights, labelled tokens, and a page on which every text stays text."""

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import tunebench
from tests.contracts.runs import make, make_run
from tests.records import SCRIPT, run_info
from tunebench._util.errors import UserError
from tunebench.families.base import base_of
from tunebench.records import Failed, write_result
from tunebench.serve import finished as serving
from tunebench.serve.attention.drawing import picture
from tunebench.serve.attention.maps import Attention, Map
from tunebench.serve.attention.page import HEADS_UP_TO, html, write
from tunebench.serve.attention.reading import Token
from tunebench.study import read_run
from tunebench.tasks import tasks

TEXT = "i feel so happy today"
Make = Callable[[str, str, Any], Path]
PREFIX = {"name": "p_tuning_v2", "prefix_length": 3}
PROMPT = {"name": "prompt_tuning", "prefix_length": 3}


@pytest.fixture(scope="module")
def finished(backbones: dict[str, Path], data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Backbone, task and technique -> the folder of a run, made once."""
    made: dict[str, Path] = {}

    def folder_of(kind: str, task: str, technique: Any) -> Path:
        key = f"{kind} {task} {technique}"
        if key not in made:
            made[key] = tmp_path_factory.mktemp("run")
            make(make_run(backbones[kind], data_root, task, technique, epochs=1), made[key])
        return made[key]

    return folder_of


CELLS = [
    ("bert", "emotion", "full", {"self"}),
    ("distilbert", "ner", "full", {"self"}),
    ("modernbert", "emotion", "prompt_tuning", {"self"}),
    ("gpt2", "emotion", "lora", {"masked"}),
    ("llama", "emotion", "lora", {"masked"}),
    ("t5", "emotion", "full", {"self", "masked", "cross"}),
    ("t5", "summarization", "lora", {"self", "masked", "cross"}),
]


@pytest.mark.parametrize(("kind", "task", "technique", "kinds"), CELLS)
def test_the_weights_are_those_that_transformers_gives(
    kind: str, task: str, technique: str, kinds: set[str], finished: Make
) -> None:
    folder = finished(kind, task, technique)
    attention = tunebench.attention(folder, TEXT, target="joy" if kind == "t5" else None)

    model, tokenizer = tunebench.load_finetuned(folder)
    base: Any = base_of(model)
    base.set_attn_implementation("eager")
    prompt = {"emotion": f"emotion: {TEXT}", "summarization": f"summarize: {TEXT}"}[task] if kind == "t5" else TEXT
    inputs: Any = dict(tokenizer(prompt, return_tensors="pt"))
    names = {"self": "attentions", "masked": "attentions"}
    if kind == "t5":
        inputs["labels"] = tokenizer(text_target="joy", return_tensors="pt")["input_ids"]
        names = {"self": "encoder_attentions", "masked": "decoder_attentions", "cross": "cross_attentions"}
    with torch.inference_mode():
        output = model(**inputs, output_attentions=True)
    assert set(attention.maps) == kinds
    for name, one in attention.maps.items():
        expected = torch.cat(output[names[name]]).numpy()
        np.testing.assert_array_equal(one.tuned, expected)
        assert one.tuned.shape == (*one.tuned.shape[:2], len(one.queries), len(one.keys))
    assert attention.computed["Attention implementation"] == "eager"


@pytest.mark.parametrize(("kind", "task", "technique"), [
    *((kind, task, technique) for kind, task, technique, _ in CELLS),
    ("bert", "emotion", PREFIX), ("bert", "emotion", PROMPT), ("gpt2", "emotion", PREFIX), ("gpt2", "emotion", PROMPT),
    ("t5", "emotion", PREFIX), ("t5", "emotion", PROMPT), ("gpt2", "instruction", PREFIX),
])  # fmt: skip
def test_rows_sum_to_one_and_masked_maps_look_back_only(kind: str, task: str, technique: Any, finished: Make) -> None:
    for name, one in tunebench.attention(finished(kind, task, technique), TEXT).maps.items():
        for weights in (one.tuned, one.backbone):
            assert (weights >= 0).all()
            np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
        if name == "masked":
            added = len(one.keys) - len(one.queries)
            assert (np.triu(one.tuned, 1 + added) == 0).all()
            assert (np.triu(one.backbone, 1) == 0).all()


VIRTUAL = [
    ("bert", PREFIX, {"self": (0, 3)}),
    ("gpt2", PREFIX, {"masked": (0, 3)}),
    ("t5", PREFIX, {"self": (0, 3), "masked": (0, 3), "cross": (0, 3)}),
    ("t5", {**PREFIX, "reach": "encoder"}, {"self": (0, 3), "masked": (0, 0), "cross": (0, 0)}),
    ("t5", {**PREFIX, "reach": "decoder"}, {"self": (0, 0), "masked": (0, 3), "cross": (0, 3)}),
    ("bert", PROMPT, {"self": (3, 3)}),
    ("gpt2", PROMPT, {"masked": (3, 3)}),
    ("t5", PROMPT, {"self": (3, 3), "masked": (0, 0), "cross": (0, 3)}),
]


@pytest.mark.parametrize(("kind", "technique", "counts"), VIRTUAL)
def test_virtual_tokens_are_counted_and_labelled(
    kind: str, technique: dict[str, Any], counts: dict[str, tuple[int, int]], finished: Make
) -> None:
    attention = tunebench.attention(finished(kind, "emotion", technique), TEXT)

    name = "prompt" if technique is PROMPT else "prefix"
    for which, one in attention.maps.items():
        for side, count in zip((one.queries, one.keys), counts[which], strict=True):
            added = [token.text for token in side if token.role == "virtual"]
            assert added == [f"{name} {number + 1}" for number in range(count)]
        places = [place for place, token in enumerate(one.keys) if token.role == "virtual"]
        behind = kind == "bert" and technique is PROMPT  # order means nothing there, and the text keeps its positions
        assert places == list(range(len(one.keys)))[-3:] if behind else places == list(range(counts[which][1]))
        assert np.isnan(one.untuned[..., places]).all()
        assert np.isnan(one.difference).sum() == np.isnan(one.untuned).sum()
        assert np.isfinite(one.tuned).all()


def test_a_prefix_is_read_as_the_model_itself_reads_it(finished: Make) -> None:
    folder = finished("gpt2", "emotion", PREFIX)
    one = tunebench.attention(folder, TEXT).maps["masked"]

    model, _ = serving.load_finetuned(folder)
    prefix = model.base_model.prefix()[0]
    states: list[torch.Tensor] = []
    first: Any = model.base_model.h[0].attn
    first.c_attn.register_forward_hook(lambda module, args, output: states.append(output))
    ids = serving.load_finetuned(folder)[1](TEXT, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        model(input_ids=ids)
        heads, width = prefix.shape[1], prefix.shape[3]
        query, key, _ = (x.view(-1, heads, width).transpose(0, 1) for x in states[0][0].split(heads * width, dim=-1))
        scores = query @ torch.cat([prefix[0], key], dim=1).mT / width**0.5
        scores.masked_fill_(torch.ones_like(scores[0]).triu(1 + prefix.shape[2]).bool(), -torch.inf)
    np.testing.assert_allclose(one.tuned[0], scores.softmax(-1).numpy(), atol=1e-6)


@pytest.mark.parametrize(("kind", "technique"), [("bert", "untuned"), ("t5", "untuned"), ("gpt2", "classifier_head")])
def test_a_run_that_left_the_backbone_alone_differs_nowhere(kind: str, technique: str, finished: Make) -> None:
    attention = tunebench.attention(finished(kind, "emotion", technique), TEXT)

    for one in attention.maps.values():
        assert (one.difference == 0).all()
    assert "every difference is exactly 0" in html(attention)


def test_a_run_that_tuned_the_backbone_differs(finished: Make) -> None:
    attention = tunebench.attention(finished("bert", "emotion", "full"), TEXT)

    assert np.abs(attention.maps["self"].difference).max() > 1e-4
    assert "every difference is exactly 0" not in html(attention)


def test_a_decoder_reads_the_runs_own_answer_or_the_given_one(finished: Make) -> None:
    folder = finished("t5", "emotion", "full")
    own, given = tunebench.attention(folder, TEXT), tunebench.attention(folder, TEXT, target="fear")

    assert own.answer == serving.predict(folder, [TEXT])[0]["label"]
    assert given.answer == "fear"
    assert [token.role for token in given.maps["masked"].queries] == ["special", *["answer"] * 4]
    assert [token.text for token in given.maps["cross"].keys][-3:] == ["happy", "today", "[SEP]"]


def test_a_label_is_read_as_the_word_that_stands_for_it(
    backbones: dict[str, Path], data_root: Path, tmp_path: Path
) -> None:
    task = {"name": "emotion", "verbalizer": {label: f"{label} {label}" for label in tasks()["emotion"].labels}}
    make(make_run(backbones["t5"], data_root, task, "untuned"), tmp_path)
    label = serving.predict(tmp_path, [TEXT])[0]["label"]

    assert tunebench.attention(tmp_path, TEXT).answer == f"{label} {label}"


def test_a_model_that_writes_on_reads_its_answer_behind_the_prompt(finished: Make) -> None:
    folder = finished("gpt2", "instruction", PREFIX)
    one = tunebench.attention(folder, "the man is reading .", target="man was reading").maps["masked"]

    assert [token.text for token in one.queries if token.role == "answer"] == ["man", "was", "reading"]
    assert one.queries[-1].text == "reading", "it never reads the end that it writes"
    own = tunebench.attention(folder, "the man is reading .")
    assert own.answer == serving.predict(folder, ["the man is reading ."])[0]["response"]


def test_a_pair_is_read_as_one_text(finished: Make) -> None:
    one = tunebench.attention(finished("bert", "similarity", "untuned"), "a man is playing", "the dog").maps["self"]

    assert " ".join(token.text for token in one.keys) == "[CLS] a man is playing [SEP] the dog [SEP]"


def test_a_cut_is_reported(finished: Make) -> None:
    folder = finished("bert", "emotion", "full")

    cut = tunebench.attention(folder, "happy " * 80)
    assert cut.computed["Tokens"] == "64 of 82, truncated at the run's limit of 64"
    assert tunebench.attention(folder, TEXT).computed["Tokens"] == "7"
    folder = finished("gpt2", "instruction", PREFIX)
    answered = tunebench.attention(folder, "the man", target="man was")
    assert answered.computed["Tokens"].endswith("the last 2 are the answer's")


# The page -------------------------------------------------------------------------------------------------------------


def by_hand(tokens: int, added: int = 0, word: str = "word", **changes: Any) -> Attention:
    """Attention of two layers with three heads that was never computed."""
    rng = np.random.default_rng(0)
    words = tuple(Token(f"{word}{place}") for place in range(tokens))
    virtual = tuple(Token(f"prefix {place + 1}", "virtual") for place in range(added))
    tuned, backbone = (rng.random((2, 3, tokens, width)).astype("float32") for width in (tokens + added, tokens))
    tuned, backbone = (weights / weights.sum(-1, keepdims=True) for weights in (tuned, backbone))
    one = Map("self", words, (*virtual, *words), tuned, backbone)
    values = {
        "run": "a-run",
        "text": "a text",
        "pair": None,
        "answer": None,
        "maps": {"self": one},
        "computed": {"Technique": "full"},
    }
    return Attention(**{**values, **changes})


class Page(HTMLParser):
    """Tags with their attributes, and texts."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


HOSTILE = f'{SCRIPT}" onload="alert(1)\' & </svg></style><img src=x onerror=alert(1)>'


def test_hostile_text_stays_text_on_the_page_and_in_the_figures(tmp_path: Path) -> None:
    hostile = by_hand(
        3,
        1,
        HOSTILE,
        run=HOSTILE,
        text=HOSTILE,
        pair=HOSTILE,
        answer=HOSTILE,
        computed={"Technique": HOSTILE, HOSTILE: HOSTILE},
    )
    harmless, page = (
        Page(html(by_hand(3, 1, pair="a", answer="b", computed={"Technique": "", "a": "b"}))),
        Page(html(hostile)),
    )

    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]
    assert not [name for _, given in page.tags for name in given if name.startswith("on")]
    assert HOSTILE in page.texts
    (section,) = [given for tag, given in page.tags if tag == "section"]
    assert json.loads(section["data-tokens"] or "")["queries"][0]["text"] == f"{HOSTILE}0"
    write(hostile, tmp_path)
    for figure in tmp_path.glob("*.svg"):
        assert "<script" not in figure.read_text()


def test_only_the_pages_own_script_may_run_and_nothing_is_fetched() -> None:
    import base64
    import hashlib

    page = html(by_hand(3))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    assert not re.search(r'(src|href)="(?!data:image/png|#)', page)


def test_every_head_is_shown_up_to_64_tokens_and_the_mean_of_a_layer_beyond() -> None:
    short, long = html(by_hand(HEADS_UP_TO)), html(by_hand(HEADS_UP_TO + 1))

    figures, layers, heads = 3, 2, 3
    assert Page(short).count("button") == figures * layers * (heads + 1)
    assert Page(long).count("button") == figures * layers
    assert "the mean of each layer's heads is shown" not in short
    assert "The text has more than 64 tokens, so the page shows the mean of each layer's heads" in long


def test_virtual_tokens_do_not_count_among_the_64() -> None:
    assert Page(html(by_hand(HEADS_UP_TO, 20))).count("button") == 3 * 2 * 4


def test_virtual_tokens_are_marked_and_hatched_where_there_is_nothing_to_compare() -> None:
    page = html(by_hand(3, 2))

    assert "virtual tokens, which only the tuned model has" in page
    assert page.count('class="absent"') == 2  # untuned, and difference
    assert page.count('class="added"') == 3
    assert "virtual tokens, which only the tuned model has" not in html(by_hand(3))


def pixels(address: str) -> np.ndarray:
    """(queries, keys, 4) of a picture."""
    import base64
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGBA"))


def test_the_opacity_of_a_pixel_is_the_square_root_of_its_weight() -> None:
    values = np.array([[0, 0.25, 1], [np.nan, 0.01, 0.5]], dtype="float32")
    shown = pixels(picture(values))[..., 3] / 255

    np.testing.assert_allclose(shown**2, np.nan_to_num(values), atol=0.01)


def test_more_and_less_attention_have_colours_that_the_colour_blind_distinguish() -> None:
    shown = pixels(picture(np.array([[0.5, -0.5, 0, np.nan]]), signed=True))[0]

    assert shown[0, 0] > shown[0, 2] + 100, "orange is more"
    assert shown[1, 2] > shown[1, 0] + 100, "blue is less"
    assert shown[0, 3] == shown[1, 3] > 0
    assert shown[2, 3] == shown[3, 3] == 0


def test_the_same_run_and_text_give_the_same_files(finished: Make, tmp_path: Path) -> None:
    folder = finished("bert", "emotion", "full")
    for name in ("a", "b"):
        write(tunebench.attention(folder, TEXT), tmp_path / name)

    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["attention.html", "attention.json", "attention.safetensors", "self-heads.svg", "self-layers.svg"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_arrays_hold_every_head_exactly(tmp_path: Path) -> None:
    given = by_hand(70, 2)
    write(given, tmp_path)

    arrays, about = load_file(tmp_path / "attention.safetensors"), json.loads((tmp_path / "attention.json").read_text())
    np.testing.assert_array_equal(arrays["self.tuned"], given.maps["self"].tuned)
    np.testing.assert_array_equal(arrays["self.untuned"], given.maps["self"].untuned)
    assert [token["role"] for token in about["tokens"]["self"]["keys"]] == ["virtual"] * 2 + ["text"] * 70


# What is refused ------------------------------------------------------------------------------------------------------


def test_an_empty_text_or_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"attention: the text is empty\. Give at least one word with --text\."):
        tunebench.attention(tmp_path, " \n")
    with pytest.raises(UserError, match=r"attention: the target is empty\. Omit --target"):
        tunebench.attention(tmp_path, TEXT, target=" ")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"this is not the folder of a finished run\. Give OUT/runs/<run>"):
        tunebench.attention(tmp_path, TEXT)


def test_a_baseline_without_attention_is_refused(finished: Make) -> None:
    with pytest.raises(UserError, match=r"tfidf is a baseline and has no attention\. Give a run of a Transformer"):
        tunebench.attention(finished("bert", "emotion", "tfidf"), TEXT)


def test_a_failed_run_is_refused(finished: Make, tmp_path: Path) -> None:
    shutil.copy(finished("bert", "emotion", "full") / "run.json", tmp_path)
    write_result(tmp_path, Failed(reason="the loss is not finite", run=run_info("full"), environment={}))
    with pytest.raises(UserError, match=r"this run is failed \(the loss is not finite\), so there is no model"):
        tunebench.attention(tmp_path, TEXT)


def test_a_target_is_refused_where_nothing_is_written(finished: Make) -> None:
    with pytest.raises(UserError, match=r"sequence_classification generates no answer, so it takes no target\. Omit"):
        tunebench.attention(finished("bert", "emotion", "full"), TEXT, target="joy")


def test_a_missing_or_needless_pair_is_refused(finished: Make) -> None:
    with pytest.raises(UserError, match=r"attention: similarity takes two texts\. Give the second one with --pair"):
        tunebench.attention(finished("bert", "similarity", "untuned"), "a man")
    with pytest.raises(UserError, match=r"attention: emotion takes one text at a time\. Omit --pair"):
        tunebench.attention(finished("bert", "emotion", "full"), TEXT, "why")


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"--out .*out: it cannot be written \(Not a directory\)\. Choose another"):
        write(by_hand(2), tmp_path / "file" / "out")


def test_the_command_prints_where_the_page_is(
    finished: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunebench.cli import app as cli

    folder = finished("bert", "emotion", "full")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["tunebench", "attention", str(folder), "--text", TEXT])
    with pytest.raises(SystemExit) as end:
        cli.main()

    run, _ = read_run(folder)
    assert end.value.code == 0
    assert capsys.readouterr().out == f"Attention: attention/{run.id}/attention.html\n"
    assert "i feel so happy today" in (tmp_path / "attention" / run.id / "attention.html").read_text()
