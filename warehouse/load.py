"""A batch becomes rows, once: the only writer of raw tables, of cursors, rejects and runs.

Here belongs how rows are merged and what commits together. Not here: where they come from, or what is made of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.engine import Bulk, Warehouse, WarehouseError
from warehouse.lost import Losses
from warehouse.merge import (
    CountLike,
    PresentLike,
    Proof,
    SpanLike,
    TableReport,
    append,
    living,
    merge,
    moment,
    prove_count,
    prove_ids,
    prove_part,
    sweep,
)
from warehouse.rejects import RejectLike, keep_rejects
from warehouse.schema import RawTable

# What makes one transaction: few large ones are several times cheaper than one a page, but what is not committed is
# read again after a kill.
GROUP_ROWS = 250_000
GROUP_BYTES = 64 << 20
GROUP_SECONDS = 60.0
QUICK_SECONDS = 0.1  # a group that came in less is of rows that lie here, as no network brings them: the next one will, too


class BatchLike(Protocol):
    """Some rows of a read, by stream, and the cursor that is true once they are committed."""

    @property
    def cursor(self) -> Mapping[str, Any]: ...
    @property
    def rows(self) -> Mapping[str, pa.Table]: ...
    @property
    def rejects(self) -> Sequence[RejectLike]: ...
    @property
    def present(self) -> Mapping[str, PresentLike]: ...
    @property
    def counted(self) -> Mapping[str, CountLike]: ...
    @property
    def covered_until(self) -> datetime | None: ...
    @property
    def lost(self) -> Mapping[str, frozenset[str]]: ...


@dataclass
class LoadReport:
    """What a run did. `proofs`: by table, whether the vendor's count and the table's agree; some have none."""

    tables: dict[str, TableReport] = field(default_factory=dict)
    proofs: dict[str, Proof] = field(default_factory=dict)
    rejected: int = 0
    covered_until: datetime | None = None

    @property
    def written(self) -> int:
        return sum(t.inserted + t.updated + t.deleted for t in self.tables.values())

    @property
    def differing(self) -> dict[str, Proof]:
        return {stream: proof for stream, proof in self.proofs.items() if not proof.reconciled}


Remap = Callable[[Mapping[str, Any], Mapping[str, Any]], None]
Again = Callable[[Mapping[str, pa.Table]], Iterable["BatchLike"]]


def cursor(
    warehouse: Warehouse,
    tool: str,
    read: str,
    host: str,
    *,
    choices: Mapping[str, Any] | None = None,
    remap: Remap | None = None,
) -> dict[str, Any] | None:
    """Where the last run of a read came to; None before the first. When `choices` is not what that run was given, only
    where it began.

    `choices` is what people chose about the read's data, as JSON: rows read under other choices lack what these ask for,
    so everything is read once more; unless they are mapped otherwise and no more: then `remap` (the map before, the map now)
    brings them to what they would be. Refuses rows of another host than the known one, and a later day `since` which rows are
    wanted: what lies before would neither be read nor be gone.
    """
    with warehouse.loading(f"look where {tool}/{read} stands") as bulk:
        hosts = {row[0] for row in bulk.fetch("select distinct host from sync.cursors where tool = $1", [tool])}
        if hosts - {host}:
            raise WarehouseError(
                f"This warehouse holds {tool} rows of {', '.join(sorted(hosts))}, and the settings now name {host}. Two worlds "
                f"must not mix: set {tool.upper()}_URL back, or use another warehouse (FULLPICTURE_HOME or WAREHOUSE_URL)."
            )
        found = bulk.fetch("select cursor, choices from sync.cursors where tool = $1 and read = $2", [tool, read])
    if not found:
        return None
    reached, known, wanted = json.loads(found[0][0]), json.loads(found[0][1] or "{}"), dict(choices or {})
    if (known.get("since") or "") < (wanted.get("since") or ""):
        raise WarehouseError(
            f"{tool}/{read} was read from {known.get('since') or 'the beginning'} on, and {tool}.since now names the later "
            f"{wanted['since']}. Set it back: only a first read, into another warehouse, can begin later."
        )
    if remap is not None and reached is not None and known != wanted and _unmapped(known) == _unmapped(wanted):
        remap(known.get("fields", {}), wanted.get("fields", {}))
        with warehouse.loading(f"note what {tool}/{read} is given") as bulk:
            bulk.execute("update sync.cursors set choices = $3 where tool = $1 and read = $2", [tool, read, _json(wanted)])
        known = wanted
    return reached if known == wanted else _begun(reached)


def rewind(warehouse: Warehouse, tool: str, read: str, to: Mapping[str, Any] | None, *, kept: Collection[str] = ()) -> None:
    """Makes the next run of a read begin at another cursor, to which the last one adds what `kept` names; at None it reads
    everything, from where the last one began."""
    with warehouse.loading(f"rewind {tool}/{read}") as bulk:
        send_back(bulk, tool, read, to, kept=kept)


def send_back(bulk: Bulk, tool: str, read: str, to: Mapping[str, Any] | None = None, *, kept: Collection[str] = ()) -> None:
    """What `rewind` does, inside a transaction that somebody else holds."""
    found = bulk.fetch("select cursor from sync.cursors where tool = $1 and read = $2", [tool, read])
    last = json.loads(found[0][0]) or {} if found else {}
    to = _begun(last) if to is None else {**{name: last[name] for name in kept if name in last}, **to}
    bulk.execute("update sync.cursors set cursor = $3 where tool = $1 and read = $2", [tool, read, _json(to)])


def _unmapped(choices: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in choices.items() if name != "fields"}


def _begun(cursor: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Of a cursor where its rows begin, lest what lies before a new beginning be neither read nor gone."""
    return {"from": cursor["from"]} if cursor and "from" in cursor else None


