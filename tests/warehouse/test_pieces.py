"""What has not changed is not published again, and what stands there afterwards is what stands in the warehouse."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from orchestration.synced import raw_tables
from tests.warehouse.things import rows_of
from warehouse import migrate, models, versions
from warehouse.engine import Warehouse
from warehouse.publish import copy, parquet
from warehouse.versions import REDACTED

USED = "insert into pendo.feature_events (id, day, feature_id, visitor_id, account_id, num_events) values "
LOOK = "select visitor_id, day, events from {} order by 1, 2"
MARK = -1  # what a test writes into the published rows, to see which are written again


def used(warehouse: Warehouse, *rows: tuple[str, str]) -> None:
    """Who used it on which day, once more each time; then the table is built."""
    with warehouse.begin("a test writes") as connection:
        for visitor, day in rows:
            values = f"('{visitor} {day} {hash(rows)}', date '{day}', 'button', '{visitor}', 'acme', 1)"
            connection.execute(sa.text(USED + values))
        versions.moved(versions.Statements(connection), "pendo.feature_events")
        library = models.library()
        models.build(connection, library["usage"], library.shape(raw_tables()))


@pytest.fixture
def house(warehouse: Warehouse) -> Warehouse:
    return founded(warehouse)


@pytest.fixture
def on_duckdb(tmp_path: Path) -> Warehouse:
    return founded(Warehouse(f"duckdb:///{tmp_path}/work/w.duckdb", tmp_path / "work"))


def founded(warehouse: Warehouse) -> Warehouse:
    """Ann in January, bob in February and March."""
    migrate.prepare(warehouse, raw_tables())
    with warehouse.begin("a test writes") as connection:
        connection.execute(sa.text("insert into settings.clock values (timestamptz '2026-04-01', date '2026-04-01', 'UTC')"))
        connection.execute(sa.text("insert into settings.options (fresh_hours, people) values (26, 'keep')"))
    used(warehouse, ("ann", "2026-01-05"), ("bob", "2026-02-05"), ("bob", "2026-03-05"))
    return warehouse


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "published"


def copied(warehouse: Warehouse, folder: Path) -> Path:
    """Publishes into a copy all of whose rows were marked before."""
    path = copy.publish(warehouse, folder)
    assert path is not None
    with duckdb.connect(path) as connection:
        connection.execute(f"update unified.usage set events = {MARK}")
        connection.execute("insert into unified.gaps (gap_id) values ('marked')")
    return path


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_copy_gets_only_the_months_that_changed(on_duckdb: Warehouse, folder: Path) -> None:
    path = copied(on_duckdb, folder)
    used(on_duckdb, ("carl", "2026-02-07"), ("dora", "2026-04-01"))

    copy.publish(on_duckdb, folder)

    stands = ask(path, LOOK.format("unified.usage"))
    assert [(who, str(day), events) for who, day, events in stands] == [
        ("ann", "2026-01-05", MARK),
        ("bob", "2026-02-05", 1),
        ("bob", "2026-03-05", MARK),
        ("carl", "2026-02-07", 1),
        ("dora", "2026-04-01", 1),
    ]
    assert ask(path, "select gap_id from unified.gaps") == [("marked",)]  # of which nothing has changed


def test_of_a_table_that_is_published_whole_every_row_is_written_again(on_duckdb: Warehouse, folder: Path) -> None:
    path = copied(on_duckdb, folder)
    with on_duckdb.begin("a gap") as connection:
        connection.execute(sa.text("insert into unified.gaps (gap_id) values ('g_1')"))

    copy.publish(on_duckdb, folder)

    assert ask(path, "select gap_id from unified.gaps") == [("g_1",)]
    assert ask(path, "select comment is not null from duckdb_tables() where table_name = 'gaps'") == [(True,)]


def test_a_table_that_is_no_more_leaves_the_copy_and_one_of_another_shape_is_replaced(
    on_duckdb: Warehouse, folder: Path
) -> None:
    path = copied(on_duckdb, folder)
    with duckdb.connect(path) as connection:
        connection.execute("create table unified.gone as select 1 as x")
        connection.execute("alter table unified.usage drop column tool")
    used(on_duckdb, ("carl", "2026-02-07"))

    copy.publish(on_duckdb, folder)

    assert ask(path, "select count(*) from duckdb_tables() where table_name = 'gone'") == [(0,)]
    assert ask(path, "select tool, min(events), count(*) from unified.usage group by 1") == [("pendo", 1, 4)]


def test_a_copy_that_nobody_can_read_is_made_anew(on_duckdb: Warehouse, folder: Path) -> None:
    path = copied(on_duckdb, folder)
    path.write_bytes(b"no database" * 1000)
    path.with_name(f".{path.name}.new.wal").write_bytes(b"what a kill left")

    copy.publish(on_duckdb, folder)

    assert ask(path, "select sum(events) from unified.usage") == [(3,)]


def test_once_people_were_taken_out_nothing_of_the_old_file_is_used_again(on_duckdb: Warehouse, folder: Path) -> None:
    path = copied(on_duckdb, folder)
    with on_duckdb.begin("a person is taken out") as connection:
        versions.moved(versions.Statements(connection), REDACTED)

    copy.publish(on_duckdb, folder)

    assert ask(path, "select sum(events) from unified.usage") == [(3,)]
    assert copy.publish(on_duckdb, folder) == path  # and then it is gone on with


def test_parquet_has_a_file_a_month_and_writes_only_those_that_changed(house: Warehouse, folder: Path) -> None:
    first = parquet.publish(house, folder)
    files = {name: (first / "usage" / f"2026-{name}.parquet").stat().st_ino for name in ("01", "02", "03")}
    gaps = (first / "gaps.parquet").stat().st_ino
    used(house, ("carl", "2026-02-07"), ("dora", "2026-04-01"))

    again = parquet.publish(house, folder)

    now = {path.stem[-2:]: path.stat().st_ino for path in (again / "usage").iterdir()}
    assert {name for name in files if files[name] == now[name]} == {"01", "03"}
    assert set(now) == {"01", "02", "03", "04"}
    assert (again / "gaps.parquet").stat().st_ino == gaps
    with duckdb.connect() as connection:
        found = connection.sql(LOOK.format(f"read_parquet('{again}/usage/*.parquet')")).fetchall()
    assert found == rows_of(house, LOOK.format("unified.usage"))
    assert pq.read_table(again / "usage" / "2026-02.parquet").num_rows == 2


def test_a_table_without_a_row_has_a_file_that_tells_its_columns(house: Warehouse, folder: Path) -> None:
    with house.begin("a test writes") as connection:
        connection.execute(sa.text("delete from pendo.feature_events"))
        versions.moved(versions.Statements(connection), "pendo.feature_events")
        library = models.library()
        models.build(connection, library["usage"], library.shape(raw_tables()), accept=True)

    found = parquet.publish(house, folder)

    assert [path.name for path in (found / "usage").iterdir()] == ["none.parquet"]
    assert pq.read_schema(found / "usage" / "none.parquet").names[:2] == ["tool", "account_id"]
