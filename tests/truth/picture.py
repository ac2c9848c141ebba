"""The whole truth of a world at one moment: every unified table and every gap, and what is kept between two nights.

Here belongs the order in which the parts are made. Not here: what any of them means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from connectors.sandbox.world import World
from tests.truth import customers, facts, features, gaps, identity
from tests.truth.facts import Row, Seen
from tests.truth.identity import Ids


@dataclass
class Picture:
    """The unified tables as they must be, rows by key."""

    companies: dict[str, identity.Company]
    deals: dict[str, Row]
    tickets: dict[str, Row]
    issues: dict[str, Row]
    ticket_issue_links: dict[tuple[str, str], Row]
    usage: dict[tuple[str, str, str, date], Row]
    usage_daily: dict[tuple[str, date], Row]
    feature_usage_daily: dict[tuple[str, str, date], Row]
    visitors: dict[str, Row]
    evidence: dict[features.Key, Row]
    customers: dict[str, Row]
    features: dict[str, Row]
    gaps: dict[tuple[str, str], Row]


@dataclass
class Nights:
    """What is true night after night of one world."""

    world: World
    ids: Ids = field(default_factory=Ids)

    def tonight(self) -> Picture:
        companies = self.ids.give(identity.companies(self.world))
        customer_of = {place: customer_id for customer_id, company in companies.items() for place in company.places}
        seen = Seen(self.world, self.world.now.date(), customer_of)
        deals, tickets, issues = facts.deals(seen), facts.tickets(seen), facts.issues(seen)
        links = facts.ticket_issue_links(seen)
        profiles = customers.profiles(seen, companies, deals)
        found = gaps.all_breaches(gaps.Breaches(seen, companies, profiles, deals, tickets, links))
        parts = features.Parts(seen, profiles, deals, tickets, issues, links)
        evidence = features.evidence(parts)
        return Picture(
            companies=companies,
            deals=deals,
            tickets=tickets,
            issues=issues,
            ticket_issue_links=links,
            usage=facts.usage(seen),
            usage_daily=facts.usage_daily(seen),
            feature_usage_daily=facts.feature_usage_daily(seen),
            visitors=facts.visitors(seen),
            evidence=evidence,
            customers=customers.customers(seen, profiles, deals, tickets, found.values()),
            features=features.features(parts, evidence.values(), found.values()),
            gaps=found,
        )
