"""What the stand-in for Jira keeps and shows around its issues: histories, comments, logged work, links, boards, lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asking import Asker, jira_of

from connectors.sandbox import jira_children, jira_site, product_life
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.server import RateLimit
from connectors.sandbox.world import Record, World

API = "/rest/api/3"


@pytest.fixture
def site() -> Iterator[Running]:
    with serve(World(size="tiny")) as running:
        yield running


@pytest.fixture
def ask(site: Running) -> Asker:
    return jira_of(site)


@pytest.fixture
def issue(site: Running) -> Record:
    return next(iter(site.world.alive("issue")))


def told(world: World, issue: Record) -> list[dict[str, Any]]:
    """All items of an issue's history, in order."""
    return [item for entry in jira_children.by_issue(world, "issue_history")[issue["id"]] for item in entry["items"]]


def changelog(ask: Asker, *ids: str, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    reply: dict[str, Any] = {}
    while not found or "nextPageToken" in reply:
        token = {"nextPageToken": reply["nextPageToken"]} if reply else {}
        reply = ask.post(f"{API}/changelog/bulkfetch", {"issueIdsOrKeys": ids, **more, **token}).json()
        found += [{"issue": log["issueId"], **entry} for log in reply["issueChangeLogs"] for entry in log["changeHistories"]]
    return found


def test_every_change_of_an_issue_is_in_its_history(site: Running, issue: Record) -> None:
    world, user = site.world, next(iter(site.world.jira_users))
    other = next(project for project in world.alive("project") if project["id"] != issue["fields"]["project"]["id"])
    version = next(v for v in world.alive("version") if str(v["projectId"]) == issue["fields"]["project"]["id"])
    before = len(told(world, issue))
    more: Any = {jira_site.STORY_POINTS: 8.0, jira_site.SPRINT: [4]}
    world.change("issue", issue["id"], status="Done", assignee=user, fixVersions=[version["id"]], labels=["x"], **more)
    world.move(issue["id"], other["id"])
    items = told(world, issue)[before:]
    shown = {item["field"]: (item["from"], item["fromString"], item["to"], item["toString"]) for item in items}
    assert shown["status"][2:] == ("10003", "Done")
    assert shown["resolution"][2:] == ("10000", "Done")
    assert shown["assignee"][2:] == (user, world.jira_users[user]["displayName"])
    assert shown["Story Points"][2:] == (None, "8")
    assert shown["Sprint"][2:] == ("4", "CORE Sprint 4")
    assert shown["labels"][3] == "x"
    assert shown["Key"] == (None, issue["_former_keys"][-1], None, issue["key"])
    assert shown["project"][2:] == (other["id"], other["name"])
    versions = [(item["from"], item["to"]) for item in items if item["field"] == "Fix Version"]
    assert (None, version["id"]) in versions
    assert (version["id"], None) in versions
    assert {item["fieldtype"] for item in items if item["field"] in ("Sprint", "Story Points")} == {"custom"}


def test_what_comes_changes_and_goes_around_an_issue_is_in_its_history_and_changes_it(site: Running, issue: Record) -> None:
    world = site.world
    other = next(each for each in world.alive("issue") if each is not issue)
    before = len(told(world, issue))
    stamps = []

    def later() -> None:
        stamps.append(issue["fields"]["updated"])
        world.tick(60)

    for act in (
        lambda: world.create("issue_link", source=issue["id"], target=other["id"], type="10000"),
        lambda: product_life.page(world, issue),
        lambda: product_life.work(world, issue),
        lambda: product_life.comment(world, issue),
    ):
        later()
        record = act()
        kind = next(kind for kind in jira_children.STORES if record["id"] in world.store(kind))
        if kind in ("worklog", "remote_link", "issue_comment"):
            later()
            change: Any = {"worklog": {"timeSpentSeconds": 60}, "remote_link": {"relationship": "is"}}.get(kind, {"body": None})
            if kind == "issue_comment":
                change = {"body": jira_site.text("Edited")}
            world.change(kind, record["id"], **change)
        later()
        world.delete(kind, record["id"])
    later()
    assert len(set(stamps)) == len(stamps)
    fields = [item["field"] for item in told(world, issue)[before:]]
    expected = ["Link", "Link", *["RemoteWorkItemLink"] * 3, "timespent", *["timespent", "WorklogId"] * 2, "Comment"]
    assert fields == expected


def test_an_issue_takes_all_that_hangs_on_it_along_and_its_links_leave_the_other_end(site: Running, issue: Record) -> None:
    world = site.world
    other = next(each for each in world.alive("issue") if each is not issue)
    world.create("issue_link", source=issue["id"], target=other["id"], type="10000")
    log = product_life.work(world, issue)
    world.tick(60)
    world.delete("issue", issue["id"])
    assert not list(jira_children.of_issue(world, issue["id"]))
    assert "_deleted_at" in log
    assert told(world, other)[-1]["fromString"] == f"This issue is blocked by {issue['key']}"
    assert other["fields"]["updated"] == jira_site.time(world.now)


def test_changelogs_come_in_bulk_by_time_in_milliseconds_and_whole(site: Running, ask: Asker, issue: Record) -> None:
    ids = list(site.world.issues)
    for number in range(50):
        site.world.tick(1)
        site.world.change("issue", issue["id"], summary=f"Change {number}")
    whole = changelog(ask, *ids)
    assert {entry["id"] for entry in whole} == set(site.world.store("issue_history"))
    paged = changelog(ask, *ids, maxResults=1)
    assert [entry["created"] for entry in paged] == sorted(entry["created"] for entry in whole)
    assert len({entry["issue"] for entry in paged[:7]}) > 1
    embedded = ask.get(f"{API}/issue/{issue['id']}", expand="changelog").json()["changelog"]
    assert (len(embedded["histories"]), embedded["total"] >= 50) == (40, True)
    only = changelog(ask, *ids, fieldIds=["summary"])
    assert {item["fieldId"] for entry in only for item in entry["items"]} == {"summary"}
    assert ask.post(f"{API}/changelog/bulkfetch", {"issueIdsOrKeys": ["1"] * 1001}).status_code == 400
    assert ask.post(f"{API}/changelog/bulkfetch", {"issueIdsOrKeys": ids, "nextPageToken": "x"}).status_code == 400


def test_the_latest_comments_come_with_an_issue_and_all_of_them_alone(site: Running, ask: Asker, issue: Record) -> None:
    for _ in range(25):
        site.world.tick(1)
        product_life.comment(site.world, issue)
    body = {"issueIdsOrKeys": [issue["id"]], "fields": ["comment", "worklog"]}
    embedded = ask.post(f"{API}/issue/bulkfetch", body).json()["issues"][0]["fields"]["comment"]
    whole = ask.get(f"{API}/issue/{issue['id']}/comment").json()
    assert (len(embedded["comments"]), embedded["total"]) == (20, whole["total"])
    assert [each["id"] for each in embedded["comments"]] == [each["id"] for each in whole["comments"]][-20:]
    page = ask.get(f"{API}/issue/{issue['id']}/comment", startAt=5, maxResults=3).json()
    assert page["comments"] == whole["comments"][5:8]


def test_lists_of_logged_work_tell_of_changes_after_a_minute_and_not_of_what_went_with_its_issue(
    site: Running, ask: Asker, issue: Record
) -> None:
    world = site.world
    log, other = product_life.work(world, issue), product_life.work(world, next(reversed(world.issues.values())))

    def listed(path: str, since: int = 0) -> set[int]:
        return {each["worklogId"] for each in ask.get(f"{API}/worklog/{path}", since=since).json()["values"]}

    assert int(log["id"]) not in listed("updated")
    world.tick(61)
    assert {int(log["id"]), int(other["id"])} <= listed("updated")
    assert {int(log["id"]), int(other["id"])} == listed("updated", since=round((world.now.timestamp() - 100) * 1000))
    world.delete("worklog", other["id"])
    world.delete("issue", issue["id"])
    world.tick(61)
    assert listed("deleted") == {int(other["id"])}
    assert not {int(log["id"]), int(other["id"])} & listed("updated")
    given = ask.post(f"{API}/worklog/list", {"ids": [int(log["id"]), 50001, 50002]}).json()
    assert {each["id"] for each in given} <= {"50001", "50002"}
    assert ask.post(f"{API}/worklog/list", {"ids": []}).status_code == 400


def test_links_to_issues_out_of_sight_are_not_shown(site: Running, ask: Asker, issue: Record) -> None:
    world = site.world
    project = issue["fields"]["project"]["key"]
    other = next(each for each in world.alive("issue") if each["fields"]["project"]["key"] != project)
    link = world.create("issue_link", source=issue["id"], target=other["id"], type="10000")

    def shown() -> set[str]:
        return {each["id"] for each in ask.get(f"{API}/issue/{issue['id']}").json()["fields"]["issuelinks"]}

    assert link["id"] in shown()
    site.jira.hidden_projects = {other["fields"]["project"]["key"]}
    assert link["id"] not in shown()


def test_boards_have_sprints_or_say_that_they_have_none(site: Running, ask: Asker) -> None:
    boards = {board["name"]: board for board in ask.get("/rest/agile/1.0/board").json()["values"]}
    assert boards["CORE board"]["location"]["projectKey"] == "CORE"
    statuses = {name: ask.get(f"/rest/agile/1.0/board/{b['id']}/sprint").status_code for name, b in boards.items()}
    assert statuses == {"CORE board": 200, "INT flow": 400, "APP board": 200, "Ideas": 400, "Everything": 200}
    sprints = ask.get(f"/rest/agile/1.0/board/{boards['CORE board']['id']}/sprint").json()["values"]
    assert [sprint["state"] for sprint in sprints] == ["closed"] * 3 + ["active", "future"]
    assert "startDate" not in sprints[-1]
    site.jira.software = False
    assert ask.get("/rest/agile/1.0/board").status_code == 403


def test_people_out_of_sight_make_a_page_short(site: Running, ask: Asker) -> None:
    site.jira.page_size = 3
    first = ask.get(f"{API}/users/search").json()
    rest = ask.get(f"{API}/users/search", startAt=3).json()
    assert (len(first), len(rest)) == (2, 2)
    assert {user["accountId"] for user in first + rest} == set(site.world.jira_users)
    site.jira.browses_users = False
    assert ask.get(f"{API}/users/search").status_code == 403


def test_what_goes_with_a_project_comes_back_with_it_unchanged(site: Running, ask: Asker, issue: Record) -> None:
    world = site.world
    updated, project = issue["fields"]["updated"], issue["fields"]["project"]["id"]
    world.delete("project", project)
    assert ask.get(f"{API}/issue/{issue['id']}").status_code == 404
    assert ask.get(f"{API}/project/{project}").status_code == 404
    world.tick(60)
    world.undelete("project", project)
    assert ask.get(f"{API}/issue/{issue['id']}").status_code == 200
    assert issue["fields"]["updated"] == updated
    assert ask.get(f"{API}/project/{project}").json()["versions"]
    with pytest.raises(ValueError, match="cannot bring back"):
        jira_site.undelete(world, "issue", issue, world.now)


def test_a_version_or_component_that_goes_leaves_its_issues_changed(site: Running) -> None:
    world = site.world
    held = next(issue for issue in world.alive("issue") if issue["fields"]["fixVersions"])
    world.tick(60)
    world.delete("version", held["fields"]["fixVersions"][0])
    assert held["fields"]["fixVersions"] == []
    assert held["fields"]["updated"] == jira_site.time(world.now)
    assert told(world, held)[-1]["field"] == "Fix Version"


def test_every_endpoint_has_a_limit_of_its_own(site: Running, ask: Asker) -> None:
    site.jira.limits["/rest/api/3/issue/{id}"] = RateLimit(2, seconds=60)
    ids = list(site.world.issues)
    replies = [ask.get(f"{API}/issue/{issue_id}") for issue_id in ids[:3]]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[1].headers["X-RateLimit-Remaining"] == "0"
    assert replies[2].headers["RateLimit-Reason"] == "jira-burst-based"
    assert int(replies[2].headers["Retry-After"]) <= 61
    assert ask.get(f"{API}/myself").status_code == 200


def test_what_surrounds_the_issues_of_the_first_day_moved_none_of_their_stamps() -> None:
    world = World()
    for kind in ("issue_comment", "worklog", "issue_history", "remote_link"):
        for record in world.alive(kind):
            issue = world.issues[record["issue"]]["fields"]
            assert issue["created"] <= record.get("created", issue["created"]) <= issue["updated"]
