"""How Zendesk's exports are read: tickets and users by cursor; organizations, metric events and whatever else by time.

Here belongs how an export goes on, ends and is proved complete. Not here: what ticket events hold, or the lists.

An export repeats what changed since a moment, and each night begins some minutes before the last one ended: Zendesk shows
some records minutes late, below stamps that were exported already. Requests of a read: one for each 1,000 records that
changed, at least one; tickets, users and organizations one more, for the count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import rows, zendesk_metrics
from connectors.base import Batch, Count, Cursor, Read, Reject, Stream
from connectors.zendesk_asking import STREAMS, Asking, epoch, from_epoch, iso

LOOK_BACK = 300  # seconds that are read again, for what became visible late
LATE_METRICS = 3600  # metric events are written down up to half an hour after the change that they tell of
_INDEXED = timedelta(minutes=15)  # search finds what is older than this
EVERY_TICKET = {"support_type_scope": "all"}  # else those that only an AI agent dealt with are left out
_NOTHING = Raw(b"[]")


class _CursorExport(msgspec.Struct):
    """A page of an export by cursor. Only `end_of_stream` ends it: a page may be empty before."""

    end_of_stream: bool
    after_cursor: str | None = None
    tickets: list[rows.Item] = []
    users: list[rows.Item] = []


_by_cursor = msgspec.json.Decoder(_CursorExport)


class TimeExport(msgspec.Struct):
    """A page of an export by time. Its last second comes again at the head of the next one, under the same keys."""

    end_of_stream: bool = False
    end_time: int | None = None
    next_page: str | None = None  # in place of the end, the help center's names none
    organizations: Raw = _NOTHING
    ticket_events: Raw = _NOTHING
    ticket_metric_events: Raw = _NOTHING
    articles: Raw = _NOTHING


class _Found(msgspec.Struct):
    count: int


@dataclass
class Tally:
    """What an export listed in one run, each record once, as it was listed last: the count of a stretch of a table.

    Zendesk counts no events. So this proves that all it listed stands in the table, once, and nothing else.
    """

    since: datetime  # the run listed what is at or after this
    column: str  # the stamp that tells
    _listed: list[pa.Table] = field(default_factory=list)

    def add(self, table: pa.Table) -> None:
        """Rows with `id`, `ticket_id`, the stamp and `_deleted_at`."""
        table = table.filter(pc.greater_equal(table[self.column], pa.scalar(self.since, table[self.column].type)))
        columns = {name: table[name] for name in ("id", "ticket_id")}
        self._listed.append(pa.table({**columns, "alive": pc.is_null(table["_deleted_at"])}))

    def count(self, gone: Collection[int] = ()) -> Count:
        """Of living records; `gone`: tickets that are not there any more, and their records with them."""
        listed = pa.concat_tables(self._listed)
        last = listed.group_by("id", use_threads=False).aggregate([("alive", "last"), ("ticket_id", "last")])
        gone_too = pc.is_in(last["ticket_id_last"], value_set=pa.array(sorted(gone), pa.int64()))
        alive = pc.sum(pc.and_not(last["alive_last"], pc.fill_null(gone_too, False))).as_py() or 0
        return Count(alive, self.column, since=self.since)


def _last_of_each(records: Sequence[rows.Item]) -> list[rows.Item]:
    """An export lists by time, so that what stands on one page twice is newest the last time."""
    named = {bytes(each["id"]): each for each in records if isinstance(each, dict) and "id" in each}
    return [*named.values(), *(each for each in records if not isinstance(each, dict) or "id" not in each)]


def reached(cursor: Cursor, export: TimeExport) -> Cursor:
    """The cursor behind a page. What is only read again moves nothing back."""
    return {"end_time": max(cursor.get("end_time", 0), export.end_time or 0)}


class Exports(Asking):
    """The streams that Zendesk exports record by record."""

    def shape(self, path: str) -> msgspec.json.Decoder[Any]:
        return _by_cursor if path.endswith("/cursor.json") else super().shape(path)

    def by_cursor(self, read: Read, cursor: Cursor) -> Iterator[Batch]:
        """Tickets with their metrics, or users. A read that is under way goes on by the vendor's cursor; the next one
        begins by time."""
        kind = "users" if read.name == "users" else "tickets"
        asked = {} if kind == "users" else {"include": "metric_sets", **EVERY_TICKET}
        after, start = cursor.get("after"), cursor.get("start", epoch(self.since))
        kept = self._kept(kind, cursor)
        while True:
            place = {"cursor": after} if after else {"start_time": start}
            response = self.get(STREAMS[kind].source, {**asked, **place})
            export = self.decoded(response, _CursorExport)
            found, rejects = self.exported(kind, getattr(export, kind))
            tables = {stream.name: found[stream.name] for stream in read.streams}
            if export.end_of_stream:
                until = self.settled
                start = max(0, epoch(until) - LOOK_BACK)
                yield Batch({"start": start, **kept}, tables, rejects, counted=self._counted(read), covered_until=until)
                return
            if export.after_cursor in (None, after):
                raise self.surprise(response, "the export does not move on")
            after = export.after_cursor
            yield Batch({"after": after, **kept}, tables, rejects)

    def exported(self, kind: str, records: Sequence[rows.Item]) -> tuple[Mapping[str, pa.Table], tuple[Reject, ...]]:
        """The rows by stream, and the rejects, of exported tickets or users."""
        page = self.decoders[kind].page(records)
        if pc.count_distinct(page.table["id"]).as_py() < len(page.table):
            records = _last_of_each(records)
            page = self.decoders[kind].page(records)
        if kind == "users":
            return {"users": self._lately(page.table)}, page.rejects
        metrics = zendesk_metrics.page(
            self.decoders["ticket_metrics"], records, page.table, all_wanted="ticket_metrics" not in self.without
        )
        solved_at = metrics.table["solved_at"].take(pc.index_in(page.table["id"], metrics.table["ticket_id"]))
        tickets = self._lately(zendesk_metrics.filled(page.table, {"solved_at": solved_at}))
        kept = pc.is_in(metrics.table["ticket_id"], tickets["id"])
        return {"tickets": tickets, "ticket_metrics": metrics.table.filter(kept)}, (*page.rejects, *metrics.rejects)

    def _lately(self, table: pa.Table) -> pa.Table:
        """Without what was last changed before the day that reading starts at: exports show it when it is only touched."""
        if self.since is None:
            return table
        since = pa.scalar(self.since, table["updated_at"].type)
        return table.filter(pc.fill_null(pc.greater_equal(table["updated_at"], since), True))

    def organizations(self, read: Read, cursor: Cursor) -> Iterator[Batch]:
        kept = self._kept("organizations", cursor)
        for response, export, over in self.by_time(read.streams[0], self.begin(cursor)):
            page = self.page("organizations", export.organizations, response)
            cursor = reached(cursor, export)
            yield Batch(
                {**cursor, **kept},
                {"organizations": self._lately(page.table)},
                page.rejects,
                counted=self._counted(read) if over else {},
                covered_until=self.settled if over else None,
            )

    def _kept(self, table: str, cursor: Cursor) -> Mapping[str, Any]:
        """What the next read must know beside its place: fields by the titles that they had."""
        names = self.know_fields(table, cursor.get("fields", {})) if table in self.choices.fields else {}
        return {"fields": dict(names)} if names else {}

    def metric_events(self, read: Read, cursor: Cursor) -> Iterator[Batch]:
        """Events that Zendesk took back come again, marked, because the changes are asked for too."""
        start = self.begin(cursor, LATE_METRICS)
        tally = Tally(from_epoch(start), "time")
        for response, export, over in self.by_time(read.streams[0], start, {"include_changes": "true"}):
            page = self.page("ticket_metric_events", export.ticket_metric_events, response)
            tally.add(page.table)
            cursor = reached(cursor, export)
            yield Batch(
                cursor,
                {"ticket_metric_events": page.table},
                page.rejects,
                counted={"ticket_metric_events": tally.count()} if over else {},
                covered_until=self.settled if over else None,
            )

    def begin(self, cursor: Cursor, look_back: int = LOOK_BACK) -> int:
        """The second from which on a run of an export by time lists what changed."""
        return max(epoch(self.since), int(cursor.get("end_time", 0)) - look_back)

    def by_time(
        self, stream: Stream, start: int, parameters: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[Response, TimeExport, bool]]:
        """The pages from a second on, and whether each was the last."""
        while True:
            response = self.get(stream.source, {**(parameters or {}), "start_time": start}, of=stream)
            export = self.decoded(response, TimeExport)
            export.end_time = export.end_time or start
            over = export.end_of_stream
            if export.end_time <= start and not over:
                raise self.surprise(response, "the export does not move on")
            yield response, export, over
            if over:
                return
            start = export.end_time

    def _counted(self, read: Read) -> Mapping[str, Count]:
        """The vendor's own count of living records, by search.

        The endpoints made for counting leave archived tickets out, cannot be bounded, and are a day old where there are
        more than 100,000. Search finds archived tickets and no deleted ones, counts exactly, and takes bounds; its index
        is some minutes late, so only what is older is counted.
        """
        column = {"ticket_metrics": "ticket_created_at"}
        before = (self.gate.clock - _INDEXED).replace(microsecond=0)
        found = self.found(read.name.removesuffix("s"), before)
        return {
            stream.name: Count(found, column.get(stream.name, "created_at"), before, late=before) for stream in read.streams
        }

    def found(self, kind: str, before: datetime | None = None) -> int:
        """How many tickets, users or organizations there are that the settings want."""
        words = [f"type:{kind}"]
        words += [f"created<{iso(before)}"] if before else []
        words += [f"updated>={iso(self.since)}"] if self.since else []
        response = self.get("/api/v2/search/count.json", {"query": " ".join(words)})
        return self.decoded(response, _Found).count
