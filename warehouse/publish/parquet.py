"""The unified tables as Parquet, for whoever has neither DuckDB nor a login to PostgreSQL: one file a table, of those that are
built anew by day a folder with one a month.

All are written aside and put in place by one rename of a link: nobody reads half a file, nor files of two nights. What has
not changed since is not written again: the same file then has two names for a moment.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.engine import Bulk, Warehouse
from warehouse.publish import pieces
from warehouse.publish.catalog import Entry, catalog
from warehouse.schema import ARROW

FOLDER = "parquet"
_ASIDE = ".parquet-"
_STATES = ".states.json"
_GROUP_ROWS, _GROUP_BYTES = 500_000, 64 << 20


def publish(warehouse: Warehouse, folder: Path) -> Path:
    """Makes `folder`/parquet/<table>.parquet or <table>/<month>.parquet, all as of one moment; a reader that has an old file
    open keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / FOLDER
    known = _known(target)
    aside = Path(mkdtemp(prefix=_ASIDE, dir=folder))
    try:
        with warehouse.hold("publish Parquet"):
            now = pieces.states(warehouse)
            with warehouse.snapshot("publish Parquet") as bulk:
                for file in (file for entry in catalog() if entry.name in now for file in _files(entry, now)):
                    if known.get(file.piece) != now.get(file.piece) or not _linked(target / file.path, aside / file.path):
                        _write(bulk, aside, file)
        (aside / _STATES).write_text(json.dumps(now, sort_keys=True), encoding="utf-8")
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


def _known(target: Path) -> pieces.States:
    """The pieces that were published last; none where that cannot be told."""
    try:
        known = json.loads((target / _STATES).read_text(encoding="utf-8"))
        return known if isinstance(known, dict) else {}
    except (OSError, ValueError):
        return {}


@dataclass(frozen=True)
class _File:
    """One file of a table. `month`: what of it is in the file; empty for the whole."""

    entry: Entry
    month: str

    @property
    def piece(self) -> str:
        return f"{self.entry.name}/{self.month}" if self.month else self.entry.name

    @property
    def path(self) -> str:
        return f"{self.piece}.parquet"


def _files(entry: Entry, now: pieces.States) -> Iterator[_File]:
    months = pieces.months(entry.name, now) or ["none"] if "day" in entry.by else [""]  # a file tells the columns at least
    return (_File(entry, month) for month in months)


def _linked(old: Path, new: Path) -> bool:
    """Whether the old file could be taken over as it is."""
    try:
        new.parent.mkdir(exist_ok=True)
        os.link(old, new)
    except OSError:
        return False
    return True


def _write(bulk: Bulk, folder: Path, file: _File) -> None:
    entry, path = file.entry, folder / file.path
    path.parent.mkdir(exist_ok=True)
    fields = [pa.field(c.name, ARROW[c.type], metadata={"description": c.description}) for c in entry.columns]
    schema = pa.schema(fields, metadata={"description": entry.description})
    names = ", ".join(f'"{column.name}"' for column in entry.columns)
    where = f" where {pieces.MONTH} = '{file.month}'" if file.month else ""
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _groups(bulk.stream(f'select {names} from unified."{entry.name}"{where}')):
            arrays = [column.cast(field.type) for column, field in zip(rows.columns, schema, strict=True)]
            writer.write_table(pa.table(arrays, schema=schema))


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Rows as many at a time as make a group of rows that is read well, and no more memory than needed."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= _GROUP_ROWS or sum(each.nbytes for each in waiting) >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)
