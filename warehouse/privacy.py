"""People who are gone, or who asked to be forgotten: redacted wherever they stand, and known again if they come back.

What tells of a person is declared with the raw columns (`personal`, `whose`, `people`). Not here: where the key is kept
by which the erased are known, or how a batch arrives.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from warehouse import history, versions
from warehouse.engine import Warehouse, WarehouseError, insert, verbatim
from warehouse.schema import Column, RawTable

MARK = "erased"
_ADDRESS = re.compile(r"[\w.%+'-]+@[\w-]+(?:\.[\w-]+)+")
_OURS = ("unified", "build", "sync")  # beside the schemas of the tools
_NOTHING = pa.scalar(None, pa.string())


@dataclass(frozen=True)
class Erased:
    """Whom nobody must know any more: hashes under `key` of their addresses and of their ids (tool/id).

    `internal`: our own domains, which stay in a redacted address: who asks us a question must not change from one day to
    the next because a colleague has left.
    """

    hashes: frozenset[str]
    key: bytes
    internal: tuple[str, ...] = ()

    def hash(self, text: str) -> str:
        return hmac.new(self.key, text.encode(), sha256).hexdigest()

    def alias(self, address: str) -> str:
        """What stands in the place of an address, the same each time, so that keys stay keys."""
        return f"{MARK}-{self.hash(address.lower())[:16]}"

    def text(self, value: str) -> str:
        """A text without the addresses of the erased."""

        def replaced(found: re.Match[str]) -> str:
            for address in (found[0], found[0].lstrip("'.-_%+")):
                if self.hash(address.lower()) in self.hashes:
                    return found[0].replace(address, self.alias(address))
            return found[0]

        return _ADDRESS.sub(replaced, value)

    def redacted(self, table: RawTable, rows: pa.Table) -> pa.Table:
        """Rows of a raw table as they may be loaded."""
        if not self.hashes:
            return rows
        known = [column for column in table.columns if column.name in rows.column_names]
        if table.people:
            rows = self._people(table, rows)
        for column in known:
            if column.whose and column.whose != column.name and column.whose in rows.column_names:
                theirs = self._theirs(table.schema, rows[column.whose])
                if pc.any(theirs).as_py():
                    rows = _put(rows, column.name, pc.if_else(theirs, _NOTHING, rows[column.name]))
        return self.texts(rows)

    def texts(self, rows: pa.Table) -> pa.Table:
        """All texts of a table without the addresses of the erased."""
        for name in rows.column_names if self.hashes else ():
            if pa.types.is_string(rows.schema.field(name).type):
                values = rows[name]
                if pc.any(pc.match_substring(values, "@")).as_py():
                    changed = [value and self.text(value) if value and "@" in value else value for value in values.to_pylist()]
                    rows = _put(rows, name, pa.chunked_array([pa.array(changed, pa.string())]))
        return rows

    def _people(self, table: RawTable, rows: pa.Table) -> pa.Table:
        gone = self._theirs(table.schema, rows[table.key[0]])
        for column in _texts(table):
            addresses = rows[column.name].to_pylist()
            among = [bool(value) and self.hash(value.lower()) in self.hashes for value in addresses]
            gone = pc.or_(gone, pa.array(among, pa.bool_()))
        if not pc.any(gone).as_py():
            return rows
        for name in [*(column.name for column in _fields(table)), "extra"]:
            left = pa.array([self._left(value) for value in rows[name].to_pylist()], pa.string())
            rows = _put(rows, name, pc.if_else(gone, left, rows[name]))
        return rows

    def _theirs(self, tool: str, ids: pa.ChunkedArray) -> pa.Array:
        """Which of these ids are those of erased people."""
        erased = {id_ for id_ in ids.unique().to_pylist() if self.hash(f"{tool}/{id_}") in self.hashes}
        return pa.array([id_ in erased for id_ in ids.to_pylist()], pa.bool_())

    def _left(self, value: str | None) -> str | None:
        host = (value or "").rpartition("@")[2].lower()
        ours = value and _ADDRESS.fullmatch(value) and any(f".{host}".endswith(f".{domain}") for domain in self.internal)
        return f"{MARK}@{host}" if ours else None


def erased(connection: sa.Connection, key: Callable[[bool], bytes]) -> Erased:
    """Whom the warehouse remembers as erased. `key` gives the key, and makes one if told that none can be known yet.

    Raises WarehouseError if it is another key than theirs.
    """
    hashes = frozenset(connection.execute(verbatim("select hash from sync.erased")).scalars())
    internal = tuple(connection.execute(verbatim("select domain from settings.internal_domains")).scalars())
    known = Erased(hashes, key(not hashes), internal)
    if hashes and known.hash("") not in hashes:
        raise WarehouseError(
            "People were erased from this warehouse under another key than privacy.key in FULLPICTURE_HOME: put that file "
            "back from where they were erased, or they would come back with the next sync."
        )
    return known


def people_key(connection: sa.Connection, key: Callable[[bool], bytes]) -> str:
    """What the unified tables hash customers' people with. It stands in the warehouse, where readers do not see it, and so
    is another than `key`, which does not follow from it."""
    return erased(connection, key).hash("customers' people")


def redact_deleted(connection: sa.Connection, raw: Sequence[RawTable], known: Erased) -> int:
    """Redacts everybody whom their own tool has deleted, in the raw tables and in what is kept of the others. Returns of
    how many people something was left to redact."""
    where = {table.full_name: "t._deleted_at is not null" for table in raw if table.people}
    redacted, _ = _redact(connection, raw, where, known)
    if redacted:
        _moved(connection, versions.REDACTED)
    return redacted


def erase(connection: sa.Connection, raw: Sequence[RawTable], known: Erased, address: str) -> dict[str, int]:
    """Redacts whoever has an address in every table there is, and remembers it. Returns of each table how many values the
    address stood in."""
    address = _checked(address)
    holds = {
        table.full_name: " or ".join(f"lower(t.\"{column.name}\") = '{_escaped(address)}'" for column in _texts(table))
        for table in raw
        if table.people
    }
    standing = {table: len(rows) for table, rows in find(connection, raw, address).items()}
    _, ids = _redact(connection, raw, holds, known)
    hashes = {known.hash(""), known.hash(address), *(known.hash(id_) for id_ in ids)} - known.hashes
    for hash_ in sorted(hashes):
        values = {"hash": hash_, "at": datetime.now(UTC)}
        connection.execute(sa.text("insert into sync.erased (hash, erased_at) values (:hash, :at)"), values)
    _moved(connection, versions.REDACTED)
    by_name = {table.full_name: table for table in raw}
    for table, columns in _text_columns(connection, raw, views=False).items():
        if _scrub(connection, table, columns, address, known.alias(address)) and table in by_name:
            _moved(connection, table)
    return standing


def find(connection: sa.Connection, raw: Sequence[RawTable], address: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that holds an address, as values that JSON has."""
    pattern, found = _pattern(address := _checked(address)), {}
    for table, columns in _text_columns(connection, raw, views=True).items():
        holds = " or ".join(f'strpos(lower("{name}"), :address) > 0' for name in columns)
        rows = connection.execute(sa.text(f"select * from {table} where {holds}"), {"address": address}).mappings().all()
        told = [{name: _json(value) for name, value in row.items()} for row in rows]
        if hits := [row for row in told if any(isinstance(v, str) and pattern.search(v) for v in row.values())]:
            found[table] = hits
    return found


