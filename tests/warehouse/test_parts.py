"""A large model is built anew only where what it is made of has changed, and then is what its SELECT gives; on both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from tests.warehouse.things import batch, loaded, rows_of
from warehouse import migrate, models
from warehouse.engine import Warehouse
from warehouse.models import CheckFailed, Models
from warehouse.schema import Column, RawTable
from warehouse.selects import ModelError

USES = RawTable(
    schema="zendesk",
    name="uses",
    description="Who used it when.",
    columns=(
        Column("id", "integer", "The row's number."),
        Column("day", "date", "The day."),
        Column("place", "text", "Where."),
        Column("who", "text", "Who."),
    ),
)
PLACES = RawTable(
    schema="zendesk",
    name="places",
    description="Whose places they are.",
    columns=(
        Column("id", "integer", "The row's number."),
        Column("place", "text", "Where."),
        Column("owner", "text", "Whose it is."),
        Column("note", "text", "What nobody reads."),
    ),
)
HEAD = "-- One row per user, place and day.\n-- key: place, who, day\n-- by: day\n-- place text: Where.\n-- who text: Who.\n"
BY_DAY = f"""{HEAD}-- day date: When.
-- times integer: How often.
select use.place, use.who, use.day, count(*) as times
from zendesk.uses as use
where use._deleted_at is null
group by use.place, use.who, use.day
"""
BY_DAY_AND_OWNER = """-- One row per owner and day.
-- key: owner, day
-- by: day, owner
-- owner text: Whose.
-- day date: When.
-- people integer: How many.
select place.owner, use.day, count(distinct use.who) as people
from unified.uses as use
join zendesk.places as place on place.place = use.place and place._deleted_at is null
group by place.owner, use.day
"""
TOTALS = """-- One row per day.
-- key: day
-- by: day
-- day date: When.
-- owners integer: Whose places somebody was at.
select owner.day, count(*) as owners
from unified.owners as owner
group by owner.day
"""
UNTOUCHED = -1  # what a test writes into rows, to see which of them are built anew


def use(id_: int, day: int, place: str, who: str) -> dict[str, Any]:
    return {"id": id_, "day": date(2026, 3, day), "place": place, "who": who}


def place(id_: int, name: str, owner: str, note: str = "") -> dict[str, Any]:
    return {"id": id_, "place": name, "owner": owner, "note": note}


@pytest.fixture
def library(shelf: Callable[..., Models]) -> Models:
    return shelf(uses=BY_DAY, owners=BY_DAY_AND_OWNER)


@pytest.fixture
def house(warehouse: Warehouse, library: Models) -> Warehouse:
    """Ten days, on each of which ann is at the inn and bob in the barn; both tables are built."""
    migrate.prepare(warehouse, [USES, PLACES])
    with warehouse.begin("a test writes") as connection:
        connection.execute(sa.text("insert into settings.clock values (timestamptz '2026-03-11', date '2026-03-11', 'UTC')"))
        connection.execute(sa.text("insert into settings.options (fresh_hours) values (26)"))
    uses = (each for day in range(1, 11) for each in (use(day, day, "inn", "ann"), use(100 + day, day, "barn", "bob")))
    arrive(warehouse, USES, uses)
    arrive(
        warehouse,
        PLACES,
        [place(1, "inn", "rose"), place(2, "barn", "oak"), *(place(n, f"hut {n}", f"fir {n}") for n in range(3, 7))],
    )
    assert build(warehouse, library, "uses").parts is None
    assert build(warehouse, library, "owners").parts is None
    return warehouse


def arrive(warehouse: Warehouse, table: RawTable, rows: Iterable[dict[str, Any]], *, present: list[int] | None = None) -> None:
    loaded(warehouse, batch(rows, table=table, present=present), table=table)


def build(warehouse: Warehouse, library: Models, name: str) -> models.Build:
    with warehouse.begin("build") as connection:
        return models.build(connection, library[name], library.shape([USES, PLACES]))


def mark(warehouse: Warehouse, name: str, column: str) -> None:
    tables = [f"unified.{name}"]
    if warehouse.dialect == "postgresql":  # a view of one of the two that may stand
        tables = [
            where
            for (where,) in rows_of(
                warehouse, f"select 'build.' || tablename from pg_tables where tablename in ('{name}_a', '{name}_b')"
            )
        ]
    with warehouse.begin("a test marks all rows") as connection:
        for table in tables:
            connection.execute(sa.text(f"update {table} set {column} = {UNTOUCHED}"))


def rebuilt(warehouse: Warehouse, library: Models, name: str) -> tuple[models.Build, set[tuple[Any, ...]]]:
    """Builds a table whose rows all were marked; returns which keys are new, each of which must be what the SELECT gives."""
    model = library[name]
    figure = model.columns[-1].name
    mark(warehouse, name, figure)
    done = build(warehouse, library, name)
    keys = ", ".join(model.key)
    new = set(rows_of(warehouse, f"select {keys}, {figure} from unified.{name} where {figure} <> {UNTOUCHED}"))
    wanted = set(rows_of(warehouse, f"select {keys}, {figure} from ({model.sql(warehouse.dialect)}) as wanted"))
    assert new <= wanted
    stands = rows_of(warehouse, f"select {keys} from unified.{name}")
    assert sorted(stands) == sorted(row[: len(model.key)] for row in wanted)
    assert done.rows == len(stands)
    assert all(verdict.passed for verdict in done.checks)
    return done, {row[: len(model.key)] for row in new}


def test_only_the_days_that_changed_are_built_anew(house: Warehouse, library: Models) -> None:
    arrive(house, USES, [use(3, 3, "inn", "carl"), use(111, 11, "barn", "bob")])

    done, new = rebuilt(house, library, "uses")

    assert done.parts == {"day": (2, 11)}
    assert {day for _, _, day in new} == {date(2026, 3, 3), date(2026, 3, 11)}
    assert ("inn", "carl", date(2026, 3, 3)) in new
    assert ("barn", "bob", date(2026, 3, 3)) in new  # of the same day, though it did not change


def test_a_day_that_loses_all_its_rows_goes(house: Warehouse, library: Models) -> None:
    left = [each for day in range(1, 11) for each in (day, 100 + day) if day != 4]
    arrive(house, USES, [], present=left)

    done, new = rebuilt(house, library, "uses")

    assert done.parts == {"day": (1, 10)}  # marked as deleted, its rows stand in the raw table
    assert new == set()
    assert rows_of(house, "select count(*) from unified.uses") == [(18,)]


def test_what_is_made_of_it_follows_by_day(house: Warehouse, library: Models) -> None:
    arrive(house, USES, [use(200, 7, "inn", "dora")])
    build(house, library, "uses")

    done, new = rebuilt(house, library, "owners")

    assert done.parts == {"day": (1, 10), "owner": (0, 6)}
    assert new == {("rose", date(2026, 3, 7)), ("oak", date(2026, 3, 7))}
    assert rows_of(house, "select people from unified.owners where owner = 'rose' and day = date '2026-03-07'") == [(2,)]


def test_what_changes_hands_moves_on_every_day_and_nothing_else_does(house: Warehouse, library: Models) -> None:
    arrive(house, PLACES, [place(2, "barn", "fir 3")])

    done, new = rebuilt(house, library, "owners")

    assert done.parts == {"day": (0, 10), "owner": (2, 5)}
    assert {owner for owner, _ in new} == {"fir 3"}
    assert len(new) == 10


def test_what_moves_on_every_day_moves_what_is_made_of_it_too(house: Warehouse, shelf: Callable[..., Models]) -> None:
    library = shelf(uses=BY_DAY, owners=BY_DAY_AND_OWNER, totals=TOTALS)
    build(house, library, "totals")
    arrive(house, PLACES, [place(2, "barn", "rose")])
    build(house, library, "owners")

    done, new = rebuilt(house, library, "totals")

    assert (done.parts, len(new)) == (None, 10)
    assert set(rows_of(house, "select owners from unified.totals")) == {(1,)}


def test_a_column_that_is_not_read_changes_nothing(house: Warehouse, library: Models) -> None:
    arrive(house, PLACES, [place(2, "barn", "oak", note="new roof")])

    done, new = rebuilt(house, library, "owners")

    assert done.parts == {"day": (0, 10), "owner": (0, 6)}
    assert new == set()


def test_another_select_builds_the_whole(house: Warehouse, library: Models, shelf: Callable[..., Models]) -> None:
    other = shelf(uses=BY_DAY.replace("count(*)", "count(*) * 2"))

    done, new = rebuilt(house, other, "uses")
    assert (done.parts, len(new)) == (None, 20)

    done, new = rebuilt(house, library, "owners")
    assert (done.parts, len(new)) == (None, 20)  # each day of what it reads is another one now


def test_a_part_that_is_not_fit_to_be_read_keeps_all_as_it_was_and_is_tried_again(
    house: Warehouse, library: Models, shelf: Callable[..., Models]
) -> None:
    before = sorted(rows_of(house, "select place, who, day, times from unified.uses"))
    loose = shelf(uses=BY_DAY.replace("key: place, who, day", "key: place, day"))
    build(house, loose, "uses")
    arrive(house, USES, [use(300, 5, "inn", "eve")])
    with pytest.raises(CheckFailed, match="place, day stands more than once, first for inn/2026-03-05"):
        build(house, loose, "uses")
    assert sorted(rows_of(house, "select place, who, day, times from unified.uses")) == before

    with pytest.raises(CheckFailed):
        build(house, loose, "uses")
    arrive(house, USES, [use(300, 5, "barn", "eve"), use(105, 5, "inn", "ann")])
    done, new = rebuilt(house, loose, "uses")
    assert done.parts == {"day": (1, 10)}
    assert new == {("barn", date(2026, 3, 5)), ("inn", date(2026, 3, 5))}


def test_a_model_is_built_by_columns_of_its_key(shelf: Callable[..., Models]) -> None:
    with pytest.raises(ModelError, match="is built by who, which is no date/integer/text of its key"):
        shelf(uses=BY_DAY.replace("key: place, who, day", "key: place, day").replace("by: day", "by: who")).check([USES])
