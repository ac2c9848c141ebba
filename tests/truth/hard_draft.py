"""Invented companies and the records that each tool has of them, while they are being written down.

Here belongs how a tool usually writes a name, a host, a country or an id. Not here: what makes a case hard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from tests.truth.company_names import FREE_MAIL, Name, carelessly, country_name, domain, draw

OWN = "(own)"  # where a host or people are asked for: those of the company itself
SHARED_HOSTS = ("sitehub.example", "shop-builder.example")  # as the settings name them
UNKNOWN_SHARED_HOST = "pages-for-all.example"  # as nobody told
PUBLIC_SUFFIXES = ("github.io", "netlify.app", "myshopify.com", "herokuapp.com", "web.app")  # of those on the public list

_BASE_62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_CODES = {"US": "USA", "GB": "UK"}  # what people write instead of the code
_FIRST_DAY, _LAST_DAY = 1_420_070_400, 1_767_225_600  # 2015 to 2025, in seconds since 1970


@dataclass(slots=True, eq=False)
class Company:
    company_id: int
    kind: str
    name: Name
    domain: str
    arr: float


@dataclass(slots=True, eq=False)
class Record:
    """`place`: the country as a code, however the tool writes it. `people`: how many persons have addresses at which host."""

    company: Company
    tool: str
    record_type: str
    record_id: str
    name: str
    host: str | None
    place: str | None
    country: str | None
    parent_id: str | None
    declared_id: str | None
    deleted: bool
    created_at: int
    people: Mapping[str, int]


@dataclass
class Draft:
    """What was written so far. `kind` is what the next company is an example of."""

    rng: Random
    kind: str = ""
    companies: list[Company] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    undecidable: dict[Record, str] = field(default_factory=dict)  # and why
    domains: set[str] = field(default_factory=lambda: {*FREE_MAIL, *SHARED_HOSTS, UNKNOWN_SHARED_HOST, *PUBLIC_SUFFIXES})
    _ids: set[tuple[str, str]] = field(default_factory=set)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def company(self, name: Name | None = None, at: str | None = None) -> Company:
        """A new company; `at` is its domain, if it is to be a certain one. What it pays is as uneven as in life."""
        name = name or draw(self.rng)
        at = at or domain(self.rng, name.words, name.country, self.domains)
        arr = round(self.rng.lognormvariate(10, 1.4), 2)  # half of them pay more than 22,000 a year
        company = Company(len(self.companies), self.kind, name, at, arr)
        self.companies.append(company)
        return company

    def account(
        self,
        company: Company,
        written: str | None = None,
        *,
        host: str | None = OWN,
        located: bool | None = None,
        parent: Record | None = None,
        deleted: bool = False,
    ) -> Record:
        """Salesforce's: the legal name mostly, a web site, a country."""
        host = company.domain if host == OWN else host
        return self._add(
            company,
            "salesforce",
            "account",
            self._account_id(),
            written or (company.name.full if self.chance(0.7) else company.name.short),
            host=f"www.{host}" if host and self.chance(0.3) else host,
            located=self.chance(0.9) if located is None else located,
            parent_id=parent.record_id if parent else None,
            deleted=deleted,
            people={host: self.rng.randrange(3)} if host == company.domain else {},
        )

    def organization(
        self,
        company: Company,
        written: str | None = None,
        *,
        host: str | None = OWN,
        located: bool | None = None,
        declared: str | None = None,
        people: Mapping[str, int] | None = None,
    ) -> Record:
        """Zendesk's: a name as agents type it, a domain, seldom a country. People follow the host, unless told."""
        host = company.domain if host == OWN else host
        if people is None:
            people = {host: self.rng.randrange(4)} if host else {}
        return self._add(
            company,
            "zendesk",
            "organization",
            str(self.rng.randrange(10**11, 10**13)),
            written or self.typed(company.name),
            host=f"{self.rng.choice(('www', 'support', 'mail', 'shop'))}.{host}" if host and self.chance(0.05) else host,
            located=self.chance(0.35) if located is None else located,
            declared_id=declared,
            people=people,
        )

    def usage(
        self,
        company: Company,
        written: str | None = None,
        *,
        declared: str | None = None,
        people: Mapping[str, int] | None = None,
    ) -> Record:
        """Pendo's: the id that the application chose, which is Salesforce's where one is declared."""
        own_id = declared or f"{self.rng.choice(('acc', 'tenant', 't'))}-{self.rng.randrange(16**9):09x}"
        return self._add(
            company,
            "pendo",
            "account",
            own_id.strip(),
            written or self.typed(company.name),
            located=self.chance(0.3),
            declared_id=declared,
            people=people or {},
        )

    def value(self, company: Company, text: str, declared: str | None = None) -> Record | None:
        """Jira's: a text, which is all that there is of it; None if another company's is the same text."""
        if ("jira", text) in self._ids:
            return None
        return self._add(company, "jira", "value", text, text, declared_id=declared)

    def others(self, company: Company, account: Record | None, *texts: str, domain_known: bool = True) -> None:
        """What Pendo and Jira have of some companies. `texts`: how a Jira issue may call it."""
        if self.chance(0.45):
            if account and self.chance(0.6):
                self.usage(company, declared=account.record_id)
            else:
                people = {company.domain: self.rng.randrange(2, 5)} if domain_known and self.chance(0.5) else {}
                self.usage(company, self.typed(company.name), people=people)
        if self.chance(0.35):
            self.value(company, self.rng.choice(texts or (company.name.short,)))

    def typed(self, name: Name) -> str:
        """The name as somebody types it who does not look it up."""
        roll = self.rng.random()
        if roll < 0.35:
            return name.full
        if roll < 0.42:
            return name.short.upper()
        if roll < 0.46:
            return name.short.lower()
        return carelessly(self.rng, name.short) if roll < 0.56 else name.short

    def undecided(self, record: Record | None, why: str) -> None:
        """Notes that nothing in the records tells which company this one is of."""
        if record:
            self.undecidable[record] = why

    def _add(
        self,
        company: Company,
        tool: str,
        record_type: str,
        record_id: str,
        name: str,
        *,
        host: str | None = None,
        located: bool = False,
        parent_id: str | None = None,
        declared_id: str | None = None,
        deleted: bool = False,
        people: Mapping[str, int] | None = None,
    ) -> Record:
        place = company.name.country if located else None
        country = place and (country_name(place) if self.chance(0.7) else _CODES.get(place, place))
        created_at = self.rng.randrange(_FIRST_DAY, _LAST_DAY)
        record = Record(
            company,
            tool,
            record_type,
            record_id,
            name,
            host,
            place,
            country,
            parent_id,
            declared_id,
            deleted,
            created_at,
            people or {},
        )
        if (tool, record_id) in self._ids:
            raise ValueError(f"{tool} has {record_id} already")
        self._ids.add((tool, record_id))
        self.records.append(record)
        return record

    def _account_id(self) -> str:
        return with_check("001" + "".join(self.rng.choices(_BASE_62, k=12)))


def with_check(short: str) -> str:
    """Salesforce's id of 15 characters with the three that tell which of them are capitals, five characters each."""
    groups = (short[:5], short[5:10], short[10:])
    bits = (sum(1 << at for at, letter in enumerate(group) if letter.isupper()) for group in groups)
    return short + "".join(_CHECK[index] for index in bits)
