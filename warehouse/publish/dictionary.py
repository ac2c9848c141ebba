"""The data dictionary: what each unified table and column means, where it comes from and how fresh it is, on one page.

It shows a few rows as examples, and of those nothing that tells of a person: a column is personal if any field that it is
made from is, and where nobody can say what it is made from, its text is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from jinja2 import Environment, StrictUndefined

from warehouse.engine import Warehouse, verbatim
from warehouse.publish.catalog import Entry, catalog
from warehouse.schema import Column, RawTable

FILE = "dictionary.html"
EXAMPLES = 3
TEMPLATE = Path(__file__).parent / FILE
_MINTED = ("customer_id", "feature_id", "gap_id")  # by us, or a tool's number: they tell of no person
_NOBODY = ("integer", "double", "decimal", "boolean", "date", "timestamp")

Lineage = Mapping[str, Mapping[str, Sequence[str]]]  # unified table → column → schema.table.column


@dataclass(frozen=True)
class _Shown:
    name: str
    type: str
    description: str
    in_key: bool
    sources: Sequence[str]
    personal: bool
    examples: Sequence[str]


def publish(warehouse: Warehouse, folder: Path, raw: Sequence[RawTable], fields: Mapping[str, str]) -> Path:
    """Writes `folder`/dictionary.html aside and renames it in. `fields`: raw column, as schema.table.column → what the vendor
    calls it."""
    with warehouse.begin("write the dictionary") as connection:
        lineage = _lineage(connection)
        fresh = {row["table_name"]: row for row in connection.execute(verbatim("select * from unified.tables")).mappings()}
        standing = connection.execute(
            verbatim("select table_name from information_schema.tables where table_schema = 'unified'")
        )
        present = set(standing.scalars())
        personal = {f"{t.schema}.{t.name}.{c.name}" for t in raw for c in t.columns if c.personal or c.name == "extra"}
        tables = [
            {"entry": entry, "fresh": fresh.get(entry.name), "columns": _columns(connection, entry, lineage, personal, fields)}
            for entry in catalog()
            if entry.name in present
        ]
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = page.from_string(TEMPLATE.read_text(encoding="utf-8")).render(tables=tables)
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{FILE}.new"
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, folder / FILE)
    return folder / FILE


def _lineage(connection: sa.Connection) -> Lineage:
    rows = connection.execute(verbatim("select table_name, lineage from sync.builds"))
    return {name.removeprefix("unified."): json.loads(found) for name, found in rows}


def _roots(lineage: Lineage, table: str, column: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """The columns outside the models that a model's column is made from."""
    roots: set[str] = set()
    for source in lineage.get(table, {}).get(column, []):
        schema, name, field = source.split(".", 2)
        if schema == "unified" and name in lineage and source not in seen:
            roots |= _roots(lineage, name, field, seen | {source})
        else:
            roots.add(source)
    return roots


def _columns(
    connection: sa.Connection, entry: Entry, lineage: Lineage, personal: set[str], fields: Mapping[str, str]
) -> list[_Shown]:
    names = ", ".join(f'"{column.name}"' for column in entry.columns)
    order = ", ".join(f'"{name}"' for name in entry.key)
    table = f'unified."{entry.name}"'
    some = f"where day = (select max(day) from {table})" if "day" in entry.by else ""  # to sort all of a large one takes long
    query = f"select {names} from {table} {some} order by {order} limit {EXAMPLES}"
    rows = connection.execute(verbatim(query)).all()
    shown = []
    for at, column in enumerate(entry.columns):
        known = entry.source in lineage and column.name in lineage[entry.source or ""]
        roots = _roots(lineage, entry.source or "", column.name)
        hidden = _tells_of_a_person(column, roots, personal, known)
        values = ["—" if hidden or row[at] is None else _short(row[at]) for row in rows]
        sources = sorted(f"{root} ({fields[root]})" if root in fields else root for root in roots)
        shown.append(_Shown(column.name, column.type, column.description, column.name in entry.key, sources, hidden, values))
    return shown


def _tells_of_a_person(column: Column, roots: set[str], personal: set[str], known: bool) -> bool:
    if column.name in _MINTED:
        return False
    if column.personal or roots & personal:
        return True
    proven = known and not any(root.startswith(("unified.", "sync.")) for root in roots)
    return not proven and column.type not in _NOBODY


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
