"""The life of a gap: opened when first seen, still there, resolved when it has gone, reopened when it is back.

Reads gaps/, runs the rules, and alone writes unified.gaps and unified.gap_events. What a gap is stands in the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from warehouse import freshness
from warehouse.engine import Dialect, WarehouseError, insert, verbatim
from warehouse.selects import HOUSE, ModelError, Select, Shape

FOLDER = HOUSE / "gaps"
CATEGORIES = ("identity", "linkage", "process", "pipeline", "picture")
SEVERITIES = ("critical", "high", "medium", "low")
# What a rule selects, in this order; a last column `severity` may overrule the header's.
FINDING = ("entity_id", "customer_id", "feature_id", "title", "detail", "owner", "stake_amount", "stake_kind", "url")


@dataclass(frozen=True)
class Rule:
    """One gap rule. `reads`: what must be fresh before an absence closes a gap, as tool/stream."""

    name: str
    category: str
    title: str
    severity: str
    owner: str
    fix: str
    entity: str
    reads: frozenset[str]
    select: Select

    @property
    def inputs(self) -> frozenset[str]:
        return self.select.inputs


@dataclass(frozen=True)
class RuleReport:
    """What a rule found. `why_not` says why it did not run, or why it closed nothing."""

    rule: str
    category: str
    severity: str
    ran: bool
    why_not: str
    open: int = 0
    opened: int = 0
    resolved: int = 0
    reopened: int = 0


class Finding(NamedTuple):
    """A gap as a rule sees it tonight."""

    gap_id: str
    rule: str
    category: str
    severity: str
    entity_type: str
    entity_id: str
    customer_id: str | None
    feature_id: str | None
    title: str
    detail: str | None
    fix: str
    owner: str
    stake_amount: Decimal | None
    stake_kind: str | None
    url: str | None


def rules(folder: Path = FOLDER) -> list[Rule]:
    """Every rule of a folder, by category and name. Raises ModelError if a header is not of the agreed form."""
    found = [read_rule(path) for path in sorted(folder.glob("*/*.sql"))]
    return sorted(found, key=lambda rule: (CATEGORIES.index(rule.category), rule.name))


def check(found: Iterable[Rule], shape: Shape) -> None:
    """Raises ModelError for the first rule that could not run, with file and line."""
    for rule in found:
        rule.select.check(shape)
        if tuple(rule.select.output) not in (FINDING, (*FINDING, "severity")):
            raise ModelError(rule.select.path, 1, f"selects other columns than {', '.join(FINDING)} [, severity].")
        if rule.inputs & {"unified.customers", "unified.features"}:
            raise ModelError(rule.select.path, 1, "reads a wide table, which is made after the gaps. Read its parts.")


def gap_id(rule: str, entity_type: str, entity_id: str) -> str:
    """The same from night to night: g_ and 16 hex digits of the SHA-256 of rule/type/id."""
    return "g_" + sha256(f"{rule}/{entity_type}/{entity_id}".encode()).hexdigest()[:16]


def review(connection: sa.Connection, run_id: str, found: Sequence[Rule]) -> list[RuleReport]:
    """Runs the rules and brings the ledger up to date, in the connection's transaction.

    A gap that is gone is resolved only if its rule ran and every read it needs is fresh: an outage closes nothing. The
    gaps of a rule that is no longer among them are resolved too.
    """
    as_of: datetime = connection.execute(verbatim("select as_of from settings.clock")).scalar_one()
    connected, stale = freshness.connected(connection), freshness.stale(connection)
    before = _counts(connection)
    reasons: dict[str, str] = {}
    findings: list[Finding] = []
    ran, closing = [], []
    for rule in found:
        off = sorted({read.partition("/")[0] for read in rule.reads - connected})
        late = sorted(rule.reads & stale)
        if off:
            reasons[rule.name] = f"{', '.join(off)} not connected"
            continue
        ran.append(rule)
        findings += findings_of(connection, rule)
        if late:
            reasons[rule.name] = f"closes nothing while {', '.join(late)} is late"
        else:
            closing.append(rule.name)
    known = {rule.name for rule in found}
    dropped = connection.execute(verbatim("select distinct rule from unified.gaps")).scalars()
    _stage(connection, findings, [*closing, *(rule for rule in dropped if rule not in known)])
    _bring_up_to_date(connection, as_of, run_id)
    _wake(connection)
    _suppress(connection, ran)
    return _reports(connection, found, {r.name for r in ran}, reasons, before)


def read_rule(path: Path, category: str | None = None) -> Rule:
    """A rule by its file; its folder is its category, unless one is given."""
    select = Select.read(path)
    header: dict[str, str] = {}
    last = ""
    for line, text in select.header:
        found = re.fullmatch(r"(title|severity|owner|fix|inputs|entity):\s*(.*)", text)
        if found:
            last = found[1]
            header[last] = found[2]
        elif last and text.startswith("  "):
            header[last] += " " + text.strip()
        elif last:
            raise ModelError(path, line, "is no line of a rule's header: title, severity, owner, fix, inputs, entity.")
    missing = [name for name in ("title", "severity", "owner", "fix", "inputs", "entity") if name not in header]
    if missing:
        raise ModelError(path, 1, f"lacks {', '.join(missing)} in its header.")
    if header["severity"] not in SEVERITIES:
        raise ModelError(path, 1, f"has severity {header['severity']!r}: write one of {', '.join(SEVERITIES)}.")
    category = category or path.parent.name
    if category not in CATEGORIES:
        raise ModelError(path, 1, f"lies in {category}, which is no category: {', '.join(CATEGORIES)}.")
    reads = frozenset(name.strip() for name in header["inputs"].split(",") if name.strip())
    return Rule(
        name=path.stem,
        category=category,
        title=header["title"],
        severity=header["severity"],
        owner=header["owner"],
        fix=header["fix"],
        entity=header["entity"],
        reads=reads,
        select=select,
    )


def findings_of(connection: sa.Connection, rule: Rule) -> list[Finding]:
    """What a rule sees now, one finding a gap."""
    dialect: Dialect = "duckdb" if connection.dialect.name == "duckdb" else "postgresql"
    findings: dict[str, Finding] = {}
    for row in connection.execute(verbatim(rule.select.sql(dialect))).mappings():
        id_ = gap_id(rule.name, rule.entity, row["entity_id"])
        findings.setdefault(
            id_,
            Finding(
                gap_id=id_,
                rule=rule.name,
                category=rule.category,
                severity=row.get("severity") or rule.severity,
                entity_type=rule.entity,
                entity_id=row["entity_id"],
                customer_id=row["customer_id"],
                feature_id=row["feature_id"],
                title=row["title"],
                detail=row["detail"],
                fix=rule.fix,
                owner=row["owner"] or rule.owner,
                stake_amount=None if row["stake_amount"] is None else Decimal(str(row["stake_amount"])),
                stake_kind=row["stake_kind"],
                url=row["url"],
            ),
        )
    return list(findings.values())


def _stage(connection: sa.Connection, findings: Sequence[Finding], closing: Sequence[str]) -> None:
    """Lays tonight's findings, and the names of the rules that may close gaps, beside the ledger."""
    types = {name: "numeric(18, 2)" if name == "stake_amount" else "text" for name in Finding._fields}
    connection.execute(verbatim("drop table if exists _found"))
    connection.execute(verbatim("drop table if exists _closing"))
    columns = ", ".join(f"{name} {type_}" for name, type_ in types.items())
    connection.execute(verbatim(f"create temporary table _found ({columns})"))
    connection.execute(verbatim("create temporary table _closing (rule text)"))
    if findings:
        arrow = {name: pa.decimal128(18, 2) if name == "stake_amount" else pa.string() for name in Finding._fields}
        values: dict[str, list[Any]] = {name: [getattr(finding, name) for finding in findings] for name in arrow}
        insert(connection, "", "_found", pa.table({name: pa.array(values[name], type_) for name, type_ in arrow.items()}))
    if closing:
        insert(connection, "", "_closing", pa.table({"rule": pa.array(closing, pa.string())}))


