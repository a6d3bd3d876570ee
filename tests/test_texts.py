"""New texts are read from files as training data are, words as the data's tokens, and each has one line of answer."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.runs import make, make_run
from tests.records import done, failed, write_study
from tests.test_run import tunebench
from tunebench._util.errors import UserError
from tunebench.cli.answers import lines
from tunebench.cli.leaderboards import print_leaderboards
from tunebench.cli.texts import NewTexts, TextInput
from tunebench.report import build_with_leaderboards
from tunebench.tasks.base import Task
from tunebench.tasks.punctuation import Punctuation

pytestmark = pytest.mark.usefixtures("undrawn")

BREAKS = "a\u2028b\x85c\x0cd\x1ee\u2029f"
"""One text that `str.splitlines` would take for six."""


def task_of(objective: str, **columns: Any) -> Task:
    return Task.model_validate({"name": "mine", "objective": objective, "data": "a.csv", "columns": columns})


ONE, TWO = task_of("sequence_classification", text="body"), task_of("regression", text="a", pair="b")
WORDS = task_of("token_classification", tokens="words")
ASK = task_of("causal_lm", input="more")


def read(path: Path, task: Task, content: str | bytes, given: Any = None) -> NewTexts:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return TextInput.of(path, given).texts_for(task)


# Files ----------------------------------------------------------------------------------------------------------------


def test_a_line_of_text_ends_at_a_line_feed_only(tmp_path: Path) -> None:
    new = read(tmp_path / "a.txt", ONE, f"{BREAKS}\r\nsecond\ta tab\n\n")

    assert (new.texts, new.seconds, new.raw) == ([BREAKS, "second\ta tab"], None, True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'body,n\n"one, ""two""",1\n"a\nb",2\n'),
        ("a.csv", 'n;body\n1;"one, ""two"""\n2;"a\nb"\n'),
        ("a.jsonl", '{"body": "one, \\"two\\""}\n{"body": "a\\nb", "label": 3}\n'),
        ("a.json", '[{"body": "one, \\"two\\""}, {"body": "a\\nb"}]'),
    ],
)
def test_texts_are_those_of_the_column_that_the_task_names(name: str, content: str, tmp_path: Path) -> None:
    assert read(tmp_path / name, ONE, content).texts == ['one, "two"', "a\nb"]


