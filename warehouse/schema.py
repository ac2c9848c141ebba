"""The tables that are declared rather than derived: raw ones as handed in, ledgers, decisions and settings.

Here stands what they are and how they come to be in a database. What is written into them stands with their writers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import sqlalchemy as sa

from warehouse.engine import verbatim

Type = Literal["text", "integer", "double", "decimal", "boolean", "timestamp", "date", "json"]

# Ordered byte by byte, with Unicode's upper and lower case: what DuckDB does, so that text compares alike on both.
_TEXT = sa.Text().with_variant(sa.Text(collation="pg_c_utf8"), "postgresql")
TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {
    "text": _TEXT,
    "json": _TEXT,  # JSON as text: the one form that both databases read alike
    "integer": sa.BigInteger(),
    "double": sa.Double(),
    "decimal": sa.Numeric(18, 2),
    "boolean": sa.Boolean(),
    "timestamp": sa.TIMESTAMP(timezone=True),
    "date": sa.Date(),
}


# The same as Arrow, in which rows arrive, and leave again.
ARROW: Mapping[Type, pa.DataType] = {
    "text": pa.string(),
    "json": pa.string(),
    "integer": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.decimal128(18, 2),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
}


@dataclass(frozen=True)
class Column:
    name: str
    type: Type
    description: str
    personal: bool = False
    whose: str = ""  # the column with the id of the person whom it tells of, where that is not the row's own


@dataclass(frozen=True)
class Table:
    """A declared table: ledger, decision or settings."""

    schema: str
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def index(self) -> str:
        """By which PostgreSQL finds rows by their key, as it wants it written; empty where it would have none. A tree would
        refuse a text of some kilobytes, and what it has for those takes one column."""
        types = [column.type for column in self.columns if column.name in self.key]
        if set(types) == {"integer"}:
            return "btree (" + ", ".join(f'"{name}"' for name in self.key) + ")"
        return f'hash ("{self.key[0]}")' if len(types) == 1 else ""


@dataclass(frozen=True)
class RawTable(Table):
    """A table that a stream of a tool is loaded into. `load.py` is its only writer.

    `version`: the column by which a newer row is told from an older one. `volatile`: columns that the vendor moves
    without a change of the record. `people`: each row is a person.
    """

    key: tuple[str, ...] = ("id",)
    version: str | None = None
    volatile: frozenset[str] = field(default_factory=frozenset)
    people: bool = False


PAIR = ("left_tool", "left_type", "left_id", "right_tool", "right_type", "right_id")  # the key of a pair of records
RAW_COLUMNS = (
    Column("extra", "json", "Every field of the vendor's record that no column holds, an object; null if none."),
    Column("_deleted_at", "timestamp", "When the record was deleted in its tool, or found to be gone; null while it lives."),
    Column("_synced_at", "timestamp", "When this row was last written (UTC)."),
)


def _table(schema: str, name: str, description: str, columns: str) -> Table:
    """Reads a declaration of one column a line: name, type, description."""
    rows = (line.strip().split(" ", 2) for line in columns.strip().splitlines())
    return Table(schema, name, description, tuple(Column(n, t, d) for n, t, d in rows))  # type: ignore[arg-type]


_DECIDED = """
        left_tool text Tool of the one record.
        left_type text Type of that record.
        left_id text Id of that record.
        right_tool text Tool of the other record.
        right_type text Type of that other record.
        right_id text Id of that other record.
        decision text always (they are one customer) or never."""

SYNC = (
    _table(
        "sync",
        "cursors",
        "How far each read has come. One row per read.",
        """
        tool text The tool.
        read text The read.
        host text Host that the rows come from; another host is another world and is refused.
        cursor json Where the next run goes on; only the connector reads it.
        choices json What the settings had chosen when the rows were read: mapped fields, what is left out, since when.
        updated_at timestamp When the cursor was last moved (UTC).
    """,
    ),
    _table(
        "sync",
        "runs",
        "Every run of every read.",
        """
        run_id text The run that it belonged to.
        tool text The tool.
        read text The read.
        started_at timestamp When it started.
        ended_at timestamp When it ended.
        covered_until timestamp Everything the vendor knew up to this moment of its own clock has been loaded.
        status text running (or killed), succeeded, failed, unavailable (the account has none), or restored (to be read anew).
        rows_inserted integer Rows that were new.
        rows_updated integer Rows that had changed.
        rows_deleted integer Rows that were marked deleted.
        rows_rejected integer Records, or single values, put aside.
        requests integer HTTP requests sent.
        source_rows integer Records that the vendor says it has, of what it was asked to count.
        stored_rows integer Rows that the tables have of the same.
        reconciled boolean Whether the two agree for every table of the read; null if nothing was counted.
        error text What went wrong, in one line.
    """,
    ),
    _table(
        "sync",
        "counts",
        "Whether the tables are complete: the vendor's count or list of ids against the rows, per run and table.",
        """
        run_id text The run that counted.
        tool text The tool.
        read text The read.
        stream text The raw table.
        counted_by text count (the vendor's own), ids (all of them listed), or parts (only of what was read anew).
        source_rows integer Living records that the vendor has.
        stored_rows integer Living rows that the table has of the same.
        missing_rows integer Records that the vendor lists and the table lacks.
        reconciled boolean Whether they agree, after what differed was read once more.
        counted_at timestamp When it was counted (UTC).
    """,
    ),
    _table(
        "sync",
        "rejects",
        "Records, and single values, that could not be loaded. They leave when a good version arrives.",
        """
        tool text The tool.
        stream text The stream.
        record_id text Key of the record; null if it has no usable one.
        column_name text The column whose value did not fit; null if the whole record was put aside.
        reason text What was wrong.
        original json What the vendor sent.
        run_id text The run that met it.
        rejected_at timestamp When it was met, by the vendor's clock.
    """,
    ),
    _table(
        "sync",
        "lost_columns",
        "Columns, and undeclared fields, that a vendor filled once and does not any more. What stood of them stands.",
        """
        tool text The tool.
        stream text The raw table.
        column_name text The column, or the vendor's name of a field in extra.
        change text lost (not shown any more), gone (comes no more), or changed (no value fits the column any more).
        since timestamp The run that noticed (UTC).
    """,
    ),
    _table(
        "sync",
        "version",
        "The form of these tables, which an older fullpicture cannot write. One row.",
        """
        version integer Number of the form.
    """,
    ),
    _table(
        "sync",
        "schema_changes",
        "Columns that declared tables gained, and columns that became wider.",
        """
        table_name text Schema and table.
        column_name text The column.
        change text What happened to it.
        changed_at timestamp When.
    """,
    ),
    _table(
        "sync",
        "versions",
        "How often each raw table was written to.",
        """
        table_name text Schema and table; or redacted, for people who were taken out of any.
        version integer Counts up with every transaction that changed rows.
    """,
    ),
    _table(
        "sync",
        "builds",
        "The last build of every unified table.",
        """
        table_name text Schema and table.
        built_at timestamp When.
        rows integer Rows it held.
        definition text Hash of the SQL that built it.
        inputs json In which state everything was that it read: in the same again, it is not built anew.
        lineage json Per column, the columns it was made from.
    """,
    ),
    _table(
        "sync",
        "parts",
        "In which state everything was that each part of a large unified table was made of: only others are built anew.",
        """
        table_name text Schema and table.
        column_name text The column whose values are the parts, such as day.
        part text The value.
        state text The state.
    """,
    ),
    _table(
        "sync",
        "months",
        "In which state each month of a large unified table is, as of its last version that was published.",
        """
        table_name text The table.
        month text The month, such as 2026-03.
        state text The state of its rows.
        version text The state of the table that this was told of.
    """,
    ),
    _table(
        "sync",
        "customer_ids",
        "Every customer id ever minted, and what it was minted for. Never dropped.",
        """
        customer_id text c_ and the first 16 hex digits of the SHA-256 of the anchor.
        anchor_tool text Tool of the record that the id was minted for.
        anchor_type text Type of that record, in the singular.
        anchor_id text Id of that record.
        minted_at timestamp When the id was minted.
        merged_into text The customer that this one turned out to be.
    """,
    ),
    _table(
        "sync",
        "domains",
        "What every host that any tool names stands for.",
        """
        host text Host, as the tools' records give it.
        registrable text Registrable domain, by the public suffix list; null if it has none.
        kind text company, free_mail, shared, internal or none.
    """,
    ),
    _table(
        "sync",
        "issue_keys",
        "Every key that any issue was ever seen under. Never dropped.",
        """
        tool text The tool that holds the issue.
        issue_id text Id of the issue; it stays when the issue moves.
        issue_key text A key that it has or had.
        seen_at timestamp Since when it is known to have it.
    """,
    ),
    _table(
        "sync",
        "text_keys",
        "Keys of issues that texts mention.",
        """
        tool text Tool of the record that holds the text.
        record_type text Type of that record.
        record_id text Id of that record.
        issue_key text The key, in capitals.
    """,
    ),
)

LEDGERS = (
    _table(
        "unified",
        "customer_links",
        "Which customer each record of each tool belongs to, now and before.",
        """
        tool text The tool.
        record_type text Type of the record.
        record_id text Id of the record.
        customer_id text The customer.
        method text How it was found: override, declared_id, domain, contact_domain, name, or alone.
        score double How sure the method is, 0 to 1.
        decided_by text rule or person.
        evidence text What led to it, in words.
        valid_from timestamp From when on.
        valid_to timestamp Until when; null while it holds.
    """,
    ),
    _table(
        "unified",
        "customer_merges",
        "Customers that turned out to be another one, now and before. The id that stays is the older one.",
        """
        customer_id text The customer whose id is in use no more.
        merged_into text The customer that it is part of.
        valid_from timestamp When that was found out.
        valid_to timestamp When they were parted again; null while they are one.
    """,
    ),
    _table(
        "unified",
        "match_candidates",
        "Pairs of records that may be one customer: a person has to say (fullpicture customers review).",
        """
        left_tool text Tool of the record that may belong to another one.
        left_type text Type of that record.
        left_id text Id of that record.
        right_tool text Tool of the record that it may be the same company as.
        right_type text Type of that other record.
        right_id text Id of that other record.
        score double How alike they are, 0 to 1.
        evidence text What speaks for it, in words.
        waiting_since timestamp When the pair was first found.
    """,
    ),
    _table(
        "unified",
        "gaps",
        "Everything that keeps the picture from being complete and that somebody can close.",
        """
        gap_id text The same from night to night: made from rule and thing.
        rule text The rule that found it.
        category text identity, linkage, process, pipeline or picture.
        severity text critical, high, medium or low.
        entity_type text What kind of thing it is about.
        entity_id text Id of that thing.
        customer_id text The customer it touches.
        feature_id text The feature it touches.
        title text The gap in one line.
        detail text Why it is a gap.
        fix text What to do, in one sentence.
        owner text Who can close it: the thing's owner, else the rule's default.
        stake_amount decimal What is at stake; null when unknown.
        stake_kind text arr, pipeline or minutes; null when unknown.
        url text Address of the record in its tool.
        status text open, acknowledged, snoozed or resolved.
        first_seen_at timestamp When it was first seen.
        last_seen_at timestamp When it was last seen.
        resolved_at timestamp When it was found to be gone; null while it is there.
        reopened_count integer How often it came back.
        suppressed_by text The pipeline gap that caused it, while that one is open.
    """,
    ),
    _table(
        "unified",
        "gap_events",
        "What happened to every gap.",
        """
        gap_id text The gap.
        rule text The rule that found it.
        event text opened, resolved or reopened.
        happened_at timestamp When, by the clock of the refresh.
        run_id text The refresh that noticed.
    """,
    ),
    _table(
        "unified",
        "tables",
        "One row per unified table: how old and how sure it is.",
        """
        table_name text The table.
        as_of timestamp The clock of the refresh that built it.
        today date The day of that, in the configured zone.
        built_at timestamp When it was built.
        rows integer Rows it holds.
        inputs_fresh boolean Whether every connected read it rests on was in time; null if none is connected.
    """,
    ),
)

DECISIONS = (
    _table(
        "unified",
        "gap_decisions",
        "What people decided about gaps. Never dropped; the last decision about a gap counts.",
        """
        gap_id text The gap.
        decision text acknowledged or snoozed.
        until date The last day on which it is snoozed; null if it is acknowledged.
        decided_at timestamp When it was decided (UTC).
        decided_by text Who decided, by the name of their login.
    """,
    ),
    _table(
        "unified",
        "match_overrides",
        "What people decided about pairs of records. Never dropped; the last decision about a pair counts.",
        _DECIDED
        + """
        decided_at timestamp When it was decided (UTC).
        decided_by text Who decided, by the name of their login.
    """,
    ),
    _table(
        "sync",
        "erased",
        "Whom nobody must know any more, so that no sync brings them back. Never dropped.",
        """
        hash text Keyed hash of an address, or of tool/id of a person; one of nothing, by which the key is known again.
        erased_at timestamp When it was erased (UTC).
    """,
    ),
)

SETTINGS = (
    _table("settings", "clock", "The moment that the tables speak of. One row.", """
        as_of timestamp Now, for every table.
        today date The day of as_of in the configured zone.
        timezone text The configured zone.
    """),
    _table("settings", "options", "Single values of the settings. One row.", """
        currency text The reporting currency.
        fresh_hours integer Hours within which a read must have succeeded to count as fresh.
        late_critical_hours integer Hours past that after which a late source is critical.
        blocker_close_days integer An open deal that closes within these days makes its missing blocker critical.
        evidence_closed_months integer Months for which a closed deal's evidence stays active.
        renewal_days integer Days before a renewal in which it counts as near.
        organization_ticket_days integer Days within which a ticket makes an organization a live one.
        people text What the unified tables show of customers' people: keep, hash or drop their names and addresses.
        people_key text What stands before a name or an address when it is hashed.
    """),
    _table("settings", "tools", "Every tool, connected or not.", """
        tool text The tool.
        connected boolean Whether its variables are set.
        url text Its address; null while it is off.
    """),
    _table("settings", "reads", "Every read of every tool.", """
        tool text The tool.
        read text The read.
        connected boolean Whether its tool is on.
    """),
    _table("settings", "mapped_fields", "Vendor fields that the settings map to columns.", """
        tool text The tool.
        stream text The stream.
        column_name text The column.
        field text The vendor's field.
    """),
    _table("settings", "internal_domains", "Domains of our own company.", """
        domain text Registrable domain.
    """),
    _table("settings", "shared_domains", "Domains that several companies share, beside the known free-mail ones.", """
        domain text Registrable domain.
    """),
    _table("settings", "match_overrides", "Pairs of records that are always one customer, or never.", _DECIDED),
    _table("settings", "segments", "Bands of ARR, where no field gives the segment.", """
        segment text The segment.
        arr_from decimal Lowest ARR of the band.
    """),
    _table("settings", "feature_types", "Types of Jira issue that are features.", """
        name text Name of the type.
    """),
    _table("settings", "escalation_marks", "What makes a ticket an escalation.", """
        kind text tag or priority.
        value text The tag, or the priority.
    """),
    _table("settings", "feature_values", "Words in a deal's fields that stand for a feature.", """
        value text The word, as the vendor's list has it.
        issue_key text Key of the feature's issue.
    """),
    _table("settings", "declined_resolutions", "Resolutions by which an issue is declined.", """
        name text Name of the resolution.
    """),
)  # fmt: skip

DECLARED = SYNC + LEDGERS + DECISIONS + SETTINGS


def raw_tables(raw: Iterable[RawTable]) -> list[Table]:
    """The raw tables with the columns that every one of them has beside its own."""
    return [Table(table.schema, table.name, table.description, table.columns + RAW_COLUMNS, table.key) for table in raw]


def create(connection: sa.Connection, schema: str, name: str, columns: Iterable[Column]) -> None:
    """Makes a table. It must not exist."""
    connection.execute(verbatim(created(connection, schema, name, columns)))


def describe(
    connection: sa.Connection,
    schema: str,
    name: str,
    description: str,
    columns: Iterable[Column],
    kind: Literal["table", "view"] = "table",
) -> None:
    """Writes the descriptions into the database's own comments."""
    connection.execute(verbatim("; ".join(described(schema, name, description, columns, kind))))


def created(connection: sa.Connection, schema: str, name: str, columns: Iterable[Column]) -> str:
    declared = ", ".join(f'"{column.name}" {type_of(connection, column)}' for column in columns)
    return f'create table {schema}."{name}" ({declared})'


def described(schema: str, name: str, description: str | None, columns: Iterable[Column], kind: str) -> list[str]:
    """Statements that write descriptions into the database's own comments; of the table too, unless None."""
    texts = {} if description is None else {f"{kind} {schema}.{name}": description}
    texts |= {f'column {schema}.{name}."{column.name}"': column.description for column in columns}
    return ["comment on {} is '{}'".format(target, text.replace("'", "''")) for target, text in texts.items()]


def type_of(connection: sa.Connection, column: Column) -> str:
    kind = str(TYPES[column.type].compile(connection.dialect))
    # What nobody declared is most of a raw table: so kept it takes half of the room, and less time to write.
    return f"{kind} using compression zstd" if column.type == "json" and connection.dialect.name == "duckdb" else kind
