"""Values of every shape, from JSON to Arrow: what fits, what is rejected, what is kept in `extra`."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors import rows
from connectors.base import ARROW, Column, Stream
from connectors.columns import streams

STREAM = Stream(
    "tool",
    "things",
    "Things.",
    ("id",),
    (
        Column("id", "text", "", "id"),
        Column("n", "integer", "", "n"),
        Column("x", "double", "", "x"),
        Column("money", "decimal", "", "money"),
        Column("yes", "boolean", "", "yes"),
        Column("at", "timestamp", "", "at"),
        Column("day", "date", "", "day"),
        Column("doc", "json", "", "doc"),
        Column("list", "json", "", "list"),
        Column("text", "text", "", "text"),
        Column("inner", "text", "", "a.b.c"),
        Column("inner_id", "text", "", "a.id"),
        Column("doc_part", "text", "", "doc.part"),
        Column("mapped", "text", "", "", mapped=True),
    ),
)


def page(*records: Any, **options: Any) -> rows.Page:
    return rows.Decoder(STREAM, **options).page(rows.clean(json.dumps(records).encode()))


def one(**fields: Any) -> dict[str, Any]:
    """The row of one record that has no reject."""
    found = page({"id": "1", **fields})
    assert found.rejects == ()
    return found.table.to_pylist()[0]


def test_a_table_has_the_declared_columns_then_extra_and_deleted_at() -> None:
    table = page({"id": "1"}).table
    assert table.column_names == [*(column.name for column in STREAM.columns), "extra", "_deleted_at"]
    assert table.schema.types == [*(ARROW[column.type] for column in STREAM.columns), ARROW["json"], ARROW["timestamp"]]


def test_an_empty_page_has_the_same_columns() -> None:
    assert page().table.schema == page({"id": "1"}).table.schema


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-01T10:00:00Z",
        "2026-11-01T10:00:00.000+0000",
        "2026-11-01T11:30:00+01:30",
        "2026-11-01T05:00:00.000-0500",
    ],
)
def test_a_timestamp_of_any_vendor_becomes_utc(written: str) -> None:
    assert one(at=written)["at"] == datetime(2026, 11, 1, 10, tzinfo=UTC)


def test_microseconds_of_a_timestamp_are_kept() -> None:
    assert one(at="2026-11-01T10:00:00.123456Z")["at"].microsecond == 123456


@pytest.mark.parametrize(
    ("column", "given", "held"),
    [
        ("n", 9223372036854775807, 9223372036854775807),
        ("n", "42", 42),
        ("n", 5.0, 5),
        ("n", None, None),
        ("x", 3, 3.0),
        ("x", 1.5, 1.5),
        ("yes", False, False),
        ("day", "2026-02-28", date(2026, 2, 28)),
        ("money", 0.1, Decimal("0.10")),
        ("money", 12, Decimal("12.00")),
        ("money", "7.5", Decimal("7.50")),
        ("text", 17, "17"),
        ("text", True, "true"),
        ("text", 1.50, "1.5"),
        ("text", "", ""),
        ("text", "😀 é", "😀 é"),
        ("doc", {"b": [1, None], "a": "x"}, '{"b":[1,null],"a":"x"}'),
        ("list", [], "[]"),
        ("list", None, None),
        ("list", "x", '"x"'),
    ],
)
def test_a_value_that_fits_is_held_as_it_is(column: str, given: Any, held: Any) -> None:
    assert one(**{column: given})[column] == held


def test_an_amount_is_exact_to_the_last_cent() -> None:
    body = b'[{"id":"1","money":9999999999999999.99},{"id":"2","money":-0.07},{"id":"3","money":1e3}]'
    assert rows.Decoder(STREAM).page(body).table["money"].to_pylist() == [
        Decimal("9999999999999999.99"),
        Decimal("-0.07"),
        Decimal("1000.00"),
    ]


def test_an_amount_with_more_digits_is_rounded_and_kept_in_full_in_extra() -> None:
    row = one(money=833.335)
    assert row["money"] == Decimal("833.34")
    assert json.loads(row["extra"]) == {"money": 833.335}


@pytest.mark.parametrize(
    ("column", "given"),
    [
        ("n", "many"),
        ("n", 9223372036854775808),
        ("n", 1.5),
        ("n", True),
        ("n", {}),
        ("x", "high"),
        ("yes", 1),
        ("yes", "true"),
        ("money", "free"),
        ("money", 1e17),
        ("money", "NaN"),
        ("at", "yesterday"),
        ("at", "2026-11-01T10:00:00"),
        ("at", 5),
        ("at", "2026-13-01T10:00:00Z"),
        ("day", "2026-02-30"),
        ("day", "1/2/2026"),
        ("text", {"a": 1}),
        ("text", ["a"]),
    ],
)
def test_a_value_that_does_not_fit_is_null_and_kept_in_extra_and_listed(column: str, given: Any) -> None:
    found = page({"id": "0", column: None}, {"id": "1", column: given, "text2": "t"})
    row = found.table.to_pylist()[1]
    assert row[column] is None
    assert json.loads(row["extra"]) == {column: given, "text2": "t"}
    (reject,) = found.rejects
    assert (reject.stream, reject.record_id, reject.column, json.loads(reject.original)) == (
        "things",
        "1",
        column,
        given,
    )
    assert reject.reason.startswith(column)


def test_one_wrong_value_leaves_the_others_of_its_column() -> None:
    found = page(*({"id": str(n), "n": n if n != 3 else "three"} for n in range(6)))
    assert found.table["n"].to_pylist() == [0, 1, 2, None, 4, 5]


@pytest.mark.parametrize("record", [{"n": 1}, {"id": None, "n": 1}, {"id": "", "n": 1}, {"id": {"x": 1}}, 7, "x", None, [1]])
def test_a_record_without_a_usable_key_is_put_aside_whole_and_the_page_goes_on(record: Any) -> None:
    found = page({"id": "1", "n": 1}, record, {"id": "2", "n": 2})
    assert found.table.select(["id", "n"]).to_pylist() == [{"id": "1", "n": 1}, {"id": "2", "n": 2}]
    (reject,) = found.rejects
    assert (reject.record_id, reject.column, json.loads(reject.original)) == (None, None, record)


def test_what_is_not_declared_is_kept_in_extra_sorted_by_name() -> None:
    assert one(z=1, b={"y": [1], "x": None}, c=None)["extra"] == '{"b":{"y":[1],"x":null},"c":null,"z":1}'


def test_the_undeclared_rest_of_a_nested_object_is_kept_in_its_place() -> None:
    row = one(a={"id": "9", "b": {"c": "deep", "d": 4}, "e": 5})
    assert (row["inner"], row["inner_id"]) == ("deep", "9")
    assert json.loads(row["extra"]) == {"a": {"b": {"d": 4}, "e": 5}}


def test_extra_is_null_where_everything_is_declared() -> None:
    assert one(a={"id": "9", "b": {"c": "deep"}})["extra"] is None


def test_a_part_of_a_json_column_is_also_a_column_and_stays_in_the_json() -> None:
    row = one(doc={"part": "p", "other": 1})
    assert (row["doc_part"], row["doc"], row["extra"]) == ("p", '{"part":"p","other":1}', None)


def test_a_nested_object_that_is_none_rejects_what_lies_below_it() -> None:
    found = page({"id": "1", "a": "flat"}, {"id": "2", "a": {"id": "9"}})
    assert {(reject.record_id, reject.column) for reject in found.rejects} == {("1", "inner"), ("1", "inner_id")}
    assert found.table["inner_id"].to_pylist() == [None, "9"]
    assert found.table["extra"].to_pylist() == ['{"a":"flat"}', None]


def test_a_mapped_column_is_read_from_where_the_settings_say() -> None:
    assert page({"id": "1", "custom": "v"}, sources={"mapped": "custom"}).table["mapped"].to_pylist() == ["v"]
    assert json.loads(one(custom="v")["extra"]) == {"custom": "v"}


@pytest.mark.parametrize(
    ("source", "record", "extra"),
    [
        ("custom", {"custom": "v"}, {"custom": "v"}),
        ("a.custom", {"a": {"id": "9", "custom": "v"}}, {"a": {"custom": "v"}}),
        ("doc", {"doc": {"custom": "v"}}, None),  # which is a column
        ("custom", {"custom": ["of", "the wrong", "kind"]}, {"custom": ["of", "the wrong", "kind"]}),
    ],
)
def test_what_fills_a_mapped_column_stays_where_another_map_finds_it(source: str, record: Any, extra: Any) -> None:
    found = page({"id": "1", **record}, sources={"mapped": source}).table["extra"][0].as_py()
    assert (json.loads(found) if found else None) == extra


def test_a_number_beyond_all_numbers_costs_its_value_and_not_the_page() -> None:
    values = {"text": lambda value: value}
    found = rows.Decoder(STREAM, values=values).page(b'[{"id":"1","text":1e999},{"id":"2","text":"x"}]')
    assert (found.table["text"].to_pylist(), [each.reason for each in found.rejects]) == (
        [None, "x"],
        ["text is a number too large"],
    )


def test_a_mapped_column_that_nobody_wants_stays_nowhere() -> None:
    (row,) = page({"id": "1", "custom": "v"}, sources={"mapped": "custom"}, without=("mapped",)).table.to_pylist()
    assert (row["mapped"], row["extra"]) == (None, None)


@pytest.mark.parametrize(
    "body", [rb'[{"id":"1","text":"a\u0000b"}]', rb'[{"id":"1","text":"a\ud800b"}]', b'[{"id":"1","text":"a\xffb"}]']
)
def test_characters_that_no_database_holds_become_the_replacement_character(body: bytes) -> None:
    for name in ("text", "other"):
        table = rows.Decoder(STREAM).page(rows.clean(body.replace(b"text", name.encode()))).table
        assert (
            table["text"].to_pylist() == ["a�b"]
            if name == "text"
            else json.loads(table["extra"][0].as_py()) == {"other": "a�b"}
        )


def test_a_backslash_before_u0000_is_a_text_and_stays() -> None:
    body = rb'[{"id":"1","text":"a\\u0000b\ud83d\ude00\u0000"}]'
    assert rows.Decoder(STREAM).page(rows.clean(body)).table["text"].to_pylist() == ["a\\u0000b😀�"]


def test_json_that_comes_with_blanks_is_kept_compact() -> None:
    body = json.dumps([{"id": "1", "doc": {"a": [1, 2]}, "more": {"b": 3}}], indent=2).encode()
    (row,) = rows.Decoder(STREAM).page(rows.clean(body)).table.to_pylist()
    assert (row["doc"], row["extra"]) == ('{"a":[1,2]}', '{"more":{"b":3}}')


def test_every_declared_stream_can_be_decoded_and_says_what_it_means() -> None:
    for tool in ("salesforce", "jira", "zendesk"):
        for stream in streams(tool).values():
            assert rows.Decoder(stream).page(b"[]").table.num_rows == 0
            assert set(stream.key) <= {column.name for column in stream.columns}
            assert stream.version is None or stream.version in {column.name for column in stream.columns}
            assert stream.description
            assert all(column.description for column in stream.columns)
            assert all(bool(column.source) != column.mapped for column in stream.columns)
