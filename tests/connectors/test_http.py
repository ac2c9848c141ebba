"""The one door to the network, over real HTTP: what is tried again, what is refused, and what a person is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from landing import landed, read

from connectors import http
from connectors.base import Connector, SourceError
from connectors.http import Gate, Patience, Site
from connectors.jira import Jira
from connectors.sandbox.serve import Running
from connectors.zendesk import Zendesk

Connect = Callable[..., Connector]
TOOLS = ("salesforce", "jira", "zendesk")
FIRST = {
    "salesforce": ("accounts", "queryAll"),
    "jira": ("issues", "bulkfetch"),
    "zendesk": ("tickets", "tickets/cursor"),
}


def told(connector: Connector, name: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        landed(connector, name)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kind", ["cut", "truncate", "500", "502", "429"])
def test_a_passing_fault_costs_no_row(running: Running, connect: Connect, tool: str, kind: str) -> None:
    name, path = FIRST[tool]
    whole = landed(connect(tool), name).all
    faults = getattr(running, tool).faults
    if kind.isdigit():
        faults.answer(int(kind), path, times=2, after=1)
    else:
        getattr(faults, kind)(path, times=2, after=1)
    assert landed(connect(tool), name).all == whole


def test_retry_after_is_obeyed_to_the_second_and_only_once_for_all_that_share_the_bucket(
    running: Running, connect: Connect
) -> None:
    running.zendesk.rate_limited("tickets/cursor", retry_after=1)
    began = time.monotonic()
    landed(connect("zendesk"), "tickets")
    assert 1 <= time.monotonic() - began < 2
    assert [entry.status for entry in running.zendesk.log].count(429) == 1


def test_a_wait_longer_than_patience_is_an_error_that_says_how_long(running: Running, connect: Connect) -> None:
    running.zendesk.rate_limited("tickets/cursor", retry_after=3600)
    error = told(connect("zendesk"), "tickets")
    assert error.transient
    assert "3600 s" in str(error)
    assert running.zendesk.log[-1].status == 429


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_fault_that_stays_ends_after_bounded_tries_and_can_be_tried_again(
    running: Running, connect: Connect, status: int
) -> None:
    running.jira.faults.answer(status, "myself", times=100)
    error = told(connect("jira"), "issues")
    assert error.transient
    assert str(status) in str(error)
    assert str(error).endswith("trying again later can help.")
    assert len(running.jira.log) == 4


@pytest.mark.parametrize(
    ("tool", "wrong", "variable"),
    [
        ("salesforce", {"client_secret": "wrong-3f9c"}, "SALESFORCE_CLIENT_SECRET"),
        ("jira", {"api_token": "wrong-3f9c"}, "JIRA_API_TOKEN"),
        ("jira", {"email": None, "api_token": None, "access_token": "wrong-3f9c"}, "JIRA_ACCESS_TOKEN"),
        ("zendesk", {"client_secret": "wrong-3f9c"}, "ZENDESK_CLIENT_SECRET"),
        (
            "zendesk",
            {"client_id": None, "client_secret": None, "email": "a@b.example", "api_token": "wrong-3f9c"},
            "ZENDESK_API_TOKEN",
        ),
    ],
)
def test_a_refused_login_names_its_variable_and_not_its_value(
    connect: Connect, tool: str, wrong: dict[str, Any], variable: str
) -> None:
    connector = connect(tool, **wrong)
    error = told(connector, FIRST[tool][0])
    assert not error.transient
    assert variable in str(error)
    assert str(error).endswith("trying again will not help.")
    (finding,) = connector.check()
    assert not finding.ok
    assert variable in finding.message
    assert "wrong-3f9c" not in str(error) + finding.message + repr(connector) + repr(vars(connector))


@pytest.mark.parametrize("tool", TOOLS)
def test_a_vendor_that_repeats_a_secret_in_its_error_does_not_get_it_shown(
    running: Running, connect: Connect, tool: str
) -> None:
    secrets = [value for name, value in running.environment.items() if name.endswith(("SECRET", "TOKEN"))]
    getattr(running, tool).faults.answer(403, FIRST[tool][1], times=9, body={"error": " ".join(secrets)})
    error = told(connect(tool), FIRST[tool][0])
    own = [
        value
        for name, value in running.environment.items()
        if name.startswith(tool.upper()) and name.endswith(("SECRET", "TOKEN"))
    ]
    assert "403" in str(error)
    assert not any(value in str(error) for value in own)


def test_a_secret_that_comes_back_as_part_of_an_address_is_not_shown_either(running: Running, connect: Connect) -> None:
    secret = "a/b+c=d&e"
    error = f"no such token: /x?token={quote(secret)} {quote(secret, safe='')} \x1b[31m\x07 red"
    running.jira.faults.answer(403, "myself", times=9, body={"error": error})
    said = str(told(connect("jira", api_token=secret), "issues"))
    assert "token=… … [31m red" in said
    assert said.isprintable()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_missing_permission_says_so(running: Running, connect: Connect, tool: str) -> None:
    getattr(running, tool).faults.answer(403, FIRST[tool][1], times=9, body={"error": "Forbidden"})
    error = told(connect(tool), FIRST[tool][0])
    assert not error.transient
    assert "permission" in str(error)


def test_the_used_up_requests_of_the_day_are_not_taken_for_a_missing_permission(running: Running, connect: Connect) -> None:
    running.salesforce.daily_requests = 0
    error = told(connect("salesforce"), "accounts")
    assert error.transient
    assert "requests of the day are used up" in str(error)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("status", [301, 302, 307])
def test_no_redirect_is_followed_to_another_host(running: Running, connect: Connect, tool: str, status: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.3)
        away = {"Location": f"http://127.0.0.1:{elsewhere.getsockname()[1]}/stolen"}
        getattr(running, tool).faults.answer(status, FIRST[tool][1], times=9, headers=away)
        error = told(connect(tool), FIRST[tool][0])
        with pytest.raises(TimeoutError):
            elsewhere.accept()
    assert not error.transient
    assert f"{tool.upper()}_URL" in str(error)


def test_no_next_page_is_fetched_from_another_host(running: Running, connect: Connect) -> None:
    records = {
        "totalSize": 9,
        "done": False,
        "records": [],
        "nextRecordsUrl": "//elsewhere.example/services/data/v66.0/query/1",
    }
    running.salesforce.faults.answer(200, "queryAll", body=records)
    error = told(connect("salesforce"), "accounts")
    assert "elsewhere.example" in str(error)
    assert "SALESFORCE_URL" in str(error)
    assert not error.transient


@pytest.mark.parametrize(
    "body", [b"<html>log in</html>", b'{"tickets": [', b"", b"null and more", b"[" * 200_000 + b"]" * 200_000]
)
def test_a_reply_that_is_not_json_is_a_clear_error_after_bounded_tries(running: Running, connect: Connect, body: bytes) -> None:
    running.zendesk.faults.answer(200, "tickets/cursor", times=100, body=body, headers={"Content-Type": "text/html"})
    error = told(connect("zendesk"), "tickets")
    assert "JSON" in str(error)
    assert "ZENDESK_URL" in str(error)
    assert sum("cursor" in entry.target for entry in running.zendesk.log) == 4


@pytest.mark.parametrize(
    "body", [{"other": 1}, {"tickets": {}, "end_of_stream": True}, {"tickets": [], "end_of_stream": "no"}, []]
)
def test_a_reply_of_another_shape_is_a_clear_error(running: Running, connect: Connect, body: Any) -> None:
    running.zendesk.faults.answer(200, "tickets/cursor", body=body)
    assert "unexpected reply" in str(told(connect("zendesk"), "tickets"))


def test_a_reply_that_is_too_large_is_not_read_to_its_end(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LARGEST", 500)
    error = told(connect("zendesk"), "tickets")
    assert not error.transient
    assert "smaller than" in str(error)


def test_an_unreachable_host_is_named_with_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    connector = Jira(
        f"http://127.0.0.1:{port}", email="a@b.example", api_token="t", patience=Patience(tries=2, first_wait=0.01)
    )
    error = told(connector, "issues")
    assert error.transient
    assert "cannot be reached" in str(error)
    assert "JIRA_URL" in str(error)
    assert connector.requests == 2


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        connector = Zendesk(url, client_id="a", client_secret="b", patience=Patience(tries=2, first_wait=0.01, reply=0.2))
        assert "no reply in time" in str(told(connector, "tickets"))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://example.com",
        "example.com",
        "",
        "https://",
        "https://u:p@example.com",
        "https://x:port",
    ],
)
def test_an_address_that_cannot_be_is_refused_before_any_request(url: str) -> None:
    with pytest.raises(SourceError, match="JIRA_URL") as caught:
        Jira(url, email="a@b.example", api_token="t")
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "naïve", " "])
def test_a_token_that_was_pasted_wrongly_is_told_by_its_variable_only(token: str) -> None:
    with pytest.raises(SourceError, match="JIRA_API_TOKEN") as caught:
        Jira("https://example.com", email="a@b.example", api_token=token)
    assert token.strip() == "" or token not in str(caught.value)


def test_a_token_with_a_line_break_at_its_end_is_taken(connect: Connect, running: Running) -> None:
    token = running.environment["JIRA_API_TOKEN"]
    assert landed(connect("jira", api_token=f" {token}\n"), "projects").all


@pytest.mark.parametrize("missing", [{}, {"client_id": "a"}, {"email": "a@b.example"}, {"api_token": "t"}])
def test_a_login_of_which_a_part_is_missing_names_the_variables(missing: dict[str, str]) -> None:
    with pytest.raises(SourceError, match="ZENDESK_CLIENT_ID and ZENDESK_CLIENT_SECRET"):
        Zendesk("https://example.com", **missing)


@pytest.mark.parametrize("tool", ["salesforce", "zendesk"])
def test_a_token_that_ends_in_mid_read_is_renewed(running: Running, connect: Connect, tool: str) -> None:
    name, path = FIRST[tool]
    server: Any = getattr(running, tool)
    whole = landed(connect(tool), name).all
    server.faults.run(server.expire_tokens, path, after=1)
    server.log.clear()
    assert landed(connect(tool), name).all == whole
    assert [entry.status for entry in server.log].count(401) == 1
    assert sum("token" in entry.target for entry in server.log) == 2


@pytest.mark.parametrize("tool", ["salesforce", "zendesk"])
def test_a_token_that_ends_before_the_last_try_is_renewed_and_tried(running: Running, connect: Connect, tool: str) -> None:
    name, path = FIRST[tool]
    server: Any = getattr(running, tool)
    server.faults.answer(500, path, times=3)
    server.faults.run(server.expire_tokens, path)
    assert landed(connect(tool), name).all
    assert [entry.status for entry in server.log if entry.status != 200] == [500, 500, 500, 401]


@pytest.mark.parametrize("tool", ["salesforce", "zendesk"])
def test_a_renewed_token_that_is_refused_too_is_given_up(running: Running, connect: Connect, tool: str) -> None:
    name, path = FIRST[tool]
    server: Any = getattr(running, tool)
    server.faults.answer(401, path, times=9)
    assert "the token is refused" in str(told(connect(tool), name))
    assert [entry.status for entry in server.log].count(401) == 2


def test_a_token_is_renewed_before_it_ends(running: Running, connect: Connect) -> None:
    running.zendesk.token_lifetime = 1
    connector = connect("zendesk")
    pages = connector.batches(read(connector, "tickets"), None)
    next(pages)
    time.sleep(1.1)
    list(pages)
    assert 401 not in [entry.status for entry in running.zendesk.log]
    assert sum("token" in entry.target for entry in running.zendesk.log) >= 2


def test_threads_that_are_refused_together_renew_the_token_once(running: Running, connect: Connect) -> None:
    connector: Any = connect("zendesk")
    connector._me()
    running.zendesk.expire_tokens()
    threads = [threading.Thread(target=connector._me) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum("token" in entry.target for entry in running.zendesk.log) == 2


@pytest.mark.parametrize("tool", TOOLS)
def test_requests_are_counted_as_the_vendor_counts_them(running: Running, connect: Connect, tool: str) -> None:
    connector = connect(tool)
    landed(connector, FIRST[tool][0])
    assert connector.requests == len(getattr(running, tool).log)


def test_the_vendors_clock_bounds_a_read_and_not_this_machines(running: Running, connect: Connect) -> None:
    assert landed(connect("salesforce"), "users").covered_until.year == running.world.now.year
    assert abs((landed(connect("salesforce"), "users").covered_until - running.world.now).total_seconds()) < 120


def test_https_is_let_through_as_http_only_to_the_loopback_address_that_is_configured() -> None:
    gate = Gate(Site("Tool", "http://127.0.0.1:9", "TOOL_URL", "TOOL_TOKEN"), patience=Patience(tries=1))
    with pytest.raises(SourceError, match="cannot be reached"):
        gate.session().get("https://127.0.0.1:9/x")
    with pytest.raises(SourceError, match="no other host"):
        gate.session().get("https://127.0.0.1:10/x")
    for elsewhere in (
        "http://127.0.0.1:9@elsewhere.example/x",
        "http://localhost:9/x",
        "file:///etc/passwd",
        "ftp://127.0.0.1:9/x",
    ):
        with pytest.raises(SourceError, match="no other host"):
            gate.session().get(elsewhere)
    secure = Gate(Site("Tool", "https://example.invalid", "TOOL_URL", "TOOL_TOKEN"), patience=Patience(tries=1))
    with pytest.raises(SourceError, match="no other host"):
        secure.session().get("http://example.invalid/x")
