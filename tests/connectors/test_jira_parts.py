"""How Jira's replies come apart: rich text, custom fields, changelogs of more than one form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from connectors import adf
from connectors.base import Choices
from connectors.jira import Jira
from connectors.jira_asking import STREAMS, allowance, endpoint
from connectors.jira_fields import chosen
from connectors.jira_history import Histories
from connectors.rows import Misfit

ENTRY = {
    "id": "7",
    "author": {
        "self": "https://x",
        "accountId": "a",
        "displayName": "Ada",
        "avatarUrls": {"48x48": "https://x"},
        "active": True,
    },
    "created": 1793592000123,
    "items": [
        {
            "field": "assignee",
            "fieldtype": "jira",
            "fieldId": "assignee",
            "from": None,
            "fromString": None,
            "to": "a",
            "toString": "Ada",
            "tmpFromAccountId": None,
            "tmpToAccountId": "a",
        },
        {
            "field": "status",
            "fieldtype": "jira",
            "fieldId": "status",
            "from": "1",
            "fromString": "To Do",
            "to": "2",
            "toString": "Done",
        },
        {"field": "Key", "fieldtype": "jira", "from": None, "fromString": "A-1", "to": None, "toString": "B-1"},
    ],
}


def rows_of(*logs: Any, wanted: tuple[str, ...] = ("1", "2")) -> tuple[list[dict[str, Any]], Histories]:
    histories = Histories()
    histories.add(Raw(json.dumps(logs).encode()), frozenset(wanted))
    connector = Jira("https://x.example.com", email="a", api_token="b")
    page = histories.page(connector.decoder(STREAMS["changelog"]), frozenset())
    return page.table.to_pylist(), histories


def log(issue_id: str, **more: Any) -> dict[str, Any]:
    return {"issueId": issue_id, "changeHistories": [{**ENTRY, **more}]}


def test_each_changed_field_is_a_row_with_its_place() -> None:
    rows, histories = rows_of(log("1"))
    assert [(row["history_id"], row["item"], row["field"], row["to_string"]) for row in rows] == [
        ("7", 0, "assignee", "Ada"),
        ("7", 1, "status", "Done"),
        ("7", 2, "Key", "B-1"),
    ]
    assert {(row["issue_id"], row["author_account_id"], row["author_name"], row["extra"]) for row in rows} == {
        ("1", "a", "Ada", None)
    }
    assert histories.moved.keys() == {"1"}


@pytest.mark.parametrize(
    "created", [1793592000123, 1793592000, "2026-11-02T04:00:00.123+0000", "2026-11-02T05:00:00.123+01:00"]
)
def test_times_come_as_milliseconds_seconds_or_text(created: Any) -> None:
    rows, _ = rows_of(log("1", created=created))
    assert {f"{row['created']:%Y-%m-%dT%H:%M:%S}" for row in rows} == {"2026-11-02T04:00:00"}


@pytest.mark.parametrize("strange", [{"later": {"new": 1}}, {"author": {**ENTRY["author"], "rank": 1}}])
def test_an_entry_that_is_not_just_as_expected_loses_nothing_and_costs_nobody_else(strange: dict[str, Any]) -> None:
    plain, _ = rows_of(log("1"))
    rows, histories = rows_of(log("1"), log("2", **strange))
    assert [row for row in rows if row["issue_id"] == "1"] == plain
    others = [row for row in rows if row["issue_id"] == "2"]
    assert [{**row, "issue_id": "1", "extra": None} for row in others] == plain
    assert all(json.loads(row["extra"]) in ({"later": {"new": 1}}, {"author": {"rank": 1}}) for row in others)
    assert histories.moved.keys() == {"1", "2"}


@pytest.mark.parametrize("created", ["soon", None, [], 10**20])
def test_a_time_that_is_none_costs_nothing_else(created: Any) -> None:
    rows, histories = rows_of(log("1", created=created))
    assert [(row["created"], row["to_string"]) for row in rows] == [(None, "Ada"), (None, "Done"), (None, "B-1")]
    assert histories.moved.keys() == {"1"}


def test_what_changed_a_field_is_kept() -> None:
    rows, _ = rows_of(log("1", historyMetadata={"type": "automation"}))
    assert json.loads(rows[0]["extra"]) == {"historyMetadata": {"type": "automation"}}


def test_issues_that_were_not_asked_for_are_left_out() -> None:
    assert rows_of(log("1"), wanted=("2",))[0] == []


@pytest.mark.parametrize("name", ["RemoteIssueLink", "RemoteWorkItemLink"])
def test_a_changelog_tells_whether_links_to_pages_are_left_in_whatever_order(name: str) -> None:
    def item(before: str | None, after: str | None) -> dict[str, Any]:
        return {"field": name, "fieldtype": "jira", "from": before, "fromString": before, "to": after, "toString": after}

    gone = [item("5", None), item("5", "5"), item(None, "5")]
    left = [*gone, item(None, "6")]
    for items, has in ((gone, False), (left, True), ([], False)):
        _, histories = rows_of(log("1", items=items))
        assert histories.has_links("1") == has


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
        node("paragraph", text("Due "), node("date", timestamp="1793577600000")),
    )
    lines = "Title\nOne\n@Ada\n- a\n- b\nx\ty\nhttps://example.com/APP-1:tada:\nDue 2026-11-02"
    assert adf.plain(document) == lines
    assert adf.plain("plain") == "plain"
    assert adf.plain(None) is None
    assert adf.plain({"type": "doc", "content": []}) is None
    assert adf.plain({"type": "doc", "content": [None, 3, {"content": "?"}]}) is None


@pytest.mark.parametrize(
    ("path", "bucket"),
    [
        ("/rest/api/3/issue/10001/comment", "/rest/api/{id}/issue/{id}/comment"),
        ("/rest/api/3/issue/CORE-7/remotelink", "/rest/api/{id}/issue/{id}/remotelink"),
        ("/rest/agile/1.0/board/12/sprint", "/rest/agile/1.0/board/{id}/sprint"),
        ("/rest/api/3/search/jql", "/rest/api/{id}/search/jql"),
    ],
)
def test_each_endpoint_is_a_bucket_whichever_record_it_is_asked_for(path: str, bucket: str) -> None:
    assert endpoint(path) == bucket


def test_what_is_left_of_a_limit_is_read_from_jiras_headers() -> None:
    headers = {"Date": "Mon, 02 Nov 2026 04:00:30 GMT", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2026-11-02T04:01Z"}
    left = allowance("", headers)
    assert left is not None
    assert (left.left, left.refilled_in) == (0, 30)
    assert allowance("", {"Date": headers["Date"]}) is None
    assert allowance("", {**headers, "X-RateLimit-Reset": "soon"}) is None


def test_a_site_behind_the_gateway_is_asked_there() -> None:
    connector = Jira("https://api.atlassian.com/ex/jira/1234", access_token="t", choices=Choices())
    assert connector.host == "api.atlassian.com/ex/jira/1234"
    client = connector._client
    assert client._get_url("myself") == "https://api.atlassian.com/ex/jira/1234/rest/api/3/myself"
    assert client._get_url("board", base=client.AGILE_BASE_URL) == "https://api.atlassian.com/ex/jira/1234/rest/agile/1.0/board"
