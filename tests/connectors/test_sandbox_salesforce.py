"""The stand-in for Salesforce, asked over HTTP: grants, queries, paging, describe, deleted ids, limits, errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
import requests
from asking import DATA, Asker, salesforce_of
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.sandbox import salesforce, salesforce_org
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import World


@pytest.fixture
def site() -> Iterator[Running]:
    with serve(World(size="tiny")) as running:
        yield running


@pytest.fixture
def ask(site: Running) -> Asker:
    return salesforce_of(site)


def grant(site: Running, **form: str) -> requests.Response:
    return requests.post(f"{site.salesforce.base_url}/services/oauth2/token", data=form, timeout=10)


def records(ask: Asker, query: str, verb: str = "query") -> list[dict[str, Any]]:
    reply = ask.get(f"{DATA}/{verb}", q=query).json()
    found = reply["records"]
    while not reply["done"]:
        reply = ask.get(reply["nextRecordsUrl"]).json()
        found += reply["records"]
    assert len(found) == reply["totalSize"]
    return list(found)


def test_a_grant_names_the_instance(site: Running) -> None:
    form = {"client_id": salesforce.CLIENT_ID, "client_secret": salesforce.CLIENT_SECRET}
    reply = grant(site, grant_type="client_credentials", **form)
    assert reply.json()["instance_url"] == site.salesforce.base_url
    assert reply.headers["Date"] == "Mon, 02 Nov 2026 04:00:00 GMT"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "x"}, "invalid_client_id"),
        ({"grant_type": "client_credentials", "client_id": salesforce.CLIENT_ID, "client_secret": "x"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_wrong_grant_is_refused_in_the_vendors_words(site: Running, form: dict[str, str], error: str) -> None:
    reply = grant(site, **form)
    assert (reply.status_code, reply.json()["error"]) == (400, error)


def test_the_bearer_of_a_signed_assertion_gets_a_token(site: Running) -> None:
    key, stranger = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    site.salesforce.public_key = public.decode()
    expires = site.world.now + timedelta(minutes=3)
    claims = {"iss": salesforce.CLIENT_ID, "sub": salesforce.USERNAME, "aud": "https://login.salesforce.com", "exp": expires}
    bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

    def answer(key: rsa.RSAPrivateKey, **changed: Any) -> Any:
        reply = grant(site, grant_type=bearer, assertion=jwt.encode({**claims, **changed}, key, "RS256"))
        return reply.json().get("error_description") or reply.status_code

    assert answer(key) == 200
    assert answer(stranger) == "invalid assertion"
    assert answer(key, sub="somebody@else.com") == "user hasn't approved this consumer"
    assert answer(key, aud="https://elsewhere.com") == "audience is invalid"
    assert answer(key, exp=site.world.now - timedelta(minutes=1)) == "expired authorization code"


def test_without_a_session_nothing_is_answered(site: Running, ask: Asker) -> None:
    site.salesforce.expire_tokens()
    reply = ask.get(f"{DATA}/limits")
    assert (reply.status_code, reply.json()) == (
        401,
        [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}],
    )


def test_a_query_gives_what_it_selects_in_the_vendors_formats(site: Running, ask: Asker) -> None:
    account = next(iter(site.world.accounts.values()))
    (row,) = records(ask, f"SELECT Id, Name, SystemModstamp, BillingAddress FROM Account WHERE Id = '{account['Id'][:15]}'")
    assert row["attributes"] == {"type": "Account", "url": f"{DATA}/sobjects/Account/{account['Id']}"}
    assert (row["Id"], row["Name"], row["SystemModstamp"]) == (account["Id"], account["Name"], account["SystemModstamp"])
    assert row["SystemModstamp"].endswith(".000+0000")
    assert row["BillingAddress"]["country"] == account["BillingCountry"]


def test_comparisons_lists_order_and_limit(site: Running, ask: Asker) -> None:
    deals = site.world.opportunities.values()
    stamps = sorted(deal["SystemModstamp"] for deal in deals)
    since = stamps[3].replace("+0000", "Z")
    found = records(
        ask, f"SELECT Id, SystemModstamp FROM Opportunity WHERE SystemModstamp >= {since} ORDER BY SystemModstamp, Id"
    )
    assert [row["SystemModstamp"] for row in found] == stamps[3:]
    assert len(records(ask, "SELECT Id FROM Opportunity ORDER BY Amount DESC LIMIT 2")) == 2
    won = records(ask, "SELECT Id FROM Opportunity WHERE StageName IN ('Closed Won') AND IsDeleted = false")
    assert {row["Id"] for row in won} == {deal["Id"] for deal in deals if deal["IsWon"]}
    counted = ask.get(f"{DATA}/query", q="SELECT COUNT() FROM Opportunity").json()
    assert counted == {"totalSize": len(deals), "done": True, "records": []}


def test_pages_follow_each_other_by_their_locator(site: Running, ask: Asker) -> None:
    site.salesforce.page_size = 2
    assert [row["Id"] for row in records(ask, "SELECT Id FROM Contact")] == list(site.world.contacts)
    reply = ask.get(f"{DATA}/query/0r8AAAAAAAAAAAA-2")
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


def test_deleted_rows_come_only_with_query_all(site: Running, ask: Asker) -> None:
    gone = next(iter(site.world.contacts))
    site.world.delete("contact", gone)
    assert gone not in {row["Id"] for row in records(ask, "SELECT Id FROM Contact")}
    everything = {row["Id"]: row["IsDeleted"] for row in records(ask, "SELECT Id, IsDeleted FROM Contact", "queryAll")}
    assert everything[gone] is True


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT Id FRM Account", "MALFORMED_QUERY"),
        ("", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name LIKE 'x%'", "MALFORMED_QUERY"),
        ("SELECT Nothing__c FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Nothing__c", "INVALID_TYPE"),
        ("SELECT Id FROM Account WHERE SystemModstamp > '2026-01-01T00:00:00Z'", "INVALID_FIELD"),
        ("SELECT IsDeleted FROM User", "INVALID_FIELD"),
        ("SELECT CurrencyIsoCode FROM Opportunity", "INVALID_FIELD"),
    ],
)
def test_a_wrong_query_is_refused_in_the_vendors_words(ask: Asker, query: str, code: str) -> None:
    reply = ask.get(f"{DATA}/query", q=query)
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, code)


def test_describe_tells_calculated_compound_and_custom_fields(ask: Asker) -> None:
    fields = {field["name"]: field for field in ask.get(f"{DATA}/sobjects/Account/describe").json()["fields"]}
    assert fields["Open_Pipeline__c"]["calculated"]
    assert fields["BillingAddress"]["type"] == "address"
    assert fields["Success_Plan__c"]["custom"]
    body = {field["name"]: field["type"] for field in ask.get(f"{DATA}/sobjects/Attachment/describe").json()["fields"]}["Body"]
    assert body == "base64"
    listed = {entry["name"] for entry in ask.get(f"{DATA}/sobjects").json()["sobjects"]}
    assert listed >= {"Account", "Contact", "Opportunity", "User"}
    assert ask.get(f"{DATA}/sobjects/Nothing/describe").status_code == 404


def test_a_hidden_field_is_missing_without_a_word(site: Running, ask: Asker) -> None:
    site.salesforce.hidden.add("Opportunity.Loss_Reason__c")
    names = {field["name"] for field in ask.get(f"{DATA}/sobjects/Opportunity/describe").json()["fields"]}
    assert "Loss_Reason__c" not in names
    assert ask.get(f"{DATA}/query", q="SELECT Loss_Reason__c FROM Opportunity").status_code == 400


def test_a_roll_up_changes_without_moving_the_stamp(site: Running, ask: Asker) -> None:
    account = next(iter(site.world.accounts.values()))
    query = f"SELECT Open_Pipeline__c, SystemModstamp FROM Account WHERE Id = '{account['Id']}'"
    (before,) = records(ask, query)
    site.world.create("opportunity", AccountId=account["Id"], Name="Test", CloseDate="2026-12-01", Amount=500.0)
    (after,) = records(ask, query)
    assert after["Open_Pipeline__c"] == before["Open_Pipeline__c"] + 500
    assert after["SystemModstamp"] == before["SystemModstamp"]


def test_rows_can_become_visible_late(site: Running, ask: Asker) -> None:
    site.salesforce.visibility_lag = timedelta(minutes=5)
    contact = site.world.create("contact", LastName="Late")
    query = "SELECT Id FROM Contact WHERE LastName = 'Late'"
    assert records(ask, query) == []
    site.world.tick(301)
    assert [row["Id"] for row in records(ask, query)] == [contact["Id"]]


def test_history_of_fields_can_be_gone_after_some_time_without_a_mark(site: Running, ask: Asker) -> None:
    query = "SELECT Id, CreatedDate FROM OpportunityFieldHistory"
    rows = records(ask, query, "queryAll")
    site.salesforce.history_kept = timedelta(days=365)
    kept = [row for row in rows if row["CreatedDate"] >= "2025-11-02T04:00:00.000+0000"]
    assert [row["Id"] for row in records(ask, query, "queryAll")] == [row["Id"] for row in kept]
    assert 0 < len(kept) < len(rows)


def test_deleted_ids_are_told_for_fifteen_days(site: Running, ask: Asker) -> None:
    gone = next(iter(site.world.contacts))
    site.world.delete("contact", gone)
    site.world.tick(120)
    reply = ask.get(f"{DATA}/sobjects/Contact/deleted/", start="2026-11-01T00:00:00Z", end="2026-11-02T04:02:30Z").json()
    assert reply["deletedRecords"] == [{"id": gone, "deletedDate": "2026-11-02T04:00:00.000+0000"}]
    assert reply["latestDateCovered"] == "2026-11-02T04:02:00.000+0000"
    assert (
        ask.get(f"{DATA}/sobjects/Contact/deleted/", start="2026-09-01T00:00:00Z", end="2026-11-02T00:00:00Z").status_code
        == 400
    )


def test_usage_is_in_every_reply_and_its_end_is_an_error(site: Running, ask: Asker) -> None:
    site.salesforce.daily_requests = site.salesforce.used + 1
    assert ask.get(f"{DATA}/limits").headers["Sforce-Limit-Info"] == f"api-usage={site.salesforce.used}/{site.salesforce.used}"
    reply = ask.get(f"{DATA}/limits")
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")


def test_an_overlong_address_is_refused(ask: Asker) -> None:
    assert ask.get(f"{DATA}/query", q="SELECT Id, " + "Name, " * 3000 + "Id FROM Account").status_code == 414


def test_filters_can_be_joined_by_or_within_brackets(site: Running, ask: Asker) -> None:
    gone, *_, last = list(site.world.contacts)
    site.world.delete("contact", gone)
    query = f"SELECT Id FROM Contact WHERE (IsDeleted = true OR Id = '{last}') AND Id != '001'"
    assert {row["Id"] for row in records(ask, query, "queryAll")} == {gone, last}


def test_a_deals_changes_leave_their_trail(site: Running, ask: Asker) -> None:
    deal = site.world.create(
        "opportunity", AccountId=next(iter(site.world.accounts)), Name="Trail", Amount=10.0, CloseDate="2027-01-01"
    )
    site.world.tick(60)
    site.world.change("opportunity", deal["Id"], StageName="Closed Won", Amount=20.5)
    stages = records(ask, f"SELECT StageName, Amount, PrevAmount FROM OpportunityHistory WHERE OpportunityId = '{deal['Id']}'")
    assert [(row["StageName"], row["Amount"], row["PrevAmount"]) for row in stages] == [
        ("Prospecting", 10.0, None),
        ("Closed Won", 20.5, 10.0),
    ]
    fields = records(ask, f"SELECT Field, OldValue, NewValue FROM OpportunityFieldHistory WHERE OpportunityId = '{deal['Id']}'")
    assert {(row["Field"], row["OldValue"], row["NewValue"]) for row in fields} == {
        ("created", None, None),
        ("StageName", "Prospecting", "Closed Won"),
        ("Amount", 10.0, 20.5),
    }


def test_history_is_marked_with_its_deal_and_without_a_stamp(site: Running, ask: Asker) -> None:
    deal = next(iter(site.world.opportunities))
    query = f"SELECT Id, IsDeleted, CreatedDate FROM OpportunityFieldHistory WHERE OpportunityId = '{deal}'"
    before = records(ask, query)
    site.world.delete("opportunity", deal)
    after = records(ask, query, "queryAll")
    assert [{**row, "IsDeleted": False} for row in after] == before
    assert all(row["IsDeleted"] for row in after)
    site.world.undelete("opportunity", deal)
    assert records(ask, query) == before


def test_what_is_purged_is_nowhere_but_among_the_deleted(site: Running, ask: Asker) -> None:
    gone = next(iter(site.world.contacts))
    salesforce_org.purge(site.world, "contact", gone)
    site.world.tick(120)
    for verb in ("query", "queryAll"):
        assert gone not in {row["Id"] for row in records(ask, "SELECT Id FROM Contact", verb)}
    reply = ask.get(f"{DATA}/sobjects/Contact/deleted/", start="2026-11-01T00:00:00Z", end="2026-11-02T04:05:00Z").json()
    assert [record["id"] for record in reply["deletedRecords"]] == [gone]
    with pytest.raises(ValueError, match="does not come back"):
        site.world.undelete("contact", gone)


def test_query_leaves_out_archived_activities(site: Running, ask: Asker) -> None:
    task = site.world.create("salesforce_task", Subject="Old", ActivityDate="2025-01-01", Status="Completed")
    query = "SELECT Id, IsArchived FROM Task WHERE Subject = 'Old'"
    assert records(ask, query) == []
    assert [(row["Id"], row["IsArchived"]) for row in records(ask, query, "queryAll")] == [(task["Id"], True)]


def test_objects_can_be_hidden_and_currencies_be_missing(site: Running, ask: Asker) -> None:
    site.salesforce.hidden = {"Case"}
    for name in ("Case", "CurrencyType"):
        assert ask.get(f"{DATA}/sobjects/{name}/describe").status_code == 404
        assert ask.get(f"{DATA}/query", q=f"SELECT Id FROM {name}").json()[0]["errorCode"] == "INVALID_TYPE"
    site.salesforce.multi_currency = True
    assert {row["IsoCode"] for row in records(ask, "SELECT IsoCode FROM CurrencyType")} == {"USD", "EUR", "GBP"}


def test_what_nobody_shares_is_not_shown(site: Running, ask: Asker) -> None:
    hidden = next(iter(site.world.accounts))
    site.salesforce.unseen = {hidden}
    assert hidden not in {row["Id"] for row in records(ask, "SELECT Id FROM Account", "queryAll")}
    site.salesforce.sees_all = False
    (row,) = records(ask, "SELECT PermissionsViewAllData FROM UserPermissionAccess")
    assert row["PermissionsViewAllData"] is False


def test_ids_can_come_short_and_are_found_by_either_form(site: Running, ask: Asker) -> None:
    deal = next(iter(site.world.opportunities.values()))
    site.salesforce.short_ids = True
    (row,) = records(ask, f"SELECT Id, AccountId FROM Opportunity WHERE Id = '{deal['Id']}'")
    assert (row["Id"], row["AccountId"]) == (deal["Id"][:15], deal["AccountId"][:15])


def test_locators_can_be_forgotten(site: Running, ask: Asker) -> None:
    site.salesforce.page_size = 2
    reply = ask.get(f"{DATA}/queryAll", q="SELECT Id FROM Contact").json()
    site.salesforce.expire_locators()
    again = ask.get(reply["nextRecordsUrl"])
    assert (again.status_code, again.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


def test_a_field_can_be_renamed_by_its_label(site: Running, ask: Asker) -> None:
    site.salesforce.labels["Account.Success_Plan__c"] = "Plan"
    fields = {field["name"]: field for field in ask.get(f"{DATA}/sobjects/Account/describe").json()["fields"]}
    assert fields["Success_Plan__c"]["label"] == "Plan"


# Bulk API 2.0 -----------------------------------------------------------------------------------------------------------


def job(ask: Asker, query: str, operation: str = "queryAll") -> dict[str, Any]:
    return dict(ask.post(f"{DATA}/jobs/query", {"operation": operation, "query": query}).json())


def state(ask: Asker, job_id: str) -> str:
    return str(ask.get(f"{DATA}/jobs/query/{job_id}").json()["state"])


def test_a_job_takes_a_while_and_gives_csv_page_by_page(site: Running, ask: Asker) -> None:
    made = job(ask, "SELECT Id, Newsletter__c, CreatedDate, Title FROM Contact")
    assert (made["state"], made["object"], made["contentType"]) == ("UploadComplete", "Contact", "CSV")
    early = ask.get(f"{DATA}/jobs/query/{made['id']}/results")
    assert (early.status_code, early.json()[0]["errorCode"]) == (400, "INVALIDJOBSTATE")
    assert [state(ask, made["id"]) for _ in range(3)] == ["InProgress", "JobComplete", "JobComplete"]
    found, locator = [], ""
    while locator != "null":
        reply = ask.get(f"{DATA}/jobs/query/{made['id']}/results", maxRecords=5, locator=locator)
        rows = list(csv.DictReader(io.StringIO(reply.text)))
        assert reply.headers["Sforce-NumberOfRecords"] == str(len(rows))
        found, locator = found + rows, reply.headers["Sforce-Locator"]
    assert {row["Id"] for row in found} == set(site.world.contacts)
    assert [row["Id"] for row in found] != sorted(site.world.contacts)
    contact = site.world.contacts[found[0]["Id"]]
    assert found[0]["Newsletter__c"] == "false"
    assert found[0]["CreatedDate"] == contact["CreatedDate"].replace("+0000", "Z")
    assert found[0]["Title"] == (contact["Title"] or "")


def test_up_to_five_pages_of_results_are_named_at_once(site: Running, ask: Asker) -> None:
    site.salesforce.page_size = 2
    made = job(ask, "SELECT Id FROM Contact", "query")
    while state(ask, made["id"]) != "JobComplete":
        pass
    reply = ask.get(f"{DATA}/jobs/query/{made['id']}/resultPages").json()
    assert len(reply["resultPages"]) == 5
    addresses = [page["resultUrl"] for page in reply["resultPages"]]
    while not reply["done"]:
        reply = ask.get(reply["nextRecordsUrl"]).json()
        addresses += [page["resultUrl"] for page in reply["resultPages"]]
    ids = [row["Id"] for address in addresses for row in csv.DictReader(io.StringIO(ask.get(address).text))]
    assert sorted(ids) == sorted(site.world.contacts)


@pytest.mark.parametrize("end", ["Failed", "Aborted"])
def test_a_job_can_end_badly(site: Running, ask: Asker, end: str) -> None:
    site.salesforce.bulk.endings = [end]
    made = job(ask, "SELECT Id FROM Contact")
    assert [state(ask, made["id"]) for _ in range(2)] == ["InProgress", end]
    assert ask.get(f"{DATA}/jobs/query/{made['id']}/results").status_code == 400


def test_results_are_kept_for_a_week(site: Running, ask: Asker) -> None:
    made = job(ask, "SELECT Id FROM Contact")
    while state(ask, made["id"]) != "JobComplete":
        pass
    site.world.tick(timedelta(days=7, seconds=1).total_seconds())
    assert ask.get(f"{DATA}/jobs/query/{made['id']}/results").status_code == 404


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT COUNT() FROM Contact", "API_ERROR"),
        ("SELECT BillingAddress FROM Account", "API_ERROR"),
        ("SELECT Nothing__c FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM User", "INVALIDENTITY"),
    ],
)
def test_what_no_job_can_do_is_refused(site: Running, ask: Asker, query: str, code: str) -> None:
    site.salesforce.bulk.refuses = {"User"}
    reply = ask.post(f"{DATA}/jobs/query", {"operation": "queryAll", "query": query})
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, code)
