"""What was true on a day: daily snapshots, and copies with valid-from and valid-to, of the unified tables in history.yaml.

Their only writer. They are ledgers: no rebuild drops them. Not here: how the tables came to be what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import sqlalchemy as sa
import yaml

from warehouse import freshness, models
from warehouse.engine import WarehouseError, verbatim
from warehouse.models import Model
from warehouse.schema import Column, Table
from warehouse.selects import HOUSE

DECLARATION = HOUSE / "history.yaml"
_DAY = Column("day", "date", "The day, in the settings' time zone; as it stood at the last refresh of that day.")
_FROM = Column("valid_from", "date", "First day on which a refresh found it so.")
_TO = Column("valid_to", "date", "First day on which a refresh found it otherwise, or gone; null while it holds.")


@dataclass(frozen=True)
class Ledger:
    """One table's past. `columns` are those of the model, its key first."""

    model: str
    kind: Literal["daily", "history"]
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        return f"{self.model}_{self.kind}"

    @property
    def full_name(self) -> str:
        return f"unified.{self.name}"

    @property
    def source(self) -> str:
        return f"unified.{self.model}"

    @property
    def table(self) -> Table:
        columns = (_DAY, *self.columns) if self.kind == "daily" else (*self.columns, _FROM, _TO)
        how = "as it was on each day" if self.kind == "daily" else "with what held from when until when"
        return Table("unified", self.name, f"The table {self.model}, {how}. {self.description}", columns)

    @property
    def ledger_key(self) -> tuple[str, ...]:
        return ("day", *self.key) if self.kind == "daily" else (*self.key, "valid_from")


@cache
def ledgers() -> tuple[Ledger, ...]:
    """Everything that is kept. Raises WarehouseError for a table or column that there is not."""
    declared = yaml.safe_load(DECLARATION.read_text(encoding="utf-8"))
    return tuple(_ledger(name, kind, columns) for name, kept in declared.items() for kind, columns in kept.items())


def tables() -> list[Table]:
    """The ledgers as they are to be made."""
    return [ledger.table for ledger in ledgers()]


def _ledger(name: str, kind: Literal["daily", "history"], columns: Iterable[str]) -> Ledger:
    path = next(iter(models.FOLDER.glob(f"*/{name}.sql")), None)
    if path is None or kind not in ("daily", "history"):
        raise WarehouseError(f"{DECLARATION.name}: {name}.{kind} names no model, or is neither daily nor history.")
    model: Model = models.read_model(path)
    known = {column.name: column for column in model.columns}
    wanted = dict.fromkeys([*model.key, *columns])
    if missing := [column for column in wanted if column not in known]:
        raise WarehouseError(f"{DECLARATION.name}: {name} has no column {', '.join(missing)}.")
    return Ledger(name, kind, model.description, model.key, tuple(known[column] for column in wanted))


def keep(connection: sa.Connection, ledger: Ledger, reads: Iterable[str] = ()) -> int | None:
    """Writes the day of the clock, in place of what was written of the same day before. Returns how many rows it has now.

    None, and nothing is written, if the table was not built on that day, or if a later day stands already: what it holds
    is then not what was true. `reads`: the raw tables that it rests on, as tool/stream.
    """
    today = connection.execute(verbatim("select today from settings.clock")).scalar_one()
    built = connection.execute(
        sa.text("select today from unified.tables where table_name = :model"), {"model": ledger.model}
    ).scalar()
    latest = "max(day)" if ledger.kind == "daily" else "greatest(max(valid_from), max(valid_to))"
    last = connection.execute(verbatim(f"select {latest} from {ledger.full_name}")).scalar()
    if built != today or (last is not None and last > today):
        return None
    for statement in _daily(ledger) if ledger.kind == "daily" else _history(ledger):
        connection.execute(sa.text(statement), {"today": today})
    rows = models.count(connection, ledger.full_name)
    freshness.note(connection, ledger.name, rows, reads)
    return rows


def _daily(ledger: Ledger) -> list[str]:
    names = ", ".join(f'"{column.name}"' for column in ledger.columns)
    return [
        f"delete from {ledger.full_name} where day = :today",
        f"insert into {ledger.full_name} (day, {names}) select cast(:today as date), {names} from {ledger.source}",
    ]


def _history(ledger: Ledger) -> list[str]:
    """Takes back what was written today, then closes what is otherwise or gone, and opens what is new.

    A column that joins later makes a new row of each: what it was before is not known.
    """
    names = ", ".join(f'"{column.name}"' for column in ledger.columns)
    same = " and ".join(
        f't."{column.name}" {"=" if column.name in ledger.key else "is not distinct from"} l."{column.name}"'
        for column in ledger.columns
    )
    return [
        f"delete from {ledger.full_name} where valid_from = :today",
        f"update {ledger.full_name} set valid_to = null where valid_to = :today",
        f"update {ledger.full_name} as l set valid_to = :today"
        f" where valid_to is null and not exists (select 1 from {ledger.source} as t where {same})",
        f"insert into {ledger.full_name} ({names}, valid_from) select {names}, cast(:today as date) from {ledger.source} as t"
        f" where not exists (select 1 from {ledger.full_name} as l where l.valid_to is null and {same})",
    ]
