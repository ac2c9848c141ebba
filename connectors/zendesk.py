"""Zendesk: which reads there are, what a permission or a first read costs, and what was put aside opened again.

Here belongs what is true of all streams together. Not here: how each is read (`zendesk_exports`, `zendesk_history`,
`zendesk_lists`), how Zendesk is asked (`zendesk_asking`), or the columns, which are data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from math import ceil
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from requests import Response

from connectors import rows
from connectors.base import Batch, Cursor, Estimate, Finding, Read, SourceError, Stream, Unavailable
from connectors.zendesk_asking import STREAMS, TOKENS_END, UNSETTLED, epoch, limits_of
from connectors.zendesk_exports import LOOK_BACK
from connectors.zendesk_history import History
from connectors.zendesk_lists import Counted, Links, Lists

if TYPE_CHECKING:
    from zenpy import Zenpy

_TOGETHER = {"ticket_metrics": "tickets", "comments": "ticket_events", "holidays": "schedules"}
_EXPORTED = ("tickets", "ticket_events", "ticket_metric_events", "users", "organizations")
_FOUND = ("tickets", "users", "organizations")  # exports that search counts
_COUNTED = ("satisfaction_ratings", "tags", "groups", "ticket_fields")  # lists that Zendesk counts
# What Zendesk does not count, by experience: records for each ticket or user.
_SUPPOSED = {"ticket_events": (8, "tickets"), "ticket_metric_events": (20, "tickets"), "organization_memberships": (1, "users")}
_OF_A_PAGE = {"jira_links": 1000, "articles": 1000}  # records, where it is no hundred
_EXPORTS_A_MINUTE, _REQUESTS_A_MINUTE = 10, 200  # where no reply has said so yet


def _reads() -> tuple[Read, ...]:
    """One of each stream, or of those that the same replies bring."""
    found: dict[str, list[Stream]] = {}
    for name, stream in STREAMS.items():
        found.setdefault(_TOGETHER.get(name, name), []).append(stream)
    return tuple(Read(name, tuple(streams)) for name, streams in found.items())


class Zendesk(History, Lists):
    reads = _reads()
    kept = ("fields", "whole")

    @cached_property
    def _zenpy(self) -> Zenpy:
        from zenpy import Zenpy  # costs start time, and Dagster loads this module far more often than it reads

        # The addresses are absolute, so the subdomain is never used; the gate logs in and waits, so zenpy does not.
        return Zenpy(subdomain="-", session=self.gate.session(), anonymous=True, disable_cache=True)

    def send(self, url: str, parameters: Mapping[str, Any]) -> Response:
        response: Response = self._zenpy.tickets._get(url, raw_response=True, params=parameters)
        return response

    def batches(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        place = cursor or {}
        ways: Mapping[str, Callable[[], Iterator[Batch]]] = {
            "tickets": partial(self.by_cursor, read, place),
            "users": partial(self.by_cursor, read, place),
            "organizations": partial(self.organizations, read, place),
            "ticket_events": partial(self.history, read, place),
            "ticket_metric_events": partial(self.metric_events, read, place),
            "satisfaction_ratings": partial(self.ratings, read, place),
            "schedules": partial(self.schedules, read),
            "jira_links": partial(self.links, read),
            "articles": partial(self.articles, read, known=cursor is not None),
        }
        for batch in ways.get(read.name, partial(self.listed, read))():
            yield replace(batch, lost={stream.name: self.hidden.get(stream.name, frozenset()) for stream in read.streams})

    def again(self, read: Read, cursor: Cursor | None, missing: Mapping[str, pa.Table]) -> Iterator[Batch]:
        """A first read of an export is not repeated: what it may lack changed while it went on. Of ratings nobody knows
        which are lacking, so all are read."""
        if read.name in _EXPORTED and not cursor:
            cursor = self.at(read, self.gate.clock - timedelta(days=1))
        return super().again(read, None if read.name == "satisfaction_ratings" else cursor, missing)

    def at(self, read: Read, moment: datetime) -> Cursor | None:
        if read.name in ("tickets", "users"):
            return {"start": max(0, epoch(moment) - LOOK_BACK)}
        if read.name in _EXPORTED:
            return {"end_time": epoch(moment)}
        return {"start": epoch(moment)} if read.name == "satisfaction_ratings" else None

    def opened(self, stream: Stream, records: bytes) -> Batch:
        if stream.name in self.choices.fields:
            self.know_fields(stream.name, {})
        if stream.name == "tickets":
            found, rejects = self.exported("tickets", rows.apart(records))
            return Batch({}, {"tickets": found["tickets"]}, rejects)
        page = self.decoders[stream.name].page(records)
        return Batch({}, {stream.name: page.table}, page.rejects)

    # what can be read, and what it costs -----------------------------------------------------------------------------

    def check(self) -> Iterator[Finding]:
        """Exports are for admins only, all of them, so one that answers speaks for all; lists are asked for one record."""
        me = self.tried("login", self._me)
        yield me
        if not me.ok:
            return
        seen: list[Response] = []
        exports = self.tried("exports", partial(self._readable, STREAMS["tickets"], seen))
        found = dict.fromkeys(_EXPORTED, exports)
        for read in self.reads:
            for stream in read.streams:
                if read.name not in found:
                    found[read.name] = self.tried(read.name, partial(self._readable, stream, seen))
                said = found[read.name]
                if said.ok and stream.name in self.choices.fields:
                    said = self.tried(stream.name, partial(self._filled, stream.name))
                yield Finding(stream.name, said.ok, said.message)
        yield Finding("limits", True, _left(seen))

    def _me(self) -> str:
        user = msgspec.json.decode(self.get("/api/v2/users/me.json").content).get("user") or {}
        if not user.get("id"):  # Zendesk answers nobody in particular just as well
            raise SourceError(f"Zendesk takes this login for nobody. Set {self.gate.site.login} to a login that is valid.")
        return f"works, as {user.get('role')}" + (f". {TOKENS_END}" if self.ends else "")

    def _readable(self, stream: Stream, seen: list[Response]) -> str:
        try:
            seen.append(self.get(stream.source.replace("page[size]=100", "page[size]=1"), self._little(stream), of=stream))
            if stream.name == "jira_links" and self.jira_integration:
                seen.append(self.get(f"/api/v2/integrations/jira/{self.jira_integration}/links", {"page[size]": 1}))
        except Unavailable as missing:
            return f"left out: {missing}"
        return "can be read"

    def _filled(self, table: str) -> str:
        missing = sorted(self.titled(table).values() - self.know_fields(table, {}).keys())
        return "can be read" + (f", except {', '.join(missing)}: hidden from this user, or not there" if missing else "")

    def _little(self, stream: Stream) -> Mapping[str, Any]:
        """What makes a reply as small as it can be."""
        if stream.name == "tickets":
            return {"start_time": 0, "per_page": 1}
        if stream.name == "articles":
            return {"start_time": epoch(self.gate.clock - 2 * UNSETTLED)}
        return {"since_id": 2**53} if stream.name == "jira_links" else {}

    def estimate(self, reads: tuple[Read, ...]) -> Iterator[Estimate]:
        told = [total for total, _ in limits_of(self.get(STREAMS["tickets"].source, self._little(STREAMS["tickets"])))]
        account, exports = (told or [_REQUESTS_A_MINUTE])[-1], told[0] if len(told) > 1 else _EXPORTS_A_MINUTE
        counts: dict[str, int] = {}
        for read in reads:
            try:
                records, note = self._expected(read.name, counts)
            except Unavailable as missing:
                records, note = 0, str(missing)
            of_a_page, limit = (1000, exports) if read.name in _EXPORTED else (_OF_A_PAGE.get(read.name, 100), account)
            requests = max(1, ceil(records / of_a_page)) + (read.name in _FOUND)
            yield Estimate(read.name, records, requests, requests * 60 / limit, note=note)

    def _expected(self, name: str, counts: dict[str, int]) -> tuple[int, str]:
        """How many records there are, and what that rests on. `counts` remembers what was asked."""
        if name in _SUPPOSED:
            times, of = _SUPPOSED[name]
            return times * self._expected(of, counts)[0], f"Zendesk counts none; taken as {times} for each of the {of}"
        if name not in (*_FOUND, *_COUNTED, "jira_links"):
            return 0, "Zendesk does not count them; usually one request"
        if name not in counts:
            counts[name] = self._asked_for(name)
        return counts[name], ""

    def _asked_for(self, name: str) -> int:
        if name in _FOUND:
            return self.found(name.removesuffix("s"))
        if name == "jira_links":
            return self.decoded(self.get(STREAMS[name].source, self._little(STREAMS[name]), of=STREAMS[name]), Links).total or 0
        return self.decoded(self.get(f"/api/v2/{name}/count.json", of=STREAMS[name]), Counted).count.value


def _left(replies: list[Response]) -> str:
    """What the replies say of the limits, a minute: of all requests, and of the exports."""
    found = {}
    for reply in replies:
        for name, (total, allowance) in zip(("all requests", "exports"), reversed(limits_of(reply)), strict=False):
            found[name] = f"{name} {total} a minute, {allowance.left} left"
    return "; ".join(found.values()) or "Zendesk does not tell them"
