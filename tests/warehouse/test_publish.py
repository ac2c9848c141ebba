"""The copy that readers open."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from connectors.base import Reject
from tests.warehouse.things import THINGS, batch, loaded, row
from warehouse import migrate
from warehouse.engine import Warehouse, verbatim
from warehouse.publish.copy import publish


@pytest.fixture
def on_duckdb(tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(f"duckdb:///{tmp_path}/work/w.duckdb", tmp_path / "work")
    migrate.prepare(warehouse, [THINGS])
    loaded(warehouse, batch([row(1)], rejects=[Reject("things", "9", "amount", "is no number", '"secret"')]))
    return warehouse


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_copy_holds_the_unified_tables_with_their_comments_and_what_the_runs_did(
    on_duckdb: Warehouse, tmp_path: Path
) -> None:
    path = publish(on_duckdb, tmp_path / "published")

    assert path is not None
    schemas = ask(path, "select distinct schema_name from duckdb_tables() order by 1")
    assert schemas == [("sync",), ("unified",)]
    assert ask(path, "select comment from duckdb_tables() where table_name = 'gap_events'") == [
        ("What happened to every gap.",)
    ]
    commented = "select count(*) from duckdb_columns() where schema_name = 'unified' and comment is null and not internal"
    assert ask(path, commented) == [(0,)]
    assert ask(path, "select rows_inserted from sync.runs") == [(1,)]
    assert ask(path, "select record_id, reason from sync.rejects") == [("9", "is no number")]
    assert "original" not in {name for (name,) in ask(path, "select column_name from duckdb_columns()")}


def test_raw_tables_are_in_it_if_somebody_asks(on_duckdb: Warehouse, tmp_path: Path) -> None:
    path = publish(on_duckdb, tmp_path / "published", include_raw=True)

    assert path is not None
    assert ask(path, "select id from zendesk.things") == [(1,)]


def test_a_reader_that_never_closes_keeps_its_copy_and_holds_up_nobody(on_duckdb: Warehouse, tmp_path: Path) -> None:
    path = publish(on_duckdb, tmp_path / "published")
    assert path is not None
    with duckdb.connect(str(path), read_only=True) as reader:
        with on_duckdb.begin("more") as connection:
            connection.execute(verbatim("insert into unified.gaps (gap_id) values ('g_1')"))
        publish(on_duckdb, tmp_path / "published")

        assert reader.execute("select count(*) from unified.gaps").fetchone() == (0,)
    assert ask(path, "select count(*) from unified.gaps") == [(1,)]
    assert sorted(item.name for item in path.parent.iterdir()) == ["fullpicture.duckdb"]


def test_a_copy_that_fails_leaves_the_old_one(on_duckdb: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from warehouse.publish import copy

    path = publish(on_duckdb, tmp_path / "published")
    assert path is not None

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copy, "_write_unified", full)
    with pytest.raises(OSError, match="No space left"):
        publish(on_duckdb, tmp_path / "published")

    assert ask(path, "select count(*) from unified.gaps") == [(0,)]
    monkeypatch.undo()
    assert publish(on_duckdb, tmp_path / "published") == path
