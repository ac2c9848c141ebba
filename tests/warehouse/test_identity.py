"""Which records are the same company, and that an id once given stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.warehouse.things import rows_of
from warehouse import hosts, identity, migrate, name_words
from warehouse.engine import Warehouse, WarehouseError, verbatim

ACME, ACME_15 = "001A0000007qHgkIAE", "001A0000007qHgk"  # both forms of one id, as the vendor's documentation pairs such
BETA = "001B000000AAAAAIA4"
NAMES = ("tool", "record_type", "record_id", "name", "host", "country", "parent_id", "declared_tool", "declared_id")
COLUMNS = ", ".join(f"{name} text" for name in NAMES) + ", deleted boolean"
Resolve = Callable[..., dict[str, tuple[str, str]]]


def account(id_: str, host: str | None = None, **more: Any) -> dict[str, Any]:
    return {"tool": "salesforce", "record_type": "account", "record_id": id_, "host": host, **more}


def organization(id_: str, host: str | None = None, declared: str | None = None, **more: Any) -> dict[str, Any]:
    tool = "salesforce" if declared else None
    return {
        "tool": "zendesk",
        "record_type": "organization",
        "record_id": id_,
        "host": host,
        "declared_tool": tool,
        "declared_id": declared,
        **more,
    }


def usage_account(id_: str, declared: str | None = None, **more: Any) -> dict[str, Any]:
    pointed = {"declared_tool": "salesforce", "declared_id": declared} if declared else {}
    return {"tool": "pendo", "record_type": "account", "record_id": id_, **pointed, **more}


def minted(tool: str, type_: str, id_: str) -> str:
    return "c_" + sha256(f"{tool}/{type_}/{id_}".encode()).hexdigest()[:16]


@pytest.fixture
def resolve(warehouse: Warehouse) -> Resolve:
    """Takes the records as they are on a night and returns each one's customer and method."""
    migrate.prepare(warehouse, [])
    with warehouse.begin("x") as connection:
        connection.execute(verbatim(f"create table unified.records ({COLUMNS})"))
        connection.execute(
            verbatim("create table unified.contact_domains (tool text, record_type text, record_id text, host text)")
        )
        connection.execute(verbatim("create table unified.texts (tool text, record_type text, record_id text, text text)"))
        keys = "tool text, issue_id text, issue_key text, seen_at timestamptz"
        connection.execute(verbatim(f"create table unified.seen_keys ({keys})"))
        connection.execute(verbatim("insert into settings.internal_domains values ('ours.example')"))
        connection.execute(verbatim("insert into settings.shared_domains values ('shared.com')"))
    nights = iter(range(1000))
    places = ", ".join(f":{name}" for name in NAMES)

    def run(
        *records: dict[str, Any], texts: Sequence[str] = (), people: Sequence[tuple[str, str, str, str]] = ()
    ) -> dict[str, tuple[str, str]]:
        as_of = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=next(nights))
        with warehouse.begin("x") as connection:
            connection.execute(verbatim("delete from unified.records"))
            connection.execute(verbatim("delete from settings.clock"))
            connection.execute(sa.text("insert into settings.clock values (:at, '2026-03-01', 'UTC')"), {"at": as_of})
            for record in records:
                values = {**dict.fromkeys(NAMES), "deleted": False, **record}
                connection.execute(sa.text(f"insert into unified.records values ({places}, :deleted)"), values)
            connection.execute(verbatim("delete from unified.contact_domains"))
            for place in people:
                connection.execute(
                    sa.text("insert into unified.contact_domains values (:a, :b, :c, :d)"),
                    dict(zip("abcd", place, strict=True)),
                )
            for number, text in enumerate(texts):
                connection.execute(
                    sa.text("insert into unified.texts values ('zendesk', 'ticket', :id, :text)"),
                    {"id": str(number), "text": text},
                )
            identity.resolve(connection)
        rows = rows_of(
            warehouse, "select record_id, customer_id, method from unified.customer_links where valid_to is null order by 1"
        )
        return {id_: (customer, method) for id_, customer, method in rows}

    return run


