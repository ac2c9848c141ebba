"""How some issues are fetched whole: bodies and changelogs in bulk, side by side, and what these lack issue by issue.

Here belongs a group of up to 1,000 issues, whose rows commit together. Not here: which issues are read, and in what order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, starmap

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import rows
from connectors.base import Present, Read, Reject, SourceError
from connectors.jira_asking import STREAMS, Placed, ahead, answered
from connectors.jira_fields import Fields, Resolved
from connectors.jira_history import Histories
from connectors.jira_parts import Issues, comments_of, remote_links_of
from connectors.rows import Item, Record

log = logging.getLogger(__name__)

SIZE = 1000  # issues of a group: as many as a bulk fetch of changelogs takes
BODIES = 100  # issues of a bulk fetch
_ENTRIES = 10_000  # entries of a page of changelogs
_COMMENTS = 100  # comments of a page
_ASKED_AHEAD = 6  # groups whose replies are under way: as many as come while rows are committed
_MANY = 8  # issues of which one at least can be given, unless it is the asking that is wrong
_OPENED_AHEAD = 1  # groups of which but a few replies are under way
_LOOK_BACK = timedelta(days=1)  # how much further back a change of links to pages is looked for, to be sure
# The column by which a stream's rows live and die with their issue.
PARENTS = {"issue_links": "source_issue_id", "comments": "issue_id", "changelog": "issue_id", "remote_links": "issue_id"}


_Replies = tuple[list[Response], dict[str, str]]  # pages of changelogs, and why those of some issues are not on them
_Part = tuple[rows.Page, Sequence[str]]  # the rows of a stream, and the issues of which they are all that there is


class _Bodies(msgspec.Struct):
    issues: Raw


class _Changes(msgspec.Struct, rename="camel"):
    issue_change_logs: Raw
    next_page_token: str | None = None


class _Comments(msgspec.Struct):
    comments: list[Record]
    total: int


@dataclass(frozen=True)
class Group:
    """Issues by rising id. `page`: the token of the page of the search that named them. `since`: when they were last read;
    None: perhaps never. `alone`: each is asked for by itself."""

    ids: Sequence[int]
    page: str | None = None
    since: datetime | None = None
    alone: bool = False


@dataclass(frozen=True)
class Whole:
    """A group as it was read: what makes a batch, the ids of those that could be given, and of those that moved."""

    group: Group
    rows: dict[str, pa.Table]
    rejects: tuple[Reject, ...]
    present: dict[str, Present]
    ids: frozenset[str]
    moved: frozenset[int]

    @property
    def lacking(self) -> frozenset[int]:
        """Issues that were not given."""
        return frozenset(issue_id for issue_id in self.group.ids if str(issue_id) not in self.ids)


@dataclass
class _Asked:
    group: Group
    bodies: list[Future[Response | None]]
    changes: Future[_Replies] | None


@dataclass
class _Opened:
    """What came in bulk, and what is under way for the few issues that lack something."""

    group: Group
    issues: Issues
    histories: Histories
    parents: list[str]
    unread: Mapping[str, str]  # issues whose changelogs could not be given, and why
    comments: dict[str, Future[list[Record] | None]] = field(default_factory=dict)
    links: dict[str, Future[bytes | None]] = field(default_factory=dict)


class Groups:
    """Fetches groups for one read. `gone`: ids that Jira says do not exist; `refused`: why it could not give others."""

    def __init__(self, asking: Fields, pool: Executor, read: Read, fields: Resolved) -> None:
        self._asking, self._pool = asking, pool
        self._names = [stream.name for stream in read.streams]
        self._fields = asking.asked_fields(read)
        self._decoders = {name: asking.decoder(STREAMS[name]) for name in self._names}
        if "issues" in self._decoders:
            self._decoders["issues"] = asking.issues_decoder(fields)
        self.gone: set[int] = set()
        self.refused: dict[int, str] = {}
        self._told = False

    def read(self, groups: Iterable[Group]) -> Iterator[Whole]:
        """In their order, while the next ones are under way."""
        opened = map(self._open, ahead(groups, self._ask, _ASKED_AHEAD))
        return map(self._whole, ahead(opened, lambda group: group, _OPENED_AHEAD))

    # asking ---------------------------------------------------------------------------------------------------------

    def _ask(self, group: Group) -> _Asked:
        bodies: list[Future[Response | None]] = []
        if self._fields:
            size = 1 if group.alone else BODIES
            ask = self._alone if group.alone else self._in_bulk
            bodies = [self._pool.submit(ask, group.ids[start : start + size]) for start in range(0, len(group.ids), size)]
        wanted = {"changelog", "remote_links"} & set(self._names)
        changes = self._pool.submit(self._changes, group.ids) if wanted else None
        return _Asked(group, bodies, changes)

    def _in_bulk(self, ids: Sequence[int]) -> Response:
        return self._asking.post("issue/bulkfetch", {"issueIdsOrKeys": list(map(str, ids)), "fields": self._fields})

    def _alone(self, ids: Sequence[int]) -> Response | None:
        (issue_id,) = ids
        try:
            return self._asking.get(f"issue/{issue_id}", {"fields": ",".join(self._fields)})
        except SourceError as error:
            if answered(error, 404):
                self.gone.add(issue_id)
            elif answered(error, 400, 403, 413, 500):
                self.refused[issue_id] = str(error)
            else:
                raise
            return None

    def _changes(self, ids: Sequence[int]) -> _Replies:
        """All pages. If one of the issues, or all of them together, are refused, by halves: at last without that issue. That
        each one of many is refused is no matter of the issues."""
        try:
            return self._all_changes(ids), {}
        except SourceError as error:
            if not answered(error, 400, 404, 413):
                raise
            if len(ids) == 1:
                return [], {str(ids[0]): str(error)}
            half = len(ids) // 2
            (first, lacking), (second, more) = self._changes(ids[:half]), self._changes(ids[half:])
            if not (first or second) and len(ids) >= _MANY:
                raise
            return [*first, *second], {**lacking, **more}

    def _all_changes(self, ids: Sequence[int]) -> list[Response]:
        """They go by time, so each page can hold entries of any of the issues."""
        asked = {"issueIdsOrKeys": list(map(str, ids)), "maxResults": _ENTRIES}
        replies: list[Response] = []
        tokens: set[str | None] = {None}
        token: str | None = None
        while not replies or token:
            replies.append(self._asking.post("changelog/bulkfetch", asked | ({"nextPageToken": token} if token else {})))
            token = self._asking.decoded(replies[-1], _Changes).next_page_token
            if token and token in tokens:
                raise self._asking.surprise(replies[-1], "the same page token again")
            tokens.add(token)
        return replies

    def _comments(self, issue_id: str) -> list[Record] | None:
        """All comments of an issue; None if it is gone."""

        def ask(start: int) -> Placed[list[Record]]:
            reply = self._asking.get(f"issue/{issue_id}/comment", {"startAt": start, "maxResults": _COMMENTS})
            found = self._asking.decoded(reply, _Comments)
            return Placed(reply, found.comments, frozenset(bytes(each.get("id", b"")) for each in found.comments), found.total)

        try:
            pages, _ = self._asking.by_place(ask)
            return comments_of(issue_id, (comment for page in pages for comment in page))
        except SourceError as error:
            if answered(error, 404):
                return None
            raise

    def _links(self, issue_id: str) -> bytes | None:
        """The links of an issue to pages elsewhere; None if nobody can see them."""
        try:
            return self._asking.get(f"issue/{issue_id}/remotelink").content
        except SourceError as error:
            if not answered(error, 403, 404):
                raise
            if answered(error, 403) and not self._told:
                self._told = True
                log.warning("Jira shows no links to pages: linking is switched off on this site.")
            return None

    # opening --------------------------------------------------------------------------------------------------------

    def _open(self, asked: _Asked) -> _Opened:
        """What came in bulk, apart. What it lacks is asked for at once, and needed only when the next group is open."""
        issues, histories = Issues(), Histories()
        for body in asked.bodies:
            reply = body.result()
            if reply is not None:
                self._add(reply, issues, alone=asked.group.alone)
        parents = issues.ids if self._fields else list(map(str, asked.group.ids))
        replies, unread = asked.changes.result() if asked.changes else ([], {})
        for reply in replies:
            changes = self._asking.decoded(reply, _Changes).issue_change_logs
            try:
                histories.add(changes, frozenset(parents))
            except msgspec.DecodeError:
                raise self._asking.surprise(reply, "no changelogs") from None
        opened = _Opened(asked.group, issues, histories, parents, unread)
        if "comments" in self._names:
            opened.comments = {issue_id: self._pool.submit(self._comments, issue_id) for issue_id in issues.cut}
        if "remote_links" in self._names:
            linked = [issue_id for issue_id in self._relinked(opened) if histories.has_links(issue_id)]
            opened.links = {issue_id: self._pool.submit(self._links, issue_id) for issue_id in linked}
        return opened

    def _add(self, reply: Response, issues: Issues, *, alone: bool) -> None:
        found = Raw(b"[" + reply.content + b"]") if alone else self._asking.decoded(reply, _Bodies).issues
        try:
            issues.add(found)
        except (msgspec.DecodeError, KeyError):
            raise self._asking.surprise(reply, "no list of issues") from None

    def _relinked(self, opened: _Opened) -> Sequence[str]:
        """Issues whose links to pages may have changed since they were last read, as far as the changelog tells."""
        since = opened.group.since
        if since is None:
            return self._told_of(opened)
        return [issue_id for issue_id, at in opened.histories.linked.items() if at >= since - _LOOK_BACK]

    def _whole(self, opened: _Opened) -> Whole:
        ways: Mapping[str, Callable[[_Opened], _Part]] = {
            "issues": lambda _: (self._page("issues", opened.issues.issues), opened.parents),
            "issue_links": lambda _: (self._page("issue_links", opened.issues.links.values()), opened.parents),
            "comments": self._all_comments,
            "changelog": lambda _: (self._history(opened), self._told_of(opened)),
            "remote_links": self._all_links,
        }
        parts = {name: ways[name](opened) for name in self._names}
        return Whole(
            opened.group,
            {name: page.table for name, (page, _) in parts.items()},
            (*chain(*(page.rejects for page, _ in parts.values())), *starmap(_untold, opened.unread.items())),
            {name: _all_of(name, page.table, parents) for name, (page, parents) in parts.items() if name in PARENTS},
            frozenset(opened.parents),
            self._moved(opened),
        )

    def _all_comments(self, opened: _Opened) -> _Part:
        more = {issue_id: reply.result() for issue_id, reply in opened.comments.items()}
        known = [issue_id for issue_id in opened.parents if more.get(issue_id, ()) is not None]
        return self._page("comments", [*opened.issues.comments, *chain(*filter(None, more.values()))]), known

    def _all_links(self, opened: _Opened) -> _Part:
        replies = {issue_id: reply.result() for issue_id, reply in opened.links.items()}
        known = [issue_id for issue_id in self._relinked(opened) if replies.get(issue_id, b"") is not None]
        links = (remote_links_of(issue_id, reply) for issue_id, reply in replies.items() if reply)
        return self._page("remote_links", chain(*links)), known

    def _told_of(self, opened: _Opened) -> Sequence[str]:
        """Issues of which the changelog came, be it empty."""
        return [issue_id for issue_id in opened.parents if issue_id not in opened.unread]

    def _history(self, opened: _Opened) -> rows.Page:
        return opened.histories.page(self._decoders["changelog"], self._asking.without("changelog"))

    def _page(self, name: str, records: Iterable[Item]) -> rows.Page:
        return self._decoders[name].page(records)

    def _moved(self, opened: _Opened) -> frozenset[int]:
        """Issues that have a new key since they were last read: others show it, and are not changed by it."""
        since = opened.group.since
        return frozenset(int(issue_id) for issue_id, at in opened.histories.moved.items() if since and at >= since)


def _untold(issue_id: str, why: str) -> Reject:
    """Listed with its issue, so that it leaves the list when that is read well."""
    return Reject("issues", issue_id, "changelog", f"changelog could not be fetched: {why}", f'"{issue_id}"')


def _all_of(name: str, table: pa.Table, parents: Sequence[str]) -> Present:
    """The rows of a table that live with these issues; a link to another issue lives with its source."""
    stream, column = STREAMS[name], PARENTS[name]
    own = table.filter(pc.is_in(table[column], pa.array(parents, pa.string())))
    return Present(
        keys=rows.keys(stream, {key: own[key] for key in stream.key}),
        within=rows.table_of(stream, {column: parents or [""]}),  # no part at all would be the whole
    )


def nothing_of(name: str) -> Present:
    """Of no issue at all: proves that nothing was read anew."""
    return _all_of(name, rows.table_of(STREAMS[name], {column.name: [] for column in STREAMS[name].columns}), ())