def test_an_ending_can_be_overruled_and_a_byte_order_mark_is_no_letter(tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", ONE, "\ufeffbody\nx\n", "csv").texts == ["x"]
    assert read(tmp_path / "b.txt", ONE, "\ufeffx\n").texts == ["x"]
    assert read(tmp_path / "c.csv", ONE, "a,b\n", "text").texts == ["a,b"]


def test_pairs_stand_in_two_columns_or_around_a_tab(tmp_path: Path) -> None:
    for name, content in (("a.csv", "b,a\n2,1\n"), ("a.txt", "1\t2\n")):
        new = read(tmp_path / name, TWO, content)
        assert (new.texts, new.seconds) == (["1"], ["2"])


def test_an_optional_second_text_may_be_missing(tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", ASK, "do\twith\ndo\n").seconds == ["with", ""]
    assert read(tmp_path / "a.csv", ASK, "instruction,more\ndo,with\ndo,\n").seconds == ["with", ""]
    assert read(tmp_path / "b.csv", ASK, "instruction\ndo\n").seconds is None


def test_words_of_a_data_file_are_words_already(tmp_path: Path) -> None:
    new = read(tmp_path / "a.jsonl", WORDS, '{"words": ["in", "U.S.,"]}\n{"words": "as written."}\n')

    assert (new.texts, new.raw) == (["in U.S.,", "as written."], False)


@pytest.mark.parametrize(
    ("name", "task", "content", "message"),
    [
        ("a.txt", ONE, "a\n\nb\n", "line 2: it is empty. Remove it: each line is answered."),
        ("a.txt", ONE, "\n \n", "it contains no text."),
        ("a.csv", ONE, "body\n", "it contains no text."),
        ("a.csv", ONE, "bodi\nx\n", "there is no column 'body', which the run's task reads. Did you mean 'bodi'?"),
        ("a.csv", ONE, 'body,n\nx,1\n" ",2\n', "row 2: 'body' is empty. Write a text."),
        ("a.jsonl", ONE, '{"body": ["x"]}\n', "row 1: 'body' has ['x'], not a text. Write a text."),
        (
            "a.jsonl",
            WORDS,
            '{"words": ["New York"]}\n',
            "the token 'New York' is empty or holds a blank. Write one word.",
        ),
        ("a.jsonl", WORDS, '{"words": []}\n', "row 1: 'words' has no token. Remove the row."),
        ("a.txt", TWO, "1\t2\n3\n", "line 2: mine takes two texts (text and pair). Separate them by one tab."),
        ("a.csv", TWO, "a,b\n1,\n", "row 1: 'b' is empty. Write a text."),
        ("a.txt", ONE, b"caf\xe9\n", "line 1: the byte 0xE9 is not UTF-8."),
    ],
)
def test_a_file_that_holds_no_text_somewhere_is_refused_with_the_place(
    name: str, task: Task, content: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path / name, task, content)

    assert str(caught.value).startswith(f"--file {tmp_path / name}")
    assert message in str(caught.value)


def test_standard_input_is_read_in_the_given_format(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, content in ((None, b"x\ny\n"), ("csv", b"body\nx\ny\n"), ("tsv", b"n\tbody\n1\tx\n2\ty\n")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert TextInput.of(Path("-"), given).texts_for(ONE).texts == ["x", "y"]


# Answers --------------------------------------------------------------------------------------------------------------

ANSWERS: list[dict[str, Any]] = [
    {"text": BREAKS, "label": "joy", "scores": {"joy": 0.75, "fear": 0.25}},
    {"text": f"{BREAKS}\n\tx", "labels": [], "scores": {}},
    {"text": BREAKS, "score": 1.5},
    {"text": BREAKS, "response": "one\ntwo", "ended": False},
    {"text": BREAKS, "answer": "one\ntwo"},
    {"tokens": ["a\u2028b"], "tags": ["O"], "scores": [0.5]},
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: list(answer)[1])
def test_an_answer_is_one_line_whatever_characters_it_holds(answer: dict[str, Any]) -> None:
    (text,), (record,) = lines([answer], "text"), lines([answer], "jsonl")
    table = "\n".join(lines([answer, answer], "csv"))

    assert text.splitlines() == [text]
    assert record.splitlines() == [record]
    assert json.loads(record) == answer
    header, first, second = csv.reader(io.StringIO(table, newline=""))
    assert first == second
    cells = dict(zip(header, first, strict=True))
    assert {
        key: cells[key] if isinstance(value, str) else json.loads(cells[key]) for key, value in answer.items()
    } == answer


def test_an_answer_comes_before_its_text() -> None:
    assert next(iter(lines(ANSWERS[:1], "text"))).startswith("joy\tjoy 0.750, fear 0.250\ta\\u2028b")
    assert next(iter(lines(ANSWERS[3:5], "text"))).startswith("one\\ntwo …\ta")


# Words ----------------------------------------------------------------------------------------------------------------

NEWS = ["John Smith 's dog , Rex , barked .", "He paid $ 5 in the U.S. ( twice ) !", 'She said : " well-known " ?']


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("Mary's cat, Tom, slept.", "Mary 's cat , Tom , slept ."),
        ('In the U.S. (he said): "a well-known 3.5%"!', 'In the U.S. ( he said ) : " a well-known 3.5% " !'),
        ("J. Doe paid $7...", "J. Doe paid $ 7 . . ."),
        ("already split , yes .", "already split , yes ."),
    ],
)
def test_words_are_separated_from_punctuation_as_the_tokens_of_the_data_are(raw: str, words: str) -> None:
    assert " ".join(Punctuation.of([text.split() for text in NEWS]).words(raw)) == words


def test_words_keep_their_punctuation_where_the_tokens_of_the_data_keep_theirs() -> None:
    punctuation = Punctuation.of([["hi,", "all", "there."], ["ok!", "-"]])

    assert punctuation.alone is False
    assert punctuation.words("well, then.") == ["well,", "then."]


def test_data_without_punctuation_show_nothing_so_a_reader_is_warned() -> None:
    seen = ["maria went to london", "he is J. Doe"]

    assert WORDS.as_written(["maria saw london"], lambda: seen) == (["maria saw london"], "")
    texts, warning = WORDS.as_written(["ok", "maria saw london."], lambda: seen)
    assert texts == ["ok", "maria saw london."]
    assert warning.startswith("The data hold no punctuation, so words are separated at blanks only, also in 'maria saw")
    assert ONE.as_written(["maria saw london."], list) == (["maria saw london."], "")


@pytest.fixture(scope="module")
def tagger(backbones: dict[str, Path], data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger")
    rows = [
        {"tokens": ["maria", ",", name, "."], "tags": ["B-PER", "O", "B-PER", "O"]} for name in ("john", "anna") * 10
    ]
    path = tmp_path_factory.mktemp("data") / "names.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    make(
        make_run(backbones["bert"], data_root, {"objective": "token_classification", "data": str(path)}, "tfidf"),
        folder,
    )
    return folder


def test_predict_answers_every_text_of_a_file_in_its_order(tagger: Path, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("maria, john.\nanna\u2028maria , john .\n")
    code, out, err = tunebench("predict", tagger, "--file", tmp_path / "new.txt", "--format", "jsonl")

    assert (code, err) == (0, "")
    first, second = map(json.loads, out.split("\n")[:-1])
    assert first["tokens"] == ["maria", ",", "john", "."]
    assert first["tags"] == ["B-PER", "O", "B-PER", "O"]
    assert second["tokens"] == ["anna", "maria", ",", "john", "."]


# What a study shows when it ends --------------------------------------------------------------------------------------


def test_a_study_ends_with_its_leaderboards_and_conclusions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = write_study(tmp_path, done("full", 0.9), done("lora", 0.8), failed("dora", "out of memory"))
    _, boards = build_with_leaderboards(out)
    capsys.readouterr()
    print_leaderboards(boards)
    shown = capsys.readouterr().out

    (board,) = boards
    assert [row[0] for row in board.rows] == ["full", "lora", "dora"]
    assert board.conclusion.removeprefix("Use full") in (out / "report.md").read_text().replace("**", "")
    assert board.title in shown
    assert board.conclusion in shown
    assert "out of memory" in shown
    assert "0.9" in shown
