"""What is Zendesk's own: its exports, its ways of deleting, its links to Jira, its logins."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from landing import landed

from connectors.base import Choices, Connector, SourceError, Unavailable
from connectors.sandbox import zendesk as stand_in
from connectors.sandbox.serve import Running

Connect = Callable[..., Connector]


def test_a_deleted_ticket_is_marked_with_the_time_of_its_deletion(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "tickets")
    record_id = next(iter(running.world.tickets))
    running.world.delete("ticket", record_id)
    running.world.tick(120)
    row = landing.read_on(connect("zendesk")).all[(record_id,)]
    assert row["status"] == "deleted"
    assert row["_deleted_at"] == row["updated_at"]


def test_a_ticket_that_zendesk_only_touched_comes_back_with_nothing_but_its_stamp_moved(
    running: Running, connect: Connect
) -> None:
    landing = landed(connect("zendesk"), "tickets")
    record_id = next(iter(running.world.tickets))
    before = dict(landing.all[(record_id,)])
    running.world.touch(record_id)
    running.world.tick(120)
    after = landing.read_on(connect("zendesk")).all[(record_id,)]
    assert {name for name in after if after[name] != before[name]} == {"generated_timestamp"}
    assert [column.name for column in landing.read.streams[0].columns if column.volatile] == ["generated_timestamp"]


def test_a_merged_user_is_marked(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "users")
    loser, winner = [user["id"] for user in running.world.alive("zendesk_user") if user["role"] == "end-user"][:2]
    running.world.merge("zendesk_user", loser, winner)
    running.world.tick(120)
    landing.read_on(connect("zendesk"))
    assert loser not in landing.alive
    assert winner in landing.alive


def test_a_removed_link_is_missed_and_a_new_one_found(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "jira_links")
    gone, ticket, issue = next(iter(landing.alive)), next(iter(running.world.tickets)), next(iter(running.world.issues))
    running.world.delete("jira_link", gone)
    new = running.world.create("jira_link", ticket_id=ticket, issue_id=issue)
    landing.read_on(connect("zendesk"))
    assert gone not in landing.alive
    assert new["id"] in landing.alive
    assert landing.all[(new["id"],)]["ticket_id"] == ticket


def test_every_field_of_a_ticket_is_kept_and_none_twice(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "tickets")
    for record_id, ticket in running.world.tickets.items():
        row = landing.all[(record_id,)]
        extra = json.loads(row["extra"])
        assert json.loads(row["custom_fields"]) == ticket["custom_fields"]
        assert not {"fields", "metric_set"} & extra.keys()
        for name in ("raw_subject", "is_public", "collaborator_ids"):
            assert extra[name] == ticket[name]
        assert extra["via"]["source"] == ticket["via"]["source"]
        assert "channel" not in extra["via"]


def test_a_second_night_asks_once_for_each_export(running: Running, connect: Connect) -> None:
    for name in ("tickets", "users", "organizations"):
        landing = landed(connect("zendesk"), name)
        running.zendesk.log.clear()
        landing.read_on(connect("zendesk"))
        assert [entry.target.partition("?")[0] for entry in running.zendesk.log if "oauth" not in entry.target] == [
            f"/api/v2/incremental/{name}.json" if name == "organizations" else f"/api/v2/incremental/{name}/cursor.json",
            "/api/v2/search/count.json",
        ]


def test_an_organization_of_the_last_second_that_was_read_is_not_lost(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "organizations")
    border = datetime.fromtimestamp(landing.cursor["end_time"], UTC)
    late = running.world.create("organization", at=border, name="Late Ltd")
    assert late["id"] in landing.read_on(connect("zendesk")).alive
    landing.read_on(connect("zendesk"))
    assert landing.cursor["end_time"] == border.timestamp()


def test_a_record_of_the_wrong_shape_is_put_aside_and_its_page_goes_on(running: Running, connect: Connect) -> None:
    good = {"id": 5, "subject": "fine"}
    tickets = [{"id": None, "subject": "no number"}, good, "no ticket at all", {"id": 6, "created_at": "some day"}]
    running.zendesk.faults.answer(200, "tickets/cursor", body={"tickets": tickets, "end_of_stream": True, "after_cursor": "x"})
    landing = landed(connect("zendesk"), "tickets")
    assert landing.alive == {5, 6}
    assert [(reject.record_id, reject.column) for reject in landing.rejects] == [
        (None, None),
        (None, None),
        ("6", "created_at"),
    ]
    assert json.loads(landing.all[(6,)]["extra"]) == {"created_at": "some day"}


def test_an_export_that_does_not_move_on_is_an_error_and_no_endless_read(running: Running, connect: Connect) -> None:
    running.zendesk.faults.answer(
        200, "tickets/cursor", times=9, body={"tickets": [], "end_of_stream": False, "after_cursor": "x"}
    )
    with pytest.raises(SourceError, match="does not move on"):
        landed(connect("zendesk"), "tickets")


def test_a_ticket_field_and_an_organization_field_can_be_mapped(running: Running, connect: Connect) -> None:
    ticket, organization = next(iter(running.world.tickets)), next(iter(running.world.organizations))
    running.world.change(
        "ticket", ticket, custom_fields=[{"id": 7, "value": ["a", "b"]}, {"id": 22000001, "value": "planning"}]
    )
    running.world.change("organization", organization, organization_fields={"sf": "001A"})
    running.world.tick(120)
    for field, value in (("22000001", "planning"), ("7", "a, b"), ("8", None)):
        fields = {"tickets": {"feature": field}, "organizations": {"salesforce_id": "sf"}}
        connector = connect("zendesk", choices=Choices(fields))
        assert landed(connector, "tickets").all[(ticket,)]["feature"] == value
    assert landed(connector, "organizations").all[(organization,)]["salesforce_id"] == "001A"


def test_an_api_token_works_and_its_last_day_is_told(
    running: Running, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    by_token: dict[str, Any] = {
        "client_id": None,
        "client_secret": None,
        "email": stand_in.EMAIL,
        "api_token": stand_in.API_TOKEN,
    }
    with caplog.at_level(logging.WARNING):
        connector = connect("zendesk", **by_token)
    assert landed(connector, "organizations").alive
    assert "2027-04-30" in caplog.text
    assert stand_in.API_TOKEN not in caplog.text
    assert "2027-04-30" in next(iter(connector.check())).message


def test_exports_that_are_limited_to_some_a_minute_still_arrive(running: Running, connect: Connect) -> None:
    whole = landed(connect("zendesk"), "users").all
    running.zendesk.exports = type(running.zendesk.exports)(4, seconds=1)
    assert landed(connect("zendesk"), "users").all == whole


def test_an_export_that_the_plan_forbids_says_so_and_leaves_the_others(running: Running, connect: Connect) -> None:
    running.zendesk.forbidden = frozenset({"/api/v2/jira/links"})
    connector = connect("zendesk")
    with pytest.raises(Unavailable, match="403"):
        landed(connector, "jira_links")
    assert "left out" in next(finding for finding in connector.check() if finding.subject == "jira_links").message
    assert landed(connector, "tickets").alive
