"""The part of Pendo's aggregation language that a reader needs: the steps of a pipeline after its source, and expressions.

Here belongs the language. Not here: what a source yields, or the endpoint.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from connectors.sandbox.pendo_app import ANONYMOUS

if TYPE_CHECKING:
    from connectors.sandbox.world import Record

Expression = Callable[["Record"], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<string>"(?:\\.|[^"\\])*"|`[^`]*`)
    |(?P<sign>&&|\|\||==|!=|<=|>=|[<>+\-*/%()!,])|(?P<path>[A-Za-z_][\w.]*))""",
    re.VERBOSE,
)
_SIGNS: tuple[Mapping[str, Callable[[Any, Any], Any]], ...] = (  # the loosest first
    {"||": lambda left, right: left or right},
    {"&&": lambda left, right: left and right},
    {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv, "%": operator.mod},
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")


class MalformedError(Exception):
    """The pipeline cannot be read; the message is the vendor's."""


def run(rows: Iterable[Record], steps: Iterable[Any], now: int) -> list[Record]:
    """What comes out at the end of a pipeline. `now`: milliseconds. Raises MalformedError."""
    rows = list(rows)
    for step in steps:
        if not isinstance(step, dict) or len(step) != 1:
            raise MalformedError("each step of a pipeline must be an object with one operator")
        ((name, argument),) = step.items()
        if name not in _STEPS:
            raise MalformedError(f"unknown operator: {name}")
        rows = _STEPS[name](rows, argument, now)
    return rows


def value(text: Any, now: int) -> Any:
    """A number, or an expression that needs no row."""
    return text if isinstance(text, int) else expression(str(text), now)({})


def expression(text: str, now: int) -> Expression:
    """Raises MalformedError."""
    tokens, place = [], 0
    text = text.strip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if not found:
            raise MalformedError(f"syntax error in expression: {text}")
        tokens.append((str(found.lastgroup), found[found.lastgroup or 0]))
        place = found.end()
    parser = _Parser(tokens, now, text)
    made = parser.level(0)
    if parser.rest:
        raise MalformedError(f"syntax error in expression: {text}")
    return made


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], now: int, text: str) -> None:
        self.rest, self.now, self.text = tokens, now, text

    def level(self, depth: int) -> Expression:
        if depth == len(_SIGNS):
            return self.single()
        left = self.level(depth + 1)
        while self.rest and self.rest[0][1] in _SIGNS[depth] and self.rest[0][0] == "sign":
            left = _applied(_SIGNS[depth][self.take()], left, self.level(depth + 1))
        return left

    def take(self, expected: str | None = None) -> str:
        if not self.rest or (expected and self.rest[0][1] != expected):
            raise MalformedError(f"syntax error in expression: {self.text}")
        return self.rest.pop(0)[1]

    def single(self) -> Expression:
        kind = self.rest[0][0] if self.rest else ""
        token = self.take()
        if kind == "number":
            return lambda _: float(token) if "." in token else int(token)
        if kind == "string":
            said = _ESCAPE.sub(_unescaped, token[1:-1]) if token[0] == '"' else token[1:-1]
            return lambda _: said
        if token == "(":
            inner = self.level(0)
            self.take(")")
            return inner
        if token == "!":
            denied = self.single()
            return lambda row: not denied(row)
        if kind == "path" and self.rest and self.rest[0][1] == "(":
            return self.call(token)
        if kind != "path":
            raise MalformedError(f"syntax error in expression: {self.text}")
        return lambda row: _at(row, token.split("."))

    def call(self, name: str) -> Expression:
        self.take("(")
        arguments = []
        while self.rest and self.rest[0][1] != ")":
            arguments.append(self.level(0))
            if self.rest and self.rest[0][1] == ",":
                self.take()
        self.take(")")
        if name == "now" and not arguments:
            return lambda _: self.now
        if name == "isNull" and len(arguments) == 1:
            return lambda row: arguments[0](row) is None
        raise MalformedError(f"unknown function: {name}")


def _at(row: Record, path: Sequence[str]) -> Any:
    found: Any = row
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1][1:], 16)) if len(found[1]) == 5 else {"n": "\n", "t": "\t"}.get(found[1], found[1])


def _applied(sign: Callable[[Any, Any], Any], left: Expression, right: Expression) -> Expression:
    def made(row: Record) -> Any:
        try:
            return sign(left(row), right(row))
        except TypeError:  # what is missing is neither more nor less
            return False

    return made


def _identified(rows: list[Record], name: Any, now: int) -> list[Record]:
    who = expression(str(name), now)
    return [row for row in rows if who(row) and not str(who(row)).startswith(ANONYMOUS)]


def _filter(rows: list[Record], text: Any, now: int) -> list[Record]:
    fits = expression(str(text), now)
    return [row for row in rows if fits(row)]


def _select(rows: list[Record], fields: Any, now: int) -> list[Record]:
    made = _fields(fields, now)
    return [{name: each(row) for name, each in made.items()} for row in rows]


def _eval(rows: list[Record], fields: Any, now: int) -> list[Record]:
    made = _fields(fields, now)
    return [{**row, **{name: each(row) for name, each in made.items()}} for row in rows]


def _fields(fields: Any, now: int) -> dict[str, Expression]:
    if not isinstance(fields, dict):
        raise MalformedError("fields must be an object")
    return {name: expression(str(text), now) for name, text in fields.items()}


def _sort(rows: list[Record], names: Any, now: int) -> list[Record]:
    """Missing values first, as the vendor's."""
    if not isinstance(names, list):
        raise MalformedError("sort must be a list of fields")
    for name in reversed(names):
        by = expression(name.removeprefix("-"), now)
        rows = sorted(rows, key=lambda row, by=by: ((found := by(row)) is not None, found), reverse=name[0] == "-")  # type: ignore[misc]
    return rows


def _limit(rows: list[Record], most: Any, _: int) -> list[Record]:
    if not isinstance(most, int) or most < 1:
        raise MalformedError("limit must be a positive integer")
    return rows[:most]


def _count(rows: list[Record], _: Any, __: int) -> list[Record]:
    return [{"count": len(rows)}]


def _group(rows: list[Record], argument: Any, now: int) -> list[Record]:
    if not isinstance(argument, dict) or not isinstance(argument.get("group"), list):
        raise MalformedError("group must name the fields to group by")
    names, fields = argument["group"], argument.get("fields", {})
    by = [expression(name, now) for name in names]
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for row in rows:
        groups.setdefault(tuple(each(row) for each in by), []).append(row)
    return [{**dict(zip(names, key, strict=True)), **_reduced(members, fields, now)} for key, members in groups.items()]


def _reduced(rows: list[Record], fields: Any, now: int) -> Record:
    made: Record = {}
    for name, how in fields.items():
        ((kind, text),) = how.items()
        of = expression(str(text), now) if text is not None else None
        if kind == "sum" and of:
            made[name] = sum(of(row) or 0 for row in rows)
        elif kind == "count":
            made[name] = len({of(row) for row in rows}) if of else len(rows)
        else:
            raise MalformedError(f"unknown aggregator: {kind}")
    return made


_STEPS: Mapping[str, Callable[[list[Record], Any, int], list[Record]]] = {
    "identified": _identified,
    "filter": _filter,
    "select": _select,
    "eval": _eval,
    "sort": _sort,
    "limit": _limit,
    "count": _count,
    "group": _group,
    "reduce": lambda rows, fields, now: [_reduced(rows, fields, now)],
}
