"""Opens a warehouse from its URL and holds the little that differs between databases: locks, bulk loading, dialect.

Whoever wants a connection gets it here, under the one write lock. No table is named here and no statement about any.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
import weakref
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import adbc_driver_manager
import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from warehouse import checkpoint
from warehouse.troubles import BEFALLEN, befell, cannot_open, shown
from warehouse.troubles import WarehouseError as WarehouseError  # which whoever opens a warehouse catches

Dialect = Literal["duckdb", "postgresql"]
_SECRET = {"password", "sslpassword", "passfile", "service", "servicefile"}
# For loads, of which several wait for their vendors side by side. Merging small row groups of wide rows would take three
# times their memory, and each refresh does it for all tables at its own checkpoints.
_FRUGAL = "set threads = 1; set max_vacuum_tasks = 0"
_BATCH = 20_000  # rows that are handed over at a time
MEMORY_LIMIT = "4GB"  # DuckDB's own default is 80 % of the machine, which the tools beside it need too


class Bulk(Protocol):
    """One transaction on the driver itself, for rows that come as Arrow. Parameters are `$1`, `$2` on both databases.
    `place`: the column that tells where a row lies, until the transaction writes to it. `indexed`: whether tables have the
    index of their key that they are declared to have."""

    place: str
    indexed: bool

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Runs a statement and returns how many rows it touched."""

    def look_up(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query that finds single rows of a large table by the index of its key."""

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query as Arrow, so that few of them are held at a time."""

    def stage(self, name: str, rows: pa.Table, *, analyzed: bool = True) -> None:
        """Makes `rows` readable as a temporary table `name` until the transaction ends, in place of an earlier one.
        `analyzed`: the database is to know them well enough to choose how to join them."""

    def remove(self, table: str, places: str) -> None:
        """Deletes the rows of a table that lie where a query says."""

    def append(self, schema: str, table: str, rows: pa.Table) -> None:
        """Adds `rows` to a table, column by column name, as fast as the database can."""


class Warehouse:
    """A database by its URL. Opens nothing until asked; every connection is in UTC and inside one transaction.

    `wait_seconds`: how long to wait for another process that writes, before saying which one it is.
    """

    def __init__(self, url: str, work: Path, *, wait_seconds: float = 900) -> None:
        self.url = _parse(url)
        self.work = work
        self.wait_seconds = wait_seconds
        self.dialect: Dialect = "duckdb" if self.url.get_backend_name() == "duckdb" else "postgresql"
        self._depth = 0
        self._thread = threading.RLock()
        self._held = ExitStack()
        self._idle: sa.Connection | None = None
        self._file = checkpoint.Guarded(Path(self.url.database or ""))

    def __repr__(self) -> str:
        return f"Warehouse({shown(self.url)})"

    @contextmanager
    def begin(self, purpose: str) -> Iterator[sa.Connection]:
        """One transaction, under the write lock: committed at the end, rolled back on any exception."""
        with self._in_words(), self.hold(purpose), self._taken() as connection, connection.begin():
            yield connection

    @contextmanager
    def loading(self, purpose: str) -> Iterator[Bulk]:
        """One transaction for bulk rows, under the write lock: committed at the end, rolled back on any exception."""
        with self._in_words(), self.hold(purpose):
            if self.dialect == "duckdb":
                with self._taken() as connection, connection.begin():
                    driver(connection).execute(_FRUGAL)
                    bulk = _DuckDBBulk(driver(connection))
                    try:
                        yield bulk
                    finally:
                        bulk.close()
            else:
                with self._adbc() as connection:
                    yield _PostgresBulk(connection)
                    connection.commit()

    @contextmanager
    def snapshot(self, purpose: str) -> Iterator[Bulk]:
        """One transaction to read in, to which everything stays as it is now. On PostgreSQL others go on writing meanwhile."""
        if self.dialect == "duckdb":
            with self.begin(purpose) as connection:
                yield _DuckDBBulk(driver(connection))
        else:
            with self._in_words(), self._adbc() as connection:
                with connection.cursor() as cursor:
                    cursor.execute("set transaction isolation level repeatable read read only")
                yield _PostgresBulk(connection)

    @contextmanager
    def hold(self, purpose: str) -> Iterator[None]:
        """Keeps the write lock, and DuckDB's file open, over several transactions. May be nested."""
        with self._thread:
            if self._depth == 0:
                with ExitStack() as stack:
                    stack.enter_context(self._lock("write", purpose))
                    if self.dialect == "duckdb":
                        stack.enter_context(self._opened())
                    self._held = stack.pop_all()
            self._depth += 1
            try:
                yield
                if self._depth == 1 and self._idle:
                    with self._in_words():
                        self._checkpoint(self._idle, closing=True)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._held.close()

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Keeps DuckDB's file open, which closing its last connection closes."""
        try:
            self._file.put_right()
        except OSError as error:
            raise cannot_open(self.url, error) from None
        try:
            with self._connect() as self._idle:
                yield
        finally:
            self._idle = None
            self._file.close()

    @contextmanager
    def tool_lock(self, tool: str) -> Iterator[None]:
        """Keeps two runs of one tool apart, across processes."""
        with self._lock(tool, f"sync of {tool}"):
            yield

    @contextmanager
    def _lock(self, name: str, purpose: str) -> Iterator[None]:
        if self.dialect == "duckdb":
            with _file_lock(self.work / f"{name}.lock", purpose, self.wait_seconds):
                yield
        else:
            with self._advisory_lock(name, purpose):
                yield

    @contextmanager
    def _advisory_lock(self, name: str, purpose: str) -> Iterator[None]:
        """A session lock on a connection of its own, which shows its purpose in pg_stat_activity."""
        key = zlib.crc32(f"fullpicture {name}".encode())
        with self._connect() as connection:
            connection.execute(
                sa.text("select set_config('application_name', :name, false)"), {"name": f"fullpicture: {purpose}"[:63]}
            )
            connection.commit()
            deadline = time.monotonic() + self.wait_seconds
            while not connection.execute(sa.text("select pg_try_advisory_lock(:key)"), {"key": key}).scalar():
                connection.commit()
                if time.monotonic() > deadline:
                    holder = connection.execute(
                        sa.text(
                            "select application_name || ', process ' || l.pid from pg_locks l"
                            " join pg_stat_activity a on a.pid = l.pid"
                            " where locktype = 'advisory' and granted and objid = :key"
                        ),
                        {"key": key},
                    ).scalar()
                    raise WarehouseError(_held_by(holder, self.wait_seconds))
                time.sleep(0.2)
            connection.commit()
            yield

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Tells what befell the database, and is no fault of a statement, in one line that says what to do."""
        try:
            yield
        except BEFALLEN as error:
            told = befell(self.url, error)
            if told is None:
                raise
            raise told from None

    @contextmanager
    def _taken(self) -> Iterator[sa.Connection]:
        """The connection that keeps DuckDB's file open, if there is one that nobody uses; else a new one."""
        connection, self._idle = self._idle, None
        if connection is None:
            with self._connect() as connection:
                yield connection
            return
        try:
            yield connection
        finally:
            self._idle = connection
        if self.dialect == "duckdb":
            self._checkpoint(connection, closing=False)

    def _checkpoint(self, connection: sa.Connection, *, closing: bool) -> None:
        try:
            self._file.checkpoint(driver(connection), closing=closing)
        except duckdb.Error:
            connection.invalidate()  # else SQLAlchemy would try to roll back, and tell at length that it cannot
            raise

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        deadline = time.monotonic() + self.wait_seconds
        while True:
            try:
                connection = self._engine.connect()
                break
            except Exception as error:
                holder = _foreign_holder(str(error))
                if holder is None:
                    raise cannot_open(self.url, error) from None
                if time.monotonic() > deadline:
                    raise WarehouseError(_held_by(holder, self.wait_seconds)) from None
                time.sleep(0.2)
        try:
            if self.dialect == "duckdb":
                connection.exec_driver_sql("set timezone = 'UTC'")
                connection.exec_driver_sql(checkpoint.START)
                connection.commit()
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _adbc(self) -> Iterator[Any]:
        try:
            connection = self._first_adbc.adbc_clone()
        except adbc_driver_manager.Error as error:
            raise cannot_open(self.url, error) from None
        try:
            with connection.cursor() as cursor:
                cursor.execute("set timezone = 'UTC'")
                cursor.execute("set work_mem = '128MB'")  # for joins of a group of rows with their table
                cursor.execute("set temp_buffers = '128MB'")  # for such a group, which else is written to files and read again
                cursor.execute(f"set lock_timeout = {self._lock_timeout}")
            yield connection
        finally:
            connection.close()  # without a commit this rolls back

    @property
    def _lock_timeout(self) -> int:
        """Milliseconds that a statement waits for somebody else's transaction."""
        return max(1, round(self.wait_seconds * 1000))

    @cached_property
    def _first_adbc(self) -> Any:
        """Stays open and does nothing: the driver reads the whole catalog for the first connection, and none for its clones."""
        import adbc_driver_postgresql.dbapi as postgres  # 0.1 s that a DuckDB house need not spend

        address = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = postgres.connect(address, autocommit=True)
        weakref.finalize(self, connection.close)
        return connection

    @cached_property
    def _engine(self) -> sa.Engine:
        """Keeps no connection open: each is a new one."""
        if self.dialect == "postgresql":
            return sa.create_engine(
                self.url.set(drivername="postgresql+psycopg"),
                poolclass=NullPool,
                connect_args={
                    "options": f"-c timezone=UTC -c lock_timeout={self._lock_timeout}",
                    "connect_timeout": 10,
                },
            )
        if self.url.database and self.url.database != ":memory:":
            _make(Path(self.url.database).parent)
        _make(self.work)
        config = {"memory_limit": MEMORY_LIMIT, "temp_directory": str(self.work / "spill"), **checkpoint.SETTINGS}
        return sa.create_engine(self.url, poolclass=NullPool, connect_args={"config": config})


def driver(connection: sa.Connection) -> duckdb.DuckDBPyConnection:
    """DuckDB's own connection beneath SQLAlchemy's (its wrapper hands every call on), in the same transaction."""
    return cast(duckdb.DuckDBPyConnection, connection.connection.driver_connection)


def _free(connection: sa.Connection) -> duckdb.DuckDBPyConnection:
    """DuckDB's own connection, which a result of which only the first row was wanted would still hold."""
    inner = driver(connection)
    inner.complete()
    return inner


def verbatim(sql: str) -> sa.TextClause:
    """SQL to be run to the letter: neither `:word` nor `%` in it means a parameter, on either driver."""
    return sa.text(re.sub(r"(?<![:\w\\]):(?=\w)", r"\:", sql))


def frame(connection: sa.Connection, sql: str) -> pd.DataFrame:
    """The rows of a query."""
    if connection.dialect.name == "duckdb":
        return cast(pa.Table, _free(connection).sql(sql).to_arrow_table()).to_pandas()
    rows = connection.execute(verbatim(sql))
    return pd.DataFrame(rows.tuples().all(), columns=list(rows.keys()))


def insert(connection: sa.Connection, schema: str, table: str, rows: pa.Table) -> None:
    """Adds Arrow rows to a table inside the connection's own transaction, column by column name."""
    if connection.dialect.name == "duckdb":
        bulk = _DuckDBBulk(_free(connection))
        bulk.append(schema, table, rows)
        bulk.close()
        return
    columns = ", ".join(f'"{name}"' for name in rows.column_names)
    buffer = pa.BufferOutputStream()
    pa_csv.write_csv(rows, buffer, pa_csv.WriteOptions(include_header=False, quoting_style="needed"))
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"copy {_place(schema, table)} ({columns}) from stdin (format csv)") as copy:
        copy.write(buffer.getvalue().to_pybytes())


