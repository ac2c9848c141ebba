"""Copies, as Parquet files, of what no tool can give again: ledgers, decisions, cursors; of the raw tables too, if wanted.

Here belongs what a backup holds, what must be true before it is used, and the way back. Not here: when one is made.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from warehouse import history, load, migrate, privacy
from warehouse.engine import Bulk, Warehouse, WarehouseError, verbatim
from warehouse.merge import moment, quoted
from warehouse.schema import ARROW, DECLARED, Column, RawTable, Table, Type
from warehouse.versions import moved

MANIFEST = "manifest.json"
# Made anew by every refresh, every read, or with the tables themselves. All else that is declared is what a backup is for.
_MADE_ANEW = {
    "sync.version",
    "sync.versions",
    "sync.builds",
    "sync.parts",
    "sync.months",
    "sync.domains",
    "sync.text_keys",
    "sync.rejects",
    "unified.tables",
}
_WITH_RAW = ("sync.rejects",)
_ROWS = 50_000  # that are held at a time on the way back
_ABANDONED = 86_400  # seconds after which what a killed backup left is swept away
_AWAITED = """
with ends as (
    select tool, read, status, row_number() over (partition by tool, read order by started_at desc) as place
    from sync.runs
    where status in ('succeeded', 'unavailable', 'restored')
)

