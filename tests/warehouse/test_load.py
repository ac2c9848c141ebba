"""A batch becomes rows, once: on both databases, whatever arrives and whenever it stops."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import adbc_driver_manager
import duckdb
import pyarrow as pa
import pytest
import sqlalchemy as sa

from connectors.base import ARROW, Batch, Count, Reject, Span
from tests.warehouse.things import START, THINGS, batch, loaded, ran, row, rows_of
from warehouse import load, schema
from warehouse.engine import Warehouse, WarehouseError
from warehouse.migrate import prepare
from warehouse.schema import Column, RawTable


@pytest.fixture
def things(warehouse: Warehouse) -> Warehouse:
    prepare(warehouse, [THINGS])
    return warehouse


def night(number: int) -> datetime:
    return START + timedelta(days=number)


def test_a_first_read_lands_every_row_and_moves_the_cursor(things: Warehouse) -> None:
    report = loaded(things, batch([row(1), row(2)]), batch([row(3)], night=2))

    assert rows_of(things, "select id from zendesk.things order by id") == [(1,), (2,), (3,)]
    assert load.cursor(things, "zendesk", "things", "x.example") == {"night": 2}
    assert (report.inserted, report.rows_total) == (3, 3)


def test_values_arrive_as_they_were_sent(things: Warehouse) -> None:
    name = "a 'quoted' \"name\"; drop table zendesk.things; -- % :x \\ \n\t,漢字 \U0001f600"
    at = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)

    loaded(
        things, batch([row(2**63 - 1, name, amount=pa.scalar("9999999999999999.99").cast(pa.decimal128(18, 2)).as_py(), at=at)])
    )

    found = rows_of(things, 'select id, name, amount, "at", extra from zendesk.things')
    assert [(a, b, str(c), d, e) for a, b, c, d, e in found] == [(2**63 - 1, name, "9999999999999999.99", at, None)]


def test_a_first_read_brings_each_once_and_the_newest_of_it(things: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "GROUP_ROWS", 1)  # each of these is committed by itself
    pages = [
        batch([row(1, "one"), row(2, "two")]),
        batch([row(3, "three"), row(4, "four")]),
        batch([row(4, "FOUR", 2), row(5, "five")]),  # one of them has changed while the pages were read
        batch([row(1, "old", 0), row(6, "six"), row(6, "SIX", 2)]),
        batch([row(7, "seven")]),
    ]

    report = loaded(things, *pages)

    found = rows_of(things, "select id, name from zendesk.things order by id")
    assert found == [(1, "one"), (2, "two"), (3, "three"), (4, "FOUR"), (5, "five"), (6, "SIX"), (7, "seven")]
    assert (report.inserted, report.updated, report.unchanged, report.rows_total) == (7, 1, 2, 7)


def test_a_second_identical_read_writes_nothing(things: Warehouse) -> None:
    loaded(things, batch([row(1), row(2)]))

    report = loaded(things, batch([row(1, touched=99), row(2)], night=2))

    assert (report.inserted, report.updated, report.deleted, report.unchanged) == (0, 0, 0, 2)
    assert rows_of(things, "select distinct _synced_at, touched from zendesk.things") == [(night(1), 0)]


def test_a_newer_version_replaces_an_older_one_and_never_the_other_way(things: Warehouse) -> None:
    loaded(things, batch([row(1, "second", 2)]))
    loaded(things, batch([row(1, "first", 1)], night=2))
    assert rows_of(things, "select name from zendesk.things") == [("second",)]

    loaded(things, batch([row(1, "third", 3)], night=3))
    assert rows_of(things, "select name, _synced_at from zendesk.things") == [("third", night(3))]


def test_of_several_versions_in_one_read_the_newest_stays(things: Warehouse) -> None:
    loaded(things, batch([row(1, "b", 2), row(1, "a", 1)]), batch([row(1, "c", 2), row(2, "x", None)]))

    assert rows_of(things, "select id, name from zendesk.things order by id") == [(1, "c"), (2, "x")]


@pytest.mark.parametrize("cut", ["at once", "in groups", "one by one"])
def test_a_row_without_a_version_is_never_taken_for_an_older_one(
    things: Warehouse, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """Of every order in which three rows of a thing can come, known and unknown versions mixed."""
    monkeypatch.setattr(load, "GROUP_ROWS", 1 if cut == "in groups" else 10**6)
    orders = list(product((None, 1, 2), repeat=3))
    nights = [
        batch([row(id_, f"row {place}", order[place]) for id_, order in enumerate(orders)], night=place) for place in range(3)
    ]
    for batches in [[each] for each in nights] if cut == "one by one" else [nights]:
        loaded(things, *batches)

    def stays(order: Sequence[int | None]) -> str:
        place = 0
        for later in (1, 2):
            known, comes = order[place], order[later]
            if known is None or comes is None or comes >= known:
                place = later
        return f"row {place}"

    found = rows_of(things, "select name from zendesk.things order by id")
    assert found == [(stays(order),) for order in orders]


def test_a_deletion_without_a_version_is_a_deletion(things: Warehouse) -> None:
    loaded(things, batch([row(1, version=2)]))
    loaded(things, batch([row(1, version=None, _deleted_at=night(2))], night=2))
    assert rows_of(things, "select _deleted_at from zendesk.things") == [(night(2),)]


def test_a_change_in_the_undeclared_fields_alone_is_a_change(things: Warehouse) -> None:
    loaded(things, batch([row(1, extra='{"a": 1}')]))

    assert loaded(things, batch([row(1, extra='{"a": 2}')], night=2)).updated == 1
    assert rows_of(things, "select extra from zendesk.things") == [('{"a": 2}',)]


def test_a_changed_row_keeps_nothing_in_a_column_that_is_declared_no_more(things: Warehouse) -> None:
    prepare(things, [replace(THINGS, columns=(*THINGS.columns, Column("weight", "integer", "What it weighed.")))])
    loaded(things, batch([row(1), row(2)]))
    with things.begin("weigh them") as connection:
        connection.execute(sa.text("update zendesk.things set weight = 7"))

    assert loaded(things, batch([row(1), row(2, version=2), row(3)], night=2)).updated == 1

    assert rows_of(things, "select id, weight from zendesk.things order by id") == [(1, 7), (2, None), (3, None)]


def test_a_deleted_row_is_marked_once_and_revived_when_it_is_back(things: Warehouse) -> None:
    loaded(things, batch([row(1)]))
    loaded(things, batch([row(1, version=2, _deleted_at=night(2))], night=2))
    loaded(things, batch([row(1, version=3, _deleted_at=night(3))], night=3))
    assert rows_of(things, "select _deleted_at from zendesk.things") == [(night(2),)]

    loaded(things, batch([row(1, version=4)], night=4))
    assert rows_of(things, "select _deleted_at from zendesk.things") == [(None,)]


def test_what_a_sweep_does_not_find_is_marked_and_what_it_finds_again_is_missing(things: Warehouse) -> None:
    loaded(things, batch([row(1), row(2), row(3)]))

    report = loaded(things, batch(night=2, present=[1, 3]))
    assert (report.deleted, report.rows_total) == (1, 2)
    assert rows_of(things, "select id, _deleted_at from zendesk.things order by id") == [(1, None), (2, night(2)), (3, None)]

    proof = ran(things, batch(night=3, present=[1, 2, 3])).proofs["things"]
    assert rows_of(things, "select count(*) from zendesk.things where _deleted_at is null") == [(2,)]
    assert proof.missing is not None
    assert (proof.missing.to_pylist(), proof.source_rows, proof.stored_rows) == ([{"id": 2}], 3, 2)


def test_what_could_not_be_loaded_is_listed_until_a_good_version_arrives(things: Warehouse) -> None:
    bad = [
        Reject("things", "7", "amount", "is no number", '"lots"'),
        Reject("things", None, None, "has no id", '{"name": "x"}'),
    ]
    for number in (1, 2):
        loaded(things, batch([row(1)], night=number, rejects=bad))
    listed = rows_of(things, "select record_id, column_name, reason, original from sync.rejects order by record_id nulls last")
    assert listed == [("7", "amount", "is no number", '"lots"'), (None, None, "has no id", '{"name": "x"}')]

    loaded(things, batch([row(7)], night=3))
    assert rows_of(things, "select record_id from sync.rejects") == [(None,)]


def test_rows_of_another_host_are_refused(things: Warehouse) -> None:
    loaded(things, batch([row(1)]))

    with pytest.raises(WarehouseError, match=r"holds zendesk rows of x\.example, and the settings now name y\.example"):
        load.cursor(things, "zendesk", "things", "y.example")


def test_a_read_that_breaks_keeps_what_had_arrived_and_goes_on_from_there(
    things: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "GROUP_ROWS", 2)

    def breaking() -> Iterator[Batch]:
        yield batch([row(1), row(2)], night=1)
        yield batch([row(3)], night=2)
        raise ConnectionError("gone")

    read = {"tool": "zendesk", "read": "things", "run_id": "r"}
    with pytest.raises(ConnectionError):
        load.load(things, **read, host="h", tables={"things": THINGS}, batches=breaking())

    assert rows_of(things, "select id from zendesk.things order by id") == [(1,), (2,), (3,)]
    assert load.cursor(things, "zendesk", "things", "h") == {"night": 2}
    assert rows_of(things, "select status, rows_inserted, ended_at from sync.runs") == [("running", 3, None)]
    load.record_end(things, **read, started_at=night(1), error="gone")
    assert rows_of(things, "select status, rows_inserted, error from sync.runs") == [("failed", 3, "gone")]


def test_others_write_between_two_groups_unless_the_next_one_is_there_already(
    things: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "GROUP_ROWS", 1)
    other = Warehouse(things.url.render_as_string(hide_password=False), things.work, wait_seconds=0)
    could: list[bool] = []

    def write() -> None:
        try:
            with other.begin("write"):
                could.append(True)
        except WarehouseError:
            could.append(False)

    def source() -> Iterator[Batch]:
        for number, quick in enumerate((60, 60, 0, 0, 60)):
            monkeypatch.setattr(load, "QUICK_SECONDS", quick)
            yield batch([row(number)])
            write()
        raise RuntimeError("the source breaks")

    with pytest.raises(RuntimeError):
        load.load(things, tool="t", read="r", run_id="r", host="h", tables={"things": THINGS}, batches=source())
    write()

    assert could == [False, False, True, True, False, True]


def test_another_map_of_fields_reads_everything_once_more(things: Warehouse) -> None:
    read = {"tool": "zendesk", "read": "things", "host": "h"}
    once = {"things": {"name": "Name__c"}}
    load.load(things, **read, run_id="1", tables={"things": THINGS}, batches=[batch([row(1)])], choices=once)

    assert load.cursor(things, **read, choices=once) == {"night": 1}
    assert load.cursor(things, **read, choices={"things": {"name": "Title__c"}}) is None
    assert load.cursor(things, **read) is None


def test_a_record_that_is_put_aside_and_then_comes_whole_is_not_listed(things: Warehouse) -> None:
    bad = [Reject("things", "1", None, "is no record", "7"), Reject("things", "2", None, "is no record", "8")]

    loaded(things, batch([], rejects=bad), batch([row(1)]))

    assert rows_of(things, "select record_id from sync.rejects") == [("2",)]


def test_a_transaction_that_fails_leaves_neither_rows_nor_cursor(things: Warehouse) -> None:
    amounts = pa.array(["no amount"])
    broken = Batch(cursor={"night": 9}, rows={"things": batch([row(5)]).rows["things"].set_column(2, "amount", amounts)})
    with pytest.raises((duckdb.Error, adbc_driver_manager.Error)):
        loaded(things, broken)

    assert rows_of(things, "select count(*) from zendesk.things") == [(0,)]
    assert load.cursor(things, "zendesk", "things", "x.example") is None


def test_every_run_leaves_its_record(things: Warehouse) -> None:
    loaded(things, batch([row(1), row(2)]))
    loaded(things, batch([row(1, "b", 2)], night=2, present=[1]))
    load.record_end(things, tool="zendesk", read="things", run_id="z", started_at=night(3), error="no answer", requests=4)

    columns = "status, rows_inserted, rows_updated, rows_deleted, covered_until, requests, error"
    assert rows_of(things, f"select {columns} from sync.runs order by run_id") == [
        ("succeeded", 2, 0, 0, night(1), 0, None),
        ("succeeded", 0, 1, 1, night(2), 0, None),
        ("failed", 0, 0, 0, None, 4, "no answer"),
    ]


def test_a_key_of_two_columns_is_one_key(warehouse: Warehouse) -> None:
    columns = (Column("a", "text", "."), Column("b", "integer", "."), Column("v", "text", "."))
    pairs = RawTable("zendesk", "pairs", "", columns, key=("a", "b"))
    prepare(warehouse, [pairs])
    rows = [{"a": "x", "b": 1, "v": "one"}, {"a": "x", "b": 2, "v": "two"}, {"a": "y", "b": 1, "v": "three"}]
    loaded(warehouse, batch(rows, table=pairs), table=pairs)

    loaded(warehouse, batch([{"a": "x", "b": 2, "v": "TWO"}], table=pairs, night=2), table=pairs)

    assert rows_of(warehouse, "select a, b, v from zendesk.pairs order by a, b") == [
        ("x", 1, "one"),
        ("x", 2, "TWO"),
        ("y", 1, "three"),
    ]


def test_a_key_may_be_a_text_of_any_length(warehouse: Warehouse) -> None:
    columns = (Column("id", "text", "."), Column("v", "text", "."))
    texts = RawTable("zendesk", "texts", "", columns)
    prepare(warehouse, [texts])
    ids = [f"{number}/{random.Random(number).randbytes(10_000).hex()}" for number in range(3)]
    for night, value in enumerate("ab", 1):
        loaded(warehouse, batch([{"id": id_, "v": value} for id_ in ids], table=texts, night=night), table=texts)
    assert sorted(rows_of(warehouse, "select id, v from zendesk.texts")) == [(id_, "b") for id_ in ids]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_sequence_of_nights_ends_as_a_dictionary_would(
    things: Warehouse, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions, deletes, revivals and sweeps at random, against a plain dictionary that is kept by the rules' words."""
    monkeypatch.setattr(load, "GROUP_ROWS", 5)
    draw = random.Random(seed)
    truth: dict[int, tuple[str, int, bool]] = {}
    for number in range(1, 9):
        batches = []
        for _ in range(draw.randrange(1, 4)):
            rows = []
            for _ in range(draw.randrange(0, 6)):
                id_, version, gone = draw.randrange(8), draw.randrange(6), draw.random() < 0.2
                name = f"{id_} at {version}"  # one version has one content
                rows.append(row(id_, name, version, _deleted_at=night(number) if gone else None))
                if id_ not in truth or version >= truth[id_][1]:
                    truth[id_] = (name, version, gone)
            batches.append(batch(rows, night=number))
        if draw.random() < 0.4:
            present = [id_ for id_ in range(8) if draw.random() < 0.7]
            batches.append(batch(night=number, present=present))
            truth = {id_: (name, version, gone or id_ not in present) for id_, (name, version, gone) in truth.items()}
        loaded(things, *batches, doubted=False)
        found = rows_of(things, "select id, name, version, _deleted_at is not null from zendesk.things order by id")
        assert found == sorted((id_, *rest) for id_, rest in truth.items())


