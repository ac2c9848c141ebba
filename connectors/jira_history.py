"""How changelogs become rows, one for each changed field: as a rule all of a reply at once.

Here belongs the form of Jira's changelogs, and what they tell about links to pages and about moves. Not here: how they are
asked for, or whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pyarrow as pa
from msgspec import UNSET, Raw, UnsetType

from connectors import rows
from connectors.base import ARROW
from connectors.jira_parts import told
from connectors.rows import Record

# Jira called issues work items from 2025 on; what was written before kept its name.
_REMOTE = ("RemoteIssueLink", "RemoteWorkItemLink")
_MOVED = "Key"
_REPEATED = ("tmpFromAccountId", "tmpToAccountId")
_TELLING = frozenset((*_REMOTE, _MOVED))
_LAST = datetime.max.replace(tzinfo=UTC)
_SECONDS = 10**11  # below it, a time cannot be in milliseconds

_encode = msgspec.json.Encoder(order="sorted").encode
_Id = Annotated[str, msgspec.Meta(min_length=1)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_000)]  # up to the year 9999
_Any = Raw | UnsetType


class _Item(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    field: str | None = None
    field_type: str | None = msgspec.field(default=None, name="fieldtype")
    field_id: str | None = None
    from_value: str | None = msgspec.field(default=None, name="from")
    from_string: str | None = None
    to_value: str | None = msgspec.field(default=None, name="to")
    to_string: str | None = None
    tmp_from_account_id: _Any = UNSET  # repeat the values where these are people
    tmp_to_account_id: _Any = UNSET


class _Person(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """All but the first two is in the person's own row of `users`."""

    account_id: str | None = None
    display_name: str | None = None
    self_: _Any = msgspec.field(default=UNSET, name="self")
    avatar_urls: _Any = UNSET
    email_address: _Any = UNSET
    active: _Any = UNSET
    time_zone: _Any = UNSET
    account_type: _Any = UNSET
    locale: _Any = UNSET
    key: _Any = UNSET
    name: _Any = UNSET


