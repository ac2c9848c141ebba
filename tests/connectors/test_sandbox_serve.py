"""What the stand-ins share: the world's clock, the log, faults on demand, start and stop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from asking import DATA, jira_of, salesforce_of, zendesk_of

from connectors.sandbox.serve import Running, serve
from connectors.sandbox.server import Entry
from connectors.sandbox.world import World

ME = "/api/v2/users/me.json"


@pytest.fixture
def site() -> Iterator[Running]:
    with serve(World(size="tiny")) as running:
        yield running


def test_the_environment_points_at_the_servers(site: Running) -> None:
    assert site.environment["JIRA_URL"] == site.jira.base_url
    assert all(
        site.environment[f"{tool}_URL"].startswith("http://127.0.0.1:") for tool in ("SALESFORCE", "JIRA", "ZENDESK", "PENDO")
    )
    assert site.fields["salesforce"]["opportunities"]["blocking_feature"] == "Blocking_Feature__c"


def test_every_reply_carries_the_worlds_clock_once(site: Running) -> None:
    site.world.tick(3600)
    paths = (
        (salesforce_of(site), f"{DATA}/limits"),
        (jira_of(site), "/rest/api/3/myself"),
        (zendesk_of(site), ME),
        (zendesk_of(site), "/nowhere"),
    )
    for asker, path in paths:
        assert asker.get(path).headers["Date"] == "Mon, 02 Nov 2026 05:00:00 GMT"


def test_requests_are_logged_as_they_were_sent(site: Running) -> None:
    jira_of(site).post("/rest/api/3/search/approximate-count", {"jql": "project = CORE"})
    jira_of(site).get("/rest/api/3/myself", expand="groups")
    assert site.jira.log[0] == Entry("POST", "/rest/api/3/search/approximate-count", 200, b'{"jql": "project = CORE"}')
    assert site.jira.log[1] == Entry("GET", "/rest/api/3/myself?expand=groups", 200)


def test_a_planned_error_comes_so_often_and_after_so_many(site: Running) -> None:
    asker = zendesk_of(site)
    site.zendesk.faults.answer(503, "users/me", times=2, after=1, headers={"Retry-After": "1"})
    assert [asker.get(ME).status_code for _ in range(4)] == [200, 503, 503, 200]
    assert asker.get("/api/v2/groups.json").status_code == 200


def test_an_answer_can_be_anything(site: Running) -> None:
    site.zendesk.faults.answer(200, body=b"<html>maintenance</html>", headers={"Content-Type": "text/html"})
    reply = zendesk_of_html(site)
    assert (reply.status_code, reply.text) == (200, "<html>maintenance</html>")


def zendesk_of_html(site: Running) -> requests.Response:
    return requests.get(site.zendesk.base_url + ME, timeout=10)


def test_a_connection_can_be_cut_before_and_amid_the_answer(site: Running) -> None:
    asker = zendesk_of(site)
    site.zendesk.faults.cut("users/me")
    with pytest.raises(requests.ConnectionError):
        asker.get(ME)
    site.zendesk.faults.truncate("users/me")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        asker.get(ME)
    assert asker.get(ME).status_code == 200
    assert [entry.status for entry in site.zendesk.log] == [200, 0, 0, 200]


def test_something_can_happen_between_two_pages(site: Running) -> None:
    asker = zendesk_of(site)
    site.zendesk.faults.run(site.zendesk.expire_tokens, "users/me", after=1)
    assert [asker.get(ME).status_code for _ in range(2)] == [200, 401]


def test_the_servers_are_gone_when_the_block_ends() -> None:
    with serve(World(size="tiny")) as running:
        url = running.jira.base_url
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=2)
    port = int(url.rsplit(":", 1)[1])
    with serve(World(size="tiny"), ports=(0, port, 0, 0)) as running:
        assert running.jira.base_url == url
