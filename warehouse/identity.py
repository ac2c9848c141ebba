"""Which records of which tools are the same company, and what hosts and texts name: what SQL cannot do alike everywhere.

Writes sync.domains, text_keys, issue_keys and customer_ids, and unified.customer_links. Reads only the unions; of the tools
it knows nothing but which one's word counts most.
"""

from __future__ import annotations

import gc
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import sqlalchemy as sa
from publicsuffixlist import PublicSuffixList

from warehouse import versions
from warehouse.engine import insert, verbatim

LINKS = "unified.customer_links"
_UNIONS = ("unified.records", "unified.contact_domains")
WRITES: Mapping[str, tuple[str, ...]] = {  # table → what it is made from
    "sync.domains": _UNIONS,
    "sync.customer_ids": _UNIONS,
    "unified.customer_links": _UNIONS,
    "sync.text_keys": ("unified.texts",),
    "sync.issue_keys": ("unified.seen_keys",),
}

# Tool and type of the records that customers are named for, best first; then whatever others there are, by name.
ANCHOR_ORDER = (("salesforce", "account"), ("zendesk", "organization"), ("pendo", "account"))
ISSUE_KEY = re.compile(r"(?<![A-Za-z0-9_-])([A-Z][A-Z0-9_]+-[1-9][0-9]*)(?![A-Za-z0-9_])")
SCORES: Mapping[str, float | None] = {"declared_id": 1.0, "domain": 0.95, "alone": None}

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


class Record(NamedTuple):
    """A company record of a tool, as `unified.records` has it."""

    tool: str
    record_type: str
    record_id: str
    host: str | None
    declared_tool: str | None
    declared_id: str | None
    created_at: datetime | None

    @property
    def name(self) -> str:
        return f"{self.tool}/{self.record_type}/{self.record_id}"

    @property
    def kind(self) -> tuple[str, str]:
        return self.tool, self.record_type


@dataclass(frozen=True)
class Link:
    """Which customer a record belongs to, and why."""

    record: Record
    customer_id: str
    method: str
    evidence: str


def resolve(connection: sa.Connection) -> int:
    """Decides anew which records are the same company; returns how many links changed.

    Ids once minted stay; a link that changes is closed and a new one opened, so that what was true before can be told.
    """
    states = _states(connection)
    if states == _resolved(connection):
        return 0
    with _uncollected():
        changed = _resolve(connection)
    _remember(connection, states, changed)
    return changed


