"""How issues are read: moved, hidden and deleted ones, the user's time zone, what cannot be given, what hangs on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import QUICK
from issues import first, night
from landing import Landing, landed, read

from connectors import jira_issues
from connectors.base import Batch, Choices, Connector
from connectors.http import Limiter
from connectors.jira import Jira
from connectors.jira_issues import on_the_minute
from connectors.sandbox import jira as stand_in
from connectors.sandbox import jira_site
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import Record, World

Connect = Callable[..., Connector]
CHILDREN = {
    "comments": "issue_comment",
    "changelog": "issue_history",
    "issue_links": "issue_link",
    "remote_links": "remote_link",
}


def alive(landing: Landing, stream: str) -> set[tuple[Any, ...]]:
    return {key for key, row in landing.rows[stream].items() if row["_deleted_at"] is None}


def asked(running: Running) -> list[str]:
    """The paths that were asked, in order."""
    return [entry.target.partition("?")[0].removeprefix("/rest/api/3/") for entry in running.jira.log]


def other_project(world: World, issue: Record) -> Record:
    return next(project for project in world.alive("project") if project["id"] != issue["fields"]["project"]["id"])


# moved, hidden, deleted -------------------------------------------------------------------------------------------------


def test_a_moved_issue_keeps_its_row_under_a_new_key(running: Running, connect: Connect) -> None:
    landing = first(connect("jira"))
    issue = next(iter(running.world.alive("issue")))
    old = issue["key"]
    running.world.move(issue["id"], other_project(running.world, issue)["id"])
    running.world.tick(120)
    count = len(landing.all)
    night(landing, connect("jira"))
    assert len(landing.all) == count
    assert landing.all[(issue["id"],)]["key"] == issue["key"] != old


def test_the_children_and_the_links_of_a_moved_issue_show_its_new_key_though_they_did_not_change(
    running: Running, connect: Connect
) -> None:
    parent = next(issue for issue in running.world.alive("issue") if issue["fields"]["issuetype"]["name"] == "Epic")
    child = next(i for i in running.world.alive("issue") if (i["fields"]["parent"] or {}).get("id") == parent["id"])
    link = running.world.create("issue_link", source=child["id"], target=parent["id"], type="10000")
    running.world.tick(3600)
    landing = first(connect("jira"))
    running.world.move(parent["id"], other_project(running.world, parent)["id"])
    running.world.tick(120)
    night(landing, connect("jira"))
    assert landing.all[(child["id"],)]["parent_key"] == parent["key"]
    assert landing.rows["issue_links"][(link["id"],)]["target_issue_key"] == parent["key"]


def test_children_of_a_moved_issue_are_not_forgotten_when_the_read_is_killed(running: Running, connect: Connect) -> None:
    parent = next(issue for issue in running.world.alive("issue") if issue["fields"]["issuetype"]["name"] == "Epic")
    child = next(i for i in running.world.alive("issue") if (i["fields"]["parent"] or {}).get("id") == parent["id"])
    running.world.tick(3600)
    landing = first(connect("jira"))
    running.world.move(parent["id"], other_project(running.world, parent)["id"])
    running.world.tick(7200)
    landing.read_on(connect("jira"), only=2)  # the moved issue is in, its children are not
    assert landing.all[(child["id"],)]["parent_key"] != parent["key"]
    night(landing, connect("jira"))
    assert landing.all[(child["id"],)]["parent_key"] == parent["key"]


def test_a_deleted_issue_and_one_that_moved_out_of_sight_are_missed_with_all_that_hangs_on_them(
    running: Running, connect: Connect
) -> None:
    landing = first(connect("jira"))
    gone = next(iter(running.world.alive("issue")))
    running.world.delete("issue", gone["id"])
    hidden = other_project(running.world, gone)["key"]
    running.jira.hidden_projects = {hidden}
    running.world.tick(120)
    night(landing, connect("jira"))
    seen = {i["id"] for i in running.world.alive("issue") if i["fields"]["project"]["key"] != hidden}
    assert landing.alive == seen
    for stream in ("comments", "changelog", "remote_links"):
        assert {row["issue_id"] for row in landing.rows[stream].values() if row["_deleted_at"] is None} <= seen


def test_issues_that_become_visible_without_a_change_are_fetched_by_their_ids(running: Running, connect: Connect) -> None:
    issue = next(iter(running.world.alive("issue")))
    running.jira.hidden_projects = {issue["fields"]["project"]["key"]}
    running.world.tick(3600)
    landing = first(connect("jira"))
    assert issue["id"] not in landing.alive
    running.jira.hidden_projects = set()
    night(landing, connect("jira"))
    assert landing.alive == {each["id"] for each in running.world.alive("issue")}
    for stream, kind in CHILDREN.items():
        assert {key[0] for key in alive(landing, stream)} == {record["id"] for record in running.world.alive(kind)}


def test_an_issue_deleted_while_it_is_read_is_no_reject(running: Running, connect: Connect) -> None:
    record_id = next(iter(running.world.alive("issue")))["id"]
    running.jira.faults.run(lambda: running.world.delete("issue", record_id), "bulkfetch")
    landing = first(connect("jira"))
    assert record_id not in landing.alive
    assert not landing.rejects


def test_what_came_after_the_read_began_is_no_difference(running: Running, connect: Connect) -> None:
    landing = first(connect("jira"))
    project = next(iter(running.world.projects))
    fresh = running.world.create("issue", project=project, issuetype="Bug", summary="Just now")
    running.jira.log.clear()
    night(landing, connect("jira"))
    assert fresh["id"] not in landing.alive
    assert "issue/bulkfetch" not in asked(running)
    running.world.tick(180)
    assert fresh["id"] in night(landing, connect("jira")).alive


# time -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Europe/Copenhagen", "America/Los_Angeles", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize("change_of_clocks", ["2026-10-24T21:00:00", "2026-11-01T06:00:00", "2026-03-28T22:00:00"])
def test_no_change_is_lost_around_the_change_of_clocks_in_any_zone(zone: str, change_of_clocks: str) -> None:
    world = World(size="tiny", now=datetime.fromisoformat(change_of_clocks).replace(tzinfo=UTC))
    with serve(world) as running:
        running.jira.time_zone = zone
        connector = Jira(running.jira.base_url, email=stand_in.EMAIL, api_token=stand_in.API_TOKEN, patience=QUICK)
        landing = first(connector)
        ids = list(world.issues)
        for number in range(18):
            for part in range(4):
                world.tick(timedelta(minutes=5).total_seconds())
                world.change("issue", ids[(4 * number + part) % len(ids)], summary=f"Night {number}, part {part}")
            world.tick(180)
            night(landing, connector)
            if number % 3 == 2:
                world.tick(timedelta(hours=2).total_seconds())
                night(landing, connector)
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
    landing = first(connect("jira"))
    running.jira.index_lag = timedelta(minutes=8)
    record_id = next(iter(running.world.issues))
    running.world.change("issue", record_id, summary="Late")
    for _ in range(3):
        running.world.tick(300)
        night(landing, connect("jira"))
    assert landing.all[(record_id,)]["summary"] == "Late"


def test_a_first_read_and_its_proof_begin_at_the_chosen_day(running: Running, connect: Connect) -> None:
    stamps = sorted(issue["fields"]["updated"] for issue in running.world.alive("issue"))
    since = datetime.fromisoformat(stamps[len(stamps) // 2]).astimezone(UTC)
    wanted = {
        issue["id"]
        for issue in running.world.alive("issue")
        if datetime.fromisoformat(issue["fields"]["updated"]) >= on_the_minute(since, ZoneInfo("UTC"))
    }
    connector = connect("jira", choices=Choices(since=since))
    landing = first(connector)
    assert landing.alive == wanted != set(running.world.issues)
    assert night(landing, connector).alive == wanted


# resuming -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0, 6, 8])
def test_a_first_read_goes_on_where_it_died_also_when_its_page_token_is_too_old(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr(jira_issues, "SIZE", 2)
    whole = first(connect("jira")).rows
    for killed_after in (1, 2, 4):
        landing = Landing(read(connect("jira"), "issues")).read_on(connect("jira"), only=killed_after)
        running.world.tick(timedelta(days=days).total_seconds())
        assert night(landing, connect("jira")).rows == whole


@pytest.mark.parametrize("days", [0, 8])
def test_no_change_is_lost_where_a_read_died_among_issues_whose_ids_do_not_rise(
    running: Running, connect: Connect, days: int
) -> None:
    early = running.world.now - timedelta(days=900)
    project = next(iter(running.world.projects))
    running.world.create("issue", at=early, project=project, issuetype="Bug", summary="Imported")  # on the first page
    landing = first(connect("jira"))
    running.world.tick(3600)
    for issue in list(running.world.alive("issue")):
        running.world.change("issue", issue["id"], summary=f"Changed {issue['key']}")
    running.world.tick(3600)
    landing.read_on(connect("jira"), only=3)
    running.world.tick(timedelta(days=days).total_seconds())
    night(landing, connect("jira"))
    assert all(row["summary"] == f"Changed {row['key']}" for row in landing.all.values())


def test_no_change_is_lost_where_what_was_read_changes_again_before_the_read_goes_on(
    running: Running, connect: Connect
) -> None:
    early = running.world.now - timedelta(days=900)
    project = next(iter(running.world.projects))
    running.world.create("issue", at=early, project=project, issuetype="Bug", summary="Imported")
    landing = first(connect("jira"))
    running.world.tick(3600)
    for issue in list(running.world.alive("issue")):
        running.world.change("issue", issue["id"], summary=f"Changed {issue['key']}")
    running.world.tick(3600)
    landing.read_on(connect("jira"), only=2)  # the first page
    by_creation = sorted(running.world.alive("issue"), key=lambda issue: (issue["fields"]["created"], int(issue["id"])))
    for issue in by_creation[:2]:  # leave what is left of the window, so that others move up to its first page
        running.world.change("issue", issue["id"], summary=f"Changed {issue['key']}", duedate="2030-01-01")
    running.world.tick(3600)
    night(landing, connect("jira"))
    assert all(row["summary"] == f"Changed {row['key']}" for row in landing.all.values())


def test_a_resumed_read_does_not_search_again_for_the_pages_that_are_done(running: Running, connect: Connect) -> None:
    landing = Landing(read(connect("jira"), "issues")).read_on(connect("jira"), only=4)
    done = len(landing.all)
    assert done >= 6
    running.jira.log.clear()
    batches: list[Batch] = list(connect("jira").batches(landing.read, landing.cursor))
    fetched = {key for batch in batches if "issues" in batch.rows for key in batch.rows["issues"]["id"].to_pylist()}
    assert len(fetched) <= len(running.world.issues) - done + 3


def test_rows_that_move_between_pages_while_they_are_read_are_not_lost(running: Running, connect: Connect) -> None:
    landing = Landing(read(connect("jira"), "issues"))
    ids = list(running.world.issues)

    def changed(number: int) -> None:
        running.world.change("issue", ids[number], summary=f"Changed {number}")

    for number in range(4):
        running.jira.faults.run(partial(changed, number), "bulkfetch", after=number)
    night(landing, connect("jira"))
    running.world.tick(180)
    night(landing, connect("jira"))
    assert {key: row["summary"] for (key,), row in landing.all.items()} == {
        key: issue["fields"]["summary"] for key, issue in running.world.issues.items()
    }


# what hangs on issues -----------------------------------------------------------------------------------------------------


def test_an_issue_with_more_comments_than_come_with_it_is_asked_for_them_alone(running: Running, connect: Connect) -> None:
    running.jira.page_size = None
    running.jira.embedded_comments = 5
    landing = first(connect("jira"))
    assert {key for (key,) in alive(landing, "comments")} == {c["id"] for c in running.world.alive("issue_comment")}
    counts = [sum(c["issue"] == i for c in running.world.alive("issue_comment")) for i in running.world.issues]
    assert sum(path.endswith("/comment") for path in asked(running)) == sum(count > 5 for count in counts) == 1


def test_a_deleted_comment_is_missed_when_its_issue_is_read_anew(running: Running, connect: Connect) -> None:
    landing = first(connect("jira"))
    comment = next(iter(running.world.alive("issue_comment")))
    running.world.delete("issue_comment", comment["id"])
    running.world.tick(120)
    night(landing, connect("jira"))
    assert landing.rows["comments"][(comment["id"],)]["_deleted_at"]
    told = [row for row in landing.rows["changelog"].values() if row["field"] == "Comment"]
    assert [row["from_value"] for row in told] == [comment["id"]]


def test_a_changelog_is_whole_though_a_search_would_cut_it(running: Running, connect: Connect) -> None:
    running.jira.page_size = None
    issue = next(iter(running.world.alive("issue")))
    for number in range(60):
        running.world.tick(1)
        running.world.change("issue", issue["id"], summary=f"Change {number}")
    running.world.tick(180)
    landing = first(connect("jira"))
    told = [row for row in landing.rows["changelog"].values() if row["issue_id"] == issue["id"] and row["field"] == "summary"]
    assert [row["to_string"] for row in sorted(told, key=lambda row: row["created"])] == [f"Change {n}" for n in range(60)]
    shown = running.jira.shown.issue(issue, ["summary"], ["changelog"])["changelog"]
    assert (len(shown["histories"]), shown["total"] >= 60) == (40, True)


def test_links_to_pages_are_asked_for_where_the_changelog_tells_of_some_that_are_left(
    running: Running, connect: Connect
) -> None:
    running.jira.page_size = None
    linked = list(running.world.alive("remote_link"))
    running.world.delete("remote_link", linked[0]["id"])
    running.world.tick(timedelta(days=3).total_seconds())
    landing = first(connect("jira"))
    assert {key for (key,) in alive(landing, "remote_links")} == {link["id"] for link in linked[1:]}
    assert sum(path.endswith("/remotelink") for path in asked(running)) == len(linked) - 1
    running.jira.log.clear()
    running.world.change("issue", linked[1]["issue"], summary="Nothing to do with links")
    running.world.tick(180)
    night(landing, connect("jira"))
    assert not any(path.endswith("/remotelink") for path in asked(running))
    running.world.change("remote_link", linked[1]["id"], relationship="explains")
    running.world.delete("remote_link", linked[2]["id"])
    running.world.tick(180)
    night(landing, connect("jira"))
    assert landing.rows["remote_links"][(linked[1]["id"],)]["relationship"] == "explains"
    assert landing.rows["remote_links"][(linked[2]["id"],)]["_deleted_at"]


def test_a_site_that_does_not_link_issues_has_no_links_and_no_error(running: Running, connect: Connect) -> None:
    running.jira.linking = False
    landing = first(connect("jira"))
    assert landing.alive
    assert not landing.rows["remote_links"]


def test_a_link_between_issues_is_one_row_from_whichever_end_it_is_read(running: Running, connect: Connect) -> None:
    source, target = list(running.world.alive("issue"))[:2]
    link = running.world.create("issue_link", source=source["id"], target=target["id"], type="10000")
    running.world.tick(180)
    row = first(connect("jira")).rows["issue_links"][(link["id"],)]
    assert (row["source_issue_key"], row["outward"], row["target_issue_key"]) == (source["key"], "blocks", target["key"])


def test_what_jira_repeats_of_other_records_is_not_kept_with_every_issue(running: Running, connect: Connect) -> None:
    for row in first(connect("jira")).all.values():
        extra = json.loads(row["extra"])
        assert "self" not in extra
        assert "127.0.0.1" not in row["extra"]
        assert not {"comment", "issuelinks", "worklog"} & extra["fields"].keys()


# requests -----------------------------------------------------------------------------------------------------------------


def test_a_quiet_night_asks_for_the_clock_the_fields_the_changes_and_the_sweep_only(running: Running, connect: Connect) -> None:
    running.jira.page_size = None
    landing = first(connect("jira"))
    running.jira.log.clear()
    night(landing, connect("jira"))
    assert asked(running) == ["myself", "field", "search/jql", "search/jql"]


def test_a_first_read_asks_as_its_formula_says(connect: Connect) -> None:
    world = World(size="demo")
    with serve(world) as running:
        connector = Jira(running.jira.base_url, email=stand_in.EMAIL, api_token=stand_in.API_TOKEN, patience=QUICK)
        first(connector)
        count = len(list(world.alive("issue")))
        linked = {link["issue"] for link in world.alive("remote_link")}
        paths = asked(running)
    assert paths.count("search/jql") == 1
    assert paths.count("issue/bulkfetch") == -(-count // 100)
    assert paths.count("changelog/bulkfetch") == 1
    assert sum(path.endswith("/comment") for path in paths) == 1
    assert len(paths) == 1 + 1 + -(-count // 100) + 1 + 1 + len(linked)


@pytest.mark.parametrize(
    ("streams", "paths"),
    [
        ({"issues"}, {"issue/bulkfetch"}),
        ({"comments"}, {"issue/bulkfetch"}),
        ({"changelog"}, {"changelog/bulkfetch"}),
        ({"issues", "changelog"}, {"issue/bulkfetch", "changelog/bulkfetch"}),
    ],
)
def test_what_is_switched_off_is_not_asked_for(running: Running, connect: Connect, streams: set[str], paths: set[str]) -> None:
    running.jira.page_size = None
    running.jira.embedded_comments = 100
    connector = connect("jira")
    whole = read(connector, "issues")
    some = type(whole)(whole.name, tuple(stream for stream in whole.streams if stream.name in streams))
    batches = list(connector.batches(some, None))
    assert {path for path in asked(running) if "bulkfetch" in path} == paths
    assert {name for batch in batches for name in (*batch.rows, *batch.present)} == streams
    assert any(batch.rows[name].num_rows for batch in batches for name in batch.rows)


def test_unwanted_fields_are_neither_asked_for_nor_kept(running: Running, connect: Connect) -> None:
    unwanted = frozenset(("description", "description_text", "assignee_name", "customfield_10051", "labels"))
    fields: Mapping[str, Mapping[str, str]] = {"issues": {"product_area": "customfield_10050"}}
    landing = first(connect("jira", choices=Choices(fields, {"issues": unwanted})))
    bodies = [json.loads(entry.body) for entry in running.jira.log if entry.target.endswith("issue/bulkfetch")]
    left_out = {"-description", "-labels", "-customfield_10051", "-worklog"}
    assert all(left_out <= set(body["fields"]) and "-assignee" not in body["fields"] for body in bodies)
    for row in landing.all.values():
        assert (row["description"], row["description_text"], row["labels"], row["assignee_name"]) == (None,) * 4
        assert "customfield_10051" not in row["extra"]
    assert any(row["assignee_email"] for row in landing.all.values())


def test_many_issues_are_fetched_side_by_side_and_arrive_in_order() -> None:
    world = World(size="demo")
    with serve(world) as running:
        connector = Jira(
            running.jira.base_url, email=stand_in.EMAIL, api_token=stand_in.API_TOKEN, patience=QUICK, concurrency=4
        )
        issues = [
            row["id"]
            for batch in connector.batches(read(connector, "issues"), None)
            for row in (batch.rows["issues"].to_pylist() if batch.rows else ())
        ]
    Limiter._all.clear()
    assert issues == sorted((issue["id"] for issue in world.alive("issue")), key=int)
    assert len(issues) > 200


# columns ------------------------------------------------------------------------------------------------------------------


def test_a_description_is_there_as_document_and_as_text(running: Running, connect: Connect) -> None:
    for (record_id,), row in landed(connect("jira"), "issues").all.items():
        description = running.world.issues[record_id]["fields"]["description"]
        assert json.loads(row["description"] or "null") == description
        assert (row["description_text"] or "").split("\n")[0] in json.dumps(description, ensure_ascii=False)


def test_sprints_that_the_settings_name_are_told_by_their_ids(running: Running, connect: Connect) -> None:
    issue = next(iter(running.world.alive("issue")))
    more: Any = {jira_site.SPRINT: [4, 5]}
    running.world.change("issue", issue["id"], **more)
    fields = {"issues": {"sprint_ids": "Sprint", "story_points": jira_site.STORY_POINTS}}
    landing = landed(connect("jira", choices=Choices(fields)), "issues")
    assert landing.all[(issue["id"],)]["sprint_ids"] == "4, 5"
    points = {key: issue["fields"][jira_site.STORY_POINTS] for key, issue in running.world.issues.items()}
    assert {key: row["story_points"] for (key,), row in landing.all.items()} == points
