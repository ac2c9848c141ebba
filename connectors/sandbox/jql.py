"""The part of JQL that a reader needs: comparisons joined by AND, lists, EMPTY, order.

Here belongs the language, with its dates to the minute in the asking user's time zone. Not here: records or endpoints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from connectors.sandbox import jira_site

if TYPE_CHECKING:
    from connectors.sandbox.world import Record

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<sign><=|>=|!=|!~|[=<>~(),])
    |(?P<word>[^\s"'=<>~!(),]+))""",
    re.VERBOSE,
)
_DATES = ("%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%d", "%Y/%m/%d")
_RELATIVE = re.compile(r"-(\d+)([wdhm])$")
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes"}


class MalformedError(Exception):
    """The query cannot be read; the message is the vendor's."""


@dataclass(frozen=True)
class Clause:
    field: str
    sign: str  # =, !=, <, <=, >, >=, in, not in, is, is not
    values: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    clauses: tuple[Clause, ...]
    order: tuple[tuple[str, bool], ...]  # field, descending


def _name(field: str) -> Callable[[Record], Any]:
    return lambda issue: ((issue["fields"][field] or {}).get("name") or "").lower()


_VALUES: Mapping[str, Callable[[Record], Any]] = {
    "updated": lambda issue: issue["fields"]["updated"],
    "created": lambda issue: issue["fields"]["created"],
    "resolved": lambda issue: issue["fields"]["resolutiondate"],
    "project": lambda issue: issue["fields"]["project"]["key"],
    "id": lambda issue: int(issue["id"]),
    "key": lambda issue: (issue["fields"]["project"]["key"], int(issue["key"].rpartition("-")[2])),
    "parent": lambda issue: int(issue["fields"]["parent"]["id"]) if issue["fields"]["parent"] else None,
    "issuetype": _name("issuetype"),
    "status": _name("status"),
    "resolution": _name("resolution"),
    "statuscategory": lambda issue: issue["fields"]["status"]["statusCategory"]["name"].lower(),
    "labels": lambda issue: issue["fields"]["labels"],
}
_ALIASES = {"updateddate": "updated", "createddate": "created", "issuekey": "key", "issue": "key", "type": "issuetype"}
_DATED = ("updated", "created", "resolved")


def field(name: str) -> str:
    known = _ALIASES.get(name.lower(), name.lower())
    if known not in _VALUES:
        raise MalformedError(f"Field '{name}' does not exist or you do not have permission to view it.")
    return known


def value(issue: Record, field: str) -> Any:
    return _VALUES[field](issue)


def parse(text: str) -> Query:
    """Raises MalformedError."""
    tokens, position, text = [], 0, text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise MalformedError(f"Error in the JQL Query: The character '{text[position]}' is a reserved JQL character.")
        tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        position = match.end()
    return _Parser(tokens).query()


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.place = 0

    def query(self) -> Query:
        clauses: list[Clause] = []
        if self.tokens and not self.ahead("order"):
            clauses.append(self.clause())
            while self.take("and"):
                clauses.append(self.clause())
        order: list[tuple[str, bool]] = []
        if self.take("order"):
            self.expect("by")
            more = True
            while more:
                name = field(self.next()[1])
                order.append((name, self.take("desc") or (not self.take("asc") and name in _DATED)))
                more = self.take(",")
        if self.place < len(self.tokens):
            raise MalformedError(
                f"Error in the JQL Query: Expecting either 'OR' or 'AND' but got '{self.tokens[self.place][1]}'."
            )
        return Query(tuple(clauses), tuple(order))

    def clause(self) -> Clause:
        if self.take("("):
            inner = self.clause()
            self.expect(")")
            return inner
        name = field(_plain(self.next()))
        negated = self.take("not")
        if self.take("in"):
            self.expect("(")
            values = [_plain(self.next())]
            while self.take(","):
                values.append(_plain(self.next()))
            self.expect(")")
            return Clause(name, "not in" if negated else "in", tuple(values))
        if self.take("is"):
            sign = "is not" if self.take("not") else "is"
            if not self.take("empty"):
                self.expect("null")
            return Clause(name, sign, ())
        kind, sign = self.next()
        if kind != "sign" or sign not in ("=", "!=", "<", "<=", ">", ">="):
            raise MalformedError(f"Error in the JQL Query: Expecting operator but got '{sign}'.")
        return Clause(name, sign, (_plain(self.next()),))

    def next(self) -> tuple[str, str]:
        if self.place >= len(self.tokens):
            raise MalformedError("Error in the JQL Query: Unexpected end of query.")
        self.place += 1
        return self.tokens[self.place - 1]

    def ahead(self, word: str) -> bool:
        return (
            self.place < len(self.tokens)
            and self.tokens[self.place][0] != "string"
            and self.tokens[self.place][1].lower() == word
        )

    def take(self, word: str) -> bool:
        here = self.ahead(word)
        self.place += here
        return here

    def expect(self, word: str) -> None:
        if not self.take(word):
            raise MalformedError(f"Error in the JQL Query: Expecting '{word}'.")


def _plain(token: tuple[str, str]) -> str:
    return re.sub(r"\\(.)", r"\1", token[1][1:-1]) if token[0] == "string" else token[1]


def holds(clause: Clause, zone: tzinfo, now: datetime, id_of: Mapping[str, str]) -> Callable[[Record], bool]:
    """A test for issues. `id_of` leads from every key, former ones too, to the issue's id. Raises MalformedError."""
    name = clause.field
    if clause.sign in ("is", "is not"):
        return lambda issue: bool(value(issue, name)) == (clause.sign == "is not")
    wanted: list[Any]
    if name in _DATED:
        wanted = [jira_site.time(_moment(text, zone, now)) for text in clause.values]
    elif name in ("id", "key", "parent"):
        name = "parent" if name == "parent" else "id"
        wanted = [int(id_of.get(text.upper(), text if text.isdigit() else "0")) for text in clause.values]
    else:
        wanted = [text if name in ("project", "labels") else text.lower() for text in clause.values]
    return _comparison(clause.sign, name, wanted)


def _comparison(sign: str, name: str, wanted: list[Any]) -> Callable[[Record], bool]:
    def known(issue: Record) -> bool:
        here = value(issue, name)
        if isinstance(here, list):
            return any(item in wanted for item in here)
        return here in wanted or (name == "project" and issue["fields"]["project"]["id"] in wanted)

    if sign in ("=", "in"):
        return known
    if sign in ("!=", "not in"):
        return lambda issue: not known(issue)
    bound = wanted[0]
    return {
        "<": lambda issue: (here := value(issue, name)) is not None and here < bound,
        "<=": lambda issue: (here := value(issue, name)) is not None and here <= bound,
        ">": lambda issue: (here := value(issue, name)) is not None and here > bound,
        ">=": lambda issue: (here := value(issue, name)) is not None and here >= bound,
    }[sign]


def _moment(text: str, zone: tzinfo, now: datetime) -> datetime:
    """Seconds cannot be said; a date alone is its midnight; -2d, -30m and the like count from now."""
    if relative := _RELATIVE.match(text):
        return now - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
    if text.isdigit():
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    for pattern in _DATES:
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=zone).astimezone(UTC)
        except ValueError:
            continue
    raise MalformedError(
        f"Date value '{text}' for field 'updated' is invalid. Valid formats include: 'yyyy/MM/dd HH:mm', "
        "'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d', '4w 2d'."
    )
