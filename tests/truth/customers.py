"""Who each customer is and what it pays, out of its records in every tool and what it bought.

Here belong lifecycle, arr, renewal, segment, owner and what is counted per customer. Not here: which records are one company.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from connectors.sandbox import pendo_app
from connectors.sandbox.world import Record, World
from tests.truth.calendar import at, months_after
from tests.truth.facts import Row, Seen
from tests.truth.identity import Company, account_domain, organization_domain

_SEGMENTS = ((100_000, "large"), (10_000, "mid"), (0, "small"))


def profiles(seen: Seen, companies: Mapping[str, Company], deals: Mapping[str, Row]) -> dict[str, Row]:
    won: dict[str, list[Row]] = {customer_id: [] for customer_id in companies}
    for deal in deals.values():
        if deal["is_won"] and deal["customer_id"]:
            won[deal["customer_id"]].append(deal)
    return {customer_id: _profile(seen, company, won[customer_id]) for customer_id, company in companies.items()}


def _profile(seen: Seen, company: Company, won: list[Row]) -> Row:
    account = company.accounts[0] if company.accounts else None
    owner = active_user(seen.world, account["OwnerId"]) if account else None
    arr = running_arr(won, seen.today) if won else None
    parent = account["ParentId"] if account else None
    domains = [*map(account_domain, company.accounts), *map(organization_domain, company.organizations)]
    created = [
        *(at(account["CreatedDate"]) for account in company.accounts),
        *(at(organization["created_at"]) for organization in company.organizations),
        *(pendo_app.moment(account["metadata"]["auto"]["firstvisit"]) for account in company.usage_accounts),
    ]
    names = [
        *(account["Name"] for account in company.accounts),
        *(organization["name"] for organization in company.organizations),
        *(account["metadata"]["agent"]["name"] for account in company.usage_accounts),
    ]
    return {
        "name": next(filter(None, names), None),
        "domain": next(filter(None, domains), None),
        "lifecycle": lifecycle(seen.world, domains, won, seen.today),
        "segment": None if arr is None else next(name for least, name in _SEGMENTS if arr >= least),
        "arr": arr,
        "currency": "USD",
        "renewal_date": max(months_after(deal["close_date"], 12) for deal in won) if won else None,
        "owner_name": owner and owner["Name"],
        "owner_email": owner and owner["Email"],
        "parent_customer_id": seen.customer_of_account(parent),
        "salesforce_accounts": len(company.accounts),
        "zendesk_organizations": len(company.organizations),
        "pendo_accounts": len(company.usage_accounts),
        "identity_method": company.method,
        "first_seen_at": min(created),
    }


def active_user(world: World, user_id: str) -> Record | None:
    """The colleague, unless he left or the connection cannot see him."""
    user = world.salesforce_users.get(user_id)
    return user if user and user["IsActive"] else None


def running(deal: Row, on: date) -> bool:
    """Whether the term that was won covers a day; its last day is the one before it is up for renewal."""
    covers: bool = deal["is_won"] and deal["term_start"] <= on < deal["term_end"]
    return covers


def running_arr(won: Iterable[Row], on: date) -> float | None:
    return known_sum(deal["amount"] for deal in won if running(deal, on))


def lifecycle(world: World, domains: Iterable[str | None], won: list[Row], on: date) -> str:
    if set(domains) & set(world.internal_domains):
        return "internal"
    if any(running(deal, on) for deal in won):
        return "paying"
    return "churned" if any(deal["term_end"] <= on for deal in won) else "prospect"


def customers(
    seen: Seen, profiles: Mapping[str, Row], deals: Mapping[str, Row], tickets: Mapping[str, Row], gaps: Iterable[Row]
) -> dict[str, Row]:
    """The profiles with everything that is counted per customer."""
    gaps = list(gaps)
    return {
        customer_id: {
            **profile,
            **_sales([deal for deal in deals.values() if deal["customer_id"] == customer_id]),
            **_support([ticket for ticket in tickets.values() if ticket["customer_id"] == customer_id], seen.today),
            **_gaps([gap for gap in gaps if gap["customer_id"] == customer_id]),
            **_picture(profile),
        }
        for customer_id, profile in profiles.items()
    }


def _sales(deals: list[Row]) -> Row:
    amounts = [deal["amount"] for deal in deals if deal["is_open"]]
    return {"open_deals": len(amounts), "open_deal_amount": known_sum(amounts)}


def known_sum(amounts: Iterable[float | None]) -> float | None:
    """The sum of what is known: unknown if there is something and none of it is known, nothing if there is nothing."""
    amounts = list(amounts)
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known or not amounts else None


def _support(tickets: list[Row], today: date) -> Row:
    lately = [ticket for ticket in tickets if ticket["created_on"] > today - timedelta(days=90)]
    rated = [ticket["satisfaction"] for ticket in lately if ticket["satisfaction"]]
    return {
        "open_tickets": sum(ticket["is_open"] for ticket in tickets),
        "tickets_90d": len(lately),
        "escalations_open": sum(ticket["is_open"] and ticket["is_escalated"] for ticket in tickets),
        "csat_90d": rated.count("good") / len(rated) if rated else None,
    }


def _gaps(gaps: list[Row]) -> Row:
    return {"open_gaps": len(gaps), "money_at_stake": money_at_stake(gaps)}


def money_at_stake(gaps: list[Row]) -> float | None:
    """A customer's arr and a deal's amount count once, however many gaps put them at stake."""
    arr: dict[str, float] = {}
    pipeline: dict[str, float] = {}
    for gap in gaps:
        if gap["stake_amount"] is not None:
            by, thing = (arr, "customer_id") if gap["stake_kind"] == "arr" else (pipeline, "entity_id")
            by[gap[thing]] = max(gap["stake_amount"], by.get(gap[thing], 0))
    stakes = [*arr.values(), *pipeline.values()]
    return sum(stakes) if stakes else None


def _picture(profile: Row) -> Row:
    if profile["lifecycle"] == "internal":
        return {"picture_complete": None, "picture_missing": None}
    wanted = {
        "domain": profile["domain"],
        "name": profile["name"],
        "owner": profile["owner_name"],
        "salesforce_account": profile["salesforce_accounts"],
    }
    if profile["lifecycle"] == "paying":
        wanted |= {name: profile[name] for name in ("arr", "renewal_date", "segment")}
        wanted["zendesk_organization"] = profile["zendesk_organizations"]
    missing = sorted(name for name, value in wanted.items() if not value)
    return {"picture_complete": not missing, "picture_missing": missing}