select ends.tool || '/' || ends.read
from ends
join settings.reads as reads on reads.tool = ends.tool and reads.read = ends.read and reads.connected
where ends.place = 1 and ends.status = 'restored'
order by 1
"""

Redaction = Callable[[str, pa.Table], pa.Table]
_Name = Annotated[str, msgspec.Meta(pattern=r"^\w+$")]
_FullName = Annotated[str, msgspec.Meta(pattern=r"^\w+\.\w+$")]


class File(msgspec.Struct, forbid_unknown_fields=True):
    """One table of a backup."""

    columns: dict[_Name, Type]
    rows: int
    sha256: str


class Manifest(msgspec.Struct):
    """What a backup holds. `everything`: the raw tables as well; `form`: that of the warehouse it was made of."""

    form: int
    made_at: datetime
    everything: bool
    tables: dict[_FullName, File]


class _Sealed(msgspec.Struct):
    sha256: str
    manifest: msgspec.Raw


class _Form(msgspec.Struct):
    form: int


def make(warehouse: Warehouse, folder: Path, raw: Sequence[RawTable], *, everything: bool = False, keep: int) -> Path:
    """Writes a backup beneath `folder`, aside and then renamed in, and leaves the last `keep` of its kind. All of it is as
    of one moment, and its owner alone may read it.
    """
    tables = [table.full_name for table in _kept()] + [*(table.full_name for table in raw), *_WITH_RAW] * everything
    at = datetime.now(UTC)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(folder)
    aside = Path(mkdtemp(prefix=".", dir=folder))  # for its owner alone
    try:
        with warehouse.snapshot("backup") as bulk:
            standing = migrate.standing(bulk.fetch(migrate.STANDING))
            files = {name: _write(bulk, aside, name, standing[name]) for name in sorted(tables)}
        manifest = msgspec.json.encode(Manifest(migrate.VERSION, at, everything, files))
        (aside / MANIFEST).write_bytes(
            msgspec.json.encode(_Sealed(hashlib.sha256(manifest).hexdigest(), msgspec.Raw(manifest)))
        )
        for path in aside.iterdir():
            path.chmod(0o600)
        while (target := folder / f"{at:%Y-%m-%dT%H-%M-%SZ}{'-all' * everything}").exists():
            at += timedelta(seconds=1)  # two within a second
        os.rename(aside, target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    for old in _made(folder, everything)[:-keep]:
        shutil.rmtree(old)
    return target


def restore(
    warehouse: Warehouse, folder: Path, raw: Sequence[RawTable], key: Callable[[bool], bytes], *, replace: bool = False
) -> Manifest:
    """Puts a backup's rows into a warehouse that has none of their kind; with `replace`, in the place of those it has.

    In one transaction, on either database, whichever it was made on. Where it is without the raw tables every read begins
    anew, with the host and the choices that it had; until it has ended, `awaited` names it. Whom the warehouse remembers as
    erased, under `key`, does not come back with rows of before.
    """
    manifest = read(folder)
    migrate.prepare(warehouse, raw)
    with ExitStack() as held:
        for tool in sorted({table.schema for table in raw}):
            held.enter_context(warehouse.tool_lock(tool))
        held.enter_context(warehouse.hold("restore"))
        if not replace:
            _refuse_rows(warehouse, manifest)
        with warehouse.begin("make the tables of a backup") as connection:
            migrate.extend(connection, [_table(name, file) for name, file in manifest.tables.items()])
            redacted = _redaction(connection, raw, key)
        with warehouse.loading("restore") as bulk:
            hosts = _hosts(bulk)
            standing = migrate.standing(bulk.fetch(migrate.STANDING))
            for name, file in manifest.tables.items():
                _fill(bulk, folder, name, file, standing[name], redacted)
            if not manifest.everything:
                _refuse_another_world(hosts, _hosts(bulk))
                _read_anew(bulk)
            for table in ("sync.builds", "sync.parts"):  # what was made of other rows
                bulk.execute(f"delete from {table}")
    return manifest


def read(folder: Path) -> Manifest:
    """The manifest of a backup that is whole and as it was made. Raises WarehouseError."""
    try:
        sealed = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Sealed)
        content = bytes(sealed.manifest)
        if hashlib.sha256(content).hexdigest() != sealed.sha256:
            raise WarehouseError(f"{folder / MANIFEST} was changed after the backup was made. Use another backup.")
        form = msgspec.json.decode(content, type=_Form).form
        if form > migrate.VERSION:
            raise WarehouseError(
                f"A newer fullpicture made the backup {folder} (form {form}; this one knows {migrate.VERSION}). "
                "Install that version."
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except OSError as error:
        raise WarehouseError(
            f"{folder} is no backup: {MANIFEST} cannot be read ({error.strerror}). Name a folder that fullpicture backup made."
        ) from None
    except msgspec.MsgspecError:
        raise WarehouseError(f"{folder} is no backup: its {MANIFEST} is of another form. Use another backup.") from None
    for name, file in manifest.tables.items():
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise WarehouseError(f"{path} is missing: the backup is not whole. Use another backup.")
        if _checksum(path) != file.sha256:
            raise WarehouseError(f"{path} was changed after the backup was made. Use another backup.")
    return manifest


def awaited(connection: sa.Connection) -> list[str]:
    """Reads of connected tools that have not come to their end since a backup without their rows was restored: what was made
    from the tables now would close every link and every gap that rests on them.
    """
    return list(connection.execute(verbatim(_AWAITED)).scalars())


def _kept() -> list[Table]:
    declared = [*DECLARED, *history.tables()]
    return [table for table in declared if table.schema != "settings" and table.full_name not in _MADE_ANEW]


def _made(folder: Path, everything: bool) -> list[Path]:
    """The backups of one kind, the oldest first."""
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ" + "-all" * everything)
    return sorted(path for path in folder.iterdir() if form.fullmatch(path.name))


def _sweep(folder: Path) -> None:
    for path in folder.glob(".*"):
        if path.is_dir() and time.time() - path.stat().st_mtime > _ABANDONED:
            shutil.rmtree(path, ignore_errors=True)


def _write(bulk: Bulk, folder: Path, name: str, columns: Mapping[str, Type]) -> File:
    path = folder / f"{name}.parquet"
    rows = 0
    with pq.ParquetWriter(path, _schema(columns), compression="zstd") as writer:
        for batch in bulk.stream(f"select {', '.join(map(quoted, columns))} from {_place(name)}"):
            arrays = [column.cast(ARROW[type_]) for column, type_ in zip(batch.columns, columns.values(), strict=True)]
            writer.write_table(pa.table(arrays, schema=_schema(columns)))
            rows += batch.num_rows
    return File(dict(columns), rows, _checksum(path))


def _schema(columns: Mapping[str, Type]) -> pa.Schema:
    return pa.schema([(name, ARROW[type_]) for name, type_ in columns.items()])


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _table(name: str, file: File) -> Table:
    schema, _, table = name.partition(".")
    columns = (Column(column, type_, "As it was restored from a backup.") for column, type_ in file.columns.items())
    return Table(schema, table, "As it was restored from a backup.", tuple(columns))


def _place(name: str) -> str:
    return ".".join(map(quoted, name.split(".")))


def _refuse_rows(warehouse: Warehouse, manifest: Manifest) -> None:
    with warehouse.loading("look for rows") as bulk:
        standing = migrate.standing(bulk.fetch(migrate.STANDING))
        for name in manifest.tables.keys() & standing.keys() - {
            "sync.schema_changes"
        }:  # which tells of the tables, not of rows
            if bulk.fetch(f"select 1 from {_place(name)} limit 1"):
                raise WarehouseError(
                    f"{warehouse!r} holds rows already, in {name} for one. Restore into a new warehouse, or put the backup's "
                    "rows in their place with --replace."
                )


def _redaction(connection: sa.Connection, raw: Sequence[RawTable], key: Callable[[bool], bytes]) -> Redaction:
    """What makes rows of a table, by its name, such as may be loaded."""
    if not connection.execute(verbatim("select 1 from sync.erased limit 1")).first():
        return lambda _, rows: rows
    known, tables = privacy.erased(connection, key), {table.full_name: table for table in raw}
    return lambda name, rows: known.redacted(tables[name], rows) if name in tables else known.texts(rows)


def _fill(bulk: Bulk, folder: Path, name: str, file: File, standing: Mapping[str, Type], redacted: Redaction) -> None:
    schema, _, table = name.partition(".")
    columns = ", ".join(map(quoted, file.columns))
    left = "where true"
    if name == "sync.erased":  # who was erased since the backup stays so
        left = f"where hash not in (select hash from {name})"
    else:
        bulk.execute(f"delete from {_place(name)}")
    with pq.ParquetFile(folder / f"{name}.parquet") as parquet:
        for batch in parquet.iter_batches(batch_size=_ROWS):
            rows = redacted(name, pa.Table.from_batches([batch]))
            if name != "sync.erased" and all(standing[column] == type_ for column, type_ in file.columns.items()):
                bulk.append(schema, table, rows)
            else:  # or a column that became wider since
                bulk.stage("_restored", rows)
                bulk.execute(f"insert into {_place(name)} ({columns}) select {columns} from _restored {left}")
    if schema not in ("sync", "unified"):
        moved(bulk, name)


def _hosts(bulk: Bulk) -> dict[str, str]:
    return dict(bulk.fetch("select distinct tool, host from sync.cursors"))


def _refuse_another_world(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    for tool in sorted(before.keys() & after.keys()):
        if before[tool] != after[tool]:
            raise WarehouseError(
                f"This warehouse holds {tool} rows of {before[tool]}, and the backup goes with {after[tool]}. Two worlds must "
                "not mix: restore into another warehouse (FULLPICTURE_HOME or WAREHOUSE_URL)."
            )


def _read_anew(bulk: Bulk) -> None:
    """A cursor without its rows would make the next read bring only what changed since."""
    at = moment(datetime.now(UTC))
    for tool, name in bulk.fetch("select tool, read from sync.cursors"):
        load.send_back(bulk, tool, name)
        bulk.execute(
            "insert into sync.runs (run_id, tool, read, started_at, ended_at, status) "
            f"values ($3, $1, $2, {at}, {at}, 'restored')",
            [tool, name, f"restored at {datetime.now(UTC).isoformat()}"],
        )
