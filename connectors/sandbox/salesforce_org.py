"""How a Salesforce org keeps its records: ids, defaults, stamps, soft and hard deletes with what goes along, merges.

Here belongs what befalls every record that is made, changed or deleted. Not here: SOQL, endpoints, what one field makes
of another (`salesforce_rules`), or why something changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.sandbox import salesforce_rules
from connectors.sandbox.salesforce_kinds import KINDS
from connectors.sandbox.salesforce_rules import STAGES as STAGES

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

_OWN_STORES = {
    "account": "accounts",
    "contact": "contacts",
    "opportunity": "opportunities",
    "salesforce_user": "salesforce_users",
}
STORES = {**_OWN_STORES, **{name: kind.store for name, kind in KINDS.items()}}  # kind → where the world keeps its records
IDS: Mapping[str, str] = dict.fromkeys(STORES, "Id")  # where a record's id is not in `id`
PREFIXES = {
    "account": "001",
    "contact": "003",
    "opportunity": "006",
    "salesforce_user": "005",
    **{name: kind.prefix for name, kind in KINDS.items()},
}
CHILDREN: Mapping[str, tuple[tuple[str, str], ...]] = {  # parent → what goes along when it is deleted, and by which field
    "account": (
        ("contact", "AccountId"),
        ("opportunity", "AccountId"),
        ("contract", "AccountId"),
        ("case", "AccountId"),
        ("salesforce_task", "WhatId"),
        ("salesforce_event", "WhatId"),
    ),
    "contact": (("opportunity_contact_role", "ContactId"),),
    "opportunity": (
        ("opportunity_history", "OpportunityId"),
        ("opportunity_field_history", "OpportunityId"),
        ("opportunity_line_item", "OpportunityId"),
        ("opportunity_contact_role", "OpportunityId"),
        ("salesforce_task", "WhatId"),
        ("salesforce_event", "WhatId"),
    ),
    "salesforce_product": (("pricebook_entry", "Product2Id"),),
}
_FOLLOWED = (*salesforce_rules.STAGE_FIELDS, "OwnerId")
_AUDIT = dict.fromkeys(("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp"))
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DEFAULTS: dict[str, dict[str, Any]] = {
    "account": {
        "MasterRecordId": None,
        "Name": None,
        "Type": "Prospect",
        "ParentId": None,
        "BillingStreet": None,
        "BillingCity": None,
        "BillingPostalCode": None,
        "BillingCountry": None,
        "Phone": None,
        "Website": None,
        "Industry": None,
        "AnnualRevenue": None,
        "NumberOfEmployees": None,
        "Description": None,
        "OwnerId": None,
        "Success_Plan__c": None,
    },
    "contact": {
        "MasterRecordId": None,
        "AccountId": None,
        "LastName": None,
        "FirstName": None,
        "Name": None,
        "Email": None,
        "Title": None,
        "Phone": None,
        "OwnerId": None,
        "Newsletter__c": False,
    },
    "opportunity": {
        "AccountId": None,
        "Name": None,
        "Description": None,
        "StageName": "Prospecting",
        "Amount": None,
        "Probability": None,
        "ExpectedRevenue": None,
        "CloseDate": None,
        "Type": None,
        "NextStep": None,
        "LeadSource": None,
        "IsClosed": False,
        "IsWon": False,
        "ForecastCategory": None,
        "ForecastCategoryName": None,
        "OwnerId": None,
        "Blocking_Feature__c": None,
        "Loss_Reason__c": None,
        "ContractId": None,
    },
    "salesforce_user": {
        "Username": None,
        "LastName": None,
        "FirstName": None,
        "Name": None,
        "Email": None,
        "IsActive": True,
        "UserType": "Standard",
        "Title": None,
        "Department": None,
        "ManagerId": None,
    },
}
_BLANK: dict[str, dict[str, Any]] = {  # a record of each kind before anything is known of it
    kind: {"Id": None, **({} if kind == "salesforce_user" else {"IsDeleted": False}), **defaults, **_AUDIT}
    for kind, defaults in _DEFAULTS.items()
} | {
    name: {name: False if name == "IsDeleted" else None for name in kind.names} | dict(kind.first)
    for name, kind in KINDS.items()
}


def stamp(_: str, record: Record) -> str:
    text: str = record.get("SystemModstamp") or record["CreatedDate"]
    return text


def time(at: datetime) -> str:
    """2026-11-01T10:00:00.000+0000: whole seconds, always UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def long_id(short: str) -> str:
    """The 18 characters of an id of 15: each of the last three says which of five are upper case."""
    suffix = ""
    for block in (short[:5], short[5:10], short[10:15]):
        suffix += "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[
            sum(1 << place for place, character in enumerate(block) if "A" <= character <= "Z")
        ]
    return short + suffix


