"""The answer as a span of the context: where it begins and where it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tunebench._util.errors import UserError
from tunebench.objectives.base import Features, Objective
from tunebench.tasks.examples import Example
from tunebench.tasks.problems.question_answering import QuestionExample

_LONGEST = 30  # tokens of an answer, as in the authors' released BERT code
_BEST = 20  # starts and ends that are combined, as in the same code


@dataclass(frozen=True)
class Window:
    """A part of a context.

    Attributes:
        example: which example it belongs to.
        context: the example's whole context.
        offsets: for each token of the context its character span there; None for any other token.
    """

    example: int
    context: str
    offsets: list[tuple[int, int] | None]


class QuestionAnswering(Objective):
    """Two softmaxes over the tokens of question and context (Devlin et al. 2019, section 4.2).

    A context that is too long is read in windows that overlap by `stride` tokens. The label of a training window
    without the answer is its first token; the prediction is the best span of all windows.
    """

    name = "question_answering"
    pipeline = "question-answering"
    pooled = False

    stride: int = 128

    @staticmethod
    def head(labels: Sequence[str]) -> dict[str, Any]:
        """Two outputs per token."""
        return {"num_labels": 2}

    def encode(self, examples: Sequence[Example]) -> Features:
        """One feature per window; labels are the answer's first and last token."""
        rows = [example for example in examples if isinstance(example, QuestionExample)]
        assert len(rows) == len(examples), "this objective takes QuestionExample"
        self._questions_fit(rows)
        encoded = self.tokenizer(
            [row.question for row in rows],
            [row.context for row in rows],
            truncation="only_second",
            max_length=self.max_tokens,
            stride=min(self.stride, self.max_tokens // 4),
            return_attention_mask=True,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        inputs, labels, windows = [], [], []
        names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in encoded]
        for number, example in enumerate(encoded["overflow_to_sample_mapping"]):  # type: ignore[arg-type]
            places = zip(encoded["offset_mapping"][number], encoded.sequence_ids(number), strict=True)  # type: ignore[index]
            window = Window(example, rows[example].context, [place if side == 1 else None for place, side in places])
            inputs.append({name: encoded[name][number] for name in names})  # type: ignore[index]
            labels.append(_span(window, rows[example]))
            windows.append(window)
        extra = len(windows) - len(rows)
        cut = len(rows) - sum(count == 1 for count in _windows_of(windows, len(rows)))
        return Features(inputs, labels, {"contexts (read in windows)": cut} if extra else {}, windows=windows)

    def _questions_fit(self, rows: Sequence[QuestionExample]) -> None:
        """Raises UserError where a question leaves a window no room for a context."""
        lengths = self.tokenizer([row.question for row in rows], verbose=False)["input_ids"]
        for row, ids in zip(rows, lengths, strict=True):  # type: ignore[arg-type]
            if len(ids) > self.max_tokens // 2:
                raise UserError(
                    f"question {row.question[:60]!r} has {len(ids)} tokens, more than half of the {self.max_tokens} "
                    "that a window holds. Raise the task's max_tokens, or remove the row."
                )

    def collate_labels(self, features: Features, indices: Sequence[int], width: int) -> Tensor:
        """First and last token, (batch, 2)."""
        return torch.tensor([features.labels[index] for index in indices], dtype=torch.long)

    def loss_terms(self, labels: Tensor) -> float:
        """One per window."""
        return len(labels)

    def decode(self, outputs: Tensor, features: Features, indices: Sequence[int]) -> tuple[list[Any], list[Any]]:
        """Each window's best span as text, and its score, the sum of two logits."""
        spans = [_best_span(row, features.windows[index]) for row, index in zip(outputs, indices, strict=True)]
        return [text for text, _ in spans], [score for _, score in spans]

    def joined(self, answers: list[Any], details: list[Any], features: Features) -> tuple[list[Any], list[Any]]:
        """Each example's answer is that of its window with the highest score."""
        best: dict[int, tuple[float, str]] = {}
        for text, score, window in zip(answers, details, features.windows, strict=True):
            if window.example not in best or score > best[window.example][0]:
                best[window.example] = (score, text)
        rows = [best[example] for example in sorted(best)]
        return [text for _, text in rows], [{"score": score} for score, _ in rows]


def _windows_of(windows: Sequence[Window], examples: int) -> list[int]:
    counts = [0] * examples
    for window in windows:
        counts[window.example] += 1
    return counts


def _span(window: Window, example: QuestionExample) -> tuple[int, int]:
    """The tokens that hold the first answer; (0, 0) where the window does not hold all of it."""
    start = example.starts[0]
    if start < 0:
        raise UserError(
            f"question {example.question[:60]!r}: the context does not contain its answer {example.answers[0][:60]!r}, "
            "so there is no span to train on. Correct the row, or use a model that generates its answers."
        )
    end = start + len(example.answers[0])
    covering = [at for at, place in enumerate(window.offsets) if place and place[0] < end and place[1] > start]
    if not covering:
        return 0, 0
    first, last = window.offsets[covering[0]], window.offsets[covering[-1]]
    assert first is not None
    assert last is not None
    return (covering[0], covering[-1]) if first[0] <= start and last[1] >= end else (0, 0)


def _best_span(logits: Tensor, window: Window) -> tuple[str, float]:
    """The most probable span of the context of 1 to 30 tokens, and its score."""
    inside = torch.tensor([place is not None and place[1] > place[0] for place in window.offsets])
    if not bool(inside.any()):  # no token of the context is left: the score of having no answer
        return "", float(logits[0].float().sum())
    starts, ends = (logits[: len(inside), side].float().masked_fill(~inside, -torch.inf) for side in (0, 1))
    count = min(_BEST, int(inside.sum()))
    best: tuple[float, int, int] | None = None
    for start in starts.topk(count).indices.tolist():
        for end in ends.topk(count).indices.tolist():
            score = float(starts[start] + ends[end])
            if start <= end < start + _LONGEST and (best is None or score > best[0]):
                best = (score, start, end)
    if best is None:  # no start and end of the best form a span: the most probable single token
        both = starts + ends
        at = int(both.argmax())
        best = (float(both[at]), at, at)
    first, last = window.offsets[best[1]], window.offsets[best[2]]
    assert first is not None
    assert last is not None
    return window.context[first[0] : last[1]], best[0]