def test_what_only_the_vendor_has_is_asked_for_once_and_then_agrees(things: Warehouse) -> None:
    loaded(things, batch([row(1), row(2)]))
    asked: list[object] = []

    def again(missing: Mapping[str, pa.Table]) -> Iterator[Batch]:
        asked.append({stream: table.to_pylist() for stream, table in missing.items()})
        yield batch([row(3)], night=2, present=[1, 2, 3])

    report = ran(things, batch(night=2, present=[1, 2, 3]), again=again)

    assert asked == [{"things": [{"id": 3}]}]
    assert rows_of(things, "select id from zendesk.things order by id") == [(1,), (2,), (3,)]
    assert not report.differing
    columns = "counted_by, source_rows, stored_rows, missing_rows, reconciled"
    last = "where run_id = (select max(run_id) from sync.runs)"
    assert rows_of(things, f"select {columns} from sync.counts {last}") == [("ids", 3, 3, 0, True)]
    assert rows_of(things, f"select status, source_rows, stored_rows, reconciled from sync.runs {last}") == [
        ("succeeded", 3, 3, True)
    ]


def test_a_difference_that_stays_is_recorded_and_is_no_error(things: Warehouse) -> None:
    tries = []

    def again(_: Mapping[str, pa.Table]) -> Iterator[Batch]:
        tries.append(1)
        yield batch([row(1)], counted=Count(2))

    report = ran(things, batch([row(1)], counted=Count(2)), again=again)

    assert (len(tries), list(report.differing)) == (1, ["things"])
    assert rows_of(things, "select stream, counted_by, source_rows, stored_rows, reconciled from sync.counts") == [
        ("things", "count", 2, 1, False)
    ]
    assert rows_of(things, "select status, reconciled from sync.runs") == [("succeeded", False)]


