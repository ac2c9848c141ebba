"""What holds for every read of every connector: complete, only what changed, deletes seen, resumable after a kill.

What the rows should be comes from the world's own records, by paths and types declared for the columns but other code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from landing import Landing, landed, read

from connectors.base import Column, Connector, SourceError
from connectors.sandbox.serve import Running

READS = {
    "salesforce": {
        "accounts": "account",
        "contacts": "contact",
        "opportunities": "opportunity",
        "users": "salesforce_user",
    },
    "jira": {"projects": "project", "fields": "field", "issues": "issue"},
}
every_read = pytest.mark.parametrize(("tool", "name"), [(tool, name) for tool, reads in READS.items() for name in reads])
UNSEEN = {  # what the world computes when it is asked, or a connector makes of it: tested by itself
    "fix_versions", "issue_links", "parent_key", "description_text", "metric_set", "solved_at", "customer", "product_area",
    "archived", "lead_name", "lead_account_id", "url", "components", "blocking_feature", "loss_reason",
    "record_type_id",
}  # fmt: skip
NOTHING = {  # what a vendor answers who shows nothing any more, to the reads that take what is missing for deleted
    ("jira", "projects"): ("project/search", {"values": [], "isLast": True}),
    ("jira", "fields"): ("field", []),
    ("jira", "issues"): ("search/jql", {"issues": []}),
}
Connect = Callable[..., Connector]


def wanted(column: Column, record: dict[str, Any]) -> Any:
    value: Any = record
    for name in column.source.split(".") if column.source else ("",):
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        return None
    if column.type == "timestamp":
        return datetime.fromisoformat(value).astimezone(UTC)
    if column.type == "date":
        return date.fromisoformat(value)
    if column.type == "decimal":
        return Decimal(str(value)).quantize(Decimal("0.01"))
    return value if column.type in ("boolean", "double", "integer") and not isinstance(value, str) else str(value)


def check_against_world(landing: Landing, running: Running, kind: str) -> None:
    """Every living record is there once with its values, and every known record that is gone is marked."""
    alive = {record.get("Id") or record["id"]: record for record in running.world.alive(kind)}
    assert landing.alive == set(alive)
    for record_id, record in alive.items():
        row = landing.all[(record_id,)]
        for column in landing.read.streams[0].columns:
            if column.type != "json" and column.name not in UNSEEN:
                found = row[column.name]
                assert (str(found) if column.type == "integer" else found) == (
                    str(wanted(column, record)) if column.type == "integer" else wanted(column, record)
                ), (record_id, column.name)
    assert not landing.rejects


def lives(running: Running) -> Iterator[None]:
    """Some nights in which things are created, changed, deleted, merged, moved and linked."""
    for days in (1, 2, 4):
        running.world.advance(days)
        running.world.tick(120)  # past what the vendors do not show yet
        yield


@every_read
def test_a_first_read_brings_everything_there_is_exactly_once(running: Running, connect: Connect, tool: str, name: str) -> None:
    connector = connect(tool)
    landing = landed(connector, name)
    check_against_world(landing, running, READS[tool][name])
    assert landing.covered_until is not None
    assert (running.world.now - landing.covered_until).total_seconds() <= 120


@every_read
def test_the_nights_after_leave_what_the_vendor_holds(running: Running, connect: Connect, tool: str, name: str) -> None:
    landing = landed(connect(tool), name)
    for _ in lives(running):
        landing.read_on(connect(tool))
        check_against_world(landing, running, READS[tool][name])


@every_read
def test_a_read_killed_after_any_batch_goes_on_to_the_same_rows(
    running: Running, connect: Connect, tool: str, name: str
) -> None:
    whole = landed(connect(tool), name)
    for killed_after in range(1, min(whole.batches, 12)):
        landing = Landing(read(connect(tool), name)).read_on(connect(tool), only=killed_after)
        landing.read_on(connect(tool))
        assert landing.all == whole.all


@every_read
def test_a_resumed_read_sees_what_changed_after_the_kill(running: Running, connect: Connect, tool: str, name: str) -> None:
    landing = Landing(read(connect(tool), name)).read_on(connect(tool), only=1)
    for _ in lives(running):
        landing.read_on(connect(tool), only=2)
    landing.read_on(connect(tool))
    check_against_world(landing, running, READS[tool][name])


@pytest.mark.parametrize("nights", [(None,), (1,), (None, 1)])
@pytest.mark.parametrize(("tool", "name"), NOTHING)
def test_nothing_at_all_after_there_was_something_is_a_lost_permission_and_deletes_nothing(
    running: Running, connect: Connect, tool: str, name: str, nights: tuple[int | None, ...]
) -> None:
    """Also where the night before was killed after its first batch."""
    landing = Landing(read(connect(tool), name))
    for only in nights:
        running.world.advance(2)
        running.world.tick(120)
        landing.read_on(connect(tool), only=only)
    alive = landing.alive
    path, nothing = NOTHING[tool, name]
    getattr(running, tool).faults.answer(200, path, times=9, body=nothing)
    with pytest.raises(SourceError, match="a permission was lost") as caught:
        landing.read_on(connect(tool))
    assert not caught.value.transient
    assert landing.alive == alive != set()
    getattr(running, tool).faults.clear()
    check_against_world(landing.read_on(connect(tool)), running, READS[tool][name])


@every_read
def test_every_size_of_page_brings_the_same(running: Running, connect: Connect, tool: str, name: str) -> None:
    found = []
    for size in (2, 7, None):  # a time export with one row a page would never leave its second
        for server in running.servers:
            server.page_size = size
        found.append(landed(connect(tool), name).all)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("tool", READS)
def test_check_finds_nothing_wrong_with_a_good_connection(connect: Connect, tool: str) -> None:
    findings = list(connect(tool).check())
    assert all(finding.ok for finding in findings), findings
    assert {finding.subject for finding in findings} >= {"login", *READS[tool]}
