"""How Jira's replies come apart: an issue carries its comments and links, a changelog what was changed at once.

Here belongs the way from a reply's JSON to the records of one stream each, by pure functions. Not here: how the reply is
asked for, or what the columns are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

Record = dict[str, Raw]

# Jira called issues work items from 2025 on; what was written before kept its name.
_REMOTE = (b'"RemoteIssueLink"', b'"RemoteWorkItemLink"')
_MOVED = b'"Key"'
_NULL = Raw(b"null")
_NONE = (_NULL, Raw(b"[]"))
_MILLISECONDS = 10**11  # above it, a time cannot be in seconds
# What a person's own row of `users` says as well, and what would otherwise fill every row that names the person.
_OF_USERS = ("self", "avatarUrls", "active", "timeZone", "accountType", "emailAddress", "locale", "key", "name")

# Lists of things that have ids and, as everything that Jira shows, an address, which is another for each way to the site.
_PARTS = ("components", "fixVersions", "versions")

_encode = msgspec.json.Encoder().encode
_items = msgspec.json.Decoder(list[Raw]).decode
_record = msgspec.json.Decoder(Record).decode
_text = msgspec.json.Decoder(str).decode


class _End(msgspec.Struct):
    """An issue as others mention it."""

    id: str
    key: str


class _Comments(msgspec.Struct):
    comments: list[Record]
    total: int


class _Log(msgspec.Struct, rename="camel"):
    issue_id: str
    change_histories: list[Record]


_end = msgspec.json.Decoder(_End).decode
_comments = msgspec.json.Decoder(_Comments).decode
_logs = msgspec.json.Decoder(list[_Log]).decode
_records = msgspec.json.Decoder(list[Record]).decode


@dataclass
class Issues:
    """What some issues carry: themselves, and the records of other streams that came with them."""

    issues: list[Record | Raw] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    comments: list[Record] = field(default_factory=list)
    links: dict[str, Record] = field(default_factory=dict)  # by id: a link shows at both of its ends
    cut: list[str] = field(default_factory=list)  # ids of issues that have more comments than came with them

    def add(self, issues: Raw) -> None:
        """Raises msgspec.DecodeError if it is no list."""
        for item in _items(issues):
            try:
                issue = _record(item)
                issue_id, values = _text(issue["id"]), _record(issue["fields"])
            except (msgspec.DecodeError, KeyError):
                self.issues.append(item)  # no issue: the columns say what is wrong with it
                continue
            self.ids.append(issue_id)
            if (comments := values.pop("comment", _NULL)) != _NULL:
                self._add_comments(issue_id, _comments(comments))
            if (links := values.pop("issuelinks", _NULL)) != _NULL:
                for link in _records(links):
                    self._add_link(_End(issue_id, _text(issue["key"])), link)
            for name in _PARTS:
                if values.get(name, _NULL) not in _NONE:
                    values[name] = _without_addresses(values[name])
            self.issues.append({**issue, "fields": Raw(_encode(values))})

    def _add_comments(self, issue_id: str, embedded: _Comments) -> None:
        if len({bytes(comment.get("id", _NULL)) for comment in embedded.comments}) < embedded.total:
            self.cut.append(issue_id)
        else:
            self.comments += comments_of(issue_id, embedded.comments)

    def _add_link(self, here: _End, link: Record) -> None:
        """The source is the issue that does what the type's outward name says."""
        inward, outward = link.pop("inwardIssue", None), link.pop("outwardIssue", None)
        if there := outward or inward:
            ends = (here, _end(there)) if outward else (_end(there), here)
            link |= {"source": Raw(_encode(ends[0])), "target": Raw(_encode(ends[1]))}
            self.links[_text(link["id"])] = link


def _without_addresses(parts: Raw) -> Raw:
    return Raw(_encode([{name: value for name, value in part.items() if name != "self"} for part in _records(parts)]))


