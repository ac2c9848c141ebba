"""What tickets went through, as Zendesk's export tells it: fields, comments, deletes, returns, redactions, clocks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from landing import Landing, landed, read

from connectors.base import Choices, Connector, Read
from connectors.sandbox.serve import Running
from connectors.sandbox.world import Record, World
from connectors.zendesk import Zendesk
from tests.truth.raw_zendesk import CASES

Connect = Callable[..., Connector]
AUDITS = "/audits"


def alive(landing: Landing, stream: str) -> set[Any]:
    return {key[0] for key, row in landing.rows[stream].items() if row["_deleted_at"] is None}


def check(landing: Landing, world: World) -> None:
    for stream in ("ticket_events", "comments"):
        expected = CASES[stream].rows(world)
        assert alive(landing, stream) == {key[0] for key in expected}
        for key, row in expected.items():
            found = landing.rows[stream][key]
            assert {name: as_object(found[name], value) for name, value in row.items()} == row
    assert not landing.rejects


def as_object(value: Any, expected: Any) -> Any:
    return json.loads(value) if isinstance(expected, list | dict) and isinstance(value, str) else value


def night(running: Running, connect: Connect, landing: Landing) -> Landing:
    running.world.tick(180)
    running.zendesk.log.clear()
    return landing.read_on(connect("zendesk"))


def asked(running: Running, part: str) -> int:
    return sum(part in entry.target for entry in running.zendesk.log)


def a_ticket(world: World, status: str = "open") -> Record:
    return next(ticket for ticket in world.alive("ticket") if ticket["status"] == status)


def test_every_change_stands_with_what_was_there_before(running: Running, connect: Connect) -> None:
    ticket = a_ticket(running.world)
    landing = landed(connect("zendesk"), "ticket_events")
    custom = [{"id": 22000001, "value": "planning"}, {"id": 22000002, "value": ["a", "b"]}]
    before = {"priority": ticket["priority"], "type": ticket["type"], "tags": ticket["tags"]}
    running.world.change("ticket", ticket["id"], priority=None, type=None, tags=["vip", "new"], custom_fields=custom)
    known = set(landing.all)
    night(running, connect, landing)
    rows = {row["field_name"]: row for key, row in landing.all.items() if key not in known}
    assert (rows["priority"]["value"], rows["priority"]["previous_value"]) == (None, before["priority"])
    assert (rows["type"]["value"], rows["type"]["previous_value"]) == (None, before["type"])
    assert rows["22000002"]["value"] == '["a","b"]'
    assert rows["tags"]["value"] == '["vip","new"]'
    assert json.loads(rows["tags"]["removed_tags"]) == [tag for tag in before["tags"] if tag != "vip"]
    assert {row["event_type"] for row in rows.values()} == {"Change"}
    assert len({row["audit_id"] for row in rows.values()}) == 1
    check(landing, running.world)


def test_what_else_an_update_says_is_kept_once(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "ticket_events")
    updates = [json.loads(row["extra"]).get("update") for row in landing.all.values()]
    told = [update for update in updates if update]
    assert len(told) == len({row["audit_id"] for row in landing.all.values()})
    assert told[0]["system"]["client"] == "Sandbox"


def test_a_comment_has_its_text_as_written_as_html_and_plain(running: Running, connect: Connect) -> None:
    body = "Is 1 < 2 & so on?\nYes."
    comment = running.world.create("ticket_comment", ticket_id=a_ticket(running.world)["id"], body=body, public=False)
    running.world.tick(180)
    landing = landed(connect("zendesk"), "ticket_events")
    row = landing.rows["comments"][(comment["id"],)]
    assert (row["body"], row["plain_body"], row["public"]) == (body, body, False)
    assert "&lt; 2 &amp; so" in row["html_body"]
    check(landing, running.world)


def test_a_comment_without_plain_text_gets_it_from_its_html(running: Running, connect: Connect) -> None:
    html = "<div><p>One&nbsp;&amp; <b>two</b><br>three</p><style>p {}</style><ul><li>four</li></ul></div>"
    comment = {"id": 2, "type": "Comment", "event_type": "Comment", "html_body": html, "via": "Mail"}
    update = {"id": 1, "ticket_id": 9, "created_at": "2026-01-01T00:00:00Z", "child_events": [comment]}
    running.zendesk.faults.answer(200, "ticket_events", body={"ticket_events": [update], "end_of_stream": True})
    row = landed(connect("zendesk"), "ticket_events").rows["comments"][(2,)]
    assert row["plain_body"] == "One & two\nthree\nfour"
    assert row["channel"] == "Mail"


def test_the_history_of_a_deleted_ticket_goes_with_it_and_comes_back_with_it(running: Running, connect: Connect) -> None:
    ticket = a_ticket(running.world)["id"]
    landing = landed(connect("zendesk"), "ticket_events")
    running.world.delete("ticket", ticket)
    check(night(running, connect, landing), running.world)
    assert ticket not in {row["ticket_id"] for row in landing.all.values() if row["_deleted_at"] is None}
    assert asked(running, AUDITS) == 0
    running.world.undelete("ticket", ticket)
    check(night(running, connect, landing), running.world)
    assert ticket in {row["ticket_id"] for row in landing.all.values() if row["_deleted_at"] is None}
    assert asked(running, AUDITS) == -(-len(running.world.tickets[ticket]["_audits"]) // 3)  # three of a page


def test_what_happened_last_counts_in_whatever_order_a_page_tells_it(running: Running, connect: Connect) -> None:
    ticket = a_ticket(running.world)["id"]
    landing = landed(connect("zendesk"), "ticket_events")
    running.zendesk.page_size = None
    running.world.delete("ticket", ticket)
    running.world.tick(60)
    running.world.undelete("ticket", ticket)
    for seed in range(4):
        running.zendesk.faults.plan(1.0, seed=seed, kinds=["reordered"])
        again = Landing(landing.read)
        again.rows, again.cursor = {name: dict(rows) for name, rows in landing.rows.items()}, landing.cursor
        check(night(running, connect, again), running.world)


def test_a_ticket_that_goes_again_before_its_history_is_read_is_gone(running: Running, connect: Connect) -> None:
    ticket = a_ticket(running.world)["id"]
    landing = landed(connect("zendesk"), "ticket_events")
    running.world.delete("ticket", ticket)
    night(running, connect, landing)
    running.world.undelete("ticket", ticket)
    running.zendesk.faults.run(lambda: running.world.delete("ticket", ticket), AUDITS)
    check(night(running, connect, landing), running.world)
    check(night(running, connect, landing), running.world)


def test_a_redacted_or_hidden_comment_is_read_anew(running: Running, connect: Connect) -> None:
    comments = list(CASES["comments"].rows(running.world).values())
    landing = landed(connect("zendesk"), "ticket_events")
    secret, public = comments[0]["id"], next(each["id"] for each in comments[1:] if each["public"])
    running.world.change("ticket_comment", secret, body="▇▇▇")
    running.world.change("ticket_comment", public, public=False)
    check(night(running, connect, landing), running.world)
    assert landing.rows["comments"][(secret,)]["plain_body"] == "▇▇▇"
    assert not landing.rows["comments"][(public,)]["public"]


def test_each_run_counts_the_stretch_that_it_has_read(running: Running, connect: Connect) -> None:
    """Also where pages repeat their borders, rows come twice and tickets go meanwhile."""
    connector = connect("zendesk")
    events = read(connector, "ticket_events")
    running.world.delete("ticket", a_ticket(running.world)["id"])
    running.world.tick(180)
    running.zendesk.faults.plan(1.0, seed=3, kinds=["doubled"])
    landing = Landing(events)
    *_, last = batches = list(connector.batches(events, None))
    landing.land(batches)
    for stream in ("ticket_events", "comments"):
        assert last.counted[stream].rows == len(alive(landing, stream)) > 0
    ticket = a_ticket(running.world)
    running.world.change("ticket", ticket["id"], priority="low" if ticket["priority"] != "low" else "high")
    running.world.tick(180)
    *_, last = connector.batches(events, landing.cursor)
    assert last.counted["ticket_events"].rows == 1
    assert last.counted["comments"].rows == 0


def test_who_wants_no_comments_or_nothing_but_them_gets_that(running: Running, connect: Connect) -> None:
    connector = connect("zendesk")
    events, comments = read(connector, "ticket_events").streams
    for stream in (events, comments):
        for batch in connector.batches(Read("ticket_events", (stream,)), None):
            assert batch.rows.keys() == {stream.name}


def test_a_first_read_since_a_day_leaves_out_what_was_before_also_of_what_is_read_anew(
    running: Running, connect: Connect
) -> None:
    old = min(running.world.alive("ticket"), key=lambda ticket: ticket["created_at"])
    running.world.tick(3600)
    since = running.world.now
    running.world.tick(60)
    running.world.delete("ticket", old["id"])
    running.world.undelete("ticket", old["id"])
    running.world.tick(180)
    landing = landed(connect("zendesk", choices=Choices(since=since)), "ticket_events")
    assert {row["created_at"] >= since for row in landing.all.values()} == {True}
    assert next(row["value"] for row in landing.all.values() if row["field_name"] == "status") == "deleted"


def test_an_update_that_is_none_is_put_aside_and_its_page_goes_on(running: Running, connect: Connect) -> None:
    event = {"id": 3, "event_type": "Create", "status": "new"}
    good = {"id": 1, "ticket_id": 9, "created_at": "2026-01-01T00:00:00Z", "child_events": [event]}
    page = {"ticket_events": ["no update", {"child_events": 7}, good], "end_of_stream": True}
    running.zendesk.faults.answer(200, "ticket_events", body=page)
    landing = landed(connect("zendesk"), "ticket_events")
    assert alive(landing, "ticket_events") == {3}
    assert [reject.original for reject in landing.rejects] == ['"no update"', '{"child_events":7}']


def test_a_metric_event_that_was_written_down_late_is_not_lost(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "ticket_metric_events")
    at = running.world.now
    running.world.tick(1500)
    night(running, connect, landing)
    late = running.world.create("ticket_metric_event", at=at, ticket_id=1001, metric="reply_time", instance_id=1, type="breach")
    reached = landing.cursor["end_time"]
    assert late["id"] in night(running, connect, landing).alive
    first = next(entry.target for entry in running.zendesk.log if "start_time=" in entry.target)
    begin = int(first.partition("start_time=")[2])
    assert begin <= reached - 1800  # half an hour late is usual


def test_metric_events_that_were_taken_back_are_marked(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "ticket_metric_events")
    ticket = a_ticket(running.world)
    running.world.delete("ticket", ticket["id"])
    night(running, connect, landing)
    assert landing.alive == {key[0] for key in CASES["ticket_metric_events"].rows(running.world)}
    assert not landing.alive & set(ticket["_clocks"])


@pytest.mark.parametrize("name", ["ticket_events", "ticket_metric_events"])
def test_a_full_export_of_events_costs_the_pages_and_no_request_more(connect: Connect, running: Running, name: str) -> None:
    running.zendesk.page_size = None
    connector = connect("zendesk")
    assert isinstance(connector, Zendesk)
    landed(connector, name)
    assert asked(running, "/incremental/") == 1
    assert connector.requests == 2  # with the token


def told(number: int, ticket: Any, at: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """An update with one event, as the export has it."""
    return {
        "id": number,
        "ticket_id": ticket,
        "created_at": at,
        "updater_id": -1,
        "child_events": [{"id": number + 1, **event}],
    }


def test_what_still_comes_of_a_ticket_on_a_page_after_its_deletion_went_with_it(running: Running, connect: Connect) -> None:
    ticket = next(running.world.alive("ticket"))["id"]
    landing = landed(connect("zendesk"), "ticket_events")
    running.world.tick(86_400)
    end = int(running.world.now.timestamp()) - 7200
    changes = [("status", "deleted", "open"), ("subject", "SCRUBBED", "x")]
    for page, (name, after, before) in enumerate(changes):
        event = {"event_type": "Change", name: after, "previous_value": before}
        update = told(9_900_000 + 2 * page, ticket, f"2026-11-02T0{page}:00:00Z", event)
        body = {"ticket_events": [update], "end_time": end + 60 * page, "end_of_stream": page == 1, "next_page": "x"}
        running.zendesk.faults.answer(200, "incremental/ticket_events", body=body)
    landing.read_on(connect("zendesk"))
    assert all(row["_deleted_at"] for row in landing.all.values() if row["ticket_id"] == ticket)


def test_an_update_that_names_no_ticket_costs_no_other(running: Running, connect: Connect) -> None:
    redaction = {"event_type": "CommentRedactionEvent", "comment_id": 3}
    updates = [told(9_900_000, None, "2026-11-02T00:00:00Z", redaction), told(9_900_002, 1, "2026-11-02T00:00:00Z", redaction)]
    body = {"ticket_events": updates, "end_time": int(running.world.now.timestamp()), "end_of_stream": True}
    running.zendesk.faults.answer(200, "incremental/ticket_events", body=body)
    landing = landed(connect("zendesk"), "ticket_events")
    assert (9_900_001,) in landing.all
