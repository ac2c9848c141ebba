"""The stand-in for Zendesk, asked over HTTP: grants, exports by cursor and by time, links, limits, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from asking import Asker, zendesk_of

from connectors.sandbox import zendesk
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import World

API = "/api/v2"
TICKETS = f"{API}/incremental/tickets/cursor.json"


@pytest.fixture
def site() -> Iterator[Running]:
    with serve(World(size="tiny")) as running:
        yield running


@pytest.fixture
def ask(site: Running) -> Asker:
    return zendesk_of(site)


def export(ask: Asker, path: str, rows: str, **parameters: Any) -> tuple[list[list[dict[str, Any]]], str]:
    """The pages of a cursor export, and the cursor behind the last one."""
    reply = ask.get(path, **parameters).json()
    pages = [reply[rows]]
    while not reply["end_of_stream"]:
        reply = ask.get(reply["after_url"]).json()
        pages.append(reply[rows])
    return pages, reply["after_cursor"]


def rows_of(pages: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row for page in pages for row in page]


def test_tokens_are_granted_for_half_an_hour_and_wrong_clients_refused(site: Running) -> None:
    form = {"grant_type": "client_credentials", "client_id": zendesk.CLIENT_ID, "client_secret": zendesk.CLIENT_SECRET}
    url = f"{site.zendesk.base_url}/oauth/tokens"
    assert requests.post(url, json=form, timeout=10).json()["expires_in"] == 1800
    assert requests.post(url, data=form, timeout=10).json()["token_type"] == "bearer"
    wrong = requests.post(url, json={**form, "client_secret": "x"}, timeout=10)
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")


def test_a_token_ends(site: Running, ask: Asker) -> None:
    site.zendesk.expire_tokens()
    reply = ask.get(f"{API}/users/me.json")
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_token")
    site.zendesk.token_lifetime = 0
    assert zendesk_of(site).get(f"{API}/users/me.json").status_code == 401


def test_an_api_token_still_works(site: Running) -> None:
    asker = Asker(site.zendesk.base_url)
    asker.session.auth = (f"{zendesk.EMAIL}/token", zendesk.API_TOKEN)
    assert asker.get(f"{API}/users/me.json").json()["user"]["role"] == "admin"
    asker.session.auth = (f"{zendesk.EMAIL}/token", "wrong")
    assert asker.get(f"{API}/users/me.json").json() == {"error": "Couldn't authenticate you"}


def test_the_export_gives_every_ticket_once_in_the_order_of_its_stamps(site: Running, ask: Asker) -> None:
    site.zendesk.page_size = 7
    pages, _ = export(ask, TICKETS, "tickets", start_time=0)
    rows = rows_of(pages)
    assert sorted(row["id"] for row in rows) == sorted(site.world.tickets)
    assert [row["generated_timestamp"] for row in rows] == sorted(row["generated_timestamp"] for row in rows)
    assert rows[0]["fields"] == rows[0]["custom_fields"]
    assert "metric_set" not in rows[0]


def test_an_empty_page_is_not_the_end(site: Running, ask: Asker) -> None:
    site.zendesk.page_size = 7
    pages, _ = export(ask, TICKETS, "tickets", start_time=0)
    assert pages[1] == []
    assert pages[2]


def test_metric_sets_come_on_request(ask: Asker) -> None:
    ticket = rows_of(export(ask, TICKETS, "tickets", start_time=0, include="metric_sets")[0])[0]
    assert ticket["metric_set"]["ticket_id"] == ticket["id"]


def test_a_cursor_continues_with_what_changed_and_with_what_was_only_touched(site: Running, ask: Asker) -> None:
    _, cursor = export(ask, TICKETS, "tickets", start_time=0)
    changed, touched, deleted = [ticket["id"] for ticket in site.world.alive("ticket")][:3]
    site.world.tick(10)
    site.world.change("ticket", changed, priority="urgent")
    site.world.touch(touched)
    site.world.delete("ticket", deleted)
    assert rows_of(export(ask, TICKETS, "tickets", cursor=cursor)[0]) == []  # the last minute is left out
    site.world.tick(61)
    pages, cursor = export(ask, TICKETS, "tickets", cursor=cursor)
    assert {row["id"] for row in rows_of(pages)} == {changed, touched, deleted}
    assert {row["id"]: row["status"] for row in rows_of(pages)}[deleted] == "deleted"
    assert rows_of(export(ask, TICKETS, "tickets", cursor=cursor)[0]) == []


@pytest.mark.parametrize("path", ["tickets/cursor.json", "users/cursor.json", "organizations.json"])
def test_a_start_in_the_last_minute_is_refused(site: Running, ask: Asker, path: str) -> None:
    now = int(site.world.now.timestamp())
    assert ask.get(f"{API}/incremental/{path}", start_time=now - 30).json()["error"] == "StartTimeTooRecent"
    assert ask.get(f"{API}/incremental/{path}", start_time=now - 30).status_code == 400
    assert ask.get(f"{API}/incremental/{path}", start_time=now - 90).status_code == 200
    assert ask.get(f"{API}/incremental/{path}").status_code == 400


def test_deleted_and_merged_people_are_exported_as_inactive(site: Running, ask: Asker) -> None:
    organization = next(iter(site.world.organizations))
    first, second, third = [user["id"] for user in site.world.alive("zendesk_user") if user["organization_id"] == organization][
        :3
    ]
    site.world.delete("zendesk_user", first)
    site.world.merge("zendesk_user", second, third)
    site.world.tick(61)
    pages, _ = export(ask, f"{API}/incremental/users/cursor.json", "users", start_time=0)
    assert {row["id"]: row["active"] for row in rows_of(pages) if row["id"] in (first, second, third)} == {
        first: False,
        second: False,
        third: True,
    }


def test_organizations_come_by_time_and_repeat_the_last_second(site: Running, ask: Asker) -> None:
    for name in ("One", "Two", "Three"):
        site.world.create("organization", name=name)  # three in one second
    gone = next(iter(site.world.organizations))
    site.world.tick(1)
    site.world.delete("organization", gone)
    site.world.tick(61)
    site.zendesk.page_size = 2
    reply = ask.get(f"{API}/incremental/organizations.json", start_time=0).json()
    seen = [row["id"] for row in reply["organizations"]]
    while not reply["end_of_stream"]:
        reply = ask.get(reply["next_page"]).json()
        assert reply["count"] == len(reply["organizations"])
        assert reply["organizations"][0]["id"] in seen
        seen += [row["id"] for row in reply["organizations"]]
    assert set(seen) == set(site.world.organizations)
    assert len(seen) > len(set(seen))
    assert {row["id"]: row["deleted_at"] for row in reply["organizations"]}[gone]


def test_links_come_as_text_after_an_id_and_removed_ones_not_at_all(site: Running, ask: Asker) -> None:
    site.zendesk.page_size = 2
    ids = list(site.world.jira_links)
    reply = ask.get(f"{API}/jira/links").json()
    assert [link["id"] for link in reply["links"]] == ids[:2]
    assert all(isinstance(link[name], str) for link in reply["links"] for name in ("id", "ticket_id", "issue_id"))
    site.world.delete("jira_link", ids[2])
    assert [link["id"] for link in ask.get(f"{API}/jira/links", since_id=ids[1]).json()["links"]] == ids[3:5]
    assert [link["id"] for link in ask.get(f"{API}/jira/links", before_id=ids[2]).json()["links"]] == ids[:2]
    assert ask.get(f"{API}/jira/links").json()["total"] == len(ids) - 1


def test_a_link_keeps_the_key_that_the_issue_had(site: Running, ask: Asker) -> None:
    issue = next(issue for issue in site.world.alive("issue") if issue["fields"]["project"]["key"] == "CORE")
    link = site.world.create("jira_link", ticket_id=next(iter(site.world.tickets)), issue_id=issue["id"])
    old = issue["key"]
    site.world.move(issue["id"], next(p["id"] for p in site.world.projects.values() if p["key"] == "INT"))
    shown = ask.get(f"{API}/jira/links", since_id=int(link["id"]) - 1).json()["links"][0]
    assert (shown["issue_id"], shown["issue_key"]) == (issue["id"], old)


def test_counts_and_small_lists(site: Running, ask: Asker) -> None:
    found = ask.get(f"{API}/search/count.json", query="type:ticket").json()["count"]
    assert found == len(list(site.world.alive("ticket")))
    assert [group["name"] for group in ask.get(f"{API}/groups.json").json()["groups"]] == ["Support", "Escalations", "Billing"]
    assert ask.get(f"{API}/ticket_fields.json").json()["count"] == 2
    assert ask.get(f"{API}/account/settings.json").status_code == 200
    assert ask.get(f"{API}/nothing.json").json()["error"] == "InvalidEndpoint"


def test_the_eleventh_export_in_a_minute_is_too_many(site: Running, ask: Asker) -> None:
    site.zendesk.exports.limit = 10
    for _ in range(10):
        assert ask.get(TICKETS, start_time=0).status_code == 200
    reply = ask.get(TICKETS, start_time=0)
    assert reply.status_code == 429
    assert 1 <= int(reply.headers["Retry-After"]) <= 61
    assert ask.get(f"{API}/users/me.json").headers["X-Rate-Limit-Remaining"].isdigit()


def test_what_the_plan_does_not_hold_is_forbidden(site: Running, ask: Asker) -> None:
    site.zendesk.forbidden = frozenset({f"{API}/jira/links"})
    assert ask.get(f"{API}/jira/links").status_code == 403
