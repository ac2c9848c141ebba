"""The life of a gap, whatever the rule: opened, still there, resolved, reopened, suppressed; and what an outage may not do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.warehouse.things import THINGS, batch, loaded, row, rows_of
from warehouse import gaps, load, migrate, schema
from warehouse.engine import Warehouse, WarehouseError, verbatim
from warehouse.gaps import RuleReport
from warehouse.selects import ModelError

RULE = """\
-- title: Thing without a name
-- severity: medium
-- owner: operations
-- fix: Name it.
-- inputs: zendesk/things
-- entity: thing
select
    cast(thing.id as text) as entity_id,
    cast(null as text) as customer_id,
    cast(null as text) as feature_id,
    'Thing ' || cast(thing.id as text) || ' has no name' as title,
    'Nobody can find it.' as detail,
    case when thing.id = 2 then 'Ada' end as owner,
    thing.amount as stake_amount,
    'arr' as stake_kind,
    cast(null as text) as url
from zendesk.things as thing
where thing.name is null and thing._deleted_at is null
"""
LATE = """\
-- title: Data that did not arrive
-- severity: high
-- owner: operations
-- fix: Mend it.
-- inputs:
-- entity: read
select
    run.tool || '/' || run.read as entity_id,
    cast(null as text) as customer_id,
    cast(null as text) as feature_id,
    'late' as title,
    'late' as detail,
    cast(null as text) as owner,
    cast(null as decimal(18, 2)) as stake_amount,
    cast(null as text) as stake_kind,
    cast(null as text) as url
