"""What the warehouse promises of batches, in a few plain lines: the tests of the connectors land their rows here.

Not here: how the real warehouse does it, which its own tests show.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from connectors.base import Batch, Connector, Cursor, Present, Read, Reject

Row = dict[str, Any]


class Landing:
    """One read's rows by stream and key. A batch and its cursor land together, as after a commit."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self.rows: dict[str, dict[tuple[Any, ...], Row]] = {stream.name: {} for stream in read.streams}
        self.rejects: list[Reject] = []
        self.cursor: Cursor | None = None
        self.batches = 0

    def land(self, batches: Iterable[Batch], *, only: int | None = None) -> Landing:
        """Lands all batches, or is killed after `only` of them."""
        for batch in batches:
            for stream in self.read.streams:
                for row in batch.rows[stream.name].to_pylist() if stream.name in batch.rows else ():
                    self.rows[stream.name][tuple(row[name] for name in stream.key)] = row
                if stream.name in batch.present:
                    self._sweep(stream.name, batch.present[stream.name])
            self.rejects += batch.rejects
            self.cursor = batch.cursor
            self.covered_until = batch.covered_until
            self.batches += 1
            if self.batches == only:
                break
        return self

    def _sweep(self, stream: str, present: Present) -> None:
        """Marks the rows of the part that are not among the keys. None comes back by this."""
        for row in self.rows[stream].values():
            if _judged(row, present) and not _among(row, present.keys):
                row["_deleted_at"] = row["_deleted_at"] or "swept"

    def read_on(self, connector: Connector, *, only: int | None = None) -> Landing:
        self.batches = 0
        return self.land(connector.batches(self.read, self.cursor), only=only)

    @property
    def all(self) -> dict[tuple[Any, ...], Row]:
        """The rows of the stream that the read is named for."""
        return self.rows[self.read.streams[0].name]

    @property
    def alive(self) -> set[Any]:
        return {key[0] for key, row in self.all.items() if row["_deleted_at"] is None}


def _judged(row: Row, present: Present) -> bool:
    span = present.span
    in_time = span is None or (row[span.column] >= span.start and (span.end is None or row[span.column] < span.end))
    return in_time and (present.within is None or _among(row, present.within))


def _among(row: Row, keys: pa.Table) -> bool:
    return tuple(row[name] for name in keys.column_names) in {tuple(key.values()) for key in keys.to_pylist()}


def landed(connector: Connector, name: str) -> Landing:
    """A first read of one read, by its name."""
    return Landing(read(connector, name)).read_on(connector)


def read(connector: Connector, name: str) -> Read:
    return next(read for read in connector.reads if read.name == name)
