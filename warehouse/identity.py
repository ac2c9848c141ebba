"""Which records of which tools are one customer, the id it keeps from night to night, and what issues are called in texts.

Writes sync.domains (by hosts), text_keys, issue_keys and customer_ids, and unified.customer_links, customer_merges and
match_candidates. Reads only the unions and people's decisions; of the tools it knows nothing but which one's word counts most.
Not here: what speaks for two records being one (matching).
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray

from warehouse import hosts, matching, name_words, names, versions
from warehouse.engine import WarehouseError, frame, insert, verbatim
from warehouse.schema import PAIR

LINKS = "unified.customer_links"
_UNIONS = ("unified.records", "unified.contact_domains")
WRITES: Mapping[str, tuple[str, ...]] = {  # table → what it is made from
    "sync.domains": _UNIONS,
    "sync.customer_ids": _UNIONS,
    "unified.customer_links": _UNIONS,
    "unified.customer_merges": _UNIONS,
    "unified.match_candidates": _UNIONS,
    "sync.text_keys": ("unified.texts",),
    "sync.issue_keys": ("unified.seen_keys",),
}

# Tool and type of the records that customers are named for, best first; then whatever others there are, by name.
ANCHOR_ORDER = (("salesforce", "account"), ("zendesk", "organization"), ("pendo", "account"))
ISSUE_KEY = re.compile(r"(?<![A-Za-z0-9_-])([A-Z][A-Z0-9_]+-[1-9][0-9]*)(?![A-Za-z0-9_])")
PLACE = ["tool", "record_type", "record_id"]
_HOST = r"(?i)\s*[a-z0-9-]+(\.[a-z0-9-]+)+\s*"  # what somebody wrote for a name
_SEVERAL = {
    "declared_id": "the id that it declares",
    "domain": "its domain",
    "contact_domain": "the domain of its people",
    "name": "its name",
}
Places = NDArray[np.int64]


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
    records = _records(connection)
    own = _write_domains(connection, records)
    _write_text_keys(connection)
    _remember_issue_keys(connection)
    records["domain"] = records["host"].map(own).astype("str")
    found = matching.match(records, _contacts(connection, records, own), **_decisions(connection, records))
    customers = _customers(connection, records, found.head)
    _write_ids(connection, records, customers)
    _write_candidates(connection, records, found.candidates)
    return _write_links(connection, _links(records, found, customers.of))


def _records(connection: sa.Connection) -> pd.DataFrame:
    """The living records, those whose word counts most first. A name that is a host is the host, too."""
    columns = "tool, record_type, record_id, name, host, country, parent_id, declared_tool, declared_id"
    records = frame(connection, f"select {columns} from unified.records where not deleted").astype("str")
    address = records["name"].where(records["name"].str.fullmatch(_HOST).fillna(False).astype(bool))
    records["host"] = records["host"].fillna(address.str.strip().str.lower())
    kinds = sorted(set(zip(records["tool"], records["record_type"], strict=True)), key=_rank)
    ranks = pd.Series(range(len(kinds)), index=pd.MultiIndex.from_tuples(kinds, names=PLACE[:2]), name="rank", dtype="int64")
    if ANCHOR_ORDER[0] not in kinds:  # then nothing is what others are joined to by what they declare
        ranks += 1
    return records.join(ranks, on=PLACE[:2]).sort_values(["rank", "record_id"], ignore_index=True)


def _rank(kind: tuple[str, str]) -> tuple[int, str, str]:
    return (ANCHOR_ORDER.index(kind) if kind in ANCHOR_ORDER else len(ANCHOR_ORDER), *kind)


def _write_domains(connection: sa.Connection, records: pd.DataFrame) -> dict[str, str]:
    """Returns the registrable domain of each host at which that is a company's own."""
    named = connection.execute(
        verbatim(
            "select host from unified.records where host is not null"
            " union select host from unified.contact_domains where host is not null"
        )
    ).scalars()
    return hosts.write_domains(connection, [*named, *records["host"].dropna()])


