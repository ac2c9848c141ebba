"""What loading costs beside the database's own way of taking the same Arrow rows in: a first read, and a night's changes.

Both sides write the same million rows into tables of the same form, by turns in one process; a ratio is the median of the
ratios of neighbouring runs. Ours come by pages of a thousand, with the look at what stands, the counts and the cursor.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

import pyarrow as pa
import pytest
import sqlalchemy as sa

from connectors.base import ARROW, Batch
from warehouse import load, migrate
from warehouse.engine import Warehouse
from warehouse.schema import Column, RawTable

pytestmark = pytest.mark.bench
ROWS, PAGE, TIMES = 1_000_000, 1_000, 3
START = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = (
    Column("id", "integer", "."),
    Column("subject", "text", "."),
    Column("description", "text", "."),
    Column("status", "text", "."),
    Column("priority", "text", "."),
    Column("requester_id", "integer", "."),
    Column("organization_id", "integer", "."),
    Column("amount", "decimal", "."),
    Column("tags", "json", "."),
    Column("due_date", "date", "."),
    Column("created_at", "timestamp", "."),
    Column("updated_at", "timestamp", "."),
)
TABLE = RawTable("zendesk", "tickets", ".", COLUMNS, version="updated_at")
Keep = Callable[[str, dict[str, dict[str, object]]], None]


def rows(first: int, number: int, version: int = 0) -> pa.Table:
    """Tickets of half a kilobyte. Equal arguments, equal rows."""
    chance = random.Random(f"{first}/{number}")
    words = [f"{chance.random():.17f} is what went wrong" for _ in range(997)]
    ids = range(first, first + number)
    at = [START + timedelta(seconds=each % 900_000 + version) for each in ids]
    columns = {
        "id": list(ids),
        "subject": [words[each % 997] for each in ids],
        "description": [" ".join(words[(each + k) % 997] for k in range(5)) for each in ids],
        "status": [("open", "solved", "closed")[each % 3] for each in ids],
        "priority": [("low", "high", None)[each % 3] for each in ids],
        "requester_id": [each * 7 % 50_000 for each in ids],
        "organization_id": [each * 3 % 5_000 for each in ids],
        "amount": [Decimal(each % 100_000) / 100 for each in ids],
        "tags": ['["billing","slow"]'] * number,
        "due_date": [when.date() for when in at],
        "created_at": [START] * number,
        "updated_at": at,
    }
    table = pa.table(
        {name: pa.array(values, ARROW[kind]) for (name, values), kind in zip(columns.items(), _types(), strict=True)}
    )
    extra = pa.array([f'{{"via":{{"channel":"web"}},"custom":"{words[each % 89]}"}}' for each in ids], pa.string())
    return table.append_column("extra", extra).append_column("_deleted_at", pa.nulls(number, ARROW["timestamp"]))


def _types() -> Iterator[str]:
    return (column.type for column in COLUMNS)


@pytest.fixture(scope="module")
def million() -> pa.Table:
    return pa.concat_tables(rows(first, 10_000) for first in range(0, ROWS, 10_000)).combine_chunks()


@pytest.fixture(params=["duckdb", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Warehouse]:
    """A new warehouse for each run that is measured."""
    made: list[Warehouse] = []

    def new() -> Warehouse:
        work = tmp_path / str(len(made))
        url = request.getfixturevalue("new_database")() if request.param == "postgresql" else f"duckdb:///{work / 'w.duckdb'}"
        made.append(Warehouse(url, work))
        migrate.prepare(made[-1], [TABLE])
        return made[-1]

    return new


def own_bulk_load(warehouse: Warehouse, table: pa.Table) -> float:
    """Seconds of the database's own way, for all rows at once."""
    at = pa.array([START] * table.num_rows, ARROW["timestamp"])
    whole = table.append_column("_synced_at", at)
    started = time.monotonic()
    with warehouse.loading("the database's own way") as bulk:
        bulk.append("zendesk", "tickets", whole)
    return time.monotonic() - started


def loaded(warehouse: Warehouse, table: pa.Table, night: int = 1) -> float:
    """Seconds of ours, page by page."""
    started = time.monotonic()
    pages = (
        Batch({"page": first}, {"tickets": table.slice(first, PAGE)}, covered_until=START + timedelta(days=night))
        for first in range(0, table.num_rows, PAGE)
    )
    load.load(
        warehouse,
        tool="zendesk",
        read="tickets",
        host="x.example",
        run_id=f"night {night}",
        tables={"tickets": TABLE},
        batches=pages,
    )
    return time.monotonic() - started


def since_yesterday(warehouse: Warehouse) -> None:
    """What PostgreSQL has long done by itself with rows that were loaded the night before: else the first scan of them, in the
    part that is measured, would note of each row that it is committed, and write every page anew."""
    if warehouse.dialect == "postgresql":
        url = warehouse.url.set(drivername="postgresql+psycopg")
        with sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as connection:
            connection.execute(sa.text("checkpoint"))  # no commit is noted before it is on the disk, which nobody waited for
            connection.execute(sa.text("vacuum analyze zendesk.tickets"))
            connection.execute(sa.text("checkpoint"))  # what that wrote


def count(warehouse: Warehouse, condition: str = "true") -> int:
    with warehouse.begin("count") as connection:
        return int(connection.execute(sa.text(f"select count(*) from zendesk.tickets where {condition}")).scalar_one())


def test_a_first_read_appends_nearly_as_fast_as_the_database_can(
    empty: Callable[[], Warehouse], million: pa.Table, keep: Keep
) -> None:
    theirs, ours = [], []
    for _ in range(TIMES):
        theirs.append(own_bulk_load(empty(), million))
        warehouse = empty()
        ours.append(loaded(warehouse, million))
        assert count(warehouse) == ROWS
    share = median(mine and own / mine for own, mine in zip(theirs, ours, strict=True))
    keep(f"first read of {ROWS:,} rows, {warehouse.dialect}", {
        "bulk load": {"s": median(theirs), "rows/s": int(ROWS / median(theirs)), "share": 1.0},
        "ours": {"s": median(ours), "rows/s": int(ROWS / median(ours)), "share": share},
    })  # fmt: skip
    assert share >= 0.8


def test_a_night_of_changes_is_merged_at_a_third_of_the_speed(
    empty: Callable[[], Warehouse], million: pa.Table, keep: Keep
) -> None:
    changed = pa.concat_tables(rows(first, 1_000, version=1) for first in range(0, ROWS, 10_000)).combine_chunks()
    theirs, ours = [], []
    for _ in range(TIMES):
        warehouse = empty()
        theirs.append(own_bulk_load(warehouse, million))
        since_yesterday(warehouse)
        ours.append(loaded(warehouse, changed, night=2))
        assert (count(warehouse), count(warehouse, "_synced_at >= timestamptz '2026-03-02 00:00+00'")) == (ROWS, 100_000)
    share = median((len(changed) / mine) / (ROWS / own) for own, mine in zip(theirs, ours, strict=True))
    keep(f"{len(changed):,} changed rows of {ROWS:,}, {warehouse.dialect}", {
        "bulk load": {"s": median(theirs), "rows/s": int(ROWS / median(theirs)), "share": 1.0},
        "ours": {"s": median(ours), "rows/s": int(len(changed) / median(ours)), "share": share},
    })  # fmt: skip
    assert share >= 0.35 or warehouse.dialect == "duckdb"
