"""The stand-in for Pendo, as a plain client meets it: pipelines, periods, applications, what is late, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asking import Asker

from connectors.sandbox import pendo, pendo_app
from connectors.sandbox.aggregation import MalformedError, expression, run
from connectors.sandbox.pendo_app import millis, moment
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import World

ALL_APPS = {"appId": 'expandAppIds("*")'}


@pytest.fixture
def site() -> Iterator[Running]:
    with serve(World(size="tiny")) as running:
        yield running


def pendo_of(running: Running) -> Asker:
    asker = Asker(running.pendo.base_url)
    asker.session.headers["x-pendo-integration-key"] = pendo.INTEGRATION_KEY
    return asker


def results(running: Running, source: dict[str, Any], *steps: dict[str, Any]) -> list[dict[str, Any]]:
    body = {"response": {"mimeType": "application/json"}, "request": {"pipeline": [{"source": source}, *steps]}}
    reply = pendo_of(running).post("/api/v1/aggregation", body)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["results"]
    return found


def days(first: datetime, count: int = 1, period: str = "dayRange") -> dict[str, Any]:
    return {"timeSeries": {"period": period, "first": millis(first), "count": count}}


def test_who_has_no_key_is_refused(site: Running) -> None:
    reply = Asker(site.pendo.base_url).get("/api/v1/feature")
    assert (reply.status_code, reply.json()) == (403, {"message": "invalid or insufficient integration key"})


def test_a_limit_tells_how_long_to_wait(site: Running) -> None:
    site.pendo.requests = type(site.pendo.requests)(1)
    answers = [pendo_of(site).get("/api/v1/feature") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1].headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "pipeline",
    [
        None,
        [],
        [{"filter": "1 == 1"}],
        [{"source": {"visitors": None, "accounts": None}}],
        [{"source": {"nobody": None}}],
        [{"source": {"featureEvents": None}}],
        [{"source": {"featureEvents": None, "timeSeries": {"period": "weekRange", "first": 1, "count": 1}}}],
        [{"source": {"visitors": None}}, {"cat": None}],
        [{"source": {"visitors": None}}, {"limit": 0}],
        [{"source": {"visitors": None}}, {"filter": "visitorId >"}],
        [{"source": {"visitors": None}}, {"filter": 'visitorId ~ "x"'}],
        [{"source": {"visitors": None}}, {"filter": "hash(visitorId) == 1"}],
        [{"source": {"visitors": None}}, {"filter": "1 == 1", "limit": 2}],
    ],
)
def test_a_pipeline_that_cannot_be_read_is_refused(site: Running, pipeline: Any) -> None:
    reply = pendo_of(site).post("/api/v1/aggregation", {"request": {"pipeline": pipeline}})
    assert reply.status_code == 400
    assert reply.json()["message"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3 - 10 % 4", 7),
        ("now() - 90 * 10", 100),
        ('a.b == "x\\"y" && !(c > 4)', True),
        ("a.none == 1 || isNull(a.none)", True),
        ("nothing > 3", False),
        ("c >= 4 && c <= 4 && c != 5", True),
    ],
)
def test_expressions_mean_what_they_say(text: str, value: Any) -> None:
    assert expression(text, 1000)({"a": {"b": 'x"y'}, "c": 4}) == value


def test_steps_follow_each_other() -> None:
    rows = [{"who": "b", "n": 2}, {"who": "_PENDO_T_9", "n": 9}, {"who": "a", "n": 1}, {"who": "a", "n": 4}, {"who": "c"}]
    steps: list[Any] = [{"identified": "who"}, {"filter": 'who > "`" && who < "c"'}, {"sort": ["who", "-n"]}]
    assert run(rows, steps, 0) == [{"who": "a", "n": 4}, {"who": "a", "n": 1}, {"who": "b", "n": 2}]
    assert run(rows, [*steps, {"limit": 1}, {"select": {"name": "who"}}], 0) == [{"name": "a"}]
    assert run(rows, [*steps, {"count": None}], 0) == [{"count": 3}]
    fields = {"rows": {"count": None}, "kinds": {"count": "n"}, "all": {"sum": "n"}}
    assert run(rows, [*steps, {"group": {"group": ["who"], "fields": fields}}], 0) == [
        {"who": "a", "rows": 2, "kinds": 2, "all": 5},
        {"who": "b", "rows": 1, "kinds": 1, "all": 2},
    ]
    assert run(rows, [{"reduce": {"all": {"sum": "n"}}}], 0) == [{"all": 16}]
    with pytest.raises(MalformedError):
        run(rows, [{"reduce": {"all": {"median": "n"}}}], 0)


def test_only_the_first_application_is_shown_unless_all_are_asked_for(site: Running) -> None:
    asker = pendo_of(site)
    some, everything = asker.get("/api/v1/feature").json(), asker.get("/api/v1/feature", expand="*").json()
    assert {feature["appId"] for feature in some} == {pendo_app.WEB}
    assert {feature["appId"] for feature in everything} == {pendo_app.WEB, pendo_app.MOBILE}
    assert len(results(site, {"features": None})) == len(some)
    assert len(results(site, {"features": ALL_APPS})) == len(everything)
    month = days(site.world.now - timedelta(days=80), 80)
    ((few,), (more,)) = (results(site, {"featureEvents": scope, **month}, {"count": None}) for scope in (None, ALL_APPS))
    assert few["count"] < more["count"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Auckland"])
def test_days_begin_at_midnight_in_the_subscriptions_zone(site: Running, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setattr(pendo_app, "ZONE", zone)
    rows = results(site, {"featureEvents": None, **days(datetime(2026, 9, 20, 10, 30, tzinfo=UTC), 45)})
    begun = {moment(row["day"]).astimezone(ZoneInfo(zone)) for row in rows}
    assert {(at.hour, at.minute) for at in begun} == {(0, 0)}
    assert {at.utcoffset() for at in begun} != {next(iter(begun)).utcoffset()}  # the clocks changed meanwhile
    assert min(begun).date() >= datetime(2026, 9, 20).date()


def test_a_day_is_the_sum_of_its_hours(site: Running) -> None:
    first = datetime(2026, 10, 7, 4, tzinfo=UTC)  # midnight in New York
    totals = [
        sum(row["numEvents"] for row in results(site, {"pageEvents": ALL_APPS, **days(first, count, period)}))
        for count, period in ((1, "dayRange"), (24, "hourRange"))
    ]
    assert totals[0] == totals[1] > 0
    (back,) = results(
        site, {"pageEvents": ALL_APPS, **days(first + timedelta(days=1), -1)}, {"reduce": {"n": {"sum": "numEvents"}}}
    )
    assert back["n"] == totals[0]


def test_an_event_is_not_shown_before_it_has_arrived(site: Running) -> None:
    visitor = next(site.world.alive("visitor"))
    at = site.world.now - timedelta(minutes=1)
    about = {"source": "guideEvents", "visitorId": visitor["visitorId"], "guideId": "g", "type": "guideSeen"}
    site.world.create("action", at=at, late=timedelta(hours=5), **about)
    seen = {"guideEvents": None, **days(at, 1, "hourRange")}
    assert results(site, seen, {"filter": 'guideId == "g"'}) == []
    site.world.tick(5 * 3600)
    (row,) = results(site, seen, {"filter": 'guideId == "g"'})
    assert row["browserTime"] == millis(at)
    assert row["accountIds"] == visitor["metadata"]["auto"]["accountids"]
    assert not any(name.startswith("_") for name in row)


def test_what_a_visitor_did_goes_with_the_visitor_and_so_with_an_account_and_a_feature(site: Running) -> None:
    month = {"featureEvents": ALL_APPS, **days(site.world.now - timedelta(days=60), 60)}
    for kind, name in (("visitor", "visitorId"), ("pendo_account", "accountId"), ("pendo_feature", "featureId")):
        gone = results(site, month)[0][name]
        site.world.delete(kind, gone)
        assert gone not in {row[name] for row in results(site, month)}


def test_the_past_stays_as_it_was_when_somebody_comes_or_changes_accounts(site: Running) -> None:
    month = {"featureEvents": ALL_APPS, **days(site.world.now - timedelta(days=60), 50)}
    before = results(site, month)
    visitor, account = next(site.world.alive("visitor")), list(site.world.alive("pendo_account"))[-1]
    site.world.change("visitor", visitor["visitorId"], accountids=[account["accountId"]])
    site.world.create("visitor", visitorId="new", accountids=[account["accountId"]])
    site.world.create("pendo_feature", name="New")
    assert results(site, month) == before


def test_stamps_of_people_move_without_a_change(site: Running) -> None:
    before, after = [], []
    for seen in (before, after):
        seen += results(site, {"visitors": None}, {"identified": "visitorId"})
        site.world.tick(86_400)
    stamps = [[visitor["metadata"]["auto"].pop("lastupdated") for visitor in seen] for seen in (before, after)]
    assert all(earlier < later for earlier, later in zip(*stamps, strict=True))


def test_a_reply_that_would_be_too_large_is_refused(site: Running) -> None:
    site.pendo.largest = 3
    reply = pendo_of(site).post("/api/v1/aggregation", {"request": {"pipeline": [{"source": {"visitors": None}}]}})
    assert reply.status_code == 413


def test_customers_are_named_by_salesforce_ids_of_both_lengths_by_names_and_not_at_all() -> None:
    world = World()
    accounts = {account["Id"] for account in world.alive("account")}
    ids = [account["accountId"] for account in world.alive("pendo_account")]
    assert {len(each) for each in ids if each in accounts} == {18}
    assert any(len(each) == 15 and each in {known[:15] for known in accounts} for each in ids)
    assert any(each in {account["Name"] for account in world.alive("account")} for each in ids)
    assert "trial-4711" in ids
    assert any(len(visitor["metadata"]["auto"]["accountids"]) > 1 for visitor in world.alive("visitor"))
    issues = {issue["fields"]["summary"] for issue in world.alive("issue")}
    assert {True, False} == {feature["name"] in issues for feature in world.alive("pendo_feature")}
