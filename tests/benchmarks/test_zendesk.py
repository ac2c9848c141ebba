"""What 20,000 and 400,000 Zendesk tickets cost us, over HTTP into committed DuckDB rows with every field kept.

Each side runs in a process of its own, from the start of Python to its end, several times by turns; its CPU is user plus
system time of all its threads and children, and a ratio is the median of the ratios of neighbouring runs, so that a
noisy machine strikes both. The pages come from a third process, which is not in the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median

import duckdb
import pytest

from tests.benchmarks.conftest import TICKETS
from tests.benchmarks.measure import Cost, cost, module
from tests.benchmarks.stand_in import running

pytestmark = pytest.mark.bench
TIMES = 5
MANY = 400_000
LOGIN = '{"client_id": "bench", "client_secret": "bench"}'

Keep = Callable[[str, dict[str, dict[str, object]]], None]
Folder = Callable[[], Path]


def ours(url: str, folder: Path, tickets: int = TICKETS) -> Cost:
    """connectors.zendesk and warehouse.load, as the jobs call them, without Dagster."""
    paid = cost(module("ours", "zendesk", "tickets", url, folder, LOGIN))
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute("select count(*), count(distinct id), sum(length(extra)) > 0 from zendesk.tickets").fetchone()
    assert found == (tickets, tickets, True)
    return paid


def floor(url: str, folder: Path, tickets: int = TICKETS) -> Cost:
    """requests, json of the standard library, PyArrow, and ten columns into DuckDB."""
    paid = cost(module("zendesk_floor", url, folder / "floor.duckdb"))
    with duckdb.connect(str(folder / "floor.duckdb"), read_only=True) as database:
        assert database.execute("select count(*) from tickets").fetchone() == (tickets,)
    return paid


def shown(paid: list[Cost], ratio: float) -> dict[str, object]:
    cpu, memory = median(each.cpu for each in paid), max(each.memory for each in paid)
    return {"CPU s": cpu, "x floor": ratio, "memory MB": memory, "wall s": median(each.wall for each in paid)}


def test_a_first_read_costs_less_than_a_plain_script(zendesk_account: str, folder: Folder, keep: Keep) -> None:
    floor(zendesk_account, folder()), ours(zendesk_account, folder())  # makes the pages and the bytecode
    floors, all_ours = [], []
    for _ in range(TIMES):
        floors.append(floor(zendesk_account, folder()))
        all_ours.append(ours(zendesk_account, folder()))
    ratio = median(mine.cpu / plain.cpu for mine, plain in zip(all_ours, floors, strict=True))
    keep("zendesk, 20,000 tickets", {"floor": shown(floors, 1.0), "ours": shown(all_ours, ratio)})
    assert ratio <= 0.8


def test_twenty_times_the_tickets_take_no_more_memory(zendesk_account: str, folder: Folder, keep: Keep) -> None:
    few = [ours(zendesk_account, folder()) for _ in range(3)]
    with running("zendesk_pages", MANY) as url:
        many = ours(url, folder(), MANY)
    cpu, memory = median(each.cpu for each in few), median(each.memory for each in few)
    keep(
        "zendesk, 400,000 tickets against 20,000",
        {
            "20,000": {"CPU s": cpu, "memory MB": memory},
            "400,000": {"CPU s": many.cpu, "memory MB": many.memory},
            "ratio": {"CPU s": many.cpu / cpu, "memory MB": many.memory / memory},
        },
    )
    assert many.memory <= 1024
    assert many.memory <= 1.2 * memory
    assert many.cpu <= 25 * cpu
