"""What runs did long ago is forgotten, but for what something still looks at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.warehouse.things import THINGS, rows_of
from warehouse import migrate
from warehouse.engine import Warehouse
from warehouse.prune import prune

TODAY = datetime(2026, 3, 1, tzinfo=UTC)


def days_ago(days: int) -> datetime:
    return TODAY - timedelta(days=days)


@pytest.fixture
def things(warehouse: Warehouse) -> Warehouse:
    migrate.prepare(warehouse, [THINGS])
    return warehouse


def put(warehouse: Warehouse, table: str, *rows: dict[str, Any]) -> None:
    with warehouse.begin("set up") as connection:
        for values in rows:
            places = ", ".join(f":{name}" for name in values)
            connection.execute(sa.text(f"insert into {table} ({', '.join(values)}) values ({places})"), values)


def pruned(warehouse: Warehouse, days: int = 400) -> dict[str, int]:
    with warehouse.begin("prune") as connection:
        return dict(prune(connection, [THINGS], days_ago(days)))


def run(name: str, days: int, status: str = "succeeded", read: str = "things", covered: int | None = None) -> dict[str, Any]:
    return {
        "run_id": name,
        "tool": "zendesk",
        "read": read,
        "status": status,
        "started_at": days_ago(days),
        "ended_at": days_ago(days),
        "covered_until": days_ago(covered) if covered else None,
    }


def test_old_runs_go_but_never_the_last_of_a_read_nor_the_last_that_ended_well_nor_the_one_that_covers_most(
    things: Warehouse,
) -> None:
    put(
        things,
        "sync.runs",
        run("well, long ago", 900),
        run("covers most", 800, covered=700),
        run("well, the last", 790, covered=750),
        run("failed before", 600, "failed"),
        run("failed last", 500, "failed"),
        run("killed", 450, "running"),
        run("still young", 399, "failed", "others"),
        run("younger", 1, "failed", "others"),
        run("alone", 2000, "unavailable", "third"),
    )

    assert pruned(things)["sync.runs"] == 2

    left = {name for (name,) in rows_of(things, "select run_id from sync.runs")}
    assert left == {"covers most", "well, the last", "failed last", "killed", "still young", "younger", "alone"}
    assert pruned(things)["sync.runs"] == 0


def test_old_counts_go_but_never_the_last_of_a_table(things: Warehouse) -> None:
    def counted(name: str, days: int, stream: str = "things") -> dict[str, Any]:
        return {"run_id": name, "tool": "zendesk", "read": "things", "stream": stream, "counted_at": days_ago(days)}

    put(things, "sync.counts", counted("a", 900), counted("b", 800), counted("a", 900, "comments"), counted("c", 900, "votes"))
    put(things, "sync.counts", counted("d", 1, "votes"))

    assert pruned(things)["sync.counts"] == 2

    found = rows_of(things, "select stream, run_id from sync.counts order by stream")
    assert found == [("comments", "a"), ("things", "b"), ("votes", "d")]


def test_old_rejects_go_when_their_record_is_gone_and_stay_while_they_are_its_only_copy(things: Warehouse) -> None:
    put(
        things,
        "zendesk.things",
        {"id": 1, "_deleted_at": days_ago(450)},
        {"id": 2, "_deleted_at": None},
        {"id": 3, "_deleted_at": days_ago(3)},
    )
    put(
        things,
        "sync.rejects",
        *({"tool": "zendesk", "stream": "things", "record_id": id_, "rejected_at": days_ago(500)} for id_ in ("1", "2", "3")),
        {"tool": "zendesk", "stream": "things", "record_id": None, "rejected_at": days_ago(500)},
        {"tool": "jira", "stream": "issues", "record_id": "1", "rejected_at": days_ago(500)},
    )

    assert pruned(things)["sync.rejects"] == 1

    found = rows_of(things, "select tool, record_id from sync.rejects order by tool, record_id nulls last")
    assert found == [("jira", "1"), ("zendesk", "2"), ("zendesk", "3"), ("zendesk", None)]
