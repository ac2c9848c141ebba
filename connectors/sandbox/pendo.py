"""Stands in for the Pendo API: the aggregation endpoint, lists of features, pages and guides, the metadata's schema.

Here belong Pendo's paths, sources, periods and errors. Not here: the language of pipelines, how records change, or what
visitors do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request

from connectors.sandbox import aggregation, pendo_app, visits
from connectors.sandbox.pendo_app import WEB, millis, moment
from connectors.sandbox.server import Paths, RateLimit, RefusedError, Reply, Server
from connectors.sandbox.world import Record, World

INTEGRATION_KEY = "5e1f7c2a-sandbox-pendo-key.us"
_API = "/api/v1"
_EVENTS = ("featureEvents", "pageEvents", "trackEvents", "guideEvents", "pollEvents")
_SINGLE = ("guideEvents", "pollEvents")  # each event a row; the others are added up by day or hour
_TAGGED = {"features": "pendo_feature", "pages": "pendo_page", "guides": "guide"}
_ALL_APPS = 'expandAppIds("*")'
_AUTO = {
    "visitor": {
        "accountid": "string", "accountids": "list", "firstvisit": "time", "id": "string", "lastbrowsername": "string",
        "lastbrowserversion": "string", "lastoperatingsystem": "string", "lastservername": "string", "lastupdated": "time",
        "lastvisit": "time",
    },
    "account": {"firstvisit": "time", "id": "string", "lastupdated": "time", "lastvisit": "time"},
}  # fmt: skip
_AGENT = {"visitor": ("email", "full_name", "language", "role"), "account": ("name",)}


def failure(status: int, message: str) -> RefusedError:
    return RefusedError(status, {"message": message})


class Pendo(Server):
    forbidden: frozenset[str] = frozenset()  # paths that the key's permissions do not allow
    largest: int | None = None  # rows of a reply; more are refused. The vendor refuses by bytes and by minutes

    def __init__(self, world: World) -> None:
        self.requests = RateLimit(None)
        super().__init__(world)

    def paths(self) -> Paths:
        return (
            ("POST", f"{_API}/aggregation", self.aggregation),
            ("GET", f"{_API}/feature", lambda request: self.tagged(request, "pendo_feature")),
            ("GET", f"{_API}/page", lambda request: self.tagged(request, "pendo_page")),
            ("GET", f"{_API}/guide", lambda request: self.tagged(request, "guide")),
            ("GET", f"{_API}/metadata/schema/visitor", lambda _: self.schema("visitor")),
            ("GET", f"{_API}/metadata/schema/account", lambda _: self.schema("account")),
        )

    def error(self, status: int) -> Any:
        words = {
            400: "the request cannot be read",
            403: "invalid or insufficient integration key",
            404: "not found",
            413: "the response is larger than 4 GB",
            429: "too many requests",
        }
        return {"message": words.get(status, "internal error")}

    def authenticate(self, request: Request) -> None:
        if request.headers.get("x-pendo-integration-key") != INTEGRATION_KEY:
            raise RefusedError(403, self.error(403))

    def meter(self, request: Request, /) -> Mapping[str, str]:
        if request.url.path in self.forbidden:
            raise RefusedError(403, self.error(403))
        if wait := self.requests.wait():
            raise RefusedError(429, self.error(429), {"Retry-After": str(int(wait) + 1)})
        return {}

    # lists ----------------------------------------------------------------------------------------------------------

    def tagged(self, request: Request, kind: str) -> Reply:
        """Of the first application only, unless all are asked for."""
        everything = request.query_params.get("expand") == "*"
        return Reply([_shown(record) for record in self.world.alive(kind) if everything or record["appId"] == WEB])

    def schema(self, kind: str) -> Reply:
        """Custom fields stay known when nobody has a value for them any more."""
        store = self.world.store({"visitor": "visitor", "account": "pendo_account"}[kind])
        custom = sorted({name for record in store.values() for name in record["metadata"]["custom"]})
        groups = {
            "auto": _AUTO[kind],
            "agent": dict.fromkeys(_AGENT[kind], "string"),
            "custom": dict.fromkeys(custom, "string"),
        }
        return Reply(
            {group: {name: _field(name, kind) for name, kind in fields.items()} for group, fields in groups.items() if fields}
        )

    # aggregation ----------------------------------------------------------------------------------------------------

    def aggregation(self, request: Request) -> Reply:
        now = millis(self.world.now)
        try:
            source, *steps = request.state.body["request"]["pipeline"]
            rows = aggregation.run(self._source(source["source"], now), steps, now)
        except aggregation.MalformedError as malformed:
            raise failure(400, str(malformed)) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise failure(400, "the pipeline must begin with a source, in a request") from None
        if self.largest is not None and len(rows) > self.largest:
            raise RefusedError(413, self.error(413))
        return Reply({"results": rows, "startTime": now})

    def _source(self, source: Record, now: int) -> Iterator[Record]:
        names = [name for name in source if name != "timeSeries"]
        if len(names) != 1:
            raise aggregation.MalformedError("exactly one source is needed")
        (name,) = names
        everything = (source[name] or {}).get("appId") == _ALL_APPS
        if name in ("visitors", "accounts"):
            return self._visitors() if name == "visitors" else self._accounts()
        if name in _TAGGED:
            found = self.world.alive(_TAGGED[name])
            return (_shown(record) for record in found if everything or record["appId"] == WEB)
        if name not in _EVENTS:
            raise aggregation.MalformedError(f"unknown source: {name}")
        if "timeSeries" not in source:
            raise aggregation.MalformedError("no period specified for time series source")
        periods = _periods(source["timeSeries"], now)
        rows = self._single(name, periods) if name in _SINGLE else self._added_up(name, periods)
        return (row for row in rows if everything or row["appId"] == WEB)

    def _visitors(self) -> Iterator[Record]:
        seen, _ = visits.last_seen(self.world)
        for visitor in self.world.alive("visitor"):
            yield self._person(visitor, seen.get(visitor["visitorId"]))

    def _accounts(self) -> Iterator[Record]:
        _, seen = visits.last_seen(self.world)
        for account in self.world.alive("pendo_account"):
            yield self._person(account, seen.get(account["accountId"]))

    def _person(self, record: Record, seen: datetime | None) -> Record:
        """`lastupdated` moves every night, whether anything changed or not."""
        auto = record["metadata"]["auto"]
        midnight = millis(datetime.combine(self.world.now.date(), time(), UTC))
        stamps = {"lastvisit": millis(seen) if seen else auto["firstvisit"], "lastupdated": max(midnight, auto["firstvisit"])}
        return {**_shown(record), "metadata": {**record["metadata"], "auto": {**auto, **stamps}}}

    def _single(self, source: str, periods: list[tuple[datetime, datetime]]) -> Iterator[Record]:
        if periods:
            for deed in visits.deeds(self.world, source, periods[0][0], periods[-1][1]):
                yield {**deed.fields, "browserTime": millis(deed.at)}

    def _added_up(self, source: str, periods: list[tuple[datetime, datetime]]) -> Iterator[Record]:
        """One row for each period and everything that tells one use from another."""
        sums: dict[tuple[int, bytes], Record] = {}
        place = 0
        found = visits.deeds(self.world, source, periods[0][0], periods[-1][1]) if periods else ()
        for deed in sorted(found, key=lambda deed: deed.at):
            while deed.at >= periods[place][1]:
                place += 1
            start = millis(periods[place][0])
            key = (start, msgspec.json.encode(deed.fields, order="deterministic"))
            unit = "hour" if periods[place][1] - periods[place][0] == timedelta(hours=1) else "day"
            row = sums.setdefault(key, {**deed.fields, unit: start, "numEvents": 0, "numMinutes": 0})
            row["numEvents"] += deed.clicks
            row["numMinutes"] += 1
        yield from sums.values()


def _shown(record: Record) -> Record:
    return {key: value for key, value in record.items() if key[0] != "_"}


def _field(name: str, kind: str) -> Record:
    """As a metadata's schema describes a field."""
    flags = {"Dirty": False, "isHidden": False, "isDeleted": False, "isCalculated": False, "isPerApp": False}
    element = {"ElementType": "string" if kind == "list" else "", "ElementFormat": ""}
    return {"Type": kind, "DisplayName": name.replace("_", " ").capitalize(), **element, **flags, "neverIndex": False}


def _periods(series: Record, now: int) -> list[tuple[datetime, datetime]]:
    """Days of the subscription's time zone, or hours, from the one that holds `first`; before it if count is negative."""
    zone = ZoneInfo(pendo_app.ZONE)
    first = moment(int(aggregation.value(series["first"], now))).astimezone(zone)
    number = int(series["count"])
    if series["period"] == "hourRange":
        hour = first.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        starts = [hour + timedelta(hours=each) for each in range(min(0, number), max(0, number) + 1)]
    elif series["period"] == "dayRange":
        days = [first.date() + timedelta(days=each) for each in range(min(0, number), max(0, number) + 1)]
        starts = [datetime.combine(day, time(), zone).astimezone(UTC) for day in days]
    else:
        raise aggregation.MalformedError(f"unknown period: {series['period']}")
    return list(pairwise(starts))
