"""What is Salesforce's own: ids, deleted and merged rows, hidden fields, late rows, wide objects, the two logins."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from landing import landed

from connectors import salesforce
from connectors.base import Connector, SourceError
from connectors.sandbox import salesforce as stand_in
from connectors.sandbox.serve import Running

Connect = Callable[..., Connector]


def test_a_deleted_account_is_marked_with_what_went_along(running: Running, connect: Connect) -> None:
    names = ("accounts", "contacts", "opportunities")
    landings = {name: landed(connect("salesforce"), name) for name in names}
    record_id = next(iter(running.world.accounts))
    running.world.delete("account", record_id)
    running.world.tick(120)
    for name, kind in zip(names, ("account", "contact", "opportunity"), strict=True):
        landing = landings[name].read_on(connect("salesforce"))
        assert landing.alive == {record["Id"] for record in running.world.alive(kind)}
    assert landings["accounts"].all[(record_id,)]["is_deleted"] is True


def test_a_merged_account_names_the_one_that_it_went_into(running: Running, connect: Connect) -> None:
    landing = landed(connect("salesforce"), "accounts")
    loser, winner = list(running.world.accounts)[:2]
    running.world.merge("account", loser, winner)
    running.world.tick(120)
    row = landing.read_on(connect("salesforce")).all[(loser,)]
    assert row["master_record_id"] == winner
    assert row["_deleted_at"] is not None


def test_an_account_that_is_restored_is_alive_again(running: Running, connect: Connect) -> None:
    landing = landed(connect("salesforce"), "accounts")
    record_id = next(iter(running.world.accounts))
    running.world.delete("account", record_id)
    running.world.tick(120)
    assert record_id not in landing.read_on(connect("salesforce")).alive
    running.world.accounts[record_id].pop("_deleted_at")
    running.world.change("account", record_id, IsDeleted=False)
    running.world.tick(120)
    assert record_id in landing.read_on(connect("salesforce")).alive


def test_a_declared_field_that_is_hidden_is_null_and_check_names_it(running: Running, connect: Connect) -> None:
    running.salesforce.hidden = {"Account.Website", "Opportunity.Loss_Reason__c"}
    connector = connect("salesforce")
    assert {row["website"] for row in landed(connector, "accounts").all.values()} == {None}
    assert {row["loss_reason"] for row in landed(connector, "opportunities").all.values()} == {None}
    told = {finding.subject: finding.message for finding in connector.check()}
    assert "Website" in told["accounts"]
    assert "Loss_Reason__c" in told["opportunities"]


def test_fields_can_be_mapped_by_name_in_any_case_or_by_label(running: Running, connect: Connect) -> None:
    deal = next(iter(running.world.opportunities))
    running.world.change("opportunity", deal, Blocking_Feature__c="APP-1")
    for field in ("Blocking_Feature__c", "blocking_feature__C", "Blocking Feature"):
        landing = landed(connect("salesforce", fields={"opportunities": {"blocking_feature": field}}), "opportunities")
        assert landing.all[(deal,)]["blocking_feature"] == "APP-1"


def test_every_readable_field_is_kept_but_no_compound_and_no_wrapping(running: Running, connect: Connect) -> None:
    for record_id, row in landed(connect("salesforce"), "accounts").all.items():
        extra = json.loads(row["extra"])
        assert extra["Success_Plan__c"] == running.world.accounts[record_id[0]]["Success_Plan__c"]
        assert "BillingCity" in extra
        assert not {"attributes", "BillingAddress", "Name"} & set(extra)


def test_too_many_fields_for_one_address_are_asked_for_in_parts(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = landed(connect("salesforce"), "opportunities").all
    monkeypatch.setattr(salesforce, "_LONGEST_SELECT", 80)
    running.salesforce.log.clear()
    assert landed(connect("salesforce"), "opportunities").all == whole
    assert max(len(entry.target) for entry in running.salesforce.log) < 500


def test_what_changes_between_two_parts_of_a_wide_page_comes_whole_the_next_time(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salesforce, "_LONGEST_SELECT", 80)
    landing = landed(connect("salesforce"), "accounts")
    record_id = next(iter(running.world.accounts))
    running.world.change("account", record_id, Name="First", Website="first.example")
    running.world.tick(120)
    late = running.world.now
    again = lambda: running.world.change("account", record_id, at=late, Name="Second", Website="second.example")  # noqa: E731
    running.salesforce.faults.run(again, "queryAll", after=1)
    landing.read_on(connect("salesforce"))
    assert (landing.all[(record_id,)]["name"], landing.all[(record_id,)]["website"]) != ("First", "second.example")
    running.world.tick(120)
    landing.read_on(connect("salesforce"))
    assert (landing.all[(record_id,)]["name"], landing.all[(record_id,)]["website"]) == ("Second", "second.example")


def test_a_row_that_becomes_visible_late_is_not_lost(running: Running, connect: Connect) -> None:
    landing = landed(connect("salesforce"), "accounts")
    running.salesforce.visibility_lag = timedelta(minutes=8)
    account = running.world.create("account", Name="Late Ltd", OwnerId=next(iter(running.world.salesforce_users)))
    running.world.tick(300)
    assert account["Id"] not in landing.read_on(connect("salesforce")).alive
    running.world.tick(300)
    assert account["Id"] in landing.read_on(connect("salesforce")).alive


def test_rows_of_equal_stamp_are_not_lost_at_the_border(running: Running, connect: Connect) -> None:
    landing = landed(connect("salesforce"), "contacts")
    stamp = datetime.fromisoformat(landing.cursor["until"])  # the upper bound of the first read, to the second
    changed = list(running.world.contacts)[:4]
    for record_id in changed:
        running.world.change("contact", record_id, at=stamp, Title="Border guard")
    running.world.tick(120)
    landing.read_on(connect("salesforce"))
    assert [landing.all[(record_id,)]["title"] for record_id in changed] == ["Border guard"] * 4


@pytest.mark.parametrize(
    ("short", "long"), [("001D000000IqhSL", "001D000000IqhSLIAZ"), ("001000000000001", "001000000000001AAA")]
)
def test_an_id_of_fifteen_characters_gets_the_three_that_tell_upper_from_lower_case(short: str, long: str) -> None:
    assert salesforce.long_id(short) == long
    assert salesforce.long_id(long) == long
    assert salesforce.long_id(None) is None


def test_ids_that_come_short_are_held_long(running: Running, connect: Connect) -> None:
    accounts = {record_id: row["owner_id"] for (record_id,), row in landed(connect("salesforce"), "accounts").all.items()}
    records = [
        {"Id": record_id[:15], "OwnerId": owner[:15], "SystemModstamp": "2026-11-01T10:00:00.000+0000"}
        for record_id, owner in accounts.items()
    ]
    running.salesforce.faults.answer(200, "queryAll", body={"totalSize": 1, "done": True, "records": records})
    again = landed(connect("salesforce"), "accounts").all
    assert {record_id: row["owner_id"] for (record_id,), row in again.items()} == accounts


def test_a_private_key_logs_in_by_jwt(running: Running, connect: Connect) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    running.salesforce.public_key = public.decode()
    connector = connect("salesforce", client_secret=None, username=stand_in.USERNAME, private_key=pem)
    assert landed(connector, "users").alive
    with pytest.raises(SourceError, match="SALESFORCE_PRIVATE_KEY_FILE") as caught:
        landed(
            connect("salesforce", client_secret=None, username=stand_in.USERNAME, private_key="-----BEGIN nonsense"),
            "users",
        )
    assert "nonsense" not in str(caught.value)
