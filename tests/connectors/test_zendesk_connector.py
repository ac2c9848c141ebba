"""What is Zendesk's own: its exports and their figures, its counts, its limits, its logins."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from landing import Landing, landed, read

from connectors.base import Choices, Connector, Read, SourceError, Unavailable
from connectors.http import Allowance
from connectors.sandbox import zendesk as stand_in
from connectors.sandbox.serve import Running
from connectors.sandbox.world import Record
from connectors.zendesk_asking import allowance
from tests.truth.raw_zendesk import CASES

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


# figures --------------------------------------------------------------------------------------------------------------


def metrics_of(running: Running, connect: Connect, *, faulty: dict[str, Any] | None = None) -> Landing:
    """The figures of a page of three tickets, of which one has none, and one something that nobody declared."""
    sets = [
        {"id": 1, "reopens": 2, "solved_at": "2026-01-02T03:04:05Z", "on_hold_time_in_minutes": {"calendar": 7}},
        None,
        {"id": 3, "ticket_id": 3, "replies": None, "on_hold_time_in_minutes": None, **(faulty or {})},
    ]
    known = {"status": "solved", "created_at": "2026-01-01T00:00:00Z", "generated_timestamp": 9}
    tickets = [{"id": place, **known, "metric_set": each} for place, each in enumerate(sets, 1)]
    running.zendesk.faults.answer(200, "tickets/cursor", body={"tickets": tickets, "end_of_stream": True, "after_cursor": "x"})
    return landed(connect("zendesk"), "tickets")


def test_every_ticket_has_its_figures_in_columns(running: Running, connect: Connect) -> None:
    landing = metrics_of(running, connect)
    rows = landing.rows["ticket_metrics"]
    assert rows.keys() == {(1,), (2,), (3,)}
    assert (rows[(1,)]["reopens"], rows[(1,)]["on_hold_time_in_minutes_calendar"]) == (2, 7)
    assert rows[(1,)]["solved_at"] == landing.all[(1,)]["solved_at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (rows[(2,)]["id"], rows[(2,)]["ticket_status"]) == (None, "solved")
    assert not landing.rejects


def test_figures_that_nobody_declared_are_kept_and_the_others_are_as_ever(running: Running, connect: Connect) -> None:
    plain = metrics_of(running, connect).rows["ticket_metrics"]
    found = metrics_of(running, connect, faulty={"new_figure": {"a": 1}}).rows["ticket_metrics"]
    assert json.loads(found[(3,)].pop("extra")) == {"new_figure": {"a": 1}}
    plain[(3,)].pop("extra")
    assert found == plain


def test_a_figure_that_does_not_fit_is_put_aside(running: Running, connect: Connect) -> None:
    landing = metrics_of(running, connect, faulty={"reopens": "many"})
    (reject,) = landing.rejects
    assert (reject.stream, reject.record_id, reject.column) == ("ticket_metrics", "3", "reopens")
    assert landing.rows["ticket_metrics"][(1,)]["reopens"] == 2


def test_figures_of_a_deleted_ticket_go_with_it(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "tickets")
    record_id = next(iter(running.world.tickets))
    running.world.delete("ticket", record_id)
    running.world.tick(120)
    landing.read_on(connect("zendesk"))
    assert landing.rows["ticket_metrics"][(record_id,)]["_deleted_at"] == landing.all[(record_id,)]["_deleted_at"] is not None


def test_who_wants_no_figures_still_knows_when_a_ticket_was_solved(running: Running, connect: Connect) -> None:
    connector = connect("zendesk")
    tickets, _ = read(connector, "tickets").streams
    landing = Landing(Read("tickets", (tickets,))).read_on(connector)
    solved = [ticket for ticket in running.world.alive("ticket") if ticket["metric_set"]["solved_at"]]
    assert solved
    assert all(landing.all[(ticket["id"],)]["solved_at"] for ticket in solved)


# counts and bounds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tickets", "users", "organizations"])
def test_the_count_is_of_what_lives_and_is_no_newborn(running: Running, connect: Connect, name: str) -> None:
    """Also of tickets that are archived, though the vendor's other counts leave them out."""
    running.world.tick(3600)
    CASES[name].make(running.world, 2)  # type: ignore[misc]
    CASES[name].delete(running.world)  # type: ignore[misc]
    running.world.tick(120)
    connector = connect("zendesk")
    *_, last = batches = list(connector.batches(read(connector, name), None))
    landing = Landing(read(connector, name)).land(batches)
    count = last.counted[name]
    born_before = [row for row in landing.all.values() if row["_deleted_at"] is None and row["created_at"] < count.before]
    assert count.rows == len(born_before) < len(landing.alive)


