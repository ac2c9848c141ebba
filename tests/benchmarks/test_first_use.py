"""How long a newcomer waits: `make demo` in a fresh clone, set-up included, and once more when all is set up.

Seconds are of this machine and this hour; beside them stands what a bare start of Dagster costs in the same run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench
ROOT = Path(__file__).parents[2]


def seconds(*command: str, cwd: Path) -> float:
    started = time.monotonic()
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)
    return time.monotonic() - started


def test_first_use(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    figures = {
        "make demo, set-up included": seconds("make", "demo", cwd=clone),
        "make demo, set up": seconds("make", "demo", cwd=clone),
        "a bare start of Dagster": seconds(sys.executable, "-c", "import dagster", cwd=clone),
    }
    floor = figures["a bare start of Dagster"]
    print()
    for name, value in figures.items():
        print(f"{name:<32}{value:8.1f} s {value / floor:8.1f} x")
    (ROOT / "data").mkdir(exist_ok=True)
    (ROOT / "data" / "bench-first-use.json").write_text(json.dumps(figures, indent=2))
