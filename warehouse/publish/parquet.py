"""The unified tables as Parquet, one file a table, for whoever has neither DuckDB nor a login to PostgreSQL.

All are written aside and put in place by one rename of a link: nobody reads half a file, nor files of two nights.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.engine import Bulk, Warehouse
from warehouse.publish.catalog import Entry, catalog
from warehouse.schema import ARROW

FOLDER = "parquet"
_ASIDE = ".parquet-"
_STANDING = "select table_name from information_schema.tables where table_schema = 'unified'"


def publish(warehouse: Warehouse, folder: Path) -> Path:
    """Writes `folder`/parquet/<table>.parquet anew, all as of one moment; a reader that has an old file open keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / FOLDER
    aside = Path(mkdtemp(prefix=_ASIDE, dir=folder))
    try:
        with warehouse.snapshot("publish Parquet") as bulk:
            standing = {name for (name,) in bulk.fetch(_STANDING)}
            for entry in catalog():
                if entry.name in standing:
                    _write(bulk, aside, entry)
        aside.chmod(0o755)
        link = folder / f"{aside.name}.link"
        link.symlink_to(aside.name)
        if not target.is_symlink():  # as a copy of the whole folder has it, which cannot be replaced at once
            _remove(target)
        os.replace(link, target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    for old in folder.glob(f"{_ASIDE}*"):
        if old != aside:  # at once: whom somebody erased must not stay in it
            _remove(old)
    return target


def remove(folder: Path) -> None:
    """Takes away what was published before somebody turned it off."""
    for old in (folder / FOLDER, *folder.glob(f"{_ASIDE}*")):
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(bulk: Bulk, folder: Path, entry: Entry) -> None:
    fields = [pa.field(c.name, ARROW[c.type], metadata={"description": c.description}) for c in entry.columns]
    schema = pa.schema(fields, metadata={"description": entry.description})
    names = ", ".join(f'"{column.name}"' for column in entry.columns)
    with pq.ParquetWriter(folder / f"{entry.name}.parquet", schema, compression="zstd") as writer:
        for batch in bulk.stream(f'select {names} from unified."{entry.name}"'):
            arrays = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
            writer.write_table(pa.table(arrays, schema=schema))
