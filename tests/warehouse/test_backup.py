"""What a backup holds, that it comes back on either database as it was, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import adbc_driver_manager
import duckdb
import pytest
import sqlalchemy as sa

from tests.warehouse.things import START, THINGS, batch, loaded, row, rows_of
from warehouse import backup, load, migrate, privacy
from warehouse.backup import MANIFEST
from warehouse.engine import Warehouse, WarehouseError
from warehouse.schema import Column

NAME = "a 'quoted' \"name\", -- \\ \n\t 漢字 \U0001f600 \\N"
LEDGERS: dict[str, list[dict[str, Any]]] = {
    "sync.customer_ids": [
        {"customer_id": "c_1", "anchor_id": "001", "minted_at": datetime(2026, 2, 28, 23, 59, 59, 123456, UTC)},
        {"customer_id": "c_2", "anchor_id": NAME, "merged_into": "c_1"},
    ],
    "unified.gaps": [
        {"gap_id": "g_1", "title": NAME, "stake_amount": Decimal("9999999999999999.99"), "reopened_count": 2**40},
        {"gap_id": "g_2", "title": ""},
    ],
    "unified.customer_links": [{"tool": "zendesk", "score": 0.1 + 0.2}],
    "unified.gap_decisions": [{"gap_id": "g_1", "decision": "snoozed", "until": date(2026, 12, 31)}],
    "unified.customers_history": [{"customer_id": "c_1", "name": NAME, "valid_from": date(2026, 3, 1)}],
    "sync.runs": [{"run_id": "old", "tool": "zendesk", "read": "things", "status": "failed", "reconciled": False}],
}


@pytest.fixture
def old(warehouse: Warehouse) -> Warehouse:
    """A warehouse with something in its ledgers, and two things of a tool."""
    migrate.prepare(warehouse, [THINGS])
    loaded(warehouse, batch([row(1, NAME), row(2, None, amount=None)]), choices={"since": "2020-01-01"})
    for table, rows in LEDGERS.items():
        for values in rows:
            execute(
                warehouse, f"insert into {table} ({', '.join(values)}) values ({', '.join(f':{n}' for n in values)})", values
            )
    return warehouse


@pytest.fixture(params=["duckdb", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """An empty warehouse, for each of the others once on each database."""
    url = f"duckdb:///{tmp_path / 'new.duckdb'}"
    return Warehouse(url if request.param == "duckdb" else request.getfixturevalue("new_database")(), tmp_path / "new")


def execute(warehouse: Warehouse, statement: str, values: dict[str, Any] | None = None) -> None:
    with warehouse.begin("set up") as connection:
        connection.execute(sa.text(statement), values or {})


def key(make: bool) -> bytes:
    return b"of these tests"


def contents(warehouse: Warehouse, table: str) -> list[tuple[Any, ...]]:
    return sorted(rows_of(warehouse, f"select * from {table}"), key=repr)


def made(warehouse: Warehouse, folder: Path, **more: Any) -> Path:
    return backup.make(warehouse, folder, [THINGS], **{"keep": 14, **more})


def test_ledgers_decisions_and_histories_come_back_as_they_were_on_either_database(
    old: Warehouse, new: Warehouse, tmp_path: Path
) -> None:
    backup.restore(new, made(old, tmp_path / "backup"), [THINGS], key)

    for table, rows in LEDGERS.items():
        if table != "sync.runs":
            assert len(rows) == len(contents(new, table))
            assert contents(new, table) == contents(old, table)
    assert contents(new, "zendesk.things") == []


def test_reads_begin_anew_where_their_rows_are_not_in_the_backup(old: Warehouse, new: Warehouse, tmp_path: Path) -> None:
    execute(old, """update sync.cursors set cursor = '{"from": "2025-01-01", "night": 9}'""")

    backup.restore(new, made(old, tmp_path / "backup"), [THINGS], key)

    chosen = {"since": "2020-01-01"}
    assert load.cursor(new, "zendesk", "things", "x.example", choices=chosen) == {"from": "2025-01-01"}
    with pytest.raises(WarehouseError, match="Two worlds must not mix"):
        load.cursor(new, "zendesk", "things", "y.example", choices=chosen)
    with pytest.raises(WarehouseError, match="from 2020-01-01 on"):
        load.cursor(new, "zendesk", "things", "x.example", choices={"since": "2024-01-01"})


def test_nothing_can_be_made_of_the_tables_until_every_read_has_come_to_its_end_again(
    old: Warehouse, new: Warehouse, tmp_path: Path
) -> None:
    backup.restore(new, made(old, tmp_path / "backup"), [THINGS], key)
    execute(new, "insert into settings.reads values ('zendesk', 'things', true), ('zendesk', 'others', true)")

    def awaited() -> list[str]:
        with new.begin("look") as connection:
            return backup.awaited(connection)

    assert awaited() == ["zendesk/things"]
    load.record_end(new, tool="zendesk", read="things", run_id="x", started_at=datetime.now(UTC), error="no answer")
    assert awaited() == ["zendesk/things"]
    loaded(new, batch([row(1)]))
    assert awaited() == []


def test_with_everything_the_rows_of_the_tools_come_back_too_and_reads_go_on_where_they_were(
    old: Warehouse, new: Warehouse, tmp_path: Path
) -> None:
    execute(old, "insert into sync.rejects (tool, stream, original) values ('zendesk', 'things', '{}')")

    backup.restore(new, made(old, tmp_path / "backup", everything=True), [THINGS], key)

    for table in ("zendesk.things", "sync.cursors", "sync.runs", "sync.counts", "sync.rejects", *LEDGERS):
        assert contents(new, table) == contents(old, table)
    assert load.cursor(new, "zendesk", "things", "x.example", choices={"since": "2020-01-01"}) == {"night": 1}
    loaded(new, batch([row(3)], night=2))
    assert rows_of(new, "select id from zendesk.things order by id") == [(1,), (2,), (3,)]


def test_only_its_owner_can_read_a_backup(old: Warehouse, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = made(old, tmp_path / "backup", everything=True)
    finally:
        os.umask(before)

    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {0o600}
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700


def test_a_warehouse_with_rows_of_its_own_is_left_alone_unless_told_to_replace_them(old: Warehouse, tmp_path: Path) -> None:
    folder = made(old, tmp_path / "backup")
    before = contents(old, "unified.gaps")
    execute(old, "update unified.gaps set title = 'later'")

    with pytest.raises(WarehouseError, match=r"holds rows already, in \S+ for one\. Restore into a new .*--replace"):
        backup.restore(old, folder, [THINGS], key)
    assert [title for (title,) in rows_of(old, "select distinct title from unified.gaps")] == ["later"]

    backup.restore(old, folder, [THINGS], key, replace=True)
    assert contents(old, "unified.gaps") == before
    assert len(contents(old, "zendesk.things")) == 2


def test_who_was_erased_since_a_backup_does_not_come_back_with_it(old: Warehouse, tmp_path: Path) -> None:
    execute(old, "update unified.gaps set owner = 'ann@acme.example' where gap_id = 'g_1'")
    execute(old, "update zendesk.things set name = 'of ann@acme.example, ben@acme.example' where id = 1")
    folder = made(old, tmp_path / "backup", everything=True)
    with old.begin("erase") as connection:
        privacy.erase(connection, [THINGS], privacy.erased(connection, key), "ann@acme.example")
    remembered = contents(old, "sync.erased")

    backup.restore(old, folder, [THINGS], key, replace=True)

    assert contents(old, "sync.erased") == remembered != []
    for table in ("unified.gaps", "zendesk.things"):
        assert "ann@acme" not in repr(contents(old, table))
    assert "ben@acme.example" in repr(contents(old, "zendesk.things"))


def test_a_backup_of_another_world_does_not_come_beside_rows_that_are_there(
    old: Warehouse, new: Warehouse, tmp_path: Path
) -> None:
    folder = made(old, tmp_path / "backup")
    migrate.prepare(new, [THINGS])
    loaded(new, batch([row(7)]))
    execute(new, "update sync.cursors set host = 'y.example'")

    with pytest.raises(WarehouseError, match=r"holds zendesk rows of y.example, and the backup goes with x.example"):
        backup.restore(new, folder, [THINGS], key, replace=True)

    assert rows_of(new, "select host from sync.cursors") == [("y.example",)]
    assert contents(new, "unified.gaps") == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "is no backup: manifest.json cannot be read (No such file or directory)"),
        (lambda folder: (folder / MANIFEST).write_text("{}"), "is no backup: its manifest.json is of another form"),
        (lambda folder: swap(folder / MANIFEST, '"rows":2', '"rows":3'), "manifest.json was changed after the backup was made"),
        (lambda folder: (folder / "unified.gaps.parquet").unlink(), "unified.gaps.parquet is missing: the backup is not whole"),
        (lambda folder: (folder / "unified.gaps.parquet").write_bytes(b"x"), "unified.gaps.parquet was changed after"),
    ],
)
def test_what_is_no_whole_backup_is_refused_in_one_line_and_touches_nothing(
    old: Warehouse, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    folder = made(old, tmp_path / "backup")
    before = contents(old, "unified.gaps")
    spoil(folder)

    with pytest.raises(WarehouseError) as caught:
        backup.restore(old, folder, [THINGS], key, replace=True)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(old, "unified.gaps") == before


def swap(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_backup_of_a_newer_version_is_refused(old: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(migrate, "VERSION", 99)
        folder = made(old, tmp_path / "backup")

    with pytest.raises(WarehouseError, match=r"A newer fullpicture made the backup .* Install that version"):
        backup.restore(old, folder, [THINGS], key, replace=True)


def test_columns_and_tables_that_changed_since_take_what_the_backup_has(old: Warehouse, new: Warehouse, tmp_path: Path) -> None:
    dropped = replace(THINGS, name="dropped")
    migrate.prepare(old, [dropped])
    loaded(old, batch([row(5)], table=dropped), table=dropped)
    folder = backup.make(old, tmp_path / "backup", [THINGS, dropped], everything=True, keep=14)
    columns = {column.name: column for column in THINGS.columns}
    columns["version"] = Column("version", "decimal", "Now wider.")
    del columns["touched"]
    later = replace(THINGS, columns=(*columns.values(), Column("size", "integer", "New.")), volatile=frozenset())

    backup.restore(new, folder, [later], key)

    found = rows_of(new, "select id, name, version, size, touched from zendesk.things order by id")
    assert found == [(1, NAME, Decimal("1.00"), None, 0), (2, None, Decimal("1.00"), None, 0)]
    assert rows_of(new, "select id, amount from zendesk.dropped") == [(5, Decimal("1.50"))]


def test_a_restore_that_breaks_leaves_nothing_behind(old: Warehouse, new: Warehouse, tmp_path: Path) -> None:
    folder = made(old, tmp_path / "backup")
    migrate.prepare(new, [THINGS])
    execute(new, "drop table unified.gaps")
    execute(new, "create table unified.gaps (gap_id text, title text check (title <> ''))")

    with pytest.raises((duckdb.Error, adbc_driver_manager.Error)):
        backup.restore(new, folder, [THINGS], key)

    assert all(contents(new, table) == [] for table in LEDGERS)


def test_the_last_few_of_each_kind_are_left_and_nothing_else_is_touched(
    old: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backup"
    at = iter(START + timedelta(minutes=minute) for minute in range(9))
    monkeypatch.setattr(backup, "datetime", type("Clock", (datetime,), {"now": classmethod(lambda *_: next(at))}))
    everything = made(old, folder, everything=True)
    (folder / "mine").mkdir()

    few = [made(old, folder, keep=2) for _ in range(4)]

    assert sorted(path.name for path in folder.iterdir()) == sorted([everything.name, "mine", *(p.name for p in few[2:])])
    assert few[3].name == "2026-03-01T02-04-00Z"


def test_two_within_a_second_are_two(old: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "datetime", type("Clock", (datetime,), {"now": classmethod(lambda *_: START)}))
    names = [made(old, tmp_path / "backup").name for _ in range(3)]
    assert names == [f"2026-03-01T02-00-0{second}Z" for second in range(3)]


KILLED = """
import os, signal, sys
from pathlib import Path
from warehouse import backup
from warehouse.engine import Warehouse
written = []
write = backup._write
def dying(bulk, folder, name, columns):
    if len(written) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(name)
    return write(bulk, folder, name, columns)