from sync.runs as run
where run.status = 'failed'
"""
Review = Callable[..., RuleReport]


def night(number: int) -> datetime:
    return datetime(2026, 3, 1, 4, tzinfo=UTC) + timedelta(days=number)


@pytest.fixture
def things(warehouse: Warehouse) -> Warehouse:
    migrate.prepare(warehouse, [THINGS])
    with warehouse.begin("settings") as connection:
        connection.execute(verbatim("insert into settings.options (fresh_hours) values (26)"))
        connection.execute(verbatim("insert into settings.reads values ('zendesk', 'things', true)"))
    return warehouse


@pytest.fixture
def review(things: Warehouse, tmp_path: Path) -> Review:
    """Reviews on a night with the one rule, and with the one that says what is late."""
    for category, name, text in (("process", "nameless", RULE), ("pipeline", "late", LATE)):
        path = tmp_path / "rules" / category / f"{name}.sql"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    rules = gaps.rules(tmp_path / "rules")

    def run(number: int) -> RuleReport:
        with things.begin("review") as connection:
            connection.execute(verbatim("delete from settings.clock"))
            connection.execute(sa.text("insert into settings.clock values (:at, '2026-03-01', 'UTC')"), {"at": night(number)})
            reports = {report.rule: report for report in gaps.review(connection, f"run {number}", rules)}
        return reports["nameless"]

    return run


def events(warehouse: Warehouse) -> list[tuple[str, str, datetime, str]]:
    query = (
        "select g.entity_id, e.event, e.happened_at, e.run_id from unified.gap_events as e"
        " join unified.gaps as g on g.gap_id = e.gap_id where g.rule = 'nameless' order by 1, 3"
    )
    return rows_of(warehouse, query)  # type: ignore[return-value]


def test_a_gap_is_opened_with_everything_that_it_says(things: Warehouse, review: Review) -> None:
    loaded(things, batch([row(1, None), row(2, None, amount=Decimal("7.00")), row(3)]))

    report = review(1)

    assert (report.open, report.opened, report.resolved, report.reopened) == (2, 2, 0, 0)
    columns = "gap_id, severity, title, fix, owner, stake_amount, stake_kind, status, first_seen_at"
    one, two = (f"g_{sha256(f'nameless/thing/{id_}'.encode()).hexdigest()[:16]}" for id_ in (1, 2))
    assert rows_of(things, f"select {columns} from unified.gaps order by entity_id") == [
        (one, "medium", "Thing 1 has no name", "Name it.", "operations", Decimal("1.50"), "arr", "open", night(1)),
        (two, "medium", "Thing 2 has no name", "Name it.", "Ada", Decimal("7.00"), "arr", "open", night(1)),
    ]
    assert rows_of(things, "select distinct rule, category, entity_type from unified.gaps") == [
        ("nameless", "process", "thing")
    ]


def test_a_gap_lives_through_the_nights(things: Warehouse, review: Review) -> None:
    loaded(things, batch([row(1, None)]))
    review(1)
    review(1)  # the same night once more
    loaded(things, batch([row(1, None, amount=Decimal("9.00"), version=2)], night=2))
    review(2)
    assert rows_of(things, "select first_seen_at, last_seen_at, stake_amount from unified.gaps") == [
        (night(1), night(2), Decimal("9.00"))
    ]

    loaded(things, batch([row(1, "named", 3)], night=3))
    assert review(3).resolved == 1
    assert rows_of(things, "select status, resolved_at, last_seen_at from unified.gaps") == [("resolved", night(3), night(2))]

    loaded(things, batch([row(1, None, 4)], night=4))
    assert review(4).reopened == 1
    assert rows_of(things, "select status, resolved_at, reopened_count, first_seen_at from unified.gaps") == [
        ("open", None, 1, night(1))
    ]
    assert events(things) == [
        ("1", "opened", night(1), "run 1"),
        ("1", "resolved", night(3), "run 3"),
        ("1", "reopened", night(4), "run 4"),
    ]


@pytest.mark.parametrize("decided", ["acknowledged", "snoozed"])
def test_what_somebody_decided_stays_until_the_gap_has_gone(things: Warehouse, review: Review, decided: str) -> None:
    loaded(things, batch([row(1, None)]))
    review(1)
    with things.begin("somebody") as connection:
        connection.execute(sa.text("update unified.gaps set status = :status"), {"status": decided})

    review(1)
    assert rows_of(things, "select status from unified.gaps") == [(decided,)]

    loaded(things, batch([row(1, "named", 2)], night=2))
    review(2)
    assert rows_of(things, "select status from unified.gaps") == [("resolved",)]


def test_a_snoozed_gap_sleeps_through_its_last_day_and_wakes_after_it(things: Warehouse, review: Review) -> None:
    loaded(things, batch([row(1, None)]))
    review(1)
    gap = rows_of(things, "select gap_id from unified.gaps")[0][0]
    with things.begin("decide") as connection:
        gaps.decide(connection, gap, "snoozed", date(2026, 3, 1), "ada")

    review(1)
    assert rows_of(things, "select status from unified.gaps") == [("snoozed",)]

    with things.begin("decide anew") as connection:
        gaps.decide(connection, gap, "snoozed", date(2026, 2, 28), "ada")
    review(1)
    assert rows_of(things, "select status from unified.gaps") == [("open",)]
    assert rows_of(things, "select decision, until, decided_by from unified.gap_decisions order by until") == [
        ("snoozed", date(2026, 2, 28), "ada"),
        ("snoozed", date(2026, 3, 1), "ada"),
    ]


def test_a_gap_that_is_not_there_cannot_be_decided_about(things: Warehouse, review: Review) -> None:
    review(1)
    with (
        pytest.raises(WarehouseError, match="There is no open gap g_nope"),
        things.begin("decide") as connection,
    ):
        gaps.decide(connection, "g_nope", "acknowledged", None, "ada")


def test_stale_data_closes_nothing(things: Warehouse, review: Review) -> None:
    loaded(things, batch([row(1, None)]))
    review(1)
    loaded(things, batch([row(1, "named", 2)], night=2))

    late = review(5)  # the last good run covers night 2 only

    assert (late.open, late.resolved) == (1, 0)
    assert late.why_not == "closes nothing while zendesk/things is late"
    loaded(things, batch([], night=5))
    assert review(5).resolved == 1


def test_a_failed_last_run_closes_nothing_though_an_earlier_one_was_in_time(things: Warehouse, review: Review) -> None:
    loaded(things, batch([row(1, None)]))
    review(1)
    loaded(things, batch([row(1, "named", 2)], night=2))
    failure = {"tool": "zendesk", "read": "things", "run_id": "x", "started_at": datetime.now(UTC), "error": "no answer"}
    load.record_end(things, **failure)  # type: ignore[arg-type]

    assert review(2).resolved == 0


def test_a_late_read_suppresses_what_appears_since_but_not_what_was_there(things: Warehouse, review: Review) -> None:
    loaded(things, batch([row(1, None)]))
    review(1)
    failure = {"tool": "zendesk", "read": "things", "run_id": "x", "started_at": datetime.now(UTC), "error": "no answer"}
    load.record_end(things, **failure)  # type: ignore[arg-type]
    loaded(things, batch([row(2, None)], night=2))

    review(2)

    cause = "g_" + sha256(b"late/read/zendesk/things").hexdigest()[:16]
    query = "select entity_id, suppressed_by from unified.gaps where rule = 'nameless' order by 1"
    assert rows_of(things, query) == [("1", None), ("2", cause)]

    with things.begin("mended") as connection:
        connection.execute(verbatim("delete from sync.runs where status = 'failed'"))
    review(2)
    assert rows_of(things, query) == [("1", None), ("2", None)]


def test_the_gaps_of_a_rule_that_is_dropped_are_resolved(things: Warehouse, review: Review, tmp_path: Path) -> None:
    loaded(things, batch([row(1, None)]))
    review(1)
    (tmp_path / "rules" / "process" / "nameless.sql").unlink()

    with things.begin("review") as connection:
        gaps.review(connection, "run 2", gaps.rules(tmp_path / "rules"))

    assert rows_of(things, "select rule, status from unified.gaps") == [("nameless", "resolved")]


def test_a_rule_whose_tool_is_off_does_not_run_and_says_so(things: Warehouse, review: Review) -> None:
    loaded(things, batch([row(1, None)]))
    review(1)
    with things.begin("off") as connection:
        connection.execute(verbatim("update settings.reads set connected = false"))

    report = review(2)

    assert (report.ran, report.why_not, report.open) == (False, "zendesk not connected", 1)


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("-- fix: Name it.\n", ""), 1, "lacks fix"),
        (("severity: medium", "severity: grave"), 1, "write one of critical, high, medium, low"),
        (("-- fix", "-- fux"), 4, "is no line of a rule's header"),
        (("as detail", "as details"), 1, "selects other columns than entity_id"),
        (("zendesk.things as thing", "unified.customers as thing"), 17, "does not exist"),
        (("thing.name is null", "thing.nome is null"), 18, "nome"),
    ],
)
def test_a_broken_rule_is_named_with_its_line(tmp_path: Path, change: tuple[str, str], line: int, message: str) -> None:
    path = tmp_path / "process" / "nameless.sql"
    path.parent.mkdir()
    path.write_text(RULE.replace(*change))
    shape = {"zendesk": {"things": {c.name: c.type for c in (*THINGS.columns, *schema.RAW_COLUMNS)}}}

    with pytest.raises(ModelError, match=message) as caught:
        gaps.check(gaps.rules(tmp_path), shape)

    assert caught.value.line == line
