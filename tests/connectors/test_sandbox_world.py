"""The invented company: the same seed gives the same bytes, every change is stamped as its vendor stamps it, time moves."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from connectors.sandbox import salesforce_org
from connectors.sandbox.world import STORES, World


def written(world: World) -> bytes:
    return msgspec.json.encode({store: list(records.values()) for store, records in world.state().items()})


@pytest.fixture
def world() -> World:
    return World(size="tiny")


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert written(World(seed=3)) == written(World(seed=3))
    assert written(World(seed=3)) != written(World(seed=4))


def test_days_pass_the_same_way_one_by_one_and_together() -> None:
    together, single = World(seed=3), World(seed=3)
    together.advance(6)
    for _ in range(6):
        single.advance(1)
    assert together.now == single.now
    assert written(together) == written(single)


def test_the_demo_has_the_promised_size() -> None:
    world = World()
    sizes = {store: len(records) for store, records in world.state().items()}
    assert 55 <= sizes["accounts"] <= 70
    assert 140 <= sizes["contacts"] <= 170
    assert 130 <= sizes["opportunities"] <= 160
    assert 210 <= sizes["issues"] <= 235
    assert 480 <= sizes["tickets"] <= 520
    features = [
        issue for issue in world.alive("issue") if issue["fields"]["issuetype"]["name"] in ("Epic", "Idea", "New Feature")
    ]
    assert 22 <= len(features) <= 30


def test_a_number_makes_a_world_of_so_many_demos() -> None:
    assert len(World(size=3).tickets) > 1_300


def test_two_weeks_touch_records_of_every_kind_that_moves() -> None:
    world = World()
    before = {kind: {key: msgspec.json.encode(record) for key, record in world.store(kind).items()} for kind in STORES}
    world.advance(14)
    for kind in STORES:
        if kind in ("field", "group", "version", "jira_user", "ticket_audit"):
            continue
        now = {key: msgspec.json.encode(record) for key, record in world.store(kind).items()}
        assert any(now[key] != was for key, was in before[kind].items()), f"no {kind} changed"
        assert now.keys() >= before[kind].keys(), f"a {kind} vanished from the world's memory"
    gone = {
        kind
        for kind in STORES
        if any("_deleted_at" in world.store(kind)[key] and b"_deleted_at" not in was for key, was in before[kind].items())
    }
    assert gone >= {"account", "contact", "opportunity", "issue", "ticket", "zendesk_user", "organization", "jira_link"}
    assert any(account["MasterRecordId"] for account in world.accounts.values() if account["Id"] in before["account"])


def test_nothing_carries_a_stamp_of_the_future() -> None:
    world = World()
    for days in (0, 9):
        world.advance(days)
        assert max(stamp for stamp, _ in world.in_order("account")) <= salesforce_org.time(world.now)
        assert max(stamp for stamp, _ in world.in_order("ticket")) <= world.now.timestamp()
        assert max(issue["fields"]["updated"] for issue in world.issues.values()) <= world.now.strftime(
            "%Y-%m-%dT%H:%M:%S.999+0000"
        )
        assert all(record["created_at"] <= record["updated_at"] for record in world.tickets.values())


@pytest.mark.parametrize(
    ("short", "long"), [("001A0000006Vm9r", "001A0000006Vm9rIAC"), ("0017000000aaaaa", "0017000000aaaaaAAA")]
)
def test_ids_of_salesforce_carry_the_right_checksum(short: str, long: str) -> None:
    assert salesforce_org.long_id(short) == long
    assert all(salesforce_org.long_id(key[:15]) == key for key in World(size="tiny").accounts)


def test_a_won_deal_takes_its_probability_and_forecast_from_the_stage(world: World) -> None:
    account = next(iter(world.accounts.values()))
    deal = world.create(
        "opportunity", AccountId=account["Id"], Name="Test", CloseDate="2026-12-01", Amount=1000.0, StageName="Prospecting"
    )
    world.tick(5)
    world.change("opportunity", deal["Id"], StageName="Closed Won")
    assert (deal["IsClosed"], deal["IsWon"], deal["Probability"], deal["ForecastCategory"]) == (True, True, 100, "Closed")
    assert deal["CreatedDate"] < deal["SystemModstamp"] == deal["LastModifiedDate"] == salesforce_org.time(world.now)


def test_an_unknown_field_is_refused(world: World) -> None:
    with pytest.raises(KeyError, match="Stage"):
        world.change("opportunity", next(iter(world.opportunities)), Stage="Closed Won")


def test_a_deleted_account_takes_its_people_and_deals_along(world: World) -> None:
    account = next(iter(world.accounts))
    world.delete("account", account)
    assert world.accounts[account]["IsDeleted"]
    assert all(contact["IsDeleted"] for contact in world.contacts.values() if contact["AccountId"] == account)
    assert all(deal["IsDeleted"] for deal in world.opportunities.values() if deal["AccountId"] == account)


def test_a_merged_account_points_to_its_master_which_has_its_people(world: World) -> None:
    loser, winner = list(world.accounts)[:2]
    people = [contact["Id"] for contact in world.alive("contact") if contact["AccountId"] == loser]
    world.merge("account", loser, winner)
    assert (world.accounts[loser]["IsDeleted"], world.accounts[loser]["MasterRecordId"]) == (True, winner)
    assert people
    assert all(world.contacts[key]["AccountId"] == winner for key in people)


def test_an_issue_that_is_done_is_resolved_and_reopening_clears_it(world: World) -> None:
    issue = world.create("issue", project=next(iter(world.projects)), issuetype="Story", summary="Test")
    world.change("issue", issue["id"], status="Done")
    assert issue["fields"]["resolution"]["name"] == "Done"
    assert issue["fields"]["resolutiondate"]
    world.change("issue", issue["id"], status="In Progress")
    assert issue["fields"]["resolution"] is issue["fields"]["resolutiondate"] is None


def test_a_moved_issue_gets_a_new_key_and_keeps_its_id(world: World) -> None:
    issue = next(issue for issue in world.alive("issue") if issue["fields"]["project"]["key"] == "CORE")
    old, target = issue["key"], next(project["id"] for project in world.projects.values() if project["key"] == "APP")
    world.move(issue["id"], target)
    assert issue["key"].startswith("APP-")
    assert issue["_former_keys"] == [old]
    assert world.issue_ids[old] == world.issue_ids[issue["key"]] == issue["id"]


def test_a_reopened_ticket_counts_its_reopens(world: World) -> None:
    ticket = world.create("ticket", requester_id=next(iter(world.zendesk_users)), subject="Test")
    for status in ("open", "solved", "open", "solved"):
        world.tick(600)
        world.change("ticket", ticket["id"], status=status)
    assert ticket["metric_set"]["reopens"] == 1
    assert ticket["metric_set"]["first_resolution_time_in_minutes"]["calendar"] == 20
    assert ticket["metric_set"]["full_resolution_time_in_minutes"]["calendar"] == 40


def test_a_touched_ticket_moves_in_the_export_and_nowhere_else(world: World) -> None:
    ticket = next(iter(world.tickets.values()))
    before = dict(ticket)
    world.touch(ticket["id"])
    assert {name for name in ticket if ticket[name] != before[name]} == {"generated_timestamp"}


def test_a_deleted_ticket_is_scrubbed_after_thirty_days(world: World) -> None:
    ticket = world.create("ticket", requester_id=next(iter(world.zendesk_users)), subject="A secret")
    world.delete("ticket", ticket["id"])
    assert (ticket["status"], ticket["subject"]) == ("deleted", "A secret")
    world.advance(32)
    assert (ticket["status"], ticket["subject"]) == ("deleted", "SCRUBBED")


def test_members_of_a_deleted_organization_belong_to_none(world: World) -> None:
    organization = next(iter(world.organizations))
    world.delete("organization", organization)
    assert world.organizations[organization]["deleted_at"]
    assert organization not in {user["organization_id"] for user in world.zendesk_users.values()}


def test_the_clock_ends_at_the_same_time_of_day(world: World) -> None:
    then = world.now
    world.advance(3)
    assert world.now == then + timedelta(days=3)
