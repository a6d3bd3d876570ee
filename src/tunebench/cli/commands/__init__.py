"""The commands: one file per command, and the order in which help lists them.

To add a command, write a file with a function and add one line to `COMMANDS`. The function's parameters are the
command's arguments and options, and its docstring is the help. Slow imports stand inside functions here, so that help
and listings are instant.
"""

from collections.abc import Callable

from tunebench.cli.commands import (
    attention,
    compare,
    env,
    evidence,
    export,
    listing,
    plan,
    predict,
    pretrain,
    recommend,
    report,
    run,
    runs,
    serve,
    show,
    time,
    watch,
)

COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "plan": plan.plan,
    "recommend": recommend.recommend,
    "watch": watch.watch,
    "report": report.report,
    "compare": compare.compare,
    "runs": runs.runs,
    "time": time.time,
    "list": listing.list_,
    "show": show.show,
    "predict": predict.predict,
    "serve": serve.serve,
    "attention": attention.attention,
    "export": export.export,
    "pretrain": pretrain.pretrain,
    "env": env.env,
}

GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "evidence": (evidence.HELP, {"show": evidence.show, "add": evidence.add, "build": evidence.build}),
}
"""Commands with commands of their own: their help, and these by name."""
