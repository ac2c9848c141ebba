"""How a folder of files is read: CSV or JSON lines, which people or other tools put there and the settings describe.

Here belongs which files are a table, what their headers mean, and when they are read anew; no socket is opened. Not here:
what the bytes of one file mean (`file_formats`), or where the settings stand.

All files that a stream's path finds are its table together: a row that is in none of them any more is marked as deleted,
and stays in the table so. That serves an export that is replaced every night, a survey that grows, and notes that come
one file at a time; whoever takes a file away takes its rows away. Of two files that both have a key the later one by name
counts, as of two exports with their dates in their names; a key that comes twice within a file is a mistake for somebody
to mend, and put aside.
"""

from __future__ import annotations

import glob
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any, ClassVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import pyarrow as pa

from connectors import rows
from connectors.base import (
    ARROW,
    Batch,
    Choices,
    Column,
    Connector,
    Count,
    Cursor,
    Estimate,
    Finding,
    Present,
    Read,
    Reject,
    SourceError,
    Stream,
    Type,
)
from connectors.file_formats import ENDINGS, Stray, compressed, formatted, headers, records

BATCH = 50_000  # rows
_BYTES = 32 << 20  # of a batch, if its rows are long
_FILE, _ROW = "source_file", "row_id"  # the columns that are made here
_NUMBER = "_number"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # it would break lines, or a database's encoding
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True)
class _Field:
    """A column, and the header (or the JSON field) that fills it, if it is called otherwise."""

    column: Column
    header: str = ""
    format: str = ""  # of a date or time that is not written as ISO 8601 has it


@dataclass(frozen=True)
class _Table:
    """One stream as the settings describe it. `fields`: None to take what the headers name, as text."""

    name: str
    folder: Path
    pattern: str  # from there
    key: tuple[str, ...]
    fields: tuple[_Field, ...] | None
    description: str
    zone: ZoneInfo

    @property
    def setting(self) -> str:
        return f"files.streams.{self.name}"


def reads_of(streams: Mapping[str, Mapping[str, Any]], folder: Path) -> tuple[Read, ...]:
    """The reads of what the settings describe; paths begin at `folder`. Raises SourceError.

    Streams without columns have those of their files' headers, as far as files are there.
    """
    return tuple(Read(name, (_stream(_table(name, said, folder)),)) for name, said in streams.items())


