"""The role on PostgreSQL that may read the unified tables and do nothing else.

DuckDB has no roles: there readers have a copy.
"""

from __future__ import annotations

import sqlalchemy as sa

from warehouse.engine import Warehouse, verbatim
from warehouse.publish.catalog import catalog

_STANDING = "select table_name from information_schema.tables where table_schema = 'unified'"


def grant(warehouse: Warehouse, role: str) -> str | None:
    """Lets a role read every table of `unified`, and makes it if it is missing. What it cannot do, it says in one line."""
    if warehouse.dialect != "postgresql" or not role:
        return None
    name = '"{}"'.format(role.replace('"', '""'))
    with warehouse.begin("grant readers what they may read") as connection:
        if not _exists(connection, role) and not _made(connection, role, name):
            return (
                f"The role {role}, which reads and does nothing else, is missing. An administrator makes it by: "
                f"create role {name} nologin; grant {name} to {connection.scalar(verbatim('select quote_ident(current_user)'))}"
            )
        connection.execute(verbatim(f"grant usage on schema unified to {name}"))
        standing = set(connection.execute(verbatim(_STANDING)).scalars())
        for entry in catalog():  # by name: what somebody else keeps in the schema is theirs to give
            if entry.name in standing:
                connection.execute(verbatim(f'grant select on unified."{entry.name}" to {name}'))
    return None


def _exists(connection: sa.Connection, role: str) -> bool:
    return connection.execute(sa.text("select 1 from pg_roles where rolname = :role"), {"role": role}).first() is not None


def _made(connection: sa.Connection, role: str, name: str) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(verbatim(f"create role {name} nologin"))
            # Who makes a role may give it away, but is not in it: yet `set role` needs that.
            connection.execute(verbatim(f"grant {name} to current_user"))
    except sa.exc.DBAPIError:
        return _exists(connection, role)  # another warehouse of the same server was faster
    return True
