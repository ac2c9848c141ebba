"""Everything that is in breach of a rule, planted or not: rule and thing, severity, what is at stake, and whose it is.

Here belongs one function per rule, by what its name and its text say. Not here: since when a gap is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.truth import facts
from tests.truth.customers import active_user, running
from tests.truth.facts import Row, Seen
from tests.truth.identity import Company, names_an_account, organization_place

Rule = Callable[["Breaches"], Iterator[Row]]


@dataclass(frozen=True)
class Breaches:
    """What the rules look at."""

    seen: Seen
    companies: Mapping[str, Company]
    profiles: Mapping[str, Row]
    deals: Mapping[str, Row]
    tickets: Mapping[str, Row]
    links: Mapping[tuple[str, str], Row]

    def paying(self) -> Iterator[tuple[str, Row]]:
        return ((customer_id, profile) for customer_id, profile in self.profiles.items() if profile["lifecycle"] == "paying")

    def seller(self, owner_id: str, otherwise: str) -> str:
        """Whose a Salesforce record is, unless he left."""
        owner = active_user(self.seen.world, owner_id)
        return owner["Name"] if owner else otherwise


def all_breaches(breaches: Breaches) -> dict[tuple[str, str], Row]:
    return {(rule, gap["entity_id"]): {"rule": rule, **gap} for rule, find in RULES.items() for gap in find(breaches)}


def _gap(entity_id: str, severity: str, owner: str, customer_id: str | None = None, **more: Any) -> Row:
    unknown = {"feature_id": None, "stake_amount": None, "stake_kind": None}
    return {"entity_id": entity_id, "severity": severity, "owner": owner, "customer_id": customer_id, **unknown, **more}


def _stake(amount: float | None, kind: str) -> Row:
    """What is at stake; nothing is said of what is unknown, or nothing."""
    return {"stake_amount": amount or None, "stake_kind": kind if amount else None}


# identity ---------------------------------------------------------------------------------------------------------


def account_without_organization(breaches: Breaches) -> Iterator[Row]:
    buying = {deal["account_id"] for deal in breaches.deals.values() if running(deal, breaches.seen.today)}
    for customer_id, profile in breaches.paying():
        company = breaches.companies[customer_id]
        owner = profile["owner_name"] or "customer success operations"
        for account in company.accounts if not company.organizations else ():
            if account["Id"] in buying:
                yield _gap(account["Id"], "high", owner, customer_id, **_stake(profile["arr"], "arr"))


def organization_without_account(breaches: Breaches) -> Iterator[Row]:
    since = breaches.seen.today - timedelta(days=90)
    active = {ticket["organization_id"] for ticket in breaches.tickets.values() if ticket["created_on"] > since}
    for customer_id, company in breaches.companies.items():
        for organization in company.organizations if not company.accounts else ():
            if str(organization["id"]) in active and breaches.profiles[customer_id]["lifecycle"] != "internal":
                yield _gap(str(organization["id"]), "high", "sales operations", customer_id)


def dangling_declared_id(breaches: Breaches) -> Iterator[Row]:
    living = {account["Id"][:15] for account in breaches.seen.world.alive("account")}
    for organization in breaches.seen.world.alive("organization"):
        declared = organization["external_id"]
        if names_an_account(declared) and declared[:15] not in living:
            customer_id = breaches.seen.customer_of[organization_place(organization["id"])]
            yield _gap(str(organization["id"]), "high", "customer success operations", customer_id)


# linkage ----------------------------------------------------------------------------------------------------------


def blocker_without_issue(breaches: Breaches) -> Iterator[Row]:
    soon = breaches.seen.today + timedelta(days=60)
    for deal_id, deal in breaches.deals.items():
        if deal["is_open"] and deal["has_blocker"] and deal["blocker_issue_id"] is None:
            severity = "critical" if deal["close_date"] <= soon else "high"
            yield _deal_gap(breaches, deal_id, severity, "product operations")


def link_to_missing_issue(breaches: Breaches) -> Iterator[Row]:
    missing = {ticket_id for (ticket_id, _), link in breaches.links.items() if not link["issue_exists"]}
    for ticket_id in missing & breaches.tickets.keys():
        ticket = breaches.tickets[ticket_id]
        yield _gap(ticket_id, "high", ticket["assignee_name"] or "support operations", ticket["customer_id"])


def issue_done_tickets_open(breaches: Breaches) -> Iterator[Row]:
    """The customer is named if all who wait are one."""
    waiting: dict[str, list[Row]] = {}
    for ticket_id, issue_id in breaches.links:
        if (ticket := breaches.tickets.get(ticket_id)) and ticket["is_open"]:
            waiting.setdefault(issue_id, []).append(ticket)
    for issue in (issue for issue in breaches.seen.world.alive("issue") if issue["id"] in waiting and facts.is_done(issue)):
        owner = (issue["fields"]["assignee"] or {}).get("displayName", "support operations")
        asking = {ticket["customer_id"] for ticket in waiting[issue["id"]]}
        customer_id = asking.pop() if len(asking) == 1 else None
        yield _gap(issue["id"], "high", owner, customer_id, feature_id=facts.feature_of(breaches.seen, issue))


# process ----------------------------------------------------------------------------------------------------------


def deal_past_close_date(breaches: Breaches) -> Iterator[Row]:
    for deal_id, deal in breaches.deals.items():
        if deal["is_open"] and deal["close_date"] < breaches.seen.today:
            yield _deal_gap(breaches, deal_id, "medium", "sales operations")


def lost_without_reason(breaches: Breaches) -> Iterator[Row]:
    for deal_id, deal in breaches.deals.items():
        if deal["is_lost"] and not facts.filled(deal["loss_reason"]):
            yield _deal_gap(breaches, deal_id, "medium", "sales operations")


def _deal_gap(breaches: Breaches, deal_id: str, severity: str, otherwise: str) -> Row:
    deal = breaches.deals[deal_id]
    owner = breaches.seller(breaches.seen.world.opportunities[deal_id]["OwnerId"], otherwise)
    feature_id = deal["blocker_feature_id"]
    return _gap(deal_id, severity, owner, deal["customer_id"], feature_id=feature_id, **_stake(deal["amount"], "pipeline"))


# pipeline ---------------------------------------------------------------------------------------------------------


def source_late(_: Breaches) -> Iterator[Row]:
    """Nothing of the world: the tests that keep a tool from being read know which reads are late."""
    yield from ()


# picture ----------------------------------------------------------------------------------------------------------


def customer_without_owner(breaches: Breaches) -> Iterator[Row]:
    for customer_id, profile in breaches.paying():
        if profile["owner_name"] is None:
            yield _gap(customer_id, "high", "sales operations", customer_id, **_stake(profile["arr"], "arr"))


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        account_without_organization,
        organization_without_account,
        dangling_declared_id,
        blocker_without_issue,
        link_to_missing_issue,
        issue_done_tickets_open,
        deal_past_close_date,
        lost_without_reason,
        source_late,
        customer_without_owner,
    )
}
