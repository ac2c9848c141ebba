"""How Jira's issues are read, with all that hangs on them: ids by JQL, groups of whole issues, a sweep of all ids.

Here belongs which issues are read, in what order, and how it is proved that none is missing. Not here: how a group of
them is fetched (`jira_groups`) and comes apart (`jira_parts`), or which fields are asked for (`jira_fields`).

Requests of a first read of N issues: 1 for the user's time zone, 1 for the fields if the settings name any by name,
ceil(N / 5,000) for ids, ceil(N / 100) for bodies, and for each 1,000 issues one for each 10,000 entries of their changelogs
(at least one); for each issue with more comments than Jira puts into its body one for each 100 of them; one for each issue
with links to pages elsewhere. No sweep: the ids were all just searched for. A night after: the same of the N issues that
changed (one search even if N is 0), and ceil(all / 5,000) for the sweep; if issues moved, one search for their children.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import pyarrow as pa

from connectors import rows
from connectors.base import Batch, Cursor, Present, Read, Reject, SourceError
from connectors.jira_asking import answered
from connectors.jira_fields import Fields, Resolved
from connectors.jira_groups import PARENTS, SIZE, Group, Groups, Whole, nothing_of
from connectors.window import Window, windows

_MARGIN = timedelta(minutes=1)  # what is younger than this may not be in the index yet
_LOOK_BACK = timedelta(minutes=15)  # the index follows late
IDS = 5000  # issues of a page when only ids are asked for
_PARENTS_ASKED = 200  # ids in one query


class _Id(msgspec.Struct):
    id: str


class _Found(msgspec.Struct, rename="camel"):
    issues: list[_Id]
    next_page_token: str | None = None


@dataclass(frozen=True)
class Swept:
    """How a read ended: its cursor, all ids that there are, and up to when."""

    cursor: Cursor
    ids: list[int]
    until: datetime


class IssuesReader(Fields):
    """The read `issues`."""

    zone = ZoneInfo("UTC")  # as it was last asked for
    swept: Swept | None = None  # by the last read that came to its end

    def issues(self, read: Read, cursor: Cursor | None) -> Iterator[Batch]:
        """Killed in the middle, it goes on at the page of the search and, of a first read, after the id that were last done."""
        cursor = cursor or {}
        zone, fields = self.ask_zone(), self.resolved(cursor.get("fields", {}))
        until = on_the_minute(self.gate.clock - _MARGIN, zone)
        moved, lacking = set(cursor.get("moved", ())), set(cursor.get("lacking", ()))
        ids: list[int] = []
        lost = {"issues": frozenset(self.mapped.keys() - fields.ids.keys())}
        with self.side_by_side() as pool:
            groups = Groups(self, pool, read, fields)
            for window, after in windows(cursor if "until" in cursor else None, until, _LOOK_BACK):
                place = _Place(window, cursor.get("page") if after else None, after)
                yield replace(_nothing(read, place.cursor(fields, moved, lacking)), lost=lost)
                for whole in groups.read(self._changed(pool, place, ids)):
                    moved |= whole.moved
                    lacking |= whole.lacking
                    place = _Place(window, whole.group.page, str(whole.group.ids[-1]))
                    yield _batch(place.cursor(fields, moved, lacking), whole)
            for whole in groups.read(_grouped(self._children(pool, moved))):
                yield _batch(place.cursor(fields, moved, lacking), whole)
            for whole in groups.read(_grouped(sorted(lacking), alone=True)):
                yield _batch(place.cursor(fields, moved, lacking), whole)
            if "until" in cursor:  # else the search for what is to be read has just named all that there is
                ids = [issue_id for _, page in self._pages(pool, self.everything(window.until)) for issue_id in page]
        self.swept = Swept({**window.done(), **_kept(fields)}, ids, window.until)
        yield self._last(read, self.swept, _unread(groups))

    def mended(self, read: Read, swept: Swept, missing: Iterable[str]) -> Iterator[Batch]:
        """Issues that the search names and the table lacks: they became visible without a change, were indexed late, or
        could not be given in bulk. What cannot be given at all is put aside, unless it is gone by now."""
        yield _nothing(read, swept.cursor)
        with self.side_by_side() as pool:
            groups = Groups(self, pool, read, self.resolved(swept.cursor.get("fields", {})))
            lacking: list[int] = []
            for whole in groups.read(_grouped(sorted(map(int, missing)))):
                lacking += sorted(whole.lacking)
                yield _batch(swept.cursor, whole)
            for whole in groups.read(_grouped(lacking, alone=True)):
                yield _batch(swept.cursor, whole)
        left = [issue_id for issue_id in swept.ids if issue_id not in groups.gone]
        yield self._last(read, Swept(swept.cursor, left, swept.until), _unread(groups))

    def ask_zone(self) -> ZoneInfo:
        """The asking user's time zone, in which JQL reads its dates. The reply tells the vendor's time as well."""
        name = msgspec.json.decode(self.get("myself").content).get("timeZone")
        try:
            self.zone = ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            raise SourceError(f"The time zone {name} of the Jira user is not known here. Set it to another one.") from None
        return self.zone

    # which issues ---------------------------------------------------------------------------------------------------

    def _changed(self, pool: Executor, place: _Place, ids: list[int]) -> Iterator[Group]:
        """Groups of what is left of a window. `ids` is given all that are found."""
        window, after = place.window, place.after
        if window.since is None:
            jql = self.everything(window.until)
        else:
            since, until = self._shown(window.since), self._shown(window.until)
            jql = f"updated >= {since} AND updated < {until} ORDER BY created ASC"
        for token, page in self._pages(pool, jql, place.page):
            ids += page
            # What has changed again left the window, and others moved up to its page: only of a page that keeps its issues
            # is it known which are done.
            done = int(after) if after and token == place.page and window.since is None else 0
            left = [each for each in page if each > done]
            yield from _grouped(left, page=token, since=window.since)

    def everything(self, until: datetime) -> str:
        """All that was created before a moment: what came after it is no difference. JQL must be bounded anyway."""
        start = self.choices.since
        changed = f"updated >= {self._shown(start)} AND " if start else ""
        return f"{changed}created < {self._shown(until)} ORDER BY created ASC"

    def _shown(self, moment: datetime) -> str:
        return f'"{on_the_minute(moment, self.zone).astimezone(self.zone):%Y-%m-%d %H:%M}"'

    def _children(self, pool: Executor, moved: Iterable[int]) -> list[int]:
        """The issues that show the key of one that moved as that of their parent. Moving it did not change them."""
        parents = sorted(moved)
        found = []
        for start in range(0, len(parents), _PARENTS_ASKED):
            asked = ", ".join(map(str, parents[start : start + _PARENTS_ASKED]))
            found += [issue_id for _, page in self._pages(pool, f"parent in ({asked})") for issue_id in page]
        return sorted(set(found))

    def _pages(self, pool: Executor, jql: str, token: str | None = None) -> Iterator[tuple[str | None, list[int]]]:
        """The rising ids of each page of what matches, with the page's own token, while the next one is under way. Only a
        page without a following one is the last: what is missing here would be taken for deleted."""
        tokens: set[str | None] = {None, token}
        asked = pool.submit(self._page_of_ids, jql, token)
        while True:
            token, following, ids = asked.result()
            if following is None:
                yield token, ids
                return
            if following in tokens:
                raise SourceError("Jira gave the same page token again; trying again later can help.", transient=True)
            tokens.add(following)
            asked = pool.submit(self._page_of_ids, jql, following)
            yield token, ids

    def _page_of_ids(self, jql: str, token: str | None) -> tuple[str | None, str | None, list[int]]:
        """The page's own token, that of the following one, and the ids. A token lives seven days: if it is older, this is
        the first page again."""
        asked = {"jql": jql, "fields": "id", "maxResults": IDS}
        try:
            response = self.get("search/jql", asked | ({"nextPageToken": token} if token else {}))
        except SourceError as error:
            if token is None or not answered(error, 400):
                raise
            token, response = None, self.get("search/jql", asked)
        found = self.decoded(response, _Found)
        return token, found.next_page_token, sorted({int(issue.id) for issue in found.issues})

    # batches --------------------------------------------------------------------------------------------------------

    def _last(self, read: Read, swept: Swept, rejects: tuple[Reject, ...] = ()) -> Batch:
        """Says what exists: of the issues, and of what belongs to them by the issues' ids."""
        ids = pa.array(list(map(str, swept.ids)), pa.string())
        columns = {"issues": "id", **PARENTS}
        present = {stream.name: Present(rows.table_of(stream, {columns[stream.name]: ids})) for stream in read.streams}
        return Batch(swept.cursor, {}, rejects, present, covered_until=swept.until)


