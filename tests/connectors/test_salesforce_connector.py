"""What is Salesforce's own: ids, deleted and merged rows, hidden fields, late rows, wide and custom objects, the logins."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from landing import Landing, landed, read

from connectors import salesforce, salesforce_streams
from connectors.base import Choices, Connector, SourceError, Unavailable
from connectors.salesforce import custom
from connectors.sandbox import salesforce as stand_in
from connectors.sandbox.serve import Running
from tests.truth.raw_salesforce import CASES

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
        choices = Choices({"opportunities": {"blocking_feature": field}})
        landing = landed(connect("salesforce", choices=choices), "opportunities")
        assert landing.all[(deal,)]["blocking_feature"] == "APP-1"


def blocked_by(field: str) -> Choices:
    return Choices({"opportunities": {"blocking_feature": field}})


def blockers(landing: Landing) -> dict[str, Any]:
    return {record_id: row["blocking_feature"] for (record_id,), row in landing.all.items()}


def test_a_field_that_is_renamed_is_still_read_and_the_log_says_so(
    running: Running, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    field, deals = "Opportunity.Blocking_Feature__c", list(running.world.opportunities)
    choices = blocked_by("blocking feature")
    landing = landed(connect("salesforce", choices=choices), "opportunities")
    running.salesforce.labels[field] = "What blocks it"
    running.world.change("opportunity", deals[0], Blocking_Feature__c="APP-7")
    running.world.tick(120)
    landing.read_on(connect("salesforce", choices=choices))
    assert blockers(landing) == {deal: running.world.opportunities[deal]["Blocking_Feature__c"] for deal in deals}
    assert "Blocking_Feature__c is read on" in caplog.text

    running.salesforce.labels["Opportunity.NextStep"] = "Blocking Feature"  # now another field is what the settings name
    running.world.tick(120)
    landing.read_on(connect("salesforce", choices=choices))
    assert blockers(landing) == {deal: running.world.opportunities[deal]["NextStep"] for deal in deals}


def test_a_label_of_several_fields_is_an_error_that_names_them(running: Running, connect: Connect) -> None:
    running.salesforce.labels = {"Opportunity.NextStep": "Blocking Feature"}
    connector = connect("salesforce", choices=blocked_by("Blocking Feature"))
    said = 'salesforce.fields.opportunities.blocking_feature: 2 fields are named "Blocking Feature"'
    with pytest.raises(SourceError, match=f"{said}.*: NextStep, Blocking_Feature__c;"):
        landed(connector, "opportunities")
    (finding,) = (each for each in connector.check() if each.subject == "opportunities")
    assert not finding.ok
    assert said in finding.message


def test_a_label_does_not_stand_in_for_a_field_that_is_hidden(running: Running, connect: Connect) -> None:
    running.salesforce.hidden = {"Account.Website"}
    running.salesforce.labels = {"Account.Success_Plan__c": "Website"}
    connector = connect("salesforce")
    assert {row["website"] for row in landed(connector, "accounts").all.values()} == {None}
    assert {finding.subject: finding.message for finding in connector.check()}["accounts"].startswith(
        "can be read, except Website: hidden"
    )


def test_every_readable_field_is_kept_but_no_compound_and_no_wrapping(running: Running, connect: Connect) -> None:
    for record_id, row in landed(connect("salesforce"), "accounts").all.items():
        extra = json.loads(row["extra"])
        assert extra["Success_Plan__c"] == running.world.accounts[record_id[0]]["Success_Plan__c"]
        assert "BillingStreet" in extra
        assert not {"attributes", "BillingAddress", "Name"} & set(extra)


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
    assert salesforce_streams.long_id(short) == long
    assert salesforce_streams.long_id(long) == long
    assert salesforce_streams.long_id(None) is None


@pytest.mark.parametrize("name", ["accounts", "opportunity_history", "tasks"])
def test_ids_that_come_short_are_held_long(running: Running, connect: Connect, name: str) -> None:
    long = ids_of(rows_of(connect, name))
    running.salesforce.short_ids = True
    assert ids_of(rows_of(connect, name)) == long


def ids_of(rows: dict[tuple[Any, ...], dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {key: {column: value for column, value in row.items() if column.endswith("id")} for key, row in rows.items()}


def rows_of(connect: Connect, name: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    return landed(connect("salesforce"), name).all


def test_pages_that_are_forgotten_in_the_middle_are_asked_for_again_from_there(running: Running, connect: Connect) -> None:
    whole = rows_of(connect, "contacts")
    running.salesforce.log.clear()
    running.salesforce.faults.run(running.salesforce.expire_locators, "queryAll/0r8", after=1)
    assert rows_of(connect, "contacts") == whole
    queries = [
        entry.target for entry in running.salesforce.log if "queryAll?q=SELECT+" in entry.target and "COUNT" not in entry.target
    ]
    assert len(queries) == 2
    assert "Id+%3E+" in queries[1]


def test_a_second_read_asks_for_a_description_a_page_and_a_count(running: Running, connect: Connect) -> None:
    running.salesforce.page_size = None
    for name in [
        name for name in CASES if name not in ("fields", "currency_types", "dated_conversion_rates", "product_request__c")
    ]:
        landing = landed(connect("salesforce"), name)
        running.world.tick(120)
        running.salesforce.log.clear()
        landing.read_on(connect("salesforce"))
        asked = [entry.target for entry in running.salesforce.log if "oauth2" not in entry.target]
        listed = name in ("opportunity_stages", "record_types")
        assert len(asked) == (2 if listed else 3), asked
        assert sum("COUNT" in target for target in asked) == (not listed)


def test_a_custom_object_is_read_by_its_name(running: Running, connect: Connect) -> None:
    (wish,) = custom("Product_Request__c").streams
    assert (wish.name, wish.source, wish.key) == ("product_request__c", "Product_Request__c", ("id",))
    landing = Landing(custom("Product_Request__c")).read_on(connect("salesforce"))
    found = {record["Id"]: record for record in running.world.store("product_request").values()}
    assert {record_id for (record_id,) in landing.all} == set(found)
    for (record_id,), row in landing.all.items():
        assert json.loads(row["extra"])["Votes__c"] == found[record_id]["Votes__c"]


@pytest.mark.parametrize("name", ["Product_Request", "Product Request__c", "A__c; DROP", "Account WHERE Name__c", "", "__c"])
def test_what_is_no_name_of_a_custom_object_is_refused(name: str) -> None:
    with pytest.raises(SourceError, match="Product_Request__c"):
        custom(name)


def test_a_custom_object_that_is_not_there_is_an_error_that_names_it(connect: Connect) -> None:
    with pytest.raises(SourceError, match="shows no object Nothing__c") as caught:
        Landing(custom("Nothing__c")).read_on(connect("salesforce"))
    assert not caught.value.transient
    assert not isinstance(caught.value, Unavailable)


@pytest.mark.parametrize("name", ["currency_types", "dated_conversion_rates"])
def test_currencies_are_there_only_where_the_org_has_several(running: Running, connect: Connect, name: str) -> None:
    with pytest.raises(Unavailable):
        landed(connect("salesforce"), name)
    running.salesforce.multi_currency = True
    assert {row["iso_code"] for row in rows_of(connect, name).values()} == {"USD", "EUR", "GBP"}
    codes = {row["currency_iso_code"] for row in rows_of(connect, "opportunities").values()}
    assert codes <= {"USD", "EUR", "GBP"}
    assert None not in codes


def test_an_object_that_is_hidden_is_an_error_and_not_merely_unavailable(running: Running, connect: Connect) -> None:
    running.salesforce.hidden = {"Case"}
    with pytest.raises(SourceError, match="shows no object Case") as caught:
        landed(connect("salesforce"), "cases")
    assert not isinstance(caught.value, Unavailable)
    told = {finding.subject: finding for finding in connect("salesforce").check()}
    assert not told["cases"].ok
    assert told["accounts"].ok


def test_check_tells_what_is_left_and_what_nobody_shares(running: Running, connect: Connect) -> None:
    told = {finding.subject: finding for finding in connect("salesforce", objects=["Product_Request__c"]).check()}
    assert set(told) == {"login", *CASES}
    assert all(finding.ok for finding in told.values())
    left = running.salesforce.daily_requests - 18
    assert f"{left - 1} of 100000 requests of the day left" in told["login"].message
    assert "10000 of 10000 Bulk jobs" in told["login"].message
    assert "this org has no currencytype" in told["currency_types"].message.lower()
    assert "View All Data" not in told["login"].message
    running.salesforce.sees_all = False
    assert "lacks the permission View All Data" in next(connect("salesforce").check()).message


def test_an_estimate_counts_what_a_first_read_will_ask(running: Running, connect: Connect) -> None:
    running.salesforce.page_size = None
    connector = connect("salesforce")
    estimates = {found.read: found for found in connector.estimate(connector.reads)}
    assert set(estimates) == {read.name for read in connector.reads}
    assert estimates["contacts"].records == len(running.world.contacts)
    for name in ("contacts", "opportunity_history", "opportunity_stages", "tasks", "users"):
        running.salesforce.log.clear()
        rows_of(connect, name)
        asked = [entry for entry in running.salesforce.log if "oauth2" not in entry.target]
        assert estimates[name].requests == len(asked)
        assert estimates[name].share == len(asked) / 100_000
    assert "no CurrencyType" in estimates["currency_types"].note


def test_nothing_is_asked_any_more_when_the_days_share_is_used(running: Running, connect: Connect) -> None:
    running.salesforce.daily_requests = 30
    connector = connect("salesforce", daily_share=0.8)  # 24 of 30, of which others have used 18
    with pytest.raises(SourceError, match=r"salesforce\.daily_share"):
        landed(connector, "contacts")
    assert running.salesforce.used == 24
    assert landed(connect("salesforce", daily_share=1.0), "record_types").alive


def test_what_nobody_wants_is_not_asked_for(running: Running, connect: Connect) -> None:
    choices = Choices(without={"contacts": frozenset({"email", "Newsletter__c", "id", "system_modstamp"})})
    running.salesforce.log.clear()
    rows = landed(connect("salesforce", choices=choices), "contacts").all
    (query, *_) = [entry.target for entry in running.salesforce.log if "SELECT" in entry.target]
    assert "Email" not in query
    assert "Newsletter" not in query
    assert {row["email"] for row in rows.values()} == {None}
    assert all("Newsletter__c" not in json.loads(row["extra"] or "{}") for row in rows.values())
    assert all(row["system_modstamp"] for row in rows.values())  # reading itself needs it


@pytest.mark.parametrize("name", ["contacts", "opportunity_history"])
def test_a_first_read_can_start_at_a_date_and_is_complete_from_there(running: Running, connect: Connect, name: str) -> None:
    kind, field = {"contacts": ("contact", "SystemModstamp"), "opportunity_history": ("opportunity_history", "CreatedDate")}[
        name
    ]
    stamps = sorted(record[field] for record in running.world.alive(kind))
    since = datetime.fromisoformat(stamps[len(stamps) // 2])
    connector = connect("salesforce", choices=Choices(since=since))
    batches = list(connector.batches(read(connector, name), None))
    found = {record_id for batch in batches for table in batch.rows.values() for record_id in table["id"].to_pylist()}
    recent = {record["Id"] for record in running.world.alive(kind) if datetime.fromisoformat(record[field]) >= since}
    assert found == recent
    assert batches[-1].counted[name].rows == len(recent)


def test_a_field_that_becomes_visible_is_filled_though_no_record_has_changed(running: Running, connect: Connect) -> None:
    running.salesforce.hidden = {"Account.Website", "Account.Success_Plan__c"}
    landing = landed(connect("salesforce"), "accounts")
    running.salesforce.hidden = set()
    running.world.tick(86_400)
    landing.read_on(connect("salesforce"))
    for (record_id,), row in landing.all.items():
        assert row["website"] == running.world.accounts[record_id]["Website"]
        assert "Success_Plan__c" in json.loads(row["extra"])


def test_the_fields_of_all_objects_cost_no_request_where_they_have_been_described(running: Running, connect: Connect) -> None:
    connector = connect("salesforce", objects=["Product_Request__c"])
    for name in CASES.keys() - {"fields", "currency_types", "dated_conversion_rates", "product_request__c"}:
        landed(connector, name)
    before = connector.requests
    rows = landed(connector, "fields").all
    assert connector.requests - before == 3  # the two objects that the org does not have, and the custom one
    assert rows[("Product_Request__c", "Votes__c", "Votes")]["type"] == "double"
    assert rows[("Account", "Open_Pipeline__c", "Open Pipeline")]["calculated"] is True


def test_history_is_deleted_with_its_deal(running: Running, connect: Connect) -> None:
    names = ("opportunity_history", "opportunity_field_history", "opportunity_line_items", "opportunity_contact_roles")
    landings = {name: landed(connect("salesforce"), name) for name in names}
    deal = next(running.world.alive("opportunity"))["Id"]
    running.world.delete("opportunity", deal)
    running.world.tick(120)
    for name, landing in landings.items():
        landing.read_on(connect("salesforce"))
        of_the_deal = [row for row in landing.all.values() if row["opportunity_id"] == deal]
        assert of_the_deal, name
        assert all(row["_deleted_at"] for row in of_the_deal), name


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


@pytest.mark.parametrize("name", ["contacts", "opportunity_history"])
def test_a_read_can_be_sent_back_to_a_moment(running: Running, connect: Connect, name: str) -> None:
    connector = connect("salesforce")
    of = read(connector, name)
    moment = running.world.now - timedelta(days=200)
    cursor = connector.at(of, moment)
    assert cursor is not None
    batches = list(connector.batches(of, json.loads(json.dumps(cursor))))
    found = {record_id for batch in batches for table in batch.rows.values() for record_id in table["id"].to_pylist()}
    kind, field = {"contacts": ("contact", "SystemModstamp"), "opportunity_history": ("opportunity_history", "CreatedDate")}[
        name
    ]
    recent = moment - timedelta(minutes=15)  # what became visible late is looked for again
    assert found == {r["Id"] for r in running.world.alive(kind) if datetime.fromisoformat(r[field]) >= recent}
    assert found
    assert connector.at(read(connector, "record_types"), moment) is None


def test_records_that_were_put_aside_are_opened_as_a_read_would(running: Running, connect: Connect) -> None:
    connector = connect("salesforce")
    (deals,) = read(connector, "opportunities").streams
    record = {"attributes": {}, "Id": "006Qm000000100HIAQ", "Loss_Reason__c": "Price", "Amount": 5.5, "New__c": 1}
    batch = connector.opened(deals, json.dumps([record]).encode())
    (row,) = batch.rows["opportunities"].to_pylist()
    assert (row["loss_reason"], row["extra"], batch.rejects) == ("Price", '{"Loss_Reason__c":"Price","New__c":1}', ())
    (listed,) = read(connector, "fields").streams
    field = {"object": "Account", "name": "Name", "label": "Account Name", "type": "string"}
    assert connector.opened(listed, json.dumps([field]).encode()).rows["fields"].num_rows == 1


def test_an_estimate_of_a_large_object_is_of_a_job(running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = connect("salesforce")
    monkeypatch.setattr(salesforce, "LARGE", 5)
    monkeypatch.setattr(salesforce, "PAGE", 3)
    monkeypatch.setattr(salesforce.salesforce_bulk, "PAGE", 3)
    running.salesforce.bulk.polls = 6
    (found,) = connector.estimate((read(connector, "contacts"),))
    running.salesforce.log.clear()
    rows_of(connect, "contacts")
    assert found.requests == len([entry for entry in running.salesforce.log if "oauth2" not in entry.target])
    assert "Bulk" in found.note
