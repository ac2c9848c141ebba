"""Models: what the static check catches, and how a new version takes the place of the old one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestration.synced import raw_tables
from tests.warehouse.things import THINGS, batch, loaded, row, rows_of
from warehouse import gaps, migrate, models
from warehouse.engine import Warehouse, WarehouseError, verbatim
from warehouse.models import CheckFailed, Models
from warehouse.selects import ModelError

GOOD = """\
-- One row per thing.
-- key: thing_id
-- thing_id text: The thing's number.
-- name text: What it is called,
--   in its tool.
select
    cast(thing.id as text) as thing_id,
    thing.name
from zendesk.things as thing
where thing._deleted_at is null
"""


def build(warehouse: Warehouse, library: Models, name: str, **options: bool) -> models.Build:
    with warehouse.begin("build") as connection:
        return models.build(connection, library[name], library.shape([THINGS]), **options)


@pytest.fixture
def things(warehouse: Warehouse) -> Warehouse:
    migrate.prepare(warehouse, [THINGS])
    with warehouse.begin("clock") as connection:
        connection.execute(sa.text("insert into settings.clock values (timestamptz '2026-03-01', date '2026-03-01', 'UTC')"))
        connection.execute(sa.text("insert into settings.options (fresh_hours) values (26)"))
    loaded(warehouse, batch([row(1, "one"), row(2, "two"), row(3, "three"), row(4, "four")]))
    return warehouse


def test_every_model_and_rule_of_the_house_passes_its_check() -> None:
    library = models.library()
    library.check(raw_tables())
    rules = gaps.rules()
    gaps.check(rules, library.shape(raw_tables()))

    assert {model.group for model in library} == {"customers", "features", "facts"}
    assert {rule.category for rule in rules} == set(gaps.CATEGORIES)


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("thing.name\n", "thing.nmae as name\n"), 8, "nmae"),
        (("zendesk.things", "zendesk.thongs"), 9, "zendesk.thongs, which does not exist"),
        (("thing.name\n", "now() as name\n"), 8, "Join settings.clock"),
        (("thing.name\n", "current_date as name\n"), 8, "Join settings.clock"),
        (("thing.name\n", "first(thing.name) as name\n"), 8, "not proven to mean the same"),
        (("thing.name\n", "frobnicate(thing.name) as name\n"), 8, "frobnicate()"),
        (("thing.name\n", "try_cast(thing.name as text) as name\n"), 8, "PostgreSQL has none"),
        (("thing.name\n", "thing.name,\n    thing.name\n"), 1, "selects name twice"),
        (("thing.name\n", "thing.name as title\n"), 4, "describes name as column 2, but selects title"),
        (("thing.name\n", "thing.name,\n    thing.id\n"), 1, "describes 2 columns and selects 3: see id"),
        (("-- key: thing_id", "-- key: number"), 1, "number in its key, which is no column"),
        (("text: What", "string: What"), 4, "is no column's description"),
        (("from zendesk.things", "from things"), 1, "without its schema"),
        (("select\n", "selekt\n"), 7, "is not valid SQL"),
        (("where thing", "; drop table zendesk.things; --"), 1, "something other than one SELECT"),
        (("select\n", "delete from zendesk.things; select\n"), 1, "something other than one SELECT"),
        (("where thing._deleted_at is null", "join zendesk.things as other on true where id = 1"), 10, "id"),
    ],
)
def test_a_broken_model_is_named_with_its_line(
    shelf: Callable[..., Models], change: tuple[str, str], line: int, message: str
) -> None:
    assert change[0] in GOOD
    with pytest.raises(ModelError) as caught:
        shelf(things=GOOD.replace(*change)).check([THINGS])

    assert message in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert (caught.value.path.name, caught.value.line) == ("things.sql", line)


def test_models_that_read_each_other_are_named(shelf: Callable[..., Models]) -> None:
    with pytest.raises(ModelError, match=r"in a circle: .*unified\.(a|b) → unified\.(a|b)"):
        shelf(a=GOOD.replace("zendesk.things", "unified.b"), b=GOOD.replace("zendesk.things", "unified.a"))


def test_a_model_comes_after_what_it_reads(shelf: Callable[..., Models]) -> None:
    library = shelf(a=GOOD.replace("thing.id", "thing.thing_id").replace("zendesk.things", "unified.z"), z=GOOD)

    assert library.names == ["z", "a"]
    assert library["a"].reads == {"zendesk/things"}


def test_a_built_table_has_its_rows_types_and_descriptions(things: Warehouse, shelf: Callable[..., Models]) -> None:
    library = shelf(things=GOOD)

    result = build(things, library, "things")

    assert rows_of(things, "select thing_id, name from unified.things order by 1")[0] == ("1", "one")
    assert (result.rows, result.previous_rows) == (4, None)
    assert result.lineage == {"thing_id": ["zendesk.things.id"], "name": ["zendesk.things.name"]}
    if things.dialect == "duckdb":
        comments = rows_of(
            things, "select comment from duckdb_columns() where table_name = 'things' and schema_name = 'unified'"
        )
        table = rows_of(things, "select comment from duckdb_tables() where table_name = 'things' and schema_name = 'unified'")
    else:
        comments = rows_of(things, "select col_description('unified.things'::regclass, n) from generate_series(1, 2) as n")
        table = rows_of(things, "select obj_description('unified.things'::regclass)")
    assert comments == [("The thing's number.",), ("What it is called, in its tool.",)]
    assert table == [("One row per thing.",)]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (("cast(thing.id as text)", "'same'"), "key_is_unique"),
        (("cast(thing.id as text)", "case when thing.id > 1 then cast(thing.id as text) end"), "key_is_never_null"),
        (("is null", "is null and thing.id = 1"), "rows_did_not_halve"),
    ],
)
def test_a_version_that_breaks_a_check_never_takes_its_place(
    things: Warehouse, shelf: Callable[..., Models], change: tuple[str, str], check: str
) -> None:
    build(things, shelf(things=GOOD), "things")

    with pytest.raises(CheckFailed) as caught:
        build(things, shelf(things=GOOD.replace(*change)), "things")

    failed = [verdict.name for verdict in caught.value.build.checks if not verdict.passed]
    assert check in failed
    assert rows_of(things, "select count(*), count(distinct thing_id) from unified.things") == [(4, 4)]
    assert rows_of(things, "select rows from unified.tables where table_name = 'things'") == [(4,)]


def test_a_table_may_shrink_when_somebody_accepts_it(things: Warehouse, shelf: Callable[..., Models]) -> None:
    build(things, shelf(things=GOOD), "things")

    build(things, shelf(things=GOOD.replace("is null", "is null and thing.id = 1")), "things", accept=True)

    assert rows_of(things, "select thing_id from unified.things") == [("1",)]


def test_half_of_the_rows_is_not_under_half(things: Warehouse, shelf: Callable[..., Models]) -> None:
    build(things, shelf(things=GOOD), "things")

    build(things, shelf(things=GOOD.replace("is null", "is null and thing.id < 3")), "things")

    assert rows_of(things, "select count(*) from unified.things") == [(2,)]


@pytest.fixture
def on_postgres(new_database: Callable[[], str], tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(new_database(), tmp_path / "work")
    migrate.prepare(warehouse, [THINGS])
    with warehouse.begin("clock") as connection:
        connection.execute(sa.text("insert into settings.clock values (timestamptz '2026-03-01', date '2026-03-01', 'UTC')"))
        connection.execute(sa.text("insert into settings.options (fresh_hours) values (26)"))
    loaded(warehouse, batch([row(1, "one"), row(2, "two")]))
    return warehouse


def test_on_postgresql_another_ones_view_and_grant_survive_ten_refreshes(
    on_postgres: Warehouse, shelf: Callable[..., Models]
) -> None:
    library = shelf(things=GOOD)
    build(on_postgres, library, "things")
    with on_postgres.begin("an analyst") as connection:
        connection.execute(verbatim("drop role if exists analyst_of_things"))
        connection.execute(verbatim("create role analyst_of_things"))
        connection.execute(verbatim("grant usage on schema unified to analyst_of_things"))
        connection.execute(verbatim("grant select on unified.things to analyst_of_things"))
        connection.execute(verbatim("grant select on unified.things to public"))
        connection.execute(verbatim("create view public.mine as select name from unified.things"))

    for number in range(10):
        loaded(on_postgres, batch([row(10 + number)], night=2 + number))
        build(on_postgres, library, "things")

    with on_postgres.begin("the analyst") as connection:
        connection.execute(verbatim("set local role analyst_of_things"))
        assert connection.execute(verbatim("select count(*) from unified.things")).scalar() == 12
    assert rows_of(on_postgres, "select count(*) from public.mine") == [(12,)]

    with on_postgres.begin("a new column") as connection:
        wider = GOOD.replace("--   in its tool.\n", "-- version integer: Its version.\n").replace(
            "thing.name\n", "thing.name,\n    thing.version\n"
        )
        models.build(connection, shelf(things=wider)["things"], library.shape([THINGS]))
    assert rows_of(on_postgres, "select count(version) from unified.things") == [(12,)]
    assert rows_of(on_postgres, "select count(*) from public.mine") == [(12,)]

    retyped = GOOD.replace("-- thing_id text", "-- thing_id integer").replace("cast(thing.id as text) as", "thing.id as")
    with pytest.raises(WarehouseError, match=r"mine depends on it: drop that view"):
        build(on_postgres, shelf(things=retyped), "things")
    with on_postgres.begin("the analyst gives way") as connection:
        connection.execute(verbatim("drop view public.mine"))
    build(on_postgres, shelf(things=retyped), "things")
    with on_postgres.begin("the analyst") as connection:
        connection.execute(verbatim("set local role analyst_of_things"))
        assert connection.execute(verbatim("select max(thing_id) from unified.things")).scalar() == 19
    with on_postgres.begin("clean") as connection:
        connection.execute(verbatim("drop owned by analyst_of_things"))
        connection.execute(verbatim("drop role analyst_of_things"))
