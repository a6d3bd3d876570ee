"""The server's process: loads the runs, listens, and stops when it is told to, after answering what waits."""

import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
import uvicorn

from tunebench._util.errors import UserError
from tunebench.serve.answering import AnsweringThread, BatchLimits
from tunebench.serve.api.access import Access
from tunebench.serve.api.app import Api, ApiLimits
from tunebench.serve.api.metrics import Metrics
from tunebench.serve.api.models import Models
from tunebench.serve.backbones import Backbones

LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """How to serve.

    Attributes:
        host: address to listen at.
        port: 0 for a free one.
        token: that requests must hold, or None.
        folders: a model's name -> its folder now.
        allowed: the folder whose runs may be added, or None.
        batch: how rows are put together.
        api: what the server takes on.
        log_texts: whether the log may hold texts.
    """

    host: str
    port: int
    token: str | None
    folders: Mapping[str, str]
    allowed: Path | None
    batch: BatchLimits
    api: ApiLimits
    log_texts: bool


def serve(runs: Mapping[str, Path], settings: Settings) -> None:
    """Serve finished runs until SIGTERM or Ctrl-C.

    Args:
        runs: name -> folder.
        settings: how.

    Raises:
        UserError: a run cannot be loaded, or the address cannot be used.
    """
    metrics = Metrics()
    models = Models(backbones_here(), settings.folders, settings.allowed)
    for name, folder in runs.items():
        run = models.add(name, folder).served.finished.run
        sys.stderr.write(f"tunebench: {name}: {run.entry.title} on {run.task.name}\n")
    answering = AnsweringThread(settings.batch, metrics.batch)
    api = Api(models, answering, metrics, settings.api, settings.log_texts)
    app = Access(api.application(), settings.token, local=settings.host in LOCAL)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.api.stop_seconds),
    )
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn stops, and raises it again at the end
    with bound(settings.host, settings.port) as listening, suppress(KeyboardInterrupt):
        sys.stderr.write(f"tunebench: serving at {address_of(listening)}\n")
        uvicorn.Server(config).run([listening])


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: the address cannot be used.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server((str(place[0]), int(place[1])), family=family, backlog=1024)
    except OSError as error:
        raise UserError(f"--host {host} --port {port}: the address cannot be used ({error.strerror}).") from None


def address_of(listening: socket.socket) -> str:
    """The address of a socket, as a browser takes it."""
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def backbones_here() -> Backbones:
    """On the GPU where there is one."""
    return Backbones(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
