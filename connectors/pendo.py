"""How Pendo is read: snapshots of who and what there is, and events by the day, through its aggregation endpoint.

Here belong Pendo's addresses and pipelines. Not here: its columns, which are data, which days have to be read anew
(`pendo_days`), how a record becomes a row (`pendo_rows`), or any HTTP.

Requests, in every run: one for features, for pages, and for guides with their polls; two for metadata; for accounts and
for visitors one for each 100,000 records, one for what is left and one for the count. For each kind of events one that asks
how many there are on each day, and one for every 30 days (or 100,000 rows) that are read: in a usual night the last two or
three days.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, partial
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
from msgspec import Raw
from requests import Response, Session

from connectors import rows
from connectors.auth import Key, secret
from connectors.base import Batch, Choices, Count, Cursor, Estimate, Finding, Present, Read, SourceError, Span, Stream
from connectors.columns import streams
from connectors.http import Gate, HttpConnector, Patience, Site
from connectors.pendo_days import EAST, LONGEST, Days, Stretch
from connectors.pendo_rows import decoder, placed_by, told_apart
from connectors.verdicts import VERDICTS, Verdict

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST = 100_000  # rows of one reply: 50 MB or so. Pendo would give up to 4 GB
_TOO_LARGE = "Pendo does not give so much at once"
_TOO_MUCH = Verdict(False, _TOO_LARGE)
_TOO_LONG = Verdict(True, _TOO_LARGE, at_once=False)
_VERDICTS: Mapping[int | str, Verdict] = {
    **VERDICTS,
    403: Verdict(False, "the key is refused, or may not read this. Set {login} to a key that is valid and may"),
}
# An aggregation that failed for its size is not sent again as it is, but smaller.
_HEAVY: Mapping[int | str, Verdict] = {
    **_VERDICTS,
    408: _TOO_LONG,
    504: _TOO_LONG,
    "slow": _TOO_LONG,
    413: _TOO_MUCH,
    "too large": _TOO_MUCH,
}
_STREAMS = streams("pendo")
_LISTS = ("features", "pages", "guides")
_EVENTS = tuple(name for name, stream in _STREAMS.items() if stream.write == "replace_window")
_ALL_APPS = {"appId": 'expandAppIds("*")'}  # unasked, Pendo shows the first application only
_DAY = 86_400_000  # milliseconds
_ROUNDS = 3  # in which a list may not add up, or the least there is to ask for take too long
_REPLY_SECONDS = 2.0  # what an aggregation takes, more or less; Pendo states no limit that would matter


@dataclass(frozen=True)
class _Portion:
    """How much is asked for at a time: rows, days of events, days of sums."""

    rows: int
    days: int
    summed: int = 10_000


class _Reply(msgspec.Struct):
    results: Raw = Raw(b"null")


class _Number(msgspec.Struct):
    count: int


class _Sum(msgspec.Struct):
    day: float
    rows: int
    uses: float = 0


class _Guide(msgspec.Struct):
    id: Raw = Raw(b"null")
    polls: list[dict[str, Raw]] | None = None


class Pendo(HttpConnector):
    """One Pendo subscription, asked with an integration key. `anonymous`: whether to read visitors whom the application
    does not name, and what they do. `first_days`: how far back a first read of events goes, unless a date is chosen."""

    tool = "pendo"
    reads = tuple(
        Read(name, (stream, _STREAMS["polls"]) if name == "guides" else (stream,))
        for name, stream in _STREAMS.items()
        if name != "polls"
    )

    def __init__(
        self,
        url: str,
        integration_key: str,
        *,
        choices: Choices | None = None,
        anonymous: bool = False,
        first_days: int = 90,
        patience: Patience | None = None,
    ) -> None:
        site = Site("Pendo", url, "PENDO_URL", "PENDO_INTEGRATION_KEY")
        login = Key("x-pendo-integration-key", secret("PENDO_INTEGRATION_KEY", integration_key))
        self.gate = Gate(site, login, patience=patience, verdicts=_VERDICTS)
        self._heavy = Gate(site, login, patience=patience, verdicts=_HEAVY)
        self._choices = choices or Choices()
        self._anonymous = anonymous
        self._first_days = first_days
        self._portion = _Portion(MOST, LONGEST)
        self._stalled = 0  # times in a row that the least there is to ask for took too long
        self._decoders = {name: decoder(stream, self._choices) for name, stream in _STREAMS.items()}

    @property
    def requests(self) -> int:
        return self.gate.requests + self._heavy.requests

    def stop_at(self, deadline: float) -> None:
        super().stop_at(deadline)
        self._heavy.deadline = deadline

    def batches(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        if read.name in _EVENTS:
            return self._events(read.streams[0], cursor)
        if read.name == "metadata":
            return self._metadata()
        if read.name in _LISTS:
            return self._list(read)
        return self._people(read.streams[0])

    def at(self, read: Read, moment: datetime) -> Cursor | None:  # noqa: ARG002
        """Events as well: what had been known of the days before would be forgotten, and what changes in them not be seen."""
        return None

    def opened(self, stream: Stream, records: bytes) -> Batch:
        page = self._decoders[stream.name].page(records)
        table = told_apart(page.table) if stream.name in _EVENTS else page.table
        return Batch({}, {stream.name: table}, page.rejects)

    def check(self) -> Iterator[Finding]:
        """The key once, then what each of three permissions lets it read."""
        login = self.tried("login", partial(self._readable, "/api/v1/metadata/schema/account", "works"))
        yield login
        if login.ok:
            yield Finding("metadata", True, "can be read")
            aggregated = self.tried("aggregation", self._aggregates)
            for name in ("accounts", "visitors", *_EVENTS):
                yield replace(aggregated, subject=name)
            for name in _LISTS:
                yield self.tried(name, partial(self._readable, f"/api/v1/{_STREAMS[name].source}", "can be read"))

    def estimate(self, reads: tuple[Read, ...]) -> Iterator[Estimate]:
        for read in reads:
            if read.name in _EVENTS:
                days = self._days(read.streams[0], None)
                records, requests = days.total, 1 + sum(1 for stretch in days.stretches(MOST, LONGEST) if stretch.rows)
            elif read.name == "metadata":
                records, requests = 0, 2
            else:
                scope = None if read.name in ("accounts", "visitors") else _ALL_APPS
                records = self._counted(read.name, scope)
                requests = 1 if read.name in _LISTS else records // MOST + 2
            yield Estimate(read.name, records, requests, requests * _REPLY_SECONDS)

    # asking ---------------------------------------------------------------------------------------------------------

    @cached_property
    def _sessions(self) -> tuple[Session, Session]:
        return self.gate.session(), self._heavy.session()

    def _get(self, path: str) -> Response:
        return self._sessions[0].get(self.gate.site.url + path)

    def _aggregated(self, source: Mapping[str, Any], *steps: Mapping[str, Any]) -> Response:
        body = {"response": {"mimeType": "application/json"}, "request": {"pipeline": [{"source": source}, *steps]}}
        response = self._sessions[1].post(f"{self.gate.site.url}/api/v1/aggregation", json=body)
        self._stalled = 0
        return response

    def _known(self, who: str) -> tuple[Mapping[str, Any], ...]:
        """The step that leaves the anonymous out, who can be many times as many."""
        return () if self._anonymous else ({"identified": who},)

    def _counted(self, source: str, scope: Mapping[str, Any] | None) -> int:
        who = {"accounts": "accountId", "visitors": "visitorId"}.get(source)
        steps = (*(self._known(who) if who else ()), {"count": None})
        while True:
            try:
                response = self._aggregated({source: scope}, *steps)
                return sum(each.count for each in self._results(response, _Number))
            except SourceError as error:
                self._less("rows", 1, error)

    def _results(self, response: Response, shape: type[T]) -> list[T]:
        try:
            return msgspec.json.decode(self.decoded(response, _Reply).results, type=list[shape] | None) or []  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise self.surprise(response, str(error)) from None

    def _page(self, name: str, records: bytes | Raw, response: Response) -> rows.Page:
        """Nothing is null rather than an empty list, sometimes."""
        nothing = len(memoryview(records)) == 4 and bytes(records) == b"null"
        try:
            page = self._decoders[name].page(b"[]" if nothing else records)
        except msgspec.DecodeError:
            raise self.surprise(response, f"no list of {name}") from None
        return replace(page, table=told_apart(page.table)) if name in _EVENTS else page

    def _pages(self, name: str, source: Mapping[str, Any], who: str, *steps: Mapping[str, Any]) -> Iterator[rows.Page]:
        """All rows of a pipeline, by rising id, so many at a time. The last id of a full reply, which may have more rows
        than were given, comes again with the next."""
        after, most = None, self._portion.rows
        while True:
            further = () if after is None else ({"filter": f"{who} > {_quoted(after)}"},)
            response = self._aggregated(source, *steps, *further, {"sort": [who]}, {"limit": most})
            results = self._results(response, Raw)
            ids = [_id(record, who) for record in results]
            last = max(ids, default="")
            if len(results) < most:
                yield self._page(name, _joined(results), response)
                return
            whole = [record for record, each in zip(results, ids, strict=True) if each < last]
            if not whole:
                raise self.surprise(response, f"more than {most} rows for one {who}")
            before, after = after, max(each for each in ids if each < last)
            if before is not None and after <= before:
                raise self.surprise(response, f"{who} does not rise")
            yield self._page(name, _joined(whole), response)

    def _within_bounds(self, name: str, source: Mapping[str, Any], who: str) -> Iterator[rows.Page]:
        """Half as many rows at a time, from the beginning, whenever Pendo says that it were too many."""
        while True:
            try:
                yield from self._pages(name, source, who, *self._known(who))
                return
            except SourceError as error:
                self._less("rows", self._portion.rows, error)

    def _less(self, of: str, than: int, error: SourceError) -> None:
        """From now on half as many rows or days at a time as were just asked for, if that is what Pendo wants. What cannot
        be less was but slow, and may be asked for again a few times."""
        if _TOO_LARGE not in str(error):
            raise error
        if than < 2:
            self._stalled += 1
            if self._stalled == _ROUNDS:
                raise error
            return
        self._portion = replace(self._portion, **{of: than // 2})
        log.info("Pendo: %s; asking for %d %s at a time from now on", _TOO_LARGE, than // 2, of)

    # snapshots ------------------------------------------------------------------------------------------------------

    def _people(self, stream: Stream) -> Iterator[Batch]:
        """Accounts or visitors, all of them. What comes twice, since a reply was too large, is the same. That Pendo gave as
        many as it counted before is seen before any of the others is taken for gone; some may have come meanwhile."""
        (key,) = stream.key
        who = next(column.source for column in stream.columns if column.name == key)
        for _ in range(_ROUNDS):
            number, seen, ids = self._counted(stream.source, None), set[str](), list[pa.ChunkedArray]()
            for page in self._within_bounds(stream.name, {stream.source: None}, who):
                seen.update(page.table[key].to_pylist(), (each.original for each in page.rejects if each.record_id is None))
                ids += page.table[key].chunks
                yield Batch({}, {stream.name: page.table}, page.rejects)
            if number <= len(seen):
                present = {stream.name: Present(rows.keys(stream, {key: pa.chunked_array(ids, pa.string())}))}
                yield Batch({}, present=present, covered_until=self._heavy.clock)
                return
        raise SourceError(f"Pendo counts {number} {stream.name} and gives {len(seen)}; trying again can help.", transient=True)

    def _list(self, read: Read) -> Iterator[Batch]:
        response = self._get(f"/api/v1/{read.streams[0].source}?expand=*")
        content = {stream.name: response.content for stream in read.streams}
        if "polls" in content:
            content["polls"] = self._polls(response)
        yield self._snapshot(read, {name: self._page(name, each, response) for name, each in content.items()})

    def _polls(self, response: Response) -> bytes:
        """The questions of all guides, each with the guide's id."""
        guides = self.decoded(response, list[_Guide])
        return msgspec.json.encode([{"guideId": guide.id, **poll} for guide in guides for poll in guide.polls or ()])

    def _metadata(self) -> Iterator[Batch]:
        fields: list[dict[str, Any]] = []
        for kind in ("visitor", "account"):
            response = self._get(f"/api/v1/metadata/schema/{kind}")
            for group, names in self.decoded(response, dict[str, dict[str, dict[str, Any]]]).items():
                for name, about in names.items():
                    said = {key[:1].lower() + key[1:]: value for key, value in about.items()}
                    fields.append({**said, "kind": kind, "group": group, "name": name})
        stream = _STREAMS["metadata"]
        page = self._page("metadata", msgspec.json.encode(fields), response)
        yield self._snapshot(Read("metadata", (stream,)), {"metadata": page})

    def _snapshot(self, read: Read, pages: Mapping[str, rows.Page]) -> Batch:
        present = {
            stream.name: Present(rows.keys(stream, {name: pages[stream.name].table[name] for name in stream.key}))
            for stream in read.streams
        }
        rejects = tuple(reject for page in pages.values() for reject in page.rejects)
        return Batch({}, {n: p.table for n, p in pages.items()}, rejects, present, covered_until=self.gate.clock)

    # events ---------------------------------------------------------------------------------------------------------

    def _events(self, stream: Stream, cursor: Cursor | None) -> Iterator[Batch]:
        """The days that may still change, and those that are not any more what they were: somebody tagged a feature, who
        then has a history, or had a visitor forgotten."""
        days = self._days(stream, cursor)
        until = self._heavy.clock
        while stretch := next(days.stretches(self._portion.rows, self._portion.days), None):
            yield from self._stretch(stream, days, stretch)
        counted = Count(days.settled_rows, placed_by(stream), _edge(stream, days.open_from), _edge(stream, days.first))
        yield Batch(days.done(), counted={stream.name: counted}, covered_until=until)

    def _days(self, stream: Stream, cursor: Cursor | None) -> Days:
        """What Pendo has on each day, beside what was read of it."""
        days, since = Days.of(cursor), self._choices.since
        there = self._sums(stream, days.first if days else since.date() if since else None)
        if not days or not days.read:
            wanted = since.date() if since else self._first_day()
            if days and wanted < days.first:  # it was a later day that was chosen before
                there |= self._sums(stream, wanted)
            days = Days(min(wanted, days.first) if days else wanted)
        return days.beside(there, self._heavy.clock, late_by=timedelta(hours=8 if _is_single(stream) else 18))

    def _first_day(self) -> date:
        return (self._heavy.clock - timedelta(days=self._first_days)).date()

    def _sums(self, stream: Stream, first: date | None) -> dict[date, tuple[int, int]]:
        """For each day how many rows, and how many uses in them; in one request, or as many as Pendo wants it to be."""
        there: dict[date, tuple[int, int]] = {}
        if first is None:  # by Pendo's own clock, which nobody knows before its first reply
            try:  # a day more, since the first may be cut
                return self._summed(stream, f"now() - {self._first_days + 1} * {_DAY}", self._first_days + 3)
            except SourceError as error:
                self._less("summed", self._first_days, error)
                first = self._first_day()
        left = Days.asked(first, self._heavy.clock)
        while left > 0:
            number = min(left, self._portion.summed)
            try:
                there |= self._summed(stream, _start(stream, first), number)
            except SourceError as error:
                self._less("summed", number, error)
            else:
                first += timedelta(days=number)
            left = min(left, (self._heavy.clock.date() - first).days + 3)
        return there

    def _summed(self, stream: Stream, first: int | str, days: int) -> dict[date, tuple[int, int]]:
        single = ({"eval": {"day": f"browserTime - browserTime % {_DAY}"}},) if _is_single(stream) else ()
        figures = {"rows": {"count": None}, **({} if single else {"uses": {"sum": "numEvents"}})}
        source = {stream.source: _ALL_APPS, "timeSeries": _series(stream, first, days)}
        group = {"group": {"group": ["day"], "fields": figures}}
        response = self._aggregated(source, *self._known("visitorId"), *single, group)
        return {_day(each.day): (each.rows, int(each.uses)) for each in self._results(response, _Sum)}

    def _stretch(self, stream: Stream, days: Days, stretch: Stretch) -> Iterator[Batch]:
        """Some days in a row, which replace what was known of them."""
        figures: dict[str, tuple[date, int]] = {}
        try:
            for page in self._pages_of(stream, stretch):
                figures |= _figures(stream, page.table)
                yield Batch(days.cursor(), {stream.name: page.table}, page.rejects)
        except SourceError as error:
            of, than = ("days", stretch.days) if stretch.days > 1 else ("rows", min(stretch.rows, self._portion.rows))
            self._less(of, than, error)
            return  # what has come is right, and comes again
        found: dict[date, tuple[int, int]] = {}
        for day, uses in figures.values():
            number, total = found.get(day, (0, 0))
            found[day] = number + 1, total + uses
        days.settle(stretch, found)
        span = Span(placed_by(stream), _edge(stream, stretch.first), _edge(stream, stretch.end))
        present = {stream.name: Present(rows.keys(stream, {"id": list(figures)}), span=span)}
        yield Batch(days.cursor(), present=present)

    def _pages_of(self, stream: Stream, stretch: Stretch) -> Iterator[rows.Page]:
        if not stretch.rows:
            return
        source = {stream.source: _ALL_APPS, "timeSeries": _series(stream, _start(stream, stretch.first), stretch.days)}
        if stretch.rows > self._portion.rows:  # of one day
            yield from self._pages(stream.name, source, "visitorId", *self._known("visitorId"))
            return
        response = self._aggregated(source, *self._known("visitorId"))
        yield self._page(stream.name, self.decoded(response, _Reply).results, response)

    def _readable(self, path: str, praise: str) -> str:
        self._get(path)
        return praise

    def _aggregates(self) -> str:
        self._counted("accounts", None)
        return "can be read"