def load(
    warehouse: Warehouse,
    *,
    tool: str,
    read: str,
    host: str,
    run_id: str,
    tables: Mapping[str, RawTable],
    batches: Iterable[BatchLike],
    again: Again | None = None,
    choices: Mapping[str, Any] | None = None,
    doubted: bool = True,
    requests: Callable[[], int] = lambda: 0,
    progress: Callable[[int], None] = lambda _: None,
) -> LoadReport:
    """Loads a read's batches; `tables` by stream name. `progress` hears how many rows have arrived so far.

    Rows, deletes, rejects, cursor and the run's record commit together, some batches at a time: a kill at any moment
    loses nothing and doubles nothing, and a read that breaks keeps what it had read. The database is open only while a
    group of batches commits, and until the next one if those come faster than it opens. What the vendor says it has is
    compared with the tables at the end; where they differ, `again` is asked for batches that mend it, with the keys that
    only the vendor has, by stream: once, and a second time if the first has found out which records are missing.
    `doubted`: that nearly all of a table is gone is not believed, but an error.
    """
    run = _Run(warehouse, tool, read, host, run_id, tables, _json(choices or {}), doubted, requests, progress)
    with run.held:
        run.take(batches)
        run.commit("succeeded", mendable=again is not None)
    while again is not None and run.worth_another_try:
        missing = run.missing
        run.tries += 1
        run.forget_proofs()
        with run.held:
            run.take(again(missing))
            run.commit("succeeded", mendable=True)
    return run.report