def _contacts(connection: sa.Connection, records: pd.DataFrame, own: Mapping[str, str]) -> pd.DataFrame:
    """How many people each record has at which domain of a company's own; null for all others."""
    people = frame(
        connection, f"select {', '.join(PLACE)}, host, count(*) as people from unified.contact_domains group by 1, 2, 3, 4"
    )
    people["record"] = _places(records, people[PLACE])
    people["domain"] = people["host"].map(own).astype("str")
    people = people[people["record"] >= 0]
    return people.groupby(["record", "domain"], dropna=False)["people"].sum().reset_index()


def _places(records: pd.DataFrame, wanted: pd.DataFrame) -> Places:
    """Where each of these records stands among the records; -1 if it does not."""
    index = pd.MultiIndex.from_frame(records[PLACE])
    return np.asarray(index.get_indexer(pd.MultiIndex.from_frame(wanted.astype("str"), names=PLACE)), np.int64)


def _decisions(connection: sa.Connection, records: pd.DataFrame) -> dict[str, list[tuple[int, int]]]:
    """The pairs that people always or never want together. Of several words about one pair the settings' counts, else the
    last one."""
    columns = ", ".join(PAIR)
    told = frame(
        connection,
        f"select {columns}, decision, decided_at, 1 as place from unified.match_overrides"
        f" union all select {columns}, decision, null as decided_at, 2 as place from settings.match_overrides",
    ).sort_values(["place", "decided_at"], kind="stable")
    left, right = (_places(records, told[list(PAIR[at : at + 3])]) for at in (0, 3))
    last = {
        (min(a, b), max(a, b)): decision
        for a, b, decision in zip(left.tolist(), right.tolist(), told["decision"], strict=True)
        if min(a, b) >= 0 and a != b
    }
    return {word: sorted(pair for pair, decision in last.items() if decision == word) for word in ("always", "never")}


def decide(connection: sa.Connection, left: str, right: str, decision: str, by: str) -> None:
    """Keeps what somebody decided about two records, each named tool/type/id: that they are `always` one customer, or `never`.
    Raises WarehouseError where there is no such record."""
    places: list[str] = []
    for name in (left, right):
        place = dict(zip(PLACE, [*name.strip().split("/", 2), "", ""], strict=False))
        same = " and ".join(f"{column} = :{column}" for column in PLACE)
        if not connection.execute(sa.text(f"select 1 from unified.records where {same}"), place).scalar():
            raise WarehouseError(f"There is no record {name}: name it as tool/type/id, such as zendesk/organization/36001.")
        places += place.values()
    values = dict(zip(PAIR, places, strict=True)) | {"decision": decision, "at": datetime.now(UTC), "by": by}
    names = ", ".join(f":{name}" for name in PAIR)
    connection.execute(sa.text(f"insert into unified.match_overrides values ({names}, :decision, :at, :by)"), values)


def _states(connection: sa.Connection) -> str:
    """In which state everything is that the links are made from, the code among it."""
    reads = {
        "unified.records": (*PLACE, "name", "host", "country", "parent_id", "declared_tool", "declared_id", "deleted"),
        "unified.contact_domains": (*PLACE, "host"),
        "unified.texts": (*PLACE, "text"),
        "unified.seen_keys": ("tool", "issue_id", "issue_key", "seen_at"),
        "unified.match_overrides": (*PAIR, "decision", "decided_at"),
        "settings.match_overrides": (*PAIR, "decision"),
        "settings.internal_domains": ("domain",),
        "settings.shared_domains": ("domain",),
    }
    files = [Path(module.__file__ or "") for module in (hosts, matching, name_words, names)]
    code = sha256(b"".join(file.read_bytes() for file in (Path(__file__), *files, name_words.WORDS))).hexdigest()
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


def _write_text_keys(connection: sa.Connection) -> None:
    rows: set[tuple[str, str, str, str]] = set()
    texts = connection.execute(
        verbatim("select tool, record_type, record_id, text from unified.texts"), execution_options={"stream_results": True}
    )
    for tool, type_, id_, text in texts:
        rows.update((tool, type_, id_, key) for key in ISSUE_KEY.findall(text))
    connection.execute(verbatim("delete from sync.text_keys"))
    columns = zip(*sorted(rows), strict=True) if rows else ((), (), (), ())
    _insert(connection, "sync", "text_keys", dict(zip((*PLACE, "issue_key"), columns, strict=True)))


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


