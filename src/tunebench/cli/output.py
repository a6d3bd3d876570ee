"""Standard output and standard error as every command needs them, whatever stands behind them."""

import errno
import io
import sys
from typing import Any

_CLOSED = (errno.EPIPE, errno.EINVAL)  # Windows answers with the second


def prepare() -> None:
    """Let no character and no closed pipe end a command.

    What the encoding of a console cannot show is replaced. What is written into a pipe that nobody reads any more, as
    after `| head`, is dropped: the work that the command does is wanted for its files.
    """
    sys.stdout = _prepared(sys.stdout)
    sys.stderr = _prepared(sys.stderr)


def _prepared(stream: Any) -> Any:
    if not isinstance(stream, io.TextIOWrapper):  # a program without a console, or a test
        return stream
    errors = "backslashreplace" if stream is sys.stderr else "replace"
    if stream.isatty():
        stream.reconfigure(errors=errors)
        return stream
    stream.flush()
    try:
        raw = io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False))
    except io.UnsupportedOperation:  # a buffer in memory, as a test's
        return stream
    return io.TextIOWrapper(raw, stream.encoding, errors, line_buffering=stream.line_buffering or stream.write_through)


class _Pipe(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _CLOSED:
                raise
            return memoryview(data).nbytes
