"""How Salesforce is read: each object from where it stood, deleted records included, a count as proof, formulas by schedule.

Here belongs what is asked for and when. Not here: columns, which are data, what of an object makes a row
(`salesforce_streams`), SOQL and its replies (`salesforce_api`), Bulk jobs (`salesforce_bulk`) or blocks of formulas
(`salesforce_formulas`).

Requests of a read that finds n records, with p = max(1, ⌈n / 2,000⌉) pages:

- what has changed: a description, p pages, a count. Of more than 10,000 records the first page only, then a Bulk job:
  one request to make it, one for each look at it (after 1, 3, 7, 15, 31, 61, 91 … seconds) and ⌈(n - 2,000) / 10,000⌉
  pages of results. Where the fields fill f addresses, each page is asked for f times, and what changes meanwhile once
  more; a job has them all in one.
- small lists (stages, record types, currencies): a description, p pages. Fields: a description for each object that no
  other read of the same run has described.
- formulas, once in `formulas_days`: ⌈all living / 2,000⌉ narrow pages, and one for each block of 2,000 that has changed.
- once a week all ids in place of the count, as many pages or such a job as all living records have.
- a difference: as many pages, or such a job, for all records once more; of more than 10,000 for their ids alone. Ids that
  the table lacks: one request for each hundred. Of the history of fields all that Salesforce surely keeps.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import rows, salesforce_bulk
from connectors.auth import SalesforceClient, SalesforceJwt, secret
from connectors.base import (
    Batch,
    Choices,
    Count,
    Cursor,
    Estimate,
    Finding,
    Present,
    Read,
    Reject,
    SourceError,
    Span,
    Stream,
    Unavailable,
)
from connectors.http import Gate, Login, Patience, Site
from connectors.quota import Quota
from connectors.salesforce_api import PAGE, Page, SalesforceApi, SObject, filled, soql
from connectors.salesforce_formulas import Block, Blocks
from connectors.salesforce_streams import STREAMS, Source, custom, filled_by, stamp_of, wanted
from connectors.window import Window, windows

log = logging.getLogger(__name__)

LARGE = 10_000  # records of an answer from which on a Bulk job costs fewer requests and less time than pages
_MARGIN = timedelta(minutes=1)  # what is younger than this may not be visible yet
_LOOK_BACK = timedelta(minutes=15)  # a long transaction's rows become visible late, under an earlier stamp
_LONG = timedelta(minutes=15)  # a read that took longer reads on at once: much has changed meanwhile
_SWEEP = timedelta(days=7)  # in a count two differences can cancel each other, but not in a list of ids
_JOBS = 2  # Bulk jobs that may be lost before the rest is read by pages
_IDS = 100  # ids that fit into an address beside a long field list
_PAGE_SECONDS, _JOB_SECONDS = 1.5, 60.0  # what a page and a job usually take; Salesforce promises nothing
_JOB_LOOKS = 6  # in those seconds


class _Unseen(SourceError):
    """An object that should be there and is not to be seen."""


@dataclass(frozen=True)
class _Ended:
    """Where a read of this run came to, and how many records there were to compare."""

    cursor: Cursor
    until: datetime
    records: int


class Salesforce(SalesforceApi):
    """One Salesforce org, asked with client credentials or, with a user name and a private key, by JWT bearer.

    `objects`: API names of custom objects to describe and check with the others. `daily_share` of the org's requests of a
    day may be used, by whomever, before nothing is asked any more, as all know who share `quota_folder`. `formulas_days`:
    how often formulas are read anew.
    """

    tool = "salesforce"
    reads = tuple(Read(name, (stream,)) for name, stream in STREAMS.items())
    kept = ("fields", "gone", "names", "swept", "formulas")

    def __init__(
        self,
        url: str,
        *,
        quota_folder: Path,
        client_id: str | None = None,
        client_secret: str | None = None,
        username: str | None = None,
        private_key: str | None = None,
        objects: Collection[str] = (),
        daily_share: float = 0.8,
        formulas_days: int = 7,
        choices: Choices | None = None,
        patience: Patience | None = None,
    ) -> None:
        by_key = bool(username or private_key) and not client_secret
        other = "SALESFORCE_USERNAME and SALESFORCE_PRIVATE_KEY_FILE" if by_key else "SALESFORCE_CLIENT_SECRET"
        site = Site("Salesforce", url, "SALESFORCE_URL", f"SALESFORCE_CLIENT_ID and {other}")
        login: Login
        if client_id and client_secret:
            client = secret("SALESFORCE_CLIENT_ID", client_id), secret("SALESFORCE_CLIENT_SECRET", client_secret)
            login = SalesforceClient(site, *client, patience=patience)
        elif client_id and username and private_key:
            key, user = secret("SALESFORCE_CLIENT_ID", client_id), secret("SALESFORCE_USERNAME", username)
            login = SalesforceJwt(site, key, user, private_key, patience=patience)
        else:
            raise SourceError(
                "Set SALESFORCE_CLIENT_ID and either SALESFORCE_CLIENT_SECRET, or both SALESFORCE_USERNAME and "
                "SALESFORCE_PRIVATE_KEY_FILE."
            )
        quota = Quota(daily_share, "salesforce.daily_share", _used, quota_folder)
        self.gate = Gate(site, login, patience=patience, quota=quota, accept=("json", "csv"))
        self._objects = [stream for name in objects for stream in custom(name).streams]
        self._share = daily_share
        self._every = timedelta(days=formulas_days)
        self._choices = choices or Choices()
        self._ended: dict[str, _Ended] = {}

    # reading --------------------------------------------------------------------------------------------------------

    def batches(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        (stream,) = read.streams
        if stream.name == "fields":
            yield from self._field_list(stream)
            return
        snapshot = stream.write == "snapshot"
        source = self._source(stream, {} if snapshot else cursor or {})
        lost = {stream.name: source.lost | source.gone(cursor or {})}
        for batch in self._list(source) if snapshot else self._changes(source, cursor):
            yield replace(batch, lost=lost)

    def at(self, read: Read, moment: datetime) -> Cursor | None:
        (stream,) = read.streams
        return None if stream.write == "snapshot" else {"until": moment.isoformat()}

    def opened(self, stream: Stream, records: bytes) -> Batch:
        decoder = rows.Decoder(stream) if stream.name == "fields" else self._source(stream, {}).decoder
        page = decoder.page(records)
        return Batch({}, {stream.name: page.table}, page.rejects)

    def _source(self, stream: Stream, cursor: Cursor) -> Source:
        return Source.of(stream, self._sobject(stream), self._choices, cursor.get("names", {}))

    def _sobject(self, stream: Stream) -> SObject:
        try:
            return self.described(stream.source)
        except SourceError as error:
            if error.transient or not str(error).startswith(("403", "404") if stream.optional else "404"):
                raise
            if stream.optional:
                raise Unavailable(f"This org has no {stream.source}, or its user may not see it.") from None
            raise _Unseen(
                f"Salesforce shows no object {stream.source}: let the user of {self.gate.site.login} read it, or leave "
                f"{stream.name} out in the settings; trying again will not help."
            ) from None

    def _until(self) -> datetime:
        return (self.gate.clock - _MARGIN).replace(microsecond=0)

    def _changes(self, source: Source, cursor: Cursor | None) -> Iterator[Batch]:
        """What has changed since, the formulas that are due, and the count.

        The queries have no upper bound: a record that was made in time and changed while we read would be left out, and the
        count would miss it. What is too young to be sure of is read once more the next time.
        """
        known, until = cursor or {}, self._until()
        if source.shows_more(known):
            log.info("Salesforce: fields of %s have come, so everything is read once more", source.name)
            cursor = None
        kept: dict[str, Any] = {"fields": source.fields, "swept": known.get("swept", until.isoformat())}
        if gone := source.gone(known):
            kept["gone"] = sorted(gone)
        if source.names:
            kept["names"] = dict(source.names)
        if source.formulas:
            kept["formulas"] = known.get("formulas") or {"at": until.isoformat()}
        while True:
            for window, place in self._windows(cursor, until):
                for batch in self._window(source, source.changed(window.since), window, place):
                    yield replace(batch, cursor={**batch.cursor, **kept})
                cursor = window.done()
            if self._until() - until < _LONG:
                break
            until = self._until()
        done = {**window.done(), **kept}
        for batch in self._formulas(source, done):
            done = dict(batch.cursor)
            yield batch
        yield self._proof(source, done)

    def _windows(self, cursor: Cursor | None, until: datetime) -> Iterator[tuple[Window, Mapping[str, Any]]]:
        """What is left to read, each with where an earlier run stopped in it: the id, and perhaps a Bulk job."""
        stopped = cursor if cursor and "after" in cursor else {}
        for window, after in windows(cursor, until, _LOOK_BACK):
            yield replace(window, since=window.since or self._choices.since), {"after": after, "job": stopped.get("job")}
            stopped = {}

    def _window(self, source: Source, conditions: Sequence[str], window: Window, place: Mapping[str, Any]) -> Iterator[Batch]:
        """By pages in the order of ids; where there is much, the first of them, and a Bulk job for the rest."""
        after, job = place.get("after"), place.get("job")
        left = _JOBS
        while True:
            if job:
                try:
                    yield from self._by_job(source, window, after, job)
                    return
                except salesforce_bulk.JobLost as lost:
                    log.warning("Salesforce: Bulk job %s of %s %s; what it lacks is read anew", job["id"], source.name, lost)
                    job, left = None, left - 1
            began = after
            try:
                for page in self.pages(source.name, source.fields, source.moved, _after(conditions, after)):
                    table, rejects = self._decoded(source, page.records, page.response)
                    after = max((after or "", *table["id"].to_pylist())) or None
                    reached = window.done() if page.last else window.reached(after)
                    covered = window.until if page.last else None
                    yield Batch(reached, {source.stream.name: table}, rejects, covered_until=covered)
                    if page.last:
                        return
                    if page.total > LARGE and left and (job := self._job(source, conditions, after)):
                        yield Batch({**window.reached(after), "job": job})
                        break
                    left = 0  # the rest of these pages is not worth a job, or cannot be one
            except SourceError as error:
                if "INVALID_QUERY_LOCATOR" not in str(error) or after == began:
                    raise
                log.info("Salesforce: the rest of the pages of %s is gone, asking again from %s", source.name, after)

    def _by_job(self, source: Source, window: Window, after: str | None, job: salesforce_bulk.Job) -> Iterator[Batch]:
        place = window.reached(after)
        for _ in salesforce_bulk.waiting(self, job):
            yield Batch({**place, "job": job})
        kinds = {field: source.sobject.fields[field].type for field in source.fields}
        for page in salesforce_bulk.results(self, job, kinds):
            table, rejects = self._decoded(source, page.records, page.response)
            reached = {**place, "job": page.following} if page.following else window.done()
            covered = None if page.following else window.until
            yield Batch(reached, {source.stream.name: table}, rejects, covered_until=covered)

    def _job(self, source: Source, conditions: Sequence[str], after: str | None) -> salesforce_bulk.Job | None:
        # Without an order, which would keep Salesforce from reading parts of the object side by side.
        select = ",".join(source.fields)
        try:
            return salesforce_bulk.create(self, soql(select, source.name, _after(conditions, after), ordered=False))
        except salesforce_bulk.JobLost as lost:
            log.info("Salesforce: a Bulk job of %s %s; it is read by pages", source.name, lost)
            return None

    def _decoded(self, source: Source, records: Raw | bytes, response: Response) -> tuple[pa.Table, tuple[Reject, ...]]:
        try:
            page = source.decoder.page(records)
        except msgspec.DecodeError:
            raise self.surprise(response, f"no list of {source.stream.name}") from None
        return page.table, page.rejects

    def _formulas(self, source: Source, done: Cursor) -> Iterator[Batch]:
        """Records whose formulas have changed, if it is time to look: those of every block that hashes otherwise."""
        state = done.get("formulas")
        until = datetime.fromisoformat(done["until"])
        if not state or ("after" not in state and until - datetime.fromisoformat(state["at"]) < self._every):
            return
        blocks = Blocks(state.get("blocks", ()))
        name = source.stream.name
        left = _after(source.living(self._choices.since), state.get("after"))
        for narrow in self.pages(source.name, ("Id", *source.formulas), source.moved, left):
            try:
                complete = [*blocks.add(narrow.records, source.moved), *(blocks.rest() if narrow.last else ())]
            except (msgspec.DecodeError, KeyError):
                raise self.surprise(narrow.response, "no list of records") from None
            for block in complete:
                for page in self._block(source, block):
                    table, rejects = self._decoded(source, page.records, page.response)
                    yield Batch({**done, "formulas": state}, {name: table}, rejects)
            if complete:
                state = {"at": state["at"], "after": complete[-1].last, "blocks": [*blocks.known]}
                yield Batch({**done, "formulas": state})
        yield Batch({**done, "formulas": {"at": done["until"], "blocks": blocks.known}})

    def _block(self, source: Source, block: Block) -> Iterator[Page]:
        if block.changed:
            between = [filled("Id >= {}", block.first), filled("Id <= {}", block.last)]
            wanted = source.changed(self._choices.since)
            yield from self.pages(source.name, source.fields, source.moved, [*between, *wanted])

    def _list(self, source: Source) -> Iterator[Batch]:
        """A small list, always whole. If it is shorter than Salesforce counts, that is a difference, and nothing is gone."""
        name, until, ids = source.stream.name, self._until(), set[str]()
        for page in self.pages(source.name, source.fields, source.moved, ()):
            table, rejects = self._decoded(source, page.records, page.response)
            ids.update(table["id"].to_pylist())
            if not page.last:
                yield Batch({}, {name: table}, rejects)
            elif len(ids) < page.total:
                yield Batch({}, {name: table}, rejects, counted={name: Count(page.total)})
            else:
                present = {name: Present(rows.keys(source.stream, {"id": sorted(ids)}))}
                yield Batch({}, {name: table}, rejects, present, covered_until=until)

    def _field_list(self, stream: Stream) -> Iterator[Batch]:
        """The fields of all objects, as they were described to whoever read them."""
        found: list[dict[str, Any]] = []
        for known in self._streams():
            try:
                sobject = self._sobject(known)
            except SourceError as error:
                if not isinstance(error, _Unseen | Unavailable):
                    raise
                continue  # the read of the object itself says so
            found += [{**field, "object": sobject.name} for field in msgspec.json.decode(sobject.listed)]
        page = rows.Decoder(stream, without=self._choices.without.get(stream.name, ())).page(msgspec.json.encode(found))
        present = Present(page.table.select(stream.key))
        yield Batch({}, {stream.name: page.table}, page.rejects, {stream.name: present}, covered_until=self._until())

    def _streams(self) -> list[Stream]:
        """All streams that are records of an object."""
        return [*(stream for stream in STREAMS.values() if stream.source), *self._objects]

    # proof ----------------------------------------------------------------------------------------------------------

    def _proof(self, source: Source, done: Cursor, *, swept: bool = False) -> Batch:
        """How many living records there are. Once a week, and where an earlier run could not mend a difference, which."""
        name, until = source.stream.name, datetime.fromisoformat(done["until"])
        last = done["swept"]
        due = not swept and (last is None or until - datetime.fromisoformat(last) >= _SWEEP)
        counted = None if due else self._counted(source, until)
        if counted is not None:
            self._ended[name] = _Ended(done, until, counted)
            count = Count(counted, "created_date", until, since=source.kept_since(until))
            return Batch(done, counted={name: count}, covered_until=until)
        keys = self._ids(source, until)
        done = {**done, "swept": done["until"]}
        self._ended[name] = _Ended(done, until, len(keys))
        return Batch(done, present=_present(source, keys, until), covered_until=until)

    def _counted(self, source: Source, until: datetime) -> int | None:
        """None where Salesforce cannot count so many in the time that it gives itself."""
        try:
            return self.count(source.name, source.living(self._choices.since, source.kept_since(until), until))
        except SourceError as error:
            if "QUERY_TIMEOUT" not in str(error):
                raise
            log.info("Salesforce: %s are too many to be counted, so their ids are listed", source.name)
            return None

    def _ids(self, source: Source, until: datetime) -> pa.Table:
        """The ids of all that live, also of those that are younger than `until`: what changed lately was read as well."""
        narrow = replace(source, fields=("Id",))
        wanted = source.living(self._choices.since, source.kept_since(until))
        pages = self._window(narrow, wanted, Window(None, until), {})
        tables = [batch.rows[source.stream.name] for batch in pages if batch.rows]
        return pa.concat_tables(table.select(source.stream.key) for table in tables)

    def again(self, read: Read, cursor: Cursor | None, missing: Mapping[str, pa.Table]) -> Iterator[Batch]:
        """Asks for what the table lacks by id. Where only the numbers differ: for everything or, of a large object, for
        the ids alone, which tell what is gone and what is missing; the latter is then asked for."""
        (stream,) = read.streams
        ended = self._ended.get(stream.name)
        if ended is None or stream.write == "snapshot":
            yield from self.batches(read, cursor)
            return
        source = self._source(stream, ended.cursor)
        lacking = missing[stream.name]["id"].to_pylist() if stream.name in missing else []
        if lacking and len(lacking) <= max(_IDS, ended.records // 20):  # beyond that, pages cost fewer requests
            yield from self._named(source, lacking, ended)
        elif lacking or ended.records <= LARGE or source.kept_since(ended.until):  # of a part, ids do not tell what is missing
            yield from self._everything(source, ended)
        else:
            present = _present(source, self._ids(source, ended.until), ended.until)
            yield Batch({**ended.cursor, "swept": None}, present=present, covered_until=ended.until)

    def _named(self, source: Source, ids: Sequence[str], ended: _Ended) -> Iterator[Batch]:
        for start in range(0, len(ids), _IDS):
            these = [filled("Id IN {}", ids[start : start + _IDS])]
            for page in self.pages(source.name, source.fields, source.moved, these):
                table, rejects = self._decoded(source, page.records, page.response)
                yield Batch(ended.cursor, {source.stream.name: table}, rejects)
        yield self._proof(source, ended.cursor, swept=True)

    def _everything(self, source: Source, ended: _Ended) -> Iterator[Batch]:
        name, ids = source.stream.name, []
        since = max(filter(None, (self._choices.since, source.kept_since(ended.until))), default=None)
        for batch in self._window(source, source.changed(since), Window(since, ended.until), {}):
            table = batch.rows.get(name)
            if table is not None:
                ids.append(table.filter(pc.is_null(table["_deleted_at"])).select(source.stream.key))
            yield Batch(ended.cursor, batch.rows, batch.rejects)
        yield Batch(ended.cursor, present=_present(source, pa.concat_tables(ids), ended.until), covered_until=ended.until)

    # before reading -------------------------------------------------------------------------------------------------

    def check(self) -> Iterator[Finding]:
        login = self.tried("login", self._login)
        yield login
        for stream in (*STREAMS.values(), *self._objects) if login.ok else ():
            yield self.tried(stream.name, partial(self._readable, stream))

    def _login(self) -> str:
        limits = self._limits()
        day, jobs = (limits.get(name, {}) for name in ("DailyApiRequests", "DailyBulkV2QueryJobs"))
        return (
            f"works, {day.get('Remaining')} of {day.get('Max')} requests of the day left, of which {1 - self._share:.0%} are "
            f"left to others, and {jobs.get('Remaining')} of {jobs.get('Max')} Bulk jobs{self._blind_spot()}"
        )

    def _limits(self) -> dict[str, Any]:
        return self.decoded(self.get("limits"), dict[str, Any])

    def _blind_spot(self) -> str:
        """Sharing rules hide records without a word, and no count that this user asks for can tell."""
        try:
            response = self.get("query", {"q": "SELECT PermissionsViewAllData FROM UserPermissionAccess"})
            (found,) = msgspec.json.decode(response.content, type=dict[str, Any])["records"]
        except (SourceError, ValueError, KeyError):
            return ""  # some editions do not say
        if found.get("PermissionsViewAllData"):
            return ""
        return (
            f". The user of {self.gate.site.login} lacks the permission View All Data: unless it may view all records of each "
            "object, those that nobody shares with it are missing without a word"
        )

    def _readable(self, stream: Stream) -> str:
        if stream.name == "fields":
            return "can be read, by the descriptions of the other objects"
        try:
            sobject = self._sobject(stream)
        except Unavailable as error:
            return str(error)
        found = filled_by(stream, sobject, self._choices, {})
        hidden = sorted({field for column, field in wanted(stream, self._choices) if column not in found})
        return "can be read" + (f", except {', '.join(hidden)}: hidden from this user, or not there" if hidden else "")

    def estimate(self, reads: tuple[Read, ...]) -> Iterator[Estimate]:
        day = self._limits().get("DailyApiRequests", {}).get("Max")
        for read in reads:
            (stream,) = read.streams
            found = Estimate(read.name, 0, len(self._streams()), len(self._streams()) * _PAGE_SECONDS)
            if stream.source:
                found = self._estimated(read.name, stream)
            yield replace(found, share=found.requests / day if day else None)

    def _estimated(self, name: str, stream: Stream) -> Estimate:
        listed = stream.write == "snapshot"
        since = None if listed else self._choices.since
        try:
            records = self.count(stream.source, [filled(f"{stamp_of(stream)} >= {{}}", since)] if since else [])
        except SourceError as error:
            if error.transient or not stream.optional:
                raise
            return Estimate(name, 0, 1, _PAGE_SECONDS, note=f"this org has no {stream.source}")
        asked = 1 if listed else 2  # a description and, of all that can change, a count
        if records <= LARGE or listed:
            requests = asked + max(1, -(-records // PAGE))
            return Estimate(name, records, requests, requests * _PAGE_SECONDS)
        results = -(-(records - PAGE) // salesforce_bulk.PAGE)
        seconds = _JOB_SECONDS + (asked + 1 + results) * _PAGE_SECONDS
        return Estimate(
            name, records, asked + 2 + _JOB_LOOKS + results, seconds, note="by a Bulk job, if Salesforce has one free"
        )


def _used(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Sforce-Limit-Info: api-usage=18/5000; per-app-api-usage=17/250(appName=some-app)"""
    found = re.search(r"(?<![\w-])api-usage=(\d+)/(\d+)", headers.get("Sforce-Limit-Info", ""))
    return (int(found[1]), int(found[2])) if found else None


def _present(source: Source, keys: pa.Table, until: datetime) -> Mapping[str, Present]:
    kept = source.kept_since(until)
    return {source.stream.name: Present(keys, span=Span("created_date", kept, None) if kept else None)}


def _after(conditions: Sequence[str], record_id: str | None) -> list[str]:
    return [*conditions, *([filled("Id > {}", record_id)] if record_id else [])]
