"""What the bytes of one file mean: CSV with a header, or one JSON object a line, plain or compressed.

Here belong encodings, separators, quotes and lines. Not here: which files are a table, or what a column is.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOBase
from itertools import chain, count
from pathlib import Path
from typing import Any

import msgspec

from connectors.base import SourceError
from connectors.rows import clean

ENDINGS = (".csv", ".jsonl", ".ndjson")
_SEPARATORS = ",;\t|"
_LONGEST = 16 << 20  # letters of one field
_LONGEST_LINE = 64 << 20

_line = msgspec.json.Decoder(dict[str, msgspec.Raw])
_deep = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any = msgspec.json.Decoder(msgspec.Raw)

csv.field_size_limit(_LONGEST)


@dataclass(frozen=True)
class Stray:
    """A line that is no record; `original` is JSON."""

    reason: str
    original: str


def formatted(path: Path) -> str | None:
    """The ending that tells how a file is written; None if nobody knows."""
    ending = Path(path.stem).suffix if compressed(path) else path.suffix
    return ending.lower() if ending.lower() in ENDINGS else None


def compressed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def headers(path: Path) -> list[str]:
    """What a file calls its columns: of JSON lines, the fields of the first one."""
    with _text(path) as text:
        if formatted(path) == ".csv":
            return _header(path, _rows(path, text))
        first = next((line for line in _lines(path, text) if line.strip()), "{}")
        return list(_record(first) or [])


def records(
    path: Path, name: Callable[[str], str], deep: Mapping[str, str], as_json: Collection[str], key: Sequence[str]
) -> Iterator[dict[str, Any] | Stray]:
    """The records of a file, their fields renamed by `name`, a line at a time. Raises SourceError.

    `deep`: dotted paths into objects, with the name for what stands there. `as_json`: the names whose CSV values are
    JSON themselves. A CSV file must have the columns of `key`.
    """
    with _text(path) as text:
        if formatted(path) == ".csv":
            yield from _csv_records(path, text, name, as_json, key)
        else:
            yield from _json_records(path, text, name, deep)


@contextmanager
def _text(path: Path) -> Iterator[TextIOBase]:
    """The file as text, without a byte order mark."""
    opened: Any = gzip.open if compressed(path) else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError:
        raise SourceError(f"{path} is not UTF-8. Save it so, in Excel as «CSV UTF-8».") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is cut off or damaged"
        raise SourceError(f"{path} cannot be read: {reason}. Put it there whole, for the user who runs fullpicture.") from None


def _lines(path: Path, text: TextIOBase) -> Iterator[str]:
    """None longer than memory bears: some megabytes of a compressed file can be a line of gigabytes."""
    for number in count(1):
        line = text.readline(_LONGEST_LINE)
        if len(line) == _LONGEST_LINE:
            raise SourceError(f"{path}, line {number} has more than {_LONGEST_LINE >> 20} million letters. Mend the file.")
        if not line:
            return
        yield line


def _rows(path: Path, text: TextIOBase) -> Iterator[list[str]]:
    """Separated by what the header is separated by. An error where a quote is not closed: it would swallow rows."""
    lines = (line.replace("\0", "\ufffd") for line in _lines(path, text))
    first = next(lines, "")
    reader = csv.reader(chain([first], lines), delimiter=max(_SEPARATORS, key=first.count), strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise SourceError(f"{path}, line {reader.line_num}: {error}. Mend the file.") from None


def _header(path: Path, rows: Iterator[list[str]]) -> list[str]:
    found = [header.strip() or f"column {place + 1}" for place, header in enumerate(next(rows, []))]
    twice = [header for header in found if found.count(header) > 1]
    if twice:
        raise SourceError(f"{path} has two columns called {_in_line(twice[:1])}. Rename one.")
    return found


def _in_line(headers: Iterable[str]) -> str:
    return ", ".join(" ".join(header.split()) for header in headers)


def _csv_records(
    path: Path, text: TextIOBase, name: Callable[[str], str], as_json: Collection[str], key: Sequence[str]
) -> Iterator[dict[str, Any] | Stray]:
    rows = _rows(path, text)
    header = _header(path, rows)
    names = [name(each) for each in header]
    lacking = [part for part in key if part not in names]
    if lacking:
        raise SourceError(f"{path} has no column {lacking[0]}, which is the key; it has {_in_line(header) or 'none'}.")
    places = [place for place, each in enumerate(names) if each in as_json]
    for cells in rows:
        if not any(cells):
            continue
        if len(cells) > len(names):
            yield Stray("a row has more values than the header has names", msgspec.json.encode(cells).decode())
            continue
        values: list[Any] = [cell or None for cell in cells]
        for place in places:
            values[place : place + 1] = [_as_json(value) for value in values[place : place + 1]]
        yield dict(zip(names, values, strict=False))


def _as_json(cell: str | None) -> Any:
    try:
        return _any.decode(cell) if cell else None
    except (msgspec.DecodeError, RecursionError):
        return cell


def _json_records(
    path: Path, text: TextIOBase, name: Callable[[str], str], deep: Mapping[str, str]
) -> Iterator[dict[str, Any] | Stray]:
    for line in _lines(path, text):
        if not line.strip():
            continue
        record = _record(line)
        if record is None:
            yield Stray("a line is no JSON object", msgspec.json.encode(line.strip()).decode())
            continue
        named: dict[str, Any] = {name(field): value for field, value in record.items()}
        for way, column in deep.items():
            if way not in record:
                named[column] = _below(record, way.split("."))
        yield named


def _record(line: str) -> dict[str, msgspec.Raw] | None:
    try:
        return _line.decode(line)
    except RecursionError:
        return None
    except msgspec.DecodeError:  # perhaps only for half a letter
        try:
            return _line.decode(clean(line.encode()))
        except (msgspec.DecodeError, RecursionError):
            return None


def _below(record: Mapping[str, msgspec.Raw], path: Sequence[str]) -> msgspec.Raw | None:
    found: msgspec.Raw | None = record.get(path[0])
    for part in path[1:]:
        try:
            found = _deep.decode(found).get(part) if found is not None else None
        except msgspec.DecodeError:
            return None
    return found
