"""One invented software company's Salesforce, Jira, Zendesk and Pendo, as plain records in the vendors' own field names.

Here belong the records, the clock and the small verbs that change one thing and stamp it as the vendor does.
Not here: what the world holds at first (`founding`, `plants`), what happens by itself (`story`), or any endpoint.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.sandbox import founding, jira_site, names, pendo_app, plants, salesforce_org, story, zendesk_desk

Record = dict[str, Any]
Id = Any  # text in Salesforce and Jira and for links, a number in Zendesk

NOW = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
_VENDORS: dict[str, Any] = {
    kind: vendor for vendor in (salesforce_org, jira_site, zendesk_desk, pendo_app) for kind in vendor.STORES
}
STORES: dict[str, str] = {kind: store for vendor in _VENDORS.values() for kind, store in vendor.STORES.items()}


class World:
    """The whole truth. Equal seed, size and clock make equal bytes, also after equal calls of `advance` and the verbs.

    Records stay when they are deleted or merged away: they then carry `_deleted_at` (UTC, ISO 8601) beside the vendor's
    own mark (`IsDeleted`, `MasterRecordId`, status `deleted`, `active`, `deleted_at`). Keys with a leading `_` are never
    served. Change records through the verbs, which stamp them and tell the servers.
    """

    accounts: dict[str, Record]
    contacts: dict[str, Record]
    opportunities: dict[str, Record]
    salesforce_users: dict[str, Record]
    projects: dict[str, Record]
    fields: dict[str, Record]
    versions: dict[str, Record]
    issues: dict[str, Record]
    jira_users: dict[str, Record]
    tickets: dict[int, Record]
    zendesk_users: dict[int, Record]
    organizations: dict[int, Record]
    jira_links: dict[str, Record]
    groups: dict[int, Record]

    def __init__(self, seed: int = 7, size: str | int = "demo", now: datetime = NOW) -> None:
        self.seed = seed
        self.now = now
        self.random = random.Random(f"{seed}/{size}")
        self.lock = threading.RLock()  # the servers answer in their own threads
        for store in STORES.values():
            setattr(self, store, {})
        self.issue_ids: dict[str, str] = {}  # every key an issue has or had → its id
        self.feature_values: dict[str, str] = {}  # picklist word → the issue key that the settings map it to
        self.internal_domains = [names.VENDOR_DOMAIN]
        self._numbers: dict[str, int] = {}
        self._chances: dict[str, random.Random] = {}
        self._order: dict[str, list[tuple[Any, Id]]] = {}
        self._derived: dict[str, dict[Hashable, Any]] = {}
        self._companies = names.companies(self.random)
        founding.found(self, size)
        if size not in ("empty", "tiny"):
            plants.plant(self)

    # the verbs ------------------------------------------------------------------------------------------------------

    def create(self, kind: str, *, at: datetime | None = None, **fields: Any) -> Record:
        """A new record with the vendor's defaults under `fields`. `at`: when it happens, now unless said otherwise."""
        with self.lock:
            record: Record = _VENDORS[kind].create(self, kind, at or self.now, fields)
            self.store(kind)[record[_VENDORS[kind].IDS.get(kind, "id")]] = record
            self.changed(kind)
            return record

    def change(self, kind: str, record_id: Id, *, at: datetime | None = None, **fields: Any) -> Record:
        """Sets `fields`, and whatever the vendor moves along: stamps, a stage's probability, a status's resolution."""
        with self.lock:
            record = self.store(kind)[record_id]
            _VENDORS[kind].change(self, kind, record, at or self.now, fields)
            self.changed(kind)
            return record

    def delete(self, kind: str, record_id: Id, *, at: datetime | None = None) -> Record:
        """Deletes as the vendor does, with what goes along, such as an account's contacts and deals."""
        with self.lock:
            record = self.store(kind)[record_id]
            at = at or self.now
            record["_deleted_at"] = at.isoformat()
            _VENDORS[kind].delete(self, kind, record, at)
            self.changed(*STORES)
            return record

    def undelete(self, kind: str, record_id: Id, *, at: datetime | None = None) -> Record:
        """Brings a deleted record back, where its vendor can."""
        with self.lock:
            record = self.store(kind)[record_id]
            del record["_deleted_at"]
            _VENDORS[kind].undelete(self, kind, record, at or self.now)
            self.changed(*STORES)
            return record

    def merge(self, kind: str, loser: Id, winner: Id, *, at: datetime | None = None) -> None:
        """Merges two accounts or two Zendesk users; what hung on the loser moves to the winner."""
        with self.lock:
            at = at or self.now
            merge = {"account": salesforce_org.merge_accounts, "zendesk_user": zendesk_desk.merge_users}[kind]
            merge(self, self.store(kind)[loser], self.store(kind)[winner], at)
            self.changed(*STORES)

    def move(self, issue_id: str, project_id: str, *, at: datetime | None = None) -> Record:
        """Moves an issue to another project: a new key, the same id."""
        with self.lock:
            jira_site.move(self, self.issues[issue_id], self.projects[project_id], at or self.now)
            self.changed("issue")
            return self.issues[issue_id]

    def touch(self, ticket_id: int, *, at: datetime | None = None) -> None:
        """Zendesk's own housekeeping: the ticket's generated_timestamp moves, and nothing else does."""
        with self.lock:
            self.tickets[ticket_id]["generated_timestamp"] = int((at or self.now).timestamp())
            self.changed("ticket")

    def tick(self, seconds: float = 1) -> None:
        with self.lock:
            self.now += timedelta(seconds=seconds)

    def advance(self, days: int = 1) -> None:
        """Lets days of the company's life pass; the clock ends at the same time of day."""
        with self.lock:
            story.advance(self, days)

    # reading --------------------------------------------------------------------------------------------------------

    def store(self, kind: str) -> dict[Id, Record]:
        store: dict[Id, Record] = getattr(self, STORES[kind])
        return store

    def alive(self, kind: str) -> Iterator[Record]:
        return (record for record in self.store(kind).values() if "_deleted_at" not in record)

    def any(self, kind: str, fits: Callable[[Record], bool] = lambda _: True) -> Record | None:
        """One of the living records that fit; None if there is none."""
        found = [record for record in self.alive(kind) if fits(record)]
        return self.random.choice(found) if found else None

    def in_order(self, kind: str) -> list[tuple[Any, Id]]:
        """(stamp, id) of every record of a kind, deleted ones too, by the stamp that its vendor exports by."""
        with self.lock:
            if kind not in self._order:
                stamp = _VENDORS[kind].stamp
                self._order[kind] = sorted((stamp(kind, record), record_id) for record_id, record in self.store(kind).items())
            return self._order[kind]

    def changed(self, *kinds: str) -> None:
        """Says that records of these kinds are not what they were; the verbs do it themselves."""
        for kind in kinds:
            self._order.pop(kind, None)
            self._derived.pop(kind, None)

    def derived(self, kind: str, name: Hashable, compute: Callable[[], Any]) -> Any:
        """What `compute` makes of the records of a kind, remembered under `name` until one of them changes."""
        with self.lock:
            known = self._derived.setdefault(kind, {})
            if name not in known:
                known[name] = compute()
            return known[name]

    def ago(self, days: float, spread: float = 0) -> datetime:
        """A moment in office hours `days` (and up to `spread` more) before now."""
        at = self.now - timedelta(days=days + self.random.random() * spread)
        at = at.replace(hour=8, minute=0, second=0, microsecond=0) + timedelta(seconds=self.random.randrange(36_000))
        return min(at, self.now - timedelta(hours=10))

    def day(self, days: int) -> str:
        """The date so many days from today, as every vendor writes it."""
        return (self.now.date() + timedelta(days=days)).isoformat()

    def chance(self, purpose: str) -> random.Random:
        """Chance of its own for one purpose, so that what is added to the world leaves all the rest of it as it was."""
        return self._chances.setdefault(purpose, random.Random(f"{self.seed}/{purpose}"))

    def number(self, sequence: str, first: int = 1) -> int:
        """The next number of a named sequence."""
        self._numbers[sequence] = self._numbers.get(sequence, first - 1) + 1
        return self._numbers[sequence]

    def company(self) -> tuple[str, str, str, str]:
        """Name, bare domain, industry and country of a company that nobody has met yet."""
        return next(self._companies)

    def state(self) -> Mapping[str, Mapping[Id, Record]]:
        """Every record by store, for comparing worlds."""
        return {store: getattr(self, store) for store in STORES.values()}
