"""Nights of a moving org that answers one request in twenty with a fault: every table of Salesforce holds the truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from contract import Stream

from connectors import salesforce
from connectors.http import Patience
from connectors.sandbox.world import World
from tests.night import company
from tests.truth.raw_salesforce import CASES

CUSTOM = "product_request__c"
PATIENCE = Patience(tries=6, first_wait=0.01, longest_wait=5, reply=0.5)


def test_some_faulty_nights_leave_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salesforce, "LARGE", 12)  # some tables by Bulk jobs, some by pages
    live_through(2, World(size="tiny", seed=5), tmp_path, page_size=7)


@pytest.mark.soak
@pytest.mark.parametrize("database", ["duckdb", "postgresql"])
def test_a_month_of_faulty_nights_leaves_the_truth(database: str, tmp_path: Path, new_database: Callable[[], str]) -> None:
    url = new_database() if database == "postgresql" else None
    live_through(30, World(seed=19), tmp_path, page_size=40, url=url)


def live_through(nights: int, world: World, home: Path, *, page_size: int, url: str | None = None) -> None:
    with company(world, home, url) as ours:
        ours.patience = PATIENCE
        ours.chosen = {"salesforce": {"objects": ["Product_Request__c"]}}
        Stream(ours, "salesforce", CUSTOM, CASES[CUSTOM]).forget()  # which makes the table that the settings name
        ours.running.salesforce.page_size = page_size
        ours.running.salesforce.faults.plan(0.05, seed=world.seed, retry_after=0, stall=1.0)
        for night in range(nights):
            if night:
                world.advance()
            world.tick(300)
            ours.sync(("salesforce",))
            assert ours.ask("select read, error from sync.runs where status = 'failed'") == []
            assert ours.ask("select * from sync.counts where not reconciled") == []
            for name, case in CASES.items():
                if name not in ("currency_types", "dated_conversion_rates"):
                    Stream(ours, "salesforce", name, case).check()
