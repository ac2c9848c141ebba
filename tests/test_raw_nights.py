"""Nights of a moving world whose vendors answer one request in twenty with a fault: every raw table holds the truth.

Row for row and column for column, no row twice, every night, by truth that is computed from the world itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.http import Patience
from connectors.sandbox.world import World
from orchestration.config import TOOLS
from tests.night import company
from tests.truth.raw import TABLES, Shown, check

FAULTY = 0.05
PATIENCE = Patience(tries=6, first_wait=0.01, longest_wait=5, reply=0.5)


def test_a_week_of_faulty_nights_leaves_the_truth(tmp_path: Path) -> None:
    live_through(7, World(size="tiny", seed=11), tmp_path, None)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [7, 23])
@pytest.mark.parametrize("database", ["duckdb", "postgresql"])
def test_a_month_of_faulty_nights_leaves_the_truth(
    seed: int, database: str, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    live_through(30, World(seed=seed), tmp_path, new_database() if database == "postgresql" else None)


def live_through(nights: int, world: World, home: Path, url: str | None) -> None:
    with company(world, home, url) as ours:
        ours.patience = PATIENCE
        shown = Shown(world)
        for number, server in enumerate(ours.running.servers):
            server.page_size = 7
            server.faults.plan(FAULTY, seed=world.seed + number, retry_after=0, stall=1.0)
        for night in range(nights):
            if night:
                world.advance()
            world.tick(300)  # past what the vendors do not show yet
            ours.sync(tuple(TOOLS))
            truth = shown.tonight()
            for table in TABLES:
                check(table, ours.rows(table), truth[table])
            assert ours.ask("select tool, read, error from sync.runs where status = 'failed'") == []
            assert ours.ask("select * from sync.counts where not reconciled") == []
        done = sum((server.faults.done for server in ours.running.servers), start=type(server.faults.done)())
        assert len(done) >= 8, done