@dataclass
class _Run:
    """One run of a read: the batches that wait to be committed, and what became of those that were."""

    warehouse: Warehouse
    tool: str
    read: str
    host: str
    run_id: str
    tables: Mapping[str, RawTable]
    choices: str
    doubted: bool
    requests: Callable[[], int]
    progress: Callable[[int], None]
    arrived: int = 0
    tries: int = 0  # to mend what differs
    held: ExitStack = field(default_factory=ExitStack)  # keeps the database open from group to group

    def __post_init__(self) -> None:
        self.started = datetime.now(UTC)
        self.report = LoadReport(tables={stream: TableReport() for stream in self.tables})
        # By table that was empty when the run began: the keys of what it brought, group by group, with the least and the last.
        self.brought: dict[str, list[tuple[pa.Array, Any, Any]] | None] = {}
        self.losses = {stream: Losses() for stream in self.tables}
        self.forget_proofs()
        self._begin_group()

    def forget_proofs(self) -> None:
        self.report.proofs = {}
        self.ids: dict[str, pa.Table] = {}
        self.counted: dict[str, CountLike] = {}

    @property
    def missing(self) -> dict[str, pa.Table]:
        return {stream: proof.missing for stream, proof in self.report.differing.items() if proof.missing}

    @property
    def worth_another_try(self) -> bool:
        return bool(self.report.differing) and (self.tries == 0 or (self.tries == 1 and bool(self.missing)))

    def _begin_group(self) -> None:
        self.group: list[BatchLike] = []
        self.rows = self.size = 0
        self.opened = time.monotonic()

    def take(self, batches: Iterable[BatchLike]) -> None:
        """Commits the batches, all but the last group of them; if they break off, what had come until then."""
        arriving = iter(batches)
        while True:
            try:
                batch = next(arriving, None)
            except Exception:
                self.commit("running")
                raise
            if batch is None:
                return
            self._add(batch)
            self.progress(self.arrived)

    def _add(self, batch: BatchLike) -> None:
        if batch.present and any(_clash(batch, earlier) for earlier in self.group):
            self.commit("running")
        self.group.append(batch)
        self.report.covered_until = batch.covered_until or self.report.covered_until
        rows = sum(table.num_rows for table in batch.rows.values())
        self.arrived += rows
        self.rows += rows
        self.size += sum(table.nbytes for table in batch.rows.values())
        seconds = time.monotonic() - self.opened
        if self.rows >= GROUP_ROWS or self.size >= GROUP_BYTES or seconds > GROUP_SECONDS:
            if seconds < QUICK_SECONDS:
                self.held.enter_context(self.warehouse.hold(f"load {self.tool}/{self.read}"))
            self.commit("running")
            if seconds >= QUICK_SECONDS:
                self.held.close()

    def commit(self, status: str, *, mendable: bool = False) -> None:
        """Commits the group. At the end, with status succeeded, compares the counts; where they differ the run is not
        over yet if that can be mended."""
        with self.warehouse.loading(f"load {self.tool}/{self.read}") as bulk:
            for stream, table in self.tables.items():
                self._load(bulk, stream, table)
            self.report.rejected += keep_rejects(bulk, self.tool, self.run_id, self.tables, self.group)
            if self.group:
                self._move_cursor(bulk, self.group[-1])
            if status == "succeeded":
                for stream, table in self.tables.items():
                    self.report.tables[stream].rows_total = living(bulk, table)
                    self.losses[stream].note(bulk, table)
                self._prove(bulk)
            self._record(bulk, "running" if mendable and self.worth_another_try else status)
        self._begin_group()

    def _load(self, bulk: Bulk, stream: str, table: RawTable) -> None:
        counts = self.report.tables[stream]
        at = self.report.covered_until or datetime.now(UTC)
        losses = self.losses[stream]
        for batch in self.group:
            losses.told = batch.lost.get(stream, losses.told)
        arrived = [batch.rows[stream] for batch in self.group if stream in batch.rows and batch.rows[stream].num_rows]
        if arrived:
            rows = pa.concat_tables(arrived)
            keys = _keys(table, rows)
            once = _rise(keys) or pc.count_distinct(keys).as_py() == len(keys)
            if once and self._is_first(bulk, table, keys):
                append(bulk, table, rows, at, counts)
            else:
                rejects = [reject for batch in self.group for reject in batch.rejects]
                merge(bulk, table, losses.keep(bulk, table, arrived, rejects), at, counts, once=once)
        for present in _joined(batch.present[stream] for batch in self.group if stream in batch.present):
            sweep(bulk, table, present, at, counts, doubted=self.doubted)
            if present.within is not None or present.span is not None:
                prove_part(bulk, table, present, self.report.proofs.setdefault(stream, Proof("parts")))
            elif set(present.keys.column_names) == set(table.key):
                self.ids[stream] = present.keys
        for batch in self.group:
            if stream in batch.counted:
                self.counted[stream] = batch.counted[stream]

    def _is_first(self, bulk: Bulk, table: RawTable, keys: pa.Array) -> bool:
        """Whether none of the keys can stand in the table, which was empty when the run began."""
        if table.name not in self.brought:
            self.brought[table.name] = None if bulk.fetch(f"select 1 from {table.full_name} limit 1") else []
        brought = self.brought[table.name]
        if brought is None:
            return False
        span = pc.min_max(keys).as_py()
        for known, first, last in brought:  # mostly they come in order, and then need not be compared one by one
            if first <= span["max"] and span["min"] <= last and pc.any(pc.is_in(keys, value_set=known)).as_py():
                brought.append((keys, span["min"], span["max"]))
                return False
        brought.append((keys, span["min"], span["max"]))
        return True

    def _prove(self, bulk: Bulk) -> None:
        """Ids prove most: they name what is missing. Parts prove only what was read anew."""
        for stream, table in self.tables.items():
            if stream in self.ids:
                self.report.proofs[stream] = prove_ids(bulk, table, self.ids[stream])
            elif stream in self.counted:
                self.report.proofs[stream] = prove_count(bulk, table, self.counted[stream])
        key = [self.run_id, self.tool, self.read]
        bulk.execute("delete from sync.counts where run_id = $1 and tool = $2 and read = $3", key)
        for stream, proof in self.report.proofs.items():
            bulk.execute(
                "insert into sync.counts (run_id, tool, read, stream, counted_by, source_rows, stored_rows, missing_rows, "
                f"reconciled, counted_at) values ($1, $2, $3, $4, $5, {proof.source_rows}, {proof.stored_rows}, "
                f"{len(proof.missing) if proof.missing else 0}, {str(proof.reconciled).lower()}, {moment(datetime.now(UTC))})",
                [*key, stream, proof.counted_by],
            )

    def _move_cursor(self, bulk: Bulk, batch: BatchLike) -> None:
        bulk.execute("delete from sync.cursors where tool = $1 and read = $2", [self.tool, self.read])
        at = moment(batch.covered_until or datetime.now(UTC))
        bulk.execute(
            f"insert into sync.cursors (tool, read, host, cursor, choices, updated_at) values ($1, $2, $3, $4, $5, {at})",
            [self.tool, self.read, self.host, _json(batch.cursor), self.choices],
        )

    def _record(self, bulk: Bulk, status: str) -> None:
        ended = moment(datetime.now(UTC)) if status == "succeeded" else "null"
        covered = moment(self.report.covered_until) if self.report.covered_until else "null"
        made = self.report.tables.values()
        counts = [sum(t.inserted for t in made), sum(t.updated for t in made), sum(t.deleted for t in made)]
        counts += [self.report.rejected, self.requests()]
        proofs = self.report.proofs.values()
        counts += [sum(proof.source_rows for proof in proofs), sum(proof.stored_rows for proof in proofs)]
        reconciled = str(not self.report.differing).lower() if proofs else "null"
        key = [self.run_id, self.tool, self.read]
        bulk.execute("delete from sync.runs where run_id = $1 and tool = $2 and read = $3", key)
        bulk.execute(
            "insert into sync.runs (run_id, tool, read, started_at, ended_at, covered_until, status, rows_inserted, "
            "rows_updated, rows_deleted, rows_rejected, requests, source_rows, stored_rows, reconciled) "
            f"values ($1, $2, $3, {moment(self.started)}, {ended}, {covered}, $4, "
            f"{', '.join(str(int(count)) for count in counts)}, {reconciled})",
            [*key, status],
        )


