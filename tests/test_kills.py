"""A night that is killed at any moment: the next plain one ends with the tables that an undisturbed one would have made.

Here belong kills of the process. Not here: what else goes wrong with a database, which `test_disasters` holds.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.sandbox.world import World
from orchestration.synced import raw_tables
from tests.night import Company, Row, company
from tests.test_rebuilt import UNIFIED
from warehouse.engine import Warehouse

# When a row was written and by which run: what an interrupted night does at another moment.
CLOCKS = {"_synced_at", "run_id", "last_seen", "removed_at"}


@dataclass
class Elsewhere(Company):
    """The company in another process than its stand-ins."""

    given: dict[str, str | None] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str | None]:
        return self.given


def a_night(environment: dict[str, str | None], url: str, home: Path, keep_open: bool) -> None:
    warehouse = Warehouse(url, home / "work", wait_seconds=60)
    Elsewhere(None, warehouse, home, given=environment, keep_open=keep_open).night()  # type: ignore[arg-type]


@dataclass
class Evening:
    """A company before its second night, in a warehouse of which there can be many copies.

    `expected`: what stands in the tables after an undisturbed night. `seconds`: how long such a night takes.
    """

    ours: Company
    copy: Callable[[], str]
    processes: Any
    keep_open: bool
    seconds: float = 0.0
    expected: dict[str, list[Row]] = field(default_factory=dict)

    def at(self, home: Path) -> None:
        """Back to this evening, in a home of its own."""
        self.ours.home = home
        self.ours.warehouse = Warehouse(self.copy(), home / "work", wait_seconds=60)

    def begun(self) -> multiprocessing.process.BaseProcess:
        url = self.ours.warehouse.url.render_as_string(hide_password=False)
        process = self.processes.Process(target=a_night, args=(self.ours.environment, url, self.ours.home, self.keep_open))
        process.start()
        return process

    def tables(self) -> dict[str, list[Row]]:
        raw = [table.full_name for table in raw_tables(self.ours.settings().config)]
        with self.ours.warehouse.hold("look at every table"):
            return {table: self.rows(table) for table in [*raw, *UNIFIED, "sync.cursors", "sync.rejects"]}

    def rows(self, table: str) -> list[Row]:
        rows = [
            {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
            for row in self.ours.rows(table)
        ]
        return sorted(
            ({name: row[name] for name in row.keys() - CLOCKS} for row in rows), key=lambda row: repr(sorted(row.items()))
        )


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes that have read all code before they begin."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@contextmanager
def evening(
    request: pytest.FixtureRequest, folders: pytest.TempPathFactory, processes: Any, *, short: bool
) -> Iterator[Evening]:
    database = request.param
    on_postgresql = database == "postgresql"
    home = folders.mktemp("evening")
    first = request.getfixturevalue("new_database")() if on_postgresql else f"duckdb:///{home / 'first.duckdb'}"
    with company(World(size="tiny", seed=5), home, first, processes=True) as ours:
        ours.off = ("salesforce", "pendo") if short else ()
        ours.world.tick(300)
        ours.night()
        ours.world.advance()
        ours.world.tick(300)

        def copy() -> str:
            if on_postgresql:
                return copied(request.getfixturevalue("new_database")(), first)
            folder = folders.mktemp("copy")
            for file in home.glob("first.duckdb*"):  # its log may lie beside it
                shutil.copy(file, folder / file.name)
            return f"duckdb:///{folder / 'first.duckdb'}"

        evening = Evening(ours, copy, processes, keep_open=short)
        evening.at(folders.mktemp("undisturbed"))
        begin = time.monotonic()
        process = evening.begun()
        process.join(120)
        evening.seconds = time.monotonic() - begin
        assert process.exitcode == 0
        evening.expected = evening.tables()
        assert all(evening.expected[table] for table in ("zendesk.tickets", "unified.tickets", "unified.links"))
        yield evening


def copied(to: str, source: str) -> str:
    """One PostgreSQL database as the copy of another, to which nobody is connected."""
    new, old = sa.make_url(to), sa.make_url(source)
    engine = sa.create_engine(new.set(drivername="postgresql+psycopg", database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        drop = "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
        connection.execute(sa.text(drop), {"name": old.database})
        connection.execute(sa.text(f"drop database {new.database}"))
        connection.execute(sa.text(f"create database {new.database} template {old.database}"))
    engine.dispose()
    return to


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def short(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, processes: Any) -> Iterator[Evening]:
    """Of two tools, with DuckDB's file kept open."""
    with evening(request, tmp_path_factory, processes, short=True) as short:
        yield short


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def long(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, processes: Any) -> Iterator[Evening]:
    """Of all tools, with DuckDB's file opened for each transaction, as the jobs do."""
    with evening(request, tmp_path_factory, processes, short=False) as long:
        yield long


@pytest.mark.parametrize("number", [1, 4])
def test_after_a_kill_the_next_night_ends_as_if_nothing_had_been(short: Evening, tmp_path: Path, number: int) -> None:
    kill(short, tmp_path, number)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(200))
def test_after_a_kill_at_any_moment_the_next_night_ends_as_if_nothing_had_been(
    long: Evening, tmp_path: Path, number: int
) -> None:
    kill(long, tmp_path, number)


def kill(evening: Evening, home: Path, number: int) -> None:
    """Kills a night at a moment of its own, and lets the next one pass in peace."""
    evening.at(home)
    moment = (number % 5 + random.Random(number).random()) / 5 * evening.seconds
    process = evening.begun()
    process.join(moment)
    process.kill()
    process.join()

    evening.ours.night()
    tables = evening.tables()

    for table, rows in evening.expected.items():
        assert [row for row in tables[table] if row not in rows][:2] == [], table
        assert [row for row in rows if row not in tables[table]][:2] == [], table
        assert len(tables[table]) == len(rows), table
    if evening.ours.warehouse.dialect == "duckdb":  # two hundred of them would fill the memory
        shutil.rmtree(Path(str(evening.ours.warehouse.url.database)).parent)
