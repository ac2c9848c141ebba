"""What a child process costs (CPU seconds, largest memory), and how figures are shown and kept.

Here belongs the measuring. Not here: what is measured, or which ratio is good enough.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.benchmarks.stand_in import ROOT


@dataclass(frozen=True)
class Cost:
    """CPU is user and system time of the process and all its children; memory that of the largest of them. Bytecode is
    compiled, as `make setup` leaves it."""

    cpu: float  # seconds
    wall: float  # seconds
    memory: float  # MB
    said: str = ""  # what it printed


def cost(command: Sequence[object], *, environment: Mapping[str, str] | None = None, cwd: Path = ROOT) -> Cost:
    """Runs a command to its end; fails with its last words if it fails. A process counts as its own the memory of the one
    that started it, so a small one does."""
    return _small().submit(_cost, command, environment or {}, cwd).result()


@cache
def _small() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver"))


def _cost(command: Sequence[object], environment: Mapping[str, str], cwd: Path) -> Cost:
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=cwd, env={**compiled, **environment}, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        told = said.read().decode(errors="replace")
        assert process.returncode == 0, told[-4000:]
    wall = time.monotonic() - started
    return Cost(round(usage.ru_utime + usage.ru_stime, 2), round(wall, 2), round(usage.ru_maxrss / 1024, 1), told)


def median(command: Sequence[object], times: int) -> Cost:
    """The run with the middle CPU of so many: one that a noisy neighbour made dear does not count."""
    return sorted((cost(command) for _ in range(times)), key=lambda each: each.cpu)[times // 2]


def module(name: str, *arguments: object) -> list[object]:
    """The command that runs a script of this folder with our own interpreter."""
    return [sys.executable, "-m", f"tests.benchmarks.{name}", *arguments]


def report(name: str, figures: Mapping[str, Mapping[str, object]], folder: Path) -> None:
    """Prints a table with a line for each subject and adds it to the JSON file that FULLPICTURE_BENCH names."""
    columns = list(dict.fromkeys(column for row in figures.values() for column in row))
    print(f"\n{name}\n{'':<44}" + "".join(f"{column:>14}" for column in columns))
    for subject, row in figures.items():
        print(f"{subject:<44}" + "".join(f"{_shown(row.get(column, '')):>14}" for column in columns))
    path = Path(os.environ.get("FULLPICTURE_BENCH") or folder / "bench.json")
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, name: figures}, indent=2))
    print(f"kept in {path}")


def _shown(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