def _place(schema: str, table: str) -> str:
    return f'"{schema}"."{table}"' if schema else f'"{table}"'  # a temporary table has no schema of ours


class _DuckDBBulk:
    place = "rowid"
    indexed = False

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._staged: set[str] = set()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        rows = self._connection.execute(sql, list(parameters) or None).fetchall()
        return int(rows[0][0]) if rows and isinstance(rows[0][0], int) else 0

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, list(parameters) or None).fetchall()

    look_up = fetch  # there is no index

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        yield from self._connection.sql(sql).to_arrow_reader(_BATCH)

    def stage(self, name: str, rows: pa.Table, *, analyzed: bool = True) -> None:  # noqa: ARG002 - it reads Arrow as it is
        self._connection.register(name, rows)
        self._staged.add(name)

    def remove(self, table: str, places: str) -> None:
        self._connection.execute(f"delete from {table} where rowid in ({places})")

    def append(self, schema: str, table: str, rows: pa.Table) -> None:
        columns = ", ".join(f'"{name}"' for name in rows.column_names)
        self.stage("_appended", rows)
        self._connection.execute(f"insert into {_place(schema, table)} ({columns}) select {columns} from _appended")

    def close(self) -> None:
        for name in self._staged:
            with suppress(duckdb.Error):  # after a failure, which is the error to show
                self._connection.unregister(name)