def test_what_the_first_mending_finds_missing_is_asked_for_once_more(things: Warehouse) -> None:
    asked: list[list[str]] = []

    def again(missing: Mapping[str, pa.Table]) -> Iterator[Batch]:
        asked.append(sorted(missing))
        yield batch([row(2)] if missing else [], present=[1, 2])

    report = ran(things, batch([row(1)], counted=Count(2)), again=again)

    assert asked == [[], ["things"]]
    assert not report.differing
    assert rows_of(things, "select status, reconciled from sync.runs") == [("succeeded", True)]


def test_columns_may_be_named_as_the_loader_names_its_own_things(warehouse: Warehouse) -> None:
    names = ("kind", "position", "rank", "deleted_at", "key", "value")
    table = RawTable("zendesk", "odd", "", tuple(Column(name, "text", ".") for name in names), key=("kind", "position"))
    prepare(warehouse, [table])
    rows = [{"kind": "a", "position": "1", "rank": "x"}, {"kind": "b", "position": "1", "rank": "y"}]
    loaded(warehouse, batch(rows, table=table), table=table)

    loaded(warehouse, batch([{**rows[0], "rank": "z"}], table=table, night=2), table=table)

    assert rows_of(warehouse, 'select kind, "rank" from zendesk.odd order by kind') == [("a", "z"), ("b", "y")]


