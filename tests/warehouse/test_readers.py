"""What readers have: Parquet on both databases, and on PostgreSQL a role that may read and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from orchestration.synced import raw_tables
from tests.warehouse.things import rows_of
from warehouse import migrate, models
from warehouse.engine import Warehouse, verbatim
from warehouse.publish import parquet, readers

OPENED = (
    "insert into unified.gaps (gap_id, stake_amount, first_seen_at) values ('{}', 12.50, timestamptz '2026-03-01 05:00+02')"
)


def opened(warehouse: Warehouse, gap: str) -> None:
    with warehouse.begin("a gap") as connection:
        connection.execute(verbatim(OPENED.format(gap)))


def test_parquet_holds_every_row_with_its_types_and_descriptions(warehouse: Warehouse, tmp_path: Path) -> None:
    migrate.prepare(warehouse, raw_tables())
    opened(warehouse, "g_1")

    folder = parquet.publish(warehouse, tmp_path / "published")

    found = pq.read_table(folder / "gaps.parquet").select(["gap_id", "stake_amount", "first_seen_at", "title"])
    assert [str(field.type) for field in found.schema] == ["string", "decimal128(18, 2)", "timestamp[us, tz=UTC]", "string"]
    assert [(r["gap_id"], str(r["stake_amount"]), r["first_seen_at"].isoformat()) for r in found.to_pylist()] == [
        ("g_1", "12.50", "2026-03-01T03:00:00+00:00")
    ]
    assert found.schema.field("gap_id").metadata[b"description"]


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_new_set_takes_the_place_of_the_old_one_as_a_whole(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate.prepare(warehouse, raw_tables())
    opened(warehouse, "g_1")
    folder = parquet.publish(warehouse, tmp_path / "published")
    with (folder / "gaps.parquet").open("rb") as reader:
        opened(warehouse, "g_2")
        parquet.publish(warehouse, tmp_path / "published")
        assert pq.read_table(reader).num_rows == 1
    assert pq.read_table(folder / "gaps.parquet").num_rows == 2
    assert len(list(folder.parent.iterdir())) == 2  # the link and what it shows: an erased person is in no old files

    opened(warehouse, "g_3")
    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        parquet.publish(warehouse, tmp_path / "published")
    monkeypatch.undo()
    assert pq.read_table(folder / "gaps.parquet").num_rows == 2
    assert len(list(folder.parent.iterdir())) == 2

    parquet.remove(folder.parent)
    assert list(folder.parent.iterdir()) == []


def test_parquet_in_a_copied_home_and_what_a_kill_left_are_replaced(warehouse: Warehouse, tmp_path: Path) -> None:
    migrate.prepare(warehouse, [])
    parquet.publish(warehouse, tmp_path / "published")
    shutil.copytree(tmp_path / "published", tmp_path / "copied")  # links become what they lead to
    (tmp_path / "copied" / ".parquet-killed.link").symlink_to(".parquet-killed")

    folder = parquet.publish(warehouse, tmp_path / "copied")

    assert pq.read_table(folder / "gaps.parquet").num_rows == 0
    assert len([path for path in folder.parent.iterdir() if path.name.startswith(".")]) == 1
    parquet.remove(folder.parent)
    assert list(folder.parent.iterdir()) == []


@pytest.fixture
def shared(new_database: Callable[[], str], tmp_path: Path) -> Iterator[Warehouse]:
    """A warehouse on PostgreSQL whose database takes a reader's role away with it."""
    warehouse = Warehouse(new_database(), tmp_path / "work")
    migrate.prepare(warehouse, raw_tables())
    yield warehouse
    with warehouse.begin("clean") as connection:
        for role in (reader(warehouse), f"{reader(warehouse)}_analyst", f"{reader(warehouse)}_owner"):
            if connection.execute(sa.text("select 1 from pg_roles where rolname = :role"), {"role": role}).first():
                connection.execute(verbatim(f"drop owned by {role} cascade"))
                connection.execute(verbatim(f"drop role {role}"))


def reader(warehouse: Warehouse) -> str:
    return f"reader_of_{warehouse.url.database}"


def as_role(warehouse: Warehouse, role: str, statement: str) -> object:
    with warehouse.begin("a reader") as connection:
        connection.execute(verbatim(f"set local role {role}"))
        result = connection.execute(verbatim(statement))
        return result.scalar() if result.returns_rows else None


def test_the_role_reads_what_is_built_each_night_and_another_ones_view_and_grant_survive_ten(shared: Warehouse) -> None:
    library, shape = models.library(), models.library().shape(raw_tables())
    analyst = f"{reader(shared)}_analyst"
    with shared.begin("the clock") as connection:
        connection.execute(verbatim("insert into settings.clock values (timestamptz '2026-03-01', date '2026-03-01', 'UTC')"))
        connection.execute(verbatim("insert into settings.options (fresh_hours) values (26)"))
        connection.execute(verbatim(f"create role {analyst} nologin"))

    shown = set()
    for night in range(10):
        with shared.begin("a night") as connection:
            connection.execute(sa.text("insert into jira.issues (assignee_account_id) values (:id)"), {"id": str(night)})
            connection.execute(verbatim("delete from sync.builds"))
            models.build(connection, library["people"], shape)
        assert readers.grant(shared, reader(shared)) is None
        if night == 0:
            with shared.begin("an analyst") as connection:
                connection.execute(verbatim("create view public.mine as select person_id from unified.people"))
                connection.execute(verbatim(f"grant usage on schema unified to {analyst}"))
                connection.execute(verbatim(f"grant select on unified.people, public.mine to {analyst}"))
        shown |= {rows_of(shared, "select pg_get_viewdef('unified.people'::regclass)")[0][0]}
        for role in (reader(shared), analyst):
            assert as_role(shared, role, "select count(*) from unified.people") == night + 1
        assert as_role(shared, analyst, "select count(*) from public.mine") == night + 1

    assert len(shown) == 2  # the view did change what it shows


@pytest.mark.parametrize(
    "statement",
    [
        "select * from jira.users",
        "select * from sync.runs",
        "select * from build.people_a",
        "delete from unified.gaps",
        "create table unified.mine (x integer)",
    ],
)
def test_the_role_may_do_nothing_else(shared: Warehouse, statement: str) -> None:
    readers.grant(shared, reader(shared))

    assert as_role(shared, reader(shared), "select count(*) from unified.gaps") == 0
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        as_role(shared, reader(shared), statement)


def test_a_connection_that_may_make_no_role_says_who_does_it_how(shared: Warehouse) -> None:
    role, owner = reader(shared), f"{reader(shared)}_owner"
    with shared.begin("an administrator") as connection:
        connection.execute(verbatim(f"create role {owner} login password 'hush'"))
    bound = Warehouse(shared.url.set(username=owner, password="hush").render_as_string(hide_password=False), shared.work)

    assert readers.grant(bound, role) == (
        f"The role {role}, which reads and does nothing else, is missing. An administrator makes it by: "
        f'create role "{role}" nologin; grant "{role}" to {owner}'
    )


def test_without_a_role_in_the_settings_none_is_made(shared: Warehouse) -> None:
    assert readers.grant(shared, "") is None
