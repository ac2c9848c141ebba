"""One SELECT in one file: its header, what it reads, whether it is allowed and resolves, its form on each database.

Models and gap rules are both such files. Not here: what is done with the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from warehouse.constructs import ALLOWED, BECAUSE
from warehouse.engine import Dialect, WarehouseError

Shape = Mapping[str, Mapping[str, Mapping[str, str]]]  # schema → table → column → type
HOUSE = Path(__file__).parent


class ModelError(WarehouseError):
    """A file of SQL that cannot be used, with its place and what to do."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        shown = path.relative_to(HOUSE.parent) if path.is_relative_to(HOUSE.parent) else path
        super().__init__(f"{shown}:{line}: {message}")
        self.path, self.line = path, line


@dataclass(frozen=True)
class Select:
    """A file's text; `header` holds the comment lines before the SELECT, with their numbers."""

    path: Path
    text: str
    header: tuple[tuple[int, str], ...]

    @classmethod
    def read(cls, path: Path) -> Select:
        return _parsed_once(path, path.read_text(encoding="utf-8"))

    @cached_property
    def tree(self) -> exp.Query:
        try:
            statements = [tree for tree in sqlglot.parse(self.text, read="duckdb") if tree is not None]
        except ParseError as error:
            first = error.errors[0] if error.errors else {}
            line = int(first.get("line") or 1)
            raise ModelError(self.path, line, f"is not valid SQL: {first.get('description', error)}") from None
        if len(statements) != 1 or not isinstance(statements[0], exp.Query):
            raise ModelError(self.path, 1, "holds something other than one SELECT. Leave exactly one.")
        return statements[0]

    @cached_property
    def inputs(self) -> frozenset[str]:
        """Tables it reads, as schema.table."""
        names = {cte.alias for cte in self.tree.find_all(exp.CTE)}
        return frozenset(
            f"{table.db}.{table.name}" for table in self.tree.find_all(exp.Table) if table.db or table.name not in names
        )

    @cached_property
    def definition(self) -> str:
        """Hash of the text: two equal ones build equal tables from equal inputs."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def output(self) -> list[str]:
        return list(self.tree.named_selects)

    def sql(self, dialect: Dialect, tree: exp.Query | None = None) -> str:
        """The statement for a database, comments left out; or that of another tree, which was made from its own."""
        return translated(tree or self.tree, dialect)

    def check(self, shape: Shape) -> None:
        """Raises ModelError on a construct outside the list, an unknown table or column, or an ambiguous name."""
        for node in self.tree.walk():
            name = node.key if not isinstance(node, exp.Anonymous) else f"{node.name}()"
            if name not in ALLOWED:
                hint = BECAUSE.get(name, "It is not proven to mean the same on every database; write it with what is.")
                raise ModelError(self.path, self._line(node), f"uses {name}. {hint}")
        for table in sorted(self.inputs):
            schema, _, name = table.partition(".")
            if name not in shape.get(schema, {}):
                raise ModelError(self.path, self._line_of(name), f"reads {table}, which does not exist.")
        if self.tree.find(exp.Star) and any(isinstance(p, exp.Star) for p in self.tree.selects):
            raise ModelError(self.path, self._line(self.tree.selects[-1]), "ends with select *. Name the columns.")
        try:
            self._resolved(shape)
        except OptimizeError as error:
            message = str(error).split(" Line:")[0].rstrip(".")
            name = (re.findall(r"'([^']+)'|: (\w+)$|\"(\w+)\"", message) or [("",)])[0]
            column = next((part for part in name if part), "")
            raise ModelError(self.path, self._line_of(column), f"{message}. Check the name against the table.") from None

    def lineage(self, shape: Shape) -> dict[str, list[str]]:
        """For each output column, the schema.table.column that it is made from."""
        roots = lineage(None, self.tree, dict(shape), dialect="duckdb", trim_selects=False)
        return {column: sorted(set(_sources(root))) for column, root in roots.items()}

    def columns_read(self, shape: Shape) -> dict[str, set[str]]:
        """The columns that are read of each table (schema.table), in any place of the statement."""
        place = ((table, *table.split(".")) for table in sorted(self.inputs))
        return _columns_read(self, tuple((table, tuple(shape[schema][name].items())) for table, schema, name in place))

    def _resolved(self, shape: Shape) -> exp.Expr:
        return qualify(self.tree.copy(), schema=dict(shape), dialect="duckdb", quote_identifiers=False)

    def _line(self, node: exp.Expr) -> int:
        """The line of a node, else of the nearest one around it that has one."""
        around: exp.Expr | None = node
        while around is not None:
            for part in around.walk():
                if "line" in part.meta:
                    return int(part.meta["line"])
            around = around.parent
        return 1

    def _line_of(self, name: str) -> int:
        """Where a name stands: a bare one before one that says its table, since only bare ones are ambiguous."""
        found = [i for i in self.tree.find_all(exp.Identifier) if i.name == name and "line" in i.meta]
        found.sort(key=lambda i: bool(isinstance(i.parent, exp.Column) and i.parent.table))
        return int(found[0].meta["line"]) if found else 1


def translated(tree: exp.Query, dialect: Dialect) -> str:
    """A statement in a database's own words, comments left out."""
    if dialect == "duckdb":
        return tree.sql(dialect="duckdb", comments=False)
    return tree.transform(_of_bytes).sql(dialect="postgres", comments=False)


def _of_bytes(node: exp.Expr) -> exp.Expr:
    """PostgreSQL hashes bytes, and DuckDB those of a text in UTF-8."""
    if isinstance(node, exp.SHA2):
        node.set("this", exp.func("convert_to", node.this, exp.Literal.string("UTF8")))
    return node


@cache
def _parsed_once(path: Path, text: str) -> Select:
    """The same one for the same text, since it keeps its tree: most of the time of a small refresh."""
    header: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("--"):
            break
        header.append((number, line[2:].removeprefix(" ").rstrip()))
    return Select(path, text, tuple(header))


@cache
def _columns_read(select: Select, tables: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]) -> dict[str, set[str]]:
    shape: dict[str, dict[str, dict[str, str]]] = {}
    for table, columns in tables:
        schema, _, name = table.partition(".")
        shape.setdefault(schema, {})[name] = dict(columns)
    found: dict[str, set[str]] = {table: set() for table, _ in tables}
    for scope in traverse_scope(select._resolved(shape)):
        for column in scope.columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table):
                found[f"{source.db}.{source.name}"].add(column.name)
    return found


def _sources(root: Node) -> Iterator[str]:
    for node in root.walk():
        if isinstance(node.expression, exp.Table) and not node.downstream:
            yield f"{node.expression.db}.{node.expression.name}.{node.name.rpartition('.')[2]}"