# How people are redacted ----------------------------------------------------------------------------------------------


def _redact(
    connection: sa.Connection, raw: Sequence[RawTable], where: Mapping[str, str], known: Erased
) -> tuple[int, set[str]]:
    """Redacts the people whom a condition names, by their table: how many had something left, and all their ids."""
    told: set[str] = set()
    ids: set[str] = set()
    redacted = 0
    for table in (table for table in raw if table.people):
        _stage(connection, "_gone", {"id": []})
        key = f'cast(t."{table.key[0]}" as text)'
        connection.execute(
            verbatim(f"insert into _gone select {key} from {table.full_name} as t where {where[table.full_name]}")
        )
        gone = list(connection.execute(verbatim("select id from _gone")).scalars())
        if not gone:
            continue
        ids |= {f"{table.schema}/{id_}" for id_ in gone}
        others = [other for other in raw if other.schema == table.schema and not other.people]
        values, people = _clear_rows(connection, table, known)
        told |= values
        redacted += people
        if known_by_address := [column for column in _texts(table) if column.name in table.key]:
            _rename(connection, table, known_by_address[0].name, others, known)
        _clear_copies(connection, others)
        _clear_rejects(connection, table)
    if told:
        _clear_told(connection, raw, told)
    return redacted, ids


def _clear_rows(connection: sa.Connection, table: RawTable, known: Erased) -> tuple[set[str], int]:
    """Empties what tells of the people in `_gone`; returns what it told, in lower case, and of how many."""
    names = [column.name for column in _fields(table)]
    key = table.key[0]
    left = " or ".join([*(f'("{n}" is not null and "{n}" not like \'{MARK}@%\')' for n in names), "extra is not null"])
    condition = f'cast("{key}" as text) in (select id from _gone) and ({left})'
    texts = [column.name for column in _texts(table)]
    columns = ", ".join(f'"{name}"' for name in texts)
    rows = connection.execute(verbatim(f"select {columns} from {table.full_name} where {condition}")).all()
    if not rows:
        return set(), 0
    emptied = [f'"{name}" = {_left_of(name, known.internal)}' for name in names]
    connection.execute(verbatim(f"update {table.full_name} set {', '.join(emptied)}, extra = null where {condition}"))
    _moved(connection, table.full_name)
    values = {value.lower() for row in rows for value in row if value and not value.startswith(f"{MARK}@")}
    return values, len(rows)


