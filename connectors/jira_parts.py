"""How Jira's replies come apart: an issue carries its comments and links, and repeats of other records what names them.

Here belongs the way from a reply's JSON to the records of one stream each, by pure functions. Not here: changelogs
(`jira_history`), how the reply is asked for, or what the columns are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from connectors.rows import Item, Record, apart

_NULL = Raw(b"null")
_ADDRESS = frozenset(("self",))

# What Jira repeats of other records, by the field that holds them: their own rows say it as well, and say it still when it
# has changed, of which the issue knows nothing. Addresses (`self`) are another for each way to the site, and say no more
# than the id.
_USER = frozenset(("self", "avatarUrls", "active", "timeZone", "accountType", "locale", "key", "name"))
_WRITER = _USER | {"emailAddress"}
_LISTED = frozenset(("self", "description", "iconUrl", "avatarId", "entityId", "subtask", "hierarchyLevel", "statusColor"))
_REPEATED: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("assignee", "reporter", "creator"), _USER),
    **dict.fromkeys(("status", "issuetype", "priority", "resolution"), _LISTED),
    "project": frozenset(("self", "name", "avatarUrls", "projectTypeKey", "simplified", "projectCategory")),
    "parent": frozenset(("self", "fields")),
    **dict.fromkeys(("components", "fixVersions", "versions"), frozenset(("self", "description"))),
}

_encode = msgspec.json.Encoder().encode
_record = msgspec.json.Decoder(Record).decode
_text = msgspec.json.Decoder(str).decode


class _End(msgspec.Struct):
    """An issue as others mention it."""

    id: str
    key: str


class _Comments(msgspec.Struct):
    comments: list[Record]
    total: int


_end = msgspec.json.Decoder(_End).decode
_comments = msgspec.json.Decoder(_Comments).decode
_records = msgspec.json.Decoder(list[Record]).decode


@dataclass
class Issues:
    """What some issues carry: themselves, and the records of other streams that came with them."""

    issues: list[Item] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    comments: list[Record] = field(default_factory=list)
    links: dict[str, Record] = field(default_factory=dict)  # by id: a link shows at both of its ends
    cut: list[str] = field(default_factory=list)  # ids of issues that have more comments than came with them

    def add(self, issues: Raw) -> None:
        """Raises msgspec.DecodeError if it is no list."""
        for issue in apart(issues):
            if not isinstance(issue, dict) or not (named := _named(issue)):
                self.issues.append(issue)  # no issue: the columns say what is wrong with it
                continue
            issue_id, fields = named
            self.ids.append(issue_id)
            values = {name: value for name, value in fields.items() if value != _NULL}  # sites have hundreds of fields
            if comments := values.pop("comment", None):
                self._add_comments(issue_id, _comments(comments))
            if links := values.pop("issuelinks", None):
                for link in _records(links):
                    self._add_link(_End(issue_id, _text(issue["key"])), link)
            for name, repeated in _REPEATED.items():
                if name in values:
                    values[name] = _short(bytes(values[name]), repeated)
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


def _named(issue: Record) -> tuple[str, Record] | None:
    try:
        return _text(issue["id"]), _record(issue["fields"])
    except (msgspec.DecodeError, KeyError):
        return None


def comments_of(issue_id: str, comments: Iterable[Record]) -> list[Record]:
    """Comments that say whose they are."""
    return [told({**comment, "issueId": Raw(_encode(issue_id))}) for comment in comments]


def worklogs_of(logs: Raw | bytes) -> list[Record]:
    return [told(log) for log in _records(logs)]


def remote_links_of(issue_id: str, links: bytes) -> list[Record]:
    return [{**link, "issueId": Raw(_encode(issue_id))} for link in _records(links)]


def told(record: Record) -> Record:
    """With people in short."""
    for name in ("author", "updateAuthor"):
        if name in record:
            record[name] = _short(bytes(record[name]), _WRITER)
    return record


@lru_cache(maxsize=20_000)  # the same few come again and again
def _short(value: bytes, repeated: frozenset[str]) -> Raw:
    """A record, or a list of some, without what is repeated, and without addresses below."""
    return Raw(_encode(_without(msgspec.json.decode(value), repeated)))


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_without(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _without(each, _ADDRESS) for name, each in value.items() if name not in names}


def within(records: Raw | bytes, more: Mapping[str, Any]) -> list[Record]:
    """Records that stand inside of another one, with what that one says of them. Raises msgspec.DecodeError."""
    told = {name: Raw(_encode(value)) for name, value in more.items()}
    return [{**record, **told} for record in _records(records)]
