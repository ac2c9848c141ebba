"""What every stream of every connector promises, over real HTTP into a real database, by small pages.

Here belongs the contract alone; which streams there are and how their records come, change and go stands in the cases.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Batch, Connector, Read
from connectors.sandbox.serve import Running
from connectors.sandbox.world import World
from orchestration.declared import raw_table
from tests.night import Company, company
from tests.truth.cases import Case, Key, Row
from warehouse import load, migrate
from warehouse.load import LoadReport

PAGE = 2  # records of a page, whatever the vendor's own size
SETTLED = 180  # seconds after which the vendors show a change
_RUNS = count(1)


class Killed(Exception):
    """Stands in for the end of the process."""


@dataclass
class Stream:
    """One stream of a small company, and the table that it is read into."""

    ours: Company
    tool: str
    name: str
    case: Case

    @property
    def world(self) -> World:
        return self.ours.world

    def connector(self) -> Connector:
        return self.ours.settings().tool(self.tool).connector()

    def read_of(self, connector: Connector) -> Read:
        reads = self.ours.settings().tool(self.tool).section.reads()
        return next(read for read in reads if self.name in {stream.name for stream in read.streams})

    def grow(self, rows: int) -> bool:
        """So many records, or more where so few cannot be; False if it has more already."""
        lacking = rows - len(self.case.rows(self.world))
        if lacking > 0 and self.case.make is not None:
            self.case.make(self.world, lacking)
        self.world.tick(SETTLED)
        return lacking >= 0

    def sync(self, *, only: int | None = None) -> LoadReport:
        """Reads what is new, or dies after `only` batches."""
        connector = self.connector()
        read = self.read_of(connector)
        chosen = self.ours.settings().tool(self.tool).section.chosen(read)
        cursor = load.cursor(self.ours.warehouse, self.tool, read.name, connector.host, choices=chosen)
        return load.load(
            self.ours.warehouse,
            tool=self.tool,
            read=read.name,
            host=connector.host,
            run_id=f"run {next(_RUNS)}",
            tables={stream.name: raw_table(stream) for stream in read.streams},
            batches=_cut(connector.batches(read, cursor), only),
            again=lambda missing: connector.again(read, cursor, missing),
            choices=chosen,
            doubted=cursor is not None,
        )

    def forget(self) -> None:
        """An empty warehouse again."""
        read = self.read_of(self.connector())
        tables = [raw_table(stream) for stream in read.streams]
        migrate.prepare(self.ours.warehouse, tables)
        with self.ours.warehouse.loading("forget") as bulk:
            for table in (*(table.full_name for table in tables), "sync.cursors", "sync.rejects", "sync.counts", "sync.runs"):
                bulk.execute(f"delete from {table}")

    def check(self) -> None:
        """The table holds what the vendor shows, column for column, and marks all else as deleted."""
        expected = self.case.rows(self.world)
        found = self.table()
        alive = {key: row for key, row in found.items() if row["_deleted_at"] is None}
        assert alive.keys() == expected.keys()
        for key, row in expected.items():
            assert {name: _plain(alive[key][name], value) for name, value in row.items()} == row, key
        assert self.ours.rows("sync.rejects") == []

    def table(self) -> dict[Key, Row]:
        stream = next(stream for stream in self.read_of(self.connector()).streams if stream.name == self.name)
        rows = self.ours.rows(f"{self.tool}.{self.name}")
        found = {tuple(row[name] for name in stream.key): row for row in rows}
        assert len(found) == len(rows), "a key stands twice"
        return found

    def columns(self) -> set[str]:
        stream = next(stream for stream in self.read_of(self.connector()).streams if stream.name == self.name)
        return {column.name for column in stream.columns}


def _cut(batches: Iterator[Batch], only: int | None) -> Iterator[Batch]:
    for number, batch in enumerate(batches, 1):
        yield batch
        if number == only:
            raise Killed


def _plain(value: Any, expected: Any) -> Any:
    """JSON columns are compared as the objects that they mean."""
    return json.loads(value) if isinstance(expected, list | dict) and isinstance(value, str) else value


def written(report: LoadReport) -> dict[str, tuple[int, int, int]]:
    return {name: (table.inserted, table.updated, table.deleted) for name, table in report.tables.items()}


@dataclass(frozen=True)
class Place:
    """Where a stream is tried: of which tool, into which database, with which settings and stand-in."""

    tool: str
    name: str
    case: Case
    database: str
    chosen: Mapping[str, Any]
    prepare: Callable[[Running, str], None]

    @contextmanager
    def opened(self, home: Path, url: str | None) -> Iterator[Stream]:
        with company(World(size="empty"), home, url) as ours:
            for server in ours.running.servers:
                server.page_size = PAGE
            self.prepare(ours.running, self.name)
            ours.chosen = {self.tool: self.chosen}
            yield Stream(ours, self.tool, self.name, self.case)


def every(
    tool: str,
    cases: Mapping[str, Case],
    on_postgresql: Sequence[str] = (),
    *,
    chosen: Mapping[str, Any] | None = None,
    prepare: Callable[[Running, str], None] = lambda _, __: None,
) -> pytest.MarkDecorator:
    """All streams of a tool on DuckDB, these on PostgreSQL, the others there in the long drills."""
    places = {
        f"{name} on {database}": Place(tool, name, case, database, chosen or {}, prepare)
        for name, case in cases.items()
        for database in ("duckdb", "postgresql")
    }
    return pytest.mark.parametrize(
        "one",
        [
            pytest.param(
                place,
                id=id_,
                marks=[pytest.mark.soak] * (place.database != "duckdb" and place.name not in on_postgresql),
            )
            for id_, place in places.items()
        ],
        indirect=True,
        scope="class",
    )


def complete(report: LoadReport, name: str) -> None:
    """The run proved that the table is complete."""
    assert name in report.proofs, "nothing was counted"
    assert report.proofs[name].reconciled, report.proofs[name]


class Contract:
    """To be subclassed for each tool, under its `every`. The tests of one stream share its company, which goes on living,
    and begin with an empty warehouse."""

    @pytest.fixture(autouse=True)
    def _anew(self, one: Stream) -> None:
        one.forget()

    @pytest.mark.parametrize("rows", [0, 1, PAGE, PAGE + 1, 2 * PAGE + 1])
    def test_a_first_read_of_so_many_records_brings_each_once_and_a_second_read_writes_nothing(
        self, one: Stream, rows: int
    ) -> None:
        if not one.grow(rows):
            pytest.skip("there are always more")
        complete(one.sync(), one.name)
        one.check()
        again = one.sync()
        complete(again, one.name)
        assert set(written(again).values()) == {(0, 0, 0)}
        one.check()

    def test_every_declared_column_has_its_truth(self, one: Stream) -> None:
        one.grow(1)
        for row in one.case.rows(one.world).values():
            assert row.keys() == one.columns()

    def test_what_comes_changes_goes_and_comes_back_is_in_the_table_the_night_after(self, one: Stream) -> None:
        one.grow(2 * PAGE + 1)
        one.sync()
        acts = {
            "made": one.case.make and (lambda world: one.case.make(world, 1)),  # type: ignore[misc]
            "changed": one.case.change,
            "deleted": one.case.delete,
            "back": one.case.undelete,
        }
        for act, do in acts.items():
            if do is None:
                continue
            before = one.case.rows(one.world)
            do(one.world)
            one.world.tick(SETTLED)
            assert one.case.rows(one.world) != before, f"nothing was {act}"
            complete(one.sync(), one.name)
            one.check()

    def test_what_is_deleted_is_marked_and_stays(self, one: Stream) -> None:
        if one.case.delete is None:
            pytest.skip("records of this kind are never deleted")
        one.grow(2 * PAGE + 1)
        one.sync()
        known = one.table().keys()
        one.case.delete(one.world)
        one.world.tick(SETTLED)
        one.sync()
        found = one.table()
        assert known <= found.keys()
        assert sum(row["_deleted_at"] is not None for row in found.values()) >= 1

    def test_a_read_killed_between_any_two_pages_goes_on_to_the_same_rows(
        self, one: Stream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(load, "GROUP_ROWS", 0)  # every batch commits
        one.grow(2 * PAGE + 1)
        for killed_after in range(1, 8):
            one.forget()
            try:
                one.sync(only=killed_after)
            except Killed:
                complete(one.sync(), one.name)
                one.check()
            else:
                break
        assert killed_after > 1 or one.case.make is None or len(one.case.rows(one.world)) <= PAGE
