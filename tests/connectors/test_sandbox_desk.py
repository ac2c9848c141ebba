"""The stand-in for Zendesk beyond tickets and people: histories, clocks, lists and their paging, counts, search, links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from asking import Asker, zendesk_of

from connectors.sandbox.desk_settings import EXTERNAL_ID
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import Record, World

API = "/api/v2"
EVENTS = f"{API}/incremental/ticket_events.json"
METRIC_EVENTS = f"{API}/incremental/ticket_metric_events.json"


@pytest.fixture
def site() -> Iterator[Running]:
    with serve(World(size="tiny")) as running:
        yield running


@pytest.fixture
def ask(site: Running) -> Asker:
    return zendesk_of(site)


def an_open(world: World) -> Record:
    return next(ticket for ticket in world.alive("ticket") if ticket["status"] == "open")


def exported(ask: Asker, path: str, name: str, **parameters: Any) -> list[dict[str, Any]]:
    """All rows of an export by time, those at borders twice."""
    reply = ask.get(path, start_time=0, **parameters).json()
    rows = reply[name]
    while not reply["end_of_stream"]:
        reply = ask.get(reply["next_page"]).json()
        rows += reply[name]
    return list(rows)


def lately(site: Running, ask: Asker, **parameters: Any) -> list[dict[str, Any]]:
    """The parts of the last update that the export shows."""
    site.world.tick(61)
    return list(exported(ask, EVENTS, "ticket_events", **parameters)[-1]["child_events"])


# histories ------------------------------------------------------------------------------------------------------------


def test_a_changed_field_stands_under_its_own_name(site: Running, ask: Asker) -> None:
    ticket = an_open(site.world)
    before = ticket["tags"]
    custom = [{"id": 22000001, "value": "x"}, {"id": 22000002, "value": None}]
    site.world.change("ticket", ticket["id"], priority=None, type=None, tags=["new"], custom_fields=custom)
    parts = lately(site, ask)
    assert {"priority": None}.items() <= next(part for part in parts if "priority" in part).items()
    assert next(part for part in parts if "type" in part)["event_type"] == "Change"
    tags = next(part for part in parts if "tags" in part)
    assert (tags["tags"], tags["added_tags"], tags["removed_tags"]) == (["new"], ["new"], before)
    assert "previous_value" not in tags
    assert {"custom_ticket_fields": {"22000001": "x"}}.items() <= parts[-1].items()


def test_comments_come_on_request(site: Running, ask: Asker) -> None:
    site.world.create("ticket_comment", ticket_id=an_open(site.world)["id"], body="Any news?", public=False)
    (bare,) = lately(site, ask)
    assert (bare["comment_present"], bare["comment_public"], "body" in bare) == (True, False, False)
    (whole,) = lately(site, ask, include="comment_events")
    assert (whole["type"], whole["event_type"], whole["body"]) == ("Comment", "Comment", "Any news?")


def test_answers_and_notes_come_with_the_status_and_customers_say_why_they_come_back(site: Running, ask: Asker) -> None:
    ticket = an_open(site.world)
    for status, public, author in (
        ("hold", False, "assignee_id"),
        ("solved", True, "assignee_id"),
        ("open", True, "requester_id"),
    ):
        site.world.tick(60)
        site.world.change("ticket", ticket["id"], status=status)
        *_, comment = lately(site, ask, include="comment_events")
        assert (comment["public"], comment["author_id"]) == (public, ticket[author])


def test_an_audit_tells_the_same_in_other_words_and_ids_as_text(site: Running, ask: Asker) -> None:
    ticket = an_open(site.world)
    site.world.change("ticket", ticket["id"], group_id=27000002, tags=["new"])
    (group, tags) = ask.get(f"{API}/tickets/{ticket['id']}/audits.json").json()["audits"][-1]["events"]
    assert (group["type"], group["field_name"], group["value"]) == ("Change", "group_id", "27000002")
    assert (tags["value"], isinstance(tags["previous_value"], list)) == (["new"], True)


def test_audits_are_paged_and_a_deleted_ticket_has_none(site: Running, ask: Asker) -> None:
    ticket = next(ticket for ticket in site.world.alive("ticket") if len(ticket["_audits"]) > 3)
    site.zendesk.page_size = 2
    reply = ask.get(f"{API}/tickets/{ticket['id']}/audits.json", **{"page[size]": 100}).json()
    assert (len(reply["audits"]), reply["meta"]["has_more"]) == (2, True)
    assert ask.get(reply["links"]["next"]).json()["audits"][0]["id"] > reply["audits"][-1]["id"]
    site.world.delete("ticket", ticket["id"])
    assert ask.get(f"{API}/tickets/{ticket['id']}/audits.json").status_code == 404


def test_a_deleted_ticket_comes_back_as_it_was_and_both_is_told(site: Running, ask: Asker) -> None:
    ticket = an_open(site.world)
    site.world.delete("ticket", ticket["id"])
    assert lately(site, ask)[0] | {"status": "deleted", "previous_value": "open"} == lately(site, ask)[0]
    site.world.undelete("ticket", ticket["id"])
    assert ticket["status"] == "open"
    assert lately(site, ask)[0] | {"status": "open", "previous_value": "deleted"} == lately(site, ask)[0]
    with pytest.raises(KeyError):
        site.world.undelete("zendesk_user", _deleted_user(site.world))


def _deleted_user(world: World) -> int:
    user = next(user for user in world.alive("zendesk_user") if user["role"] == "end-user")
    world.delete("zendesk_user", user["id"])
    found: int = user["id"]
    return found


def test_a_ticket_that_is_wiped_has_no_history_any_more(site: Running, ask: Asker) -> None:
    ticket = an_open(site.world)
    site.world.delete("ticket", ticket["id"])
    site.world.advance(33)
    assert ticket["subject"] == "SCRUBBED"
    assert ticket["id"] not in {event["ticket_id"] for event in exported(ask, EVENTS, "ticket_events")}


def test_a_redacted_comment_is_told_by_its_id(site: Running, ask: Asker) -> None:
    comment = site.world.create("ticket_comment", ticket_id=an_open(site.world)["id"], body="My number is 4711")
    site.world.tick(60)
    site.world.change("ticket_comment", comment["id"], body="My number is ▇▇▇▇")
    (part,) = lately(site, ask)
    assert (part["event_type"], part["comment_id"]) == ("CommentRedactionEvent", comment["id"])
    texts = [event["child_events"] for event in exported(ask, EVENTS, "ticket_events", include="comment_events")]
    assert "4711" not in str(texts)


def test_a_full_second_of_updates_stops_no_export(site: Running, ask: Asker) -> None:
    site.zendesk.page_size = 2
    for place in range(7):
        site.world.create("ticket_comment", ticket_id=an_open(site.world)["id"], body=f"Number {place}")
    site.world.tick(61)
    found = {event["id"] for event in exported(ask, EVENTS, "ticket_events")}
    assert found == set(site.world.store("ticket_audit"))


def test_clocks_run_with_the_status_and_are_taken_back_with_the_ticket(site: Running, ask: Asker) -> None:
    ticket = an_open(site.world)
    site.world.change("ticket", ticket["id"], status="solved")
    site.world.tick(61)
    found = [event for event in exported(ask, METRIC_EVENTS, "ticket_metric_events") if event["ticket_id"] == ticket["id"]]
    assert {event["type"] for event in found} >= {"activate", "apply_sla", "fulfill", "update_status"}
    site.world.delete("ticket", ticket["id"])
    site.world.tick(61)
    shown = [event for event in exported(ask, METRIC_EVENTS, "ticket_metric_events") if event["ticket_id"] == ticket["id"]]
    assert shown == []
    every = exported(ask, METRIC_EVENTS, "ticket_metric_events", include_changes="true")
    assert {event["deleted"] for event in every if event["ticket_id"] == ticket["id"]} == {True}


# people, ratings, lists -----------------------------------------------------------------------------------------------


def test_memberships_follow_people_and_companies(site: Running, ask: Asker) -> None:
    def belonging() -> set[tuple[int, int]]:
        rows = ask.get(f"{API}/organization_memberships.json").json()["organization_memberships"]
        return {(row["user_id"], row["organization_id"]) for row in rows}

    user = next(user for user in site.world.alive("zendesk_user") if user["organization_id"])
    old, new = user["organization_id"], next(o for o in site.world.organizations if o != user["organization_id"])
    assert (user["id"], old) in belonging()
    site.world.change("zendesk_user", user["id"], organization_id=new)
    assert (user["id"], new) in belonging()
    assert (user["id"], old) not in belonging()
    site.world.delete("organization", new)
    assert new not in {organization for _, organization in belonging()}
    site.world.delete("zendesk_user", user["id"])
    assert user["id"] not in {person for person, _ in belonging()}


def test_a_rating_changes_in_place_and_goes_with_its_ticket(site: Running, ask: Asker) -> None:
    def ratings(**parameters: Any) -> dict[int, str]:
        rows = ask.get(f"{API}/satisfaction_ratings.json", **parameters).json()["satisfaction_ratings"]
        return {row["id"]: row["score"] for row in rows}

    before = ratings()
    now = int(site.world.now.timestamp())
    ticket = next(each for each in site.world.alive("ticket") if "_rating" not in each)
    for score in ("offered", "bad", "good"):
        site.world.change("ticket", ticket["id"], satisfaction_rating={"score": score})
        (new,) = ratings().keys() - before.keys()
        assert ratings()[new] == score
    assert ratings(start_time=now) == {new: "good"}
    site.world.delete("ticket", ticket["id"])
    assert ratings() == before


def test_closed_tickets_are_archived_in_time_and_then_only_exports_and_search_know_them(site: Running, ask: Asker) -> None:
    every = len(list(site.world.alive("ticket")))
    listed = ask.get(f"{API}/tickets.json").json()["tickets"]
    assert len(listed) == ask.get(f"{API}/tickets/count.json").json()["count"]["value"] < every
    assert len(ask.get(f"{API}/ticket_metrics.json").json()["ticket_metrics"]) == len(listed)
    assert ask.get(f"{API}/search/count.json", query="type:ticket").json()["count"] == every


def test_search_counts_by_bounds_and_is_late(site: Running, ask: Asker) -> None:
    def found(query: str) -> int:
        count: int = ask.get(f"{API}/search/count.json", query=query).json()["count"]
        return count

    stamps = sorted(ticket["created_at"] for ticket in site.world.alive("ticket"))
    assert found(f"type:ticket created<{stamps[10]}") == 10
    assert found(f"type:ticket created>={stamps[10]} updated>=2000-01-01T00:00:00Z") == len(stamps) - 10
    site.zendesk.search_lag = 300
    site.world.create("organization", name="New")
    site.world.delete("organization", next(iter(site.world.organizations)))
    assert found("type:organization") == len(site.world.organizations) - 1
    site.world.tick(301)
    assert found("type:organization") == len(list(site.world.alive("organization")))


def test_counts_of_many_records_are_made_in_the_background(site: Running, ask: Asker) -> None:
    site.zendesk.exact_up_to = 5
    assert ask.get(f"{API}/users/count.json").json()["count"] == {"value": 5, "refreshed_at": None}


def test_a_list_is_paged_by_cursor_or_by_number_up_to_a_depth(site: Running, ask: Asker) -> None:
    site.zendesk.page_size = 2
    by_cursor = ask.get(f"{API}/groups.json", **{"page[size]": 100}).json()
    assert by_cursor["meta"]["has_more"]
    assert ask.get(by_cursor["links"]["next"]).json()["links"]["next"] is None
    by_number = ask.get(f"{API}/groups.json").json()
    assert len(ask.get(by_number["next_page"]).json()["groups"]) == 1
    too_deep = ask.get(f"{API}/organization_memberships.json", page=101, per_page=100)
    assert (too_deep.status_code, too_deep.json()["errors"][0]["code"]) == (400, "InvalidPaginationDepth")
    assert ask.get(f"{API}/groups.json", **{"page[size]": 500}).status_code == 400


def test_deleted_groups_are_shown_on_request(site: Running, ask: Asker) -> None:
    site.world.delete("group", 27000003)
    assert len(ask.get(f"{API}/groups.json").json()["groups"]) == 2
    groups = ask.get(f"{API}/groups.json", exclude_deleted="false").json()["groups"]
    assert {group["id"] for group in groups if group["deleted"]} == {27000003}


def test_tags_are_those_of_the_last_weeks_by_their_number(site: Running, ask: Asker) -> None:
    tags = ask.get(f"{API}/tags.json").json()["tags"]
    assert [tag["count"] for tag in tags] == sorted((tag["count"] for tag in tags), reverse=True)
    site.world.tick(61 * 86_400)
    assert ask.get(f"{API}/tags.json").json()["tags"] == []


def test_the_help_centers_export_hides_deletes_and_ends_without_a_next_page(site: Running, ask: Asker) -> None:
    site.world.tick(61)
    reply = ask.get(f"{API}/help_center/incremental/articles.json", start_time=0).json()
    assert (len(reply["articles"]), reply["next_page"], "end_of_stream" in reply) == (4, None, False)
    site.world.delete("article", reply["articles"][0]["id"])
    assert len(ask.get(f"{API}/help_center/incremental/articles.json", start_time=0).json()["articles"]) == 3


def test_links_of_the_newer_integration_are_pairs_without_an_id(site: Running, ask: Asker) -> None:
    site.zendesk.page_size = 2
    path = f"{API}/integrations/jira/{EXTERNAL_ID}/links"
    first = ask.get(path, **{"page[size]": 100}).json()
    assert [link.keys() for link in first["links"]] == [{"ticket_id", "issue_id", "issue_key"}] * 2
    second = ask.get(path, **{"page[size]": 100, "page[after]": first["meta"]["after"]}).json()
    assert (len(second["links"]), second["meta"]["has_more"]) == (1, False)
    assert ask.get(f"{API}/integrations/jira/other/links").status_code == 404


def test_holidays_are_of_one_schedule(site: Running, ask: Asker) -> None:
    (schedule,) = ask.get(f"{API}/business_hours/schedules.json").json()["schedules"]
    path = f"{API}/business_hours/schedules/{schedule['id']}/holidays.json"
    assert [each["name"] for each in ask.get(path).json()["holidays"]] == ["Christmas", "New Year"]
    site.world.delete("schedule", schedule["id"])
    assert ask.get(path).status_code == 404


def test_nobody_in_particular_is_answered_who_it_is(site: Running) -> None:
    user = requests.get(f"{site.zendesk.base_url}{API}/users/me.json", timeout=10).json()["user"]
    assert (user["id"], user["name"]) == (None, "Anonymous user")
    assert requests.get(f"{site.zendesk.base_url}{API}/groups.json", timeout=10).status_code == 401


def test_headers_tell_when_a_limit_has_room_again(site: Running, ask: Asker) -> None:
    site.zendesk.exports.limit = 1
    told = ask.get(EVENTS, start_time=0).headers["Zendesk-RateLimit-incremental-exports"]
    assert told.startswith("total=1; remaining=0; resets=")
    assert 55 <= int(told.rpartition("=")[2]) <= 60