def test_an_id_is_minted_from_its_anchor(resolve: Resolve) -> None:
    found = resolve(account(ACME), organization("7"))

    assert found == {
        ACME: (minted("salesforce", "account", ACME), "alone"),
        "7": (minted("zendesk", "organization", "7"), "alone"),
    }


def test_records_of_one_type_in_two_tools_are_told_apart(resolve: Resolve) -> None:
    """A declared id is one of Salesforce's, a domain may be any earlier tool's."""
    pendo = usage_account("trial", host="acme.com")
    found = resolve(pendo, usage_account("acme", ACME), organization("7", "acme.com", "trial"), account(ACME))

    assert found == {
        ACME: (minted("salesforce", "account", ACME), "alone"),
        "7": (minted("zendesk", "organization", "7"), "alone"),
        "acme": (minted("salesforce", "account", ACME), "declared_id"),
        "trial": (minted("zendesk", "organization", "7"), "domain"),
    }


@pytest.mark.parametrize("declared", [ACME, ACME_15])
def test_a_declared_id_joins_in_either_form(resolve: Resolve, declared: str) -> None:
    found = resolve(account(ACME, "acme.com"), organization("7", "elsewhere.com", declared))

    assert found["7"] == (found[ACME][0], "declared_id")


def test_a_declared_id_that_points_nowhere_leaves_the_word_to_the_domain(resolve: Resolve) -> None:
    gone = account(BETA, deleted=True)
    found = resolve(account(ACME, "www.acme.co.uk"), gone, organization("7", "help.acme.co.uk", BETA))

    assert found["7"] == (found[ACME][0], "domain")
    assert BETA not in found


def test_two_accounts_at_one_domain_are_ambiguous(resolve: Resolve) -> None:
    found = resolve(account(ACME, "acme.com"), account(BETA, "acme.com"), organization("7", "acme.com"))

    assert len({customer for customer, _ in found.values()}) == 3
    assert found["7"][1] == "alone"


@pytest.mark.parametrize(
    "host", ["gmail.com", "shared.com", "x.ours.example", "ours.example", "192.168.0.1", "localhost", "co.uk"]
)
def test_a_domain_that_is_no_companys_own_joins_nobody(resolve: Resolve, host: str) -> None:
    found = resolve(account(ACME, host), organization("7", host))

    assert found["7"][1] == "alone"


def test_a_customer_keeps_its_id_when_an_account_joins_it(resolve: Resolve) -> None:
    before = resolve(organization("7", "acme.com"))["7"][0]

    found = resolve(account(ACME, "acme.com"), organization("7", "acme.com"))

    assert {customer for customer, _ in found.values()} == {before}


def test_of_two_customers_that_become_one_the_older_id_stays_and_the_other_is_kept(
    resolve: Resolve, warehouse: Warehouse
) -> None:
    first = resolve(organization("7", "acme.com"))["7"][0]
    resolve(account(ACME), organization("7", "acme.com"))

    found = resolve(account(ACME, "acme.com"), organization("7", "acme.com"))

    assert {customer for customer, _ in found.values()} == {first}
    second = minted("salesforce", "account", ACME)
    ledger = rows_of(warehouse, "select customer_id, merged_into from sync.customer_ids where merged_into is not null")
    assert ledger == [(second, first)]

    parted = resolve(account(ACME, "other.com"), organization("7", "acme.com"))
    assert parted == {ACME: (second, "alone"), "7": (first, "alone")}
    assert rows_of(warehouse, "select count(*) from sync.customer_ids where merged_into is not null") == [(0,)]


def test_a_company_whose_account_is_deleted_goes_on_under_its_id(resolve: Resolve) -> None:
    before = resolve(account(ACME), organization("7", None, ACME))["7"][0]

    found = resolve(account(ACME, deleted=True), organization("7", None, ACME))

    assert found == {"7": (before, "alone")}
    again = resolve(account(ACME), organization("7", None, ACME))
    assert {customer for customer, _ in again.values()} == {before}


