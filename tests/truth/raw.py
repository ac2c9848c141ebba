"""What the raw tables must hold, of every stream of every tool: which records there are, which are deleted, every column.

Here belongs what a table keeps of records that are gone. What the vendors show of the living stands beside it, by tool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.columns import streams
from connectors.sandbox.world import World
from tests.truth import raw_jira, raw_pendo, raw_salesforce, raw_zendesk
from tests.truth.cases import Case, Key, Row

_CASES = {
    "salesforce": raw_salesforce.CASES,
    "jira": raw_jira.CASES,
    "zendesk": raw_zendesk.CASES,
    "pendo": raw_pendo.CASES,
}
_ELSEWHERE = ("currency_types", "dated_conversion_rates")  # this company has one currency
TABLES: Mapping[str, Case] = {
    f"{tool}.{name}": case for tool, cases in _CASES.items() for name, case in cases.items() if name not in _ELSEWHERE
}
_STREAMS = {f"{tool}.{name}": stream for tool in _CASES for name, stream in streams(tool).items()}


@dataclass
class Shown:
    """What the vendors have shown of a world so far."""

    world: World
    _met: dict[str, set[Key]] = field(default_factory=dict)

    def tonight(self) -> dict[str, dict[Key, Row]]:
        """By table and key: `deleted`, and the columns of all that live. What came and went unseen need not be there."""
        return {table: self._table(table, case.rows(self.world)) for table, case in TABLES.items()}

    def _table(self, table: str, alive: dict[Key, Row]) -> dict[Key, Row]:
        met = self._met.setdefault(table, set())
        met |= alive.keys()
        # What moves without a change of the record stands as it was when that last changed.
        moving = {column.name for column in _STREAMS[table].columns if column.volatile} if table in _STREAMS else set()
        kept = {key: {name: value for name, value in row.items() if name not in moving} for key, row in alive.items()}
        return {key: {"deleted": key not in alive, **kept.get(key, {})} for key in met}


def as_shown(row: Mapping[str, Any], expected: Row) -> Row:
    """A row of a raw table, in the form and with the columns of the expected one."""
    plain = {name: row[name] for name in expected if name != "deleted"}
    for name, value in expected.items():
        if isinstance(value, list | dict) and isinstance(plain[name], str):
            plain[name] = json.loads(plain[name])
    return {"deleted": row["_deleted_at"] is not None, **plain}


def by_key(table: str, found: Sequence[Mapping[str, Any]]) -> dict[Key, Mapping[str, Any]]:
    key = _STREAMS[table].key if table in _STREAMS else ("id",)  # custom objects are declared by the settings
    return {tuple(row[name] for name in key): row for row in found}


def check(table: str, found: Sequence[Mapping[str, Any]], shown: Mapping[Key, Row]) -> None:
    """No row twice, every record with its columns, the deleted ones marked. Beside them there may stand records that
    were deleted before anybody looked, if they are marked so."""
    rows = by_key(table, found)
    assert len(rows) == len(found), f"{table}: a row stands twice"
    assert shown.keys() <= rows.keys(), f"{table} lacks {list(shown.keys() - rows.keys())[:5]}"
    for at, expected in shown.items():
        said = as_shown(rows[at], expected)
        assert said == expected, (table, at, {name: said[name] for name in expected if said[name] != expected[name]})
    assert all(rows[at]["_deleted_at"] is not None for at in rows.keys() - shown.keys()), table