def record_end(
    warehouse: Warehouse,
    *,
    tool: str,
    read: str,
    run_id: str,
    started_at: datetime,
    error: str,
    status: str = "failed",
    requests: int = 0,
    covered_until: datetime | None = None,
) -> None:
    """Keeps the record of a run that ended otherwise than well, with the counts of what it had committed, which stays.
    `status`: failed, or unavailable for what this account of the tool does not have, as of `covered_until` by its clock."""
    key = [run_id, tool, read]
    now = moment(datetime.now(UTC))
    with warehouse.loading(f"record the end of {tool}/{read}") as bulk:
        known = bulk.fetch("select 1 from sync.runs where run_id = $1 and tool = $2 and read = $3", key)
        if not known:
            bulk.execute(
                "insert into sync.runs (run_id, tool, read, started_at, rows_inserted, rows_updated, rows_deleted, "
                f"rows_rejected) values ($1, $2, $3, {moment(started_at)}, 0, 0, 0, 0)",
                key,
            )
        bulk.execute(
            f"update sync.runs set status = $5, ended_at = {now}, error = $4, requests = {int(requests)}"
            f"{f', covered_until = {moment(covered_until)}' if covered_until else ''} "
            "where run_id = $1 and tool = $2 and read = $3",
            [*key, error, status],
        )


def _keys(table: RawTable, rows: pa.Table) -> pa.Array:
    """The key of each row as one value; two different ones may look alike, which costs a comparison and no more."""
    if len(table.key) == 1:
        return rows[table.key[0]].combine_chunks()
    return pc.binary_join_element_wise(*(rows[name].cast(pa.string()) for name in table.key), "/").combine_chunks()


def _rise(keys: pa.Array) -> bool:
    """Whether each is greater than the one before: told many times sooner than how many are different."""
    return bool(pc.all(pc.less(keys[:-1], keys[1:])).as_py())


def _clash(batch: BatchLike, earlier: BatchLike) -> bool:
    """Whether both tell all that exists of the same rows: then the earlier must be in the table before the later."""
    both = batch.present.keys() & earlier.present.keys()
    return any(_same_part(batch.present[stream], earlier.present[stream]) for stream in both)


def _same_part(one: PresentLike, other: PresentLike) -> bool:
    if one.within is not None and other.within is not None:
        return bool(one.within.join(other.within, one.within.column_names, join_type="left semi").num_rows)
    if one.span is not None and other.span is not None:
        return bool(one.span.start < other.span.end and other.span.start < one.span.end)
    return True


def _joined(presents: Iterable[PresentLike]) -> Iterator[PresentLike]:
    """Parts that were read by their parents, of which a group may hold hundreds, as one; all others as they come."""
    parts: list[PresentLike] = []
    for present in presents:
        if present.within is not None and present.span is None:
            parts.append(present)
        else:
            yield present
    if parts:
        yield _Parts(
            pa.concat_tables(part.keys for part in parts), pa.concat_tables(part.within for part in parts if part.within)
        )


@dataclass(frozen=True)
class _Parts:
    keys: pa.Table
    within: pa.Table | None
    span: SpanLike | None = None


def _json(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, sort_keys=True)