def test_an_id_that_left_with_its_account_is_not_given_to_two(resolve: Resolve) -> None:
    resolve(account(ACME), organization("7", None, ACME), organization("8", None, ACME))

    found = resolve(organization("7", None, ACME), organization("8", None, ACME))

    assert found["7"][0] != found["8"][0]
    assert minted("salesforce", "account", ACME) in {found["7"][0], found["8"][0]}


def test_of_two_who_could_go_on_under_an_id_the_better_anchor_does(resolve: Resolve) -> None:
    before = resolve(account(ACME), organization("7", None, ACME), usage_account("acme", ACME))

    found = resolve(organization("7", None, ACME), usage_account("acme", ACME))

    assert found["7"][0] == before[ACME][0]
    assert found["acme"][0] == minted("pendo", "account", "acme")


def test_a_link_that_changes_is_closed_and_the_next_one_opened(resolve: Resolve, warehouse: Warehouse) -> None:
    resolve(account(ACME), organization("7"))
    resolve(account(ACME), organization("7"))
    resolve(account(ACME), organization("7", None, ACME))

    query = "select method, valid_from, valid_to from unified.customer_links where record_id = '7' order by valid_from"
    day = [datetime(2026, 3, number, tzinfo=UTC) for number in (1, 2, 3)]
    assert rows_of(warehouse, query) == [("alone", day[0], day[2]), ("declared_id", day[2], None)]


AT_ACME = [("zendesk", "organization", "7", "acme.com")]
ALIKE = (account(ACME, "acme.com", name="Acme Robotics Ltd"), organization("7", "other.com", name="ACME ROBOTICS"))


def test_the_weaker_ways_are_tried_when_the_stronger_lead_nowhere(resolve: Resolve) -> None:
    named = account(ACME, "www.acme.com", name="Acme Robotics Ltd")
    found = resolve(named, organization("7"), people=AT_ACME * 2)
    assert found["7"] == (found[ACME][0], "contact_domain")
    found = resolve(named, organization("7", name="ACME ROBOTICS"), people=AT_ACME)
    assert found["7"] == (found[ACME][0], "name")
    found = resolve(named, organization("7", name="acme.com"))
    assert found["7"] == (found[ACME][0], "domain")


def test_what_fits_several_stays_alone_and_says_so(resolve: Resolve, warehouse: Warehouse) -> None:
    resolve(account(ACME, "acme.com", name="Acme"), account(BETA, "acme.com", name="Beta Foods"), organization("7", "acme.com"))
    evidence = rows_of(warehouse, "select evidence from unified.customer_links where record_id = '7'")
    assert evidence == [("its domain fits several customers",)]


