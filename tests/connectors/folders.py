"""Files in a folder, and the table that they become: by itself, and in a real warehouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from landing import Landing

from connectors.base import Batch, Choices
from connectors.files import Files, reads_of
from orchestration.declared import raw_table
from warehouse import load, migrate
from warehouse.engine import Warehouse
from warehouse.load import LoadReport

_RUNS = count(1)


def put(folder: Path, name: str, *lines: str, encoding: str = "utf-8") -> Path:
    path = folder / "notes" / name
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def stream(**said: Any) -> dict[str, Any]:
    return {"notes": {"path": "notes/*", "key": ["id"], **said}}


def landed(folder: Path, *, choices: Choices | None = None, **said: Any) -> Landing:
    (read,) = reads_of(stream(**said), folder)
    return Landing(read).read_on(Files(stream(**said), folder, choices=choices))


def only(landing: Landing) -> dict[str, Any]:
    (row,) = landing.all.values()
    return row


class Table:
    """One stream in a real warehouse."""

    def __init__(self, folder: Path, **said: Any) -> None:
        self.folder, self.said = folder, stream(**said)
        (self.read,) = reads_of(self.said, folder)
        self.tables = {each.name: raw_table(each) for each in self.read.streams}
        self.warehouse = Warehouse(f"duckdb:///{folder / 'warehouse.duckdb'}", folder)
        migrate.prepare(self.warehouse, list(self.tables.values()))

    def sync(self, *, only: int | None = None, meanwhile: Callable[[], object] | None = None) -> LoadReport:
        """`only`: killed after so many batches. `meanwhile`: what somebody does after the first one."""
        connector = Files(self.said, self.folder)
        cursor = load.cursor(self.warehouse, "files", self.read.name, connector.host)
        return load.load(
            self.warehouse,
            tool="files",
            read=self.read.name,
            host=connector.host,
            run_id=f"run {next(_RUNS)}",
            tables=self.tables,
            batches=_cut(connector.batches(self.read, cursor), only, meanwhile),
            again=lambda missing: connector.again(self.read, cursor, missing),
            doubted=cursor is not None,
        )

    def alive(self, *columns: str) -> list[tuple[Any, ...]]:
        with self.warehouse.loading("look") as bulk:
            return sorted(bulk.fetch(f"select {', '.join(columns)} from files.notes where _deleted_at is null"))

    def rejects(self) -> list[tuple[Any, ...]]:
        with self.warehouse.loading("look") as bulk:
            return sorted(bulk.fetch("select record_id, reason from sync.rejects"))


def _cut(batches: Iterator[Batch], only: int | None, meanwhile: Callable[[], object] | None) -> Iterator[Batch]:
    for number, batch in enumerate(batches, 1):
        yield batch
        if number == 1 and meanwhile:
            meanwhile()
        if number == only:
            raise KeyboardInterrupt
