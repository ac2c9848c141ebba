"""Reads models/, orders them, and rebuilds the derived tables, each replaced whole and only if its checks hold.

One SELECT makes one table; its header says what the table and its columns mean. Not here: ledgers, gap rules, raw tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlglot import exp

from warehouse import freshness, identity, parts, versions
from warehouse.engine import Dialect, WarehouseError, verbatim
from warehouse.schema import DECLARED, TYPES, Column, RawTable, create, describe, raw_tables
from warehouse.selects import HOUSE, ModelError, Select, Shape

FOLDER = HOUSE / "models"


@dataclass(frozen=True)
class Model:
    """A derived table `unified.<name>`. `key`: columns that are unique together and never null. `by`: those of them whose
    values are parts of it that can be built anew by themselves (see `parts`); none where it is always the whole."""

    name: str
    group: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    select: Select
    by: tuple[str, ...] = ()
    reads: frozenset[str] = frozenset()  # raw tables that it rests on, near or far, as tool/stream

    @property
    def path(self) -> Path:
        return self.select.path

    @property
    def inputs(self) -> frozenset[str]:
        return self.select.inputs

    @property
    def full_name(self) -> str:
        return f"unified.{self.name}"

    def sql(self, dialect: Dialect) -> str:
        return self.select.sql(dialect)


_PARTS = {"date": "date", "integer": "bigint", "text": "text"}  # types by which a table can be built anew in parts, as SQL
CHECKS: Mapping[str, str] = {
    "key_is_unique": "No two rows have the same key.",
    "key_is_never_null": "Every row has its whole key.",
    "rows_did_not_halve": "The table has not lost more than half of its rows since its last version.",
}


@dataclass(frozen=True)
class Verdict:
    """What a blocking check found. `metadata` holds counts and ids, never names or addresses."""

    name: str
    passed: bool
    message: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Build:
    """A table's new version, or its last one where nothing has changed that it is made of. `previous_rows` is None when
    there was no version before. `parts`: by column, how many parts of it were built anew and of how many, if not the whole."""

    table: str
    rows: int
    previous_rows: int | None
    checks: tuple[Verdict, ...]
    lineage: Mapping[str, Sequence[str]]
    unchanged: bool = False
    parts: Mapping[str, tuple[int, int]] | None = None


class CheckFailed(WarehouseError):
    """The new version is not fit to be read; the old one stays."""

    def __init__(self, model: Model, build: Build) -> None:
        failed = "; ".join(verdict.message for verdict in build.checks if not verdict.passed)
        super().__init__(f"{model.full_name} keeps its old version: {failed}")
        self.build = build


class Models:
    """All models, in an order in which each comes after what it reads."""

    def __init__(self, models: Iterable[Model]) -> None:
        by_name = {model.full_name: model for model in models}
        # What the identity step writes comes after what it reads.
        inputs = {name: set(model.inputs) for name, model in sorted(by_name.items())}
        inputs |= {name: set(sources) for name, sources in identity.WRITES.items()}
        try:
            order = list(TopologicalSorter(inputs).static_order())
        except CycleError as error:
            circle = error.args[1]
            path = next(by_name[name].path for name in circle if name in by_name)
            raise ModelError(path, 1, f"reads itself in a circle: {' → '.join(reversed(circle))}.") from None
        self._reads = reads = dict[str, frozenset[str]]()
        self._models: dict[str, Model] = {}
        for name in order:
            sources = inputs.get(name, set())
            schema, _, table = name.partition(".")
            raw = schema not in ("unified", "sync", "settings")
            reads[name] = frozenset({f"{schema}/{table}"} if raw else set()).union(*(reads[s] for s in sources))
            if name in by_name:
                self._models[by_name[name].name] = replace(by_name[name], reads=reads[name])

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __getitem__(self, name: str) -> Model:
        return self._models[name]

    def __contains__(self, name: object) -> bool:
        return name in self._models

    def shape(self, raw: Sequence[RawTable]) -> Shape:
        """Every table that SQL may read: raw, declared and derived, with columns and types."""
        shape: dict[str, dict[str, dict[str, str]]] = {}
        for table in [*raw_tables(raw), *DECLARED]:
            shape.setdefault(table.schema, {})[table.name] = {c.name: c.type for c in table.columns}
        for model in self:
            shape["unified"][model.name] = {c.name: c.type for c in model.columns}
        return shape

    def check(self, raw: Sequence[RawTable]) -> None:
        """Raises ModelError for the first model that could not be built, with file and line."""
        shape = self.shape(raw)
        for model in self:
            _check_header(model)
            model.select.check(shape)

    def reads(self, table: str) -> frozenset[str]:
        """The raw tables, as tool/stream, that a model or a table of the identity step rests on."""
        return self._reads[table]

    @property
    def names(self) -> list[str]:
        return list(self._models)


def library(folder: Path = FOLDER) -> Models:
    """Every model of a folder; the folder beneath it that a model lies in is its group."""
    return Models(read_model(path) for path in sorted(folder.glob("*/*.sql")))


def read_model(path: Path) -> Model:
    """A model by its file. Raises ModelError if the header is not of the agreed form."""
    select = Select.read(path)
    description: list[str] = []
    key: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    columns: list[Column] = []
    for line, text in select.header:
        found = re.fullmatch(rf"(\w+) ({'|'.join(TYPES)}): (\S.*)", text)
        if text.startswith("key:"):
            key = tuple(name.strip() for name in text[4:].split(","))
        elif text.startswith("by:"):
            by = tuple(name.strip() for name in text[3:].split(","))
        elif not key:
            description.append(text)
        elif found:
            columns.append(Column(found[1], found[2], found[3]))  # type: ignore[arg-type]
        elif columns and text.startswith("  "):
            last = columns.pop()
            columns.append(Column(last.name, last.type, f"{last.description} {text.strip()}"))
        else:
            raise ModelError(
                path, line, f"is no column's description. Write: -- name type: what it means ({', '.join(TYPES)})."
            )
    return Model(path.stem, path.parent.name, " ".join(description), key, tuple(columns), select, by)


def build(connection: sa.Connection, model: Model, shape: Shape, *, accept: bool = False) -> Build:
    """Builds a model's new version and puts it in the place of the old one, in the connection's transaction; nothing of the
    kind if neither its SQL nor anything that it reads has changed since.

    Raises CheckFailed if the new version breaks a check; rolling back keeps the old one. `accept` lets it lose rows.
    """
    previous = count(connection, model.full_name) if _exists(connection, "unified", model.name) else None
    read = model.select.columns_read(shape)
    states = versions.states(connection, read)
    inputs = json.dumps(states)
    lineage = _known(connection, model)
    if previous is not None and lineage is not None and inputs == lineage[0]:
        freshness.confirm(connection, model.name, model.reads)
        checks = tuple(Verdict(name, True, "nothing has changed since it held") for name in CHECKS)
        return Build(model.name, previous, previous, checks, lineage[1], unchanged=True)
    by = {column: {table: names for table, names in read.items() if column in names} for column in model.by}
    anew = _anew(connection, model, by, states) if by else None
    if anew is not None and previous is not None:
        where, checked = _replace_parts(
            connection, model, {column: by[column] for column, (changed, _) in anew.items() if changed}
        )
    else:
        replace = _replace_on_duckdb if connection.dialect.name == "duckdb" else _replace_on_postgres
        where = checked = replace(connection, model)
    rows = count(connection, where)
    checks = tuple(_verify(connection, model, checked, rows, None if accept else previous))
    result = Build(model.name, rows, previous, checks, lineage[1] if lineage else model.select.lineage(shape), parts=anew)
    if not all(verdict.passed for verdict in checks):
        raise CheckFailed(model, result)
    if by:
        parts.note(connection, model.full_name)
    _record(connection, model, result, inputs)
    return result


def _anew(
    connection: sa.Connection, model: Model, by: parts.By, states: Mapping[str, str]
) -> dict[str, tuple[int, int]] | None:
    """By column, how many parts of the standing table are to be built anew, and of how many; None: the whole."""
    rest = {table: state for table, state in states.items() if not any(table in inputs for inputs in by.values())}
    types = {column.name: _PARTS[column.type] for column in model.columns if column.name in by}
    return parts.changed(connection, model.full_name, by, types, json.dumps([model.select.definition, rest]))


def _check_header(model: Model) -> None:
    if not model.description or not model.key or not model.columns:
        raise ModelError(model.path, 1, "lacks its header: what a row is, `key:`, and one line a column.")
    if "public" in model.inputs or any("." not in table or table.startswith(".") for table in model.inputs):
        raise ModelError(model.path, 1, "reads a table without its schema. Write schema.table.")
    declared, selected = [c.name for c in model.columns], model.select.output
    if len(set(selected)) < len(selected):
        doubled = next(name for name in selected if selected.count(name) > 1)
        raise ModelError(model.path, 1, f"selects {doubled} twice.")
    for at, (a, b) in enumerate(zip(declared, selected, strict=False)):
        if a != b:
            line = [n for n, t in model.select.header if re.match(rf"{a} ", t)]
            raise ModelError(model.path, line[0] if line else 1, f"describes {a} as column {at + 1}, but selects {b} there.")
    if len(declared) != len(selected):
        odd = (set(declared) ^ set(selected)).pop()
        raise ModelError(model.path, 1, f"describes {len(declared)} columns and selects {len(selected)}: see {odd}.")
    if unknown := set(model.key) - set(declared):
        raise ModelError(model.path, 1, f"has {', '.join(sorted(unknown))} in its key, which is no column of it.")
    if unknown := set(model.by) - {
        column.name for column in model.columns if column.name in model.key and column.type in _PARTS
    }:
        raise ModelError(model.path, 1, f"is built by {', '.join(sorted(unknown))}, which is no {'/'.join(_PARTS)} of its key.")


def _replace_on_duckdb(connection: sa.Connection, model: Model) -> str:
    connection.execute(verbatim(f"drop table if exists {model.full_name}"))
    _fill(connection, "unified", model.name, model)
    describe(connection, "unified", model.name, model.description, model.columns)
    return model.full_name


def _replace_parts(connection: sa.Connection, model: Model, by: parts.By) -> tuple[str, str]:
    """Puts the new version of the parts that have changed in the place of the old one. Returns the table, and what of it is
    new. Readers on PostgreSQL see the old rows until the transaction ends."""
    table = model.full_name if connection.dialect.name == "duckdb" else f"build.{_shown(connection, model)}"
    for column, inputs in by.items():
        connection.execute(verbatim(f"delete from {table} where {parts.of(column)}"))
        _insert(connection, table, model, parts.only(model.select.tree, column, inputs))
    new = " or ".join(parts.of(column) for column in by) or "false"
    return table, f"(select * from {table} where {new}) as built"


def _replace_on_postgres(connection: sa.Connection, model: Model) -> str:
    """Fills the one of two tables that the view does not show, then points the view at it."""
    name = f"{model.name}_b" if _shown(connection, model) == f"{model.name}_a" else f"{model.name}_a"
    connection.execute(verbatim(f"drop table if exists build.{name}"))
    _fill(connection, "build", name, model)
    connection.execute(verbatim(f"analyze build.{name}"))
    columns = ", ".join(f'"{column.name}"' for column in model.columns)
    statement = f"create or replace view {model.full_name} as select {columns} from build.{name}"
    try:
        with connection.begin_nested():
            connection.execute(verbatim(statement))
    except sa.exc.ProgrammingError:  # a column went, moved or changed its type: the view itself has to be made anew
        _recreate_view(connection, model, statement)
    describe(connection, "unified", model.name, model.description, model.columns, kind="view")
    return f"build.{name}"


def _shown(connection: sa.Connection, model: Model) -> str | None:
    """The table that the view shows."""
    view = connection.execute(sa.text("select pg_get_viewdef(to_regclass(:view))"), {"view": model.full_name}).scalar() or ""
    return next((name for name in (f"{model.name}_a", f"{model.name}_b") if f"build.{name}" in view), None)


def _recreate_view(connection: sa.Connection, model: Model, statement: str) -> None:
    grants = connection.execute(
        sa.text(
            "select privilege_type, grantee from information_schema.role_table_grants"
            " where table_schema = 'unified' and table_name = :name and grantee <> grantor"
        ),
        {"name": model.name},
    ).all()
    try:
        with connection.begin_nested():
            connection.execute(verbatim(f"drop view {model.full_name}"))
    except sa.exc.InternalError as error:  # psycopg: DependentObjectsStillExist
        views = ", ".join(sorted(set(re.findall(r"view (\S+) depends on", str(error.orig)))))
        raise WarehouseError(
            f"{model.full_name} changes its columns, and {views or 'another view'} depends on it: "
            "drop that view, refresh, and make it anew."
        ) from None
    connection.execute(verbatim(statement))
    for privilege, grantee in grants:
        role = "public" if grantee == "PUBLIC" else '"{}"'.format(grantee.replace('"', '""'))
        connection.execute(verbatim(f"grant {privilege} on {model.full_name} to {role}"))


def _fill(connection: sa.Connection, schema: str, name: str, model: Model) -> None:
    create(connection, schema, name, model.columns)
    _insert(connection, f'{schema}."{name}"', model, model.select.tree)


def _insert(connection: sa.Connection, table: str, model: Model, tree: exp.Query) -> None:
    columns = ", ".join(f'"{column.name}"' for column in model.columns)
    dialect: Dialect = "duckdb" if connection.dialect.name == "duckdb" else "postgresql"
    connection.execute(verbatim(f"insert into {table} ({columns}) {model.select.sql(dialect, tree)}"))


def _verify(connection: sa.Connection, model: Model, where: str, rows: int, previous: int | None) -> Iterator[Verdict]:
    key = ", ".join(model.key)
    doubled = connection.execute(
        verbatim(f"select {key} from {where} group by {key} having count(*) > 1 order by {key} limit 5")
    ).all()
    first = ", ".join("/".join(map(str, row)) for row in doubled)
    yield Verdict(
        "key_is_unique",
        not doubled,
        f"{key} stands more than once, first for {first}" if doubled else f"{key} is unique",
        {"first": first} if doubled else {},
    )
    absent = " or ".join(f"{name} is null" for name in model.key)
    nulls = connection.execute(verbatim(f"select count(*) from {where} where {absent}")).scalar() or 0
    yield Verdict(
        "key_is_never_null", not nulls, f"{key} is null in {nulls} rows" if nulls else f"{key} is never null", {"rows": nulls}
    )
    halved = previous is not None and rows * 2 < previous
    yield Verdict(
        "rows_did_not_halve",
        not halved,
        f"it would shrink from {previous} rows to {rows}; if that is right: fullpicture refresh --accept {model.name}"
        if halved
        else f"{rows} rows, {'none' if previous is None else previous} before",
        {"rows": rows, "previous": previous or 0},
    )


def _known(connection: sa.Connection, model: Model) -> tuple[str | None, dict[str, list[str]]] | None:
    """What the last build of the same SQL read, and where its columns come from, which takes up to a second a model."""
    found = connection.execute(
        sa.text("select inputs, lineage from sync.builds where table_name = :name and definition = :definition"),
        {"name": model.full_name, "definition": model.select.definition},
    ).first()
    return (found[0], json.loads(found[1])) if found else None


def _record(connection: sa.Connection, model: Model, result: Build, inputs: str) -> None:
    values = {
        "name": model.full_name,
        "at": datetime.now(UTC),
        "rows": result.rows,
        "definition": model.select.definition,
        "inputs": inputs,
        "lineage": json.dumps(result.lineage, sort_keys=True),
    }
    freshness.note(connection, model.name, result.rows, model.reads)
    connection.execute(sa.text("delete from sync.builds where table_name = :name"), values)
    connection.execute(
        sa.text(
            "insert into sync.builds (table_name, built_at, rows, definition, inputs, lineage)"
            " values (:name, :at, :rows, :definition, :inputs, :lineage)"
        ),
        values,
    )


def count(connection: sa.Connection, table: str) -> int:
    """How many rows a table has."""
    return int(connection.execute(verbatim(f"select count(*) from {table}")).scalar() or 0)


def _exists(connection: sa.Connection, schema: str, name: str) -> bool:
    found = connection.execute(
        sa.text("select 1 from information_schema.tables where table_schema = :schema and table_name = :name"),
        {"schema": schema, "name": name},
    )
    return found.first() is not None