@dataclass(frozen=True)
class _Place:
    """How far a window has been read: up to the id `after` of the page that `page` leads to."""

    window: Window
    page: str | None = None
    after: str | None = None

    def cursor(self, fields: Resolved, moved: Iterable[int], lacking: Iterable[int]) -> Cursor:
        page = {"page": self.page} if self.page else {}
        return {**self.window.reached(self.after), **page, **_kept(fields, moved, lacking)}


def _kept(fields: Resolved, moved: Iterable[int] = (), lacking: Iterable[int] = ()) -> Mapping[str, Any]:
    """What the next read must know beside its place: fields by the names that they had, whose children are due, and what
    was not given in bulk."""
    kept = {"fields": dict(fields.names), "moved": sorted(moved), "lacking": sorted(lacking)}
    return {name: value for name, value in kept.items() if value}


def _grouped(ids: Iterable[int], **about: Any) -> Iterator[Group]:
    ids = list(ids)
    return (Group(ids[start : start + SIZE], **about) for start in range(0, len(ids), SIZE))


def _nothing(read: Read, cursor: Cursor) -> Batch:
    """No issues: a night without changes proves as much of what belongs to them."""
    return Batch(cursor, present={stream.name: nothing_of(stream.name) for stream in read.streams if stream.name in PARENTS})


def _batch(cursor: Cursor, whole: Whole) -> Batch:
    return Batch(cursor, whole.rows, whole.rejects, whole.present)


def _unread(groups: Groups) -> tuple[Reject, ...]:
    """Issues that could not even be given alone."""
    said = "the record could not be fetched: {}"
    return tuple(
        Reject("issues", str(each), None, said.format(why), f'"{each}"') for each, why in sorted(groups.refused.items())
    )


def on_the_minute(moment: datetime, zone: ZoneInfo) -> datetime:
    """The last full minute up to a moment that the user's clock shows only once: when summer time ends, JQL cannot tell
    the repeated hour from the first."""
    moment = moment.replace(second=0, microsecond=0)
    while len({moment.astimezone(zone).replace(fold=fold).utcoffset() for fold in (0, 1)}) > 1:
        moment -= timedelta(minutes=1)
    return moment