def comments_of(issue_id: str, comments: Iterable[Record]) -> list[Record]:
    """Comments that say whose they are."""
    return [_told({**comment, "issueId": Raw(_encode(issue_id))}) for comment in comments]


def worklogs_of(logs: bytes) -> list[Record]:
    return [_told(log) for log in _records(logs)]


def remote_links_of(issue_id: str, links: bytes) -> list[Record]:
    return [{**link, "issueId": Raw(_encode(issue_id))} for link in _records(links)]


@dataclass
class Histories:
    """What was changed on some issues: one record per changed field."""

    items: list[Record] = field(default_factory=list)
    moved: dict[str, datetime] = field(default_factory=dict)  # issues with a new key, and since when
    linked: dict[str, datetime] = field(default_factory=dict)  # issues whose links to pages changed, and when last
    _there: dict[str, set[bytes]] = field(default_factory=dict)
    _gone: dict[str, set[bytes]] = field(default_factory=dict)

    def add(self, logs: Raw, wanted: frozenset[str]) -> None:
        """Of the wanted issues. Raises msgspec.DecodeError if it is no list of changelogs."""
        for log in _logs(logs):
            if log.issue_id in wanted:
                issue = {"issueId": Raw(_encode(log.issue_id))}
                for history in log.change_histories:
                    self._add(log.issue_id, _records(history.pop("items", Raw(b"[]"))), issue | _told(history))

    def _add(self, issue_id: str, items: list[Record], history: Record) -> None:
        for place, item in enumerate(items):
            name = bytes(item.get("field", _NULL))
            if name == _MOVED:
                _later(self.moved, issue_id, history)
            elif name in _REMOTE:
                _later(self.linked, issue_id, history)
                self._link(issue_id, item.get("from", _NULL), item.get("to", _NULL))
            self.items.append({**history, **item, "item": Raw(b"%d" % place)})

    def _link(self, issue_id: str, before: Raw, after: Raw) -> None:
        """A link's id never comes again, so the order in which the changes are told does not matter."""
        if after != _NULL:
            self._there.setdefault(issue_id, set()).add(bytes(after))
        elif before != _NULL:
            self._gone.setdefault(issue_id, set()).add(bytes(before))

    def has_links(self, issue_id: str) -> bool:
        """Whether any link to a page is left of those that were made."""
        return bool(self._there.get(issue_id, set()) - self._gone.get(issue_id, set()))


def _later(known: dict[str, datetime], issue_id: str, history: Record) -> None:
    at = datetime.fromisoformat(_text(history["created"]))
    known[issue_id] = max(at, known.get(issue_id, at))


def _told(record: Record) -> Record:
    """With people in short, and times as texts: the bulk fetch of changelogs writes milliseconds."""
    for name in ("author", "updateAuthor"):
        if name in record:
            record[name] = _person(bytes(record[name]))
    created = record.get("created", _NULL)
    if bytes(created).isdigit():
        record["created"] = _moment(int(bytes(created)))
    return record


@lru_cache(maxsize=10_000)
def _person(person: bytes) -> Raw:
    try:
        told = _record(person)
    except msgspec.DecodeError:
        return Raw(person)  # nobody, or no person: the columns say what is wrong with it
    return Raw(_encode({name: value for name, value in told.items() if name not in _OF_USERS}))


def _moment(number: int) -> Raw:
    seconds = number / 1000 if number > _MILLISECONDS else number
    return Raw(_encode(datetime.fromtimestamp(seconds, UTC)))


def written(records: Iterable[Record | Raw]) -> bytes:
    """Records as the JSON array that a page of them would be."""
    return _encode(list(records))


def within(records: Raw | bytes, more: Mapping[str, Any]) -> bytes:
    """Records that stand inside of another one, with what that one says of them. Raises msgspec.DecodeError."""
    told = {name: Raw(_encode(value)) for name, value in more.items()}
    return written({**record, **told} for record in _records(records))
