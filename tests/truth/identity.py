"""Which records of which tools are one company, and the id that the company keeps from night to night.

Here belong declared ids, registrable domains, and where a company's people are: the ways by which records are joined. Not
here: what a company pays.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from operator import itemgetter
from urllib.parse import urlsplit

from connectors.sandbox.world import Record, World
from tests.truth.company_names import bare

Place = tuple[str, str, str]  # tool, record type, record id

_TWO_LABELS = {"co.uk", "com.au"}  # of the suffixes that the world's companies use, those that are no single label
_FREE_MAIL = {"gmail.com", "outlook.com", "web.de"}
_ANCHORS = ("salesforce", "zendesk", "pendo")
_SURENESS = ("alone", "declared_id", "domain", "contact_domain", "name")  # the surest first, of those that join
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


def shared_domain(hosts: Iterable[str]) -> str | None:
    """The domain of a company's own that at least two of its people are at, and more than half of all."""
    domains = Counter(own_domain(host) for host in hosts)
    if not domains:
        return None
    domain, people = domains.most_common(1)[0]
    return domain if people >= 2 and 2 * people > domains.total() else None


def _organization_people(world: World, organization: Record) -> list[str]:
    people = (user for user in world.alive("zendesk_user") if user["organization_id"] == organization["id"])
    return [host_of(user["email"]) for user in people if user["role"] == "end-user" and user["email"]]


def _usage_people(world: World, usage_account: Record) -> list[str]:
    of = [usage_account["accountId"]]
    visitors = (visitor for visitor in world.alive("visitor") if visitor["metadata"]["auto"]["accountids"] == of)
    addresses = (visitor["metadata"]["agent"].get("email") or visitor["visitorId"] for visitor in visitors)
    return [host_of(address) for address in addresses if "@" in address]


def host_of(address: str) -> str:
    return address.rpartition("@")[2].lower()


@dataclass
class Company:
    """The living records that are one company."""

    accounts: list[Record] = field(default_factory=list)
    organizations: list[Record] = field(default_factory=list)
    usage_accounts: list[Record] = field(default_factory=list)
    method: str = "alone"
    domains: set[str | None] = field(default_factory=set)  # of its records' own
    people_at: set[str | None] = field(default_factory=set)  # the same, and where most people of such without one are
    names: set[str | None] = field(default_factory=set)

    @property
    def places(self) -> list[Place]:
        accounts = [account_place(account["Id"]) for account in self.accounts]
        organizations = [organization_place(organization["id"]) for organization in self.organizations]
        return sorted([*accounts, *organizations, *(usage_place(account["accountId"]) for account in self.usage_accounts)])

    def joined(self, by: str) -> None:
        """The least sure of the ways says how sure the whole is."""
        self.method = max(by, self.method, key=_SURENESS.index)


def companies(world: World) -> list[Company]:
    """Every company that some tool has a living record of. In this world nobody's name is nearly like another's."""
    by_account: dict[str, Company] = {}
    found: list[Company] = []
    for account in sorted(world.alive("account"), key=itemgetter("Id")):
        domain, name = account_domain(account), bare(account["Name"])
        company = _typed_in_before(account, domain, name, found)
        if company:
            company.joined("domain")
        else:
            found.append(company := Company())
        company.accounts.append(account)
        contacts = [contact for contact in world.alive("contact") if contact["AccountId"] == account["Id"] and contact["Email"]]
        company.domains.add(domain)
        company.names.add(name)
        company.people_at.add(domain or shared_domain(host_of(contact["Email"]) for contact in contacts))
        by_account[account["Id"]] = company
    for organization in world.alive("organization"):
        declared = declared_account(world, organization["external_id"])
        domain = organization_domain(organization)
        people_at = domain or shared_domain(_organization_people(world, organization))
        company = _company_of(found, by_account.get(declared or ""), domain, people_at, organization["name"])
        company.organizations.append(organization)
    for usage_account in world.alive("pendo_account"):
        declared = declared_account(world, usage_account["accountId"])
        people_at = shared_domain(_usage_people(world, usage_account))
        company = _company_of(
            found, by_account.get(declared or ""), None, people_at, usage_account["metadata"]["agent"]["name"]
        )
        company.usage_accounts.append(usage_account)
    return found


def _typed_in_before(account: Record, domain: str | None, name: str, found: list[Company]) -> Company | None:
    """The company of another account at the same domain with the same name, neither being the other's parent."""
    for company in found:
        related = any(account["ParentId"] == other["Id"] or other["ParentId"] == account["Id"] for other in company.accounts)
        if domain and domain in company.domains and name in company.names and not related:
            return company
    return None


def _company_of(
    found: list[Company], declared: Company | None, domain: str | None, people_at: str | None, name: str | None
) -> Company:
    """The company that a record belongs to: by a declared id, else by its own domain, else by its people's, else by its name;
    each if it leads to exactly one. A new one if none does."""
    called = bare(name) if name else None
    ways = {
        "declared_id": [declared] if declared else [],
        "domain": [company for company in found if domain and domain in company.domains],
        "contact_domain": [company for company in found if people_at and people_at in company.people_at],
        "name": [company for company in found if called and called in company.names and _agree(domain, company.domains)],
    }
    by = next((way for way, led_to in ways.items() if led_to), "alone")
    led_to = ways.get(by, [])
    company = led_to[0] if len(led_to) == 1 else Company()
    if len(led_to) == 1:
        company.joined(by)
    else:
        found.append(company)
    company.domains = company.domains | {domain}
    company.people_at = company.people_at | {people_at}
    company.names = company.names | {called}
    return company


def _agree(domain: str | None, domains: set[str | None]) -> bool:
    return domain is None or domains == {None}


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
