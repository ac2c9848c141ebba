"""How the history of tickets is read: what was set and changed, and what people wrote, all from one export by time.

Here belongs what an update of a ticket consists of. Not here: how an export goes on and ends, or any other stream.

The export tells in its own stream what becomes of what it told before: a ticket is deleted, and its history with it; it
comes back; a comment is redacted or hidden. A ticket that came back or whose comments changed is read anew by itself: one
request for each hundred of its updates, on top of the one for each 1,000 updates of all tickets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import rows
from connectors.base import Batch, Cursor, Present, Read, Reject, SourceError, Stream
from connectors.html_text import plain
from connectors.rows import Record
from connectors.zendesk_asking import STREAMS, from_epoch, lacking
from connectors.zendesk_exports import EVERY_TICKET, Exports, Tally, reached

Page = dict[str, rows.Page]  # by stream

_NULL = Raw(b"null")
_COMMENT, _STATUS, _TAGS, _DELETED = (Raw(b'"%s"' % word) for word in (b"Comment", b"status", b"tags", b"deleted"))
_OF_FIELDS = (Raw(b'"Create"'), Raw(b'"Change"'))
_OF_AN_UPDATE = frozenset(
    {"id", "ticket_id", "created_at", "updater_id", "author_id", "child_events", "events", "event_type", "timestamp"}
)
# What a changed field may stand beside in the export, which has it under its own name: a ticket's type as `type`.
_BESIDE_A_FIELD = frozenset({
    "id", "via", "via_reference_id", "previous_value", "audit_id", "created_at", "added_tags", "removed_tags", "metadata",
    "ticket_id",
})  # fmt: skip
_items = msgspec.json.Decoder(list[Raw])
_object = msgspec.json.Decoder(Record)
_objects = msgspec.json.Decoder(list[Record] | None)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode


class _Audits(msgspec.Struct):
    """The history of one ticket, in the words of another endpoint than the export's."""

    audits: Raw
    meta: dict[str, Any] = {}
    links: dict[str, Any] = {}


@dataclass
class _Told:
    """What updates tell: their parts by stream, whose they are, tickets that are gone, and such as must be read anew."""

    parts: dict[str, list[Record]] = field(default_factory=lambda: {"ticket_events": [], "comments": []})
    gone: set[int] = field(default_factory=set)
    anew: set[int] = field(default_factory=set)
    tickets: set[int] = field(default_factory=set)
    rejects: list[Reject] = field(default_factory=list)

    def add(self, updates: Raw) -> _Told:
        """Raises msgspec.DecodeError if it is no list."""
        told = []
        for item in _items.decode(updates):
            try:
                update = _object.decode(item)
                parts = _objects.decode(update.get("child_events", update.get("events", _NULL)))
                told.append((update, parts or []))
            except msgspec.DecodeError:
                self.rejects.append(Reject("ticket_events", None, None, "the update is none", bytes(item).decode()))
        for update, parts in sorted(told, key=_order):
            self._add(update, parts)
        return self

    def _add(self, update: Record, parts: list[Record]) -> None:
        rest = {name: value for name, value in update.items() if name not in _OF_AN_UPDATE}
        if isinstance(ticket := _decode(update.get("ticket_id", _NULL)), int):
            self.tickets.add(ticket)
        for part in parts:
            kind = part.pop("event_type" if "event_type" in part else "type", _NULL)
            part |= {"ticket_id": update.get("ticket_id", _NULL), "audit_id": update.get("id", _NULL)}
            part.setdefault("created_at", update.get("created_at", _NULL))
            if kind == _COMMENT:
                part.pop("type", None)
                _complete(part, update)
                self.parts["comments"].append(part)
                continue
            if kind in _OF_FIELDS:
                _name_the_field(part)
            self._heed(part)
            part |= {"event_type": kind, "updater_id": update.get("updater_id", update.get("author_id", _NULL))}
            if rest:  # what else the update says stands beside the first of its parts
                part["update"], rest = Raw(_encode(rest)), {}
            self.parts["ticket_events"].append(part)

    def _heed(self, part: Record) -> None:
        ticket = _decode(part["ticket_id"])
        if ticket not in self.tickets:
            return  # it is none, as the columns will say
        status = part.get("field_name") == _STATUS
        if status and part["value"] == _DELETED:
            self.gone.add(ticket)
            self.anew.discard(ticket)
        elif status and part.get("previous_value") == _DELETED:
            self.gone.discard(ticket)
            self.anew.add(ticket)
        elif "comment_id" in part and ticket not in self.gone:
            self.anew.add(ticket)


