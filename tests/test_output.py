"""What commands print reaches any console, and a closed pipe ends no work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_PRINT = "from tunebench.cli import output; output.prepare(); from tunebench.cli.printing import {name}; {call}"


def printed(call: str, encoding: str) -> "subprocess.CompletedProcess[bytes]":
    code = _PRINT.format(name=call.partition("(")[0], call=call)
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)


@pytest.mark.parametrize(("encoding", "expected"), [("ascii", b"na?ve ? ?"), ("latin-1", b"na\xefve ? ?")])
def test_what_a_console_cannot_show_is_replaced(encoding: str, expected: bytes) -> None:
    done = printed(r"say('na\u00efve \u0416 \U0001f642')", encoding)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, expected, b"")


def test_a_table_is_printed_in_any_encoding() -> None:
    done = printed(r"print_table('\u0416', ['\u4e66'], [['\u00e9\u2026']])", "ascii")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_for_programs_loses_no_letter(encoding: str) -> None:
    done = printed(r"print_json({'label': '\u0416'})", encoding)
    assert json.loads(done.stdout.decode(encoding)) == {"label": "\u0416"}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_after_a_pipe_was_closed_a_command_does_all_of_its_work(stream: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    code = (
        "import sys; from pathlib import Path; from rich.console import Console\n"
        "from tunebench.cli import output; output.prepare(); from tunebench.cli.printing import say\n"
        f"for number in range(5000): print('x' * 99, file=sys.{stream}); say('y') \n"
        "Console().print('z')\n"
        f"Path({str(proof)!r}).write_text('done')\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=writing, check=False)
    os.close(writing)
    assert process.returncode == 0
    assert proof.read_text() == "done"
