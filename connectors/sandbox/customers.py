"""Customers as sales and support know them: accounts with people and deals, organizations with users.

Here belongs how a customer's records hang together. Not here: flaws in them, tickets, or how a record is stamped.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from connectors.sandbox import names, product, salesforce_org
from connectors.sandbox.colleagues import sellers

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World


HISTORIES = ("paying", "paying", "prospect", "paying", "churned", "paying", "prospect", "paying", "paying", "prospect")
_OPEN_STAGES = [stage for stage in salesforce_org.STAGES if not stage.startswith("Closed")]


def customer(world: World, history: str, *, organization: bool | None = None, **fields: Any) -> Record:
    """An account with its people and deals and, unless said otherwise, the organization that fits its history."""
    account = account_with_people(world, history, **fields)
    deals(world, account, history)
    number = len(world.accounts)
    if organization if organization is not None else history != "prospect" or number % 4 == 0:
        short = account["Id"][:15] if number % 7 in (4, 5) else account["Id"]
        by_domain_only = number % 7 == 6 and account["Website"]
        organization_for(world, account, external_id=None if by_domain_only else short)
    return account


def account_with_people(world: World, history: str, **fields: Any) -> Record:
    random = world.random
    name, domain, industry, country = world.company()
    created = world.ago(430, 500)
    number = len(world.accounts)
    siblings = [a for a in islice(reversed(world.accounts.values()), 12) if a["Type"] == "Customer" and not a["ParentId"]]
    subsidiary = history == "paying" and number % 8 == 7 and siblings
    values: Record = {
        "Name": name,
        "Website": names.as_typed(random, domain),
        "Industry": industry,
        "BillingCountry": country,
        "BillingCity": names.COUNTRIES[country][2],
        "BillingStreet": f"{random.randrange(1, 90)} Harbour Street",
        "BillingPostalCode": f"{random.randrange(10000, 99999)}",
        "Phone": f"+49 555 {random.randrange(10**6):06d}",
        "NumberOfEmployees": random.choice((40, 120, 350, 900, 2600)),
        "AnnualRevenue": random.randrange(2, 900) * 1_000_000,
        "OwnerId": random.choice(sellers(world)),
        "Type": "Prospect" if history == "prospect" else "Customer",
        "ParentId": siblings[0]["Id"] if subsidiary else None,
        **fields,
    }
    if subsidiary and number % 16 == 7:
        values["Website"] = None
    account = world.create("account", at=created, **values)
    # Half of the contacts came by bulk loads, so that many carry one stamp, to the second.
    loaded = created.replace(day=1, hour=12, minute=0, second=0, microsecond=0) + timedelta(days=31)
    for place in range(2 + number % 2):
        first, last = names.person(random)
        at = loaded if place else world.ago(20, 380)
        email = names.address(first, last, random.choice(names.FREE_MAIL) if random.random() < 0.04 else domain)
        title = random.choice(names.JOB_TITLES)
        world.create(
            "contact",
            at=at,
            AccountId=account["Id"],
            FirstName=first,
            LastName=last,
            Email=email,
            Title=title,
            OwnerId=account["OwnerId"],
        )
    return account


def bare_domain(account: Record) -> str | None:
    """The domain behind a website as somebody typed it."""
    site = (account["Website"] or "").lower().split("://")[-1].split("/")[0]
    return site.removeprefix("www.") or None


def deals(world: World, account: Record, history: str) -> None:
    """Paying: a won deal whose year is not over. Churned: the last one is, and its renewal was lost."""
    random = world.random
    if history == "paying":
        for year in range(random.choice((1, 1, 2, 2, 3))):
            won(
                world,
                account,
                days_ago=365 * year + random.randrange(20, 330),
                deal_type="Renewal" if year == 0 else "New Business",
            )
        if random.random() < 0.7:
            open_deal(world, account, random.choice(("Renewal", "Expansion")))
    elif history == "churned":
        ended = random.randrange(420, 620)
        won(world, account, days_ago=ended, deal_type="New Business")
        lost(world, account, days_ago=ended - 365)
    else:
        if random.random() < 0.75:
            open_deal(world, account, "New Business")
        if random.random() < 0.5:
            lost(world, account, days_ago=random.randrange(10, 300))


def won(world: World, account: Record, days_ago: int, deal_type: str) -> Record:
    return _deal(world, account, "Closed Won", -days_ago, deal_type)


def lost(world: World, account: Record, days_ago: int, **fields: Any) -> Record:
    reason = world.random.choice(names.LOSS_REASONS)
    blocker = _wanted_feature(world)["key"] if reason == "Missing feature" else None
    return _deal(
        world,
        account,
        "Closed Lost",
        -days_ago,
        "New Business",
        **{"Loss_Reason__c": reason, "Blocking_Feature__c": blocker, **fields},
    )


def open_deal(
    world: World, account: Record, deal_type: str = "New Business", closes_in: int | None = None, **fields: Any
) -> Record:
    closes_in = world.random.randrange(6, 150) if closes_in is None else closes_in
    if "Blocking_Feature__c" not in fields and world.random.random() < 0.3:
        fields["Blocking_Feature__c"] = _wanted_feature(world)["key"]
    return _deal(world, account, world.random.choice(_OPEN_STAGES), closes_in, deal_type, **fields)


def _wanted_feature(world: World) -> Record:
    """A feature that is not done yet."""
    return world.random.choice(
        [f for f in product.first_features(world) if f["fields"]["status"]["statusCategory"]["key"] != "done"]
    )


def _deal(world: World, account: Record, stage: str, closes_in: int, deal_type: str, **fields: Any) -> Record:
    random = world.random
    values = {
        "AccountId": account["Id"],
        "OwnerId": account["OwnerId"],
        "Name": f"{account['Name'].rsplit(' ', 1)[0]}: {deal_type}",
        "Type": deal_type,
        "StageName": "Qualification",
        "CloseDate": world.day(closes_in),
        "Amount": float(random.choice((4, 8, 12, 18, 30, 45, 80, 140, 250)) * 1000),
        "LeadSource": random.choice(("Web", "Referral", "Partner", "Event")),
        "NextStep": random.choice(names.NEXT_STEPS),
    }
    created = world.ago(max(5, 20 - closes_in), 60)
    deal = world.create("opportunity", at=created, **values)
    closed = stage.startswith("Closed")
    changed = world.ago(max(1, -closes_in)) if closed else created + (world.now - created) * random.uniform(0.1, 0.9)
    if closed:
        fields["NextStep"] = None
    return world.change("opportunity", deal["Id"], at=max(changed, created), StageName=stage, **fields)


def organization_for(world: World, account: Record, **fields: Any) -> Record:
    """The organization of an account, with its contacts as users and a colleague whom sales does not know."""
    domain = bare_domain(account)
    values: Record = {"name": account["Name"].rsplit(" ", 1)[0], "domain_names": [domain] if domain else []}
    values["organization_fields"] = {"support_plan": world.random.choice(("basic", "premium"))}
    created = world.ago(40, 360)
    organization = world.create("organization", at=created, **{**values, **fields})
    # An account's organization is made right after its contacts, which are therefore the last ones.
    for contact in takewhile(lambda contact: contact["AccountId"] == account["Id"], reversed(world.contacts.values())):
        world.create(
            "zendesk_user", at=created, name=contact["Name"], email=contact["Email"], organization_id=organization["id"]
        )
    first, last = names.person(world.random)
    email = names.address(first, last, domain or f"{account['Name'].split()[0].lower()}-group.com")
    world.create("zendesk_user", at=world.ago(5, 30), name=f"{first} {last}", email=email, organization_id=organization["id"])
    return organization
