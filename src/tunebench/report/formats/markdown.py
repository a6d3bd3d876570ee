"""The report as Markdown, with its figures as files. Every text is escaped that is not `text.Markdown`."""

from collections.abc import Iterator, Sequence
from typing import Any

from tunebench.report import text
from tunebench.report.blocks import (
    BEST,
    USED,
    Block,
    Card,
    Cards,
    Charts,
    Code,
    Columns,
    Details,
    Heading,
    Items,
    PageOnly,
    Pictures,
    Report,
    Section,
    Table,
    Text,
    others,
    usual,
)


def markdown(report: Report) -> str:
    """Paragraphs, each followed by an empty line."""
    opening = [f"# {text.markdown(report.study)}", f"Fine-tuning techniques compared. {text.markdown(report.progress)}"]
    return "\n\n".join([*opening, *_paragraphs(report.sections, 2)]) + "\n"


def _paragraphs(blocks: Sequence[Block], level: int) -> Iterator[str]:
    for block in blocks:
        yield from _block(block, level)


def _block(block: Block, level: int) -> Iterator[str]:
    match block:
        case Section():
            yield f"{'#' * level} {text.markdown(block.title)}"
            yield from _paragraphs(block.blocks, level + 1)
        case Heading():
            shown = text.markdown(block.text)
            yield f"### `{shown}`" if block.code else f"### {shown}"
        case Text():
            yield _text(block)
        case Items():
            yield "\n".join(f"- {_with_note(item.text, item.note)}" for item in block.items)
        case Table():
            for shown in filter(None, (usual(block), others(block))):
                yield f"{text.markdown(shown.caption)}:"
                yield table(shown)
        case Code():
            yield text.fenced(block.text, block.language)
        case Charts():
            pass  # not drawn
        case Pictures():
            for picture in block.pictures:
                if picture.svg:
                    yield f"![{text.markdown(picture.chart.title)}](figures/{picture.file})"
        case Cards():
            yield "\n".join(f"- {_card(card)}" for card in block.cards)
            yield from _paragraphs([card.picture for card in block.cards], level)
            if block.chosen:
                yield text.markdown(block.text)
        case Columns():
            for part in block.parts:
                yield from _paragraphs(part, level)
        case Details():
            yield from _block(block.shown, level)
        case PageOnly():
            pass
        case _:
            raise TypeError(f"{type(block).__name__}: no case for it in Markdown.")


def _text(block: Text) -> str:
    words = text.markdown(block.text)
    words += f" “{text.markdown(block.link[1])}”." if block.link else ""
    return f"**{words}**" if block.style == "warning" else words


def _card(card: Card) -> str:
    words = [f"{text.markdown(card.where)}:"]
    if card.choice:
        lead, title, rest = map(text.markdown, (card.choice.lead, card.choice.title, card.choice.words))
        words.append(f"{lead} **{title}**: {rest}")
    else:
        words.append(text.markdown(card.none))
    return " ".join([*words, text.markdown(card.doubt)] if card.doubt else words)


def _with_note(words: str, note: str) -> str:
    return text.markdown(words) + (f": {text.markdown(note)}" if note else "")


def table(shown: Table) -> text.Markdown:
    """A pipe table whose columns are aligned in the source too; a last column of words is left ragged."""
    columns = shown.columns
    header = [text.markdown(f"{column.title} ({column.note})" if column.note else column.title) for column in columns]
    lines = [header, *(_fields(row) for row in shown.rows)]
    widths = [max(3, *(len(line[index]) for line in lines)) for index in range(len(header))]
    if not columns[-1].numeric:
        widths[-1] = max(3, len(header[-1]))
    rule = [
        "-" * (width - 1) + ":" if column.numeric else "-" * width
        for column, width in zip(columns, widths, strict=True)
    ]
    padded = [
        [
            field.rjust(width) if column.numeric else field.ljust(width)
            for field, column, width in zip(line, columns, widths, strict=True)
        ]
        for line in lines
    ]
    return text.Markdown("\n".join(f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]]))


def _fields(row: tuple[Any, ...]) -> list[str]:
    """A row's fields; what spans the rest of a row stands in the last column."""
    fields = []
    for entry in row:
        shown = text.markdown(f"{entry.text} {USED}" if entry.use else entry.text)
        if entry.note:
            note = text.markdown(entry.note)
            shown += f" {note}" if note.startswith("[") else f" ({note})"
        fields += [text.ABSENT] * (entry.span - 1) + [f"{BEST} **{shown}**" if entry.best else shown]
    return fields
