"""The whole contract between a vendor and the rest: what a connector declares and what it hands over.

Here belong the nouns that every connector speaks (connector, read, stream, column, batch, cursor, reject, error).
Not here: how any vendor is asked, what its columns are, or where the rows go.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import pyarrow as pa

Type = Literal["text", "integer", "double", "decimal", "boolean", "timestamp", "date", "json"]
# JSON; only the connector that wrote it reads it. `from`, where it has that, is where the rows begin that are known: it
# alone stays when everything is read anew.
Cursor = Mapping[str, Any]

# How rows are written: by key, the newer version wins; a stretch of days at a time; all of them.
Write = Literal["merge", "replace_window", "snapshot"]
# How a deleted record is noticed: the vendor marks it; a sweep of all ids lacks it; a stretch or a list read anew lacks
# it; its parent was read anew or is gone; the vendor lists what was deleted; records of this kind never go.
Deletes = Literal["flag", "sweep", "window", "snapshot", "parent", "list", "never"]

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


class Unavailable(SourceError):
    """An optional stream that this account does not have: its plan, its features or its permissions lack it."""


@dataclass(frozen=True)
class Column:
    """One declared column of a raw table. `source` is its dotted path in the vendor's record."""

    name: str
    type: Type
    description: str
    source: str
    mapped: bool = False  # the settings name the vendor's field; null while they do not
    volatile: bool = False  # the vendor moves it without a change of the record; ignored when rows are compared
    personal: bool = False  # a name, an address or anything else that tells of a person
    whose: str = ""  # the column that holds the id of the person whom this one tells of, where that is not the row's own


@dataclass(frozen=True)
class Stream:
    """One raw table: its columns, its key, how it is written and how its deletes are noticed."""

    tool: str
    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    version: str | None = None  # the column by which a newer row is told from an older one
    write: Write = "merge"
    deletes: Deletes = "flag"
    source: str = ""  # what the vendor calls it: an object, an address
    optional: bool = False  # accounts without it are common: then the read ends well, and says so
    people: bool = False  # each row is a person, by the id that `Column.whose` of the tool's other tables leads to


@dataclass(frozen=True)
class Read:
    """One way of asking the vendor, which fills one or several streams that commit together with one cursor."""

    name: str
    streams: tuple[Stream, ...]


@dataclass(frozen=True)
class Choices:
    """What people chose about a tool's data.

    `fields`: stream → column → the vendor's field that fills it. `without`: stream → the fields that are not read, by
    their column or by the vendor's top-level name. `since` (UTC): a first read, and every proof that it is complete,
    leaves out what was last changed before.
    """

    fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    without: Mapping[str, frozenset[str]] = field(default_factory=dict)
    since: datetime | None = None


@dataclass(frozen=True)
class Reject:
    """A record, or one value of it, that could not be loaded; `original` is its JSON text."""

    stream: str
    record_id: str | None
    column: str | None  # None: the whole record was put aside
    reason: str
    original: str


@dataclass(frozen=True)
class Span:
    """A stretch of a table: rows whose `column` (timestamp or date) is at or after `start` and before `end`."""

    column: str
    start: Any
    end: Any


@dataclass(frozen=True)
class Present:
    """All that exists of one stream, or of a part of it: known rows of that part that are not among `keys` are gone.

    `keys`: values of some of the stream's columns, its key or the key of the parent that a row lives and dies with.
    `within` narrows it to the rows whose values (of other columns) are in that table: the parents that were read anew.
    `span` narrows it to a stretch of time. Without either it is a sweep: what it names and the table lacks is missing.
    """

    keys: pa.Table
    within: pa.Table | None = None
    span: Span | None = None


@dataclass(frozen=True)
class Count:
    """The vendor's own count of living records. With `column` (a timestamp, a date or an integer) of those whose value
    is at or after `since` and before `before`: what came to be meanwhile must not look like a difference. With `late`, as
    many more may be counted as the table knows to be deleted since: the vendor's index follows behind."""

    rows: int
    column: str | None = None
    before: Any = None
    since: Any = None
    late: datetime | None = None