@contextmanager
def _uncollected() -> Iterator[None]:
    """Spares the garbage collector hundreds of thousands of tuples, none of which is garbage: a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _resolve(connection: sa.Connection) -> int:
    kinds = _write_domains(connection)
    _write_text_keys(connection)
    _remember_issue_keys(connection)
    columns = ", ".join(Record._fields)
    rows = connection.execute(verbatim(f"select {columns} from unified.records where not deleted"))
    records = sorted((Record(*row) for row in rows), key=lambda record: (_rank(*record.kind), record.record_id))
    known = {
        f"{tool}/{type_}/{id_}": customer
        for tool, type_, id_, customer in connection.execute(
            verbatim("select tool, record_type, record_id, customer_id from unified.customer_links where valid_to is null")
        )
    }
    joined = _join(records, kinds)
    links, minted, merged = _name_customers(connection, records, joined, known)
    _write_ids(connection, minted, merged)
    return _write_links(connection, links)


def _states(connection: sa.Connection) -> str:
    """In which state everything is that the links are made from, this file among it."""
    reads = {
        "unified.records": (*Record._fields, "deleted"),
        "unified.contact_domains": ("host",),
        "unified.texts": ("tool", "record_type", "record_id", "text"),
        "unified.seen_keys": ("tool", "issue_id", "issue_key", "seen_at"),
        "settings.internal_domains": ("domain",),
        "settings.shared_domains": ("domain",),
    }
    code = sha256(Path(__file__).read_bytes()).hexdigest()
    return json.dumps([code, versions.states(connection, reads)])


def _resolved(connection: sa.Connection) -> str | None:
    found = connection.execute(verbatim(f"select inputs from sync.builds where table_name = '{LINKS}'"))
    return found.scalar()


def _remember(connection: sa.Connection, states: str, changed: int) -> None:
    """A build like any other; it counts as a new version of the links only if one of them changed."""
    known = connection.execute(verbatim(f"select built_at from sync.builds where table_name = '{LINKS}'")).scalar()
    connection.execute(verbatim(f"delete from sync.builds where table_name = '{LINKS}'"))
    connection.execute(
        sa.text(
            "insert into sync.builds (table_name, built_at, rows, inputs, lineage)"
            f" select '{LINKS}', :at, count(*), :inputs, '{{}}' from {LINKS}"
        ),
        {"at": datetime.now(UTC) if changed or known is None else known, "inputs": states},
    )


def customer_id(tool: str, record_type: str, record_id: str) -> str:
    """The id that a customer gets from its anchor: c_ and 16 hex digits of the SHA-256 of tool/type/id."""
    return "c_" + sha256(f"{tool}/{record_type}/{record_id}".encode()).hexdigest()[:16]


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def registrable(host: str) -> str | None:
    """The part of a host that somebody registered, such as example.co.uk; None for addresses and bare suffixes."""
    if re.fullmatch(r"[0-9.]+", host) or "." not in host:
        return None
    found = _suffixes().privatesuffix(host.lower().rstrip("."))
    return str(found) if found else None


def _write_domains(connection: sa.Connection) -> dict[str, tuple[str | None, str]]:
    internal = set(connection.execute(verbatim("select domain from settings.internal_domains")).scalars())
    shared = set(connection.execute(verbatim("select domain from settings.shared_domains")).scalars())
    hosts = connection.execute(
        verbatim(
            "select host from unified.records where host is not null"
            " union select host from unified.contact_domains where host is not null order by 1"
        )
    ).scalars()

    def kind(domain: str | None) -> str:
        if domain is None:
            return "none"
        if domain in internal:
            return "internal"
        if domain in FREE_MAIL:
            return "free_mail"
        return "shared" if domain in shared else "company"

    found = {host: registrable(host) for host in hosts}
    connection.execute(verbatim("delete from sync.domains"))
    rows = [(host, domain, kind(domain)) for host, domain in found.items()]
    _insert(connection, "sync", "domains", ("host", "registrable", "kind"), rows)
    return {host: (domain, kind_) for host, domain, kind_ in rows}


def _write_text_keys(connection: sa.Connection) -> None:
    rows: set[tuple[str, str, str, str]] = set()
    texts = connection.execute(
        verbatim("select tool, record_type, record_id, text from unified.texts"), execution_options={"stream_results": True}
    )
    for tool, type_, id_, text in texts:
        rows.update((tool, type_, id_, key) for key in ISSUE_KEY.findall(text))
    connection.execute(verbatim("delete from sync.text_keys"))
    _insert(connection, "sync", "text_keys", ("tool", "record_type", "record_id", "issue_key"), sorted(rows))


def _remember_issue_keys(connection: sa.Connection) -> None:
    """Adds the keys never seen before: an issue that moves gets a new one, and people go on writing the old one."""
    connection.execute(
        verbatim(
            "insert into sync.issue_keys (tool, issue_id, issue_key, seen_at)"
            " select s.tool, s.issue_id, s.issue_key, coalesce(s.seen_at, clock.as_of)"
            " from unified.seen_keys as s cross join settings.clock as clock"
            " where not exists (select 1 from sync.issue_keys as k"
            " where k.tool = s.tool and k.issue_id = s.issue_id and k.issue_key = s.issue_key)"
        )
    )


def _join(records: Sequence[Record], kinds: Mapping[str, tuple[str | None, str]]) -> dict[str, tuple[Record, str, str]]:
    """For each record that names another one as itself: that record, by which method, and what led to it.

    The cascade stops at the first step that names exactly one candidate; two at a step are ambiguous, and the record stays
    alone. Records of the first kind (Salesforce accounts) are what the others are joined to.
    """
    anchors = [record for record in records if record.kind == ANCHOR_ORDER[0]]
    by_id: dict[tuple[str, str], Record] = {}
    by_domain: dict[str, list[Record]] = defaultdict(list)
    for record in anchors:
        by_id[record.tool, record.record_id] = record
        if len(record.record_id) == 18:  # Salesforce shows the same id without its three check characters, too
            by_id[record.tool, record.record_id[:15]] = record
        domain, kind = kinds.get(record.host or "", (None, "none"))
        if domain and kind == "company":
            by_domain[domain].append(record)
    joined: dict[str, tuple[Record, str, str]] = {}
    for record in records:
        if record.kind == ANCHOR_ORDER[0]:
            continue
        if record.declared_tool and record.declared_id:
            target = by_id.get((record.declared_tool, record.declared_id))
            if target:
                joined[record.name] = (target, "declared_id", f"declares {target.tool} id {target.record_id}")
                continue
        domain, kind = kinds.get(record.host or "", (None, "none"))
        candidates = by_domain.get(domain, []) if domain and kind == "company" else []
        if len(candidates) == 1:
            joined[record.name] = (candidates[0], "domain", f"both are at {domain}")
    return joined


def _name_customers(
    connection: sa.Connection,
    records: Sequence[Record],
    joined: Mapping[str, tuple[Record, str, str]],
    known: Mapping[str, str],
) -> tuple[list[Link], list[tuple[str, Record]], dict[str, str | None]]:
    """Gives each group of records its customer: the id it has, else a new one; of several ids the oldest stays.

    `records` come best anchor first, and so have the first claim on an id that two groups could go on under.
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[joined[record.name][0].name if record.name in joined else record.name].append(record)
    minted_for, order = _ledger(connection)
    own = {head: {minted_for[r.name] for r in group if r.name in minted_for} for head, group in groups.items()}
    taken = {id_ for ids in own.values() for id_ in ids}
    links: list[Link] = []
    minted: list[tuple[str, Record]] = []
    merged: dict[str, str | None] = {}
    for name, group in groups.items():
        anchor = min(group, key=lambda record: (_rank(*record.kind), record.record_id))
        # A company whose anchor was deleted goes on under its id, unless that id is another group's.
        ids = own[name] or {known[r.name] for r in group if r.name in known} - taken
        customer = min(ids, key=lambda id_: order[id_]) if ids else customer_id(*anchor[:3])
        if not ids:
            minted.append((customer, anchor))
        taken |= {customer}
        merged |= {customer: None} | dict.fromkeys(ids - {customer}, customer)
        for record in group:
            _, method, evidence = joined.get(record.name, (None, "alone", "no other record names it"))
            links.append(Link(record, customer, method, evidence))
    return links, minted, merged