def test_a_count_looks_only_at_the_stretch_that_the_vendor_counted(things: Warehouse) -> None:
    late = row(3, at=START + timedelta(days=2))
    early = row(4, at=START - timedelta(days=2))
    gone = row(5, _deleted_at=START)
    stretch = Count(2, column="at", since=START, before=START + timedelta(days=1))

    assert not ran(things, batch([row(1), row(2), late, early, gone], counted=stretch)).differing


def test_a_part_that_was_read_anew_says_what_is_left_of_it_and_nothing_of_the_rest(things: Warehouse) -> None:
    loaded(things, batch([row(1, "a"), row(2, "a"), row(3, "b"), row(4, "c")]))

    report = ran(things, batch([row(1, "a", 2)], present=[1], within=["a"]), batch(present=[], within=["c"]))

    assert rows_of(things, "select id from zendesk.things where _deleted_at is null order by id") == [(1,), (3,)]
    proof = report.proofs["things"]
    assert (proof.counted_by, proof.source_rows, proof.stored_rows) == ("parts", 1, 1)


def test_a_part_that_comes_twice_in_one_run_ends_as_it_came_last(things: Warehouse) -> None:
    with_two = batch([row(1, "a"), row(2, "a", 2)], present=[1, 2], within=["a"])
    with_one = batch([row(1, "a")], present=[1], within=["a"])
    loaded(things, with_two, with_one)
    assert rows_of(things, "select id from zendesk.things where _deleted_at is null") == [(1,)]

    loaded(things, with_one, with_two)
    assert rows_of(things, "select count(*) from zendesk.things where _deleted_at is null") == [(2,)]


