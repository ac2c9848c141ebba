"""The invented companies that are hard to tell apart, put through the warehouse's own step."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from tests.truth.hard_cases import HardCases
from warehouse import identity
from warehouse.engine import Warehouse, frame, insert, verbatim
from warehouse.schema import PAIR

_RECORDS = ("tool", "record_type", "record_id", "name", "host", "country", "parent_id", "declared_tool", "declared_id")
_CONTACTS = ("tool", "record_type", "record_id", "person_id", "host")
_TABLES = (
    f"create table unified.records ({', '.join(f'{name} text' for name in _RECORDS)}, deleted boolean)",
    f"create table unified.contact_domains ({', '.join(f'{name} text' for name in _CONTACTS)})",
    "create table unified.texts (tool text, record_type text, record_id text, text text)",
    "create table unified.seen_keys (tool text, issue_id text, issue_key text, seen_at timestamptz)",
)


def put(warehouse: Warehouse, cases: HardCases) -> None:
    """Lays the cases where the step finds them, in a warehouse of which the tables are prepared."""
    with warehouse.begin("the cases") as connection:
        for statement in _TABLES:
            connection.execute(verbatim(statement))
        insert(connection, "unified", "records", _arrow(cases.records[[*_RECORDS, "deleted"]]))
        insert(connection, "unified", "contact_domains", _arrow(cases.contact_domains[[*_CONTACTS]]))
        insert(connection, "settings", "shared_domains", pa.table({"domain": list(cases.shared_domains)}))
        clock = {"at": datetime(2026, 3, 1, tzinfo=UTC)}
        connection.execute(sa.text("insert into settings.clock values (:at, '2026-03-01', 'UTC')"), clock)


def resolved(warehouse: Warehouse) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The links and the candidates, as the scores want them."""
    with warehouse.begin("resolve") as connection:
        identity.resolve(connection)
        links = frame(connection, "select tool, record_type, record_id, customer_id, method from unified.customer_links")
        candidates = frame(connection, f"select {', '.join(PAIR)} from unified.match_candidates")
    return links, candidates


def _arrow(rows: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(rows, preserve_index=False)