def candidates(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return rows_of(warehouse, "select left_id, right_id, waiting_since from unified.match_candidates")


def test_a_pair_waits_for_a_person_whose_word_then_counts_for_ever(resolve: Resolve, warehouse: Warehouse) -> None:
    def say(decision: str) -> None:
        with warehouse.begin("say") as connection:
            identity.decide(connection, f"salesforce/account/{ACME}", "zendesk/organization/7", decision, "ann")

    for _ in range(2):
        found = resolve(*ALIKE)
        assert found["7"][1] == "alone"
        assert candidates(warehouse) == [("7", ACME, datetime(2026, 3, 1, tzinfo=UTC))]

    say("always")
    found = resolve(*ALIKE)
    assert found["7"] == (found[ACME][0], "override")
    assert candidates(warehouse) == []
    link = "select score, decided_by, evidence from unified.customer_links where record_id = '7' and valid_to is null"
    assert rows_of(warehouse, link) == [(1.0, "person", "somebody decided so")]

    say("never")
    found = resolve(*ALIKE[:1], ALIKE[1] | {"declared_tool": "salesforce", "declared_id": ACME})
    assert found["7"][1] == "alone"
    assert candidates(warehouse) == []

    with warehouse.begin("the settings' word") as connection:
        connection.execute(
            verbatim(
                "insert into settings.match_overrides"
                f" values ('zendesk', 'organization', '7', 'salesforce', 'account', '{ACME}', 'always')"
            )
        )
    found = resolve(*ALIKE)
    assert found["7"] == (found[ACME][0], "override")


def test_nobody_can_decide_about_a_record_that_is_not_there(resolve: Resolve, warehouse: Warehouse) -> None:
    resolve(*ALIKE)
    for wrong in ("zendesk/organization/8", "7", ""):
        with pytest.raises(WarehouseError, match=r"There is no record .*: name it as tool/type/id"), warehouse.begin("x") as on:
            identity.decide(on, wrong, f"salesforce/account/{ACME}", "always", "ann")


def test_what_became_one_and_was_parted_again_is_kept(resolve: Resolve, warehouse: Warehouse) -> None:
    resolve(account(ACME, "acme.com"), organization("7"))
    resolve(account(ACME, "acme.com"), organization("7", "acme.com"))
    resolve(account(ACME, "acme.com"), organization("7", "beta.com"))

    kept = rows_of(warehouse, "select customer_id, merged_into, valid_from, valid_to from unified.customer_merges")
    merged, stays = minted("zendesk", "organization", "7"), minted("salesforce", "account", ACME)
    assert kept == [(merged, stays, datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))]


def test_keys_of_issues_are_found_in_texts(resolve: Resolve, warehouse: Warehouse) -> None:
    resolve(
        texts=[
            "see ABC-12, (X2_Y-7). https://x.example/browse/ABC-12?a",
            "abc-1 A-1 ABC-012 XABC-9z -ABC-5",
            "AB-1\nCD-22",
        ]
    )

    found = rows_of(warehouse, "select record_id, issue_key from sync.text_keys order by 1, 2")
    assert found == [("0", "ABC-12"), ("0", "X2_Y-7"), ("2", "AB-1"), ("2", "CD-22")]


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.example.co.uk", "example.co.uk"),
        ("a.b.example.com", "example.com"),
        ("example.com.", "example.com"),
        ("EXAMPLE.de", "example.de"),
        ("münchen-handel.de", "münchen-handel.de"),
        ("co.uk", None),
        ("com", None),
        ("10.0.0.1", None),
        ("localhost", None),
    ],
)
def test_the_registrable_part_of_a_host(host: str, domain: str | None) -> None:
    assert hosts.registrable(host) == domain


def test_other_words_of_names_resolve_everything_again(
    resolve: Resolve, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(account(ACME, "acme.com"))
    with warehouse.begin("a test takes away what only resolving writes") as connection:
        connection.execute(verbatim("delete from sync.domains"))
    (tmp_path / "names.yaml").write_text(name_words.WORDS.read_text(encoding="utf-8") + "# another word\n", encoding="utf-8")
    monkeypatch.setattr(name_words, "WORDS", tmp_path / "names.yaml")

    resolve(account(ACME, "acme.com"))

    assert rows_of(warehouse, "select host from sync.domains") == [("acme.com",)]


def test_what_has_not_changed_is_not_resolved_again_but_another_setting_is(resolve: Resolve, warehouse: Warehouse) -> None:
    records = (account(ACME, "acme.com"), organization("7", "acme.com"))
    before = resolve(*records)
    with warehouse.begin("a test takes away what only resolving writes") as connection:
        connection.execute(verbatim("delete from sync.domains"))

    assert resolve(*records) == before
    assert rows_of(warehouse, "select count(*) from sync.domains") == [(0,)]

    with warehouse.begin("a setting") as connection:
        connection.execute(verbatim("insert into settings.shared_domains values ('acme.com')"))
    assert resolve(*records)["7"][1] == "alone"
    assert rows_of(warehouse, "select kind from sync.domains") == [("shared",)]