def test_a_stretch_of_days_that_is_read_anew_replaces_what_stood_there(things: Warehouse) -> None:
    day = timedelta(days=1)
    loaded(things, batch([row(number, at=START + number * day) for number in range(4)]))

    loaded(things, batch([row(9, at=START + day)], present=[9], span=Span("at", START + day, START + 3 * day)))

    assert rows_of(things, "select id from zendesk.things where _deleted_at is null order by id") == [(0,), (3,), (9,)]


@pytest.mark.parametrize("left", [0, 90])
def test_that_nearly_everything_is_gone_is_not_believed_unless_somebody_says_so(things: Warehouse, left: int) -> None:
    loaded(things, batch([row(number) for number in range(200)]))

    with pytest.raises(WarehouseError, match=r"zendesk\.things: \d+ of 200 records.*fullpicture resync zendesk\.things"):
        loaded(things, batch(night=2, present=list(range(left))))
    assert rows_of(things, "select count(*) from zendesk.things where _deleted_at is null") == [(200,)]
    assert load.cursor(things, "zendesk", "things", "x.example") == {"night": 1}

    loaded(things, batch(night=2, present=list(range(left))), doubted=False)
    assert rows_of(things, "select count(*) from zendesk.things where _deleted_at is null") == [(left,)]


def test_a_rewound_read_begins_at_the_cursor_it_was_given(things: Warehouse) -> None:
    loaded(things, batch([row(1)]))

    load.rewind(things, "zendesk", "things", {"night": 0})
    assert load.cursor(things, "zendesk", "things", "x.example") == {"night": 0}

    load.rewind(things, "zendesk", "things", None)
    assert load.cursor(things, "zendesk", "things", "x.example") is None


