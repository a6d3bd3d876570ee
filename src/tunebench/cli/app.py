"""The entry point: the program `tunebench` with all its commands."""

import atexit
import gc
import sys

import typer

from tunebench._util.errors import UserError, message_of, unwritable
from tunebench.cli import output
from tunebench.cli.commands import COMMANDS, GROUPS

app = typer.Typer(
    help="Which fine-tuning technique should I use, and what does it cost me?\n\n"
    "Start with 'tunebench show demo' for a study to copy, 'tunebench plan STUDY' for what it would train, and "
    "'tunebench run STUDY' to do it. After an interruption the same command continues.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
for _name, (_help, _commands) in GROUPS.items():
    _group = typer.Typer(help=_help, no_args_is_help=True, rich_markup_mode=None)
    for _part, _command in _commands.items():
        _group.command(_part)(_command)
    app.add_typer(_group, name=_name)


def main() -> None:
    """Run the command; a user's mistake is one line on standard error and exit code 2, a bug is a traceback."""
    # Where torch is imported, looking for garbage takes two seconds in vain then, and two more at the end.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    output.prepare()
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"tunebench: {message_of(error)}\n")
        sys.exit(2)
    except OSError as error:
        disk = unwritable(error)
        if disk is None:
            raise
        sys.stderr.write(f"tunebench: {disk.filename or 'a file'}: {disk.strerror}.\n")
        sys.exit(2)
