"""Opening a warehouse: wrong addresses, other holders, and that one writes while the others wait."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from warehouse.engine import Warehouse, WarehouseError, verbatim

HOLD = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "WAREHOUSE_URL is not a database address. Set it to duckdb:///"),
        ("postgresql://u:s3cret@127.0.0.1:port/x", "WAREHOUSE_URL is not a database address."),
        ("mysql://u:s3cret@host/x", "WAREHOUSE_URL names 'mysql', which is not supported."),
        ("duckdb://", "a warehouse in memory would lose everything"),
        ("postgresql://u:s3cret@host", "WAREHOUSE_URL names no database."),
        ("postgres://u:s3cret@host/x", "Write postgresql://."),
        ("postgresql://u@host/x?password=s3cret", "WAREHOUSE_URL holds password behind the question mark."),
        ("postgresql://u:a@b#s3cret/x@host/db", "In a user's name and a password write @ as %40"),
    ],
)
def test_an_address_that_cannot_be_is_refused_at_once(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(WarehouseError) as caught:
        Warehouse(url, tmp_path)

    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    warehouse = Warehouse("postgresql://someone:s3cret@127.0.0.1:9/x", tmp_path)

    for door in (warehouse.begin, warehouse.loading):
        with (
            pytest.raises(WarehouseError, match=r"someone:\*\*\*@127\.0\.0\.1:9/x cannot be opened: .*[Rr]efused") as caught,
            door("x"),
        ):
            pass
        assert "s3cret" not in str(caught.value)
        assert caught.value.__suppress_context__


@pytest.mark.parametrize("place", ["/proc/none", "file"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / place / "work"  # below /proc, or below what is no folder

    with pytest.raises(WarehouseError, match=r"cannot be made: .* Set FULLPICTURE_HOME"):
        Warehouse(f"duckdb:///{folder}/w.duckdb", folder).begin("x").__enter__()


def test_a_file_that_is_no_warehouse_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.duckdb").write_bytes(b"not a database" * 1000)

    with (
        pytest.raises(WarehouseError, match="cannot be opened"),
        Warehouse(f"duckdb:///{tmp_path}/broken.duckdb", tmp_path).begin("x"),
    ):
        pass


def test_another_program_that_holds_the_file_is_waited_for_and_then_named(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            with (
                pytest.raises(WarehouseError, match=rf"held by process {holder.pid} \(python[\d.]*\); waited 1 s\. Close it"),
                Warehouse(f"duckdb:///{file}", tmp_path, wait_seconds=1).begin("x"),
            ):
                pass
            threading.Timer(0.7, holder.kill).start()
            with Warehouse(f"duckdb:///{file}", tmp_path, wait_seconds=20).begin("x") as connection:
                assert connection.execute(sa.text("select 1")).scalar() == 1
        finally:
            holder.kill()


def twin(warehouse: Warehouse, wait_seconds: float) -> Warehouse:
    return Warehouse(warehouse.url.render_as_string(hide_password=False), warehouse.work, wait_seconds=wait_seconds)


def test_a_second_writer_waits_and_then_says_who_writes(warehouse: Warehouse) -> None:
    with warehouse.hold("a long refresh"):
        with (
            pytest.raises(WarehouseError, match=r"held by .*a long refresh.*waited 0 s"),
            twin(warehouse, 0.3).begin("x"),
        ):
            pass
        waited: list[float] = []

        def wait() -> None:
            started = time.monotonic()
            with twin(warehouse, 20).begin("x"):
                waited.append(time.monotonic() - started)

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.8)
        assert not waited
    waiting.join(20)
    assert len(waited) == 1


def test_two_runs_of_one_tool_are_kept_apart_and_those_of_two_tools_are_not(warehouse: Warehouse) -> None:
    with warehouse.tool_lock("jira"):
        with twin(warehouse, 1).tool_lock("zendesk"):
            pass
        with pytest.raises(WarehouseError, match="sync of jira"), twin(warehouse, 0.3).tool_lock("jira"):
            pass


def test_a_transaction_that_raises_leaves_nothing(warehouse: Warehouse) -> None:
    with warehouse.begin("x") as connection:
        connection.execute(verbatim("create table kept (a integer)"))

    with pytest.raises(RuntimeError), warehouse.begin("x") as connection:  # noqa: PT012
        connection.execute(verbatim("insert into kept values (1)"))
        connection.execute(verbatim("create table lost (a integer)"))
        raise RuntimeError

    with warehouse.begin("x") as connection:
        assert connection.execute(verbatim("select count(*) from kept")).scalar() == 0
        tables = connection.execute(verbatim("select table_name from information_schema.tables where table_name = 'lost'"))
        assert tables.all() == []


def test_a_warehouse_whose_server_dropped_every_connection_goes_on(tmp_path: Path, new_database: Callable[[], str]) -> None:
    warehouse, other = Warehouse(new_database(), tmp_path), Warehouse(new_database(), tmp_path)
    with warehouse.loading("a first time") as bulk:
        bulk.execute("create table kept (x bigint)")
    drop = "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
    with other.begin("restart") as connection:
        dropped = connection.execute(sa.text(drop), {"name": warehouse.url.database}).all()
    assert dropped

    with warehouse.loading("a second time") as bulk:
        bulk.append("public", "kept", pa.table({"x": [1, 2]}))
    with warehouse.begin("look") as connection:
        assert connection.execute(sa.text("select count(*) from kept")).scalar() == 2


def test_sql_is_run_to_the_letter(warehouse: Warehouse) -> None:
    with warehouse.begin("x") as connection:
        row = connection.execute(verbatim("select ':a %s %% ::', cast('1' as integer)::text, '10:30'")).one()

    assert tuple(row) == (":a %s %% ::", "1", "10:30")
