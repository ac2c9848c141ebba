"""The stand-in for Jira Cloud, asked over HTTP: search, bulk fetch, old keys, projects, fields, permissions, errors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from asking import Asker, jira_of

from connectors.sandbox import jira
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import World

API = "/rest/api/3"
EVERYTHING = 'updated >= "2000-01-01 00:00" ORDER BY updated ASC'


@pytest.fixture
def site() -> Iterator[Running]:
    with serve(World(size="tiny")) as running:
        yield running


@pytest.fixture
def ask(site: Running) -> Asker:
    return jira_of(site)


def search(ask: Asker, jql: str, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    reply: dict[str, Any] = {}
    while not reply.get("isLast"):
        token = {"nextPageToken": reply["nextPageToken"]} if reply else {}
        reply = ask.post(f"{API}/search/jql", {"jql": jql, **more, **token}).json()
        assert "total" not in reply
        found += reply["issues"]
    return found


def test_search_gives_bare_ids_unless_fields_are_asked_for(site: Running, ask: Asker) -> None:
    assert {frozenset(issue) for issue in search(ask, EVERYTHING)} == {frozenset({"id"})}
    assert {issue["id"] for issue in search(ask, EVERYTHING, maxResults=5)} == set(site.world.issues)
    assert set(search(ask, EVERYTHING, fields=["summary"])[0]["fields"]) == {"summary"}


def test_ids_come_five_thousand_a_page_and_whole_issues_a_hundred() -> None:
    with serve(World(size="demo")) as running:
        ask = jira_of(running)
        assert len(ask.get(f"{API}/search/jql", jql=EVERYTHING, fields="id", maxResults=5000).json()["issues"]) > 200
        assert len(ask.get(f"{API}/search/jql", jql=EVERYTHING, fields="summary", maxResults=5000).json()["issues"]) == 100


def test_dates_are_minutes_in_the_users_own_zone(site: Running, ask: Asker) -> None:
    issue = next(iter(site.world.issues))
    site.world.tick(3 * 60 + 40)  # 04:03:40 UTC, 05:03:40 in Copenhagen
    site.world.change("issue", issue, labels=["late"])
    assert search(ask, 'updated >= "2026-11-02 05:03"') == [{"id": issue}]
    assert search(ask, 'updated >= "2026-11-02 05:04"') == []
    assert search(ask, 'updated >= "2026-11-02 04:30" AND updated < "2026-11-02 05:03"') == []
    site.jira.time_zone = "America/New_York"
    assert search(ask, 'updated >= "2026-11-01 23:03"') == [{"id": issue}]
    shown = ask.get(f"{API}/issue/{issue}").json()["fields"]["updated"]
    assert shown == "2026-11-01T23:03:40.000-0500"


def test_a_row_that_changes_while_it_is_read_moves_to_another_page(site: Running, ask: Asker) -> None:
    first = ask.post(f"{API}/search/jql", {"jql": EVERYTHING, "maxResults": 3}).json()
    site.world.tick(60)
    site.world.change("issue", first["issues"][0]["id"], labels=["again"])
    rest = search_on(ask, first)
    assert rest[-1] == first["issues"][0]
    assert len(rest) == len(site.world.issues) - 2


def search_on(ask: Asker, reply: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while not reply["isLast"]:
        reply = ask.post(f"{API}/search/jql", {"jql": EVERYTHING, "nextPageToken": reply["nextPageToken"]}).json()
        found += reply["issues"]
    return found


def test_clauses_a_reader_needs(site: Running, ask: Asker) -> None:
    core = {issue["id"] for issue in site.world.alive("issue") if issue["fields"]["project"]["key"] == "CORE"}
    assert {issue["id"] for issue in search(ask, 'project in (CORE, "NONE")')} == core
    assert {issue["id"] for issue in search(ask, "project = CORE AND id > 0")} == core
    assert [issue["id"] for issue in search(ask, "project is not EMPTY ORDER BY id DESC")] == sorted(
        site.world.issues, key=int, reverse=True
    )
    assert {issue["id"] for issue in search(ask, 'issuetype in (Epic) AND statusCategory != "Done"')} <= core | set(
        site.world.issues
    )
    assert len(search(ask, "key = CORE-1")) == 1
    assert ask.post(f"{API}/search/approximate-count", {"jql": "project = CORE"}).json() == {"count": len(core)}


@pytest.mark.parametrize(
    "jql", ["", "ORDER BY updated", "updated >= yesterday", "colour = red", "project in (CORE", "updated ! 3"]
)
def test_an_unbounded_or_broken_query_is_refused(ask: Asker, jql: str) -> None:
    reply = ask.post(f"{API}/search/jql", {"jql": jql})
    assert reply.status_code == 400
    assert reply.json()["errorMessages"]


def test_a_page_token_ends_after_seven_days(site: Running, ask: Asker) -> None:
    token = ask.post(f"{API}/search/jql", {"jql": EVERYTHING, "maxResults": 3}).json()["nextPageToken"]
    site.world.tick(8 * 86_400)
    assert ask.post(f"{API}/search/jql", {"jql": EVERYTHING, "nextPageToken": token}).status_code == 400


def test_the_index_can_lag(site: Running, ask: Asker) -> None:
    site.jira.index_lag = timedelta(minutes=2)
    issue = site.world.create("issue", project=next(iter(site.world.projects)), issuetype="Bug", summary="Fresh")
    assert {"id": issue["id"]} not in search(ask, EVERYTHING)
    assert ask.get(f"{API}/issue/{issue['id']}").status_code == 200
    site.world.tick(121)
    assert {"id": issue["id"]} in search(ask, EVERYTHING)


def test_bulk_fetch_gives_issues_by_id_and_names_what_is_missing(site: Running, ask: Asker) -> None:
    ids = list(site.world.issues)
    site.world.delete("issue", ids[0])
    reply = ask.post(f"{API}/issue/bulkfetch", {"issueIdsOrKeys": [ids[3], ids[0], ids[1]], "fields": ["*all"]}).json()
    assert [issue["id"] for issue in reply["issues"]] == [ids[1], ids[3]]
    assert [error["id"] for error in reply["issueErrors"]] == [ids[0]]
    assert ask.post(f"{API}/issue/bulkfetch", {"issueIdsOrKeys": ["1"] * 101}).status_code == 400


def test_an_issue_shows_people_versions_parents_and_links_as_jira_does() -> None:
    with serve(World(size="demo")) as running:
        reply = jira_of(running).post(f"{API}/issue/bulkfetch", {"issueIdsOrKeys": list(running.world.issues)[:100]}).json()
    fields = [issue["fields"] for issue in reply["issues"]]
    assert any(f["assignee"] and "emailAddress" in f["assignee"] for f in fields)
    assert any(f["assignee"] and "emailAddress" not in f["assignee"] for f in fields)
    assert any(version["releaseDate"] for f in fields for version in f["fixVersions"])
    assert any(f["parent"] and f["parent"]["key"] and f["parent"]["fields"]["issuetype"]["name"] == "Epic" for f in fields)
    assert all(f["description"]["type"] == "doc" for f in fields)


def test_a_link_between_issues_shows_on_both_sides(site: Running, ask: Asker) -> None:
    from connectors.sandbox import jira_site

    doing, idea = list(site.world.issues.values())[:2]
    jira_site.link(site.world, doing, idea, site.world.now)
    outward = ask.get(f"{API}/issue/{doing['key']}").json()["fields"]["issuelinks"][-1]["outwardIssue"]
    inward = ask.get(f"{API}/issue/{idea['key']}").json()["fields"]["issuelinks"][-1]["inwardIssue"]
    assert (outward["id"], inward["id"]) == (idea["id"], doing["id"])


def test_the_old_key_of_a_moved_issue_still_leads_to_it(site: Running, ask: Asker) -> None:
    issue = next(issue for issue in site.world.alive("issue") if issue["fields"]["project"]["key"] == "CORE")
    old = issue["key"]
    site.world.move(issue["id"], next(p["id"] for p in site.world.projects.values() if p["key"] == "DISC"))
    shown = ask.get(f"{API}/issue/{old}").json()
    assert (shown["id"], shown["key"][:5]) == (issue["id"], "DISC-")
    site.world.delete("issue", issue["id"])
    assert ask.get(f"{API}/issue/{old}").status_code == 404


def test_the_old_search_is_gone(ask: Asker) -> None:
    assert ask.get(f"{API}/search", jql="project = CORE").status_code == 410


def test_projects_come_in_pages_and_hidden_ones_not_at_all(site: Running, ask: Asker) -> None:
    site.jira.page_size = 3
    first = ask.get(f"{API}/project/search", expand="lead").json()
    second = ask.get(first["nextPage"]).json()
    assert (first["isLast"], second["isLast"], first["total"]) == (False, True, 4)
    assert [p["key"] for p in (*first["values"], *second["values"])] == ["APP", "CORE", "DISC", "INT"]
    assert first["values"][0]["lead"]["displayName"]
    site.jira.hidden_projects.add("CORE")
    assert ask.get(f"{API}/project/search").json()["total"] == 3
    assert search(ask, "project = CORE") == []


def test_names_of_fields_are_not_unique(ask: Asker) -> None:
    names = [field["name"] for field in ask.get(f"{API}/field").json()]
    assert names.count("Story Points") == 2
    assert {"Product area", "Customer"} <= set(names)


def test_who_asks_and_what_they_may(site: Running, ask: Asker) -> None:
    assert ask.get(f"{API}/myself").json()["timeZone"] == "Europe/Copenhagen"
    assert ask.get(f"{API}/serverInfo").json()["deploymentType"] == "Cloud"
    allowed = ask.get(f"{API}/mypermissions", permissions="BROWSE_PROJECTS,ADMINISTER").json()["permissions"]
    assert (allowed["BROWSE_PROJECTS"]["havePermission"], allowed["ADMINISTER"]["havePermission"]) == (True, False)
    assert ask.get(f"{API}/mypermissions").status_code == 400


def test_without_credentials_search_is_empty_and_with_wrong_ones_refused(site: Running) -> None:
    nobody = Asker(site.jira.base_url)
    assert nobody.get(f"{API}/search/jql", jql=EVERYTHING).json() == {"issues": [], "isLast": True}
    assert nobody.get(f"{API}/myself").status_code == 401
    reply = requests.get(f"{site.jira.base_url}{API}/search/jql", auth=(jira.EMAIL, "wrong"), timeout=10)
    assert (reply.status_code, reply.headers["X-Seraph-LoginReason"]) == (401, "AUTHENTICATED_FAILED")
    bearer = {"Authorization": f"Bearer {jira.ACCESS_TOKEN}"}
    assert requests.get(f"{site.jira.base_url}{API}/myself", headers=bearer, timeout=10).status_code == 200


def test_limits_are_told_in_jiras_headers(site: Running, ask: Asker) -> None:
    site.jira.rate_limited("myself", retry_after=2)
    reply = ask.get(f"{API}/myself")
    assert (reply.status_code, reply.headers["Retry-After"], reply.headers["RateLimit-Reason"]) == (
        429,
        "2",
        "jira-burst-based",
    )
    assert reply.headers["X-RateLimit-Remaining"] == "0"
    assert "X-RateLimit-Limit" in ask.get(f"{API}/myself").headers
