"""What was true on a day stays, however often a day is refreshed, whatever is rebuilt, on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.warehouse.things import THINGS, batch, loaded, row, rows_of
from warehouse import history, migrate, models
from warehouse.engine import Warehouse, WarehouseError

MODEL = """\
-- One row per thing.
-- key: thing_id
-- thing_id text: The thing's number.
-- name text: What it is called.
-- amount decimal: What it costs.
-- version integer: Which version it is.
select
    cast(thing.id as text) as thing_id,
    thing.name,
    thing.amount,
    thing.version
from zendesk.things as thing
where thing._deleted_at is null
"""
FIRST = date(2026, 3, 1)


class Days:
    """Things that change from day to day, and what is kept of them."""

    def __init__(self, warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.warehouse, self.declaration, self.versions = warehouse, folder / "history.yaml", 0
        path = folder / "models" / "facts" / "shelf.sql"
        path.parent.mkdir(parents=True)
        path.write_text(MODEL)
        monkeypatch.setattr(models, "FOLDER", folder / "models")
        monkeypatch.setattr(history, "DECLARATION", self.declaration)
        self.declare("shelf: {daily: [amount], history: [name]}")
        with warehouse.begin("options") as connection:
            connection.execute(sa.text("insert into settings.options (fresh_hours) values (26)"))

    def declare(self, text: str) -> None:
        self.declaration.write_text(text)
        history.ledgers.cache_clear()
        migrate.prepare(self.warehouse, [THINGS])

    def refresh(self, day: int, things: Mapping[int, str], *, builds: bool = True) -> list[int | None]:
        """A refresh on a day, of things by number and name."""
        self.versions += 1
        rows = [row(id_, name, self.versions) for id_, name in things.items()]
        loaded(self.warehouse, batch(rows, present=list(things)), doubted=False)
        library = models.library(models.FOLDER)
        with self.warehouse.begin("refresh") as connection:
            connection.execute(sa.text("delete from settings.clock"))
            connection.execute(
                sa.text("insert into settings.clock values (cast(:today as timestamptz), :today, 'UTC')"), {"today": on(day)}
            )
            if builds:
                models.build(connection, library["shelf"], library.shape([THINGS]), accept=True)
        kept = []
        for ledger in history.ledgers():
            with self.warehouse.begin("keep") as connection:
                kept.append(history.keep(connection, ledger))
        return kept

    @property
    def daily(self) -> list[tuple[int, str]]:
        rows = rows_of(self.warehouse, "select day, thing_id from unified.shelf_daily order by 1, 2")
        return [((day - FIRST).days + 1, thing) for day, thing in rows]

    @property
    def spans(self) -> list[tuple[str, str, int, int | None]]:
        query = "select thing_id, name, valid_from, valid_to from unified.shelf_history order by 1, 3"
        return [
            (thing, name, (start - FIRST).days + 1, end and (end - FIRST).days + 1)
            for thing, name, start, end in rows_of(self.warehouse, query)
        ]


def on(day: int) -> date:
    return FIRST + timedelta(days=day - 1)


@pytest.fixture
def days(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Days]:
    yield Days(warehouse, tmp_path, monkeypatch)
    history.ledgers.cache_clear()


def test_every_day_is_kept_and_what_changes_goes_or_comes_back_has_its_spans(days: Days) -> None:
    days.refresh(1, {1: "one", 2: "two"})
    days.refresh(2, {1: "one", 2: "zwei"})
    days.refresh(3, {1: "one"})
    # nothing runs on the fourth day
    days.refresh(5, {1: "one", 2: "zwei", 3: "three"})

    assert days.daily == [(1, "1"), (1, "2"), (2, "1"), (2, "2"), (3, "1"), (5, "1"), (5, "2"), (5, "3")]
    assert days.spans == [
        ("1", "one", 1, None),
        ("2", "two", 1, 2),
        ("2", "zwei", 2, 3),
        ("2", "zwei", 5, None),
        ("3", "three", 5, None),
    ]
    assert rows_of(days.warehouse, "select amount from unified.shelf_daily where day = date '2026-03-05' and thing_id = '3'")


def test_another_refresh_of_a_day_takes_the_place_of_the_first(days: Days) -> None:
    days.refresh(1, {1: "one", 2: "two"})
    days.refresh(2, {1: "eins"})
    days.refresh(2, {1: "one", 2: "two", 3: "three"})  # what was seen at noon was a mistake
    assert days.daily == [(1, "1"), (1, "2"), (2, "1"), (2, "2"), (2, "3")]
    assert days.spans == [("1", "one", 1, None), ("2", "two", 1, None), ("3", "three", 2, None)]

    days.refresh(2, {1: "uno", 2: "two"})
    before = days.daily, days.spans
    for _ in range(3):
        days.refresh(2, {1: "uno", 2: "two"})
    assert (days.daily, days.spans) == before
    assert days.spans == [("1", "one", 1, 2), ("1", "uno", 2, None), ("2", "two", 1, None)]


def test_what_is_kept_outlives_the_tables_that_it_was_made_from(days: Days) -> None:
    days.refresh(1, {1: "one"})
    kind = "table" if days.warehouse.dialect == "duckdb" else "view"
    with days.warehouse.begin("lose what can be made again") as connection:
        connection.execute(sa.text(f"drop {kind} unified.shelf"))
        connection.execute(sa.text("delete from sync.builds"))
    migrate.prepare(days.warehouse, [THINGS])
    days.refresh(2, {1: "one"})
    assert days.daily == [(1, "1"), (2, "1")]
    assert days.spans == [("1", "one", 1, None)]


def test_a_table_that_was_not_built_that_day_keeps_no_row_of_it(days: Days) -> None:
    assert days.refresh(1, {1: "one"}) == [1, 1]
    assert days.refresh(2, {1: "eins"}, builds=False) == [None, None]
    assert days.daily == [(1, "1")]
    assert days.spans == [("1", "one", 1, None)]


def test_a_clock_that_was_set_back_changes_no_day_that_has_passed(days: Days) -> None:
    days.refresh(3, {1: "one"})
    assert days.refresh(2, {1: "eins"}) == [None, None]
    assert days.daily == [(3, "1")]
    assert days.spans == [("1", "one", 3, None)]


def test_a_column_that_joins_is_unknown_before(days: Days) -> None:
    days.refresh(1, {1: "one"})
    days.declare("shelf: {daily: [amount, version], history: [name, version]}")
    days.refresh(2, {1: "one"})

    assert rows_of(days.warehouse, "select version from unified.shelf_daily order by day") == [(None,), (2,)]
    query = "select version, valid_from, valid_to from unified.shelf_history order by valid_from"
    assert rows_of(days.warehouse, query) == [(None, on(1), on(2)), (2, on(2), None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shelf: {daily: [nope]}", "history.yaml: shelf has no column nope."),
        ("nope: {daily: [name]}", "history.yaml: nope.daily names no model"),
        ("shelf: {weekly: [name]}", "history.yaml: shelf.weekly names no model, or is neither daily nor history."),
    ],
)
def test_a_declaration_of_what_there_is_not_is_one_line(days: Days, text: str, message: str) -> None:
    with pytest.raises(WarehouseError, match=message):
        days.declare(text)


def test_every_column_that_is_kept_says_in_the_database_what_it_means(warehouse: Warehouse) -> None:
    migrate.prepare(warehouse, [THINGS])
    with warehouse.begin("look") as connection:
        found = {
            table.name: {c["name"]: c["comment"] for c in sa.inspect(connection).get_columns(table.name, "unified")}
            for table in history.tables()
        }
    wanted: dict[str, dict[str, Any]] = {t.name: {c.name: c.description for c in t.columns} for t in history.tables()}
    assert found == wanted
