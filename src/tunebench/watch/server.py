"""The page's server: on 127.0.0.1 only, behind its guard, until Ctrl-C."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from tunebench._util.errors import UserError
from tunebench.serve.guard import Guard
from tunebench.watch.app import application
from tunebench.watch.reporting import NICE

HOST = "127.0.0.1"


def serve(outs: Sequence[Path], port: int, models: Mapping[str, str], announce: Callable[[str], None]) -> None:
    """Serve the page on these studies.

    Args:
        outs: the studies' folders.
        port: 0 for a free one.
        models: a model's name -> its folder now.
        announce: is given the address, which holds the token.

    Raises:
        UserError: the port is in use.
    """
    with bound(port) as listening:
        number = listening.getsockname()[1]
        guard = Guard.before(application(outs, models), f"tunebench-{number}")
        with suppress(OSError, AttributeError):
            os.nice(NICE)
        server = uvicorn.Server(
            uvicorn.Config(
                guard, log_level="warning", access_log=False, timeout_graceful_shutdown=1, server_header=False
            )
        )
        announce(f"http://{HOST}:{number}/?token={guard.token}")
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


def bound(port: int) -> socket.socket:
    """A socket that listens on this machine only.

    Raises:
        UserError: the port is in use, or may not be used.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen(100)  # now: who opens the address at once waits for the server instead of being refused
    except OSError as error:
        listening.close()
        raise UserError(f"--port {port}: it cannot be used ({error.strerror}). Omit --port for a free one.") from None
    return listening