def customer_id(tool: str, record_type: str, record_id: str) -> str:
    """The id that a customer gets from its anchor: c_ and 16 hex digits of the SHA-256 of tool/type/id."""
    return "c_" + sha256(f"{tool}/{record_type}/{record_id}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Customers:
    """of: the customer of each record. minted: the places of the records for which an id was made tonight. merged: of ids
    whose state may have changed, which one each is part of now; None for one of its own."""

    of: pd.Series
    minted: Places
    merged: Mapping[str, str | None]


def _customers(connection: sa.Connection, records: pd.DataFrame, head: Places) -> _Customers:
    """Gives each group of records its customer: the id that was minted for one of them, of several the oldest; else one that
    they had until now, as a company whose anchor was deleted goes on under its id unless that is another group's; else a new
    one, for their first record, which is the best anchor."""
    ledger = frame(
        connection,
        "select anchor_tool as tool, anchor_type as record_type, anchor_id as record_id, customer_id, minted_at, merged_into"
        " from sync.customer_ids",
    )
    ledger["rank"] = [_rank(kind) for kind in zip(ledger["tool"], ledger["record_type"], strict=True)]
    ledger = ledger.sort_values(["minted_at", "rank", "record_id"], ignore_index=True)  # the older an id, the further up
    ids = ledger["customer_id"]
    place = _places(records, ledger[PLACE])
    own = pd.DataFrame({"head": head[place], "age": ledger.index})[place >= 0]
    oldest = own.groupby("head")["age"].min()
    customer = pd.Series(ids.reindex(oldest.reindex(head)).to_numpy(), index=records.index, dtype="str")
    later = own[own["age"].to_numpy() != oldest.reindex(own["head"]).to_numpy()]
    merged: dict[str, str | None] = dict.fromkeys(ids[oldest][ledger["merged_into"][oldest].notna()])
    merged |= dict(zip(ids[later["age"]], ids[oldest.reindex(later["head"])], strict=True))
    customer = _inherited(connection, records, head, customer, ids, set(ids[own["age"]]), merged)
    minted = np.unique(head[customer.isna().to_numpy()])
    new = {at: customer_id(*anchor) for at, anchor in zip(minted, records[PLACE].iloc[minted].to_numpy(), strict=True)}
    return _Customers(customer.fillna(pd.Series(head, index=records.index).map(new).astype("str")), minted, merged)


def _inherited(
    connection: sa.Connection,
    records: pd.DataFrame,
    head: Places,
    customer: pd.Series,
    ids: pd.Series,
    taken: set[str],
    merged: dict[str, str | None],
) -> pd.Series:
    """The customers, with those of groups that go on under an id which they had until now; what these merge is added."""
    until_now = frame(connection, f"select {', '.join(PLACE)}, customer_id from {LINKS} where valid_to is null")
    until_now["place"] = _places(records, until_now[PLACE])
    until_now = until_now[until_now["place"] >= 0].set_index("place")["customer_id"]
    orphans = until_now[customer.reindex(until_now.index).isna() & ~until_now.isin(taken)]
    age = pd.Series(ids.index, index=ids.to_numpy())
    given: dict[int, str] = {}
    for group, had in orphans.groupby(head[orphans.index]):
        free = sorted(set(had) - taken, key=age.__getitem__)
        if free:
            given[int(group)] = free[0]
            merged |= {free[0]: None} | dict.fromkeys(free[1:], free[0])
            taken |= set(free)
    return customer.fillna(pd.Series(head, index=records.index).map(given).astype("str"))


def _write_ids(connection: sa.Connection, records: pd.DataFrame, customers: _Customers) -> None:
    """Adds what was minted, and notes which customers turned out to be one, or to be two after all."""
    as_of = connection.execute(verbatim("select as_of from settings.clock")).scalar()
    anchors = records.iloc[customers.minted]
    rows = {"customer_id": customers.of.iloc[customers.minted], "minted_at": [as_of] * len(anchors)}
    rows |= {f"anchor_{part}": anchors[column] for part, column in zip(("tool", "type", "id"), PLACE, strict=True)}
    _insert(connection, "sync", "customer_ids", rows)
    known = connection.execute(verbatim("select customer_id, merged_into from sync.customer_ids where merged_into is not null"))
    before: dict[str, str] = dict(known.tuples().all())
    for customer, into in sorted(customers.merged.items()):
        if before.get(customer) == into:
            continue
        said = {"customer": customer, "into": into, "at": as_of}
        connection.execute(sa.text("update sync.customer_ids set merged_into = :into where customer_id = :customer"), said)
        connection.execute(
            sa.text("update unified.customer_merges set valid_to = :at where customer_id = :customer and valid_to is null"),
            said,
        )
        if into is not None:
            connection.execute(
                sa.text(
                    "insert into unified.customer_merges (customer_id, merged_into, valid_from) values (:customer, :into, :at)"
                ),
                said,
            )


def _write_candidates(connection: sa.Connection, records: pd.DataFrame, found: pd.DataFrame) -> None:
    """The pairs that wait for a person, with since when they do; without those that wait no more."""
    rows: dict[str, Any] = {"score": found["score"], "evidence": found["evidence"]}
    for side, at in (("left", "record"), ("right", "target")):
        side_of = records[PLACE].iloc[found[at]]
        rows |= {f"{side}_{part}": side_of[name] for part, name in zip(("tool", "type", "id"), PLACE, strict=True)}
    columns = [*PAIR, "score", "evidence"]
    _temporary(connection, "_waiting", {name: "double precision" if name == "score" else "text" for name in columns}, rows)
    same = " and ".join(f"c.{name} = w.{name}" for name in PAIR)
    for statement in (
        f"delete from unified.match_candidates as c where not exists (select 1 from _waiting as w where {same})",
        f"update unified.match_candidates as c set score = w.score, evidence = w.evidence from _waiting as w where {same}",
        f"insert into unified.match_candidates ({', '.join(columns)}, waiting_since)"
        f" select {', '.join(columns)}, (select as_of from settings.clock) from _waiting as w"
        f" where not exists (select 1 from unified.match_candidates as c where {same})",
        "drop table _waiting",
    ):
        connection.execute(verbatim(statement))


def _links(records: pd.DataFrame, found: matching.Matches, customer: pd.Series) -> pd.DataFrame:
    """Each record's customer, how it was found and what led to it, in words."""
    joined = found.links.drop_duplicates("record").set_index("record")[["method", "score", "evidence"]]
    links = records[PLACE].assign(customer_id=customer).join(joined)
    several = found.ambiguous.drop_duplicates("record").set_index("record")["method"].map(_SEVERAL)
    alone = (several + " fits several customers").reindex(links.index).fillna("no other record names it")
    links["evidence"] = links["evidence"].fillna(alone)
    links["method"] = links["method"].fillna("alone")
    links["decided_by"] = np.where(links["method"] == "override", "person", "rule")
    return links


def _write_links(connection: sa.Connection, links: pd.DataFrame) -> int:
    """Opens what is new, closes what holds no more; both take the clock's moment."""
    columns = {name: "double precision" if name == "score" else "text" for name in links.columns}
    _temporary(connection, "_decided", columns, links)
    same = " and ".join(f"l.{name} = d.{name}" for name in (*PLACE, "customer_id", "method", "evidence"))
    closed = connection.execute(
        verbatim(
            "update unified.customer_links as l set valid_to = (select as_of from settings.clock) where l.valid_to is null"
            f" and not exists (select 1 from _decided as d where {same})"
        )
    )
    named = ", ".join(columns)
    opened = connection.execute(
        verbatim(
            f"insert into unified.customer_links ({named}, valid_from) select {named}, (select as_of from settings.clock)"
            f" from _decided as d where not exists"
            f" (select 1 from unified.customer_links as l where l.valid_to is null and {same})"
        )
    )
    connection.execute(verbatim("drop table _decided"))
    return max(closed.rowcount, 0) + max(opened.rowcount, 0)


def _temporary(connection: sa.Connection, name: str, columns: Mapping[str, str], rows: Mapping[str, Any]) -> None:
    declared = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    connection.execute(verbatim(f"drop table if exists {name}"))
    connection.execute(verbatim(f"create temporary table {name} ({declared})"))
    _insert(connection, "", name, {column: rows[column] for column in columns})


def _insert(connection: sa.Connection, schema: str, table: str, rows: Mapping[str, Any]) -> None:
    arrays = {name: pa.array(values, from_pandas=True) for name, values in rows.items()}
    insert(connection, schema, table, pa.table(arrays))
