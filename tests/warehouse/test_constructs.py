"""Every construct that SQL here may use gives the same on DuckDB and PostgreSQL, on values that tempt them to differ."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import sqlglot
from sqlglot import exp

from warehouse.constructs import ALLOWED, BECAUSE
from warehouse.engine import Dialect, Warehouse, verbatim
from warehouse.schema import TYPES
from warehouse.selects import translated

COLUMNS = {
    "id": "integer",
    "word": "text",
    "other": "text",
    "whole": "integer",
    "ratio": "double",
    "money": "decimal",
    "yes": "boolean",
    "moment": "timestamp",
    "day": "date",
    "facts": "json",
}
NIGHT = datetime(2026, 3, 29, 0, 59, 59, 999999, tzinfo=UTC)  # a second before clocks change in Europe
ROWS: list[tuple[Any, ...]] = [
    (1, "Émile's-Ltd.", "b", 7, 0.1, Decimal("1.00"), True, NIGHT, date(2024, 2, 29), '["x.com", "y.com"]'),
    (2, "", "a", -7, -2.5, Decimal("-0.01"), False, datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 31), "[]"),
    (3, None, None, None, None, None, None, None, None, None),
    (4, "  B  ", "B", 0, 0.0, Decimal("0.05"), True, datetime(1999, 12, 31, 23, 30, tzinfo=UTC), date(1999, 12, 31), "{}"),
    (5, "a/b?c#d", "Z", 10**12, 1e15, Decimal("12345678.99"), None, NIGHT, date(2026, 12, 31), '[{"name": "v1", "n": null}]'),
    (6, "ABC-12 %_", "a", 3, 1 / 3, Decimal("2.50"), False, datetime(2026, 7, 1, tzinfo=UTC), date(2026, 7, 1), "null"),
]

EACH = "select id, {} as result from sample order by id"
QUERIES = [
    *(
        EACH.format(expression)
        for expression in (
            "coalesce(word, other, 'none')",
            "nullif(word, '')",
            "least(whole, 3)",
            "case when whole > 0 then 'more' when whole is null then null else 'less' end",
            "word = other",
            "word <> other or word < other",
            "word >= other and not yes",
            "whole between -7 and 3",
            "whole <= 3",
            "word in ('', 'a/b?c#d') or whole in (select s.whole from sample as s where s.yes)",
            "word is not null",
            "word like '%b%'",
            "word like '%%_'",
            "other || '-' || word",
            "concat_ws(' ', word, other)",
            "whole + 2 - whole * 3",
            "cast(whole as double) / nullif(ratio, 0)",
            "cast(money * 0.01 as decimal(18, 2))",
            "cast(whole as text)",
            "cast(day as text)",
            "cast(money as text)",
            "cast(day as timestamptz)",
            "lower(word)",
            "upper(word)",
            "length(word)",
            "left(word, 3)",
            "trim(word, ' ')",
            "rtrim(word, '_ .')",
            "split_part(word, '/', 1)",
            "split_part(word, '/', 2)",
            "split_part(word, '/', 9)",
            "strpos(word, 'b')",
            "starts_with(word, other)",
            "regexp_matches(word, '[A-Z][A-Z0-9_]+-[0-9]')",
            "regexp_replace(word, '^[^/]*/', '')",
            "sha256(word || '\\' || other)",
            "json_extract_string(cast(facts as json), '$[0].name')",
            "cast(moment at time zone 'Europe/Berlin' as date)",
            "date_trunc('month', moment)",
            "cast(date_trunc('quarter', moment) as date)",
            "cast(epoch(date_trunc('second', moment)) as double)",
            "strftime(moment, '%Y-%m-%d %H:%M')",
            "cast(day + interval 12 month as date)",
            "cast(day - interval 1 month as date)",
            "moment - 26 * interval 1 hour",
            "day - date '2026-01-01'",
            "day + cast(3 as integer)",
            "exists (select 1 from sample as s where s.other = sample.word)",
            "row_number() over (partition by yes order by word desc nulls last, id)",
            "sum(money) over (partition by other)",
        )
    ),
    "select count(*), count(word), count(distinct other), sum(money), sum(whole) from sample where true",
    "select min(word), max(word), min(moment), max(day), min(money), bool_or(yes) from sample",
    "select other, count(*) filter (where yes) as n from sample group by other having count(*) > 0 order by other nulls last",
    "select string_agg(other, ', ' order by other, id) filter (where other <> 'Z') as result from sample",
    "select json_extract_string(cast(facts as json), '$[0]') as result from sample where id in (1, 2, 3) order by id",
    "select distinct other from sample order by other desc nulls last",
    "with a as (select id from sample where id < 3)"
    " select a.id, s.word from a left join sample as s on s.id = a.id + 2 order by a.id",
    "select id from (select id from sample union all select id from sample) as twice order by id",
    "select s.* from sample as s where (s.id = 1 or s.id = 2) and null is null order by s.id",
]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]) -> dict[Dialect, Warehouse]:
    folder = tmp_path_factory.mktemp("constructs")
    urls: dict[Dialect, str] = {"duckdb": f"duckdb:///{folder / 'w.duckdb'}", "postgresql": new_database()}
    found = {dialect: Warehouse(url, folder / dialect) for dialect, url in urls.items()}
    table = sa.Table("sample", sa.MetaData(), *(sa.Column(name, TYPES[type_]) for name, type_ in COLUMNS.items()))
    for warehouse in found.values():
        with warehouse.begin("sample") as connection:
            connection.execute(sa.schema.CreateTable(table))
            connection.execute(table.insert(), [dict(zip(COLUMNS, row, strict=True)) for row in ROWS])
    return found


def answer(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    with warehouse.begin("ask") as connection:
        return [tuple(row) for row in connection.execute(verbatim(sql))]


@pytest.mark.parametrize("query", QUERIES)
def test_a_construct_means_the_same_on_both_databases(databases: dict[Dialect, Warehouse], query: str) -> None:
    tree = sqlglot.parse_one(query, read="duckdb")
    assert isinstance(tree, exp.Query)

    answers = {dialect: answer(warehouse, translated(tree, dialect)) for dialect, warehouse in databases.items()}

    assert answers["duckdb"] == answers["postgresql"]
    assert answers["duckdb"]


def test_every_allowed_construct_is_proven_here() -> None:
    proven = {node.key for query in QUERIES for node in sqlglot.parse_one(query, read="duckdb").walk()}

    assert proven >= ALLOWED, "allowed, but not proven"
    assert not set(BECAUSE) & ALLOWED


def test_every_file_of_sql_keeps_to_the_allowed_constructs() -> None:
    house = Path(__file__).parents[2] / "warehouse"
    used: dict[str, str] = {}
    for path in [*house.glob("models/*/*.sql"), *house.glob("gaps/*/*.sql")]:
        for node in sqlglot.parse_one(path.read_text(), read="duckdb").walk():
            used.setdefault(f"{node.name}()" if isinstance(node, exp.Anonymous) else node.key, path.name)

    assert {name: file for name, file in used.items() if name not in ALLOWED} == {}
