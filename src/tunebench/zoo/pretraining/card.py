"""A backbone's card: its shape, its training texts and their licences, and its held-out loss."""

from pathlib import Path

import torch

from tunebench._util.files import write_atomically, write_json
from tunebench.engine.measure import environment
from tunebench.zoo.pretraining import curve
from tunebench.zoo.pretraining.loop import PretrainingState, PretrainingTask
from tunebench.zoo.pretraining.recipe import Recipe


def write(folder: Path, recipe: Recipe, task: PretrainingTask, state: PretrainingState, precision: str) -> None:
    """README.md, curve.svg and pretraining.json in the model's folder."""
    parameters = sum(p.numel() for p in task.model.parameters())
    write_json(
        folder / "pretraining.json",
        {
            "recipe": recipe.model_dump(mode="json"),
            "parameters": parameters,
            "corpus_tokens": len(task.train.tokens),
            "held_out_tokens": len(task.held_out.tokens),
            "seconds": round(state.seconds, 1),
            "environment": environment(task.device, precision),
            "curve": state.curve,
        },
    )
    write_atomically(folder / "README.md", _text(recipe, task, state, parameters, precision).encode())
    drawn = curve.svg(state.curve)
    if drawn:
        write_atomically(folder / "curve.svg", drawn.encode())


def _text(recipe: Recipe, task: PretrainingTask, state: PretrainingState, parameters: int, precision: str) -> str:
    objective, training, last = recipe.pretraining, recipe.training, state.curve[-1]
    total = training.tokens
    lines = [
        "---",
        "license: apache-2.0",
        "language: en",
        "library_name: transformers",
        "---",
        "",
        f"# {recipe.name}",
        "",
        recipe.description,
        "",
        f"{parameters:,} parameters: {_shape(recipe)}. Weights are stored in float16.",
        "",
        f"Objective: {objective.title} ({objective.paper}).",
        "",
        "## Texts",
        "",
        "| texts | licence |",
        "| --- | --- |",
        *(f"| {_linked(source.title, source.url)} | {source.licence} |" for source in recipe.texts),
        "",
        f"{len(task.train.tokens):,} tokens to train on; {state.tokens:,} seen, "
        f"{state.tokens / len(task.train.tokens):.2f} times the texts"
        + ("." if state.tokens >= total else f" (unfinished: {state.tokens / total:.0%} of {total:,})."),
        "",
        "## Figures",
        "",
        f"Held-out perplexity **{last['perplexity']:.2f}** over {last['predictions']:,} predictions "
        f"({', '.join(f'{name} {loss:.4f}' for name, loss in last['held_out'].items())} nats) of texts that were "
        "not trained on.",
        "",
        "![held-out loss](curve.svg)",
        "",
        "| step | tokens seen | training loss | held-out loss | held-out perplexity |",
        "| ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {p['step']:,} | {p['tokens']:,} | {p['train_loss']:.3f} | {next(iter(p['held_out'].values())):.3f} "
            f"| {p['perplexity']:.2f} |"
            for p in _some(state.curve)
        ),
        "",
        f"{state.seconds / 3600:.2f} hours on {task.device.type} ({torch.get_num_threads()} threads, {precision}), "
        f"seed {training.seed}. pretraining.json holds the whole recipe and curve.",
        "",
    ]
    return "\n".join(lines)


def _shape(recipe: Recipe) -> str:
    shape = recipe.shape
    if shape is None:
        return f"the shape of {recipe.start_from}, from whose weights this training continued; its card lists its texts"
    return (
        f"{shape.hidden} wide, {shape.layers} layers, {shape.heads} heads, {shape.vocabulary:,} tokens of "
        f"vocabulary, {shape.positions} positions"
    )


def _linked(title: str, url: str | None) -> str:
    return f"[{title}]({url})" if url else title


def _some(curve: list[dict], most: int = 15) -> list[dict]:
    """Evenly spread readings, the last one included."""
    stride = -(-len(curve) // most)
    return curve[::-1][::stride][::-1]
