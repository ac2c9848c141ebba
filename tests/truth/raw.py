"""What the raw tables must hold of each record: which there are, which are deleted, and what stands in their columns.

Here belongs what every vendor shows of its records, and what it no longer shows once it is gone. Not here: what it means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from connectors.sandbox.jira_site import CUSTOMER, PRODUCT_AREA
from connectors.sandbox.world import Record, World
from tests.truth.calendar import moment

Row = dict[str, Any]
Columns = Callable[[Record], Row]


def deleted(record: Record) -> bool:
    return "_deleted_at" in record


def _named(value: Record | None, key: str = "name") -> Any:
    return value and value[key]


def _account(record: Record) -> Row:
    return {
        "name": record["Name"],
        "website": record["Website"],
        "parent_id": record["ParentId"],
        "owner_id": record["OwnerId"],
        "annual_revenue": record["AnnualRevenue"],
        "master_record_id": record["MasterRecordId"],
        "is_deleted": record["IsDeleted"],
        "system_modstamp": moment(record["SystemModstamp"]),
    }


def _contact(record: Record) -> Row:
    return {
        "account_id": record["AccountId"],
        "email": record["Email"],
        "title": record["Title"],
        "created_date": moment(record["CreatedDate"]),
    }


def _opportunity(record: Record) -> Row:
    return {
        "account_id": record["AccountId"],
        "stage_name": record["StageName"],
        "amount": record["Amount"],
        "currency_iso_code": None,
        "probability": record["Probability"],
        "close_date": date.fromisoformat(record["CloseDate"]),
        "is_won": record["IsWon"],
        "blocking_feature": record["Blocking_Feature__c"],
        "loss_reason": record["Loss_Reason__c"],
        "last_modified_date": moment(record["LastModifiedDate"]),
    }


def _salesforce_user(record: Record) -> Row:
    return {
        "name": record["Name"],
        "email": record["Email"],
        "is_active": record["IsActive"],
        "manager_id": record["ManagerId"],
    }


def _project(record: Record) -> Row:
    return {"key": record["key"], "name": record["name"], "style": record["style"], "archived": record["archived"]}


def _field(record: Record) -> Row:
    return {"name": record["name"], "custom": record["custom"], "schema_type": record["schema"]["type"]}


def _issue(record: Record) -> Row:
    values = record["fields"]
    return {
        "key": record["key"],
        "summary": values["summary"],
        "issue_type": _named(values["issuetype"]),
        "status": _named(values["status"]),
        "resolution": _named(values["resolution"]),
        "resolved_at": moment(values["resolutiondate"]),
        "project_id": _named(values["project"], "id"),
        "parent_id": _named(values["parent"], "id"),
        "assignee_name": _named(values["assignee"], "displayName"),
        "labels": values["labels"],
        "created": moment(values["created"]),
        "updated": moment(values["updated"]),
        "product_area": _named(values[PRODUCT_AREA], "value"),
        "customer": values[CUSTOMER],
    }


def _ticket(record: Record) -> Row:
    columns = ("subject", "description", "status", "priority", "requester_id", "assignee_id", "organization_id", "tags")
    return {
        **{name: record[name] for name in columns},
        "channel": record["via"]["channel"],
        "satisfaction_score": record["satisfaction_rating"]["score"],
        "solved_at": moment(record["metric_set"]["solved_at"]),
        "created_at": moment(record["created_at"]),
        "updated_at": moment(record["updated_at"]),
    }


def _zendesk_user(record: Record) -> Row:
    columns = ("name", "email", "role", "organization_id", "active", "suspended")
    return {**{name: record[name] for name in columns}, "updated_at": moment(record["updated_at"])}


def _organization(record: Record) -> Row:
    columns = ("name", "external_id", "domain_names", "organization_fields")
    return {**{name: record[name] for name in columns}, "updated_at": moment(record["updated_at"])}


def _jira_link(record: Record) -> Row:
    return {
        "ticket_id": int(record["ticket_id"]),
        "issue_id": record["issue_id"],
        "issue_key": record["issue_key"],
        "created_at": moment(record["created_at"]),
    }


TABLES: Mapping[str, tuple[str, Columns]] = {  # raw table → what the world calls its records, what its columns hold
    "salesforce.accounts": ("account", _account),
    "salesforce.contacts": ("contact", _contact),
    "salesforce.opportunities": ("opportunity", _opportunity),
    "salesforce.users": ("salesforce_user", _salesforce_user),
    "jira.projects": ("project", _project),
    "jira.fields": ("field", _field),
    "jira.issues": ("issue", _issue),
    "zendesk.tickets": ("ticket", _ticket),
    "zendesk.users": ("zendesk_user", _zendesk_user),
    "zendesk.organizations": ("organization", _organization),
    "zendesk.jira_links": ("jira_link", _jira_link),
}
_VANISH = ("project", "field", "issue", "jira_link")  # once deleted, nothing shows that they ever were


@dataclass
class Shown:
    """What the vendors have shown of a world so far."""

    world: World
    _met: dict[str, set[Any]] = field(default_factory=dict)

    def tonight(self) -> dict[str, dict[Any, Row]]:
        """By table and id: `deleted`, and the columns of all that can still be read."""
        return {table: self._table(table, kind, columns) for table, (kind, columns) in TABLES.items()}

    def _table(self, table: str, kind: str, columns: Columns) -> dict[Any, Row]:
        store, vanishes = self.world.store(kind), kind in _VANISH
        met = self._met.setdefault(table, set())
        met |= {key for key, record in store.items() if not (vanishes and deleted(record))}
        return {
            key: {"deleted": deleted(store[key]), **({} if vanishes and deleted(store[key]) else columns(store[key]))}
            for key in met
        }


def as_shown(row: Mapping[str, Any], expected: Row) -> Row:
    """A row of a raw table, in the form and with the columns of the expected one."""
    plain = {name: row[name] for name in expected if name != "deleted"}
    for name, value in expected.items():
        if isinstance(value, list | dict) and isinstance(plain[name], str):
            plain[name] = json.loads(plain[name])
    return {"deleted": row["_deleted_at"] is not None, **plain}