backup._write = dying
backup.make(Warehouse(sys.argv[1], Path(sys.argv[2])), Path(sys.argv[3]), [], keep=14)
"""


@pytest.mark.processes
def test_a_kill_leaves_no_half_backup_and_what_it_left_is_swept_away_later(old: Warehouse, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    url = old.url.render_as_string(hide_password=False)
    killed = subprocess.run([sys.executable, "-c", KILLED, url, str(old.work), str(folder)], check=False)
    assert killed.returncode == -9
    (left,) = folder.iterdir()
    assert left.name.startswith(".")
    os.utime(left, (0, 0))

    made(old, folder)

    assert [path.name.startswith(".") for path in folder.iterdir()] == [False]


LOADING = """
import sys
from pathlib import Path
from tests.warehouse.things import THINGS, batch, loaded, row
from warehouse.engine import Warehouse
warehouse = Warehouse(sys.argv[1], Path(sys.argv[2]), wait_seconds=60)
print("started", flush=True)
for night in range(2, 42):
    loaded(warehouse, batch([row(1000 * night + number) for number in range(100)], night=night))
"""


@pytest.mark.processes
def test_a_backup_while_another_process_loads_is_of_one_moment(old: Warehouse, new: Warehouse, tmp_path: Path) -> None:
    url = old.url.render_as_string(hide_password=False)
    process = subprocess.Popen([sys.executable, "-c", LOADING, url, str(old.work)], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    folders = [made(old, tmp_path / str(number), everything=True) for number in range(4)]
    assert process.wait(120) == 0
    process.stdout.close()

    nights = []
    for folder in folders:
        backup.restore(new, folder, [THINGS], key, replace=True)
        cursor = json.loads(rows_of(new, "select cursor from sync.cursors")[0][0])
        nights.append(cursor["night"])
        assert rows_of(new, "select count(*) from zendesk.things") == [(2 + 100 * (cursor["night"] - 1),)]
        assert rows_of(new, "select count(*) from sync.runs where run_id <> 'old'") == [(cursor["night"],)]
    assert nights == sorted(nights)
    assert rows_of(old, "select count(*) from zendesk.things") == [(2 + 100 * 40,)]