class Files(Connector):
    """The streams that the settings describe, from files below `folder` or wherever their paths lead."""

    tool: ClassVar[str] = "files"
    reads: ClassVar[tuple[Read, ...]] = ()  # which there are, the settings say: `reads_of`

    def __init__(
        self,
        streams: Mapping[str, Mapping[str, Any]],
        folder: Path,
        *,
        choices: Choices | None = None,
        patience: object = None,  # noqa: ARG002  (given to every connector; nothing here needs any)
    ) -> None:
        self._tables = {name: _table(name, said, folder) for name, said in streams.items()}
        self._choices = choices or Choices()

    @property
    def host(self) -> str:
        """Always the same: a folder that moves is no other world."""
        return "files"

    @property
    def requests(self) -> int:
        return 0

    def batches(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        """Nothing but the proof while all files are what they were, by their content."""
        (stream,) = read.streams
        table = self._tables[stream.name]
        files = _files(table)
        before = _stamps(files)
        found = {"files": {name: _digest(path) for name, path in files.items()}, "as": _shape(stream, table)}
        known = dict(cursor or {})
        number = known.pop("rows", None)
        now = datetime.now(UTC)
        if number is not None and known == found:
            yield Batch({**found, "rows": number}, counted={stream.name: Count(number)}, covered_until=now)
            return
        keys = rows.keys(stream, {name: [] for name in stream.key})
        try:
            lost = {stream.name: frozenset(_lacking(table, files))}
            for page in self._pages(stream, table, files):
                keys = pa.concat_tables([keys, page.table.select(list(stream.key))])
                yield Batch({}, {stream.name: page.table}, page.rejects, lost=lost)
        except SourceError:
            _refuse_changed(files, before)  # who is half written is not damaged
            raise
        _refuse_changed(files, before)  # or rows that are in neither half would be taken for gone
        number = keys.group_by(list(stream.key)).aggregate([]).num_rows
        yield Batch({**found, "rows": number}, present={stream.name: Present(keys)}, covered_until=now)

    def again(self, read: Read, cursor: Cursor | None, missing: Mapping[str, pa.Table]) -> Iterator[Batch]:  # noqa: ARG002
        return self.batches(read, None)

    def at(self, read: Read, moment: datetime) -> Cursor | None:  # noqa: ARG002
        return None

    def opened(self, stream: Stream, records: bytes) -> Batch:
        page = self._decoder(stream, self._tables[stream.name]).page(rows.clean(records))
        return Batch({}, {stream.name: page.table}, page.rejects)

    def check(self) -> Iterator[Finding]:
        yield Finding("login", True, "needs none")
        for table in self._tables.values():
            try:
                files = _files(table)
                lacking = ", ".join(_lacking(table, files).values())
            except SourceError as error:
                yield Finding(table.name, False, str(error))
                continue
            said = f"{len(files)} files" if len(files) > 1 else next(iter(files))
            yield Finding(table.name, not lacking, f"{said}: {f'no file has {lacking}' if lacking else 'can be read'}")

    def estimate(self, reads: tuple[Read, ...]) -> Iterator[Estimate]:
        for read in reads:
            files = _files(self._tables[read.name])
            number = sum(_lines(path) for path in files.values() if not compressed(path))
            size = sum(stamp[1] for stamp in _stamps(files).values() if stamp)
            yield Estimate(read.name, number, 0, size / 10e6, note="lines of the files that are not compressed")

    def _decoder(self, stream: Stream, table: _Table) -> rows.Decoder:
        formats = {field.column.name: field.format for field in table.fields or ()}
        values = {
            column.name: _VALUES[column.type](table.zone, formats.get(column.name, ""))
            for column in stream.columns
            if column.type in _VALUES
        }
        return rows.Decoder(stream, values=values, without=self._choices.without.get(stream.name, frozenset()))

    def _pages(self, stream: Stream, table: _Table, files: dict[str, Path]) -> Iterator[rows.Page]:
        """The files from the last to the first by name, each key once."""
        numbered = Column(_NUMBER, "integer", "Which row of its page this is.", source=_NUMBER)
        columns = (numbered, *(column for column in stream.columns if column.name in stream.key))
        keys = self._decoder(replace(stream, key=(_NUMBER,), columns=columns), table)
        decoder, once = self._decoder(stream, table), _Once(stream, keys)
        waiting: list[_Row] = []
        strays: list[Reject] = []
        size = 0
        for found in _rows(stream, table, files):
            if isinstance(found, Reject):
                strays.append(found)
                continue
            waiting.append(found)
            size += len(found.record)
            if len(waiting) >= BATCH or size >= _BYTES:
                yield once.page(decoder, waiting, strays)
                waiting, strays, size = [], [], 0
        yield once.page(decoder, waiting, strays)


@dataclass(frozen=True)
class _Row:
    """A record as JSON under the columns' names, its key, and where it stands."""

    record: bytes
    key: Mapping[str, Any]
    file: str
    number: int


class _Once:
    """Lets each key through once, as the table will hold it: 01 and 1 are one integer. Who has no key is let through, to be
    put aside for that."""

    def __init__(self, stream: Stream, keys: rows.Decoder) -> None:
        self._stream, self._keys = stream, keys
        self._seen: dict[tuple[Any, ...], str] = {}  # in which file

    def page(self, decoder: rows.Decoder, waiting: list[_Row], strays: list[Reject]) -> rows.Page:
        named = [_encode({**row.key, _NUMBER: number}) for number, row in enumerate(waiting)]
        typed = self._keys.page(rows.clean(_array(named))).table
        keys = zip(*(typed[name].to_pylist() for name in self._stream.key), strict=True)
        fresh = []
        for row, key in zip(waiting, keys, strict=True):
            if None in key or "" in key:
                fresh.append(row.record)
            elif key not in self._seen:
                self._seen[key] = row.file
                fresh.append(row.record)
            elif self._seen[key] == row.file:
                reason = f"{row.file}: row {row.number} has the key of an earlier one"
                record_id = "/".join(map(str, key))
                strays.append(Reject(self._stream.name, record_id, None, reason, row.record.decode()))
        page = decoder.page(rows.clean(_array(fresh)))
        return rows.Page(page.table, (*page.rejects, *strays))


def _rows(stream: Stream, table: _Table, files: dict[str, Path]) -> Iterator[_Row | Reject]:
    """From the last to the first file by name."""
    for name in reversed(files):
        copies: Counter[str] = Counter()
        for number, record in enumerate(_named(stream, table, files[name]), 1):
            if isinstance(record, Stray):
                yield Reject(stream.name, None, None, f"{name}: {record.reason}", record.original)
                continue
            if stream.key == (_ROW,):
                record[_ROW] = _row_id(record, copies)
            key = {part: record.get(part) for part in stream.key}
            yield _Row(_encode({**record, _FILE: name}), key, name, number)


def _array(records: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(records) + b"]"


def _named(stream: Stream, table: _Table, path: Path) -> Iterator[dict[str, Any] | Stray]:
    """The records of a file under the columns' names; what no column takes keeps its own."""
    json_columns = {column.name for column in stream.columns if column.type == "json"}
    columns = {column.name for column in stream.columns if column.name not in (_FILE, _ROW)}
    fields = table.fields or ()
    names = {field.header: field.column.name for field in fields if field.header}
    taken = set(names.values())

    def name(header: str) -> str:
        if header not in names:
            plain = snake(header)
            fits = plain in columns and plain not in taken
            names[header] = plain if fits else f"{header} (not used)" if header in (*columns, _FILE, _ROW) else header
            taken.add(names[header])
        return names[header]

    deep = {field.header: field.column.name for field in fields if "." in field.header}
    return records(path, name, deep, json_columns, table.key)


def _row_id(record: Mapping[str, Any], copies: Counter[str]) -> str:
    """Of everything in the row; rows of one file that are all the same are told apart by a number."""
    made = hashlib.sha256(_encode(record)).hexdigest()[:32]
    copies[made] += 1
    return made if copies[made] == 1 else f"{made} ({copies[made]})"


# what the settings say ---------------------------------------------------------------------------------------------


def _table(name: str, said: Mapping[str, Any], folder: Path) -> _Table:
    setting = f"files.streams.{name}"
    if not _NAME.fullmatch(name):
        raise SourceError(f"{setting}: a table's name must be small letters, digits and _.")
    columns = said.get("columns") or {}
    fields = tuple(_field(f"{setting}.columns.{column}", column, about) for column, about in columns.items())
    key = tuple(said.get("key") or ())
    lacking = [part for part in key if columns and part not in columns]
    if lacking:
        raise SourceError(f"{setting}.key: {lacking[0]} is none of its columns, which are {', '.join(columns)}.")
    description = str(said.get("description") or f"Rows of the files {said['path']}.")
    try:
        zone = ZoneInfo(str(said.get("timezone") or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        raise SourceError(f"{setting}.timezone: {said['timezone']} is no time zone, such as Europe/Berlin.") from None
    return _Table(name, folder, str(Path(said["path"]).expanduser()), key, fields or None, description, zone)


def _field(setting: str, name: str, about: str | Mapping[str, Any]) -> _Field:
    """A type alone, or an object with `type` and, if wanted, `from`, `format`, `description` and `personal`."""
    said = {"type": about} if isinstance(about, str) else dict(about)
    if not _NAME.fullmatch(name) or name in (_FILE, _ROW, "extra"):
        raise SourceError(f"{setting}: a column's name must be small letters, digits and _, and none of the made ones.")
    if said.get("type") not in ARROW:
        raise SourceError(f"{setting}: {said.get('type')} is no type; there are {', '.join(ARROW)}.")
    header = str(said.get("from") or "")
    meaning = str(said.get("description") or f"{header or name}, as the file has it.")
    kind = cast(Type, said["type"])
    column = Column(name, kind, meaning, source=name, personal=bool(said.get("personal")))
    return _Field(column, header, str(said.get("format") or ""))


def _stream(table: _Table) -> Stream:
    columns = [field.column for field in table.fields] if table.fields else _found_columns(table)
    if not table.key:
        columns.insert(0, Column(_ROW, "text", "Made from the row's content, since no key is set.", source=_ROW))
    # The name of a nightly export changes every night, and its rows do not.
    columns.append(Column(_FILE, "text", "The file that the row is from.", source=_FILE, volatile=True))
    return Stream(
        tool="files",
        name=table.name,
        description=table.description,
        key=table.key or (_ROW,),
        columns=tuple(columns),
        write="snapshot",
        deletes="snapshot",
        source=table.pattern,
    )


def _found_columns(table: _Table) -> list[Column]:
    """What the headers name, in the order of their first appearance, and the key. No file is no error yet: tables are
    declared before anything is read."""
    try:
        named = [header for path in _files(table).values() for header in headers(path)]
    except SourceError:
        named = []
    found: dict[str, Column] = {}
    for header in (*named, *table.key):
        if (name := snake(header)) not in (_FILE, _ROW, "extra"):
            found.setdefault(name, Column(name, "text", f"{header}, as the file has it.", source=name))
    return list(found.values())


def snake(header: str) -> str:
    """A header as a column's name: "Größe (m²)" is grosse_m2."""
    plain = unicodedata.normalize("NFKD", header.replace("ß", "ss")).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    name = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
    return name if name[:1].isalpha() else f"column_{name}" if name else "column"


def _shape(stream: Stream, table: _Table) -> str:
    """What decides how a file is understood: if that changes, all files are read anew."""
    told = [repr((stream.key, stream.columns)), repr(table)]
    return hashlib.sha256("".join(told).encode()).hexdigest()[:16]


# files --------------------------------------------------------------------------------------------------------------


def _files(table: _Table) -> dict[str, Path]:
    """By name, in its order. Raises SourceError where there is none, or one that cannot be read."""
    try:
        names = sorted(glob.glob(table.pattern, root_dir=table.folder, recursive=True))
    except OSError as error:
        raise SourceError(f"{table.setting}: {table.pattern} cannot be read: {error.strerror}.") from None
    found = [path for path in (table.folder / name for name in names) if path.is_file()]
    above = table.folder / Path(re.split(r"[*?\[]", table.pattern, maxsplit=1)[0] + "x").parent
    if not found and not above.is_dir():
        raise SourceError(f"{table.setting}: there is no folder {above}. Make it, or set {table.setting}.path.")
    if not found:
        raise SourceError(
            f"{table.setting}: no file is at {table.folder / table.pattern}. Put one there, or set {table.setting}.path."
        )
    for path in found:
        if _UNPRINTABLE.search(str(path)):
            raise SourceError(f"{table.setting}: the name {path.name!a} cannot be printed. Rename that file or its folder.")
        if not formatted(path):
            kinds = ", ".join(ENDINGS)
            raise SourceError(f"{table.setting}: {path} is none of {kinds}, or of these with .gz. Narrow {table.setting}.path.")
    return {str(path.relative_to(above)): path for path in found}


def _stamps(files: Mapping[str, Path]) -> dict[str, tuple[int, int, int] | None]:
    """Which file stands under each name, and when it was last written."""
    return {name: _stamp(path) for name, path in files.items()}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _refuse_changed(files: Mapping[str, Path], before: Mapping[str, object]) -> None:
    changed = [str(files[name]) for name, stamp in _stamps(files).items() if stamp != before[name]]
    if changed:
        raise SourceError(
            f"{changed[0]} was changed while it was read. Write it elsewhere and move it there whole; trying again later can "
            "help.",
            transient=True,
        )


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Let the user who runs fullpicture read it.") from None


def _digest(path: Path) -> str:
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lines(path: Path) -> int:
    with _opened(path) as file:
        return sum(piece.count(b"\n") for piece in iter(partial(file.read, 1 << 20), b""))


def _lacking(table: _Table, files: Mapping[str, Path]) -> dict[str, str]:
    """The declared columns that no file has, and how they should be headed there."""
    there = {header for path in files.values() for header in headers(path)}
    plain = {snake(header) for header in there}
    return {
        field.column.name: field.header or field.column.name
        for field in table.fields or ()
        if field.header.split(".")[0] not in there and (field.header or field.column.name not in plain)
    }


# values -------------------------------------------------------------------------------------------------------------


def _integer(_: ZoneInfo, __: str, value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,19}\s*", value, re.A) else value


def _double(_: ZoneInfo, __: str, value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _decimal(_: ZoneInfo, __: str, value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _boolean(_: ZoneInfo, __: str, value: Any) -> Any:
    return _TRUTH.get(str(value).strip().lower(), value)


def _timestamp(zone: ZoneInfo, form: str, value: Any) -> Any:
    """A time without a zone is one of the stream's."""
    moment = _read(form, value)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC).isoformat()
    except OverflowError:
        raise rows.Misfit("is out of the years that there are") from None


def _date(_: ZoneInfo, form: str, value: Any) -> Any:
    return _read(form, value).date().isoformat()


def _read(form: str, value: Any) -> datetime:
    try:
        return datetime.strptime(value.strip(), form) if form else datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError, OverflowError):
        raise rows.Misfit(f"is not written as {form or 'ISO 8601 has it'}") from None


_VALUES: Mapping[str, Callable[[ZoneInfo, str], Callable[[Any], Any]]] = {
    kind: partial(partial, read)
    for kind, read in {
        "integer": _integer,
        "double": _double,
        "decimal": _decimal,
        "boolean": _boolean,
        "timestamp": _timestamp,
        "date": _date,
    }.items()
}
