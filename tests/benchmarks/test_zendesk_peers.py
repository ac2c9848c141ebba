"""What other ways of bringing the same 20,000 Zendesk tickets into DuckDB cost, in the same run and over the same pages.

Each peer is installed into an environment of its own, set up as its documentation advises (`peers/`), and measured once,
from the start of its process to its end: all of them cost many times what ours does, which is the median of three runs.
All bring every field of a ticket. Takes some ten minutes, and 10 GB of memory for dlt as it comes: `-k "not peers"` leaves
them out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import duckdb
import pytest

from tests.benchmarks.conftest import TICKETS
from tests.benchmarks.measure import Cost, cost
from tests.benchmarks.stand_in import ROOT
from tests.benchmarks.test_zendesk import Folder, Keep, ours

pytestmark = pytest.mark.bench
SCRIPTS = ROOT / "tests" / "benchmarks" / "peers"
ENVIRONMENTS = {
    "dlt": ("dlt[duckdb]==1.31.0",),
    "tap-zendesk": ("tap-zendesk==2.8.2",),
    "target-duckdb": ("target-duckdb==0.8.0",),
    "zenpy": ("zenpy==2.0.57", "pandas==3.1.1", "duckdb-engine==0.17.0"),
}
TIMES_OURS = {  # at least
    "dlt, max_table_nesting=0": 8,
    "dlt as it comes": 60,
    "tap-zendesk | target-duckdb": 10,
    "zenpy objects + to_sql": 8,
}


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where a peer's programs are, once it is installed."""
    folder = tmp_path_factory.mktemp("peers")

    def installed(name: str) -> Path:
        if not (folder / name).exists():
            subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
            pip = [folder / name / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *ENVIRONMENTS[name]], check=True)
        return folder / name / "bin"

    return installed


def peer(name: str, url: str, folder: Path, binaries: Callable[[str], Path]) -> Cost:
    database = folder / "peer.duckdb"
    if name.startswith("dlt"):
        nesting = "0" if "nesting" in name else "default"
        command: list[object] = [binaries("dlt") / "python", SCRIPTS / "dlt_tickets.py", url, database, nesting]
    elif name.startswith("zenpy"):
        command = [binaries("zenpy") / "python", SCRIPTS / "zenpy_tickets.py", url, database]
    else:
        settings = folder / "target.json"
        settings.write_text(json.dumps({"path": str(database), "default_target_schema": "zendesk"}))
        tap = f"{binaries('tap-zendesk') / 'python'} {SCRIPTS / 'tap_tickets.py'} {url}"
        target = f"{binaries('target-duckdb') / 'target-duckdb'} --config {settings}"
        command = ["bash", "-c", f"set -o pipefail; {tap} | {target}"]
    own = {"HOME": str(folder), "DLT_DATA_DIR": str(folder), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    paid = cost(command, environment=own)
    with duckdb.connect(str(database), read_only=True) as made:
        tables = made.execute("select schema_name from duckdb_tables() where table_name = 'tickets'").fetchall()
        rows = max(made.execute(f"select count(*) from {schema}.tickets").fetchall()[0][0] for (schema,) in tables)
    assert TICKETS - 1 <= rows <= TICKETS  # target-duckdb loses one
    return paid


def test_peers_cost_many_times_as_much(
    zendesk_account: str, folder: Folder, keep: Keep, binaries: Callable[[str], Path]
) -> None:
    ours(zendesk_account, folder())
    mine = median(ours(zendesk_account, folder()).cpu for _ in range(3))
    figures: dict[str, dict[str, object]] = {"ours": {"CPU s": mine, "x ours": 1.0}}
    ratios = {}
    for name, least in TIMES_OURS.items():
        paid = peer(name, zendesk_account, folder(), binaries)
        ratios[name] = paid.cpu / mine
        figures[name] = {"CPU s": paid.cpu, "x ours": ratios[name], "at least": least, "memory MB": paid.memory}
    keep("zendesk, 20,000 tickets, other ways", figures)
    assert {name: ratio for name, ratio in ratios.items() if ratio < TIMES_OURS[name]} == {}
