"""Who is gone, or asked to be forgotten, stands nowhere any more, and does not come back; on both databases."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.base import Reject
from orchestration.synced import raw_tables
from tests.warehouse.things import START, batch, loaded, rows_of
from warehouse import migrate, models, privacy
from warehouse.engine import Warehouse, WarehouseError, verbatim
from warehouse.privacy import Erased
from warehouse.schema import Column, RawTable

FOLKS = RawTable(
    schema="zendesk",
    name="folks",
    description="People.",
    columns=(
        Column("id", "integer", "Id."),
        Column("name", "text", "Name.", personal=True),
        Column("email", "text", "Address.", personal=True),
        Column("custom", "json", "What there is beside.", personal=True),
        Column("title", "text", "Job."),
    ),
    people=True,
)
NOTES = RawTable(
    schema="zendesk",
    name="notes",
    description="What people wrote.",
    columns=(
        Column("id", "integer", "Id."),
        Column("author_id", "integer", "Whose."),
        Column("author_name", "text", "Name.", personal=True, whose="author_id"),
        Column("supplied_email", "text", "Address in a form.", personal=True),
        Column("body", "text", "Text."),
    ),
)
VISITORS = RawTable(
    schema="pendo",
    name="visitors",
    description="People by their addresses.",
    columns=(Column("id", "text", "Id.", personal=True), Column("full_name", "text", "Name.", personal=True)),
    people=True,
)
CLICKS = RawTable(
    schema="pendo",
    name="clicks",
    description="What they did.",
    columns=(
        Column("id", "integer", "Id."),
        Column("visitor_id", "text", "Who.", personal=True, whose="visitor_id"),
        Column("remote_ip", "text", "From where.", personal=True, whose="visitor_id"),
    ),
)
RAW = (FOLKS, NOTES, VISITORS, CLICKS)
KEY = b"a key"
ANN = {
    "id": 1,
    "name": "Ann Lee",
    "email": "Ann@acme.example",
    "custom": '{"born":"1990"}',
    "title": "CTO",
    "extra": '{"a":"b"}',
}
BOB = {"id": 2, "name": "Bob Ray", "email": "bob@acme.example", "custom": None, "title": None, "extra": None}
OWN = {"id": 3, "name": "Cy Own", "email": "cy@mail.ours.example", "custom": None, "title": None, "extra": None}
NOTE = {
    "id": 1,
    "author_id": 1,
    "author_name": "Ann Lee",
    "supplied_email": None,
    "body": "Ask ANN@acme.example, not joann@acme.example.",
}
GONE = {"_deleted_at": START}


@pytest.fixture
def house(warehouse: Warehouse) -> Warehouse:
    migrate.prepare(warehouse, RAW)
    lineage = {"owner_name": ["zendesk.folks.name"], "owner_email": ["unified.people.email"], "name": ["zendesk.firms.name"]}
    people = {"email": ["zendesk.folks.email"]}
    with warehouse.begin("what stands") as connection:
        for table, columns in (("unified.customers", lineage), ("unified.people", people)):
            connection.execute(
                sa.text("insert into sync.builds (table_name, lineage) values (:table, :lineage)"),
                {"table": table, "lineage": json.dumps(columns)},
            )
        connection.execute(sa.text("insert into settings.internal_domains values ('ours.example')"))
        for name, owner, address in (("Ann Lee", "Ann Lee", "ann@acme.example"), ("Firm", "Bob Ray", "bob@acme.example")):
            connection.execute(
                sa.text("insert into unified.customers_history (name, owner_name, owner_email) values (:n, :o, :a)"),
                {"n": name, "o": owner, "a": address},
            )
            connection.execute(sa.text("insert into unified.gaps (gap_id, owner) values (:o, :o)"), {"o": owner})
    arrive(warehouse, FOLKS, [ANN, BOB, OWN])
    arrive(warehouse, NOTES, [NOTE, {**NOTE, "id": 2, "author_id": 2, "author_name": "Bob Ray", "body": "fine"}])
    return warehouse


def arrive(warehouse: Warehouse, table: RawTable, rows: Sequence[dict[str, Any]], known: Erased | None = None) -> Any:
    arriving = batch(rows, table=table).rows[table.name]
    made = replace(batch(rows, table=table), rows={table.name: known.redacted(table, arriving) if known else arriving})
    return loaded(warehouse, made, table=table)


def night(warehouse: Warehouse) -> int:
    with warehouse.begin("redact") as connection:
        return privacy.redact_deleted(connection, RAW, privacy.erased(connection, lambda _: KEY))


def forget(warehouse: Warehouse, address: str) -> dict[str, int]:
    with warehouse.begin("erase") as connection:
        return privacy.erase(connection, RAW, privacy.erased(connection, lambda _: KEY), address)


def stands(warehouse: Warehouse, text: str, schemas: str = "'zendesk', 'pendo', 'unified', 'sync'") -> list[str]:
    """The columns of the whole database in which a text stands, in any case."""
    columns = rows_of(
        warehouse,
        "select table_schema, table_name, column_name from information_schema.columns where table_catalog = current_catalog"
        f" and table_schema in ({schemas}) and lower(data_type) in ('text', 'varchar')",
    )
    return sorted(
        {
            f"{schema}.{table}.{column}"
            for schema, table, column in columns
            if rows_of(warehouse, f'select 1 from {schema}."{table}" where strpos(lower("{column}"), \'{text.lower()}\') > 0')
        }
    )


def test_who_is_deleted_upstream_is_redacted_in_raw_in_copies_in_what_is_kept_and_among_the_rejects(house: Warehouse) -> None:
    rejected = Reject("folks", "1", "title", "is no text", '"Ann Lee"')
    loaded(house, batch([{**ANN, **GONE}], table=FOLKS, rejects=[rejected]), table=FOLKS)

    assert night(house) == 1

    assert rows_of(house, "select id, name, email, custom, title, extra from zendesk.folks where id = 1") == [
        (1, None, None, None, "CTO", None)
    ]
    assert stands(house, "ann lee") == ["unified.customers_history.name", "unified.gaps.gap_id"]  # a company of that name
    assert stands(house, "ann@acme.example") == ["zendesk.notes.body"]  # what others wrote is for fullpicture privacy erase
    assert rows_of(house, "select author_id, author_name from zendesk.notes order by id") == [(1, None), (2, "Bob Ray")]
    assert rows_of(house, "select owner_name, owner_email from unified.customers_history where name = 'Firm'") == [
        ("Bob Ray", "bob@acme.example")
    ]
    assert night(house) == 0


def test_a_name_that_somebody_living_has_too_stays_where_it_may_be_theirs(house: Warehouse) -> None:
    arrive(house, FOLKS, [{**ANN, **GONE}, {**BOB, "id": 4, "name": "Ann Lee"}])
    night(house)
    assert rows_of(house, "select count(*) from unified.gaps where owner = 'Ann Lee'") == [(1,)]
    assert rows_of(house, "select owner_email from unified.customers_history where name = 'Ann Lee'") == [(None,)]


def test_what_somebody_was_called_before_goes_with_the_address_beside_it(house: Warehouse) -> None:
    arrive(house, FOLKS, [{**ANN, "name": "Ann Ray"}])
    arrive(house, FOLKS, [{**ANN, "name": "Ann Ray", **GONE}])
    night(house)
    assert rows_of(house, "select owner_name, owner_email from unified.customers_history where name = 'Ann Lee'") == [
        (None, None)
    ]


def test_what_is_kept_is_cleared_also_before_anything_was_built_anew(house: Warehouse) -> None:
    with house.begin("as a restored backup leaves it") as connection:
        connection.execute(sa.text("delete from sync.builds"))
    arrive(house, FOLKS, [{**ANN, **GONE}])
    night(house)
    owners = "select owner_name, owner_email from unified.customers_history order by 1 nulls first"
    assert rows_of(house, owners) == [(None, None), ("Bob Ray", "bob@acme.example")]


def test_of_a_colleague_who_leaves_the_domain_stays(house: Warehouse) -> None:
    arrive(house, FOLKS, [{**OWN, **GONE}])
    assert night(house) == 1
    assert rows_of(house, "select name, email from zendesk.folks where id = 3") == [(None, "erased@mail.ours.example")]
    assert night(house) == 0


def test_what_was_redacted_is_built_again(house: Warehouse) -> None:
    def version() -> list[tuple[Any, ...]]:
        return rows_of(house, "select table_name, version from sync.versions where table_name like 'zendesk%' order by 1")

    arrive(house, FOLKS, [{**ANN, **GONE}])
    before = version()
    night(house)
    assert [now[1] - then[1] for now, then in zip(version(), before, strict=True)] == [1, 1]
    before = version()
    night(house)
    assert version() == before


def test_an_id_that_is_an_address_becomes_another_one_and_stays_one_persons(house: Warehouse) -> None:
    ann, opaque = "ann@acme.example", "u-7"
    clicks = [{"id": n, "visitor_id": who, "remote_ip": "1.1.1.1"} for n, who in enumerate((ann, ann, opaque, "bob@b.example"))]
    arrive(house, VISITORS, [{"id": who, "full_name": "Some One"} for who in (ann, opaque, "bob@b.example")])
    arrive(house, CLICKS, clicks)
    arrive(house, VISITORS, [{"id": who, "full_name": "Some One", **GONE} for who in (ann, opaque)])
    night(house)

    alias = Erased(frozenset(), KEY).alias(ann)
    wanted = [(alias, None), (alias, None), ("u-7", None), ("bob@b.example", "1.1.1.1")]
    assert rows_of(house, "select visitor_id, remote_ip from pendo.clicks order by id") == wanted
    assert rows_of(house, "select id, full_name from pendo.visitors order by id") == [
        ("bob@b.example", "Some One"),
        (alias, None),
        ("u-7", None),
    ]

    arrive(house, CLICKS, clicks[:1])  # the tool tells the same days once more
    night(house)
    assert rows_of(house, "select visitor_id, remote_ip from pendo.clicks order by id") == wanted


def test_an_address_that_is_erased_stands_nowhere_and_comes_back_with_no_sync(house: Warehouse) -> None:
    with house.begin("a reject") as connection:
        connection.execute(
            sa.text("""insert into sync.rejects (tool, stream, original) values ('jira', 'x', '{"e":"ann@acme.example"}')""")
        )
    arrive(house, VISITORS, [{"id": "ann@acme.example", "full_name": "Ann Lee"}])
    arrive(house, CLICKS, [{"id": 1, "visitor_id": "ann@acme.example", "remote_ip": "1.1.1.1"}])

    told = forget(house, " ann@ACME.example ")

    assert told.keys() == {
        "zendesk.folks",
        "zendesk.notes",
        "unified.customers_history",
        "sync.rejects",
        "pendo.visitors",
        "pendo.clicks",
    }
    assert stands(house, "ann@acme.example") == ["zendesk.notes.body"]  # that of joann
    assert stands(house, "joann@acme.example") == ["zendesk.notes.body"]
    assert stands(house, "ann lee") == ["unified.customers_history.name", "unified.gaps.gap_id"]
    assert stands(house, "1.1.1.1") == []
    alias = Erased(frozenset(), KEY).alias("ann@acme.example")
    assert rows_of(house, "select body from zendesk.notes where id = 1") == [(f"Ask {alias}, not joann@acme.example.",)]

    known = privacy.guarded(house, lambda _: KEY)
    counts = arrive(house, FOLKS, [ANN, BOB], known)
    assert (counts.updated, counts.unchanged) == (0, 2)
    renewed = {**ANN, "email": None, "title": "CEO"}  # the id tells, even without the address
    assert arrive(house, FOLKS, [renewed], known).updated == 1
    assert arrive(house, NOTES, [NOTE], known).unchanged == 1
    assert arrive(house, VISITORS, [{"id": "ann@acme.example", "full_name": "Ann Lee"}], known).unchanged == 1
    assert arrive(house, CLICKS, [{"id": 2, "visitor_id": "ann@acme.example", "remote_ip": "1.1.1.1"}], known).inserted == 1
    assert stands(house, "ann lee") == ["unified.customers_history.name", "unified.gaps.gap_id"]
    assert stands(house, "1.1.1.1") == []
    assert rows_of(house, "select visitor_id from pendo.clicks where id = 2") == [(alias,)]


def test_every_row_that_holds_an_address_is_found(house: Warehouse) -> None:
    with house.begin("find") as connection:
        found = privacy.find(connection, RAW, "Ann@acme.example")
    assert {table: len(rows) for table, rows in found.items()} == {
        "zendesk.folks": 1,
        "zendesk.notes": 1,
        "unified.customers_history": 1,
    }
    assert json.loads(json.dumps(found))["zendesk.folks"][0]["name"] == "Ann Lee"


def test_another_key_is_refused_and_nothing_but_hashes_is_remembered(house: Warehouse) -> None:
    forget(house, "ann@acme.example")
    assert stands(house, "acme") == ["unified.customers_history.owner_email", "zendesk.folks.email", "zendesk.notes.body"]
    with pytest.raises(WarehouseError, match=r"put that file back"):
        privacy.guarded(house, lambda _: b"another")


def test_what_is_no_address_is_refused(house: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="not an e-mail address"):
        forget(house, "ann")


def test_the_older_version_behind_a_view_is_dropped_with_what_it_held_once_nobody_reads_it(house: Warehouse) -> None:
    if house.dialect == "duckdb":
        return
    with house.begin("two versions") as connection:
        for name in ("firms_a", "people_a", "people_b"):
            connection.execute(sa.text(f"create table build.{name} as select 'ann@acme.example'::text as email"))
        connection.execute(sa.text("create view unified.shown as select email from build.people_b"))
    left = "select table_name from information_schema.tables where table_schema = 'build' order by 1"

    def drop() -> None:
        with house.begin("drop") as connection:
            privacy.drop_old_versions(connection)

    with house.begin("a reader who takes their time") as reader:
        reader.execute(sa.text("select * from build.firms_a"))
        drop()
        assert reader.execute(sa.text(left)).scalars().all() == ["firms_a", "people_b"]
    drop()
    assert rows_of(house, left) == [("people_b",)]


# What the unified tables show ------------------------------------------------------------------------------------------

TELLING = ("people", "records", "contact_domains", "customer_records", "tickets", "usage")
CUSTOMERS = ("ann@acme.example", "ann lee", "cas@acme.example")  # people of customers, who stand in all the tools
TOLD = [
    "insert into settings.clock values (timestamptz '2026-03-01', date '2026-03-01', 'UTC')",
    "insert into salesforce.accounts (id, name) values ('a1', 'Acme')",
    "insert into salesforce.contacts (id, account_id, first_name, last_name, email)"
    " values ('c1', 'a1', 'Ann', 'Lee', 'Ann@acme.example')",
    "insert into salesforce.users (id, name, email, is_active) values ('u1', 'Sel Ler', 'sel@ours.example', true)",
    "insert into zendesk.organizations (id, name) values (9, 'Acme')",
    "insert into zendesk.users (id, name, email, role, organization_id) values"
    " (1, 'Ann Lee', 'ann@acme.example', 'end-user', 9), (2, 'Age Nt', 'age@ours.example', 'agent', null),"
    " (3, 'Col League', 'col@ours.example', 'end-user', null)",
    "insert into zendesk.tickets (id, requester_id, assignee_id, organization_id, created_at) values"
    " (1, 1, 2, 9, timestamptz '2026-02-01'), (2, 3, 2, null, timestamptz '2026-02-01')",
    "insert into pendo.accounts (account_id, name) values ('acme', 'Acme')",
    "insert into pendo.visitors (visitor_id, full_name, account_ids) values ('Ann@acme.example', 'Ann Lee', '[\"acme\"]')",
    "insert into pendo.feature_events (visitor_id, account_id, feature_id, day, num_events) values"
    " ('Ann@acme.example', 'acme', 'f1', date '2026-02-01', 3)",
    "insert into jira.users (account_id, account_type) values ('j1', 'customer')",
    "insert into jira.issues (id, key, reporter_account_id, reporter_name, reporter_email) values"
    " ('1', 'APP-1', 'j1', 'Ann Lee', 'cas@acme.example')",
]


def shown(warehouse: Warehouse, choice: str, raw: Sequence[RawTable]) -> None:
    """Builds everything that tells of people, as the settings choose."""
    library = models.library()
    with warehouse.begin("a refresh") as connection:
        connection.execute(verbatim("delete from settings.options"))
        key = privacy.people_key(connection, lambda _: KEY)
        connection.execute(
            sa.text("insert into settings.options (people, people_key) values (:people, :key)"), {"people": choice, "key": key}
        )
        for model in (model for model in library if model.name in TELLING):
            models.build(connection, model, library.shape(raw))


def test_customers_people_are_shown_as_the_settings_choose_and_our_own_by_their_names(warehouse: Warehouse) -> None:
    raw = raw_tables()
    migrate.prepare(warehouse, raw)
    with warehouse.begin("what the tools tell") as connection:
        connection.execute(verbatim("insert into settings.internal_domains values ('ours.example')"))
        for statement in TOLD:
            connection.execute(verbatim(statement))
    named = ["contact_domains.person_id", "people.email", "people.name", "people.person_id", "tickets.requester_email"]
    for choice in ("keep", "hash", "drop"):  # in the same warehouse: a changed setting rebuilds what it changes
        shown(warehouse, choice, raw)
        standing = {place for text in CUSTOMERS for place in stands(warehouse, text, "'unified'")}
        assert standing == {f"unified.{place}" for place in [*named, "usage.visitor_id"] if choice == "keep"}, choice

        assert rows_of(warehouse, "select distinct host from unified.contact_domains") == [("acme.example",)]
        tickets = "select assignee_name, assignee_email, is_inbound_question from unified.tickets order by ticket_id"
        assert rows_of(warehouse, tickets) == [("Age Nt", "age@ours.example", False), ("Age Nt", "age@ours.example", True)]
        sellers = rows_of(warehouse, "select name, email from unified.people where tool = 'salesforce' and role = 'user'")
        assert sellers == [("Sel Ler", "sel@ours.example")]
        used = "select count(*) from unified.usage as u join unified.people as p on p.person_id = u.visitor_id"
        assert rows_of(warehouse, used) == [(1,)]

        ann = "select tool, email, name from unified.people where record_id is not null order by tool"
        told = (shown_as("ann@acme.example", choice), shown_as("Ann Lee", choice))
        assert rows_of(warehouse, ann) == [(tool, *told) for tool in ("pendo", "salesforce", "zendesk")]


def shown_as(value: str, choice: str) -> str | None:
    key = hmac.new(KEY, b"customers' people", sha256).hexdigest()
    return {"keep": value, "hash": sha256(f"{key}{value}".encode()).hexdigest()[:16], "drop": None}[choice]
