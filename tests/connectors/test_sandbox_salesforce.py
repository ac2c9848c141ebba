"""The stand-in for Salesforce, asked over HTTP: grants, queries, paging, describe, deleted ids, limits, errors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
import requests
from asking import DATA, Asker, salesforce_of
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.sandbox import salesforce
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
    reply = ask.get(f"{DATA}/query/0r8XXXXXXXXXXXX-2")
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
