"""What is Jira's own: moved and deleted issues, the user's time zone, custom fields by name, rich text, bulk fetches."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import QUICK
from landing import Landing, landed, read

from connectors import adf
from connectors import jira as jira_module
from connectors.base import Connector, SourceError
from connectors.http import Limiter
from connectors.jira import Jira, chosen, on_the_minute
from connectors.rows import Misfit
from connectors.sandbox import jira as stand_in
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import World

Connect = Callable[..., Connector]


def test_a_moved_issue_keeps_its_row_under_a_new_key(running: Running, connect: Connect) -> None:
    landing = landed(connect("jira"), "issues")
    issue = next(iter(running.world.alive("issue")))
    other = next(project for project in running.world.alive("project") if project["id"] != issue["fields"]["project"]["id"])
    old = issue["key"]
    running.world.move(issue["id"], other["id"])
    running.world.tick(120)
    count = len(landing.all)
    landing.read_on(connect("jira"))
    assert len(landing.all) == count
    assert landing.all[(issue["id"],)]["key"] == issue["key"] != old


def test_a_deleted_issue_and_one_that_moved_out_of_sight_are_missed(running: Running, connect: Connect) -> None:
    landing = landed(connect("jira"), "issues")
    gone = next(iter(running.world.alive("issue")))
    running.world.delete("issue", gone["id"])
    hidden = next(p["key"] for p in running.world.alive("project") if p["key"] != gone["fields"]["project"]["key"])
    running.jira.hidden_projects = {hidden}
    landing.read_on(connect("jira"))
    seen = {i["id"] for i in running.world.alive("issue") if i["fields"]["project"]["key"] != hidden}
    assert landing.alive == seen
    running.jira.hidden_projects = set()
    assert landing.read_on(connect("jira")).alive == {issue["id"] for issue in running.world.alive("issue")}


def test_a_lost_permission_is_an_error_and_deletes_nothing(running: Running, connect: Connect) -> None:
    landing = landed(connect("jira"), "issues")
    running.jira.hidden_projects = {project["key"] for project in running.world.projects.values()}
    with pytest.raises(SourceError, match="nothing is marked as deleted"):
        landing.read_on(connect("jira"))


@pytest.mark.parametrize("zone", ["Europe/Copenhagen", "America/Los_Angeles", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize("change_of_clocks", ["2026-10-24T21:00:00", "2026-11-01T06:00:00", "2026-03-28T22:00:00"])
def test_no_change_is_lost_around_the_change_of_clocks_in_any_zone(zone: str, change_of_clocks: str) -> None:
    world = World(size="tiny", now=datetime.fromisoformat(change_of_clocks).replace(tzinfo=UTC))
    with serve(world) as running:
        running.jira.time_zone = zone
        connector = Jira(running.jira.base_url, email=stand_in.EMAIL, api_token=stand_in.API_TOKEN, patience=QUICK)
        landing = landed(connector, "issues")
        ids = list(world.issues)
        for night in range(18):
            for part in range(4):
                world.tick(timedelta(minutes=5).total_seconds())
                world.change("issue", ids[(4 * night + part) % len(ids)], summary=f"Night {night}, part {part}")
            world.tick(180)
            landing.read_on(connector)
            if night % 3 == 2:
                world.tick(timedelta(hours=2).total_seconds())
                landing.read_on(connector)
                assert {record_id: row["summary"] for (record_id,), row in landing.all.items()} == {
                    record_id: issue["fields"]["summary"] for record_id, issue in world.issues.items()
                }
    Limiter._all.clear()


@pytest.mark.parametrize("minute", range(0, 240, 7))
def test_a_bound_never_falls_into_the_hour_that_the_users_clock_shows_twice(minute: int) -> None:
    zone = ZoneInfo("Europe/Copenhagen")  # 02:00 to 03:00 comes twice, from 00:00 to 02:00 UTC
    moment = datetime(2026, 10, 24, 23, tzinfo=UTC) + timedelta(minutes=minute, seconds=30)
    bound = on_the_minute(moment, zone)
    assert bound <= moment
    assert bound.second == 0
    assert (bound < datetime(2026, 10, 25, tzinfo=UTC)) == (moment < datetime(2026, 10, 25, 2, tzinfo=UTC))


def test_an_issue_that_the_index_learns_of_late_is_not_lost(running: Running, connect: Connect) -> None:
    landing = landed(connect("jira"), "issues")
    running.jira.index_lag = timedelta(minutes=8)
    record_id = next(iter(running.world.issues))
    running.world.change("issue", record_id, summary="Late")
    for _ in range(3):
        running.world.tick(300)
        landing.read_on(connect("jira"))
    assert landing.all[(record_id,)]["summary"] == "Late"


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_custom_field_is_mapped_by_its_name_or_its_id(running: Running, connect: Connect, by: str) -> None:
    field = next(field for field in running.world.fields.values() if field["name"] == "Product area")
    issue = next(issue for issue in running.world.alive("issue") if issue["fields"].get(field["id"]))
    landing = landed(connect("jira", fields={"issues": {"product_area": field[by]}}), "issues")
    assert landing.all[(issue["id"],)]["product_area"] == chosen(issue["fields"][field["id"]])


def test_a_name_that_two_fields_share_is_an_error_that_lists_their_ids(running: Running, connect: Connect) -> None:
    running.jira.faults.answer(
        200, "field", body=[{"id": "customfield_1", "name": "Customer"}, {"id": "customfield_2", "name": "customer"}]
    )
    with pytest.raises(SourceError, match="customfield_1, customfield_2"):
        landed(connect("jira", fields={"issues": {"customer": "Customer"}}), "issues")


def test_a_mapped_field_that_is_not_there_is_null_and_check_names_it(connect: Connect) -> None:
    connector = connect("jira", fields={"issues": {"customer": "No such field"}})
    assert {row["customer"] for row in landed(connector, "issues").all.values()} == {None}
    assert "No such field" in next(finding.message for finding in connector.check() if finding.subject == "fields")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("text", "text"),
        (7, 7),
        (None, None),
        ({"value": "Planning", "id": "1"}, "Planning"),
        ({"displayName": "Ada"}, "Ada"),
        ([{"value": "A"}, {"value": "B"}], "A, B"),
        (["x", "y"], "x, y"),
        ([], None),
        ({"value": "A", "child": {"value": "B"}}, "A / B"),
        ({"type": "doc", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "Rich"}]}]}, "Rich"),
    ],
)
def test_a_custom_field_of_any_kind_shows_what_a_person_would_see(value: Any, shown: Any) -> None:
    assert chosen(value) == shown


def test_a_custom_field_that_shows_nothing_is_rejected() -> None:
    with pytest.raises(Misfit):
        chosen({"unknown": 1})


def test_rich_text_is_kept_and_flattened_to_lines() -> None:
    def node(kind: str, *content: Any, **attrs: str) -> dict[str, Any]:
        return {"type": kind, "attrs": attrs, "content": list(content)}

    def text(words: str) -> dict[str, Any]:
        return {"type": "text", "text": words}

    document = node(
        "doc",
        node("heading", text("Title")),
        node("paragraph", text("One"), node("hardBreak"), node("mention", text="@Ada")),
        node("bulletList", *(node("listItem", node("paragraph", text(words))) for words in "ab")),
        node("table", node("tableRow", *(node("tableCell", node("paragraph", text(words))) for words in "xy"))),
        node("paragraph", node("inlineCard", url="https://example.com/APP-1"), node("emoji", shortName=":tada:")),
    )
    assert adf.plain(document) == "Title\nOne\n@Ada\n- a\n- b\nx\ty\nhttps://example.com/APP-1:tada:"
    assert adf.plain("plain") == "plain"
    assert adf.plain(None) is None
    assert adf.plain({"type": "doc", "content": []}) is None


def test_a_description_is_there_as_document_and_as_text(running: Running, connect: Connect) -> None:
    for (record_id,), row in landed(connect("jira"), "issues").all.items():
        description = running.world.issues[record_id]["fields"]["description"]
        assert json.loads(row["description"] or "null") == description
        assert (row["description_text"] or "").split("\n")[0] in json.dumps(description, ensure_ascii=False)


def test_an_issue_that_a_bulk_fetch_cannot_give_is_asked_for_again_and_then_listed(running: Running, connect: Connect) -> None:
    whole = landed(connect("jira"), "issues").all
    record_id = next(iter(whole))[0]
    failed = {"issues": [], "issueErrors": [{"id": record_id, "errorMessage": "Too much to send"}]}
    running.jira.faults.answer(200, "bulkfetch", body=failed)
    landing = landed(connect("jira"), "issues")
    assert (record_id,) in landing.all
    assert not landing.rejects
    running.jira.faults.answer(200, "bulkfetch", times=2, body=failed)
    (reject,) = landed(connect("jira"), "issues").rejects
    assert (reject.record_id, reject.column) == (record_id, None)
    assert "Too much to send" in reject.reason


def test_an_issue_that_could_not_be_read_is_asked_for_again_the_next_night(running: Running, connect: Connect) -> None:
    whole = landed(connect("jira"), "issues").all
    record_id = next(iter(whole))[0]
    failed = {"issues": [], "issueErrors": [{"id": record_id, "errorMessage": "Too much to send"}]}
    running.jira.faults.answer(200, "bulkfetch", times=2, body=failed)
    landing = landed(connect("jira"), "issues")
    assert landing.alive == {key for (key,) in whole} - {record_id}
    running.jira.faults.answer(200, "bulkfetch", times=2, body=failed)
    assert len(landing.read_on(connect("jira")).rejects) == 2  # that night again
    assert landing.read_on(connect("jira")).all == whole
    assert len(landing.rejects) == 2
    running.jira.log.clear()
    landing.read_on(connect("jira"))
    assert not [entry for entry in running.jira.log if "bulkfetch" in entry.target]


def test_an_issue_that_could_not_be_read_is_not_forgotten_when_the_read_is_killed(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = landed(connect("jira"), "issues").all
    monkeypatch.setattr(jira_module, "_BODIES", 2)
    monkeypatch.setattr(jira_module, "_BATCH", 1)
    running.jira.faults.answer(200, "bulkfetch", body={"issues": []})
    connector = connect("jira", concurrency=1)
    landing = Landing(read(connector, "issues")).read_on(connector, only=2)
    assert len(landing.all) == 2
    for _ in range(2):  # killed again, in what is read before the window goes on
        landing.read_on(connect("jira"), only=1)
    assert landing.read_on(connect("jira")).all == whole
    assert not landing.rejects


@pytest.mark.parametrize("named", [{}, {"id": None}, {"id": "APP-1"}, {"id": ["?"]}])
def test_a_failure_that_names_no_issue_loses_none(running: Running, connect: Connect, named: dict[str, Any]) -> None:
    whole = landed(connect("jira"), "issues").all
    failed = {"issues": [], "issueErrors": [{**named, "errorMessage": "Too much to send"}]}
    running.jira.faults.answer(200, "bulkfetch", times=1 + len(whole), body=failed)
    landing = landed(connect("jira"), "issues")
    assert {reject.record_id for reject in landing.rejects} == {key for (key,) in whole}
    assert all("Too much to send" in reject.reason for reject in landing.rejects)
    assert landing.read_on(connect("jira")).all == whole


@pytest.mark.parametrize("tokens", ["aa", "aba"])
def test_a_page_token_that_comes_again_is_an_error_and_no_end_of_the_sweep(
    running: Running, connect: Connect, tokens: str
) -> None:
    landing = landed(connect("jira"), "issues")
    for token in tokens:
        body = {"issues": [{"id": next(iter(landing.alive))}], "nextPageToken": token}
        running.jira.faults.answer(200, "search/jql", after=1, body=body)  # past the search for changes
    alive = landing.alive
    with pytest.raises(SourceError, match="unexpected reply"):
        landing.read_on(connect("jira"))
    assert landing.alive == alive


def test_a_page_of_projects_without_any_is_no_end_of_them(running: Running, connect: Connect) -> None:
    landing = landed(connect("jira"), "projects")
    running.jira.faults.answer(200, "project/search", after=1, body={"values": [], "isLast": False})
    alive = landing.alive
    with pytest.raises(SourceError, match="unexpected reply"):
        landing.read_on(connect("jira"))
    assert landing.alive == alive


@pytest.mark.parametrize("fields", [{}, {"issues": {"customer": "Customer", "product_area": "Product area"}}])
def test_check_asks_for_the_fields_once(running: Running, connect: Connect, fields: dict[str, dict[str, str]]) -> None:
    assert all(finding.ok for finding in connect("jira", fields=fields).check())
    assert [entry.target for entry in running.jira.log].count("/rest/api/3/field") == 1


def test_an_issue_deleted_while_it_is_read_is_no_reject(running: Running, connect: Connect) -> None:
    record_id = next(iter(running.world.alive("issue")))["id"]
    running.jira.faults.run(lambda: running.world.delete("issue", record_id), "bulkfetch")
    landing = landed(connect("jira"), "issues")
    assert record_id not in landing.alive
    assert not landing.rejects


def test_a_quiet_night_asks_for_the_clock_the_fields_the_changes_and_the_sweep_only(running: Running, connect: Connect) -> None:
    running.jira.page_size = None
    landing = landed(connect("jira"), "issues")
    running.jira.log.clear()
    landing.read_on(connect("jira"))
    assert [entry.target.partition("?")[0].removeprefix("/rest/api/3/") for entry in running.jira.log] == [
        "myself",
        "field",
        "search/jql",
        "search/jql",
    ]


def test_many_issues_are_fetched_side_by_side_and_arrive_in_order(connect: Connect) -> None:
    world = World(size="demo")
    with serve(world) as running:
        connector = Jira(
            running.jira.base_url, email=stand_in.EMAIL, api_token=stand_in.API_TOKEN, patience=QUICK, concurrency=4
        )
        issues = [
            row["id"]
            for batch in connector.batches(connector.reads[2], None)
            for row in (batch.rows["issues"].to_pylist() if batch.rows else ())
        ]
    assert issues == sorted((issue["id"] for issue in world.alive("issue")), key=int)
    assert len(issues) > 200
