"""A study as a notebook's output: what is compared, and within which budget."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from tunebench._util import visible
from tunebench._util.words import plural
from tunebench.study.experiment import Experiment, labels_of

if TYPE_CHECKING:
    from tunebench.study.document import Study

_STYLE = (
    "<style>.tunebench table { border-collapse: collapse; } "
    ".tunebench td, .tunebench th { text-align: left; vertical-align: top; }</style>"
)


def html_of(study: "Study") -> str:
    """Its experiments as a table, with the training that they share."""
    rows = "".join(f"<tr>{''.join(_fields(study, one))}</tr>" for one in study.experiments)
    head = "".join(f'<th scope="col">{title}</th>' for title in ("Model", "Task", "Techniques", "At most"))
    opening = (
        f"<p><strong>{_text(study.name)}</strong>{f': {_text(study.description)}' if study.description else ''}</p>"
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="tunebench">{_STYLE}{opening}{table}<p>{_text(_size(study))}</p></div>'


def _fields(study: "Study", one: Experiment) -> Iterator[str]:
    training = study.training_of(one)
    epochs = "epochs: auto" if training.auto_epochs else plural(training.epochs, "epoch")
    techniques = ", ".join(labels_of(one.techniques))
    for words in (one.model.called, one.task.name, techniques, f"{epochs}, batches of {training.batch_size}"):
        yield f"<td>{_text(words)}</td>"


def _size(study: "Study") -> str:
    """How many runs it has; a search decides on settings, not on their number."""
    techniques = sum(len(one.techniques) for one in study.experiments)
    seeds = study.final_seeds
    words = f"{plural(techniques * len(seeds), 'run')}: seeds {', '.join(map(str, seeds))}"
    searched = f", after a search of {study.search.budget} per technique" if study.search else ""
    return f"{words}{searched}. tunebench.run(study) makes those that have no result yet."


def _text(words: str) -> str:
    return escape(visible.escaped(words))