@dataclass(frozen=True)
class Batch:
    """Some rows of a read. What one batch holds is committed at once, and `cursor` with it.

    `rows` maps a stream's name to an Arrow table with, in this order, the stream's columns (types of `ARROW`), `extra`
    (JSON text of an object: every field that nobody declared; null if none) and `_deleted_at` (timestamp; null: alive).
    `present` is applied after the rows of the same batch. `counted` is compared with the table after the last batch.
    `covered_until`: everything the vendor knew up to this moment of its own clock (UTC) is in the batches so far.
    `lost`: by stream, the columns, and the undeclared fields, that the vendor does not show (any more, or to this user): what
    stands of them stays. Of a stream that is not named nobody knows. Beside that a table of `rows` may tell in its metadata,
    under `unseen`, a JSON object: of columns whose field none of its records has, how many records could have had it.
    """

    cursor: Cursor
    rows: Mapping[str, pa.Table] = field(default_factory=dict)
    rejects: tuple[Reject, ...] = ()
    present: Mapping[str, Present] = field(default_factory=dict)
    counted: Mapping[str, Count] = field(default_factory=dict)
    covered_until: datetime | None = None
    lost: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One line of `fullpicture check`: what was tried, whether it works, and what to do if it does not."""

    subject: str
    ok: bool
    message: str


@dataclass(frozen=True)
class Estimate:
    """What a first read of one read will take: records, requests, and seconds at the vendor's limits.

    `share`: of the vendor's daily quota, 0 to 1; None where there is none. `note`: what the figures rest on, if unsure.
    """

    read: str
    records: int
    requests: int
    seconds: float
    share: float | None = None
    note: str = ""


class Connector(ABC):
    """One tool. Constructing it opens no connection."""

    tool: ClassVar[str]
    reads: ClassVar[tuple[Read, ...]]
    kept: ClassVar[tuple[str, ...]] = ("fields",)  # what of a cursor is no place, and stays when a read is sent back

    @property
    @abstractmethod
    def host(self) -> str:
        """Host (and port) this connector talks to: it names the world that the rows come from."""

    @property
    @abstractmethod
    def requests(self) -> int:
        """HTTP requests sent so far, token grants included."""

    @property
    def clock(self) -> datetime:
        """The tool's own time (UTC), as of its last reply."""
        return datetime.now(UTC)

    def stop_at(self, deadline: float) -> None:  # noqa: B027  (nothing to do for who never waits)
        """After this moment (time.monotonic) nothing is asked any more: what is under way ends in a SourceError."""

    @abstractmethod
    def batches(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        """Everything since `cursor` (None: everything there is), of the streams that `read` names, proof of
        completeness included. Raises SourceError."""

    def again(self, read: Read, cursor: Cursor | None, missing: Mapping[str, pa.Table]) -> Iterator[Batch]:  # noqa: ARG002
        """Mends a difference that the proof found: `cursor` is where the read began, `missing` the keys by stream that
        a sweep names and the table lacks. Reads the same stretch once more unless the vendor can be asked for those."""
        return self.batches(read, cursor)

    @abstractmethod
    def at(self, read: Read, moment: datetime) -> Cursor | None:
        """The cursor of a read that has come to `moment`; None for a read that always reads everything."""

    @abstractmethod
    def opened(self, stream: Stream, records: bytes) -> Batch:
        """The rows and rejects of a JSON array of the vendor's records, as a read would bring them now: for what was put
        aside before. The batch has no other meaning."""

    @abstractmethod
    def check(self) -> Iterator[Finding]:
        """Tries the credentials and every permission that the reads need, with as few requests as that takes."""

    @abstractmethod
    def estimate(self, reads: tuple[Read, ...]) -> Iterator[Estimate]:
        """What a first read of each will take, from the vendor's own counts. Raises SourceError."""
