"""Kept outputs of frozen stages: computed once, checked when read, within a budget, and never in the way."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tests.tiny import make_tokenizer
from tunebench.engine import frozen_trunk
from tunebench.engine.frozen_trunk import Trunk, TrunkCache, entry_key
from tunebench.engine.measure import Spent
from tunebench.engine.sources import CachedSource, CachedVectorSource, TokenSource
from tunebench.objectives import objectives
from tunebench.objectives.base import Objective
from tunebench.tasks.examples import TextExample
from tunebench.tasks.problems.sequence_classification import SequenceClassificationTask

WIDTH = 8
TABLE = torch.randn(500, WIDTH, generator=torch.Generator().manual_seed(0))
TEXTS = ("i feel happy", "so very gloomy today and again", "afraid", "the man was furious outside")


@pytest.fixture(scope="module")
def objective() -> Objective:
    task = SequenceClassificationTask(name="cached")
    return objectives()["sequence_classification"](task, ("a", "b"), make_tokenizer(), max_tokens=32)


@pytest.fixture
def tokens(objective: Objective) -> TokenSource:
    return tokens_of(objective, TEXTS)


def tokens_of(objective: Objective, texts: tuple[str, ...]) -> TokenSource:
    examples = [TextExample(text, number % 2) for number, text in enumerate(texts)]
    return TokenSource(objective, objective.encode(examples), torch.device("cpu"))


class Clock:
    """Stands for both clocks; the CPU's goes twice as fast, as with two threads."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> Spent:
        return Spent(self.seconds, 2 * self.seconds)


class Counted:
    """A trunk that looks its ids up in a table, and counts its batches."""

    def __init__(self, dtype: torch.dtype = torch.float32, one_vector: bool = False):
        self.calls, self._dtype, self._one_vector = 0, dtype, one_vector

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        self.calls += 1
        states = TABLE[inputs["input_ids"]].to(self._dtype)
        return states[:, :1] if self._one_vector else states

    def trunk(self, identity: str = "model") -> Trunk:
        return Trunk(self, identity, self._one_vector)


def states_of(cache: TrunkCache, tokens: TokenSource, counted: Counted, identity: str = "model") -> Tensor | None:
    kept = cache.states(counted.trunk(identity), tokens, batch_tokens=16)
    return kept and kept.states


def expected(tokens: TokenSource) -> Tensor:
    return TABLE[torch.tensor([token for row in tokens.features.inputs for token in row["input_ids"]])]


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_states_are_computed_once_and_read_afterwards(dtype: torch.dtype, tokens: TokenSource, tmp_path: Path) -> None:
    first, second = Counted(dtype), Counted(dtype)
    made = states_of(TrunkCache(tmp_path, 1e6), tokens, first)
    read = states_of(TrunkCache(tmp_path, 1e6), tokens, second)

    assert made is not None
    assert read is not None
    assert torch.equal(made, expected(tokens).to(dtype))
    assert torch.equal(read, made)
    assert read.dtype == dtype
    assert first.calls > 1, "several batches, so that their order matters"
    assert second.calls == 0


def test_every_reader_is_charged_the_computation_and_neither_its_wait_nor_its_reading(
    tokens: TokenSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, counted = Clock(), Counted()
    monkeypatch.setattr(Spent, "now", clock.now)

    class Waited(FileLock):
        def __enter__(self) -> "Waited":
            clock.seconds += 100  # as long as another worker computes
            return super().__enter__()

    def compute(inputs: dict[str, Tensor]) -> Tensor:
        clock.seconds += 1
        return counted(inputs)

    monkeypatch.setattr(frozen_trunk, "FileLock", Waited)
    made, read = (TrunkCache(tmp_path, 1e6).states(Trunk(compute, "model", False), tokens, 16) for _ in range(2))
    assert made is not None and read is not None
    assert made.cost == read.cost == Spent(counted.calls, 2 * counted.calls)
    assert (made.computed, read.computed) == (True, False)
    assert made.peaks == read.peaks
    assert read.peaks.memory > 0


def test_an_entry_that_does_not_say_what_it_cost_is_made_again(tokens: TokenSource, tmp_path: Path) -> None:
    cache, again = TrunkCache(tmp_path, 1e6), Counted()
    states_of(cache, tokens, Counted())
    (entry,) = entries(tmp_path)
    states = expected(tokens)
    with safe_open(entry, "pt") as file:
        about = file.metadata()
    save_file({"states": states}, entry, metadata={"crc32": about["crc32"]})
    states_of(cache, tokens, again)
    assert again.calls > 0


def test_one_vector_a_text_is_kept_where_one_is_enough(tokens: TokenSource, tmp_path: Path) -> None:
    states = states_of(TrunkCache(tmp_path, 1e6), tokens, Counted(one_vector=True))

    assert states is not None
    assert torch.equal(states, TABLE[torch.full((len(TEXTS),), tokens.features.inputs[0]["input_ids"][0])])
    batch = CachedVectorSource(tokens.objective, tokens.features, torch.device("cpu"), states).batch([2, 1])
    assert torch.equal(batch["inputs_embeds"], states[[2, 1], None])
    assert torch.equal(batch["labels"], tokens.batch([2, 1])["labels"])


def test_a_batch_of_kept_states_is_the_batch_that_the_trunk_gives(tokens: TokenSource, tmp_path: Path) -> None:
    states = states_of(TrunkCache(tmp_path, 1e6), tokens, Counted())
    assert states is not None
    batch = CachedSource(tokens.objective, tokens.features, torch.device("cpu"), states).batch([2, 0])
    plain = tokens.batch([2, 0])

    mask = plain["attention_mask"].bool()
    assert torch.equal(batch["attention_mask"], plain["attention_mask"])
    assert torch.equal(batch["inputs_embeds"][mask], TABLE[plain["input_ids"]][mask])
    assert torch.equal(batch["labels"], plain["labels"])


def test_progress_is_reported_batch_by_batch(tokens: TokenSource, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    counted = Counted()
    TrunkCache(tmp_path, 1e6).states(counted.trunk(), tokens, 16, lambda done, total: progress.append((done, total)))

    assert progress == [(number + 1, counted.calls) for number in range(counted.calls)]


def test_the_key_holds_the_model_and_the_tokenised_texts(objective: Objective) -> None:
    features, others = (tokens_of(objective, texts).features for texts in (TEXTS, TEXTS[::-1]))
    counted = Counted()

    assert entry_key(counted.trunk("a"), features) == entry_key(Counted().trunk("a"), features)
    keys = {entry_key(counted.trunk(i), f) for i in ("a", "b") for f in (features, others)}
    assert len(keys) == 4


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-16])


def cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_a_byte, truncate, cut_header, empty])
def test_a_damaged_entry_is_made_again(damage: Callable[[Path], None], tokens: TokenSource, tmp_path: Path) -> None:
    cache = TrunkCache(tmp_path, 1e6)
    states_of(cache, tokens, Counted())
    (entry,) = entries(tmp_path)
    damage(entry)

    again, after = Counted(), Counted()
    states = states_of(cache, tokens, again)
    assert states is not None
    assert torch.equal(states, expected(tokens))
    assert again.calls > 0
    states_of(cache, tokens, after)
    assert after.calls == 0, "the damaged entry was replaced"


def test_states_over_the_budget_are_not_kept(tokens: TokenSource, tmp_path: Path) -> None:
    size = expected(tokens).nbytes
    counted = Counted()

    assert states_of(TrunkCache(tmp_path, size - 1), tokens, counted) is None
    assert entries(tmp_path) == []
    assert counted.calls == 1, "it stops at the first batch"
    assert states_of(TrunkCache(tmp_path, size), tokens, Counted()) is not None


def test_a_budget_of_nothing_touches_no_disk(tokens: TokenSource, tmp_path: Path) -> None:
    counted = Counted()

    assert states_of(TrunkCache(tmp_path / "cache", 0), tokens, counted) is None
    assert counted.calls == 0
    assert not (tmp_path / "cache").exists()


FULL = (OSError(28, "No space left on device"), SafetensorError("I/O error: No space left (os error 28)"))


@pytest.mark.parametrize("error", FULL, ids=repr)
def test_a_full_disk_counts_as_no_room_and_leaves_no_litter(
    error: Exception, tokens: TokenSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tensors: Any, path: Path, **options: Any) -> None:
        Path(path).write_bytes(b"half of it")
        raise error

    monkeypatch.setattr(frozen_trunk, "save_file", fail)
    assert states_of(TrunkCache(tmp_path, 1e6), tokens, Counted()) is None
    assert [path.suffix for path in tmp_path.iterdir()] in ([], [".lock"])


def test_a_cache_folder_that_cannot_be_made_counts_as_no_room(tokens: TokenSource, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    assert states_of(TrunkCache(tmp_path / "file" / "cache", 1e6), tokens, Counted()) is None


def test_the_least_recently_used_entry_makes_room_within_the_budget(objective: Objective, tmp_path: Path) -> None:
    texts = [tokens_of(objective, (f"i feel {word} today",) * 8) for word in ("happy", "afraid", "furious")]
    states_of(TrunkCache(tmp_path, 1e6), texts[0], Counted())
    budget = 2.5 * entries(tmp_path)[0].stat().st_size
    cache = TrunkCache(tmp_path, budget)
    states_of(cache, texts[1], Counted())
    assert len(entries(tmp_path)) == 2
    for age, number in enumerate((1, 0)):  # the clock of a file system is too coarse to tell them apart
        path = tmp_path / f"{entry_key(Counted().trunk(), texts[number].features)}.safetensors"
        os.utime(path, (1000 + age, 1000 + age))

    read = Counted()
    states_of(cache, texts[1], read)  # the older of the two is used again
    assert read.calls == 0
    states_of(cache, texts[2], Counted())

    assert len(entries(tmp_path)) == 2
    assert sum(path.stat().st_size for path in entries(tmp_path)) <= budget
    calls = []
    for number in (1, 2, 0):
        counted = Counted()
        states_of(cache, texts[number], counted)
        calls.append(counted.calls > 0)
    assert calls == [False, False, True], "entry 0 was the least recently used"


def test_an_entry_that_makes_room_stays_readable_for_who_has_it(objective: Objective, tmp_path: Path) -> None:
    texts = [tokens_of(objective, (f"i feel {word} today",) * 8) for word in ("happy", "afraid")]
    cache = TrunkCache(tmp_path, 1.5 * expected(texts[0]).nbytes)
    states_of(cache, texts[0], Counted())
    mapped = states_of(cache, texts[0], Counted())
    states_of(cache, texts[1], Counted())

    assert len(entries(tmp_path)) == 1
    assert mapped is not None
    assert torch.equal(mapped, expected(texts[0]))
