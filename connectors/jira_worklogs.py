"""How logged work is read: Jira lists the ids of all entries by their last change, and gives a thousand of them at a time.

Here belongs the read `worklogs`. Not here: what Jira puts of them into issues, which is cut off after twenty.

Requests, for W entries of which C changed since: ceil(W / 1,000) for the list, ceil(C / 1,000) for the entries. The list of
deleted entries is not asked for: it lacks those that went with their issue, and the list of all ids shows what is gone.

Jira leaves out of the list what changed in the last minute, and an entry that is edited in just that minute is no more on its
old place either. Logging work changes the issue: so what is known already costs one search more, for the issues that changed
since, and one request for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import rows
from connectors.base import Batch, Cursor, Present, Reject, SourceError
from connectors.jira_asking import STREAMS, Placed, ahead, answered
from connectors.jira_issues import IssuesReader
from connectors.jira_parts import worklogs_of

ENTRIES = 1000  # entries of a page of the list, and of a request for entries
_UNSEEN = timedelta(minutes=1)  # for so long the list does not tell of a change
_LOOK_BACK = 60_000  # milliseconds that are read again, for what the list told late
_OF_AN_ISSUE = 5000  # entries of a page of those of one issue
_AHEAD = 4  # replies under way while one is opened


class _Changed(msgspec.Struct, rename="camel"):
    worklog_id: int
    updated_time: int


class _Changes(msgspec.Struct, rename="camel"):
    values: list[_Changed]
    last_page: bool
    until: int | None = None


class _Logged(msgspec.Struct):
    worklogs: Raw
    total: int


class Worklogs(IssuesReader):
    """The read `worklogs`. Its cursor is a moment in milliseconds: all changes before it have been read."""

    def worklogs(self, cursor: Cursor | None) -> Iterator[Batch]:
        changed, until = self._listed()
        since = int(cursor["since"]) - _LOOK_BACK if cursor else 0
        recent = sorted((at, worklog_id) for worklog_id, at in changed.items() if at >= since)
        for asked, page in self._fetched([worklog_id for _, worklog_id in recent]):
            yield Batch({"since": changed[asked[-1]]}, {"worklogs": page.table}, page.rejects)
        yield _last(changed, until, self._hidden(until) if cursor else [])

    def lacking_worklogs(self, missing: Iterable[str]) -> Iterator[Batch]:
        """Entries that the list names and the table lacks: they became visible without a change."""
        changed, until = self._listed()
        wanted = [int(worklog_id) for worklog_id in missing if int(worklog_id) in changed]
        rejects: list[Reject] = []
        for asked, page in self._fetched(wanted):
            given = set(page.table["id"].to_pylist())
            rejects += [_unread(worklog_id) for worklog_id in asked if str(worklog_id) not in given]
            yield Batch({"since": _milliseconds(until)}, {"worklogs": page.table}, page.rejects)
        yield _last(changed, until, self._hidden(until), tuple(rejects))

    def _listed(self) -> tuple[dict[int, int], datetime]:
        """When each entry was last changed, and up to when that is known. What changed in one moment can stand on two
        pages, so each begins a little before the end of the one before."""
        start = self.choices.since
        since = _milliseconds(start) - 1 if start else 0
        changed: dict[int, int] = {}
        until: datetime | None = None
        while True:
            response = self.get("worklog/updated", {"since": since})
            until = until or self.gate.clock - _UNSEEN
            page = self.decoded(response, _Changes)
            known = len(changed)
            changed |= {each.worklog_id: each.updated_time for each in page.values}
            if page.last_page:
                return changed, until
            last = max((each.updated_time for each in page.values), default=since)
            if last <= since and len(changed) == known:
                raise self.surprise(response, "the list does not move on")
            since = last - 1 if last - 1 > since else last

    def _hidden(self, until: datetime) -> list[rows.Page]:
        """The entries that changed since the list was complete, by the issues that did."""
        decoder = self.decoder(STREAMS["worklogs"])
        minutes = ceil((self.gate.clock - until) / timedelta(minutes=1)) + 1  # JQL knows no seconds
        with self.side_by_side() as pool:
            jql = f"updated >= -{minutes}m ORDER BY created ASC"
            issues = [issue_id for _, page in self._pages(pool, jql) for issue_id in page]
            found = pool.map(lambda issue_id: self._of_an_issue(issue_id, decoder), issues)
            return [rows.Page(_since(until, page.table), page.rejects) for pages in found for page in pages]

    def _of_an_issue(self, issue_id: int, decoder: rows.Decoder) -> list[rows.Page]:
        """None if the issue is gone by now."""

        def ask(start: int) -> Placed[rows.Page]:
            reply = self.get(f"issue/{issue_id}/worklog", {"startAt": start, "maxResults": _OF_AN_ISSUE})
            found = self.decoded(reply, _Logged)
            page = self._opened(decoder, found.worklogs, reply)
            return Placed(reply, page, frozenset(page.table["id"].to_pylist()), found.total)

        try:
            return self.by_place(ask)[0]
        except SourceError as error:
            if answered(error, 404):
                return []
            raise

    def _fetched(self, ids: Sequence[int]) -> Iterator[tuple[Sequence[int], rows.Page]]:
        decoder = self.decoder(STREAMS["worklogs"])
        chunks = (ids[start : start + ENTRIES] for start in range(0, len(ids), ENTRIES))
        with self.side_by_side() as pool:
            asked = ahead(chunks, lambda chunk: (chunk, pool.submit(self._entries, chunk)), _AHEAD)
            for chunk, reply in asked:
                response = reply.result()
                yield chunk, self._opened(decoder, response.content, response)

    def _opened(self, decoder: rows.Decoder, records: Raw | bytes, response: Response) -> rows.Page:
        try:
            return decoder.page(worklogs_of(records))
        except msgspec.DecodeError:
            raise self.surprise(response, "no list of worklogs") from None

    def _entries(self, ids: Sequence[int]) -> Response:
        return self.post("worklog/list", {"ids": list(ids)})


def _last(changed: dict[int, int], until: datetime, hidden: list[rows.Page], rejects: tuple[Reject, ...] = ()) -> Batch:
    known: list[Any] = [*map(str, changed), *(each for page in hidden for each in page.table["id"].to_pylist())]
    present = {"worklogs": Present(rows.keys(STREAMS["worklogs"], {"id": known}))}
    tables = {"worklogs": pa.concat_tables(page.table for page in hidden)} if hidden else {}
    rejects = (*rejects, *(reject for page in hidden for reject in page.rejects))
    return Batch({"since": _milliseconds(until)}, tables, rejects, present, covered_until=until)


def _since(moment: datetime, table: pa.Table) -> pa.Table:
    return table.filter(pc.greater_equal(table["updated"], pa.scalar(moment, table["updated"].type)))


def _unread(worklog_id: int) -> Reject:
    return Reject("worklogs", str(worklog_id), None, "the record is listed, and could not be fetched", f'"{worklog_id}"')


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