def _left_of(name: str, internal: Sequence[str]) -> str:
    """Of an address of our own its domain; of everything else nothing. As SQL."""
    host = f"lower(split_part(\"{name}\", '@', 2))"
    ours = " or ".join(f"'.' || {host} like '%.{_escaped(domain)}'" for domain in internal) or "false"
    return f"case when {ours} then '{MARK}@' || {host} end"


def _rename(connection: sa.Connection, table: RawTable, key: str, others: Sequence[RawTable], known: Erased) -> None:
    """Gives people whose id is an address another one, here and where it leads to; also where it was read once more."""
    places = [(other.full_name, column.name) for other in others for column in other.columns if column.name == column.whose]
    queries = ["select id from _gone where strpos(id, '@') > 0"]
    if connection.execute(verbatim(f"select 1 from {table.full_name} where \"{key}\" like '{MARK}-%' limit 1")).first():
        queries += [
            f'select distinct t."{name}" from {place} as t where strpos(t."{name}", \'@\') > 0'
            f' and not exists (select 1 from {table.full_name} as p where p."{key}" = t."{name}")'
            for place, name in places
        ]
    plain = {id_ for query in queries for id_ in connection.execute(verbatim(query)).scalars()}
    if not plain:
        return
    ids = sorted(plain)
    _stage(connection, "_alias", {"id": ids, "alias": [known.alias(id_) for id_ in ids]})
    twice = f'select id from _alias where alias in (select "{key}" from {table.full_name})'  # came back, and went again
    connection.execute(verbatim(f'delete from {table.full_name} where "{key}" in ({twice})'))
    of_somebody = f'exists (select 1 from {table.full_name} as p where p."{key}" = a.alias)'
    for place, name in ((table.full_name, key), *places):
        renamed = f'update {place} as t set "{name}" = a.alias from _alias as a where t."{name}" = a.id'
        if place != table.full_name:
            renamed += f" and {of_somebody}"
        if connection.execute(verbatim(renamed)).rowcount:
            _moved(connection, place)
    connection.execute(verbatim(f"insert into _gone select alias from _alias as a where {of_somebody}"))


