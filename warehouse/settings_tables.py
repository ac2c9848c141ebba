"""Writes the settings that SQL joins: the schema `settings`, whole, at the start of each refresh.

Which settings there are is declared in `schema.py`; where they come from is the caller's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from warehouse.schema import SETTINGS, TYPES


def write(connection: sa.Connection, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Replaces every settings table by `rows` (table name → rows by column name). Every table must be named."""
    for declared in SETTINGS:
        columns = (sa.Column(column.name, TYPES[column.type]) for column in declared.columns)
        table = sa.Table(declared.name, sa.MetaData(), *columns, schema=declared.schema)
        connection.execute(table.delete())
        if rows[declared.name]:
            connection.execute(table.insert(), list(rows[declared.name]))
