"""What of Salesforce makes a stream: the objects and custom objects, the fields that are asked for, ids, marks of deletion.

Here belongs how one object's records become one stream's rows. Not here: when they are asked for, or any reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors import rows
from connectors.base import Choices, Read, SourceError, Stream
from connectors.columns import streams
from connectors.naming import field_of
from connectors.salesforce_api import SObject, filled

STREAMS = streams("salesforce")
_CUSTOM = STREAMS.pop("custom_object")
# The history of fields is dropped after 18 months, or some time later, without a mark:
# https://docs.releasenotes.salesforce.com/en-us/spring19/release-notes/rn_pds_field_history_tracking_deletion.htm
_HISTORY = timedelta(days=540)
_CUSTOM_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*__c", re.ASCII)


def custom(name: str) -> Read:
    """The read of a custom object, by its API name."""
    if not _CUSTOM_NAME.fullmatch(name):
        raise SourceError(f"{name[:80]!r} is no custom object: name it as the API does, such as Product_Request__c.")
    about = f"Records of the custom object {name}. One row per record, deleted ones kept and marked."
    return Read(name.lower(), (replace(_CUSTOM, name=name.lower(), source=name, description=about),))


@dataclass(frozen=True)
class Source:
    """What is asked of one object for one stream, and how its records become rows. `stamp`: the field that moves when a
    record changes, or that tells when it was made; `formulas`: those of the fields that are calculated."""

    stream: Stream
    sobject: SObject
    fields: tuple[str, ...]
    stamp: str
    formulas: tuple[str, ...]
    decoder: rows.Decoder
    names: Mapping[str, str]  # the fields that the settings name by their labels, for the next read to remember
    lost: frozenset[str]  # columns whose field cannot be seen

    @classmethod
    def of(cls, stream: Stream, sobject: SObject, choices: Choices, remembered: Mapping[str, str]) -> Source:
        sources = filled_by(stream, sobject, choices, remembered)
        # Reading itself needs these, whatever people chose.
        needed = {*stream.key, stream.version, "is_deleted", "created_date", "Id", "IsDeleted", "SystemModstamp", "CreatedDate"}
        without = choices.without.get(stream.name, frozenset()) - needed
        left_out = {sources.get(name, name).lower() for name in without}
        fields = tuple(sorted(field for field in sobject.fields if field.lower() not in left_out))
        decoder = rows.Decoder(
            stream,
            sources=sources,
            drop=("attributes",),  # wrapping: the type and address of each record
            without=without,
            finish=_long_ids,
            deleted=_deleted if sobject.flagged else rows.nothing_deleted,
        )
        formulas = tuple(field for field in fields if sobject.fields[field].calculated)
        mapped = choices.fields.get(stream.name, {})
        names = {mapped[column]: field for column, field in sources.items() if not sobject.named(mapped.get(column, field))}
        lost = frozenset(column for column, _ in wanted(stream, choices)) - sources.keys() - without
        return cls(stream, sobject, fields, stamp_of(stream), formulas, decoder, names, lost)

    @property
    def name(self) -> str:
        return self.sobject.name

    @property
    def moved(self) -> str:
        """The field that tells whether two parts of a record are of one version."""
        return "SystemModstamp" if "SystemModstamp" in self.sobject.fields else self.stamp

    def shows_more(self, known: Mapping[str, Any]) -> bool:
        """Whether fields have come since a read that ended at this cursor, or another one has the label that the settings
        name: neither moves the records that have it."""
        if "fields" not in known:
            return False
        come = set(self.fields) - set(known["fields"])
        return bool(come) or any(known.get("names", {}).get(label, field) != field for label, field in self.names.items())

    def gone(self, known: Mapping[str, Any]) -> frozenset[str]:
        """Fields that were shown to earlier reads."""
        return frozenset({*known.get("fields", ()), *known.get("gone", ())} - set(self.fields))

    def changed(self, since: datetime | None) -> list[str]:
        """Conditions on what has changed. What has no stamp that moves is asked for while it lies in the bin."""
        if since is None:
            return []
        binned = self.stamp == "CreatedDate" and self.sobject.flagged
        return [filled(f"({self.stamp} >= {{}} OR IsDeleted = true)" if binned else f"{self.stamp} >= {{}}", since)]

    def kept_since(self, until: datetime) -> datetime | None:
        """From when on Salesforce surely has what was made; what is older and not there any more was not deleted."""
        return until - _HISTORY if self.name.endswith("FieldHistory") else None

    def living(self, since: datetime | None, made: datetime | None = None, before: datetime | None = None) -> list[str]:
        """Conditions on what must stand in the table, of what was made from a moment on and before another."""
        return [
            *(["IsDeleted = false"] if self.sobject.flagged else []),
            *([filled(f"{self.stamp} >= {{}}", since)] if since else []),
            *([filled("CreatedDate >= {}", made)] if made else []),
            *([filled("CreatedDate < {}", before)] if before else []),
        ]


def stamp_of(stream: Stream) -> str:
    """The field that tells what has changed; of histories, which never do, what is new."""
    return "SystemModstamp" if stream.version else "CreatedDate"


def wanted(stream: Stream, choices: Choices) -> Iterator[tuple[str, str]]:
    """The fields that columns come from: (column, field), by name or, where the settings say so, by label."""
    mapped = choices.fields.get(stream.name, {})
    for column in stream.columns:
        if field := column.source or mapped.get(column.name, ""):
            yield column.name, field


def filled_by(stream: Stream, sobject: SObject, choices: Choices, remembered: Mapping[str, str]) -> dict[str, str]:
    """The names of those fields by column, without those that cannot be seen. `remembered`: what the last read found by
    label."""
    mapped = choices.fields.get(stream.name, {})
    found: dict[str, str] = {}
    for column, field in wanted(stream, choices):
        name = sobject.named(field)
        if name is None and column in mapped:
            name = field_of(f"salesforce.fields.{stream.name}.{column}", field, sobject.labels, remembered.get(field))
        if name is not None:
            found[column] = name
    return found


def _deleted(table: pa.Table) -> pa.ChunkedArray:
    moved = "system_modstamp" if "system_modstamp" in table.column_names else "created_date"
    return rows.deleted_where(table["is_deleted"], table[moved])


def _long_ids(table: pa.Table) -> pa.Table:
    """Ids come with 15 characters or 18; the last three tell upper from lower case, for whoever compares without it."""
    for place, name in enumerate(table.column_names):
        if name == "id" or name.endswith("_id"):
            short = pc.equal(pc.utf8_length(table[name]), 15)
            if pc.any(short).as_py():
                table = table.set_column(place, name, pa.array(map(long_id, table[name].to_pylist()), pa.string()))
    return table


def long_id(record_id: str | None) -> str | None:
    """The 18 characters of an id: https://help.salesforce.com/s/articleView?id=000385585"""
    if record_id is None or len(record_id) != 15:
        return record_id
    upper = ["".join("01"[letter.isascii() and letter.isupper()] for letter in record_id[at : at + 5]) for at in (0, 5, 10)]
    return record_id + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[int(bits[::-1], 2)] for bits in upper)
