"""What the hosts of web sites and addresses stand for: whose registered domain it is, and whether it can be one company's own.

Writes sync.domains.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import pyarrow as pa
import sqlalchemy as sa
from publicsuffixlist import PublicSuffixList

from warehouse.engine import insert, verbatim

# Mail providers whose domains say nothing of a company; people add theirs in the settings (shared_domains).
FREE_MAIL = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "hotmail.co.uk",
        "hotmail.fr",
        "hotmail.de",
        "live.com",
        "msn.com",
        "yahoo.com",
        "yahoo.co.uk",
        "yahoo.fr",
        "yahoo.de",
        "yahoo.co.jp",
        "ymail.com",
        "aol.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "proton.me",
        "protonmail.com",
        "pm.me",
        "gmx.de",
        "gmx.net",
        "gmx.com",
        "gmx.at",
        "web.de",
        "t-online.de",
        "freenet.de",
        "mail.com",
        "mail.ru",
        "yandex.ru",
        "yandex.com",
        "qq.com",
        "163.com",
        "126.com",
        "naver.com",
        "orange.fr",
        "wanadoo.fr",
        "free.fr",
        "laposte.net",
        "libero.it",
        "virgilio.it",
        "comcast.net",
        "verizon.net",
        "att.net",
        "sbcglobal.net",
        "btinternet.com",
        "sky.com",
        "zoho.com",
        "fastmail.com",
        "hey.com",
        "tutanota.com",
        "bluewin.ch",
        "seznam.cz",
        "wp.pl",
        "onet.pl",
        "o2.pl",
        "rediffmail.com",
        "uol.com.br",
        "bol.com.br",
    ]
)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def registrable(host: str) -> str | None:
    """The part of a host that somebody registered, such as example.co.uk; None for addresses and bare suffixes."""
    if re.fullmatch(r"[0-9.]+", host) or "." not in host:
        return None
    found = _suffixes().privatesuffix(host.lower().rstrip("."))
    return str(found) if found else None


def write_domains(connection: sa.Connection, hosts: Iterable[str]) -> dict[str, str]:
    """Notes of each host, in lower case, the registrable domain and its kind: company, free_mail, shared, internal or none.
    Returns the domains of the first kind, by host."""
    internal = set(connection.execute(verbatim("select domain from settings.internal_domains")).scalars())
    shared = set(connection.execute(verbatim("select domain from settings.shared_domains")).scalars())

    def kind(domain: str | None) -> str:
        if domain is None:
            return "none"
        if domain in internal:
            return "internal"
        if domain in FREE_MAIL:
            return "free_mail"
        return "shared" if domain in shared else "company"

    known = sorted(set(hosts))
    domains = [registrable(host) for host in known]
    connection.execute(verbatim("delete from sync.domains"))
    kinds = [kind(domain) for domain in domains]
    rows = {"host": known, "registrable": domains, "kind": kinds}
    insert(connection, "sync", "domains", pa.table({name: pa.array(values, pa.string()) for name, values in rows.items()}))
    return {host: domain for host, domain, kind in zip(known, domains, kinds, strict=True) if domain and kind == "company"}
