"""What the warehouse promises of batches, in a few plain lines: the tests of the connectors land their rows here.

Not here: how the real warehouse does it, which its own tests show.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.base import Batch, Connector, Cursor, Read, Reject

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
                    self._sweep(stream.name, {tuple(key.values()) for key in batch.present[stream.name].to_pylist()})
            self.rejects += batch.rejects
            self.cursor = batch.cursor
            self.covered_until = batch.covered_until
            self.batches += 1
            if self.batches == only:
                break
        return self

    def _sweep(self, stream: str, present: set[tuple[Any, ...]]) -> None:
        for key, row in self.rows[stream].items():
            row["_deleted_at"] = None if key in present else row["_deleted_at"] or "swept"

    def read_on(self, connector: Connector, *, only: int | None = None) -> Landing:
        self.batches = 0
        return self.land(connector.batches(self.read, self.cursor), only=only)

    @property
    def all(self) -> dict[tuple[Any, ...], Row]:
        """The rows of the only stream."""
        (rows,) = self.rows.values()
        return rows

    @property
    def alive(self) -> set[Any]:
        return {key[0] for key, row in self.all.items() if row["_deleted_at"] is None}


def landed(connector: Connector, name: str) -> Landing:
    """A first read of one read, by its name."""
    return Landing(read(connector, name)).read_on(connector)


def read(connector: Connector, name: str) -> Read:
    return next(read for read in connector.reads if read.name == name)
