"""A warehouse that is lost: a backup, and what the tools still have, make the same tables again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.world import World
from orchestration.synced import raw_tables
from tests.flaws import Hands
from tests.night import Company, Row, company
from warehouse import backup, gaps, history, models
from warehouse.engine import Warehouse

UNIFIED = [
    *(model.full_name for model in models.library()),
    *(ledger.full_name for ledger in history.ledgers()),
    "unified.customer_links",
    "unified.gaps",
    "unified.gap_events",
    "unified.gap_decisions",
    "sync.customer_ids",
    "sync.issue_keys",
]
# What a tool forgets with the record itself: a link that was removed, and the keys of an issue that is gone, which
# sync.issue_keys remembers. It is in the raw tables alone.
FORGOTTEN: dict[str, Callable[[Row], bool]] = {
    "unified.links": lambda row: row["removed_at"] is not None,
    "unified.ticket_issue_links": lambda row: row["removed_at"] is not None,
    "unified.seen_keys": lambda row: True,
}


@dataclass
class Lost:
    """A company after some nights, whose warehouse is no more. `tables`: what stood in it."""

    company: Company
    tables: dict[str, list[Row]]
    few: Path
    all: Path

    def restored(self, folder: Path, url: str, home: Path) -> Company:
        self.company.warehouse = Warehouse(url, home, wait_seconds=20)
        backup.restore(self.company.warehouse, folder, self.raw, self.company.settings().privacy_key)
        return self.company

    @property
    def raw(self) -> list[Any]:
        return raw_tables(self.company.settings().config)


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lost]:
    home = tmp_path_factory.mktemp("lost")
    with company(World(size="tiny", seed=11), home) as ours:
        hands = Hands(ours.world)
        gone, removed = hands.issue(), hands.link(hands.ask(hands.any_organization()), hands.issue())
        hands.link(hands.ask(hands.any_organization()), gone)
        for number in range(3):
            hands.deal(hands.any_account(), Blocking_Feature__c=f"CORE-999{number}")
        ours.world.tick(300)
        ours.night()
        ours.world.delete("issue", gone["id"])
        ours.world.delete("jira_link", removed["id"])
        for _ in range(2):
            ours.world.advance()
            ours.world.tick(300)
            ours.night()
        known, other, *_ = sorted(row["gap_id"] for row in ours.rows("unified.gaps") if row["status"] == "open")
        with ours.warehouse.begin("decide") as connection:
            gaps.decide(connection, known, "acknowledged", None, "somebody")
            gaps.decide(connection, other, "snoozed", ours.world.now.date(), "somebody")
        lost = Lost(ours, {}, home, home)
        raw = [table.full_name for table in lost.raw]
        lost.tables = contents(ours, [*UNIFIED, *raw, "sync.cursors", "sync.runs", "sync.counts"])
        lost.few = backup.make(ours.warehouse, home / "backup", lost.raw, keep=1)
        lost.all = backup.make(ours.warehouse, home / "backup", lost.raw, everything=True, keep=1)
        yield lost


def contents(ours: Company, tables: Iterable[str]) -> dict[str, list[Row]]:
    """Rows in an order of their own; moments as texts, since each driver has its own name for UTC."""
    with ours.warehouse.hold("look at every table"):
        return {table: sorted(map(_plain, ours.rows(table)), key=repr) for table in tables}


def _plain(row: Row) -> Row:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def test_a_backup_and_one_night_make_the_tables_on_another_database_that_were_there(
    lost: Lost, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    ours = lost.restored(lost.few, new_database(), tmp_path)
    assert ours.rows("jira.issues") == []

    ours.night()

    for table, found in contents(ours, UNIFIED).items():
        forgotten = FORGOTTEN.get(table, lambda row: False)
        assert [row for row in found if not forgotten(row)] == [row for row in lost.tables[table] if not forgotten(row)], table
    assert any(row["removed_at"] for row in lost.tables["unified.links"])
    # which a new warehouse could not know
    assert min(row["first_seen_at"] for row in lost.tables["unified.gaps"]) < ours.world.now.date().isoformat()
    assert {row["status"] for row in ours.rows("unified.gaps")} >= {"acknowledged", "snoozed"}


def test_with_everything_all_is_as_it_was_and_the_next_night_finds_nothing_new(lost: Lost, tmp_path: Path) -> None:
    ours = lost.restored(lost.all, f"duckdb:///{tmp_path / 'new.duckdb'}", tmp_path)
    restored = lost.tables.keys() - {model.full_name for model in models.library()}
    assert contents(ours, restored) == {table: lost.tables[table] for table in restored}

    reports = ours.sync()
    ours.refresh()

    assert {table: report for table, report in reports.items() if report.inserted or report.updated or report.deleted} == {}
    assert contents(ours, UNIFIED) == {table: lost.tables[table] for table in UNIFIED}