class _Entry(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    id: _Id
    created: _Milliseconds
    items: list[_Item]
    author: _Person | None = None
    history_metadata: _Any = UNSET


class _Log(msgspec.Struct, rename="camel", gc=False):
    issue_id: str
    change_histories: list[_Entry]


class _Unfit(msgspec.Struct, rename="camel"):
    """A changelog with an entry that is not just as expected."""

    issue_id: str
    change_histories: list[Record]


_logs = msgspec.json.Decoder(list[_Log]).decode
_one_by_one = msgspec.json.Decoder(list[Raw]).decode
_log = msgspec.json.Decoder(_Log).decode
_unfit = msgspec.json.Decoder(_Unfit).decode
_records = msgspec.json.Decoder(list[Record]).decode
_any = msgspec.json.Decoder().decode


@dataclass
class Histories:
    """What was changed on some issues."""

    moved: dict[str, datetime] = field(default_factory=dict)  # issues with a new key, and since when
    linked: dict[str, datetime] = field(default_factory=dict)  # issues whose links to pages changed, and when last
    # Of each changed field: its issue, the entry that tells of it, its place in there, and itself.
    _issues: list[str] = field(default_factory=list)
    _entries: list[_Entry] = field(default_factory=list)
    _places: list[int] = field(default_factory=list)
    _items: list[_Item] = field(default_factory=list)
    _others: list[Record] = field(default_factory=list)  # of entries that are not just as expected
    _there: dict[str, set[str]] = field(default_factory=dict)
    _gone: dict[str, set[str]] = field(default_factory=dict)

    def add(self, logs: Raw, wanted: frozenset[str]) -> None:
        """Of the wanted issues. Raises msgspec.DecodeError if it is no list of changelogs."""
        try:
            for log in _logs(logs):
                self._add(log, wanted)
        except msgspec.ValidationError:
            for each in _one_by_one(logs):
                try:
                    self._add(_log(each), wanted)
                except msgspec.ValidationError:
                    self._add_others(_unfit(each), wanted)

    def _add(self, log: _Log, wanted: frozenset[str]) -> None:
        for entry in log.change_histories if log.issue_id in wanted else ():
            items = entry.items
            self._issues += [log.issue_id] * len(items)
            self._entries += [entry] * len(items)
            self._places += range(len(items))
            self._items += items
            for item in items:
                if item.field in _TELLING:
                    self._note(log.issue_id, item.field, entry.created, item.from_value, item.to_value)

    def _add_others(self, log: _Unfit, wanted: frozenset[str]) -> None:
        issue_id = Raw(_encode(log.issue_id))
        for entry in log.change_histories if log.issue_id in wanted else ():
            history = told({"issueId": issue_id, **entry})
            created = _any(history.get("created", b"null"))
            if isinstance(created, int) and (at := _moment(created)) != _LAST:
                history["created"] = Raw(_encode(at))
            for place, item in enumerate(_records(history.pop("items", Raw(b"[]")))):
                kept = {key: value for key, value in item.items() if key not in _REPEATED}
                self._others.append({**history, **kept, "item": Raw(b"%d" % place)})
                name, before, after = (_any(item.get(key, b"null")) for key in ("field", "from", "to"))
                if name in _TELLING:
                    self._note(log.issue_id, name, created, before, after)

    def _note(self, issue_id: str, name: str, created: Any, before: Any, after: Any) -> None:
        """A link's id never comes again, so the order in which the changes are told does not matter."""
        known, at = self.moved if name == _MOVED else self.linked, _moment(created)
        known[issue_id] = max(at, known.get(issue_id, at))
        if name in _REMOTE and after is not None:
            self._there.setdefault(issue_id, set()).add(after)
        elif name in _REMOTE:
            self._gone.setdefault(issue_id, set()).add(before)

    def has_links(self, issue_id: str) -> bool:
        """Whether any link to a page is left of those that were made."""
        return bool(self._there.get(issue_id, set()) - self._gone.get(issue_id, set()))

    def page(self, decoder: rows.Decoder, without: frozenset[str]) -> rows.Page:
        """The rows of all that was added. Entries are taken apart by the decoder where they have more than is declared."""
        page = decoder.page(self._others)
        return rows.Page(pa.concat_tables([self._table(decoder, without), page.table]), page.rejects)

    def _table(self, decoder: rows.Decoder, without: frozenset[str]) -> pa.Table:
        """The same that the decoder makes of entries which hold just what is declared, in a fifth of the time."""
        entries, items = self._entries, self._items
        people = [entry.author or _NOBODY for entry in entries]
        values: dict[str, list[Any]] = {
            "history_id": [entry.id for entry in entries],
            "item": self._places,
            "issue_id": self._issues,
            "created": [_microseconds(entry.created) for entry in entries],
            "author_account_id": [person.account_id for person in people],
            "author_name": [person.display_name for person in people],
            "field": [item.field for item in items],
            "field_id": [item.field_id for item in items],
            "field_type": [item.field_type for item in items],
            "from_value": [item.from_value for item in items],
            "from_string": [item.from_string for item in items],
            "to_value": [item.to_value for item in items],
            "to_string": [item.to_string for item in items],
        }
        columns = {
            column.name: pa.array(values[column.name], ARROW[column.type])
            if column.name not in without
            else pa.nulls(len(items), ARROW[column.type])
            for column in decoder.stream.columns
        }
        wanted = "historyMetadata" not in without
        extra = pa.array([_extra(entry) if wanted else None for entry in entries], pa.string())
        return pa.table({**columns, "extra": extra, "_deleted_at": pa.nulls(len(items), ARROW["timestamp"])})


def _microseconds(created: int) -> int:
    """The bulk fetch writes milliseconds; the vendor's own example has seconds."""
    return created * (1000 if created > _SECONDS else 1_000_000)


def _moment(created: Any) -> datetime:
    """Also of a text, which the description says it is. Of what is no time: the last there is, to miss nothing."""
    try:
        if isinstance(created, int):
            return datetime.fromtimestamp(_microseconds(created) / 1_000_000, UTC)
        return datetime.fromisoformat(created).astimezone(UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return _LAST


def _extra(entry: _Entry) -> bytes | None:
    return None if entry.history_metadata is UNSET else _encode({"historyMetadata": entry.history_metadata})


_NOBODY = _Person()