def _is_single(stream: Stream) -> bool:
    """Whether each event is a row; the others are added up by day."""
    return placed_by(stream) == "browser_time"


def _edge(stream: Stream, day: date) -> date | datetime:
    """Where a day begins, in the column that places the stream's rows."""
    return datetime.combine(day, time(), UTC) if _is_single(stream) else day


def _series(stream: Stream, first: int | str, days: int) -> dict[str, Any]:
    """Single events are asked for by the hour, so that days can be UTC's. The others Pendo adds up itself, by days of
    the subscription's time zone."""
    if _is_single(stream):
        return {"period": "hourRange", "first": first, "count": 24 * days}
    return {"period": "dayRange", "first": first, "count": days}


def _start(stream: Stream, day: date) -> int:
    """A moment of the day. Pendo does not tell the subscription's time zone; half past ten in UTC is on the same date
    in all those that there can be, from Hawaii's to New Zealand's."""
    at = time() if _is_single(stream) else time(10, 30)
    return int(datetime.combine(day, at, UTC).timestamp()) * 1000


def _day(start: float) -> date:
    """The date of a day that begins at this moment, whatever the zone it is cut in."""
    return (datetime.fromtimestamp(start / 1000, UTC) + EAST).date()


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _joined(records: list[Raw]) -> bytes:
    return b"[" + b",".join(records) + b"]"


def _id(record: Raw, who: str) -> str:
    try:
        return str(msgspec.json.decode(msgspec.json.decode(record, type=dict[str, Raw])[who]) or "")
    except (msgspec.ValidationError, KeyError):
        return ""


def _figures(stream: Stream, table: pa.Table) -> dict[str, tuple[date, int]]:
    """By id, since a row may come twice: its day, and how often something was used."""
    days = table[placed_by(stream)].cast(pa.date32()).to_pylist()
    uses = [0] * len(table) if _is_single(stream) else [each or 0 for each in table["num_events"].to_pylist()]
    return dict(zip(table["id"].to_pylist(), zip(days, uses, strict=True), strict=True))