def _ledger(connection: sa.Connection) -> tuple[dict[str, str], dict[str, tuple[object, ...]]]:
    """The customer that was minted for each record, and what tells the older of two customers."""
    minted_for: dict[str, str] = {}
    order: dict[str, tuple[object, ...]] = {}
    rows = connection.execute(
        verbatim("select customer_id, anchor_tool, anchor_type, anchor_id, minted_at from sync.customer_ids")
    )
    for customer, tool, type_, id_, minted_at in rows:
        anchor = f"{tool}/{type_}/{id_}"
        minted_for[anchor] = customer
        order[customer] = (minted_at, _rank(tool, type_), id_)
    return minted_for, order


def _rank(tool: str, record_type: str) -> tuple[int, str, str]:
    kind = (tool, record_type)
    return (ANCHOR_ORDER.index(kind) if kind in ANCHOR_ORDER else len(ANCHOR_ORDER), tool, record_type)


def _write_ids(connection: sa.Connection, minted: Sequence[tuple[str, Record]], merged: Mapping[str, str | None]) -> None:
    """Adds what was minted; `merged` names for each id in use the one it is now part of, None for those of their own."""
    as_of = connection.execute(verbatim("select as_of from settings.clock")).scalar()
    names = ("customer_id", "anchor_tool", "anchor_type", "anchor_id", "minted_at")
    rows = [(customer, record.tool, record.record_type, record.record_id, as_of) for customer, record in minted]
    _insert(connection, "sync", "customer_ids", names, rows)
    rows_before = connection.execute(verbatim("select customer_id, merged_into from sync.customer_ids"))
    before: dict[str, str | None] = {customer: into for customer, into in rows_before}  # noqa: C416
    for customer, into in sorted(merged.items()):
        if before[customer] != into:
            connection.execute(
                sa.text("update sync.customer_ids set merged_into = :into where customer_id = :customer"),
                {"customer": customer, "into": into},
            )


def _write_links(connection: sa.Connection, links: Iterable[Link]) -> int:
    """Opens what is new, closes what holds no more; both take the clock's moment."""
    columns = ("tool", "record_type", "record_id", "customer_id", "method", "score", "decided_by", "evidence")
    rows = [(*link.record[:3], link.customer_id, link.method, SCORES[link.method], "rule", link.evidence) for link in links]
    connection.execute(verbatim("drop table if exists _decided"))
    connection.execute(
        verbatim(
            "create temporary table _decided (tool text, record_type text, record_id text, customer_id text, method text,"
            " score double precision, decided_by text, evidence text)"
        )
    )
    _insert(connection, "", "_decided", columns, rows)
    same = "l.tool = d.tool and l.record_type = d.record_type and l.record_id = d.record_id"
    same += " and l.customer_id = d.customer_id and l.method = d.method and l.evidence = d.evidence"
    closed = connection.execute(
        verbatim(
            "update unified.customer_links as l set valid_to = (select as_of from settings.clock) where l.valid_to is null"
            f" and not exists (select 1 from _decided as d where {same})"
        )
    )
    names = ", ".join(columns)
    opened = connection.execute(
        verbatim(
            f"insert into unified.customer_links ({names}, valid_from) select {names}, (select as_of from settings.clock)"
            f" from _decided as d where not exists"
            f" (select 1 from unified.customer_links as l where l.valid_to is null and {same})"
        )
    )
    connection.execute(verbatim("drop table _decided"))
    return max(closed.rowcount, 0) + max(opened.rowcount, 0)


def _insert(
    connection: sa.Connection, schema: str, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    if rows:
        arrays = [pa.array(values) for values in zip(*rows, strict=True)]
        insert(connection, schema, table, pa.table(arrays, names=list(columns)))
