"""What Jira does not give: issues that a bulk fetch lacks, changelogs that are refused, tokens that come again."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from conftest import QUICK
from issues import first, night, one_of
from landing import read

from connectors.base import Connector, SourceError
from connectors.sandbox.serve import Running

Connect = Callable[..., Connector]


def refuse(running: Running, record_id: str, times: int = 1) -> None:
    failed = {"issues": [], "issueErrors": [{"id": record_id, "errorMessage": "Too much to send"}]}
    running.jira.faults.answer(200, "issue/bulkfetch", times=times, body=failed)


def test_an_issue_that_a_bulk_fetch_cannot_give_is_asked_for_alone(running: Running, connect: Connect) -> None:
    whole = first(connect("jira")).rows
    refuse(running, next(iter(running.world.issues)), times=3)
    landing = first(connect("jira"))
    assert landing.rows == whole
    assert not landing.rejects


def test_an_issue_that_cannot_be_given_at_all_is_put_aside_and_asked_for_again_the_next_night(
    running: Running, connect: Connect
) -> None:
    whole = first(connect("jira")).all
    record_id = next(iter(running.world.issues))
    in_bulk = json.dumps({"issues": [], "issueErrors": []}).encode()
    running.jira.page_size = None
    running.jira.faults.answer(200, "issue/bulkfetch", times=2, body=in_bulk)
    running.jira.faults.answer(500, f"issue/{record_id}[?]", times=2 * QUICK.tries)  # asked for once more by the proof
    landing = first(connect("jira"))
    reject, *others = landing.rejects
    assert set(others) <= {reject}
    assert (reject.stream, reject.record_id, reject.column) == ("issues", record_id, None)
    assert reject.reason.startswith("the record could not be fetched: 500")
    assert landing.alive == {key for (key,) in whole} - {record_id}
    assert night(landing, connect("jira")).all == whole


def test_what_was_put_aside_because_it_could_not_be_fetched_makes_no_row(connect: Connect) -> None:
    connector = connect("jira")
    batch = connector.opened(read(connector, "issues").streams[0], b'["10001"]')
    assert batch.rows["issues"].num_rows == 0
    assert len(batch.rejects) == 1


@pytest.mark.parametrize("tokens", ["aa", "aba"])
def test_a_page_token_that_comes_again_is_an_error_and_no_end_of_the_sweep(
    running: Running, connect: Connect, tokens: str
) -> None:
    landing = first(connect("jira"))
    for token in tokens:
        body = {"issues": [{"id": next(iter(landing.alive))}], "nextPageToken": token}
        running.jira.faults.answer(200, "search/jql", after=1, body=body)  # past the search for changes
    known = landing.alive
    with pytest.raises(SourceError, match="same page token"):
        night(landing, connect("jira"))
    assert landing.alive == known


def test_a_page_of_changelogs_whose_token_comes_again_is_an_error(running: Running, connect: Connect) -> None:
    running.jira.faults.answer(200, "changelog", times=9, body={"issueChangeLogs": [], "nextPageToken": "a"})
    with pytest.raises(SourceError, match="same page token"):
        first(connect("jira"))


@pytest.mark.parametrize("refused", [1, 4])
def test_changelogs_that_are_refused_together_are_asked_for_by_halves(running: Running, connect: Connect, refused: int) -> None:
    whole = first(connect("jira")).rows
    running.jira.page_size = None
    running.jira.faults.answer(400, "changelog/bulkfetch", times=refused)
    landing = first(connect("jira"))
    assert landing.rows["issues"] == whole["issues"]
    assert len(landing.rows["changelog"]) >= len(whole["changelog"]) / 2
    assert landing.rows["changelog"].keys() <= whole["changelog"].keys()


def test_a_history_that_is_refused_stays_as_it_was_known_and_is_listed(running: Running, connect: Connect) -> None:
    landing = first(connect("jira"))
    known = {key for key, row in landing.rows["changelog"].items() if row["issue_id"] == one_of(running)["id"]}
    links = {key: row["_deleted_at"] for key, row in landing.rows["remote_links"].items()}
    assert known
    running.world.change("issue", one_of(running)["id"], summary="Changed")
    running.world.tick(7200)
    running.jira.faults.answer(400, "changelog/bulkfetch", times=1)
    night(landing, connect("jira"))
    assert all(landing.rows["changelog"][key]["_deleted_at"] is None for key in known)
    assert {key: row["_deleted_at"] for key, row in landing.rows["remote_links"].items()} == links
    (reject,) = landing.rejects
    assert (reject.stream, reject.record_id, reject.column) == ("issues", one_of(running)["id"], "changelog")
    assert landing.all[(one_of(running)["id"],)]["summary"] == "Changed"


def test_that_every_history_is_refused_is_an_error(running: Running, connect: Connect) -> None:
    landing = first(connect("jira"))
    for issue in list(running.world.alive("issue")):
        running.world.change("issue", issue["id"], summary="Changed")
    running.world.tick(7200)
    running.jira.page_size = None
    running.jira.faults.answer(400, "changelog/bulkfetch", times=1000)
    with pytest.raises(SourceError, match="changelog/bulkfetch"):
        night(landing, connect("jira"))
    assert all(row["_deleted_at"] is None for row in landing.rows["changelog"].values())


@pytest.mark.parametrize("refused", [False, True])
def test_a_change_that_is_not_given_in_bulk_is_asked_for_alone(running: Running, connect: Connect, refused: bool) -> None:
    landing = first(connect("jira"))
    issue_id, before = one_of(running)["id"], one_of(running)["fields"]["summary"]
    running.world.change("issue", issue_id, summary="Changed")
    running.world.tick(7200)
    errors = [{"id": issue_id, "errorMessage": "Too much to send"}]
    running.jira.faults.answer(200, "issue/bulkfetch", times=1, body={"issues": [], "issueErrors": errors})
    if refused:
        running.jira.faults.answer(403, f"issue/{issue_id}", times=1)
    night(landing, connect("jira"))
    assert landing.all[(issue_id,)]["summary"] == (before if refused else "Changed")
    assert [(reject.stream, reject.record_id) for reject in landing.rejects] == [("issues", issue_id)] * refused
