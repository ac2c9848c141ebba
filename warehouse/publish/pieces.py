"""What has changed since it was last published, so that nothing else is written again.

A table is one piece; one that is built anew by day is a piece a month beside. Here belong the states of the pieces. Not here:
how they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from warehouse import models, versions
from warehouse.engine import verbatim

MONTH = 'left(cast("day" as text), 7)'
States = dict[str, str]  # table, or table/month → state


@dataclass(frozen=True)
class Change:
    """What is to be written of a table: these months of it, or the whole where there are none to tell."""

    table: str
    months: Sequence[str] | None


def states(connection: sa.Connection, tables: Mapping[str, Sequence[str]], known: Mapping[str, str]) -> States:
    """The pieces of these tables of schema `unified` (name → columns) as they stand; `known`: as they were published."""
    by_day = {model.name for model in models.library() if "day" in model.by}
    now: States = {}
    for name, state in versions.states(connection, {f"unified.{name}": columns for name, columns in tables.items()}).items():
        table = name.removeprefix("unified.")
        now[table] = state
        if table not in by_day:
            continue
        if known.get(table) == state:
            now |= {piece: kept for piece, kept in known.items() if piece.startswith(f"{table}/")}
        else:
            value = versions.state_of(connection, tables[table])
            months = connection.execute(verbatim(f"select {MONTH}, {value} from {name} group by 1"))
            now |= {f"{table}/{month}": state for month, state in months}
    return now


def changes(tables: Iterable[str], now: Mapping[str, str], known: Mapping[str, str]) -> list[Change]:
    """What differs from what was published."""
    found = []
    for table in (table for table in tables if now[table] != known.get(table)):
        there = {*months(table, now), *months(table, known)}
        different = sorted(month for month in there if now.get(f"{table}/{month}") != known.get(f"{table}/{month}"))
        found.append(Change(table, different if months(table, known) else None))
    return found


def months(table: str, states: Iterable[str]) -> list[str]:
    """Of a table that is built anew by day, the months that have a piece."""
    return sorted(piece.partition("/")[2] for piece in states if piece.startswith(f"{table}/"))
