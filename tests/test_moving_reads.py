"""A company that goes on working while it is read: whatever comes, changes, goes and comes back between two requests.

What a read met halfway is for the next one to see. No record may be lost between the two, and none that lives all the time
taken for gone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.sandbox.server import Server
from connectors.sandbox.world import World
from orchestration.config import TOOLS
from tests.night import Company, company
from tests.test_raw_nights import FAULTY, PATIENCE
from tests.truth.cases import Key
from tests.truth.raw import TABLES, Shown, by_key, check

# Whose cases want an application that this company's is not; change names and addresses that stand in issues as well, where
# Jira leaves them until the issue changes; or change scores of weeks ago, which are read once a week.
_ELSEWHERE = {"pendo.visitors", "pendo.polls", "jira.users", "zendesk.satisfaction_ratings"}
EVERY = 4  # requests between two events
_BY_CHANGE = {"zendesk.tags"}  # whose rows also go when something else changes


def test_what_happens_between_two_requests_is_neither_lost_nor_taken_for_more_than_it_is(tmp_path: Path) -> None:
    live_through(2, World(size="tiny", seed=5), tmp_path, None)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [7, 23])
@pytest.mark.parametrize("database", ["duckdb", "postgresql"])
def test_a_fortnight_of_being_read_at_work(seed: int, database: str, tmp_path: Path, new_database: Callable[[], str]) -> None:
    url = new_database() if database == "postgresql" else None
    live_through(14, World(size="tiny", seed=seed), tmp_path, url, faulty=FAULTY)


class _Life:
    """Small events, drawn from a seed: records of any stream come, change, go and come back."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = random.Random(f"{world.seed}/at work")
        self._made: list[str] = []  # tables with a record that may go again
        self._gone: list[str] = []
        self.at_work = True
        self.steady: dict[str, set[Key]] = {}  # what lives all the time
        self.events = 0

    def begin(self) -> None:
        """What went on another night does not come back: some vendors could not bring it."""
        self._gone.clear()
        self.steady = _alive(self._world)

    def watch(self, server: Server) -> None:
        def happens() -> None:
            with self._world.lock:
                if self.at_work:
                    self._event()
            self.watch(server)

        server.faults.run(happens, after=self._chance.randrange(2 * EVERY))

    def _event(self) -> None:
        self._world.tick(self._chance.choice((0, 1, 20)))
        table = self._chance.choice(sorted(TABLES.keys() - _ELSEWHERE))
        case = TABLES[table]
        match self._chance.choice(("make", "change", "delete", "undelete")):
            case "change" if case.change and len(case.rows(self._world)) > 1:
                case.change(self._world)
            case "delete" if self._made:
                table = self._made.pop(self._chance.randrange(len(self._made)))
                if delete := TABLES[table].delete:
                    delete(self._world)
                    self._gone.append(table)
                    self.steady = _common(self.steady, _alive(self._world))
            case "undelete" if self._gone:
                if undelete := TABLES[self._gone.pop()].undelete:
                    undelete(self._world)
            case _ if case.make:
                case.make(self._world, self._chance.randint(1, 3))
                self._made.append(table)
        self.events += 1


def live_through(nights: int, world: World, home: Path, url: str | None, *, faulty: float = 0) -> None:
    with company(world, home, url) as ours:
        ours.patience = PATIENCE
        shown, life = Shown(world), _Life(world)
        for number, server in enumerate(ours.running.servers):
            server.page_size = 7
            if faulty:
                server.faults.plan(faulty, seed=world.seed + number, retry_after=0, stall=1.0)
            life.watch(server)
        for night in range(nights):
            if night:
                world.advance()
            world.tick(300)  # past what the vendors do not show yet
            life.begin()
            ours.sync(tuple(TOOLS))
            _none_taken_for_gone(ours, life.steady)
            world.tick(300)
            life.at_work = False
            with ours.warehouse.begin("begin to count anew") as connection:
                connection.execute(sa.text("delete from sync.counts"))
            ours.sync(tuple(TOOLS))
            life.at_work = True
            truth = shown.tonight()
            for table in TABLES:
                check(table, ours.rows(table), truth[table])
            assert not (found := ours.ask("select tool, read, error from sync.runs where status = 'failed'")), found
            assert not (found := ours.ask("select * from sync.counts where not reconciled")), found
        assert life.events > 20 * nights, life.events


def _alive(world: World) -> dict[str, set[Key]]:
    return {table: set(case.rows(world)) for table, case in TABLES.items() if table not in _BY_CHANGE}


def _common(some: dict[str, set[Key]], others: dict[str, set[Key]]) -> dict[str, set[Key]]:
    return {table: keys & others[table] for table, keys in some.items()}


def _none_taken_for_gone(ours: Company, steady: dict[str, set[Key]]) -> None:
    for table, keys in steady.items():
        gone = {key for key, row in by_key(table, ours.rows(table)).items() if row["_deleted_at"] is not None}
        assert not gone & keys, (table, list(gone & keys)[:5])
