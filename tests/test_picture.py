"""The demo's company, night after night: what the tables say of it is what is true of it, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.world import World
from tests.night import Company, Row, company
from tests.truth.gaps import RULES
from tests.truth.picture import Nights, Picture
from tests.truth.raw import TABLES, Shown, check
from warehouse.engine import Warehouse
from warehouse.models import library

SLEEPS = (0, 5, 13)  # days before each night
NIGHTS = range(len(SLEEPS))
QUESTIONS = Path(__file__).parents[1] / "warehouse" / "questions"
KEYS: Mapping[str, tuple[str, ...]] = {  # table of the truth → the columns that its keys are of
    "deals": ("deal_id",),
    "tickets": ("ticket_id",),
    "issues": ("issue_id",),
    "ticket_issue_links": ("ticket_id", "issue_id"),
    "usage": ("account_id", "visitor_id", "feature_id", "day"),
    "usage_daily": ("customer_id", "day"),
    "feature_usage_daily": ("customer_id", "feature_id", "day"),
    "evidence": ("kind", "record_id", "feature_id"),
    "customers": ("customer_id",),
    "features": ("feature_id",),
    "gaps": ("rule", "entity_id"),
}
MODELS = [model.name for model in library()]
# When something was noticed here, which differs between two runs over one world.
CLOCKS = {"unified.ticket_issue_links": {"last_seen", "removed_at"}}


@dataclass
class Night:
    """What was true one night, and what the tables said."""

    at: datetime
    truth: Picture
    shown: Mapping[str, Mapping[Any, Row]]
    tables: dict[str, list[Row]] = field(default_factory=dict)
    on_postgres: dict[str, list[Row]] = field(default_factory=dict)


@dataclass
class Story:
    """Some nights of one company, which is still there as it was at the end of the last."""

    company: Company
    on_postgres: Company
    nights: list[Night]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]) -> Iterator[Story]:
    """Each night is read into DuckDB and into PostgreSQL."""
    home, other_home = tmp_path_factory.mktemp("duckdb"), tmp_path_factory.mktemp("postgres")
    with company(World(), home) as duckdb:
        postgres = Company(duckdb.running, Warehouse(new_database(), other_home, wait_seconds=20), other_home)
        true, shown, nights = Nights(duckdb.world), Shown(duckdb.world), []
        for days in SLEEPS:
            duckdb.world.advance(days)
            duckdb.night()
            postgres.night()
            night = Night(duckdb.world.now, true.tonight(), shown.tonight())
            with postgres.warehouse.hold("look at every table"):
                for table in (*TABLES, *(f"unified.{name}" for name in (*MODELS, "customer_links", "gaps", "gap_events"))):
                    night.tables[table], night.on_postgres[table] = duckdb.rows(table), postgres.rows(table)
            nights.append(night)
        yield Story(duckdb, postgres, nights)


# what was read ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("night", NIGHTS)
@pytest.mark.parametrize("table", TABLES)
def test_a_raw_table_holds_what_the_tool_holds(story: Story, table: str, night: int) -> None:
    check(table, story.nights[night].tables[table], story.nights[night].shown[table])


def test_reading_again_what_has_not_changed_writes_no_row(story: Story) -> None:
    before = {table: sorted(map(repr, story.company.rows(table))) for table in TABLES}
    reports = story.company.sync()
    written = {table: report.inserted + report.updated + report.deleted for table, report in reports.items()}
    assert {table: rows for table, rows in written.items() if rows} == {}
    assert {table: sorted(map(repr, story.company.rows(table))) for table in TABLES} == before


# what was made of it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("night", NIGHTS)
@pytest.mark.parametrize("table", [table for table in KEYS if table != "gaps"])
def test_a_unified_table_says_what_is_true(story: Story, table: str, night: int) -> None:
    rows = story.nights[night].tables[f"unified.{table}"]
    if table == "ticket_issue_links":
        rows = [row for row in rows if row["removed_at"] is None]
    agree(getattr(story.nights[night].truth, table), rows, KEYS[table])


@pytest.mark.parametrize("night", NIGHTS)
def test_who_visits_for_one_account_is_its_person(story: Story, night: int) -> None:
    rows = [row for row in story.nights[night].tables["unified.people"] if row["tool"] == "pendo" and row["active"]]
    agree(story.nights[night].truth.visitors, rows, ("person_id",))


@pytest.mark.parametrize("night", NIGHTS)
@pytest.mark.parametrize("rule", RULES)
def test_the_open_gaps_are_those_that_are_true(story: Story, rule: str, night: int) -> None:
    expected = {key: gap for key, gap in story.nights[night].truth.gaps.items() if key[0] == rule}
    rows = [row for row in story.nights[night].tables["unified.gaps"] if row["rule"] == rule and row["status"] == "open"]
    agree(expected, rows, KEYS["gaps"])


def test_the_demo_shows_every_rule_at_work_but_the_one_for_late_data(story: Story) -> None:
    assert {rule for rule, _ in story.nights[0].truth.gaps} == RULES.keys() - {"source_late"}


@pytest.mark.parametrize("night", NIGHTS)
def test_every_living_record_has_its_customer_by_the_way_it_was_found(story: Story, night: int) -> None:
    expected = {
        place: customer_id for customer_id, company in story.nights[night].truth.companies.items() for place in company.places
    }
    links = [row for row in story.nights[night].tables["unified.customer_links"] if row["valid_to"] is None]
    found = {(row["tool"], row["record_type"], row["record_id"]): row["customer_id"] for row in links}
    assert len(found) == len(links)
    assert {place: found.get(place) for place in expected} == expected


# what lasts ---------------------------------------------------------------------------------------------------------


def test_no_record_changes_its_customer(story: Story) -> None:
    """In this world nobody corrects an id that somebody had declared."""
    customers: dict[tuple[str, ...], set[str]] = {}
    for night in story.nights:
        for row in night.tables["unified.customer_links"]:
            if row["valid_to"] is None:
                customers.setdefault((row["tool"], row["record_type"], row["record_id"]), set()).add(row["customer_id"])
    assert [place for place, ids in customers.items() if len(ids) > 1] == []


def test_a_gap_is_opened_resolved_and_reopened_as_its_thing_comes_and_goes(story: Story) -> None:
    expected: set[tuple[str, str, str, datetime]] = set()
    known: set[tuple[str, str]] = set()
    last: set[tuple[str, str]] = set()
    for night in story.nights:
        now = set(night.truth.gaps)
        expected |= {(*gap, "reopened" if gap in known else "opened", night.at) for gap in now - last}
        expected |= {(*gap, "resolved", night.at) for gap in last - now}
        known, last = known | now, now
    gaps = {row["gap_id"]: row for row in story.nights[-1].tables["unified.gaps"]}
    events = story.nights[-1].tables["unified.gap_events"]
    things = [(gaps[event["gap_id"]]["rule"], gaps[event["gap_id"]]["entity_id"]) for event in events]
    found = [(*thing, event["event"], utc(event["happened_at"])) for thing, event in zip(things, events, strict=True)]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert {"opened", "resolved"} == {event[2] for event in expected}


def test_a_link_that_was_removed_stays_with_the_night_that_noticed(story: Story) -> None:
    standing = [set(night.truth.ticket_issue_links) for night in story.nights]
    removed = (standing[0] | standing[1]) - standing[2]
    rows = story.nights[2].tables["unified.ticket_issue_links"]
    assert {(row["ticket_id"], row["issue_id"]) for row in rows if row["removed_at"] is not None} == removed
    assert removed


@pytest.mark.parametrize("night", NIGHTS)
@pytest.mark.parametrize(
    "table", [*(f"unified.{name}" for name in MODELS), "unified.customer_links", "unified.gaps", "unified.gap_events"]
)
def test_postgresql_says_the_same_as_duckdb(story: Story, table: str, night: int) -> None:
    ours, theirs = (
        sorted(
            tuple(str(plain(value)) for name, value in row.items() if name not in own_clocks(table)) for row in tables[table]
        )
        for tables in (story.nights[night].tables, story.nights[night].on_postgres)
    )
    assert [row for row in ours if row not in theirs][:3] == [row for row in theirs if row not in ours][:3] == []
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("question", sorted(QUESTIONS.glob("*.sql")), ids=lambda path: path.stem)
def test_a_question_has_one_answer_on_both_databases(story: Story, question: Path) -> None:
    ours, theirs = (
        [
            {name: str(plain(value)) for name, value in row.items() if name != "built_at"}
            for row in asked.ask(question.read_text())
            if row.get("table_name") not in ("customer_links", "gaps", "gap_events")  # which only the jobs count
        ]
        for asked in (story.company, story.on_postgres)
    )
    assert ours == theirs
    assert ours or question.stem == "renewals_at_risk"


def own_clocks(table: str) -> set[str]:
    return CLOCKS.get(table, set()) | {"run_id"}


# how two rows are compared ------------------------------------------------------------------------------------------


def agree(expected: Mapping[Any, Row], rows: list[Row], key: tuple[str, ...]) -> None:
    """The same things, and every column that the truth defines says the same of each of them."""
    found = {tuple(row[name] for name in key) if len(key) > 1 else row[key[0]]: row for row in rows}
    assert len(found) == len(rows), "one thing has two rows"
    assert {"missing": expected.keys() - found.keys(), "too many": found.keys() - expected.keys()} == {
        "missing": set(),
        "too many": set(),
    }
    assert differences(expected, found) == []


def differences(expected: Mapping[Any, Row], found: Mapping[Any, Row]) -> list[tuple[Any, str, Any, Any]]:
    """The first of: key, column, what is true, what is said."""
    return [
        (key, column, value, found[key][column])
        for key, row in expected.items()
        for column, value in row.items()
        if not same(plain(value), plain(found[key][column]))
    ][:5]


def same(true: Any, said: Any) -> bool:
    """Shares and days are equal within a second of a day, for the tables count whole seconds."""
    if isinstance(true, float) and isinstance(said, float):
        return abs(true - said) < 1.2e-5
    return bool(true == said)


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"))
    return value


def utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
