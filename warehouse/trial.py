"""Runs a model or a gap rule that is not in use yet against what stands, and says what it would change.

Nothing is written: the file is checked as those of the house are, and its one SELECT is compared with the table, or with
the open gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar

import sqlalchemy as sa

from warehouse import freshness, gaps, models
from warehouse.engine import Dialect, Warehouse, WarehouseError, verbatim
from warehouse.gaps import Finding, Rule
from warehouse.models import Model, Models
from warehouse.schema import TYPES, Column, RawTable
from warehouse.selects import Select

EXAMPLES = 5  # of each kind
T = TypeVar("T")

Difference = Literal["added", "removed", "changed"]


@dataclass
class TableTrial:
    """What a model would change. An example is its key and, where it is changed, column → (as it stands, as it would be)."""

    table: str
    stands: bool
    rows: int = 0
    counts: dict[Difference, int] = field(default_factory=lambda: {"added": 0, "removed": 0, "changed": 0})
    examples: dict[Difference, list[tuple[str, dict[str, tuple[Any, Any]]]]] = field(
        default_factory=lambda: {"added": [], "removed": [], "changed": []}
    )
    columns_added: Sequence[str] = ()
    columns_removed: Sequence[str] = ()


@dataclass(frozen=True)
class GapChange:
    gap_id: str
    title: str
    stake_amount: Decimal | None
    stake_kind: str | None


@dataclass(frozen=True)
class RuleTrial:
    """What a rule would change. `note` says why it would not run, or would close nothing, tonight."""

    rule: str
    open: int
    opens: Sequence[GapChange]
    closes: Sequence[GapChange]
    note: str = ""


def run(warehouse: Warehouse, path: Path, raw: Sequence[RawTable]) -> TableTrial | RuleTrial:
    """Raises ModelError, with file and line, for a file that could not take its place; WarehouseError if it cannot be run."""
    try:
        header = Select.read(path).header
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise WarehouseError(f"{path} cannot be read: {reason}. Name a file with one SELECT.") from None
    ours = models.library()
    if any(text.startswith("entity:") for _, text in header):
        rule = gaps.read_rule(path, category=path.parent.name if path.parent.name in gaps.CATEGORIES else "process")
        gaps.check([rule], ours.shape(raw))
        return _read_only(warehouse, path, lambda connection: _rule(connection, rule))
    model = models.read_model(path)
    library = Models([*(other for other in ours if other.name != model.name), model])
    library.check(raw)
    return _read_only(warehouse, path, lambda connection: _model(connection, model))


def _read_only(warehouse: Warehouse, path: Path, work: Callable[[sa.Connection], T]) -> T:
    try:
        with warehouse.begin(f"try {path.name}") as connection:
            if warehouse.dialect == "postgresql":
                connection.execute(verbatim("set transaction read only"))
            return work(connection)
    except sa.exc.DBAPIError as error:
        first = next((line.strip() for line in str(error.orig).splitlines() if line.strip()), "no reason given")
        raise WarehouseError(f"{path}:1: cannot be run: {first}") from None


def _model(connection: sa.Connection, model: Model) -> TableTrial:
    dialect: Dialect = "duckdb" if connection.dialect.name == "duckdb" else "postgresql"
    standing = list(
        connection.execute(
            sa.text(
                "select column_name from information_schema.columns"
                " where table_schema = 'unified' and table_name = :name order by ordinal_position"
            ),
            {"name": model.name},
        ).scalars()
    )
    names = [column.name for column in model.columns]
    trial = TableTrial(model.full_name, bool(standing))
    tried = f"({model.sql(dialect)}) as tried"
    trial.rows = models.count(connection, tried)
    if not standing:
        trial.counts["added"] = trial.rows
        return trial
    trial.columns_added = [name for name in names if name not in standing]
    trial.columns_removed = [name for name in standing if name not in names]
    if missing := [name for name in model.key if name not in standing]:
        raise WarehouseError(f"{model.path}:1: {model.full_name} stands without {missing[0]}, so rows cannot be told apart.")
    compared = [column for column in model.columns if column.name in standing and column.name not in model.key]
    for row in connection.execute(verbatim(_differences(connection, model, compared, tried))).mappings():
        kind: Difference = row["difference"]
        trial.counts[kind] += 1
        if len(trial.examples[kind]) < EXAMPLES:
            key = "/".join(str(row[f"key_{name}"]) for name in model.key)
            pairs = {c.name: (row[f"old_{c.name}"], row[f"new_{c.name}"]) for c in compared}
            changed = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]} if kind == "changed" else {}
            trial.examples[kind].append((key, changed))
    return trial


def _differences(connection: sa.Connection, model: Model, compared: Sequence[Column], tried: str) -> str:
    """Every row that is new, gone or changed, by key, with what it was and what it would be."""

    def typed(column: Column) -> str:  # as it would be in the table
        return str(sa.cast(sa.literal_column(f'"{column.name}"'), TYPES[column.type]).compile(dialect=connection.dialect))

    cast = ", ".join(f'{typed(column)} as "{column.name}"' for column in model.columns)
    equal = " and ".join(f'n."{name}" = o."{name}"' for name in model.key)
    changed = " or ".join(f'n."{c.name}" is distinct from o."{c.name}"' for c in compared) or "false"
    keys = ", ".join(f'coalesce(n."{name}", o."{name}") as "key_{name}"' for name in model.key)
    pairs = "".join(f', o."{c.name}" as "old_{c.name}", n."{c.name}" as "new_{c.name}"' for c in compared)
    gone, new = f'n."{model.key[0]}" is null', f'o."{model.key[0]}" is null'
    order = ", ".join(f'"key_{name}"' for name in model.key)
    return (
        f"select case when {new} then 'added' when {gone} then 'removed' else 'changed' end as difference, {keys}{pairs}"
        f" from (select {cast} from {tried}) as n full outer join {model.full_name} as o on {equal}"
        f" where {new} or {gone} or {changed} order by {order}"
    )


def _rule(connection: sa.Connection, rule: Rule) -> RuleTrial:
    found = {finding.gap_id: _of(finding) for finding in gaps.findings_of(connection, rule)}
    rows = connection.execute(
        sa.text("select gap_id, title, stake_amount, stake_kind from unified.gaps where rule = :rule and status <> 'resolved'"),
        {"rule": rule.name},
    )
    standing = {row.gap_id: GapChange(*row) for row in rows}
    off = sorted({read.partition("/")[0] for read in rule.reads - freshness.connected(connection)})
    late = sorted(rule.reads & freshness.stale(connection))
    note = f"It would not run: {', '.join(off)} not connected." if off else ""
    note = note or (f"It would close nothing while {', '.join(late)} is late." if late else "")
    return RuleTrial(
        rule.name,
        len(found),
        _gravest(change for id_, change in found.items() if id_ not in standing),
        _gravest(change for id_, change in standing.items() if id_ not in found),
        note,
    )


def _of(finding: Finding) -> GapChange:
    return GapChange(finding.gap_id, finding.title, finding.stake_amount, finding.stake_kind)


def _gravest(changes: Iterable[GapChange]) -> list[GapChange]:
    return sorted(changes, key=lambda change: (-(change.stake_amount or 0), change.gap_id))