@pytest.mark.parametrize("choices", [None, {"things": {"name": "Title__c"}}])
def test_where_a_cursor_begins_stays_when_everything_is_read_anew(
    things: Warehouse, choices: Mapping[str, Mapping[str, str]] | None
) -> None:
    begun = Batch(cursor={"from": "2026-01-01", "night": 1}, rows=batch([row(1)]).rows)
    loaded(things, begun)

    if choices is None:
        load.rewind(things, "zendesk", "things", None)
    assert load.cursor(things, "zendesk", "things", "x.example", choices=choices) == {"from": "2026-01-01"}


def test_arrow_types_of_connectors_and_column_types_of_the_warehouse_are_the_same_names() -> None:
    assert ARROW == schema.ARROW
    assert set(ARROW) == set(schema.TYPES)


@pytest.mark.parametrize(("counted", "reconciled"), [(1, False), (2, True), (3, True), (4, False)])
def test_what_was_deleted_lately_may_be_counted_still(things: Warehouse, counted: int, reconciled: bool) -> None:
    late = START + timedelta(hours=1)
    gone = [row(3, _deleted_at=late), row(4, _deleted_at=START)]
    report = ran(things, batch([row(1), row(2), *gone], counted=Count(counted, late=late)))
    assert report.proofs["things"].reconciled is reconciled


def test_a_refresh_gives_back_the_room_of_rows_that_were_replaced(tmp_path: Path) -> None:
    warehouse = Warehouse(f"duckdb:///{tmp_path / 'warehouse.duckdb'}", tmp_path)
    prepare(warehouse, [THINGS])
    loaded(warehouse, batch([row(id_) for id_ in range(3000)]))
    for night in range(2, 22):
        loaded(warehouse, batch([row(id_, 10_000 * "changed", night) for id_ in range(night, 3000, 100)], night=night))
    assert stretches(warehouse) > 10  # loads leave that alone, which spares them most of their memory

    with warehouse.begin("a refresh") as connection:
        connection.exec_driver_sql("create table unified.made as select repeat(uuid()::text, 10) as one from range(1000)")

    assert stretches(warehouse) <= 2


def stretches(warehouse: Warehouse) -> int:
    """Row groups of the table, one of which holds 122,880 rows."""
    found = rows_of(warehouse, "select count(distinct row_group_id) from pragma_storage_info('zendesk.things')")
    return int(found[0][0])
