"""Which records of which tools are one company, and the id that the company keeps from night to night.

Here belong declared ids and registrable domains, the two ways by which records are joined. Not here: what a company pays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlsplit

from connectors.sandbox.world import Record, World

Place = tuple[str, str, str]  # tool, record type, record id

_TWO_LABELS = {"co.uk", "com.au"}  # of the suffixes that the world's companies use, those that are no single label
_FREE_MAIL = {"gmail.com", "outlook.com", "web.de"}
_ANCHORS = ("salesforce", "zendesk", "pendo")
_ACCOUNT_ID = re.compile(r"001[0-9A-Za-z]{12}([0-9A-Za-z]{3})?")


def account_place(account_id: str) -> Place:
    return ("salesforce", "account", account_id)


def organization_place(organization_id: int) -> Place:
    return ("zendesk", "organization", str(organization_id))


def usage_place(account_id: str) -> Place:
    return ("pendo", "account", account_id)


def registrable(site: str | None) -> str | None:
    """The domain that a company registered, out of a web address or a host as somebody typed it."""
    typed = site or ""
    host = urlsplit(typed if "//" in typed else f"//{typed}").hostname or ""
    labels = host.split(".")
    if len(labels) < 2:
        return None
    return ".".join(labels[-3:] if ".".join(labels[-2:]) in _TWO_LABELS else labels[-2:])


def own_domain(site: str | None) -> str | None:
    """The registrable domain, unless everybody can have an address there."""
    domain = registrable(site)
    return None if domain in _FREE_MAIL else domain


def account_domain(account: Record) -> str | None:
    return own_domain(account["Website"])


def organization_domain(organization: Record) -> str | None:
    return own_domain(next(iter(organization["domain_names"]), None))


def names_an_account(external_id: str | None) -> bool:
    return bool(external_id and _ACCOUNT_ID.fullmatch(external_id))


def declared_account(world: World, declared: str | None) -> str | None:
    """The living account that somebody's id means, in either of its lengths."""
    if declared is None or not names_an_account(declared):
        return None
    return next((account["Id"] for account in world.alive("account") if account["Id"][:15] == declared[:15]), None)


def account_of(world: World, organization: Record) -> tuple[str | None, str]:
    """The account that an organization belongs to, and how that is known: declared_id, domain or alone."""
    declared = declared_account(world, organization["external_id"])
    if declared:
        return declared, "declared_id"
    domain = organization_domain(organization)
    sharing = [account["Id"] for account in world.alive("account") if domain and account_domain(account) == domain]
    return (sharing[0], "domain") if len(sharing) == 1 else (None, "alone")


@dataclass
class Company:
    """The living records that are one company."""

    accounts: list[Record] = field(default_factory=list)
    organizations: list[Record] = field(default_factory=list)
    usage_accounts: list[Record] = field(default_factory=list)
    method: str = "alone"

    @property
    def places(self) -> list[Place]:
        accounts = [account_place(account["Id"]) for account in self.accounts]
        organizations = [organization_place(organization["id"]) for organization in self.organizations]
        return sorted([*accounts, *organizations, *(usage_place(account["accountId"]) for account in self.usage_accounts)])

    def joined(self, by: str) -> None:
        """The least sure of the ways says how sure the whole is."""
        self.method = "domain" if "domain" in (by, self.method) else "declared_id"


def companies(world: World) -> list[Company]:
    """Every company that some tool has a living record of. Two accounts are two companies, whatever they share."""
    by_account = {account["Id"]: Company([account]) for account in world.alive("account")}
    strangers = []
    for organization in world.alive("organization"):
        account_id, method = account_of(world, organization)
        if account_id is None:
            strangers.append(Company(organizations=[organization]))
            continue
        by_account[account_id].organizations.append(organization)
        by_account[account_id].joined(method)
    for usage_account in world.alive("pendo_account"):
        account_id = declared_account(world, usage_account["accountId"])
        if account_id is None:
            strangers.append(Company(usage_accounts=[usage_account]))
            continue
        by_account[account_id].usage_accounts.append(usage_account)
        by_account[account_id].joined("declared_id")
    return [*by_account.values(), *strangers]


def minted(anchor: Place) -> str:
    return "c_" + sha256("/".join(anchor).encode()).hexdigest()[:16]


@dataclass
class Ids:
    """The customer ids that were ever given. An id is kept by the records that had it, wherever they go together."""

    of: dict[Place, str] = field(default_factory=dict)
    _age: dict[str, tuple[int, int, Place]] = field(default_factory=dict)
    _night: int = 0

    def give(self, found: Iterable[Company]) -> dict[str, Company]:
        """The companies by their ids: the oldest id that one of its records had, else a new one from its anchor."""
        self._night += 1
        given: dict[str, Company] = {}
        for company in sorted(found, key=lambda company: min(map(_rank, company.places))):
            known = {self.of[place] for place in company.places if place in self.of} - given.keys()
            customer_id = min(known, key=self._age.__getitem__) if known else self._mint(company)
            given[customer_id] = company
        for customer_id, company in given.items():
            self.of |= dict.fromkeys(company.places, customer_id)
        return given

    def _mint(self, company: Company) -> str:
        anchor = min(company.places, key=_rank)
        customer_id = minted(anchor)
        self._age.setdefault(customer_id, (self._night, *_rank(anchor)))
        return customer_id


def _rank(place: Place) -> tuple[int, Place]:
    return _ANCHORS.index(place[0]), place