def _clear_copies(connection: sa.Connection, tables: Iterable[RawTable]) -> None:
    """Empties what other tables of the tool tell of the people in `_gone`."""
    for table in tables:
        changed = 0
        for column in (column for column in table.columns if column.whose not in ("", column.name)):
            changed += connection.execute(
                verbatim(
                    f'update {table.full_name} set "{column.name}" = null where "{column.name}" is not null'
                    f' and cast("{column.whose}" as text) in (select id from _gone)'
                )
            ).rowcount
        if changed:
            _moved(connection, table.full_name)


def _clear_rejects(connection: sa.Connection, table: RawTable) -> None:
    connection.execute(
        sa.text("delete from sync.rejects where tool = :tool and stream = :stream and record_id in (select id from _gone)"),
        {"tool": table.schema, "stream": table.name},
    )


def _clear_told(connection: sa.Connection, raw: Sequence[RawTable], told: set[str]) -> None:
    """Empties names and addresses in what is kept for good, and where they stand without an id, unless somebody who is
    still there has the same."""
    _stage(connection, "_told", {"value": sorted(told)})
    for table in (table for table in raw if table.people):
        for column in _texts(table):
            held = f'select lower("{column.name}") from {table.full_name} where "{column.name}" is not null'
            connection.execute(verbatim(f"delete from _told where value in ({held})"))
    places = {
        table.full_name: [column.name for column in table.columns if column.personal and not column.whose]
        for table in raw
        if not table.people
    }
    for full_name, columns in (places | _kept(connection, raw)).items():
        changed = 0
        for name in sorted(columns, key=lambda name: name.endswith("_email")):
            # What they were called before stands beside the address that they still had.
            beside = (f"{name}_email", f"{name.removesuffix('_name')}_email")
            address = next((other for other in columns if other in beside), name)
            theirs = f'update {full_name} set "{name}" = null where "{name}" is not null and (lower("{name}") in'
            theirs += f' (select value from _told) or lower("{address}") in (select value from _told))'
            changed += connection.execute(verbatim(theirs)).rowcount
        if changed and full_name in places:
            _moved(connection, full_name)


def personal_columns(connection: sa.Connection, raw: Sequence[RawTable]) -> set[str]:
    """Every schema.table.column that is personal, or made from what is, by the lineage of the last builds."""
    found = {f"{table.full_name}.{column.name}" for table in raw for column in table.columns if column.personal}
    made: dict[str, list[str]] = {}
    for table, lineage in connection.execute(verbatim("select table_name, lineage from sync.builds")):
        made |= {f"{table}.{column}": sources for column, sources in json.loads(lineage).items()}
    while more := {column for column, sources in made.items() if column not in found and not found.isdisjoint(sources)}:
        found |= more
    return found


def _kept(connection: sa.Connection, raw: Sequence[RawTable]) -> dict[str, list[str]]:
    """The columns of the ledgers that hold names or addresses of people; all texts of one whose source was not built since
    the ledger was restored, so that nobody can say what they were made from."""
    personal = personal_columns(connection, raw)
    built = set(connection.execute(verbatim("select table_name from sync.builds")).scalars())
    kept = {
        ledger.full_name: [
            column.name
            for column in ledger.columns
            if column.type == "text" and (ledger.source not in built or f"{ledger.source}.{column.name}" in personal)
        ]
        for ledger in history.ledgers()
    }
    return {**kept, "unified.gaps": ["owner"]}


