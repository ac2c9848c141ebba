"""A person's life in the warehouse, from a night to oblivion; and that Dagster never knows any person at all."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from connectors.sandbox.world import World
from orchestration import settings
from orchestration.cli import app
from tests.homes import keep_no_events
from tests.night import Company, company


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A company after a whole night on the way of the command line."""
    with company(World(size="tiny"), tmp_path_factory.mktemp("home")) as ours:
        ours.night_of_jobs()
        keep_no_events(ours.home / "forgetful")
        yield ours


def run(ours: Company, *arguments: str, **more: Any) -> Result:
    settings.put({**ours.environment, "DAGSTER_HOME": str(ours.home / "forgetful")})
    return CliRunner().invoke(app, list(arguments), **more)


def people(world: World) -> set[str]:
    """Every name and address of a person in the world."""
    fields = ("Name", "Email", "name", "email", "displayName", "emailAddress")
    stores = (world.store(kind) for kind in ("contact", "zendesk_user", "visitor"))
    records = [record for store in stores for record in store.values()]
    records += [*world.salesforce_users.values(), *world.jira_users.values()]
    told = {record[field] for record in records for field in fields if isinstance(record.get(field), str)}
    told |= {visitor["visitorId"] for visitor in world.store("visitor").values() if "@" in visitor["visitorId"]}
    return {value.lower() for value in told if "@" in value or " " in value}


def holding(folder: Path, values: set[str]) -> set[str]:
    """Those of the values that stand in any file of a folder, in any case."""
    pattern = re.compile("|".join(map(re.escape, sorted(values))).encode())
    files = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    assert files
    return {found.decode() for file in files for found in pattern.findall(file.read_bytes().lower())}


def telling(ours: Company, *values: str) -> set[str]:
    """Where any of these stands of what readers and the last backup have."""
    return {place for place, text in ours.told().items() if any(value.lower() in text for value in values)}


def customers(world: World) -> set[str]:
    """The addresses of customers' people."""
    askers = {user["email"] for user in world.alive("zendesk_user") if user["role"] == "end-user"}
    return {contact["Email"] for contact in world.alive("contact")} | askers


def test_dagster_knows_nobody_after_a_whole_night(ours: Company) -> None:
    known = people(ours.world)
    assert len(known) > 50
    assert holding(ours.home / "work", known)  # where they do stand: else this test would see nothing
    assert holding(ours.home / "dagster", known) == set()


def test_who_a_customers_people_are_is_told_to_no_reader(ours: Company) -> None:
    addresses = {address for address in customers(ours.world) if address}
    assert len(addresses) > 10
    assert telling(ours, *addresses) == set()


def test_who_is_deleted_upstream_is_gone_from_the_published_tables_the_same_night(ours: Company) -> None:
    owner = next(deal["OwnerId"] for deal in ours.world.alive("opportunity"))
    agent = next(
        user
        for user in ours.world.alive("zendesk_user")
        if user["role"] != "end-user" and any(t["assignee_id"] == user["id"] for t in ours.world.alive("ticket"))
    )
    assert {"unified.tickets", "parquet tickets"} <= telling(ours, agent["email"]) & telling(ours, agent["name"])
    ours.world.delete("zendesk_user", agent["id"])
    ours.world.tick(4000)
    assert run(ours, "sync", "zendesk").exit_code == 0
    assert run(ours, "refresh").exit_code == 0

    mine = [row for row in ours.rows("zendesk.users") if row["id"] == agent["id"]]
    assert [(row["name"], row["extra"], row["_deleted_at"] is None) for row in mine] == [(None, None, False)]
    assert telling(ours, agent["email"], agent["name"]) == set()
    assert telling(ours, ours.world.salesforce_users[owner]["Name"])  # a colleague, whom Salesforce never deletes


def test_a_person_is_exported_erased_and_brought_back_by_no_sync(ours: Company) -> None:
    sellers = {deal["OwnerId"] for deal in ours.world.alive("opportunity")}
    colleague = next(user for user in ours.world.salesforce_users.values() if user["Id"] in sellers)
    address, name = colleague["Email"], colleague["Name"]
    assert {"unified.deals_history", "parquet deals"} <= telling(ours, address) & telling(ours, name)
    exported = json.loads(run(ours, "privacy", "export", address.upper()).stdout)
    assert {"salesforce.users", "unified.people", "unified.deals"} <= exported.keys()
    assert [row["name"] for row in exported["salesforce.users"]] == [name]

    assert run(ours, "privacy", "erase", address, input="n\n").exit_code == 1
    assert json.loads(run(ours, "privacy", "export", address).stdout) == exported

    result = run(ours, "privacy", "erase", address, "--yes")
    assert result.exit_code == 0, result.stderr
    assert "salesforce.users: 1 rows held it" in result.stdout
    assert str(ours.home / "backup") in result.stdout.replace("\n", "")

    def gone() -> None:
        assert json.loads(run(ours, "privacy", "export", address).stdout) == {}
        assert telling(ours, address, name) == set()
        assert [row["name"] for row in ours.rows("salesforce.users") if row["id"] == colleague["Id"]] == [None]
        assert not [row for row in ours.rows("unified.customers_history") if row["owner_email"] == address.lower()]

    gone()
    ours.world.change("salesforce_user", colleague["Id"], Title="Chief")
    ours.world.tick(4000)
    assert run(ours, "sync", "salesforce").exit_code == 0
    assert [row["title"] for row in ours.rows("salesforce.users") if row["id"] == colleague["Id"]] == ["Chief"]
    gone()
    assert run(ours, "resync", "salesforce.users").exit_code == 0
    gone()


def test_erasing_under_a_key_that_is_lost_is_refused(ours: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.Settings, "privacy_key", lambda *_: b"another")
    result = run(ours, "sync", "pendo")
    assert result.exit_code == 1
    assert "privacy.key" in result.stderr


def test_what_is_no_address_is_one_line(ours: Company) -> None:
    result = run(ours, "privacy", "export", "somebody")
    assert result.exit_code == 1
    assert "This is not an e-mail address" in result.stderr + str(result.exception)
