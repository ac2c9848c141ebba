"""How logged work is read: Jira lists the ids of all entries by their last change, and gives a thousand of them at a time.

Here belongs the read `worklogs`. Not here: what Jira puts of them into issues, which is cut off after twenty.

Requests, for W entries of which C changed since: ceil(W / 1,000) for the list, ceil(C / 1,000) for the entries. The list of
deleted entries is not asked for: it lacks those that went with their issue, and the list of all ids shows what is gone.

Jira leaves out of the list what changed in the last minute. An entry that is edited in just that minute looks as if it were
gone; the next read brings it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec
from requests import Response

from connectors import rows
from connectors.base import Batch, Cursor, Present, Reject
from connectors.jira_asking import STREAMS, Asking, ahead
from connectors.jira_parts import worklogs_of

ENTRIES = 1000  # entries of a page of the list, and of a request for entries
_UNSEEN = timedelta(minutes=1)  # for so long the list does not tell of a change
_LOOK_BACK = 60_000  # milliseconds that are read again, for what the list told late
_AHEAD = 4  # replies under way while one is opened


class _Changed(msgspec.Struct, rename="camel"):
    worklog_id: int
    updated_time: int


class _Changes(msgspec.Struct, rename="camel"):
    values: list[_Changed]
    last_page: bool
    until: int | None = None


class Worklogs(Asking):
    """The read `worklogs`. Its cursor is a moment in milliseconds: all changes before it have been read."""

    def worklogs(self, cursor: Cursor | None) -> Iterator[Batch]:
        changed, until = self._listed()
        since = int(cursor["since"]) - _LOOK_BACK if cursor else 0
        recent = sorted((at, worklog_id) for worklog_id, at in changed.items() if at >= since)
        for asked, page in self._fetched([worklog_id for _, worklog_id in recent]):
            yield Batch({"since": changed[asked[-1]]}, {"worklogs": page.table}, page.rejects)
        yield _last(changed, until)

    def lacking_worklogs(self, missing: Iterable[str]) -> Iterator[Batch]:
        """Entries that the list names and the table lacks: they became visible without a change."""
        changed, until = self._listed()
        wanted = [int(worklog_id) for worklog_id in missing if int(worklog_id) in changed]
        rejects: list[Reject] = []
        for asked, page in self._fetched(wanted):
            given = set(page.table["id"].to_pylist())
            rejects += [_unread(worklog_id) for worklog_id in asked if str(worklog_id) not in given]
            yield Batch({"since": _milliseconds(until)}, {"worklogs": page.table}, page.rejects)
        yield _last(changed, until, tuple(rejects))

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

    def _fetched(self, ids: Sequence[int]) -> Iterator[tuple[Sequence[int], rows.Page]]:
        decoder = self.decoder(STREAMS["worklogs"])
        chunks = (ids[start : start + ENTRIES] for start in range(0, len(ids), ENTRIES))
        with self.side_by_side() as pool:
            asked = ahead(chunks, lambda chunk: (chunk, pool.submit(self._entries, chunk)), _AHEAD)
            for chunk, reply in asked:
                response = reply.result()
                try:
                    yield chunk, decoder.page(worklogs_of(response.content))
                except msgspec.DecodeError:
                    raise self.surprise(response, "no list of worklogs") from None

    def _entries(self, ids: Sequence[int]) -> Response:
        return self.post("worklog/list", {"ids": list(ids)})


def _last(changed: dict[int, int], until: datetime, rejects: tuple[Reject, ...] = ()) -> Batch:
    present = {"worklogs": Present(rows.keys(STREAMS["worklogs"], {"id": list(map(str, changed))}))}
    return Batch({"since": _milliseconds(until)}, {}, rejects, present, covered_until=until)


def _unread(worklog_id: int) -> Reject:
    return Reject("worklogs", str(worklog_id), None, "the record is listed, and could not be fetched", f'"{worklog_id}"')


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
