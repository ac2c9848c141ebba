"""A month of a moving world: every night, every table says what is true, on each database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.sandbox.world import World
from tests.night import company
from tests.test_picture import KEYS, agree
from tests.truth.picture import Nights

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("seed", [7, 19])
@pytest.mark.parametrize("database", ["duckdb", "postgresql"])
def test_thirty_nights_agree_with_the_truth(seed: int, database: str, tmp_path: Path, new_database: Callable[[], str]) -> None:
    url = new_database() if database == "postgresql" else None
    with company(World(seed=seed), tmp_path, url) as invented:
        truth = Nights(invented.world)
        for _ in range(30):
            invented.night()
            tonight = truth.tonight()
            for table, key in KEYS.items():
                rows = invented.rows(f"unified.{table}")
                if table == "ticket_issue_links":
                    rows = [row for row in rows if row["removed_at"] is None]
                if table == "gaps":
                    rows = [row for row in rows if row["status"] == "open"]
                agree(getattr(tonight, table), rows, key)
            invented.world.advance(1)
