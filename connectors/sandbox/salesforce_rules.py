"""What Salesforce writes by itself when a record changes: numbers, sums, dates of closing, the two histories of a deal.

Here belongs what follows from a change in the same record or in the trail of a deal. Not here: ids, stamps or deletes.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

STAGES = {  # stage → probability, forecast category
    "Prospecting": (10, "Pipeline"),
    "Qualification": (20, "Pipeline"),
    "Value Proposition": (40, "BestCase"),
    "Proposal/Price Quote": (65, "MostLikely"),
    "Negotiation/Review": (80, "Forecast"),
    "Closed Won": (100, "Closed"),
    "Closed Lost": (0, "Omitted"),
}
FORECAST_NAMES = {"BestCase": "Best Case", "MostLikely": "Most Likely", "Forecast": "Commit"}
STAGE_FIELDS = ("StageName", "Amount", "Probability", "CloseDate")  # a change of these makes a row of OpportunityHistory
FOLLOWED = {"StageName": "DynamicEnum", "Amount": "Currency", "CloseDate": "DateOnly", "OwnerId": "EntityId"}


def by_stage(stage: str) -> Record:
    probability, category = STAGES[stage]
    return {
        "IsClosed": stage.startswith("Closed"),
        "IsWon": stage == "Closed Won",
        "Probability": probability,
        "ForecastCategory": category,
        "ForecastCategoryName": FORECAST_NAMES.get(category, category),
    }


def follow(world: World, kind: str, record: Record, at: str) -> None:
    """Fills what the vendor derives from what a person has just set."""
    if kind == "opportunity_line_item":
        _line_item(world, record)
    elif kind == "pricebook_entry" and record["Product2Id"] and record["Name"] is None:
        product = world.store("salesforce_product")[record["Product2Id"]]
        record |= {"Name": product["Name"], "ProductCode": product["ProductCode"]}
    elif kind == "case":
        closed = record["Status"] == "Closed"
        record["CaseNumber"] = record["CaseNumber"] or f"{world.number('case number', 1001):08d}"
        record |= {"IsClosed": closed, "ClosedDate": (record["ClosedDate"] or at) if closed else None}
    elif kind == "salesforce_task":
        done = record["Status"] == "Completed"
        record |= {"IsClosed": done, "CompletedDateTime": (record["CompletedDateTime"] or at) if done else None}
        record["IsHighPriority"] = record["Priority"] == "High"
    elif kind == "salesforce_event" and record["ActivityDateTime"]:
        start = datetime.strptime(record["ActivityDateTime"], "%Y-%m-%dT%H:%M:%S.000+0000")
        end = start + timedelta(minutes=record["DurationInMinutes"] or 0)
        record |= {"StartDateTime": record["ActivityDateTime"], "EndDateTime": f"{end:%Y-%m-%dT%H:%M:%S}.000+0000"}
        record["ActivityDate"] = start.date().isoformat()
    elif kind == "contract":
        _contract(world, record, at)


def _line_item(world: World, record: Record) -> None:
    entry = world.store("pricebook_entry").get(record["PricebookEntryId"])
    if entry and record["Product2Id"] is None:
        record |= {name: entry[name] for name in ("Product2Id", "ProductCode", "Name")}
        record["ListPrice"] = entry["UnitPrice"]
        record["UnitPrice"] = entry["UnitPrice"] if record["UnitPrice"] is None else record["UnitPrice"]
    record["TotalPrice"] = round((record["UnitPrice"] or 0.0) * record["Quantity"], 2)


def _contract(world: World, record: Record, at: str) -> None:
    record["ContractNumber"] = record["ContractNumber"] or f"{world.number('contract number', 100):08d}"
    record["StatusCode"] = record["Status"]
    if record["Status"] == "Activated":
        record["ActivatedDate"] = record["ActivatedDate"] or at
    if record["StartDate"]:
        start = date.fromisoformat(record["StartDate"])
        record["EndDate"] = (start + timedelta(days=round(record["ContractTerm"] * 365 / 12) - 1)).isoformat()


def trail(world: World, deal: Record, before: Record | None, at: datetime) -> None:
    """The rows that a deal's change leaves behind; `before`: the followed fields as they were, None for a new deal."""
    row: dict[str, Any] = {"OpportunityId": deal["Id"], "CreatedById": deal["LastModifiedById"]}
    if before is None:
        world.create("opportunity_field_history", at=at, **row, Field="created", DataType="Text")
    else:
        for name in FOLLOWED:
            if deal[name] != before[name]:
                values = {"OldValue": before[name], "NewValue": deal[name]}
                world.create("opportunity_field_history", at=at, **row, Field=name, DataType=FOLLOWED[name], **values)
    if before is None or any(deal[name] != before[name] for name in STAGE_FIELDS):
        stood = {name: deal[name] for name in (*STAGE_FIELDS, "ExpectedRevenue", "ForecastCategory")}
        previous = {"PrevAmount": before["Amount"], "PrevCloseDate": before["CloseDate"]} if before else {}
        world.create("opportunity_history", at=at, **row, **stood, **previous)