def _bring_up_to_date(connection: sa.Connection, as_of: datetime, run_id: str) -> None:
    told = [name for name in Finding._fields if name not in ("gap_id", "rule", "entity_type", "entity_id")]
    gone = (
        "status <> 'resolved' and rule in (select rule from _closing)"
        " and not exists (select 1 from _found as f where f.gap_id = g.gap_id)"
    )
    back = "status = 'resolved' and exists (select 1 from _found as f where f.gap_id = g.gap_id)"
    new = "not exists (select 1 from unified.gaps as g where g.gap_id = f.gap_id)"
    event = "insert into unified.gap_events (gap_id, rule, event, happened_at, run_id) select"
    fields = ", ".join(Finding._fields)
    statements = [
        f"{event} g.gap_id, g.rule, 'resolved', cast(:at as timestamptz), :run from unified.gaps as g where {gone}",
        f"{event} g.gap_id, g.rule, 'reopened', cast(:at as timestamptz), :run from unified.gaps as g where {back}",
        f"{event} f.gap_id, f.rule, 'opened', cast(:at as timestamptz), :run from _found as f where {new}",
        f"update unified.gaps as g set status = 'resolved', resolved_at = :at, suppressed_by = null where {gone}",
        f"update unified.gaps as g set status = 'open', resolved_at = null, reopened_count = reopened_count + 1 where {back}",
        f"update unified.gaps as g set last_seen_at = :at, {', '.join(f'{name} = f.{name}' for name in told)}"
        " from _found as f where f.gap_id = g.gap_id",
        f"insert into unified.gaps ({fields}, status, first_seen_at, last_seen_at, reopened_count)"
        f" select {fields}, 'open', cast(:at as timestamptz), cast(:at as timestamptz), 0 from _found as f where {new}",
    ]
    for statement in statements:
        connection.execute(sa.text(statement), {"at": as_of, "run": run_id})


