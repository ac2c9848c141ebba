"""A model is built again when something that it is made of has changed, and only then; on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from tests.warehouse.things import THINGS, batch, loaded, row, rows_of
from warehouse import migrate, models
from warehouse.engine import Warehouse
from warehouse.models import Models

HEAD = "-- One row per thing.\n-- key: id\n-- id integer: Its number.\n-- name text: Its name.\n"
OF_THINGS = f"{HEAD}select thing.id, thing.name from zendesk.things as thing where thing._deleted_at is null\n"
OF_THINGS_AND_DAY = OF_THINGS.replace(" where", " cross join settings.clock as clock where clock.today is not null and")
OF_ANOTHER = f"{HEAD}select thing.id, thing.name from unified.things as thing\n"
OF_GAPS = f"{HEAD}select count(*) as id, max(gap.title) as name from unified.gaps as gap\n"

Shelf = Callable[..., Models]


@pytest.fixture
def things(warehouse: Warehouse) -> Warehouse:
    migrate.prepare(warehouse, [THINGS])
    done(
        warehouse,
        "insert into settings.clock values (timestamptz '2026-03-01 04:00+00', date '2026-03-01', 'UTC')",
        "insert into settings.options (fresh_hours) values (26)",
    )
    loaded(warehouse, batch([row(1, "one"), row(2, "two"), row(3, "three")]))
    return warehouse


def done(warehouse: Warehouse, *statements: str) -> None:
    with warehouse.begin("a test writes") as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def built(warehouse: Warehouse, library: Models, name: str = "things") -> bool:
    """Whether it was built anew; what then stands in it is what the SELECT gives."""
    with warehouse.begin("build") as connection:
        build = models.build(connection, library[name], library.shape([THINGS]))
    sql = library[name].sql(warehouse.dialect)
    assert sorted(rows_of(warehouse, f"select * from unified.{name}")) == sorted(rows_of(warehouse, sql))
    assert all(verdict.passed for verdict in build.checks)
    assert [verdict.name for verdict in build.checks] == list(models.CHECKS)
    assert set(build.lineage) == {"id", "name"}
    return not build.unchanged


def test_what_has_not_changed_is_not_built_again_and_holds_today_too(things: Warehouse, shelf: Shelf) -> None:
    library = shelf(things=OF_THINGS)
    assert built(things, library)
    first = rows_of(things, "select built_at, as_of, today from unified.tables")
    done(things, "update settings.clock set as_of = timestamptz '2026-03-02 04:00+00', today = date '2026-03-02'")

    assert not built(things, library)

    ((built_at, as_of, today),) = rows_of(things, "select built_at, as_of, today from unified.tables")
    assert (built_at,) == first[0][:1]
    assert (as_of.isoformat(), today.isoformat()) == ("2026-03-02T04:00:00+00:00", "2026-03-02")


@pytest.mark.parametrize(
    "arrives",
    [
        batch([row(4, "four")], night=2),
        batch([row(1, "ONE", 2)], night=2),
        batch([], night=2, present=[1, 2]),
        batch([row(1, "one", extra='{"x":1}')], night=2),
    ],
    ids=["a new row", "a changed one", "a deleted one", "a change in what nobody declared"],
)
def test_a_raw_table_that_was_written_to_is_read_again(things: Warehouse, shelf: Shelf, arrives: object) -> None:
    library = shelf(things=OF_THINGS)
    assert built(things, library)

    loaded(things, arrives)  # type: ignore[arg-type]

    assert built(things, library)
    assert not built(things, library)


def test_rows_that_come_as_they_stand_change_nothing(things: Warehouse, shelf: Shelf) -> None:
    library = shelf(things=OF_THINGS)
    assert built(things, library)

    loaded(things, batch([row(1, "one"), row(2, "two", touched=9)], night=2, present=[1, 2, 3]))

    assert not built(things, library)


def test_the_day_counts_for_who_reads_it_and_the_hour_for_nobody_who_does_not(things: Warehouse, shelf: Shelf) -> None:
    library = shelf(things=OF_THINGS_AND_DAY)
    assert built(things, library)
    done(things, "update settings.clock set as_of = timestamptz '2026-03-01 23:00+00'")
    assert not built(things, library)

    done(things, "update settings.clock set today = date '2026-03-02'")

    assert built(things, library)


def test_another_text_is_another_model(things: Warehouse, shelf: Shelf) -> None:
    assert built(things, shelf(things=OF_THINGS))
    assert built(things, shelf(things=OF_THINGS.replace("is null", "is null and thing.id > 1")))
    assert built(things, shelf(things=OF_THINGS.replace("is null", "is null and thing.id > 1").replace("name.", "title.")))


def test_who_reads_a_table_that_was_built_anew_is_built_anew(things: Warehouse, shelf: Shelf) -> None:
    library = shelf(things=OF_THINGS, others=OF_ANOTHER)
    assert built(things, library)
    assert built(things, library, "others")
    assert not built(things, library)
    assert not built(things, library, "others")
    loaded(things, batch([row(9, "nine")], night=2))

    assert built(things, library)
    assert built(things, library, "others")


def test_of_a_ledger_only_what_is_read_counts(things: Warehouse, shelf: Shelf) -> None:
    library = shelf(things=OF_GAPS)
    done(things, "insert into unified.gaps (gap_id, title, status) values ('a', 'A gap', 'open')")
    assert built(things, library)
    done(things, "update unified.gaps set last_seen_at = timestamptz '2026-03-02 04:00+00'")
    assert not built(things, library)

    done(things, "update unified.gaps set title = 'A wider gap'")

    assert built(things, library)


def test_a_table_that_somebody_dropped_is_there_again(things: Warehouse, shelf: Shelf) -> None:
    library = shelf(things=OF_THINGS)
    assert built(things, library)
    done(things, f"drop {'table' if things.dialect == 'duckdb' else 'view'} unified.things")

    assert built(things, library)
