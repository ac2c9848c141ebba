"""How a Salesforce org keeps its records: ids, defaults, stamps, what follows from a stage, soft deletes and merges.

Here belongs what Salesforce does by itself when a record is made or changed.
Not here: SOQL, endpoints, or why it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

STORES = {  # kind → where the world keeps its records
    "account": "accounts",
    "contact": "contacts",
    "opportunity": "opportunities",
    "salesforce_user": "salesforce_users",
}
IDS: Mapping[str, str] = dict.fromkeys(STORES, "Id")  # where a record's id is not in `id`

STAGES = {  # stage → probability, forecast category
    "Prospecting": (10, "Pipeline"),
    "Qualification": (20, "Pipeline"),
    "Value Proposition": (40, "BestCase"),
    "Proposal/Price Quote": (65, "MostLikely"),
    "Negotiation/Review": (80, "Forecast"),
    "Closed Won": (100, "Closed"),
    "Closed Lost": (0, "Omitted"),
}
_FORECAST_NAMES = {"BestCase": "Best Case", "MostLikely": "Most Likely", "Forecast": "Commit"}
_PREFIXES = {"account": "001", "contact": "003", "opportunity": "006", "salesforce_user": "005"}
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


def stamp(_: str, record: Record) -> str:
    text: str = record["SystemModstamp"]
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
    record: Record = {"Id": record_id(_PREFIXES[kind], world.number(kind, first=62**3 + 17))}
    if kind != "salesforce_user":
        record["IsDeleted"] = False
    record |= _DEFAULTS[kind]
    creator = fields.get("OwnerId") or next(iter(world.salesforce_users), record["Id"])
    record |= {
        "CreatedDate": time(at),
        "CreatedById": creator,
        "LastModifiedDate": None,
        "LastModifiedById": creator,
        "SystemModstamp": None,
    }
    change(world, kind, record, at, fields)
    return record


def change(_: World, kind: str, record: Record, at: datetime, fields: dict[str, Any]) -> None:
    unknown = fields.keys() - record.keys()
    if unknown:
        raise KeyError(f"{kind} has no field {', '.join(sorted(unknown))}")
    if kind == "opportunity" and (fields.get("StageName") or record["Probability"] is None):
        record |= _following(fields.get("StageName") or record["StageName"])
    record |= fields
    if kind == "opportunity" and record["Amount"] is not None:
        record["ExpectedRevenue"] = round(record["Amount"] * record["Probability"] / 100, 2)
    if kind in ("contact", "salesforce_user") and record["Name"] is None:
        record["Name"] = f"{record['FirstName']} {record['LastName']}"
    record["LastModifiedDate"] = record["SystemModstamp"] = time(at)


def _following(stage: str) -> Record:
    probability, category = STAGES[stage]
    return {
        "IsClosed": stage.startswith("Closed"),
        "IsWon": stage == "Closed Won",
        "Probability": probability,
        "ForecastCategory": category,
        "ForecastCategoryName": _FORECAST_NAMES.get(category, category),
    }


def delete(world: World, kind: str, record: Record, at: datetime) -> None:
    """Into the recycle bin; an account takes its contacts and deals along. Users can only be deactivated."""
    if kind == "salesforce_user":
        raise ValueError("Salesforce users are never deleted: change IsActive")
    record |= {"IsDeleted": True, "LastModifiedDate": time(at), "SystemModstamp": time(at)}
    if kind == "account":
        for child_kind in ("contact", "opportunity"):
            for child in [child for child in world.alive(child_kind) if child["AccountId"] == record["Id"]]:
                world.delete(child_kind, child["Id"], at=at)
        for child in [child for child in world.alive("account") if child["ParentId"] == record["Id"]]:
            world.change("account", child["Id"], at=at, ParentId=None)


def merge_accounts(world: World, loser: Record, winner: Record, at: datetime) -> None:
    for kind in ("contact", "opportunity"):
        for child in [child for child in world.alive(kind) if child["AccountId"] == loser["Id"]]:
            world.change(kind, child["Id"], at=at, AccountId=winner["Id"])
    for child in [child for child in world.alive("account") if child["ParentId"] == loser["Id"]]:
        world.change("account", child["Id"], at=at, ParentId=winner["Id"])
    loser |= {"IsDeleted": True, "MasterRecordId": winner["Id"], "_deleted_at": at.isoformat()}
    for account in (loser, winner):
        account["LastModifiedDate"] = account["SystemModstamp"] = time(at)
