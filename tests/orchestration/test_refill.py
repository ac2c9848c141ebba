"""A map of fields that changes: columns follow it at the next night, filled from what is stored, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.sandbox import jira_site
from connectors.sandbox.serve import FIELDS
from connectors.sandbox.world import World
from orchestration import refill
from tests.flaws import LostWithoutReason
from tests.night import Company, company
from warehouse.engine import Warehouse

AREA, CUSTOMER = jira_site.PRODUCT_AREA, jira_site.CUSTOMER


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=pytest.mark.soak)])
def ours(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """A company after its first night, one issue of which is deleted; rows are filled a few at a time."""
    monkeypatch.setattr(refill, "ROWS", 7)
    new_database: Callable[[], str] = request.getfixturevalue("new_database")
    with company(World(size="tiny"), tmp_path, new_database() if request.param == "postgresql" else None) as ours:
        ours.off = ("salesforce", "zendesk", "pendo")
        ours.world.tick(300)
        ours.sync()
        ours.world.delete("issue", next(iter(ours.world.alive("issue")))["id"])
        ours.world.tick(300)
        ours.sync(["jira"])
        yield ours


def mapped(ours: Company, tool: str, stream: str, fields: Mapping[str, str]) -> int:
    """Syncs under another map. How many requests that took more than a night without."""
    server = {"jira": ours.running.jira, "salesforce": ours.running.salesforce}[tool]
    server.log.clear()
    ours.sync([tool])
    quiet = len(server.log)
    server.log.clear()
    ours.chosen = {tool: {"fields": {**FIELDS[tool], stream: dict(fields)}}}
    ours.sync([tool])
    return len(server.log) - quiet


def column(ours: Company, table: str, name: str) -> dict[str, Any]:
    return {row["id"]: row[name] for row in ours.ask(f"select id, {name} from {table}")}


@pytest.mark.parametrize("ours", ["duckdb", "postgresql"], indirect=True)
def test_issues_follow_the_map_without_being_read_again(ours: Company) -> None:
    fields = {id_: issue["fields"] for id_, issue in ours.world.issues.items()}
    areas = {id_: values[AREA] and values[AREA]["value"] for id_, values in fields.items()}
    customers = {id_: values[CUSTOMER] for id_, values in fields.items()}
    assert {value for value in areas.values() if value}
    assert {value for value in customers.values() if value}
    assert column(ours, "jira.issues", "product_area") == areas

    assert mapped(ours, "jira", "issues", {"customer": AREA}) <= 2  # the fields' names, perhaps

    assert column(ours, "jira.issues", "customer") == areas
    assert set(column(ours, "jira.issues", "product_area").values()) == {None}
    assert sum(row["_deleted_at"] is not None for row in ours.rows("jira.issues")) == 1

    assert mapped(ours, "jira", "issues", {"customer": CUSTOMER, "product_area": AREA}) <= 2

    assert column(ours, "jira.issues", "customer") == customers
    assert column(ours, "jira.issues", "product_area") == areas
    assert ours.rows("sync.rejects") == []


def test_deals_follow_the_map_too(ours: Company) -> None:
    ours.off = ("jira", "zendesk", "pendo")
    ours.sync()
    deals = ours.world.opportunities
    reasons = {id_: deal["Loss_Reason__c"] for id_, deal in deals.items()}
    assert {value for value in reasons.values() if value}

    assert mapped(ours, "salesforce", "opportunities", {"blocking_feature": "Loss_Reason__c"}) <= 2

    assert column(ours, "salesforce.opportunities", "blocking_feature") == reasons
    assert set(column(ours, "salesforce.opportunities", "loss_reason").values()) == {None}


def test_what_does_not_fit_is_listed_and_what_is_right_again_is_not(ours: Company) -> None:
    assert mapped(ours, "jira", "issues", {"story_points": CUSTOMER}) <= 2

    wrong = {id_ for id_, issue in ours.world.issues.items() if issue["fields"][CUSTOMER]}
    assert {row["record_id"] for row in ours.rows("sync.rejects")} == wrong
    assert {row["column_name"] for row in ours.rows("sync.rejects")} == {"story_points"}

    assert mapped(ours, "jira", "issues", {"customer": CUSTOMER}) <= 2

    assert ours.rows("sync.rejects") == []


def test_a_night_that_is_killed_while_it_fills_goes_on(ours: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = refill.stored.refill
    done = []

    def dies(*given: Any) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(whole(*given))

    monkeypatch.setattr(refill.stored, "refill", dies)
    with pytest.raises(KeyboardInterrupt):
        mapped(ours, "jira", "issues", {"customer": AREA})
    monkeypatch.setattr(refill.stored, "refill", whole)
    ours.sync(["jira"])

    areas = {id_: issue["fields"][AREA] and issue["fields"][AREA]["value"] for id_, issue in ours.world.issues.items()}
    assert column(ours, "jira.issues", "customer") == areas


def test_more_than_another_map_reads_everything_again(ours: Company) -> None:
    with ours.warehouse.begin("what only a new read would bring back") as connection:
        connection.execute(sa.text("update jira.issues set summary = 'as it was not'"))
    ours.chosen = {"jira": {"fields": {"issues": {"customer": AREA}}, "without": ["issues.labels"]}}

    ours.sync(["jira"])

    alive = {issue["id"]: issue["fields"]["summary"] for issue in ours.world.alive("issue")}
    assert {row["id"]: row["summary"] for row in ours.rows("jira.issues") if row["_deleted_at"] is None} == alive


def test_a_field_that_is_mapped_late_makes_the_tables_and_gaps_of_one_that_was_mapped_from_the_start(tmp_path: Path) -> None:
    def found(ours: Company) -> list[Any]:
        gaps = {(gap["gap_id"], gap["title"], gap["detail"]) for gap in ours.rows("unified.gaps")}
        return [sorted(column(ours, table, name).items()) for table, name in tables] + [sorted(gaps)]

    tables = [("salesforce.opportunities", "loss_reason")]
    with company(World(size="tiny"), tmp_path) as late:
        late.off = ("jira", "zendesk", "pendo")
        LostWithoutReason(late.world).plant()
        late.world.tick(300)
        late.chosen = {"salesforce": {"fields": {}}}
        late.sync()
        assert set(column(late, *tables[0]).values()) == {None}
        late.chosen = {}
        late.night()
        deals = late.world.opportunities
        assert column(late, *tables[0]) == {id_: deal["Loss_Reason__c"] for id_, deal in deals.items()}
        unified = {row["deal_id"]: row["loss_reason"] for row in late.rows("unified.deals")}
        assert unified == {deal["Id"]: deal["Loss_Reason__c"] for deal in late.world.alive("opportunity")}

        (tmp_path / "other").mkdir()
        other = Warehouse(f"duckdb:///{tmp_path / 'other' / 'warehouse.duckdb'}", tmp_path / "other")
        early = Company(late.running, other, tmp_path / "other", off=late.off)
        early.night()
        assert found(early) == found(late)
        assert {gap["rule"] for gap in late.rows("unified.gaps")} >= {LostWithoutReason.rule}
