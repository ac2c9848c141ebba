"""What becomes of tables that stand already when a new version declares them otherwise, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.warehouse.things import START, THINGS, batch, loaded, row, rows_of
from warehouse.engine import Warehouse, WarehouseError
from warehouse.migrate import prepare
from warehouse.schema import Column, RawTable, Type


def declared(**types: Type) -> RawTable:
    return RawTable("zendesk", "things", "", (Column("id", "integer", "."), *(Column(n, t, ".") for n, t in types.items())))


def changes(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return rows_of(warehouse, "select table_name, column_name, change from sync.schema_changes order by column_name")


def test_a_column_declared_later_is_added_and_recorded(warehouse: Warehouse) -> None:
    prepare(warehouse, [THINGS])
    loaded(warehouse, batch([row(1)]))
    grown = replace(THINGS, columns=(*THINGS.columns, Column("size", "integer", "How big.")))

    prepare(warehouse, [grown])

    loaded(warehouse, batch([row(2, size=5)], table=grown), table=grown)
    assert rows_of(warehouse, "select id, size from zendesk.things order by id") == [(1, None), (2, 5)]
    assert changes(warehouse) == [("zendesk.things", "size", "added")]
    catalog = "duckdb_columns()" if warehouse.dialect == "duckdb" else None
    if catalog:
        assert rows_of(warehouse, f"select comment from {catalog} where column_name = 'size'") == [("How big.",)]
    else:
        assert rows_of(warehouse, "select col_description('zendesk.things'::regclass, 10)") == [("How big.",)]


def test_on_postgresql_rows_are_found_by_their_key(tmp_path: Path, new_database: Callable[[], str]) -> None:
    warehouse = Warehouse(new_database(), tmp_path)
    texts = RawTable("zendesk", "texts", "", (Column("id", "text", "."),))
    several = RawTable("zendesk", "several", "", (Column("a", "text", "."), Column("b", "integer", ".")), key=("a", "b"))

    def indexes() -> list[tuple[str, str]]:
        prepare(warehouse, [THINGS, texts, several])
        found = rows_of(warehouse, "select indexname, indexdef from pg_indexes where schemaname = 'zendesk' order by 1")
        return [(name, definition.partition(" USING ")[2]) for name, definition in found]

    expected = [("texts_by_key", "hash (id)"), ("things_by_key", "btree (id)")]
    assert indexes() == expected
    with warehouse.begin("somebody drops one") as connection:
        connection.execute(sa.text("drop index zendesk.things_by_key"))
    assert indexes() == expected


@pytest.mark.parametrize(
    ("before", "after", "value", "becomes"),
    [
        ("integer", "decimal", 7, Decimal("7.00")),
        ("integer", "double", 7, 7.0),
        ("integer", "text", 7, "7"),
        ("decimal", "double", Decimal("1.25"), 1.25),
        ("decimal", "text", Decimal("1.25"), "1.25"),
        ("boolean", "text", True, "true"),
        ("date", "text", date(2026, 3, 1), "2026-03-01"),
        ("date", "timestamp", date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)),
        ("timestamp", "text", START, "2026-03-01T02:00:00.000000Z"),
        ("text", "json", "[1]", "[1]"),
    ],
)
def test_a_column_that_is_declared_wider_keeps_what_it_holds(
    warehouse: Warehouse, before: Type, after: Type, value: Any, becomes: Any
) -> None:
    old, new = declared(value=before), declared(value=after)
    prepare(warehouse, [old])
    loaded(warehouse, batch([{"id": 1, "value": value}, {"id": 2}], table=old), table=old)

    prepare(warehouse, [new])
    prepare(warehouse, [new])  # and that is all

    assert rows_of(warehouse, "select id, value from zendesk.things order by id") == [(1, becomes), (2, None)]
    report = loaded(warehouse, batch([{"id": 1, "value": becomes}, {"id": 3, "value": becomes}], table=new, night=2), table=new)
    assert (report.inserted, report.updated, report.unchanged) == (1, 0, 1)
    words = [] if after == "json" else [("zendesk.things", "value", f"{before} became {after}")]
    assert changes(warehouse) == words


@pytest.mark.parametrize(
    ("before", "after"), [("text", "integer"), ("double", "integer"), ("timestamp", "date"), ("decimal", "integer")]
)
def test_what_would_lose_values_is_refused_and_nothing_is_touched(warehouse: Warehouse, before: Type, after: Type) -> None:
    old = declared(value=before, other="integer")
    prepare(warehouse, [old])

    with pytest.raises(WarehouseError, match=r"zendesk\.things\.value is .* would become .* values could be lost\. Use"):
        prepare(warehouse, [declared(other="text", value=after)])

    prepare(warehouse, [old])
    assert changes(warehouse) == []


def test_a_view_of_somebody_that_prevents_a_change_is_named(postgres: str, new_database: Any, tmp_path: Any) -> None:
    warehouse = Warehouse(new_database(), tmp_path, wait_seconds=20)
    prepare(warehouse, [declared(value="integer")])
    with warehouse.begin("somebody makes a view") as connection:
        connection.execute(sa.text("create view mine as select value from zendesk.things"))

    with pytest.raises(WarehouseError, match=r"zendesk\.things\.value: integer cannot become text: .*view mine") as told:
        prepare(warehouse, [declared(value="text")])

    assert "\n" not in str(told.value)


def test_what_a_newer_version_wrote_is_left_alone(warehouse: Warehouse) -> None:
    with warehouse.begin("a newer version") as connection:
        connection.execute(sa.text("update sync.version set version = 99"))

    with pytest.raises(WarehouseError, match=r"A newer fullpicture has written this warehouse \(form 99.*Install"):
        prepare(warehouse, [THINGS])

    assert rows_of(warehouse, "select 1 from information_schema.tables where table_name = 'things'") == []
