"""What sales keeps beside accounts, people and deals: products and prices, contracts, calls, meetings, cases, wishes.

Here belongs how these hang together on the first day. Not here: accounts and deals themselves, or how a record is stamped.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from connectors.sandbox import names, salesforce_rules
from connectors.sandbox.salesforce_org import record_id

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

PRODUCTS = {  # name → code, family, list price
    "Planner, per site": ("PLAN-SITE", "Licences", 4000.0),
    "Planner, enterprise": ("PLAN-ENT", "Licences", 45000.0),
    "Reporting add-on": ("REP-ADD", "Licences", 2000.0),
    "Mobile add-on": ("MOB-ADD", "Licences", 1000.0),
    "Onboarding package": ("ONBOARD", "Services", 8000.0),
}
STANDARD_PRICEBOOK = record_id("01s", 1)
CURRENCIES = {"USD": 1.0, "EUR": 0.92, "GBP": 0.79}
ROLES = ("Decision Maker", "Economic Buyer", "Evaluator", "Executive Sponsor")
CALLS = ("Call back about pricing", "Send security answers", "Prepare the pilot", "Ask for a reference")
MEETINGS = ("Demo", "Pilot debrief", "Quarterly review", "Contract talk")


def sales(world: World) -> None:
    """Nothing where there are no customers."""
    if not world.accounts:
        return
    setup(world)
    for place, deal in enumerate(list(world.alive("opportunity"))):
        work_on(world, deal, place)
    for place, account in enumerate(list(world.alive("account"))):
        if place % 3 == 0:
            complain(world, account, world.now - timedelta(days=3 + place))
        if place % 5 == 0:
            wish(world, account, world.now - timedelta(days=8 + place))


def setup(world: World) -> None:
    """What an administrator makes once: stages, record types, currencies, products with their prices."""
    founded = world.now.replace(hour=9, minute=0, second=0) - timedelta(days=900)
    for place, (stage, (probability, category)) in enumerate(salesforce_rules.STAGES.items(), 1):
        world.create(
            "opportunity_stage",
            at=founded,
            MasterLabel=stage,
            ApiName=stage,
            SortOrder=place,
            IsClosed=stage.startswith("Closed"),
            IsWon=stage == "Closed Won",
            ForecastCategory=category,
            ForecastCategoryName=salesforce_rules.FORECAST_NAMES.get(category, category),
            DefaultProbability=float(probability),
        )
    for name in ("New Business", "Renewal"):
        developer = name.replace(" ", "_")
        world.create("record_type", at=founded, Name=name, DeveloperName=developer, SobjectType="Opportunity")
    for code, rate in CURRENCIES.items():
        world.create("currency_type", at=founded, IsoCode=code, ConversionRate=rate, IsCorporate=code == "USD")
        world.create("dated_conversion_rate", at=founded, IsoCode=code, StartDate="2024-01-01", ConversionRate=rate)
    for name in PRODUCTS:
        list_product(world, name, founded)


def list_product(world: World, name: str, at: datetime) -> Record:
    code, family, price = PRODUCTS.get(name, (name.upper(), "Services", 500.0))
    product = world.create("salesforce_product", at=at, Name=name, ProductCode=code, Family=family, StockKeepingUnit=code)
    world.create("pricebook_entry", at=at, Product2Id=product["Id"], Pricebook2Id=STANDARD_PRICEBOOK, UnitPrice=price)
    return product


def work_on(world: World, deal: Record, place: int) -> None:
    """What a deal gathers: products that make up its amount, a contact, a call, a meeting, and a contract once it is won."""
    started, changed = moment(deal["CreatedDate"]), moment(deal["SystemModstamp"])
    entries = list(world.alive("pricebook_entry"))
    add_product(world, deal, entries[place % len(entries)], started)
    person = next((p for p in people(world).get(deal["AccountId"], []) if "_deleted_at" not in p), None)
    if person:
        role = ROLES[place % len(ROLES)]
        about = {"OpportunityId": deal["Id"], "ContactId": person["Id"], "Role": role, "IsPrimary": True}
        world.create("opportunity_contact_role", at=started, **about)
    if place % 2 == 0:
        call(world, deal, person, started, done=deal["IsClosed"])
    if place % 3 == 0:
        meet(world, deal, person, started + timedelta(minutes=30))
    if deal["IsWon"]:
        deal["ContractId"] = sign(world, deal, changed)["Id"]  # of old, so that the deal keeps its stamp


def people(world: World) -> dict[str, list[Record]]:
    """The contacts by account."""

    def by_account() -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for contact in world.contacts.values():
            found.setdefault(contact["AccountId"], []).append(contact)
        return found

    known: dict[str, list[Record]] = world.derived("contact", "by account", by_account)
    return known


def add_product(world: World, deal: Record, entry: Record, at: datetime | None = None) -> Record:
    quantity = float(1 + int(deal["Amount"] or 0) % 7 % 3)
    price = round((deal["Amount"] or entry["UnitPrice"]) / quantity, 2)
    about = {"OpportunityId": deal["Id"], "PricebookEntryId": entry["Id"]}
    return world.create("opportunity_line_item", at=at, **about, Quantity=quantity, UnitPrice=price, SortOrder=1)


def call(world: World, deal: Record, person: Record | None, at: datetime | None = None, *, done: bool = False) -> Record:
    about = {"WhatId": deal["Id"], "AccountId": deal["AccountId"], "OwnerId": deal["OwnerId"]}
    due = ((at or world.now) + timedelta(days=7)).date().isoformat()
    subject = world.chance("calls").choice(CALLS)
    status = "Completed" if done else "Not Started"
    who = person and person["Id"]
    return world.create("salesforce_task", at=at, **about, WhoId=who, Subject=subject, ActivityDate=due, Status=status)


def meet(world: World, deal: Record, person: Record | None, at: datetime | None = None) -> Record:
    about = {"WhatId": deal["Id"], "AccountId": deal["AccountId"], "OwnerId": deal["OwnerId"]}
    start = (at or world.now).replace(hour=14, minute=30, second=0) + timedelta(days=3)
    return world.create(
        "salesforce_event",
        at=at,
        **about,
        WhoId=person and person["Id"],
        Subject=world.chance("meetings").choice(MEETINGS),
        ActivityDateTime=f"{start:%Y-%m-%dT%H:%M:%S}.000+0000",
        DurationInMinutes=60,
        Location="Video",
    )


def sign(world: World, deal: Record, at: datetime | None = None) -> Record:
    about = {"AccountId": deal["AccountId"], "OwnerId": deal["OwnerId"], "StartDate": deal["CloseDate"]}
    return world.create("contract", at=at, **about, Status="Activated")


def complain(world: World, account: Record, at: datetime | None = None) -> Record:
    person = next(iter(people(world).get(account["Id"], [])), None)
    subject = world.chance("cases").choice(names.COMPLAINTS)
    about = {"AccountId": account["Id"], "OwnerId": account["OwnerId"], "ContactId": person and person["Id"]}
    return world.create("case", at=at, **about, Subject=subject, Type="Problem")


def wish(world: World, account: Record, at: datetime | None = None) -> Record:
    number = world.number("product request name", 1)
    area = world.chance("wishes").choice(list(names.FEATURES.values()))
    about = {"Account__c": account["Id"], "OwnerId": account["OwnerId"], "Summary__c": world.chance("wishes").choice(area)}
    return world.create("product_request", at=at, Name=f"PR-{number:04d}", **about)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