def record_id(prefix: str, number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return long_id(f"{prefix}Qm00000{digits:0>5}")


def create(world: World, kind: str, at: datetime, fields: dict[str, Any]) -> Record:
    record: Record = {**_BLANK[kind], "Id": record_id(PREFIXES[kind], world.number(kind, first=62**3 + 17))}
    creator = fields.get("CreatedById") or fields.get("OwnerId") or next(iter(world.salesforce_users), record["Id"])
    made = {"CreatedDate": time(at), "CreatedById": creator, "LastModifiedById": creator}
    record |= {name: value for name, value in made.items() if name in record}
    _set(world, kind, record, at, fields)
    if kind == "opportunity":
        salesforce_rules.trail(world, record, None, at)
    return record


def change(world: World, kind: str, record: Record, at: datetime, fields: dict[str, Any]) -> None:
    before = {name: record[name] for name in _FOLLOWED} if kind == "opportunity" else None
    _set(world, kind, record, at, fields)
    if before is not None:
        salesforce_rules.trail(world, record, before, at)


def _set(world: World, kind: str, record: Record, at: datetime, fields: dict[str, Any]) -> None:
    unknown = fields.keys() - record.keys()
    if unknown:
        raise KeyError(f"{kind} has no field {', '.join(sorted(unknown))}")
    if kind == "opportunity" and (fields.get("StageName") or record["Probability"] is None):
        record |= salesforce_rules.by_stage(fields.get("StageName") or record["StageName"])
    record |= fields
    if kind == "opportunity" and record["Amount"] is not None:
        record["ExpectedRevenue"] = round(record["Amount"] * record["Probability"] / 100, 2)
    if kind in ("contact", "salesforce_user") and record["Name"] is None:
        record["Name"] = f"{record['FirstName']} {record['LastName']}"
    salesforce_rules.follow(world, kind, record, time(at))
    _stamp(record, at)


def _stamp(record: Record, at: datetime) -> None:
    record |= {name: time(at) for name in ("LastModifiedDate", "SystemModstamp") if name in record}


def delete(world: World, kind: str, record: Record, at: datetime) -> None:
    """Into the recycle bin, with what goes along. What has no bin, such as a stage, is gone at once; users can only be
    deactivated. Histories are marked without a stamp of their own: they have none that moves."""
    if kind == "salesforce_user":
        raise ValueError("Salesforce users are never deleted: change IsActive")
    if "IsDeleted" in record:
        record["IsDeleted"] = True
    if "LastModifiedDate" in record:
        _stamp(record, at)
    for child_kind, field in CHILDREN.get(kind, ()):
        for child in [child for child in world.alive(child_kind) if child[field] == record["Id"]]:
            child["_deleted_with"] = record["Id"]
            world.delete(child_kind, child["Id"], at=at)
    if kind == "account":
        for child in [child for child in world.alive("account") if child["ParentId"] == record["Id"]]:
            world.change("account", child["Id"], at=at, ParentId=None)
    if kind == "contract":
        for deal in [deal for deal in world.alive("opportunity") if deal["ContractId"] == record["Id"]]:
            world.change("opportunity", deal["Id"], at=at, ContractId=None)


def undelete(world: World, kind: str, record: Record, at: datetime) -> None:
    """Out of the recycle bin, with what had gone along."""
    if "IsDeleted" not in record or "_purged" in record:
        raise ValueError(f"a {kind} that is gone does not come back")
    record.pop("_deleted_with", None)
    record["IsDeleted"] = False
    if "LastModifiedDate" in record:
        _stamp(record, at)
    for child_kind, _ in CHILDREN.get(kind, ()):
        for child in [child for child in world.store(child_kind).values() if child.get("_deleted_with") == record["Id"]]:
            if "_purged" not in child:
                world.undelete(child_kind, child["Id"], at=at)


def purge(world: World, kind: str, record_id: str) -> None:
    """Deletes for good: neither query nor queryAll shows it any more, nor what went along."""
    with world.lock:
        record = world.store(kind)[record_id]
        if "_deleted_at" not in record:
            world.delete(kind, record_id)
        record["_purged"] = True
        for child_kind, _ in CHILDREN.get(kind, ()):
            for child in [child for child in world.store(child_kind).values() if child.get("_deleted_with") == record_id]:
                purge(world, child_kind, child["Id"])
        world.changed(kind)


def merge_accounts(world: World, loser: Record, winner: Record, at: datetime) -> None:
    for kind, field in CHILDREN["account"]:
        for child in [child for child in world.alive(kind) if child[field] == loser["Id"]]:
            world.change(kind, child["Id"], at=at, **{field: winner["Id"]})
    for child in [child for child in world.alive("account") if child["ParentId"] == loser["Id"]]:
        world.change("account", child["Id"], at=at, ParentId=winner["Id"])
    loser |= {"IsDeleted": True, "MasterRecordId": winner["Id"], "_deleted_at": at.isoformat()}
    for account in (loser, winner):
        _stamp(account, at)
