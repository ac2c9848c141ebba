"""What becomes of Jira's issues in a real warehouse when they are read once more, or again from a day on."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from connectors.sandbox.world import World
from tests.night import Company, company
from warehouse import load


def write(ours: Company, statement: str) -> None:
    with ours.warehouse.begin("a test writes") as connection:
        connection.execute(sa.text(statement))


def test_a_difference_of_comments_is_not_forgotten_where_issues_are_missing_too(tmp_path: Path) -> None:
    with company(World(size="tiny"), tmp_path) as ours:
        ours.sync(("jira",))
        comment = next(ours.world.alive("issue_comment"))
        lost = next(issue["id"] for issue in ours.world.alive("issue") if issue["id"] != comment["issue"])
        write(ours, f"update jira.comments set _deleted_at = now(), updated = '2099-01-01' where id = '{comment['id']}'")
        write(ours, f"delete from jira.issues where id = '{lost}'")
        ours.world.tick(3600)
        ours.world.change("issue", comment["issue"], summary="Changed")
        ours.world.tick(300)
        write(ours, "delete from sync.counts")
        ours.sync(("jira",))
        assert ours.ask(f"select id from jira.issues where id = '{lost}'")
        counts = {row["stream"]: row for row in ours.ask("select * from sync.counts where read = 'issues'")}
        assert counts["issues"]["reconciled"]
        assert not counts["comments"]["reconciled"]
        assert counts["comments"]["source_rows"] - counts["comments"]["stored_rows"] == 1


def test_a_read_that_is_sent_back_to_a_day_keeps_fields_moves_and_what_was_lacking(tmp_path: Path) -> None:
    with company(World(size="tiny"), tmp_path) as ours:
        ours.sync(("jira",))
        connector = ours.connector("jira")
        (issues,) = (read for read in connector.reads if read.name == "issues")
        (before,) = ours.ask("select cursor from sync.cursors where read = 'issues'")
        known = {**json.loads(before["cursor"]), "moved": [10001], "lacking": [10002]}
        assert known["fields"]
        write(ours, f"update sync.cursors set cursor = '{json.dumps(known)}' where read = 'issues'")
        to = connector.at(issues, ours.world.now - timedelta(days=9))
        load.rewind(ours.warehouse, "jira", "issues", to, kept=connector.kept)
        (after,) = ours.ask("select cursor from sync.cursors where read = 'issues'")
        kept = {name: known[name] for name in ("fields", "moved", "lacking")}
        assert json.loads(after["cursor"]) == {"until": "2026-10-24T04:00:00+00:00", **kept}