def decide(connection: sa.Connection, gap_id: str, decision: str, until: date | None, by: str) -> None:
    """Keeps what somebody decided about a gap that is there: `acknowledged`, or `snoozed` until the end of a day."""
    values = {"gap": gap_id, "decision": decision, "until": until, "at": datetime.now(UTC), "by": by}
    known = connection.execute(sa.text("select status from unified.gaps where gap_id = :gap"), values).scalar()
    if known in (None, "resolved"):
        raise WarehouseError(f"There is no open gap {gap_id}: fullpicture gaps lists those there are.")
    connection.execute(sa.text("insert into unified.gap_decisions values (:gap, :decision, :until, :at, :by)"), values)
    connection.execute(sa.text("update unified.gaps set status = :decision where gap_id = :gap"), values)


def _wake(connection: sa.Connection) -> None:
    """Opens again what was snoozed until a day that is past."""
    connection.execute(
        verbatim(
            "update unified.gaps set status = 'open' where status = 'snoozed' and gap_id in (select gap_id from ("
            "select gap_id, until, row_number() over (partition by gap_id order by decided_at desc) as place"
            " from unified.gap_decisions) as decided where place = 1 and until < (select today from settings.clock))"
        )
    )


def _suppress(connection: sa.Connection, ran: Sequence[Rule]) -> None:
    """A late read hides the gaps that it may have caused: those that appeared, or came back, since it is late this time,
    under rules that need that read.
    """
    appeared = "select max(happened_at) from unified.gap_events where event <> 'resolved' and gap_id = gaps.gap_id"
    connection.execute(verbatim("update unified.gaps set suppressed_by = null where suppressed_by is not null"))
    causes = connection.execute(
        verbatim(
            f"select gap_id, entity_id, ({appeared}) from unified.gaps as gaps"
            " where category = 'pipeline' and entity_type = 'read' and status <> 'resolved' order by gap_id desc"
        )
    ).all()
    for cause, read, since in causes:
        for rule in ran:
            if rule.category != "pipeline" and read in rule.reads:
                connection.execute(
                    sa.text(
                        "update unified.gaps as gaps set suppressed_by = :cause"
                        f" where rule = :rule and status <> 'resolved' and ({appeared}) >= :since"
                    ),
                    {"cause": cause, "rule": rule.name, "since": since},
                )


def _counts(connection: sa.Connection) -> dict[tuple[str, str], int]:
    rows = connection.execute(verbatim("select rule, event, count(*) from unified.gap_events group by rule, event"))
    return {(rule, event): int(count) for rule, event, count in rows}


def _reports(
    connection: sa.Connection,
    found: Sequence[Rule],
    ran: set[str],
    reasons: dict[str, str],
    before: dict[tuple[str, str], int],
) -> list[RuleReport]:
    after = _counts(connection)
    rows = connection.execute(verbatim("select rule, count(*) from unified.gaps where status <> 'resolved' group by rule"))
    open_ = {rule: int(count) for rule, count in rows}

    def events(rule: str, event: str) -> int:
        return after.get((rule, event), 0) - before.get((rule, event), 0)

    return [
        RuleReport(
            rule=rule.name,
            category=rule.category,
            severity=rule.severity,
            ran=rule.name in ran,
            why_not=reasons.get(rule.name, ""),
            open=open_.get(rule.name, 0),
            opened=events(rule.name, "opened"),
            resolved=events(rule.name, "resolved"),
            reopened=events(rule.name, "reopened"),
        )
        for rule in found
    ]
