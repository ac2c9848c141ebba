"""How long 50,000 Jira issues with their changelogs take where each reply is 100 ms late.

Ours reads and loads them, eight requests at a time; the floor client asks for the same replies eight at a time and parses
them. Measured is the time from the start of Python to its end, by turns, against the larger of the floor's time and of
requests * latency / concurrency: below that nobody can come.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from pathlib import Path
from statistics import median

import duckdb
import pytest

from tests.benchmarks import jira_floor
from tests.benchmarks.jira_pages import HISTORY, IDS
from tests.benchmarks.measure import Cost, cost, module
from tests.benchmarks.stand_in import running

pytestmark = pytest.mark.bench
ISSUES, LATENCY, CONCURRENCY, TIMES = 50_000, 0.1, 8, 3
LOGIN = '{"email": "bench@example.com", "api_token": "bench", "concurrency": 8}'
REQUESTS = ceil(ISSUES / IDS) + ceil(ISSUES / jira_floor.BODIES) + ceil(ISSUES / jira_floor.HISTORIES)


def ours(url: str, folder: Path) -> Cost:
    paid = cost(module("ours", "jira", "issues", url, folder, LOGIN))
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as warehouse:
        assert warehouse.execute("select count(*) from jira.issues").fetchone() == (ISSUES,)
        assert warehouse.execute("select count(*) from jira.changelog").fetchone() == (ISSUES * HISTORY,)
    return paid


def test_latency_is_hidden(folder: Callable[[], Path], keep: Callable[[str, dict[str, dict[str, object]]], None]) -> None:
    with running("jira_pages", ISSUES, LATENCY) as url:
        floors, all_ours = [], []
        for _ in range(TIMES):
            floors.append(cost(module("jira_floor", url)))
            all_ours.append(ours(url, folder()))
    least = REQUESTS * LATENCY / CONCURRENCY
    bars = [max(least, floor.wall) for floor in floors]
    ratio = median(mine.wall / bar for mine, bar in zip(all_ours, bars, strict=True))
    keep(
        f"jira, {ISSUES:,} issues, {LATENCY * 1000:.0f} ms a reply",
        {
            f"{REQUESTS} requests x {LATENCY} s / {CONCURRENCY}": {"wall s": least},
            "floor": {"wall s": median(each.wall for each in floors), "CPU s": median(each.cpu for each in floors)},
            "ours": {
                "wall s": median(each.wall for each in all_ours),
                "CPU s": median(each.cpu for each in all_ours),
                "x larger": ratio,
                "memory MB": max(each.memory for each in all_ours),
            },
        },
    )
    assert ratio <= 1.25
