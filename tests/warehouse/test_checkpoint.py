"""DuckDB's file stays whole whatever kills the process that writes its log into it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse.checkpoint import Guarded
from warehouse.engine import Warehouse

Adding = Callable[..., int]
HEADERS, BLOCK = 12_288, 262_144
ADD = f"""
import contextlib, os, signal, sys
from pathlib import Path
import duckdb, sqlalchemy as sa
from warehouse import checkpoint
from warehouse.engine import Warehouse

folder, moment = Path(sys.argv[1]), sys.argv[2]

def tear():
    '''Half of each block that a checkpoint writes over itself, and the end of the process.'''
    kept = (folder / "w.duckdb.kept").read_bytes()[{HEADERS}:]
    numbers = [int.from_bytes(kept[at : at + 8], "little") for at in range(0, len(kept), {BLOCK} + 8)]
    assert numbers
    with (folder / "w.duckdb").open("r+b") as file:
        for number in numbers:
            file.seek({HEADERS} + number * {BLOCK})
            file.write(os.urandom({BLOCK} // 2))
    die()

def die():
    os.kill(os.getpid(), signal.SIGKILL)

warehouse = Warehouse(f"duckdb:///{{folder}}/w.duckdb", folder)
held = contextlib.nullcontext()
if moment == "while it is written again":
    held = warehouse.hold("write twice")
    held.__enter__()
    with warehouse.begin("add much") as connection:
        connection.execute(sa.text("insert into things select 1, repeat('x', 1000) from range(30_000)"))
    with warehouse.begin("take it away") as connection:
        connection.execute(sa.text("delete from things where id = 1 and name like 'x%'"))

replace = os.replace
if moment.startswith("while it is written"):
    os.replace = lambda *of: (replace(*of), tear())
if moment == "before it is written":
    os.replace = lambda *of: die()
if moment == "after it is written":
    Path.unlink = lambda *of, **how: die()
with warehouse.begin("add") as connection:
    connection.execute(sa.text("insert into things select range, 'thing ' || range from range(20_000)"))
held.__exit__(None, None, None)
"""


@pytest.fixture
def kept(tmp_path: Path) -> Warehouse:
    """A warehouse of which the log is written into the file already."""
    warehouse = Warehouse(f"duckdb:///{tmp_path}/w.duckdb", tmp_path, wait_seconds=1)
    with warehouse.begin("make") as connection:
        connection.execute(sa.text("create table things (id bigint, name varchar)"))
        connection.execute(sa.text("create table log as select repeat(uuid()::varchar, 20) as entry from range(1000)"))
    assert not (tmp_path / "w.duckdb.wal").exists()
    return warehouse


def add(warehouse: Warehouse, moment: str) -> int:
    """Adds 20,000 things in another process, which may be killed at a moment of the checkpoint; returns how it ended."""
    return subprocess.run([sys.executable, "-c", ADD, str(warehouse.work), moment], check=False).returncode


def count(warehouse: Warehouse) -> int:
    with warehouse.begin("count") as connection:
        return int(connection.execute(sa.text("select count(distinct name) + count(*) from things")).scalar_one())


@pytest.mark.parametrize(
    "moment", ["before it is written", "while it is written", "while it is written again", "after it is written"]
)
def test_what_is_committed_outlives_a_kill_in_the_checkpoint(kept: Warehouse, moment: str) -> None:
    for times in (1, 2):  # the second one writes over what the first has put back
        assert add(kept, moment) == -signal.SIGKILL
        assert (kept.work / "w.duckdb.wal").exists() == (moment != "after it is written")
        assert count(kept) == 20_000 + 20_000 * times
        assert sorted(path.name for path in kept.work.glob("w.duckdb*")) == ["w.duckdb"]


def test_the_file_is_left_as_it_is_when_somebody_else_could_open_it(kept: Warehouse) -> None:
    assert add(kept, "after it is written") == -signal.SIGKILL
    left = (kept.work / "w.duckdb.kept").read_bytes()
    hold = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(kept.work / "w.duckdb")], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "1\n"
        with pytest.raises(Exception, match="is held by process"):
            count(kept)
        assert (kept.work / "w.duckdb.kept").read_bytes() == left
        other.kill()
    assert count(kept) == 40_000


def test_what_was_kept_of_a_file_that_is_gone_is_of_no_use(kept: Warehouse) -> None:
    assert add(kept, "after it is written") == -signal.SIGKILL
    (kept.work / "w.duckdb").unlink()

    with kept.begin("make") as connection:
        assert connection.execute(sa.text("select count(*) from duckdb_tables()")).scalar() == 0
    assert not (kept.work / "w.duckdb.kept").exists()


def test_while_it_writes_its_log_into_the_file_nobody_else_can_open_it(kept: Warehouse) -> None:
    with kept.hold("write"):
        for name in "ab":  # the second begins after the first has read the file
            with kept.begin("add") as connection:
                connection.execute(
                    sa.text("insert into things select range, :name || repeat('x', 1000) || range from range(30_000)"),
                    {"name": name},
                )
        open_it = "import duckdb, sys; duckdb.connect(sys.argv[1])"
        other = subprocess.run(
            [sys.executable, "-c", open_it, str(kept.work / "w.duckdb")], check=False, capture_output=True, text=True
        )
        assert "Conflicting lock" in other.stderr


def test_duckdb_writes_no_checkpoint_by_itself(kept: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def headers() -> bytes:
        with (kept.work / "w.duckdb").open("rb") as file:
            return file.read(HEADERS)

    before = headers()
    with monkeypatch.context() as patch:
        patch.setattr(Guarded, "checkpoint", lambda *_, **__: None)
        with kept.hold("write much"):
            for statement in (
                "insert into things select range, repeat(range::varchar, 20) from range(300_000)",
                "create table others as from things",
                "update others set name = name || 'x'",
                "delete from things where id % 2 = 0",
                "drop table others",
            ):
                with kept.begin("write") as connection:
                    connection.execute(sa.text(statement))
        assert (kept.work / "w.duckdb.wal").stat().st_size > 16 << 20
        assert headers() == before
    assert count(kept) == 300_000
    assert headers() != before


def test_what_is_small_stays_in_the_log_until_there_is_more_of_it(kept: Warehouse) -> None:
    for number in range(50):
        with kept.begin("add") as connection:
            assert connection.execute(sa.text("select count(*) from things")).scalar() == number * 100
            connection.execute(sa.text("insert into things select range, :night || range from range(100)"), {"night": "n" * 50})
        log = kept.work / "w.duckdb.wal"
        assert log.exists() or number > 2
        assert not log.exists() or log.stat().st_size < 32 << 10
    assert count(kept) == 100 + 5000


def test_a_large_log_is_written_into_the_file_before_the_end(kept: Warehouse) -> None:
    with kept.hold("write"):
        for _ in range(3):
            with kept.begin("write") as connection:
                connection.execute(sa.text("insert into things select range, repeat(uuid()::varchar, 20) from range(40_000)"))
            assert not (kept.work / "w.duckdb.wal").exists()
        assert not (kept.work / "w.duckdb.kept").exists()


def test_a_checkpoint_that_cannot_be_written_is_told_and_made_up_for(kept: Warehouse) -> None:
    (kept.work / "w.duckdb.kept.new").mkdir()
    with (
        pytest.raises(Exception, match=r"cannot be .*|Could not write file .*w\.duckdb"),
        kept.begin("add") as connection,
    ):
        connection.execute(sa.text("insert into things select range, 'thing ' || range from range(20_000)"))
    (kept.work / "w.duckdb.kept.new").rmdir()

    assert count(kept) == 40_000
    assert not (kept.work / "w.duckdb.wal").exists()