class History(Exports):
    """Ticket events and comments."""

    def history(self, read: Read, cursor: Cursor) -> Iterator[Batch]:
        names = [stream.name for stream in read.streams]
        start = self.begin(cursor)
        tallies = {name: Tally(from_epoch(start), "created_at") for name in names}
        gone: set[int] = set()
        asked = {"include": "comment_events", **EVERY_TICKET}
        for response, export, over in self.by_time(read.streams[0], start, asked):
            told = self._told(export.ticket_events, response)
            told.gone |= gone & told.tickets - told.anew  # what still comes of a ticket went with it
            anew = self._anew(told, response)
            pages = self._rows(told, names, response)
            tables = {name: pa.concat_tables([each[name].table for each in (pages, *anew)]) for name in names}
            for name, table in tables.items():
                tallies[name].add(table)
            gone = (gone | told.gone) - told.anew
            cursor = reached(cursor, export)
            yield Batch(
                cursor,
                tables,
                (*told.rejects, *(reject for each in (pages, *anew) for name in names for reject in each[name].rejects)),
                {name: _present(STREAMS[name], told, anew) for name in names if told.gone or told.anew},
                {name: tally.count(gone) for name, tally in tallies.items()} if over else {},
                self.settled if over else None,
            )

    def _told(self, updates: Raw, response: Response) -> _Told:
        try:
            return _Told().add(updates)
        except msgspec.DecodeError:
            raise self.surprise(response, "no list of updates") from None

    def _rows(self, told: _Told, names: Iterable[str], response: Response) -> Page:
        return {name: self.page(name, told.parts[name], response) for name in names}

    def _anew(self, told: _Told, response: Response) -> list[Page]:
        """The whole history of the tickets that must be read anew. Some may be gone by now."""
        found = []
        for ticket in sorted(told.anew):
            try:
                history, response = self._audits(ticket)
            except SourceError as error:
                if not lacking(error):
                    raise
                told.gone.add(ticket)
                continue
            pages = self._rows(history, told.parts, response)
            found.append({name: rows.Page(self._since(page.table), page.rejects) for name, page in pages.items()})
        told.anew -= told.gone
        return found

    def _audits(self, ticket: int) -> tuple[_Told, Response]:
        told = _Told()
        address = f"/api/v2/tickets/{ticket}/audits.json?page[size]=100"
        while True:
            response = self.get(address)
            reply = self.decoded(response, _Audits)
            try:
                told.add(reply.audits)
            except msgspec.DecodeError:
                raise self.surprise(response, "no list of audits") from None
            if not (reply.meta.get("has_more") and reply.links.get("next")):
                return told, response
            address = reply.links["next"]

    def _since(self, table: pa.Table) -> pa.Table:
        if self.since is None:
            return table
        return table.filter(pc.greater_equal(table["created_at"], pa.scalar(self.since, table["created_at"].type)))


def _present(stream: Stream, told: _Told, anew: list[Page]) -> Present:
    ids = [page[stream.name].table["id"] for page in anew]
    keys = pa.concat_tables([rows.table_of(stream, {"id": each}) for each in (*ids, [])])
    return Present(keys, rows.table_of(stream, {"ticket_id": sorted(told.gone | told.anew)}))


def _order(told: tuple[Record, list[Record]]) -> tuple[bytes, int, bytes]:
    """Updates in the order in which they were made."""
    update_id = bytes(told[0].get("id", _NULL))
    return bytes(told[0].get("created_at", _NULL)), len(update_id), update_id


def _name_the_field(part: Record) -> None:
    """The export has the value under the field's own name, a custom field's one level below; the audits name the field."""
    if "field_name" in part:
        value = part.pop("value", _NULL)
        if part["field_name"] == _TAGS and "previous_value" in part:
            _compare_tags(part, value)
    else:
        name = next((name for name in part if name not in _BESIDE_A_FIELD), None)
        if name is None:
            return
        value = part.pop(name)
        if name == "custom_ticket_fields" and bytes(value).startswith(b"{"):
            values = _object.decode(value)
            if len(values) == 1:
                ((name, value),) = values.items()
        part["field_name"] = Raw(_encode(name))
    part["value"] = _text(value)
    if "previous_value" in part:
        part["previous_value"] = _text(part["previous_value"])


def _compare_tags(part: Record, value: Raw) -> None:
    """As the export tells it: what was added and removed, not what stood there before."""
    after, before = (_decode(tags) or [] for tags in (value, part.pop("previous_value", _NULL)))
    if isinstance(after, list) and isinstance(before, list):
        part["added_tags"] = Raw(_encode([tag for tag in after if tag not in before]))
        part["removed_tags"] = Raw(_encode([tag for tag in before if tag not in after]))


def _text(value: Raw) -> Raw:
    """A value as text: of a list or an object, a number or a truth value its JSON."""
    text = bytes(value)
    return value if text[:1] in (b'"', b"n") else Raw(_encode(text.decode()))


def _complete(comment: Record, update: Record) -> None:
    """Gives a comment what only one of the two endpoints tells."""
    via = comment.get("via") or update.get("via", _NULL)
    comment["via"] = Raw(b'{"channel":' + bytes(via) + b"}") if bytes(via).startswith(b'"') else via
    if comment.get("plain_body", _NULL) == _NULL:
        written = _decode(comment.get("html_body", _NULL)) or _decode(comment.get("body", _NULL))
        if isinstance(written, str):
            comment["plain_body"] = Raw(_encode(plain(written)))
