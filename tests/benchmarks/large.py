"""A company as large as those that the refresh is measured with, written straight into the raw tables of a DuckDB warehouse.

Here belongs what it has, and what a night changes in it. Not here: the measuring. Most records are in order: one in twenty
lacks what a gap rule looks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import sqlalchemy as sa

from orchestration.synced import raw_tables
from warehouse import migrate, versions
from warehouse.engine import Warehouse, verbatim

NOW = datetime(2026, 3, 2, 3, tzinfo=UTC)
DAYS = 365  # of usage
ACCOUNTS, TICKETS, ISSUES, USAGE = 100_000, 1_000_000, 300_000, 20_000_000

_AT = "timestamptz '2026-03-01 00:00+00'"
_LONG_AGO = f"{_AT} - ((hash(i) % 1000) + 1) * interval '1 day'"
_ACCOUNT = "'001' || lpad(cast({} as text), 12, '0') || 'AAA'"

# Each table's columns as DuckDB writes them of a number i; {n} stands for how many accounts there are.
TABLES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "salesforce.users": (
        "range(500)",
        {"id": "'005' || i", "name": "'Owner ' || i", "email": "'owner' || i || '@ours.example'", "is_active": "i % 20 <> 0"},
    ),
    "salesforce.accounts": (
        "range({n})",
        {
            "id": _ACCOUNT.format("i"),
            "name": "'Company ' || i",
            "website": "case when i % 20 <> 0 then 'https://www.company' || i || '.com' end",
            "parent_id": f"case when i % 50 = 1 then {_ACCOUNT.format('i - 1')} end",
            "owner_id": "case when i % 33 <> 0 then '005' || (i % 500) end",
            "billing_country": "'DE'",
            "created_date": _LONG_AGO,
            "system_modstamp": _LONG_AGO,
        },
    ),
    "salesforce.contacts": (
        "range({n} * 2)",
        {
            "id": "'003' || i",
            "account_id": _ACCOUNT.format("i % {n}"),
            "email": "'person' || i || '@company' || (i % {n}) || '.com'",
            "first_name": "'Person'",
            "last_name": "'No ' || i",
        },
    ),
    "salesforce.opportunities": (
        "range({n} * 3)",
        {
            "id": "'006' || i",
            "account_id": _ACCOUNT.format("i % {n}"),
            "owner_id": "'005' || (i % 500)",
            "name": "'Deal ' || i",
            "amount": "cast(1000 + hash(i) % 90000 as decimal(18, 2))",
            "stage_name": "case when i % 3 = 0 then 'Negotiation' when i % 3 = 1 then 'Closed Won' else 'Closed Lost' end",
            "is_closed": "i % 3 <> 0",
            "is_won": "i % 3 = 1",
            "probability": "case i % 3 when 0 then 40 when 1 then 100 else 0 end",
            "close_date": "date '2026-03-01' + case when i % 3 = 0 then 1 else -1 end * cast(hash(i) % 700 as integer)",
            "blocking_feature": "case when i % 15 = 0 then 'APP-' || (hash(i) % {issues}) end",
            "loss_reason": "case when i % 3 = 2 and i % 20 <> 2 then 'Price' end",
            "next_step": "case when i % 30 = 0 then 'waits for APP-' || (hash(i) % {issues}) else 'call again' end",
            "created_date": _LONG_AGO,
        },
    ),
    "zendesk.organizations": (
        "range({n} * 4 // 5)",
        {
            "id": "i",
            "name": "'Company ' || i",
            "external_id": f"case when i % 2 = 0 then {_ACCOUNT.format('i')} end",
            "domain_names": "case when i % 20 = 1 then '[]' else '[\"company' || i || '.com\"]' end",
            "created_at": _LONG_AGO,
        },
    ),
    "zendesk.users": (
        "range({n} * 3)",
        {
            "id": "i",
            "name": "case when i < 300 then 'Agent ' else 'Asker ' end || i",
            "email": "case when i < 300 then 'agent' || i || '@ours.example'"
            " else 'asker' || i || '@company' || (i % ({n} * 4 // 5)) || '.com' end",
            "role": "case when i < 300 then 'agent' else 'end-user' end",
            "organization_id": "case when i >= 300 then i % ({n} * 4 // 5) end",
            "active": "true",
        },
    ),
    "zendesk.tickets": (
        "range({tickets})",
        {
            "id": "i",
            "subject": "'It does not work, case ' || i",
            "description": "repeat('What happened is hard to say. ', 6)"
            " || case when i % 40 = 0 then 'Like APP-' || (hash(i) % {issues}) else '' end",
            "status": "case when i % 12 = 0 then 'open' when i % 12 = 1 then 'solved' else 'closed' end",
            "priority": "case i % 10 when 0 then 'urgent' when 1 then 'high' else 'normal' end",
            "type": "'problem'",
            "organization_id": "case when i % 25 <> 0 then hash(i) % ({n} * 4 // 5) end",
            "requester_id": "300 + hash(i) % ({n} * 3 - 300)",
            "assignee_id": "i % 300",
            "tags": "'[\"billing\",\"topic_' || (i % 50) || '\"]'",
            "satisfaction_score": "case when i % 9 = 0 then 'good' when i % 31 = 0 then 'bad' end",
            "created_at": _LONG_AGO,
            "updated_at": _LONG_AGO,
            "solved_at": f"case when i % 12 > 0 then {_LONG_AGO} + interval '5 hours' end",
        },
    ),
    "jira.issues": (
        "range({issues})",
        {
            "id": "cast(10000 + i as text)",
            "key": "'APP-' || i",
            "summary": "'Work item ' || i",
            "issue_type": "case when i % 50 = 0 then 'Epic' when i % 3 = 0 then 'Bug' else 'Story' end",
            "status": "case when i % 4 = 0 then 'To Do' when i % 4 = 1 then 'In Progress' else 'Done' end",
            "status_category": "case when i % 4 = 0 then 'new' when i % 4 = 1 then 'indeterminate' else 'done' end",
            "priority": "'Medium'",
            "resolution": "case when i % 4 > 1 then case when i % 40 = 2 then 'Declined' else 'Done' end end",
            "resolved_at": f"case when i % 4 > 1 then {_AT} - (hash(i) % 100) * interval '1 hour' end",
            "status_category_changed_at": f"case when i % 4 > 1 then {_AT} - (hash(i) % 100) * interval '1 hour' end",
            "project_key": "'APP'",
            "parent_id": "case when i % 50 <> 0 then cast(10000 + i - i % 50 as text) end",
            "assignee_account_id": "'dev' || (i % 400)",
            "assignee_name": "'Developer ' || (i % 400)",
            "customer": "case when i % 20 = 7 then 'Company ' || (hash(i) % {n}) end",
            "fix_versions": "'[]'",
            "created": _LONG_AGO,
            "updated": _LONG_AGO,
        },
    ),
    "zendesk.jira_links": (
        "range({tickets} // 10)",
        {
            "id": "cast(i as text)",
            "ticket_id": "i * 10",
            "issue_id": "cast(10000 + hash(i) % {issues} as text)",
            "issue_key": "'APP-' || (hash(i) % {issues})",
            "created_at": _LONG_AGO,
        },
    ),
    "pendo.accounts": (
        "range({n} // 2)",
        {"account_id": _ACCOUNT.format("i"), "name": "'Company ' || i", "first_visit": _LONG_AGO, "last_visit": _AT},
    ),
    "pendo.visitors": (
        "range({n} * 2)",
        {
            "visitor_id": "'visitor' || i",
            "email": "'visitor' || i || '@company' || (i % ({n} // 2)) || '.com'",
            "account_ids": "'[\"' || " + _ACCOUNT.format("i % ({n} // 2)") + " || '\"]'",
            "account_id": _ACCOUNT.format("i % ({n} // 2)"),
        },
    ),
    "pendo.features": ("range(300)", {"id": "'feature' || i", "name": "'Button ' || i"}),
}
# Few visitors are there every day, and few features are used by most: squares of chance.
_VISITOR = "cast(floor(pow((hash(i, 1) % 1000000) / 1e6, 2) * {n} * 2) as bigint)"
_FEATURE = "cast(floor(pow((hash(i, 2) % 1000000) / 1e6, 2) * 300) as bigint)"
_EVENT = {
    "id": "cast(i as text)",
    "day": "date '2026-03-01' - cast({days} - 1 - i * {days} // {usage} as integer)",
    "feature_id": f"'feature' || {_FEATURE}",
    "visitor_id": f"'visitor' || {_VISITOR}",
    "account_id": _ACCOUNT.format(f"({_VISITOR} % ({{n}} // 2))"),
    "num_events": "1 + hash(i, {night}) % 9",
    "num_minutes": "1 + hash(i) % 5",
    "user_agent": "case when i % 4 = 0 then 'Firefox' else 'Chrome' end",
}


def found(warehouse: Warehouse, share: float = 1.0) -> None:
    """Writes a company of this share of the whole size."""
    migrate.prepare(warehouse, raw_tables())
    sizes = _sizes(share)
    with warehouse.begin("found a large company") as connection:
        for table, (source, columns) in TABLES.items():
            _write(connection, table, source, columns, sizes)
        _write(connection, "pendo.feature_events", "range({usage})", _EVENT, sizes)


def night(warehouse: Warehouse, number: int, share: float = 1.0) -> None:
    """What the night of this number (1, 2 …) brings: one record in two hundred is changed, some are new, a day of usage has
    passed and the three before it are read anew."""
    sizes = _sizes(share) | {"night": number}
    a_day = sizes["usage"] // DAYS
    passed = sizes["usage"] + a_day * (number - 1)
    with warehouse.begin("a night") as connection:
        for table, column in (
            ("salesforce.accounts", "name"),
            ("salesforce.opportunities", "next_step"),
            ("zendesk.tickets", "subject"),
            ("jira.issues", "summary"),
        ):
            some = f"hash(id, {number}) % 200 = 0"
            _run(connection, f"update {table} set {column} = {column} || ' again' where {some}", sizes)
            versions.moved(versions.Statements(connection), table)
        for table, first, new in (
            ("zendesk.tickets", sizes["tickets"], sizes["tickets"] // 500),
            ("pendo.accounts", sizes["n"] // 2, sizes["n"] // 2000),
        ):
            begin = first + new * (number - 1)
            _write(connection, table, f"range({begin}, {begin + new})", TABLES[table][1], sizes)
        _run(connection, f"delete from pendo.feature_events where cast(id as bigint) >= {passed - 3 * a_day}", sizes)
        _write(connection, "pendo.feature_events", f"range({passed - 3 * a_day}, {passed + a_day})", _EVENT, sizes)


def _sizes(share: float) -> dict[str, int]:
    sizes = {"n": ACCOUNTS, "tickets": TICKETS, "issues": ISSUES, "usage": USAGE}
    return {name: int(size * share) for name, size in sizes.items()} | {"days": DAYS, "night": 0}


def _write(connection: sa.Connection, table: str, source: str, columns: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    names, values = ", ".join(f'"{name}"' for name in columns), ", ".join(columns.values())
    _run(connection, f"insert into {table} ({names}, _synced_at) select {values}, {_AT} from {source} as numbers (i)", sizes)
    versions.moved(versions.Statements(connection), table)


def _run(connection: sa.Connection, sql: str, sizes: Mapping[str, int]) -> None:
    connection.execute(verbatim(sql.format(**sizes)))