def _scrub(connection: sa.Connection, table: str, columns: Sequence[str], address: str, alias: str) -> int:
    """Replaces an address in the texts of a table."""
    pattern, changed = _pattern(address), 0
    for name in columns:
        holds = sa.text(f'select distinct "{name}" from {table} where strpos(lower("{name}"), :address) > 0')
        for old in connection.execute(holds, {"address": address}).scalars().all():
            if (new := pattern.sub(alias, old)) != old:
                statement = sa.text(f'update {table} set "{name}" = :new where "{name}" = :old')
                changed += connection.execute(statement, {"new": new, "old": old}).rowcount
    return changed


def drop_old_versions(connection: sa.Connection) -> None:
    """Drops the last versions of derived tables that PostgreSQL's views do not show any more: they hold what was redacted.
    What somebody is still reading has to wait for the next time."""
    if connection.dialect.name == "duckdb":
        return
    hidden = connection.execute(
        verbatim(
            "select c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where n.nspname = 'build'"
            " and c.relkind = 'r' and not exists (select 1 from pg_depend as d where d.refobjid = c.oid"
            " and d.classid = 'pg_rewrite'::regclass)"
        )
    ).scalars()
    connection.execute(verbatim("set local lock_timeout = '200ms'"))
    for name in hidden.all():
        with suppress(sa.exc.OperationalError), connection.begin_nested():
            connection.execute(verbatim(f'drop table build."{name}"'))


def guarded(warehouse: Warehouse, key: Callable[[bool], bytes]) -> Erased:
    """Whom a load must not bring back."""
    with warehouse.begin("look who was erased") as connection:
        if not connection.execute(verbatim("select 1 from sync.erased limit 1")).first():
            return Erased(frozenset(), b"")
        return erased(connection, key)


def _fields(table: RawTable) -> list[Column]:
    """What is emptied of a person."""
    return [column for column in table.columns if column.personal and column.name not in table.key]


def _texts(table: RawTable) -> list[Column]:
    """What names a person, the key among it where that does."""
    return [column for column in table.columns if column.personal and column.type == "text"]


def _text_columns(connection: sa.Connection, raw: Sequence[RawTable], *, views: bool) -> dict[str, list[str]]:
    """The text columns of all tables, in `views` as readers see them, else as they are stored."""
    shown = "true" if views else "t.table_type = 'BASE TABLE'"
    rows = connection.execute(
        verbatim(
            "select c.table_schema, c.table_name, c.column_name from information_schema.columns as c"
            " join information_schema.tables as t on t.table_catalog = c.table_catalog and t.table_schema = c.table_schema"
            " and t.table_name = c.table_name where c.table_catalog = current_catalog"
            f" and lower(c.data_type) in ('text', 'varchar') and {shown} order by 1, 2, 3"
        )
    )
    schemas = {table.schema for table in raw} | set(_OURS) - ({"build"} if views else set())
    found: dict[str, list[str]] = {}
    for schema, table, column in rows:
        if schema in schemas:
            found.setdefault(f'{schema}."{table}"' if not table.isidentifier() else f"{schema}.{table}", []).append(column)
    return found


def _checked(address: str) -> str:
    if not _ADDRESS.fullmatch(address.strip()):
        raise WarehouseError("This is not an e-mail address: write it in full, such as somebody@example.com.")
    return address.strip().lower()


def _pattern(address: str) -> re.Pattern[str]:
    """The address where it stands by itself, not as a part of another."""
    return re.compile(rf"(?<![\w.%+-]){re.escape(address)}(?![\w-]|\.\w)", re.IGNORECASE)


def _stage(connection: sa.Connection, name: str, columns: Mapping[str, Sequence[str]]) -> None:
    connection.execute(verbatim(f"drop table if exists {name}"))
    connection.execute(verbatim(f"create temporary table {name} ({', '.join(f'{column} text' for column in columns)})"))
    if any(columns.values()):
        insert(connection, "", name, pa.table({column: pa.array(values, pa.string()) for column, values in columns.items()}))


def _put(rows: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)


def _moved(connection: sa.Connection, table: str) -> None:
    versions.moved(versions.Statements(connection), table)


def _escaped(text: str) -> str:
    return text.replace("'", "''")


def _json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
