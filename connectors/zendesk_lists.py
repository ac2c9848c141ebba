"""How Zendesk's lists are read: whole each time, a hundred records a page, and what they do not hold any more is gone.

Here belongs what has no export, and the help center's, which is one that hides deletes. Not here: the exports.

Requests: one for each hundred records of a list, at least one; of schedules one more for the holidays of each; of Jira
links one for each 1,000, in the newer integration for each hundred; of articles one for each 1,000 and, once some are known,
one for the latest; of ratings one for each hundred of the last weeks and one for the count, once a week of all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw

from connectors import rows
from connectors.base import Batch, Count, Cursor, Present, Read, SourceError, Span, Stream, Unavailable
from connectors.zendesk_asking import STREAMS, epoch, from_epoch, lacking, living
from connectors.zendesk_exports import Exports, TimeExport

log = logging.getLogger(__name__)

_ARTICLES = "/api/v2/help_center/articles.json"
RATED_WITHIN = timedelta(days=30)  # a customer who was asked may still answer, or think better of it
RATED_AGAIN = timedelta(days=6)  # the night after, those of any age are read again: no count tells that a score changed
_ROUNDS = 3  # in which a list may not keep still
_NULL = Raw(b"null")
_records = msgspec.json.Decoder(list[dict[str, Raw]])
_encode = msgspec.json.Encoder().encode


class _Listing(msgspec.Struct):
    """How a page of a list goes on: by cursor, by number, or not at all. Its records stand under a name of their own."""

    meta: dict[str, Any] = {}
    links: Any = None
    next_page: str | None = None
    count: int | None = None

    @property
    def following(self) -> str | None:
        if self.meta.get("has_more") and isinstance(self.links, dict):
            return self.links.get("next")
        return self.next_page


class Links(msgspec.Struct):
    """A page of links to Jira. The first integration tells how many there are, the newer one whether there are more."""

    links: Raw
    total: int | None = None
    meta: dict[str, Any] = {}


class _Count(msgspec.Struct):
    value: int
    refreshed_at: datetime | None = None


class Counted(msgspec.Struct):
    """The reply of an endpoint made for counting: above 100,000 it is up to a day old, and null while it counts."""

    count: _Count


class Lists(Exports):
    """The streams that Zendesk only lists."""

    def listed(self, read: Read) -> Iterator[Batch]:
        (stream,) = read.streams
        yield from self._whole(stream, self._pages(stream, stream.source), {})

    def links(self, read: Read) -> Iterator[Batch]:
        (stream,) = read.streams
        yield from self._whole(stream, self._links(stream), {})

    def articles(self, read: Read, *, known: bool) -> Iterator[Batch]:
        """From the beginning each time: that costs a tenth of the list's requests, which alone would tell what is gone. An
        article that is known and changed since the export began, or a minute before, is not in it: the list tells of it."""
        (stream,) = read.streams
        yield from self._whole(stream, self._articles(stream, known=known), {})

    def _articles(self, stream: Stream, *, known: bool) -> Iterator[rows.Page]:
        since = None
        for page in self._articles_by_time(stream):
            since = since or self.settled
            yield page
        if known and since:
            latest = {"sort_by": "updated_at", "sort_order": "desc", "per_page": 100}
            for page, _ in self._turned(stream, _ARTICLES, latest):
                changed = pc.greater_equal(page.table["updated_at"], pa.scalar(since, page.table["updated_at"].type))
                yield rows.Page(page.table.filter(changed), page.rejects)
                if not pc.all(changed, min_count=0).as_py():
                    return

    def _articles_by_time(self, stream: Stream) -> Iterator[rows.Page]:
        """Within a second that holds more than a page by number, for by time it would not move on."""
        seen: set[Any] = set()
        start, number = 0, 1
        while True:
            place = {"start_time": start, **({"page": number} if number > 1 else {})}
            response = self.get(stream.source, place, of=stream)
            export = self.decoded(response, TimeExport)
            page = self.page(stream.name, export.articles, response)
            yield page
            found = set(_records_of(page, stream))
            end = export.end_time or start
            if not export.next_page or not (found or number > 1):
                return
            if end > start:
                start, number = end, 1
            elif number == 1 or not found <= seen:
                number += 1
            else:
                start, number = start + 1, 1
            seen |= found

    def ratings(self, read: Read, cursor: Cursor) -> Iterator[Batch]:
        """First all of them, then those that were asked for in the last weeks, and once a week all again. What has gone
        meanwhile the vendor's count tells, and then all are read too."""
        (stream,) = read.streams
        start = cursor.get("start", 0)
        asked = {"start_time": start} if start else {}
        for batch in self._whole(stream, self._pages(stream, stream.source, asked), cursor):
            if not batch.present:
                yield batch
                continue
            until = self.gate.clock
            keys = batch.present[stream.name].keys
            span = Span("created_at", from_epoch(start), until) if start else None
            whole = cursor.get("whole", 0) if start else epoch(until)
            due = until >= from_epoch(whole) + RATED_AGAIN
            later = {"start": 0 if due else epoch(until - RATED_WITHIN), "whole": whole}
            counted = self._ratings_counted() if start else {}
            yield Batch(later, present={stream.name: Present(keys, span=span)}, counted=counted, covered_until=until)

    def _ratings_counted(self) -> Mapping[str, Count]:
        count = self.decoded(self.get("/api/v2/satisfaction_ratings/count.json"), Counted).count
        if count.refreshed_at is None:
            return {}
        return {"satisfaction_ratings": Count(count.value, "created_at", count.refreshed_at)}

    def schedules(self, read: Read) -> Iterator[Batch]:
        """Schedules and the holidays of each, which stand at an address of their own. Neither list has pages."""
        schedules, holidays = STREAMS["schedules"], STREAMS["holidays"]
        (page,) = self._pages(schedules, schedules.source)
        found = {"schedules": [page], "holidays": []}
        if holidays in read.streams:
            found["holidays"] = [self._holidays(each) for each in page.table["id"].to_pylist()]
        tables = {stream.name: self._joined(stream.name, found[stream.name]) for stream in read.streams}
        rejects = tuple(reject for name in tables for each in found[name] for reject in each.rejects)
        present = {stream.name: _present(stream, [tables[stream.name]]) for stream in read.streams}
        yield Batch({}, tables, rejects, present, covered_until=self.gate.clock)

    def _holidays(self, schedule: int) -> rows.Page:
        stream = STREAMS["holidays"]
        try:
            response = self.get(stream.source.replace("{id}", str(schedule)))
        except SourceError as error:
            if not lacking(error):
                raise
            log.warning("Zendesk shows no holidays of schedule %s (%s)", schedule, error)
            return self.decoders["holidays"].page(b"[]")
        reply = self.decoded(response, dict[str, Raw])
        of_it = {"schedule_id": Raw(_encode(schedule))}
        try:
            records = [record | of_it for record in _records.decode(reply.get("holidays", _NULL))]
        except msgspec.DecodeError:
            raise self.surprise(response, "no list of holidays") from None
        return self.page("holidays", records, response)

    def _joined(self, name: str, pages: list[rows.Page]) -> pa.Table:
        return pa.concat_tables([self.decoders[name].page(b"[]").table, *(page.table for page in pages)])

    def _whole(self, stream: Stream, pages: Iterator[rows.Page], cursor: Cursor) -> Iterator[Batch]:
        """The pages, and at last all that there is. A list that breaks off is read from its beginning again: nobody could
        say else what went meanwhile."""
        until, known = None, []
        for page in pages:
            until = until or self.gate.clock
            known.append(page.table)
            yield Batch(cursor, {stream.name: page.table}, page.rejects)
        yield Batch(cursor, present={stream.name: _present(stream, known)}, covered_until=until)

    def _pages(self, stream: Stream, address: str, parameters: Mapping[str, Any] | None = None) -> Iterator[rows.Page]:
        """By cursor as they come. By number together, and once more where they do not add up: what goes from one page moves
        what is on the next ones."""
        for _ in range(_ROUNDS):
            numbered: list[rows.Page] = []
            counts: set[int | None] = set()
            for page, listing in self._turned(stream, address, parameters):
                if listing.meta or not (listing.next_page or numbered):
                    yield page
                else:
                    numbered.append(page)
                    counts.add(listing.count)
            if counts <= {None, len({each for page in numbered for each in _records_of(page, stream)})}:
                yield from numbered
                return
            log.info("Zendesk: records of %s came or went while they were listed", stream.name)
        raise _uneven(stream)

    def _turned(
        self, stream: Stream, address: str, parameters: Mapping[str, Any] | None
    ) -> Iterator[tuple[rows.Page, _Listing]]:
        of: Stream | None = stream
        while True:
            response = self.get(address, parameters, of=of)
            listing = self.decoded(response, _Listing)
            reply = self.decoded(response, dict[str, Raw])
            yield self.page(stream.name, reply.get(stream.name, _NULL), response), listing
            if not listing.following:
                return
            if listing.following == address:
                raise self.surprise(response, "the list does not move on")
            address, parameters, of = listing.following, None, None

    def _links(self, stream: Stream) -> Iterator[rows.Page]:
        """Of both integrations. An account rarely has both: what it lacks is left out, unless it lacks all."""
        ways = [self._first_links(stream)] + ([self._newer_links(stream)] if self.jira_integration else [])
        lacked = 0
        for way in ways:
            try:
                yield from way
            except Unavailable as missing:
                lacked += 1
                if lacked == len(ways):
                    raise
                log.warning("%s", missing)

    def _first_links(self, stream: Stream) -> Iterator[rows.Page]:
        """By rising id, up to as many as there were at any time: one that has gone does not stand for one that is to come."""
        seen: set[str] = set()
        most = 0
        while True:
            place = {"since_id": max(map(int, seen))} if seen else {}
            response = self.get(stream.source, place, of=None if seen else stream)
            reply = self.decoded(response, Links)
            page = self.page(stream.name, reply.links, response)
            found = set(page.table["id"].to_pylist()) - seen
            seen |= found
            most = max(most, reply.total or 0)
            if not found and len(seen) < (reply.total or 0):
                raise _uneven(stream)
            yield page
            if not found or len(seen) >= most > 0:
                return

    def _newer_links(self, stream: Stream) -> Iterator[rows.Page]:
        """By a cursor. These links have no id of their own: whose they are, ticket and issue, is all there is of them."""
        address = f"/api/v2/integrations/jira/{self.jira_integration}/links"
        after: str | None = None
        while True:
            place = {"page[after]": after} if after else {}
            response = self.get(address, {"page[size]": 100, **place}, of=None if after else stream)
            reply = self.decoded(response, Links)
            try:
                records = [self._named(link) for link in _records.decode(reply.links)]
            except msgspec.DecodeError:
                raise self.surprise(response, "no list of links") from None
            yield self.page(stream.name, records, response)
            if not reply.meta.get("has_more"):
                return
            if reply.meta.get("after") in (None, "", after):
                raise self.surprise(response, "the list does not move on")
            after = reply.meta["after"]

    def _named(self, link: dict[str, Raw]) -> dict[str, Raw]:
        ids = (msgspec.json.decode(link.get(name, _NULL)) for name in ("ticket_id", "issue_id"))
        named = "/".join(map(str, (self.jira_integration, *ids)))
        return {**link, "id": Raw(_encode(named)), "integration": Raw(_encode(self.jira_integration))}


def _uneven(stream: Stream) -> SourceError:
    return SourceError(
        f"Zendesk counts other {stream.name} than it lists, so none is taken for gone; trying again later can help.",
        transient=True,
    )


def _records_of(page: rows.Page, stream: Stream) -> list[Any]:
    """What names a page's records; those that have no key count as well."""
    named = zip(*(page.table[name].to_pylist() for name in stream.key), strict=True)
    return [*named, *(reject.original for reject in page.rejects if reject.record_id is None)]


def _present(stream: Stream, tables: list[pa.Table]) -> Present:
    """All living records of a list."""
    keys = [living(table).select(list(stream.key)) for table in tables]
    return Present(pa.concat_tables([rows.keys(stream, {name: [] for name in stream.key}), *keys]))