def test_the_night_after_begins_before_the_last_one_ended(running: Running, connect: Connect) -> None:
    """What Zendesk shows late stands below stamps that were exported already."""
    landing = landed(connect("zendesk"), "tickets")
    late = running.world.now - timedelta(seconds=200)
    running.world.tick(600)
    asker = next(running.world.alive("zendesk_user"))["id"]
    ticket = running.world.create("ticket", at=late, requester_id=asker, subject="Late")
    assert ticket["id"] in landing.read_on(connect("zendesk")).alive


def test_a_first_read_can_begin_at_a_day(running: Running, connect: Connect) -> None:
    """A ticket that was only touched since is no ticket that changed since."""
    since = running.world.now - timedelta(days=20)
    old = min(running.world.alive("ticket"), key=lambda ticket: ticket["updated_at"])
    running.world.touch(old["id"])
    running.world.tick(3600)
    connector = connect("zendesk", choices=Choices(since=since))
    for name in ("tickets", "users", "organizations"):
        running.zendesk.log.clear()
        *_, last = batches = list(connector.batches(read(connector, name), None))
        landing = Landing(read(connector, name)).land(batches)
        assert all(row["updated_at"] >= since for row in landing.all.values())
        assert last.counted[name].rows == len(landing.alive)
        assert started(running) == since.timestamp()
    assert old["id"] not in landed(connector, "tickets").all


def started(running: Running) -> int:
    """From when on the first export asked for changes."""
    asked = next(entry.target for entry in running.zendesk.log if "start_time=" in entry.target)
    return int(asked.partition("start_time=")[2].partition("&")[0])


def test_a_resync_begins_at_a_moment(running: Running, connect: Connect) -> None:
    connector = connect("zendesk")
    moment = running.world.now - timedelta(days=2)
    for each in connector.reads:
        running.zendesk.log.clear()
        cursor = connector.at(each, moment)
        assert list(connector.batches(each, cursor))
        if cursor:
            assert moment.timestamp() - 3600 <= started(running) <= moment.timestamp()


def test_a_difference_after_a_first_read_does_not_read_all_again(running: Running, connect: Connect) -> None:
    connector = connect("zendesk")
    for name in ("tickets", "organizations", "ticket_events"):
        landed(connector, name)
        running.zendesk.log.clear()
        list(connector.again(read(connector, name), None, {}))
        assert started(running) > running.world.now.timestamp() - 2 * 86_400


