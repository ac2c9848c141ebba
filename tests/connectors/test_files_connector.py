"""Files as tables: what people and other tools put into a folder, through the real warehouse where it matters."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from folders import Table, landed, only, put, stream

from connectors import files as ours
from connectors.base import Choices, Count
from connectors.files import Files, reads_of, snake
from warehouse import load

COLUMNS: dict[str, Any] = {
    "id": "text",
    "customer": {"type": "text", "from": "Customer name"},
    "at": "timestamp",
    "on": "date",
    "score": "integer",
    "share": "double",
    "amount": "decimal",
    "answered": "boolean",
    "about": "json",
}
HEADER = "id,Customer name,at,on,score,share,amount,answered,about"


# what a file says ---------------------------------------------------------------------------------------------------


def test_declared_columns_have_their_types(folder: Path) -> None:
    put(folder, "a.csv", HEADER, '7,"Acme, Inc",2026-11-01T10:00:00Z,2026-11-01,+5,0.25,1200.5,yes,"{""a"": [1]}"')
    row = only(landed(folder, columns=COLUMNS))
    assert row == {
        "id": "7",
        "customer": "Acme, Inc",
        "at": datetime(2026, 11, 1, 10, tzinfo=UTC),
        "on": date(2026, 11, 1),
        "score": 5,
        "share": 0.25,
        "amount": Decimal("1200.50"),
        "answered": True,
        "about": '{"a":[1]}',
        "source_file": "a.csv",
        "extra": None,
        "_deleted_at": None,
    }


def test_json_lines_mean_the_same(folder: Path) -> None:
    put(folder, "a.csv", HEADER, '7,"Acme, Inc",2026-11-01T10:00:00Z,2026-11-01,5,0.25,1200.5,yes,"{""a"": [1]}"')
    by_csv = only(landed(folder, columns=COLUMNS))
    (folder / "notes" / "a.csv").unlink()
    record = {
        "id": 7, "Customer name": "Acme, Inc", "at": "2026-11-01T10:00:00Z", "on": "2026-11-01", "score": 5, "share": 0.25,
        "amount": 1200.5, "answered": True, "about": {"a": [1]},
    }  # fmt: skip
    for name in ("a.jsonl", "b.ndjson"):
        path = put(folder, name, json.dumps(record), "")
        assert only(landed(folder, columns=COLUMNS)) == {**by_csv, "source_file": name}
        path.unlink()


def test_what_nobody_declared_is_kept(folder: Path) -> None:
    put(folder, "a.csv", "id,Mood,Score,score", "1,good,3,4")
    row = only(landed(folder, columns={"id": "text", "score": "integer"}))
    assert (row["score"], json.loads(row["extra"])) == (3, {"Mood": "good", "score (not used)": "4"})
    put(folder, "a.csv", "id,mood,source_file", "1,good,theirs")
    row = only(landed(folder, columns={"id": "text"}))
    assert json.loads(row["extra"]) == {"mood": "good", "source_file (not used)": "theirs"}
    assert row["source_file"] == "a.csv"


def test_without_columns_all_that_any_file_has_is_text(folder: Path) -> None:
    put(folder, "a.csv", "id,Größe (m²),customerName", "1,5,Acme")
    put(folder, "b.jsonl", '{"id": 2, "customerName": null, "nested": {"a": 1}}')
    (read,) = reads_of(stream(), folder)
    names = ["id", "grosse_m2", "customer_name", "nested", "source_file"]
    assert [(column.name, column.type) for column in read.streams[0].columns] == [(name, "text") for name in names]
    rows = landed(folder).all
    assert (rows[("1",)]["grosse_m2"], rows[("1",)]["customer_name"]) == ("5", "Acme")
    assert rows[("2",)]["customer_name"] is None


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Customer name", "customer_name"),
        ("customerID", "customer_id"),
        ("Ça va?", "ca_va"),
        ("2nd", "column_2nd"),
        ("…", "column"),
    ],
)
def test_headers_become_names(header: str, name: str) -> None:
    assert snake(header) == name


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["a.csv", "A.CSV", "a.csv.gz", "A.CSV.GZ"])
def test_csv_comes_in_many_dresses(folder: Path, separator: str, encoding: str, ending: str) -> None:
    lines = [["id", "note"], ["1", '"two\r\nlines, ""quoted"" ; and | more"'], [], ["2", "Zoë\0"], ["", ""]]
    text = "\r\n".join(separator.join(line) for line in lines).encode(encoding)
    (folder / "notes" / ending).write_bytes(gzip.compress(text) if ending.lower().endswith("gz") else text)
    rows = landed(folder, columns={"id": "text", "note": "text"}).all
    assert {key: row["note"] for (key,), row in rows.items()} == {
        "1": 'two\r\nlines, "quoted" ; and | more',
        "2": "Zoë\ufffd",
    }


def test_times_without_a_zone_are_the_streams_and_other_ways_to_write_them_can_be_named(folder: Path) -> None:
    put(folder, "a.csv", "id,at,day", "1,01.11.2026 12:00,31.12.2025", "2,02.11.2026 12:00,")
    columns = {
        "id": "text",
        "at": {"type": "timestamp", "format": "%d.%m.%Y %H:%M"},
        "day": {"type": "date", "format": "%d.%m.%Y"},
    }
    rows = landed(folder, columns=columns, timezone="Europe/Berlin").all
    assert rows[("1",)]["at"] == datetime(2026, 11, 1, 11, tzinfo=UTC)
    assert (rows[("1",)]["day"], rows[("2",)]["day"]) == (date(2025, 12, 31), None)
    put(folder, "a.csv", "id,at", "1,2026-07-01 12:00")
    assert only(landed(folder, columns={"id": "text", "at": "timestamp"}))["at"] == datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_a_path_reaches_into_the_objects_of_json_lines(folder: Path) -> None:
    put(folder, "a.jsonl", '{"id": "1", "call": {"with": {"name": "Acme"}}}', '{"id": "2", "call": 5}', '{"id": "3"}')
    rows = landed(folder, columns={"id": "text", "customer": {"type": "text", "from": "call.with.name"}}).all
    assert {key: row["customer"] for (key,), row in rows.items()} == {"1": "Acme", "2": None, "3": None}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "many"),
        ("integer", "1.5"),
        ("double", "1,5"),
        ("decimal", "1.200,50"),
        ("boolean", "perhaps"),
        ("timestamp", "11/1/2026"),
        ("date", "1.11.2026"),
    ],
)
def test_a_value_that_does_not_fit_is_put_aside_and_its_row_stays(folder: Path, kind: str, value: str) -> None:
    put(folder, "a.csv", "id;value", f"1;{value}")
    landing = landed(folder, columns={"id": "text", "value": kind})
    assert only(landing)["value"] is None
    assert json.loads(only(landing)["extra"]) == {"value": value}
    assert [(reject.record_id, reject.column) for reject in landing.rejects] == [("1", "value")]


def test_a_line_that_is_no_record_is_put_aside_and_the_others_are_read(folder: Path) -> None:
    put(folder, "a.csv", "id,note", "1,good", "2,too,much", ",nobody's", "4")
    put(folder, "b.jsonl", '{"id": "5"}', "[1]", "{", '{"id": null}', '{"id": "\\u0000\\ud800"}')
    landing = landed(folder, columns={"id": "text", "note": "text"})
    assert landing.alive == {"1", "4", "5", "\ufffd\ufffd"}
    reasons = [reject.reason for reject in landing.rejects]
    assert sorted(reasons) == [
        "a.csv: a row has more values than the header has names",
        "b.jsonl: a line is no JSON object",
        "b.jsonl: a line is no JSON object",
        "the record has no usable id",
        "the record has no usable id",
    ]
    assert all(json.loads(reject.original) for reject in landing.rejects)


def test_a_line_that_is_nested_without_end_is_put_aside_as_well(folder: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    put(folder, "a.jsonl", f'{{"id": "1", "note": {deep}}}', '{"id": "2"}', f'{{"id": "3", "other": {deep}}}')
    put(folder, "b.csv", "id,about", f"4,{deep}")
    landing = landed(folder, columns={"id": "text", "note": "text", "about": "json"})
    assert landing.alive == {"2", "4"}
    assert sorted({reject.reason for reject in landing.rejects}) == ["a.jsonl: a line is no JSON object"]
    (read,) = reads_of(stream(), folder)
    assert [column.name for column in read.streams[0].columns] == ["id", "about", "source_file"]


def test_a_moment_before_the_first_or_after_the_last_year_is_put_aside(folder: Path) -> None:
    put(folder, "a.csv", "id,at", "1,0001-01-01", "2,9999-12-31T23:00:00-05:00", "3,9999-12-31")
    landing = landed(folder, columns={"id": "text", "at": "timestamp"}, timezone="Pacific/Auckland")
    assert landing.alive == {"1", "2", "3"}
    reason = "at is out of the years that there are"
    assert {(reject.record_id, reject.reason) for reject in landing.rejects} == {("1", reason), ("2", reason)}


# which rows there are -----------------------------------------------------------------------------------------------


def test_all_files_are_one_table_and_a_row_that_is_in_none_of_them_any_more_is_deleted(folder: Path) -> None:
    put(folder, "2026-10.csv", "id,note", "1,one", "2,two")
    put(folder, "2026-11.csv", "id,note", "3,three")
    table = Table(folder, columns={"id": "text", "note": "text"})
    assert table.sync().tables["notes"].inserted == 3
    put(folder, "2026-11.csv", "id,note", "4,four")
    report = table.sync().tables["notes"]
    assert (report.inserted, report.deleted, report.unchanged) == (1, 1, 2)
    (folder / "notes" / "2026-10.csv").unlink()
    table.sync()
    assert table.alive("id") == [("4",)]


def test_of_two_files_the_later_by_name_has_the_say(folder: Path) -> None:
    put(folder, "export-2026-11-01.csv", "id,note", "1,old", "2,kept")
    put(folder, "export-2026-11-02.csv", "id,note", "1,new")
    table = Table(folder, columns={"id": "text", "note": "text"})
    table.sync()
    assert table.alive("id", "note", "source_file") == [
        ("1", "new", "export-2026-11-02.csv"),
        ("2", "kept", "export-2026-11-01.csv"),
    ]
    assert table.rejects() == []
    put(folder, "export-2026-11-03.csv", "id,note", "1,new", "2,kept")
    report = table.sync().tables["notes"]
    assert (report.inserted, report.updated, report.deleted) == (0, 0, 0)  # only the name of the file is another


def test_a_key_that_comes_twice_in_a_file_is_put_aside_until_somebody_mends_it(folder: Path) -> None:
    put(folder, "a.csv", "id,note", "1,first", "2,x", "1,second")
    table = Table(folder, columns={"id": "text", "note": "text"})
    report = table.sync()
    assert table.alive("id", "note") == [("1", "first"), ("2", "x")]
    assert table.rejects() == [("1", "a.csv: row 3 has the key of an earlier one")]
    assert report.proofs["notes"].reconciled
    put(folder, "a.csv", "id,note", "1,first", "2,x", "3,second")
    table.sync()
    assert table.alive("id", "note") == [("1", "first"), ("2", "x"), ("3", "second")]
    assert table.rejects() == []


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("integer", "1", "01"),
        ("integer", "1", " +1"),
        ("decimal", "1.5", "1.50"),
        ("double", "1.5", "15e-1"),
        ("boolean", "yes", "TRUE"),
        ("date", "2026-11-01", "20261101"),
        ("timestamp", "2026-11-01T10:00:00Z", "2026-11-01T11:00:00+01:00"),
    ],
)
def test_a_key_that_is_written_otherwise_is_the_same_key(folder: Path, kind: str, one: str, other: str) -> None:
    columns = {"id": kind, "note": "text"}
    put(folder, "a.csv", "id,note", f"{one},first", f"{other},second")
    landing = landed(folder, columns=columns)
    assert [row["note"] for row in landing.all.values()] == ["first"]
    assert [reject.reason for reject in landing.rejects] == ["a.csv: row 2 has the key of an earlier one"]

    put(folder, "a.csv", "id,note", f"{one},old")
    put(folder, "b.csv", "id,note", f"{other},new")
    table = Table(folder, columns=columns)
    for _ in range(2):
        assert table.sync().proofs["notes"].reconciled
        assert table.alive("note") == [("new",)]
        put(folder, "a.csv", "id,note", f"{one},older")
    assert table.rejects() == []


def test_without_a_key_equal_rows_of_one_file_are_all_kept_and_those_of_two_files_are_one(folder: Path) -> None:
    put(folder, "a.csv", "score", "9", "9", "3")
    put(folder, "b.csv", "score", "9", "7")
    table = Table(folder, key=[], columns={"score": "integer"})
    table.sync()
    assert table.alive("score") == [(3,), (7,), (9,), (9,)]
    assert set(table.sync().tables) == {"notes"}
    put(folder, "a.csv", "score", "9", "3")
    table.sync()
    assert table.alive("score") == [(3,), (7,), (9,)]


def test_a_key_can_be_several_columns(folder: Path) -> None:
    put(folder, "a.csv", "survey,person,score", "1,a,9", "1,b,8", "2,a,7")
    landing = landed(folder, key=["survey", "person"], columns={"survey": "integer", "person": "text", "score": "integer"})
    assert {key: row["score"] for key, row in landing.all.items()} == {(1, "a"): 9, (1, "b"): 8, (2, "a"): 7}


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5])
def test_a_second_read_writes_nothing_and_proves_the_table_complete(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(ours, "BATCH", 2)
    put(folder, "a.csv", "id", *map(str, range(rows)))
    table = Table(folder, columns={"id": "integer"})
    assert table.sync().tables["notes"].inserted == rows
    for _ in range(2):
        report = table.sync()
        assert (report.written, report.proofs["notes"].reconciled) == (0, True)
        assert report.proofs["notes"].source_rows == rows


def test_a_read_killed_after_any_batch_ends_with_the_same_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "BATCH", 2)
    monkeypatch.setattr(load, "GROUP_ROWS", 0)  # every batch commits
    put(folder, "a.csv", "id", *map(str, range(5)))
    put(folder, "b.csv", "id", *map(str, range(3, 8)))
    for killed_after in (1, 4):
        (folder / "warehouse.duckdb").unlink(missing_ok=True)
        table = Table(folder, columns={"id": "integer"})
        with pytest.raises(KeyboardInterrupt):
            table.sync(only=killed_after)
        assert table.sync().proofs["notes"].reconciled
        assert table.alive("id") == [(number,) for number in range(8)]


def test_files_are_read_anew_only_when_their_content_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(folder, "a.csv", "id", "1")
    said = stream(columns={"id": "text"})
    (read,) = reads_of(said, folder)
    connector = Files(said, folder)
    cursor = list(connector.batches(read, None))[-1].cursor
    os.utime(path, (1, 1))
    (batch,) = connector.batches(read, cursor)
    assert (batch.rows, batch.present, batch.counted, batch.cursor) == ({}, {}, {"notes": Count(1)}, cursor)
    path.write_text("id\n2\n")  # the same size
    os.utime(path, (1, 1))
    assert list(connector.batches(read, cursor))[-1].present
    other = stream(columns={"id": "integer"})
    assert list(Files(other, folder).batches(reads_of(other, folder)[0], cursor))[-1].present


def test_a_row_that_got_lost_in_the_warehouse_is_read_again(folder: Path) -> None:
    put(folder, "a.csv", "id", "1", "2")
    table = Table(folder, columns={"id": "text"})
    table.sync()
    with table.warehouse.loading("lose") as bulk:
        bulk.execute("delete from files.notes where id = '1'")
    report = table.sync()
    assert table.alive("id") == [("1",), ("2",)]
    assert report.proofs["notes"].reconciled


def test_a_column_that_nobody_wants_is_not_read(folder: Path) -> None:
    put(folder, "a.csv", "id,note,mood", "1,secret,good")
    choices = Choices(without={"notes": frozenset({"note", "mood"})})
    row = only(landed(folder, choices=choices, columns={"id": "text", "note": "text"}))
    assert (row["note"], row["extra"]) == (None, None)


def test_a_large_file_needs_little_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "BATCH", 500)
    with (folder / "notes" / "a.csv").open("w") as file:
        file.write("id,note\n" + "".join(f"{number},{'x' * 2000}\n" for number in range(10_000)))
    said = stream(columns={"id": "integer", "note": "text"})
    (read,) = reads_of(said, folder)
    tracemalloc.start()
    rows = sum(table.num_rows for batch in Files(said, folder).batches(read, None) for table in batch.rows.values())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 10_000
    assert peak < 12e6  # of twenty


# before and after a read -------------------------------------------------------------------------------------------


def test_tables_are_declared_before_there_is_any_file(folder: Path) -> None:
    (read,) = reads_of(stream(), folder)
    assert [column.name for column in read.streams[0].columns] == ["id", "source_file"]


def test_check_says_what_is_there_and_which_declared_columns_are_not(folder: Path) -> None:
    said = stream(columns={"id": "text", "note": "text", "at": {"type": "timestamp", "from": "Date"}})
    subjects = [(finding.subject, finding.ok) for finding in Files(said, folder).check()]
    assert subjects == [("login", True), ("notes", False)]
    put(folder, "a.csv", "id,Note", "1,x")
    (_, finding) = Files(said, folder).check()
    assert (finding.ok, finding.message) == (False, "a.csv: no file has Date")
    put(folder, "b.csv", "id,Date", "1,x")
    (_, finding) = Files(said, folder).check()
    assert (finding.ok, finding.message) == (True, "2 files: can be read")


def test_an_estimate_counts_lines_and_no_request(folder: Path) -> None:
    put(folder, "a.csv", "id", "1", "2", "3")
    connector = Files(stream(columns={"id": "text"}), folder)
    (estimate,) = connector.estimate(reads_of(stream(columns={"id": "text"}), folder))
    assert (estimate.records, estimate.requests, connector.requests, connector.host) == (4, 0, 0, "files")


def test_what_was_put_aside_can_be_opened_again(folder: Path) -> None:
    said = stream(columns={"id": "text", "score": "integer"})
    (read,) = reads_of(said, folder)
    batch = Files(said, folder).opened(read.streams[0], b'[{"id": "1", "score": "5"}]')
    assert batch.rows["notes"]["score"].to_pylist() == [5]
