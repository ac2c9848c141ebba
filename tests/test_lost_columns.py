"""What a vendor does not show any more, or in another form: what stands stays, is a gap, and moves again when it is back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.jira_site import PRODUCT_AREA
from connectors.sandbox.world import World
from tests.night import Company, company

RULE = "column_lost_or_changed"


LONG_ON_POSTGRESQL = ["duckdb", pytest.param("postgresql", marks=pytest.mark.soak)]
ON_POSTGRESQL = pytest.mark.parametrize(
    "ours", ["postgresql", pytest.param("duckdb", marks=pytest.mark.soak)], indirect=True
)  # what shows most of how the other database takes it


@pytest.fixture(params=LONG_ON_POSTGRESQL)
def ours(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Company]:
    new_database: Callable[[], str] = request.getfixturevalue("new_database")
    with company(World(size="tiny"), tmp_path, new_database() if request.param == "postgresql" else None) as ours:
        yield ours


def gaps(ours: Company, status: str = "open") -> dict[str, dict[str, Any]]:
    rows = ours.rows("unified.gaps")
    return {row["entity_id"]: row for row in rows if (row["rule"], row["status"]) == (RULE, status)}


def noted(ours: Company) -> set[tuple[str, str, str, str]]:
    return {(row["tool"], row["stream"], row["column_name"], row["change"]) for row in ours.rows("sync.lost_columns")}


def accounts(ours: Company) -> dict[str, dict[str, Any]]:
    return {row["id"]: {**row, "extra": json.loads(row["extra"])} for row in ours.rows("salesforce.accounts")}


def test_fields_that_salesforce_hides_keep_their_values_and_are_gaps_until_they_are_back(ours: Company) -> None:
    ours.off = ("jira", "zendesk", "pendo")
    org, world = ours.running.salesforce, ours.world
    org.hidden = {"Account.NumberOfEmployees"}  # never shown, so never lost
    first, second, *_ = world.accounts
    for account in world.accounts:
        world.change("account", account, Success_Plan__c="Grow")
    world.tick(3600)
    ours.night()
    before = accounts(ours)
    assert before[first]["website"]
    assert gaps(ours) == {}

    org.hidden |= {"Account.Website", "Account.Success_Plan__c"}
    world.change("account", first, Name="Renamed", Website="https://moved.example", Success_Plan__c="Shrink")
    new = world.create("account", Name="New", Website="https://new.example", OwnerId=world.accounts[first]["OwnerId"])["Id"]
    world.tick(300)
    report = ours.sync()["salesforce.accounts"]
    assert (report.inserted, report.updated, report.unchanged) == (1, 1, 0)  # that something went moves no other record
    ours.night()

    after = accounts(ours)
    assert after[first]["name"] == "Renamed"
    assert after[new]["website"] is None
    assert {id_: row["website"] for id_, row in after.items() if id_ != new} == {
        id_: row["website"] for id_, row in before.items()
    }
    assert {row["extra"].get("Success_Plan__c") for id_, row in after.items() if id_ != new} == {"Grow"}
    names = {"salesforce.accounts.website", "salesforce.accounts.Success_Plan__c"}
    assert gaps(ours).keys() == names
    assert {(gap["severity"], gap["owner"]) for gap in gaps(ours).values()} == {("critical", "operations")}
    assert gaps(ours)["salesforce.accounts.website"]["title"] == "salesforce.accounts.website is not shown any more"

    org.hidden = {"Account.NumberOfEmployees"}
    ours.night()
    again = accounts(ours)
    assert {id_: row["website"] for id_, row in again.items()} == {id_: row["Website"] for id_, row in world.accounts.items()}
    assert again[first]["extra"]["Success_Plan__c"] == "Shrink"
    assert again[second]["extra"]["Success_Plan__c"] == "Grow"
    assert noted(ours) == set()
    assert gaps(ours) == {}
    assert gaps(ours, "resolved").keys() == names


def test_what_nobody_wants_any_more_is_no_loss(ours: Company) -> None:
    ours.off = ("jira", "zendesk", "pendo")
    ours.sync()
    ours.running.salesforce.hidden = {"Account.Website"}
    ours.sync()
    assert noted(ours) == {("salesforce", "accounts", "website", "lost")}
    ours.chosen = {"salesforce": {"without": ["accounts.website"]}}
    ours.sync()
    assert noted(ours) == set()
    assert {row["website"] for row in ours.rows("salesforce.accounts")} == {None}


def test_a_mapped_field_that_jira_does_not_list_any_more_keeps_its_values(ours: Company) -> None:
    ours.off = ("salesforce", "zendesk", "pendo")
    world = ours.world
    ours.chosen = {"jira": {"fields": {"issues": {"product_area": "Product area"}}}}
    ours.sync()
    before = {row["id"]: row["product_area"] for row in ours.rows("jira.issues")}
    assert any(before.values())
    world.delete("field", PRODUCT_AREA)
    for issue in list(world.alive("issue")):
        world.change("issue", issue["id"], summary="Renamed")
    world.tick(300)
    ours.sync()
    assert {row["summary"] for row in ours.rows("jira.issues") if row["_deleted_at"] is None} == {"Renamed"}
    assert {row["id"]: row["product_area"] for row in ours.rows("jira.issues")} == before
    assert noted(ours) == {("jira", "issues", "product_area", "lost")}


@ON_POSTGRESQL
def test_a_mapped_field_that_zendesk_does_not_list_any_more_keeps_its_values_until_it_is_unmapped(ours: Company) -> None:
    ours.off = ("salesforce", "jira", "pendo")
    ours.chosen = {"zendesk": {"fields": {"tickets": {"feature": "Product area"}}}}
    ours.sync()
    before = {row["id"]: row["feature"] for row in ours.rows("zendesk.tickets")}
    assert any(before.values())
    (field,) = [each for each in ours.world.alive("ticket_field") if each["title"] == "Product area"]
    ours.world.delete("ticket_field", field["id"])
    for ticket in list(ours.world.alive("ticket")):
        ours.world.change("ticket", ticket["id"], subject="Renamed")
    ours.world.tick(300)
    ours.sync()
    assert "Renamed" in {row["subject"] for row in ours.rows("zendesk.tickets")}
    assert {row["id"]: row["feature"] for row in ours.rows("zendesk.tickets")} == before
    assert noted(ours) == {("zendesk", "tickets", "feature", "lost")}

    ours.chosen = {"zendesk": {"fields": {}}}
    ours.sync()
    assert noted(ours) == set()


def notes(ours: Company, header: str, *lines: str) -> None:
    (ours.home / "notes.csv").write_text("\n".join((header, *lines)) + "\n")


def stored(ours: Company) -> dict[str, tuple[int | None, str | None]]:
    return {row["id"]: (row["amount"], row["owner"]) for row in ours.rows("files.notes")}


@pytest.fixture
def filed(ours: Company) -> Company:
    """A company with twelve notes in a file."""
    ours.off = ("salesforce", "jira", "zendesk", "pendo")
    columns = {"id": "text", "amount": "integer", "owner": "text"}
    ours.chosen = {"files": {"streams": {"notes": {"path": "notes.csv", "key": ["id"], "columns": columns}}}}
    notes(ours, "id,amount,owner", *(f"n{each},{each},Ann" for each in range(12)))
    ours.sync()
    return ours


def test_a_column_that_a_file_lacks_or_that_holds_something_else_keeps_its_values(filed: Company) -> None:
    before = stored(filed)
    assert before["n11"] == (11, "Ann")
    notes(filed, "id,amount", *(f"n{each},much" for each in range(13)))
    filed.night()
    assert stored(filed) == {**before, "n12": (None, None)}
    assert noted(filed) == {("files", "notes", "amount", "changed"), ("files", "notes", "owner", "lost")}
    assert gaps(filed)["files.notes.amount"]["title"] == "files.notes.amount has changed: no value fits it any more"

    notes(filed, "id,amount,owner", *(f"n{each},{each * 2},Bea" for each in range(12)))
    filed.night()
    assert stored(filed) == {f"n{each}": (each * 2, "Bea") for each in range(12)} | {"n12": (None, None)}
    assert noted(filed) == set()
    assert gaps(filed) == {}


def test_a_changed_column_that_nobody_wants_any_more_is_no_gap(filed: Company) -> None:
    notes(filed, "id,amount,owner", *(f"n{each},much,Ann" for each in range(12)))
    filed.sync()
    assert noted(filed) == {("files", "notes", "amount", "changed")}
    filed.chosen = {"files": {**filed.chosen["files"], "without": ["notes.amount"]}}
    filed.sync()
    assert noted(filed) == set()
    assert filed.rows("sync.rejects") == []


def test_some_values_that_do_not_fit_are_no_change_of_the_column(filed: Company) -> None:
    notes(filed, "id,amount,owner", *(f"n{each},{'much' if each else 5},Ann" for each in range(12)))
    filed.sync()
    assert noted(filed) == set()
    assert {id_: amount for id_, (amount, _) in stored(filed).items()} == {
        f"n{each}": None if each else 5 for each in range(12)
    }
    assert len(filed.rows("sync.rejects")) == 11


@pytest.mark.parametrize(
    ("tool", "kind", "table", "key", "retired", "columns", "change"),
    [
        ("zendesk", "ticket", "tickets", "id", "priority", ("priority",), {"subject": "Renamed"}),
        ("jira", "issue", "issues", "id", "priority", ("priority", "priority_id"), {"summary": "Renamed"}),
        ("pendo", "visitor", "visitors", "visitor_id", "full_name", ("full_name",), {}),
    ],
)
def test_a_field_that_comes_no_more_keeps_its_values_until_it_comes_again(
    ours: Company, tool: str, kind: str, table: str, key: str, retired: str, columns: tuple[str, ...], change: dict[str, str]
) -> None:
    ours.off = tuple({"salesforce", "jira", "zendesk", "pendo"} - {tool})
    ours.night()

    def values() -> dict[str, Any]:
        return {row[key]: [row[column] for column in columns] for row in ours.rows(f"{tool}.{table}")}

    def touch() -> None:
        for record in list(ours.world.alive(kind)):
            ours.world.change(kind, record["visitorId" if kind == "visitor" else "id"], **change)
        ours.world.tick(300)

    before = values()
    assert sum(None not in held for held in before.values()) > 10
    server = getattr(ours.running, tool)
    server.retired = frozenset({retired})
    touch()
    ours.night()

    assert values() == before
    assert noted(ours) == {(tool, table, column, "gone") for column in columns}
    assert gaps(ours)[f"{tool}.{table}.{retired}"]["title"] == f"{tool}.{table}.{retired} does not come any more"
    ours.sync()
    assert noted(ours) == {(tool, table, column, "gone") for column in columns}

    server.retired = frozenset()
    touch()
    ours.night()
    assert values() == before
    assert noted(ours) == set()
    assert gaps(ours) == {}


@ON_POSTGRESQL
def test_a_field_that_all_who_arrived_tonight_have_emptied_is_no_loss(ours: Company) -> None:
    ours.off = ("salesforce", "jira", "pendo")
    ours.sync()
    for ticket in list(ours.world.alive("ticket")):
        ours.world.change("ticket", ticket["id"], priority=None)
    ours.world.tick(300)
    ours.sync()
    assert {row["priority"] for row in ours.rows("zendesk.tickets") if row["_deleted_at"] is None} == {None}
    assert noted(ours) == set()