def test_what_was_put_aside_can_be_opened_again(running: Running, connect: Connect) -> None:
    connector = connect("zendesk")
    solved = {"id": 5, "status": "solved", "metric_set": {"id": 1, "solved_at": "2026-01-01T00:00:00Z"}}
    batch = connector.opened(read(connector, "tickets").streams[0], json.dumps([solved, {"id": None}]).encode())
    assert batch.rows["tickets"].to_pylist()[0]["solved_at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert len(batch.rejects) == 1
    batch = connector.opened(read(connector, "groups").streams[0], b'[{"id": 3, "name": "Support"}]')
    assert batch.rows["groups"].to_pylist()[0]["name"] == "Support"


# requests, limits and what they allow ---------------------------------------------------------------------------------

LEAST = {  # requests of a first read of a small account, and of the night after, tokens not counted
    "tickets": (2, 2), "ticket_events": (1, 1), "ticket_metric_events": (1, 1), "users": (2, 2), "organizations": (2, 2),
    "satisfaction_ratings": (1, 2), "schedules": (2, 2), "articles": (1, 2),
}  # fmt: skip


def test_no_request_is_sent_that_is_not_needed(running: Running, connect: Connect) -> None:
    running.zendesk.page_size = None
    connector = connect("zendesk")
    for each in connector.reads:
        landing, spent = Landing(each), []
        for _ in range(2):
            running.zendesk.log.clear()
            landing.read_on(connector)
            spent.append(sum("oauth" not in entry.target for entry in running.zendesk.log))
            running.world.tick(86_400)
        assert tuple(spent) == LEAST.get(each.name, (1, 1)), each.name


def test_the_limit_of_exports_is_kept_before_zendesk_says_no(running: Running, connect: Connect) -> None:
    running.zendesk.exports = type(running.zendesk.exports)(4, seconds=1)
    landed(connect("zendesk"), "users")
    assert len(running.zendesk.log) > 8
    assert {entry.status for entry in running.zendesk.log} == {200}


def test_the_limit_of_the_account_is_kept_too(running: Running, connect: Connect) -> None:
    running.zendesk.requests = type(running.zendesk.requests)(5, seconds=1)
    landed(connect("zendesk"), "organization_memberships")
    assert len(running.zendesk.log) > 7
    assert {entry.status for entry in running.zendesk.log} == {200}


def test_limits_are_read_from_every_kind_of_header() -> None:
    exports, account = "/api/v2/incremental/tickets/cursor.json", "/api/v2/groups.json"
    own = {"Zendesk-RateLimit-incremental-exports": "total=10; remaining=0; resets=42"}
    new = {"ratelimit-limit": "700", "ratelimit-remaining": "5", "ratelimit-reset": "31"}
    old = {"X-Rate-Limit": "200", "X-Rate-Limit-Remaining": "0"}
    assert allowance(exports, {**own, **new}) == Allowance(0, 42)
    assert allowance(account, {**own, **new}) == Allowance(5, 31)
    assert allowance(account, old) == Allowance(0, 60)
    assert allowance(exports, {}) is None


def test_check_tells_of_every_stream_and_of_the_limits_with_few_requests(running: Running, connect: Connect) -> None:
    running.zendesk.exports.limit = 10
    connector = connect("zendesk")
    findings = {finding.subject: finding for finding in connector.check()}
    streams = {stream.name for each in connector.reads for stream in each.streams}
    assert findings.keys() == {"login", "limits", *streams}
    assert all(finding.ok for finding in findings.values())
    assert "exports 10 a minute, 9 left" in findings["limits"].message
    assert connector.requests <= len(connector.reads)


def test_check_finds_an_agent_who_may_not_export(running: Running, connect: Connect) -> None:
    running.zendesk.faults.answer(403, "incremental/tickets", times=9)
    findings = {finding.subject: finding for finding in connect("zendesk").check()}
    assert {name for name, finding in findings.items() if not finding.ok} == {
        "tickets", "ticket_metrics", "ticket_events", "comments", "ticket_metric_events", "users", "organizations",
    }  # fmt: skip
    assert "permission is missing" in findings["comments"].message


def test_a_login_that_zendesk_takes_for_nobody_is_no_login(running: Running, connect: Connect) -> None:
    running.zendesk.faults.answer(200, "users/me", body={"user": {"id": None, "name": "Anonymous user", "role": "end-user"}})
    (finding,) = connect("zendesk").check()
    assert not finding.ok
    assert "ZENDESK_CLIENT_ID" in finding.message


def test_an_estimate_says_how_long_a_first_read_takes(running: Running, connect: Connect) -> None:
    running.zendesk.exports.limit = 30
    running.zendesk.requests.limit = 600
    connector = connect("zendesk")
    running.zendesk.faults.answer(200, "search/count", times=9, body={"count": 61_500})
    found = {estimate.read: estimate for estimate in connector.estimate(connector.reads)}
    assert found.keys() == {each.name for each in connector.reads}
    assert (found["tickets"].records, found["tickets"].requests, found["tickets"].seconds) == (61_500, 63, 126)
    assert (found["organization_memberships"].requests, found["organization_memberships"].seconds) == (615, 61.5)
    assert "Zendesk counts none" in found["ticket_events"].note
    assert found["tags"].records == len(CASES["tags"].rows(running.world))
    assert found["jira_links"].records == len(list(running.world.alive("jira_link")))


def test_an_estimate_leaves_out_what_the_account_lacks(running: Running, connect: Connect) -> None:
    running.zendesk.forbidden = frozenset({"/api/v2/satisfaction_ratings/count"})
    connector = connect("zendesk")
    (estimate,) = connector.estimate((read(connector, "satisfaction_ratings"),))
    assert (estimate.records, "no satisfaction_ratings to this account" in estimate.note) == (0, True)


def test_of_a_ticket_that_stands_on_a_page_twice_the_last_version_is_taken_with_its_figures(
    running: Running, connect: Connect
) -> None:
    ticket = next(each for each in running.world.alive("ticket") if each["metric_set"]["solved_at"])
    new = running.zendesk.ticket(ticket, True)
    old = json.loads(json.dumps(new))
    old |= {"status": "open", "generated_timestamp": new["generated_timestamp"] - 100}
    old["metric_set"] |= {"solved_at": None, "replies": 77}
    page = {"tickets": [old, new], "after_cursor": None, "end_of_stream": True}
    running.zendesk.faults.answer(200, "incremental/tickets", body=page)
    landing = landed(connect("zendesk"), "tickets")
    (found,) = landing.rows["ticket_metrics"].values()
    assert (found["ticket_status"], found["replies"]) == (new["status"], new["metric_set"]["replies"])
    assert found["solved_at"] is not None
    assert landing.all[(ticket["id"],)]["solved_at"] == found["solved_at"]


# fields by their titles ------------------------------------------------------------------------------------------------


def product_area(running: Running) -> Record:
    return next(field for field in running.world.alive("ticket_field") if field["title"] == "Product area")


def features(landing: Landing) -> dict[Any, Any]:
    return {key: row["feature"] for key, row in landing.all.items()}


def test_a_field_may_be_named_by_its_title_and_is_read_on_when_it_is_renamed(running: Running, connect: Connect) -> None:
    field = product_area(running)
    by_id = features(landed(connect("zendesk", choices=Choices({"tickets": {"feature": str(field["id"])}})), "tickets"))
    assert any(by_id.values())
    by_title = connect("zendesk", choices=Choices({"tickets": {"feature": "product Area"}}))
    landing = landed(by_title, "tickets")
    assert features(landing) == by_id

    running.world.change("ticket_field", field["id"], title="Area of the product")
    for ticket in list(running.world.alive("ticket")):
        running.world.change("ticket", ticket["id"], subject="Changed")
    running.world.tick(600)
    landing.read_on(connect("zendesk", choices=Choices({"tickets": {"feature": "product Area"}})))
    assert {row["subject"] for row in landing.all.values() if row["_deleted_at"] is None} == {"Changed"}
    assert features(landing) == by_id


def test_a_title_that_nobody_knows_leaves_the_column_empty_and_check_says_so(running: Running, connect: Connect) -> None:
    connector = connect("zendesk", choices=Choices({"tickets": {"feature": "No such field"}}))
    assert set(features(landed(connector, "tickets")).values()) == {None}
    said = {finding.subject: finding.message for finding in connector.check()}
    assert said["tickets"] == "can be read, except No such field: hidden from this user, or not there"


def test_a_title_of_several_fields_is_an_error_that_names_their_ids(running: Running, connect: Connect) -> None:
    other = running.world.create("ticket_field", title="Product area", type="text")
    connector = connect("zendesk", choices=Choices({"tickets": {"feature": "Product area"}}))
    with pytest.raises(SourceError, match=f"zendesk.fields.tickets.feature: 2 fields are named .*{other['id']}"):
        landed(connector, "tickets")


def test_a_field_of_organizations_may_be_named_by_its_title(running: Running, connect: Connect) -> None:
    key, title = next((field["key"], field["title"]) for field in running.world.alive("organization_field"))
    chosen = (Choices({"organizations": {"salesforce_id": name}}) for name in (title, key))
    titled, keyed = (landed(connect("zendesk", choices=each), "organizations").all for each in chosen)
    assert titled == keyed
    assert any(row["salesforce_id"] for row in titled.values())
    assert title != key
