"""Which of Jira's fields are asked for, and which fill the columns that the settings map: by id, or by a name that can change.

Here belong custom fields and what of them a person would see. Not here: the columns themselves, which are data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from connectors import adf, rows
from connectors.base import Read
from connectors.jira_asking import STREAMS, WRAPPING, Asking
from connectors.naming import field_of

_ID = re.compile(r"customfield_\d+")
_OWN = {"comment": "comments", "issuelinks": "issue_links", "worklog": "worklogs"}  # fields that are streams of their own


class _Field(msgspec.Struct):
    id: str
    name: str


@dataclass(frozen=True)
class Resolved:
    """The ids of the mapped fields by column, and those that were found by name: a field that is renamed later is found
    by the id that it had under the name."""

    ids: Mapping[str, str]
    names: Mapping[str, str]


class Fields(Asking):
    """Knows the fields of issues."""

    @property
    def mapped(self) -> Mapping[str, str]:
        wanted = self.choices.fields.get("issues", {})
        return {column: field for column, field in wanted.items() if column not in self.without("issues")}

    @property
    def names_fields(self) -> bool:
        """Whether any field is named by its name, so that Jira must be asked which one that is."""
        return not all(_ID.fullmatch(wanted) for wanted in self.mapped.values())

    def resolved(self, remembered: Mapping[str, str]) -> Resolved:
        """The mapped fields, which the settings name by id or name. One that is not visible is left out.
        `remembered`: what the last read found by name."""
        if not self.names_fields:
            return Resolved(self.mapped, {})
        known = self.decoded(self.get("field"), list[_Field])
        pairs = [(field.id, field.name) for field in known]
        found = {
            column: field_of(f"jira.fields.issues.{column}", wanted, pairs, remembered.get(wanted))
            for column, wanted in self.mapped.items()
        }
        ids = {column: field for column, field in found.items() if field}
        by_name = {wanted: ids[column] for column, wanted in self.mapped.items() if column in ids and ids[column] != wanted}
        return Resolved(ids, by_name)

    def issues_decoder(self, fields: Resolved) -> rows.Decoder:
        ids = fields.ids
        shown = {column: _SHOWN.get(column, chosen) for column in ids}
        return rows.Decoder(
            STREAMS["issues"],
            sources={column: f"fields.{field}" for column, field in ids.items()},
            values={"description_text": adf.plain, **shown},
            drop=WRAPPING,
            without=self.without("issues"),
        )

    def asked_fields(self, read: Read) -> list[str]:
        """What to ask for with each issue. Comments come with it where they are wanted; logged work is cut off in there."""
        names = {stream.name for stream in read.streams}
        wanted = [field for field, stream in _OWN.items() if stream in names]
        if "issues" not in names:
            return wanted
        return ["*all", *(f"-{field}" for field in (*_OWN, *self._unwanted()) if field not in wanted)]

    def _unwanted(self) -> Iterable[str]:
        """Fields of which nothing is wanted. One of them fills several columns."""
        without = self.without("issues")
        columns = {column.name: column for column in STREAMS["issues"].columns}
        filling: dict[str, set[str]] = {}
        for column in columns.values():
            if column.source.startswith("fields."):
                filling.setdefault(column.source.split(".")[1], set()).add(column.name)
        yield from sorted(name for name in without if name not in columns)
        yield from (field for field, names in filling.items() if names <= without)


def chosen(value: Any) -> Any:
    """What a custom field of any kind shows: the chosen option, several side by side, a person's name, a text."""
    if isinstance(value, list):
        return ", ".join(str(chosen(each)) for each in value if each is not None) or None
    if not isinstance(value, dict):
        return value
    if value.get("type") == "doc":
        return adf.plain(value)
    shown = next((value[key] for key in ("value", "name", "displayName", "key") if value.get(key) is not None), None)
    if shown is None:
        raise rows.Misfit("holds an object without a value or a name")
    return f"{shown} / {chosen(value['child'])}" if value.get("child") else shown


def _ids(value: Any) -> Any:
    """The ids of several things: sprints have names that are not unique."""
    if not isinstance(value, list) or not all(isinstance(each, dict) and "id" in each for each in value):
        raise rows.Misfit("is no list of things with ids")
    return ", ".join(str(each["id"]) for each in value) or None


_SHOWN = {"sprint_ids": _ids}
