"""A study's folder is cleared of what killed processes left behind, and of nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from tunebench.run.folder import locked


def dead_process() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_unfinished_files_of_killed_processes_are_removed_when_the_next_command_begins(tmp_path: Path) -> None:
    run, dead = tmp_path / "runs/a--emotion--full--s0", dead_process()
    litter = [
        tmp_path / f".plan.json.{dead}",
        run / f".result.json.{os.getpid()}",
        run / ".predictions.jsonl.77",
        run / f"adapter/.adapter_config.json.{dead}",
        run / "best.tmp",
        tmp_path / "cache/0123.tmp",
    ]
    kept = [
        tmp_path / "plan.json",
        tmp_path / ".tests.json",
        tmp_path / f".report.html.{os.getppid()}",
        tmp_path / "cache/0123.safetensors",
        run / "result.json",
        run / ".hidden",
        run / "resume/step-00000004-0001/state.json",
    ]
    for path in (*litter, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")

    with locked(tmp_path):
        assert [path for path in litter if path.exists()] == []
        assert [path for path in kept if not path.exists()] == []
