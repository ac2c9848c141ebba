"""The part of SOQL that a reader needs: one object's fields, filters joined by AND and OR, order, limit and COUNT().

Here belongs the language. Not here: which objects and fields there are, records, or endpoints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:\\.|[^'\\])*')
    |(?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    |(?P<date>\d{4}-\d\d-\d\d)
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<word>[A-Za-z_][\w.]*)
    |(?P<sign><=|>=|!=|<>|[=<>(),]))""",
    re.VERBOSE,
)
_SIGNS = ("=", "!=", "<>", "<", "<=", ">", ">=")


class MalformedError(Exception):
    """The query cannot be read; the message is the vendor's."""


@dataclass(frozen=True)
class Literal:
    kind: str  # string, datetime, date, number, boolean, null
    value: Any


@dataclass(frozen=True)
class Condition:
    field: str
    sign: str  # a comparison, IN or NOT IN
    values: tuple[Literal, ...]


@dataclass(frozen=True)
class Either:
    conditions: tuple[Condition | Either, ...]  # one of them must hold


@dataclass(frozen=True)
class Query:
    fields: tuple[str, ...]  # empty: COUNT()
    object: str
    conditions: tuple[Condition | Either, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()  # field, descending
    limit: int | None = None
    offset: int = 0


def parse(text: str) -> Query:
    """Raises MalformedError."""
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        position, text = 0, text.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise MalformedError(f"unexpected token: '{text[position:].split()[0]}'")
            self.tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
            position = match.end()
        self.place = 0

    def query(self) -> Query:
        self.word("SELECT")
        fields = self.selected()
        self.word("FROM")
        name = self.name()
        conditions: list[Condition | Either] = []
        if self.take("WHERE"):
            conditions.append(self.condition())
            while self.take("AND"):
                conditions.append(self.condition())
        order = self.ordered()
        limit = int(self.literal().value) if self.take("LIMIT") else None
        offset = int(self.literal().value) if self.take("OFFSET") else 0
        if self.place < len(self.tokens):
            raise MalformedError(f"unexpected token: '{self.tokens[self.place][1]}'")
        return Query(fields, name, tuple(conditions), order, limit, offset)

    def selected(self) -> tuple[str, ...]:
        names = [self.name()]
        if names[0].upper() == "COUNT" and self.take("("):
            self.word(")")
            return ()
        while self.take(","):
            names.append(self.name())
        return tuple(names)

    def condition(self) -> Condition | Either:
        if self.take("("):
            inner = [self.condition()]
            while self.take("OR"):
                inner.append(self.condition())
            self.word(")")
            return inner[0] if len(inner) == 1 else Either(tuple(inner))
        field = self.name()
        negated = self.take("NOT")
        if self.take("IN"):
            self.word("(")
            values = [self.literal()]
            while self.take(","):
                values.append(self.literal())
            self.word(")")
            return Condition(field, "NOT IN" if negated else "IN", tuple(values))
        _, sign = self.next()
        if negated or sign not in _SIGNS:
            raise MalformedError(f"unexpected token: '{sign}'")
        return Condition(field, "!=" if sign == "<>" else sign, (self.literal(),))

    def ordered(self) -> tuple[tuple[str, bool], ...]:
        order: list[tuple[str, bool]] = []
        if self.take("ORDER"):
            self.word("BY")
            more = True
            while more:
                field = self.name()
                descending = self.take("DESC")
                if not descending:
                    self.take("ASC")
                if self.take("NULLS") and not self.take("FIRST"):
                    self.word("LAST")
                order.append((field, descending))
                more = self.take(",")
        return tuple(order)

    def literal(self) -> Literal:
        kind, text = self.next()
        if kind == "string":
            return Literal("string", re.sub(r"\\(.)", r"\1", text[1:-1]))
        if kind == "datetime":
            moment = datetime.fromisoformat(text).astimezone(UTC)
            return Literal("datetime", moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000")
        if kind == "number":
            return Literal("number", float(text) if "." in text else int(text))
        if kind == "word" and text.lower() in ("true", "false"):
            return Literal("boolean", text.lower() == "true")
        if kind == "word" and text.lower() == "null":
            return Literal("null", None)
        if kind == "date":
            return Literal("date", text)
        raise MalformedError(f"unexpected token: '{text}'")

    def next(self) -> tuple[str, str]:
        if self.place >= len(self.tokens):
            raise MalformedError("unexpected end of query")
        self.place += 1
        return self.tokens[self.place - 1]

    def name(self) -> str:
        kind, text = self.next()
        if kind != "word":
            raise MalformedError(f"unexpected token: '{text}'")
        return text

    def take(self, expected: str) -> bool:
        here = (
            self.place < len(self.tokens)
            and self.tokens[self.place][0] != "string"
            and self.tokens[self.place][1].upper() == expected
        )
        self.place += here
        return here

    def word(self, expected: str) -> None:
        if not self.take(expected):
            found = self.tokens[self.place][1] if self.place < len(self.tokens) else "<EOF>"
            raise MalformedError(f"unexpected token: '{found}', expecting '{expected}'")
