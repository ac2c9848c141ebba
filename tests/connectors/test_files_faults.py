"""What keeps files from being a table: damage, changes meanwhile, wrong descriptions; each is one line, and costs no row."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folders import Table, landed, put, stream

from connectors import files as ours
from connectors.base import SourceError
from connectors.files import reads_of


def damaged(folder: Path) -> None:
    (folder / "notes" / "a.csv.gz").write_bytes(gzip.compress(b"id\n" + b"1\n" * 9999)[:-20])


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (
        lambda folder: (folder / "notes").rmdir(),
        "there is no folder .*/notes. Make it, or set files.streams.notes.path",
    ),
    "no file": (lambda _: None, "no file is at .*/notes/"),
    "another format": (lambda folder: put(folder, "a.xlsx", "PK"), "a.xlsx is none of .csv, .jsonl, .ndjson"),
    "Latin-1": (lambda folder: put(folder, "a.csv", "id,note", "1,Zoë", encoding="latin-1"), "a.csv is not UTF-8"),
    "UTF-16": (lambda folder: put(folder, "a.csv", "id,note", encoding="utf-16"), "a.csv is not UTF-8"),
    "damaged": (damaged, "a.csv.gz cannot be read: it is cut off or damaged"),
    "an open quote": (
        lambda folder: put(folder, "a.csv", "id,note", '1,"open', "2,x"),
        "a.csv, line 3: unexpected end of data",
    ),
    "no key": (
        lambda folder: put(folder, "a.csv", "name,note", "1,x"),
        "a.csv has no column id, which is the key; it has name, note",
    ),
    "empty": (lambda folder: (folder / "notes" / "a.csv").touch(), "a.csv has no column id, which is the key; it has none"),
    "a line without an end": (
        lambda folder: (folder / "notes" / "a.csv.gz").write_bytes(gzip.compress(b"id,note\n1," + bytes(65 << 20))),
        "a.csv.gz, line 2 has more than 64 million letters",
    ),
    "an endless JSON line": (
        lambda folder: (folder / "notes" / "a.jsonl.gz").write_bytes(gzip.compress(b" " * (65 << 20))),
        "a.jsonl.gz, line 1 has more than 64 million letters",
    ),
    "a line break in a name": (lambda folder: put(folder, "a\nb.csv", "id"), r"the name 'a\\nb.csv' cannot be printed"),
    "a name in Latin-1": (
        lambda folder: (folder / "notes" / os.fsdecode(b"Zo\xeb.csv")).write_text("id\n1\n"),
        r"the name 'Zo\\udceb.csv' cannot be printed",
    ),
    "a line break in a header": (
        lambda folder: put(folder, "a.csv", '"the\nid",note', "1,x"),
        "a.csv has no column id, which is the key; it has the id, note",
    ),
    "two of a name": (lambda folder: put(folder, "a.csv", "id,x,x", "1,2,3"), "two columns called x"),
}


@pytest.mark.parametrize(("spoil", "message"), FAULTS.values(), ids=FAULTS)
def test_what_keeps_files_from_being_read_is_said_in_one_line(
    folder: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(folder)
    with pytest.raises(SourceError, match=message) as caught:
        landed(folder, columns={"id": "text", "note": "text"})
    assert not caught.value.transient
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"columns": {"id": "number"}}, r"columns.id: number is no type; there are text, integer"),
        ({"columns": {"Id": "text"}}, "a column's name must be small letters"),
        ({"columns": {"source_file": "text"}}, "none of the made ones"),
        ({"columns": {"note": "text"}}, r"key: id is none of its columns, which are note"),
        ({"timezone": "Mars/North"}, "Mars/North is no time zone"),
    ],
)
def test_a_wrong_description_names_its_setting(folder: Path, said: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=f"files.streams.notes.*{message}"):
        reads_of(stream(**said), folder)


MEANWHILE: dict[str, Callable[[Path], object]] = {
    "rewritten": lambda path: path.write_text("".join(f"{line} and more\n" for line in path.read_text().splitlines())),
    "half written": lambda path: path.write_text(path.read_text()[:30_000] + '\n9999,"ope'),
    "cut": lambda path: os.truncate(path, 30_000),
    "replaced": lambda path: path.with_suffix(".new").rename(path),
    "taken away": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", MEANWHILE.values(), ids=MEANWHILE)
def test_a_file_that_changes_while_it_is_read_costs_no_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(ours, "BATCH", 100)
    lines = ["id,note", *(f"{number},{'x' * 90}" for number in range(1000))]
    path = put(folder, "a.csv", *lines)
    put(folder, "b.csv", "id,note", "5000,other")
    said = {"path": "notes/*.csv", "columns": {"id": "integer", "note": "text"}}
    table = Table(folder, **said)
    table.sync()
    put(folder, "a.csv", *lines, "1000,one more")
    put(folder, "a.new", *lines[:600])
    with pytest.raises(SourceError, match=r"a\.csv was changed while it was read") as caught:
        table.sync(meanwhile=lambda: change(path))
    assert caught.value.transient
    assert "\n" not in str(caught.value)
    assert {(number,) for number in range(1000)} <= set(table.alive("id"))

    put(folder, "a.csv", *lines)
    assert table.sync().proofs["notes"].reconciled
    assert table.alive("id") == [*((number,) for number in range(1000)), (5000,)]