class _PostgresBulk:
    place = "ctid"
    indexed = True

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return max(int(cursor.rowcount), 0)

    def look_up(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            # Of a table that it has not analyzed lately PostgreSQL would rather read the whole, or compile what is soon done.
            settings = ("enable_hashjoin", "enable_mergejoin", "jit")
            for setting in settings:
                cursor.execute(f"set local {setting} = off")
            cursor.execute(sql)
            found = list(cursor.fetchall())
            for setting in settings:
                cursor.execute(f"set local {setting} to default")
            return found

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return list(cursor.fetchall())

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            yield from cursor.fetch_record_batch()

    def stage(self, name: str, rows: pa.Table, *, analyzed: bool = True) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(f'drop table if exists pg_temp."{name}"')
            cursor.adbc_ingest(name, rows, mode="create", temporary=True)
            if analyzed:
                cursor.execute(f'analyze pg_temp."{name}"')

    def remove(self, table: str, places: str) -> None:
        with self._connection.cursor() as cursor:  # as an array each is looked up; as a query the whole table is gone through
            cursor.execute(f"delete from {table} where ctid = any(array({places}))")

    def append(self, schema: str, table: str, rows: pa.Table) -> None:
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="append", db_schema_name=schema)


@contextmanager
def _file_lock(path: Path, purpose: str, wait_seconds: float) -> Iterator[None]:
    """A lock that dies with its process; beside it a note of who holds it, for whoever waits in vain."""
    _make(path.parent)
    note = path.with_suffix(".holder")
    lock = FileLock(path, timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout:
        raise WarehouseError(_held_by(_noted(note), wait_seconds)) from None
    except OSError as error:
        raise WarehouseError(
            f"{path.parent} cannot be written: {error.strerror}. Make room or give the right to, or set FULLPICTURE_HOME."
        ) from None
    try:
        with suppress(OSError):  # the disk may be full: then nobody learns who holds it
            note.write_text(json.dumps({"process": os.getpid(), "purpose": purpose}))
        yield
    finally:
        lock.release()


def _noted(note: Path) -> str | None:
    try:
        holder = json.loads(note.read_text())
        return f"process {holder['process']} ({holder['purpose']})"
    except (OSError, ValueError, KeyError):
        return None


def _held_by(holder: str | None, wait_seconds: float) -> str:
    return (
        f"The warehouse is held by {holder or 'another process'}; waited {wait_seconds:.0f} s. "
        "Close it, or wait until it ends, and try again."
    )


def _foreign_holder(message: str) -> str | None:
    """Who holds DuckDB's file, out of its error: a process that is none of ours and knows nothing of our lock."""
    if "Conflicting lock is held" not in message:
        return None
    found = re.search(r"held in (\S+) \(PID (\d+)\)", message)
    return f"process {found[2]} ({Path(found[1]).name})" if found else "another process"


def _parse(url: str) -> URL:
    expected = "Set it to duckdb:///path/to/file.duckdb or postgresql://user:password@host:5432/database, or leave it unset."
    encode = "In a user's name and a password write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25."
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        raise WarehouseError(f"WAREHOUSE_URL is not a database address. {expected} {encode}") from None
    if backend not in ("duckdb", "postgresql"):
        near = " Write postgresql://." if backend == "postgres" else ""
        raise WarehouseError(f"WAREHOUSE_URL names {backend!r}, which is not supported.{near} {expected}")
    if backend == "postgresql":
        if not parsed.database:
            raise WarehouseError(f"WAREHOUSE_URL names no database. {expected}")
        # What an unencoded sign in a password tears apart would be taken for a host, and shown.
        if any(sign in f"{parsed.host or ''}{parsed.database}" for sign in "@#/:%"):
            raise WarehouseError(f"WAREHOUSE_URL cannot be told apart into its pieces. {encode}")
        if secret := sorted(_SECRET & parsed.query.keys()):
            raise WarehouseError(
                f"WAREHOUSE_URL holds {secret[0]} behind the question mark. Write the password as user:password@host."
            )
    if backend == "duckdb" and (not parsed.database or parsed.database == ":memory:"):
        raise WarehouseError(f"WAREHOUSE_URL names no file; a warehouse in memory would lose everything. {expected}")
    return parsed


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(
            f"{folder} cannot be made: {error.strerror}. "
            "Set FULLPICTURE_HOME (or WAREHOUSE_URL) to a place that this user may write to."
        ) from None
