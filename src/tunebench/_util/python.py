"""How another process with this Python is started."""

import subprocess
import sys
from typing import IO


def start(
    *arguments: str, stderr: IO[bytes] | int | None = None, env: dict[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """A process of this interpreter that is asked on its standard input and answers on its standard output, in bytes.

    It imports nothing from the folder where the command was called (`-P`): a user's script may be named like a
    library. Ctrl-C reaches this process alone, which then closes the other one's input.
    """
    return subprocess.Popen(
        [sys.executable, "-P", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=env,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows has no sessions
    )
