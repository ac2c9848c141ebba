"""The whole contract between a vendor and the rest: what a connector declares and what it hands over.

Here belong the nouns that every connector speaks (connector, read, stream, column, batch, cursor, reject, error).
Not here: how any vendor is asked, what its columns are, or where the rows go.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

import pyarrow as pa

Type = Literal["text", "integer", "double", "decimal", "boolean", "timestamp", "date", "json"]
Cursor = Mapping[str, Any]  # JSON; only the connector that wrote it reads it

ARROW: Mapping[Type, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.decimal128(18, 2),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "json": pa.string(),
}


class SourceError(Exception):
    """What keeps a tool from being read, in one line that says what to do. `transient`: trying again can help."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


@dataclass(frozen=True)
class Column:
    """One declared column of a raw table. `source` is its dotted path in the vendor's record."""

    name: str
    type: Type
    description: str
    source: str
    mapped: bool = False  # the settings name the vendor's field; null while they do not
    volatile: bool = False  # the vendor moves it without a change of the record; ignored when rows are compared
    personal: bool = False  # a name or an address of a person


@dataclass(frozen=True)
class Stream:
    """One raw table: its columns and its key."""

    tool: str
    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    version: str | None = None  # the column by which a newer row is told from an older one


@dataclass(frozen=True)
class Read:
    """One way of asking the vendor, which fills one or several streams that commit together with one cursor."""

    name: str
    streams: tuple[Stream, ...]


@dataclass(frozen=True)
class Reject:
    """A record, or one value of it, that could not be loaded; `original` is its JSON text."""

    stream: str
    record_id: str | None
    column: str | None  # None: the whole record was put aside
    reason: str
    original: str


@dataclass(frozen=True)
class Batch:
    """Some rows of a read. What one batch holds is committed at once, and `cursor` with it.

    `rows` maps a stream's name to an Arrow table with, in this order, the stream's columns (types of `ARROW`), `extra`
    (JSON text of an object: every field that nobody declared; null if none) and `_deleted_at` (timestamp; null: alive).
    `present` maps a stream's name to a table of the keys of everything that exists: known rows that are not among them
    are marked deleted, those among them are alive. It comes once, in the last batch of a sweep or a snapshot.
    `covered_until`: everything the vendor knew up to this moment of its own clock (UTC) is in the batches so far.
    """

    cursor: Cursor
    rows: Mapping[str, pa.Table] = field(default_factory=dict)
    rejects: tuple[Reject, ...] = ()
    present: Mapping[str, pa.Table] = field(default_factory=dict)
    covered_until: datetime | None = None


@dataclass(frozen=True)
class Finding:
    """One line of `fullpicture check`: what was tried, whether it works, and what to do if it does not."""

    subject: str
    ok: bool
    message: str


class Connector(ABC):
    """One tool. Constructing it opens no connection."""

    tool: ClassVar[str]
    reads: ClassVar[tuple[Read, ...]]

    @property
    @abstractmethod
    def host(self) -> str:
        """Host (and port) this connector talks to: it names the world that the rows come from."""

    @property
    @abstractmethod
    def requests(self) -> int:
        """HTTP requests sent so far, token grants included."""

    @abstractmethod
    def batches(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        """Everything since `cursor` (None: everything there is). Raises SourceError."""

    @abstractmethod
    def check(self) -> Iterator[Finding]:
        """Tries the credentials and every permission that the reads need, with as few requests as that takes."""
