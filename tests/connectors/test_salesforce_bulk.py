"""Large objects: the first page, then a Bulk job, whose CSV gives the same rows as pages, and which survives being killed,
lost, refused or slow."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta

import pyarrow as pa
import pytest
from landing import Landing, Row, landed, read

from connectors import salesforce, salesforce_bulk
from connectors.base import Connector, Read, SourceError
from connectors.salesforce import custom
from connectors.salesforce_bulk import as_json
from connectors.sandbox.serve import Running

Connect = Callable[..., Connector]
Rows = dict[tuple[object, ...], Row]
HOSTILE = 'He said "no, never",\r\nthen left; \\ ünïcode 🎉 =1+1\ttab'


@pytest.fixture
def bulk(running: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """An org in which five records are many, and result pages hold three."""
    monkeypatch.setattr(salesforce, "LARGE", 5)
    return running


def by_pages(connect: Connect, monkeypatch: pytest.MonkeyPatch, of: Read) -> Rows:
    with monkeypatch.context() as patch:
        patch.setattr(salesforce, "LARGE", 10**9)
        return Landing(of).read_on(connect("salesforce")).all


def jobs(running: Running) -> list[str]:
    return [entry.target for entry in running.salesforce.log if entry.method == "POST" and "jobs/query" in entry.target]


@pytest.mark.parametrize(
    "name",
    [
        "accounts",
        "contacts",
        "opportunities",
        "opportunity_history",
        "opportunity_field_history",
        "tasks",
        "product_request__c",
    ],
)
def test_a_job_brings_the_same_rows_as_pages_byte_for_byte(
    bulk: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    first = next(iter(bulk.world.accounts))
    bulk.world.change("account", first, Description=HOSTILE, AnnualRevenue=12_000_000_000, Success_Plan__c="true")
    bulk.world.change("opportunity", next(iter(bulk.world.opportunities)), Amount=0.1, NextStep="2026-01-01T00:00:00.000Z")
    bulk.world.delete("contact", next(iter(bulk.world.contacts)))
    for _ in range(4):
        bulk.world.create("product_request", Name="1.50", Summary__c="null", OwnerId=next(iter(bulk.world.salesforce_users)))
    of = custom("Product_Request__c") if name.endswith("__c") else read(connect("salesforce"), name)
    expected = by_pages(connect, monkeypatch, of)
    assert len(expected) > 5
    assert Landing(of).read_on(connect("salesforce")).all == expected
    assert len(jobs(bulk)) == 1


def test_a_job_costs_few_requests(bulk: Running, connect: Connect) -> None:
    bulk.salesforce.log.clear()
    landing = landed(connect("salesforce"), "contacts")
    asked = [entry.target.split("?")[0].rsplit("/", 1)[1] for entry in bulk.salesforce.log if "oauth2" not in entry.target]
    rest = len(landing.all) - 3
    results = -(-rest // 3)
    assert asked.count("results") == results
    assert len(asked) == 1 + 1 + 1 + bulk.salesforce.bulk.polls + results + 1  # describe, page, job, looks, results, count


def test_a_read_killed_at_any_moment_goes_on_with_the_same_job_in_another_process(
    bulk: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = read(connect("salesforce"), "contacts")
    expected = by_pages(connect, monkeypatch, of)
    whole = Landing(of).read_on(connect("salesforce"))
    for killed_after in range(1, whole.batches):
        bulk.salesforce.log.clear()
        landing = Landing(of).read_on(connect("salesforce"), only=killed_after)
        landing.cursor = json.loads(json.dumps(landing.cursor))
        landing.read_on(connect("salesforce"))
        assert landing.all == expected
        assert len(jobs(bulk)) == 1


def test_what_was_read_of_a_job_is_not_read_again(bulk: Running, connect: Connect) -> None:
    of = read(connect("salesforce"), "contacts")
    whole = Landing(of).read_on(connect("salesforce"))
    last = sum("/results" in entry.target for entry in bulk.salesforce.log)
    landing = Landing(of).read_on(connect("salesforce"), only=whole.batches - 2)  # all but the last results and the count
    bulk.salesforce.log.clear()
    landing.read_on(connect("salesforce"))
    assert last > 2
    assert sum("/results" in entry.target for entry in bulk.salesforce.log if "locator" in entry.target) <= 2
    assert landing.all == whole.all


@pytest.mark.parametrize("end", ["Failed", "Aborted"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_job_that_ends_badly_is_told_and_what_it_lacks_is_read_anew(
    bulk: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, end: str, times: int
) -> None:
    of = read(connect("salesforce"), "contacts")
    expected = by_pages(connect, monkeypatch, of)
    bulk.salesforce.bulk.endings = [end] * times
    with caplog.at_level(logging.WARNING):
        assert Landing(of).read_on(connect("salesforce")).all == expected
    assert f"ended as {end}" in caplog.text
    assert len(jobs(bulk)) == 2  # and no third: the rest came by pages


def test_results_that_are_gone_after_a_week_are_read_anew(
    bulk: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    of = read(connect("salesforce"), "contacts")
    landing = Landing(of).read_on(connect("salesforce"), only=5)
    assert landing.cursor is not None
    assert landing.cursor["job"]["locator"]
    bulk.world.advance(8)
    bulk.world.tick(120)
    with caplog.at_level(logging.WARNING):
        landing.read_on(connect("salesforce"))
    assert "is read anew" in caplog.text
    assert landing.alive == {contact["Id"] for contact in bulk.world.alive("contact")}


def test_an_object_that_bulk_does_not_support_is_read_by_pages(
    bulk: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = read(connect("salesforce"), "contacts")
    expected = by_pages(connect, monkeypatch, of)
    bulk.salesforce.bulk.refuses = {"Contact"}
    assert Landing(of).read_on(connect("salesforce")).all == expected
    assert len(jobs(bulk)) == 1


def test_a_job_that_takes_too_long_is_waited_for_by_the_next_run(
    bulk: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = read(connect("salesforce"), "contacts")
    expected = by_pages(connect, monkeypatch, of)
    bulk.salesforce.bulk.polls = 10**6
    monkeypatch.setattr(salesforce_bulk, "_LONGEST_WAIT", 0.05)
    landing = Landing(of)
    with pytest.raises(SourceError, match="has not done Bulk job") as caught:
        landing.read_on(connect("salesforce"))
    assert caught.value.transient
    bulk.salesforce.bulk.polls = 2
    assert landing.read_on(connect("salesforce")).all == expected
    assert len(jobs(bulk)) == 1


def test_a_job_that_is_not_done_after_a_day_is_given_up(
    bulk: Running, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    of = read(connect("salesforce"), "contacts")
    landing = Landing(of).read_on(connect("salesforce"), only=2)
    bulk.salesforce.bulk.polls = 10**6
    bulk.world.tick(timedelta(days=1, minutes=5).total_seconds())
    bulk.salesforce.faults.run(lambda: setattr(bulk.salesforce.bulk, "polls", 2), "jobs/query/", after=1)
    with caplog.at_level(logging.WARNING):
        landing.read_on(connect("salesforce"))
    assert "is not done after a day" in caplog.text
    assert len(jobs(bulk)) == 2
    assert landing.alive == {contact["Id"] for contact in bulk.world.alive("contact")}


def test_sessions_that_end_in_the_middle_of_a_table_are_renewed(bulk: Running, connect: Connect) -> None:
    for after in (0, 1, 3):
        bulk.salesforce.faults.run(bulk.salesforce.expire_tokens, "jobs/query", after=after)
    landing = landed(connect("salesforce"), "contacts")
    assert landing.alive == {contact["Id"] for contact in bulk.world.alive("contact")}


def test_faults_on_the_way_are_got_over(bulk: Running, connect: Connect) -> None:
    expected = landed(connect("salesforce"), "contacts").all
    faults = bulk.salesforce.faults
    faults.truncate("/results", after=1)
    faults.answer(502, "/results", after=2, body=b"<html>", headers={"Content-Type": "text/html"})
    faults.answer(200, "/results", after=3, body=b"<html>", headers={"Content-Type": "text/html"})
    faults.cut("jobs/query/")
    assert landed(connect("salesforce"), "contacts").all == expected


def test_a_result_page_with_fewer_records_than_it_says_is_not_believed(bulk: Running, connect: Connect) -> None:
    headers = {"Content-Type": "text/csv", "Sforce-NumberOfRecords": "2", "Sforce-Locator": "null"}
    bulk.salesforce.faults.answer(200, "/results", body=b'"Id"\n"003Qm000000100HIAQ"\n', headers=headers)
    with pytest.raises(SourceError, match="1 records") as caught:
        landed(connect("salesforce"), "contacts")
    assert caught.value.transient


@pytest.mark.parametrize(
    ("csv", "expected"),
    [
        (b"", []),
        (b'"Id","N"\n', []),
        (b'"Id","N"\n"a","12000.0"\n', [{"Id": "a", "N": 12000.0}]),
        (b'"Id","N"\n"a",""\n', [{"Id": "a", "N": None}]),
        (b'"Id","N"\n"a","1.2E7"\n', [{"Id": "a", "N": 1.2e7}]),
        (b'"Id","N"\n"a","NaN"\n', [{"Id": "a", "N": "NaN"}]),
        (b'"Id","B"\n"a","true"\n"b","false"\n', [{"Id": "a", "B": True}, {"Id": "b", "B": False}]),
        (b'"Id","D"\n"a","2026-11-02T04:00:00.000Z"\n', [{"Id": "a", "D": "2026-11-02T04:00:00.000+0000"}]),
        (b'"Id","T"\n"a","2026-11-02T04:00:00.000Z"\n', [{"Id": "a", "T": "2026-11-02T04:00:00.000Z"}]),
        (b'"Id","T"\n"a","x ""y"", z\nnext"\n', [{"Id": "a", "T": 'x "y", z\nnext'}]),
        (b'"Id","T"\n"a","0012"\n', [{"Id": "a", "T": "0012"}]),
        (b'"Id","T"\n"a","zero \x00 and \xff"\n', [{"Id": "a", "T": "zero \ufffd and \ufffd"}]),
    ],
)
def test_csv_becomes_the_json_that_a_page_would_be(csv: bytes, expected: list[dict[str, object]]) -> None:
    kinds = {"Id": "id", "N": "double", "B": "boolean", "D": "datetime", "T": "string"}
    body, rows = as_json(csv, kinds)
    assert json.loads(body) == expected
    assert rows == len(expected)


def test_numbers_are_kept_as_they_were_written() -> None:
    body, _ = as_json(b'"N"\n"12000.0"\n"1.2E7"\n"-0.10"\n', {"N": "currency"})
    assert body == b'[{"N":12000.0},{"N":1.2E7},{"N":-0.10}]'


def test_what_is_no_csv_is_an_error() -> None:
    with pytest.raises(pa.ArrowInvalid):
        as_json(b'"Id","N"\n"a"\n"b","1","2"\n', {"Id": "id", "N": "double"})
