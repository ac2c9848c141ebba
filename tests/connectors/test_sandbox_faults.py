"""The plan of faults: each kind as a plain client meets it, how many there are, and that patience always wins."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from asking import Asker, jira_of, salesforce_of, zendesk_of

from connectors.sandbox.fault_plan import KINDS, PROXY_PAGE, SPOILING, FaultPlan, Kind
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import World

ME = "/api/v2/users/me.json"
USERS = "/api/v2/incremental/users/cursor.json?start_time=0"
ORGANIZATIONS = "/api/v2/incremental/organizations.json?start_time=0"
FAILING = [kind for kind in KINDS if kind not in SPOILING]


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    with serve(World(size="tiny")) as running:
        yield running


@pytest.fixture
def site(shared: Running) -> Iterator[Running]:
    yield shared
    for server in shared.servers:
        server.faults.clear()
        server.faults.done.clear()


def met(asker: Asker, path: str, **options: Any) -> str:
    """What a plain client meets."""
    try:
        reply = asker.session.get(asker.base + path, timeout=options.get("timeout", 10))
        return str(reply.status_code) if reply.status_code != 200 or _is_json(reply) else "not JSON"
    except requests.ReadTimeout:
        return "stall"
    except requests.exceptions.ChunkedEncodingError:
        return "cut off"
    except requests.ConnectionError:
        return "reset"


def _is_json(reply: requests.Response) -> bool:
    try:
        return reply.json() is not None
    except requests.JSONDecodeError:
        return False


@pytest.mark.parametrize("kind", ["429", "500", "502", "reset", "cut off", "not JSON"])
def test_a_planned_fault_reaches_the_client(site: Running, kind: Kind) -> None:
    ask = zendesk_of(site)
    site.zendesk.faults.plan(1, 1, (kind,))
    assert met(ask, ME) == kind
    assert site.zendesk.faults.done == {kind: 1}


def test_too_many_requests_are_told_how_long_to_wait(site: Running) -> None:
    site.jira.faults.plan(1, 1, ("429",), retry_after=2)
    reply = jira_of(site).get("/rest/api/3/myself")
    assert reply.headers["Retry-After"] == "2"
    assert reply.json() == site.jira.error(429)


def test_a_proxy_answers_in_html(site: Running) -> None:
    site.jira.faults.plan(1, 1, ("502",))
    reply = jira_of(site).get("/rest/api/3/myself")
    assert (reply.headers["Content-Type"], reply.content) == ("text/html", PROXY_PAGE)


def test_a_stalled_reply_comes_too_late_for_whoever_waits_less(site: Running) -> None:
    ask = zendesk_of(site)
    site.zendesk.faults.plan(1, 1, ("stall",), stall=0.4)
    assert met(ask, ME, timeout=0.1) == "stall"
    started = time.monotonic()
    assert met(ask, ME) == "200"
    assert time.monotonic() - started > 0.3


def test_a_reply_that_is_too_large_comes_only_if_asked_for(site: Running) -> None:
    assert "too large" not in KINDS
    site.jira.faults.plan(1, 1, ("too large",), large=3 << 20)
    assert len(jira_of(site).get("/rest/api/3/myself").content) > 3 << 20


@pytest.mark.parametrize(("asker", "path"), [(zendesk_of, ME), (salesforce_of, "/services/data/v66.0/limits")])
def test_tokens_really_end_and_a_new_one_lasts_for_a_while(site: Running, asker: Callable[[Running], Asker], path: str) -> None:
    ask = asker(site)
    server = site.zendesk if asker is zendesk_of else site.salesforce
    server.faults.plan(1, 1, ("expired",))
    assert [met(ask, path), met(ask, path)] == ["401", "401"]
    assert server.faults.done == {"expired": 1}
    renewed = asker(site)
    assert [met(renewed, path) for _ in range(40)] == ["200"] * 40


def test_a_login_that_never_ends_cannot_expire(site: Running) -> None:
    site.jira.faults.plan(1, 1, ("expired",))
    assert met(jira_of(site), "/rest/api/3/myself") == "200"
    assert not site.jira.faults.done


def test_a_doubled_page_has_one_row_twice_and_all_the_rest_as_it_was(site: Running) -> None:
    ask = zendesk_of(site)
    whole = ask.get(ORGANIZATIONS)
    site.zendesk.faults.plan(1, 1, ("doubled",))
    doubled = ask.get(ORGANIZATIONS)
    rows, before = doubled.json()["organizations"], whole.json()["organizations"]
    assert len(rows) == len(before) + 1
    assert sorted(Counter(row["id"] for row in rows).values()) == [1] * (len(before) - 1) + [2]
    assert {**doubled.json(), "organizations": before} == whole.json()
    assert doubled.headers.keys() == whole.headers.keys()


def test_a_reordered_page_has_the_same_rows(site: Running) -> None:
    ask = salesforce_of(site)
    query = "/services/data/v66.0/queryAll?q=SELECT+Id,Name+FROM+Account"
    whole = ask.get(query).json()
    site.salesforce.faults.plan(1, 1, ("reordered",))
    reordered = ask.get(query).json()
    assert reordered["records"] != whole["records"]
    assert sorted(row["Id"] for row in reordered["records"]) == sorted(row["Id"] for row in whole["records"])
    assert {**reordered, "records": []} == {**whole, "records": []}


def test_a_reply_that_is_itself_a_list_is_a_page(site: Running) -> None:
    site.jira.faults.plan(1, 1, ("reordered",))
    ask = jira_of(site)
    fields = ask.get("/rest/api/3/field").json()
    site.jira.faults.clear()
    assert fields != ask.get("/rest/api/3/field").json()


def test_what_is_no_page_of_rows_is_never_doubled(site: Running) -> None:
    ask, path = salesforce_of(site), "/services/data/v66.0/sobjects/Account/describe"
    whole = ask.get(path).json()
    site.salesforce.faults.plan(1, 1, SPOILING)
    assert ask.get(path).json() == whole
    assert not site.salesforce.faults.done


def test_the_share_of_faults_is_the_one_that_was_planned(site: Running) -> None:
    ask = zendesk_of(site)
    site.zendesk.faults.plan(0.05, 1, tuple(kind for kind in KINDS if kind not in ("expired", "stall")))
    good = [met(ask, f"{USERS}&per_page={number % 100 + 1}") == "200" for number in range(2000)]
    assert 70 <= site.zendesk.faults.done.total() <= 130
    assert good.count(False) == sum(n for kind, n in site.zendesk.faults.done.items() if kind not in SPOILING)
    assert len(site.zendesk.faults.done) == len(KINDS) - 2


def test_a_request_that_is_sent_again_succeeds_in_the_end(site: Running) -> None:
    ask = zendesk_of(site)
    site.zendesk.faults.plan(0.99, 1, ("500",), in_a_row=3)
    met_with = [met(ask, ME) for _ in range(40)]
    assert "500 500 500 200" in " ".join(met_with)
    assert "500 500 500 500" not in " ".join(met_with)


def test_equal_seeds_hit_equal_requests_in_any_order() -> None:
    requests_sent = [b"GET /%d" % (number % 50) for number in range(500)]

    def hit(seed: int, order: list[bytes]) -> dict[bytes, list[list[Kind]]]:
        plan = FaultPlan(0.2, seed, FAILING)
        drawn: dict[bytes, list[list[Kind]]] = {}
        for request in order:
            drawn.setdefault(request, []).append(plan.draw(request, expires=False)[0])
        return drawn

    assert hit(1, requests_sent) == hit(1, sorted(requests_sent))
    assert hit(1, requests_sent) != hit(2, requests_sent)


def test_faults_that_a_test_orders_go_before_the_plan_and_clear_ends_both(site: Running) -> None:
    ask = zendesk_of(site)
    site.zendesk.faults.plan(1, 1, ("500",))
    site.zendesk.faults.answer(503)
    assert [met(ask, ME), met(ask, ME)] == ["503", "500"]
    site.zendesk.faults.clear()
    assert met(ask, ME) == "200"
