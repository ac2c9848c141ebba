"""What is Pendo's own: days that it cuts, events that come late or change afterwards, who is anonymous, how much at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from landing import Landing, landed, read

from connectors import pendo as ours
from connectors.base import Choices, Connector, Count, SourceError
from connectors.sandbox import aggregation, pendo_app
from connectors.sandbox.serve import Running
from tests.truth.raw_pendo import CASES

Connect = Callable[..., Connector]

ZONES = ("Pacific/Honolulu", "America/New_York", "Europe/Berlin", "Asia/Tokyo", "Pacific/Auckland")
ADDED_UP = ("feature_events", "page_events", "track_events")
EVENTS = (*ADDED_UP, "guide_events", "poll_events")


def asked(running: Running) -> list[dict[str, Any]]:
    """The sources of all aggregations so far."""
    entries = [entry for entry in running.pendo.log if entry.target == "/api/v1/aggregation"]
    return [json.loads(entry.body)["request"]["pipeline"] for entry in entries]


def is_as_it_should_be(landing: Landing, running: Running, name: str) -> None:
    """Every row that there should be is there with its values, and no other lives."""
    expected = CASES[name].rows(running.world)
    assert landing.alive == {key[0] for key in expected}
    volatile = {column.name for column in landing.read.streams[0].columns if column.volatile}
    for key, row in expected.items():
        found = landing.all[key]
        for column, value in row.items():
            given = json.loads(found[column]) if isinstance(value, list | dict) else found[column]
            assert given == value or column in volatile, (key, column)


def nights(running: Running, connector: Connector, landing: Landing, number: int = 1) -> Landing:
    for _ in range(number):
        running.world.advance(1)
        landing.read_on(connector)
    return landing


# days ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ZONES)
def test_days_are_those_of_the_subscription_wherever_that_is(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setattr(pendo_app, "ZONE", zone)
    landing = landed(connect("pendo"), "feature_events")
    assert len({row["day"] for row in landing.all.values()}) > 50
    is_as_it_should_be(landing, running, "feature_events")
    nights(running, connect("pendo"), landing, 3)
    is_as_it_should_be(landing, running, "feature_events")


@pytest.mark.parametrize("name", EVENTS)
def test_nights_of_a_moving_product_leave_what_pendo_shows(running: Running, connect: Connect, name: str) -> None:
    """People are forgotten, accounts go, features are tagged with a history: each changes days that were long over."""
    landing = landed(connect("pendo"), name)
    for _ in range(8):
        is_as_it_should_be(nights(running, connect("pendo"), landing), running, name)


def test_a_first_read_asks_for_all_days_at_once_and_then_for_thirty_at_a_time(running: Running, connect: Connect) -> None:
    connector = connect("pendo")
    landing = landed(connector, "feature_events")
    first, last = min(row["day"] for row in landing.all.values()), max(row["day"] for row in landing.all.values())
    assert connector.requests == 1 + 3
    counts = [pipeline[0]["source"]["timeSeries"]["count"] for pipeline in asked(running)[1:]]
    assert counts == [30, 30, 30]
    assert last - first > timedelta(days=60)


@pytest.mark.parametrize("name", EVENTS)
def test_a_usual_night_asks_twice_however_many_features_there_are(running: Running, connect: Connect, name: str) -> None:
    landing = landed(connect("pendo"), name)
    running.world.tick(86_400)
    account, visitor = next(running.world.alive("pendo_account")), next(running.world.alive("visitor"))
    about = {"accountId": account["accountId"], "visitorId": visitor["visitorId"], "featureId": "f", "pollResponse": 3}
    at, source = running.world.now - timedelta(hours=3), landing.read.streams[0].source
    running.world.create("action", at=at, source=source, **about)
    connector = connect("pendo")
    landing.read_on(connector)
    assert connector.requests == 2
    is_as_it_should_be(landing, running, name)


def test_a_day_is_read_once_more_after_the_last_event_of_it_can_have_come(running: Running, connect: Connect) -> None:
    landing = landed(connect("pendo"), "feature_events")
    feature, visitor = next(running.world.alive("pendo_feature")), next(running.world.alive("visitor"))
    about = {"featureId": feature["id"], "visitorId": visitor["visitorId"], "source": "featureEvents", "clicks": 7}
    on_the_train = running.world.now - timedelta(minutes=10)
    action = running.world.create("action", at=on_the_train, late=timedelta(hours=6), **about)
    landing.read_on(connect("pendo"))
    assert action["clicks"] not in {row["num_events"] for row in landing.all.values()}
    running.world.tick(20 * 3600)
    landing.read_on(connect("pendo"))
    is_as_it_should_be(landing, running, "feature_events")
    assert action["clicks"] in {row["num_events"] for row in landing.all.values()}


def test_what_grows_during_the_day_stays_one_row(running: Running, connect: Connect) -> None:
    running.world.tick(8 * 3600)
    landing = landed(connect("pendo"), "feature_events")
    feature, visitor = next(running.world.alive("pendo_feature")), next(running.world.alive("visitor"))
    about = {"featureId": feature["id"], "visitorId": visitor["visitorId"], "source": "featureEvents"}
    for clicks, total in ((3, 3), (2, 5)):
        running.world.tick(3600)
        running.world.create("action", at=running.world.now - timedelta(minutes=5), clicks=clicks, server="here", **about)
        landing.read_on(connect("pendo"))
        (row,) = [row for row in landing.all.values() if row["server"] == "here"]
        assert row["num_events"] == total


def test_the_history_of_a_feature_that_was_tagged_today_is_read(running: Running, connect: Connect) -> None:
    landing = landed(connect("pendo"), "feature_events")
    tagged = running.world.create("pendo_feature", name="New", _used_since=running.world.now - timedelta(days=60))
    connector = connect("pendo")
    landing.read_on(connector)
    is_as_it_should_be(landing, running, "feature_events")
    days = [row["day"] for row in landing.all.values() if row["feature_id"] == tagged["id"]]
    assert min(days) < running.world.now.date() - timedelta(days=40)
    assert connector.requests <= 1 + 3


def test_what_a_forgotten_visitor_did_is_gone_from_every_day(running: Running, connect: Connect) -> None:
    landing = landed(connect("pendo"), "feature_events")
    busiest = max((row["visitor_id"] for row in landing.all.values()), key=str)
    running.world.delete("visitor", busiest)
    landing.read_on(connect("pendo"))
    is_as_it_should_be(landing, running, "feature_events")
    assert busiest not in {row["visitor_id"] for row in landing.all.values() if row["_deleted_at"] is None}


def test_every_run_says_how_many_rows_there_must_be_of_all_days_that_are_over(running: Running, connect: Connect) -> None:
    landing = landed(connect("pendo"), "feature_events")
    running.world.advance(2)
    batches = list(connect("pendo").batches(landing.read, landing.cursor))
    first, until = running.world.now.date() - timedelta(days=92), running.world.now.date() - timedelta(days=1)
    rows = [row for row in CASES["feature_events"].rows(running.world).values() if row["day"] < until]
    assert batches[-1].counted == {"feature_events": Count(len(rows), "day", until, first)}
    assert [batch.counted for batch in batches[:-1]] == [{}] * (len(batches) - 1)
    assert batches[-1].covered_until == running.world.now


@pytest.mark.parametrize("name", ["feature_events", "poll_events"])
def test_a_first_read_that_dies_goes_on_with_the_days_that_are_left(running: Running, connect: Connect, name: str) -> None:
    whole = landed(connect("pendo"), name)
    for killed_after in range(1, whole.batches):
        landing = Landing(read(connect("pendo"), name)).read_on(connect("pendo"), only=killed_after)
        known = len(asked(running))
        landing.read_on(connect("pendo"))
        assert landing.all == whole.all
        if killed_after > 3:
            assert len(asked(running)) - known < 4


def test_a_first_read_begins_on_the_chosen_day(running: Running, connect: Connect) -> None:
    since = datetime(2026, 10, 20, tzinfo=UTC)
    landing = landed(connect("pendo", choices=Choices(since=since)), "feature_events")
    assert {row["day"] for row in landing.all.values()} <= {date(2026, 10, 20) + timedelta(days=n) for n in range(15)}
    few = landed(connect("pendo", first_days=5), "feature_events")
    assert min(row["day"] for row in few.all.values()) >= date(2026, 10, 28)


def test_a_read_that_is_set_back_reads_everything_lest_what_was_known_of_older_days_be_forgotten(connect: Connect) -> None:
    connector = connect("pendo")
    assert {connector.at(each, datetime.now(UTC)) for each in connector.reads} == {None}


# so much at once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["accounts", "visitors", *EVENTS])
@pytest.mark.parametrize("most", [20, 7])
def test_however_much_comes_at_a_time_it_is_the_same(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    whole = landed(connect("pendo"), name)
    monkeypatch.setattr(ours, "MOST", most)
    landing = landed(connect("pendo"), name)
    assert landing.all == whole.all
    assert landing.cursor == whole.cursor


@pytest.mark.parametrize("name", ["visitors", "feature_events", "guide_events"])
@pytest.mark.parametrize("status", [408, 413, 504])
def test_what_pendo_finds_too_much_is_asked_for_in_halves(running: Running, connect: Connect, name: str, status: int) -> None:
    whole = landed(connect("pendo"), name)
    known = len(running.pendo.log)
    for after in (0, 1) if "events" in name else (1,):  # of people, behind the count
        running.pendo.faults.answer(status, "aggregation", after=after, times=3)
    landing = landed(connect("pendo"), name)
    assert landing.all == whole.all
    assert [entry.status for entry in running.pendo.log[known:]].count(status) == 6 if "events" in name else 3
    running.pendo.faults.answer(status, "aggregation")
    nights(running, connect("pendo"), landing)
    is_as_it_should_be(landing, running, name)


def test_a_list_that_takes_too_long_is_asked_for_again(running: Running, connect: Connect) -> None:
    running.pendo.faults.answer(504, "feature", times=2)
    connector = connect("pendo")
    assert landed(connector, "features").alive
    assert connector.requests == 3


def test_what_takes_too_long_even_in_the_smallest_part_may_work_at_another_time(running: Running, connect: Connect) -> None:
    running.pendo.faults.answer(504, "aggregation", times=99)
    with pytest.raises(SourceError, match="trying again later can help") as caught:
        landed(connect("pendo"), "poll_events")
    assert caught.value.transient


def test_what_is_too_much_even_in_the_smallest_part_is_an_error(running: Running, connect: Connect) -> None:
    running.pendo.largest = 0
    with pytest.raises(SourceError, match="Pendo does not give so much at once"):
        landed(connect("pendo"), "visitors")


def test_visitors_come_by_rising_id_so_many_at_a_time(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "MOST", 5)
    connector = connect("pendo")
    landing = landed(connector, "visitors")
    is_as_it_should_be(landing, running, "visitors")
    pages = (len(landing.all) - 1) // 4 + 1
    assert (connector.requests, landing.batches) == (pages + 1, pages + 1)  # the count, and what exists


def test_more_rows_of_one_visitor_than_fit_a_reply_are_an_error_and_no_endless_read(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = next(running.world.alive("visitor"))
    for number in range(4):
        at = running.world.now - timedelta(hours=3)
        running.world.create("action", at=at, source="featureEvents", visitorId=visitor["visitorId"], featureId=f"f{number}")
    monkeypatch.setattr(ours, "MOST", 2)
    with pytest.raises(SourceError, match="more than 2 rows for one visitorId"):
        landed(connect("pendo"), "feature_events")


# who and what -------------------------------------------------------------------------------------------------------


def test_the_anonymous_are_left_out_unless_they_are_asked_for(running: Running, connect: Connect) -> None:
    named = landed(connect("pendo"), "visitors")
    everybody = landed(connect("pendo", anonymous=True), "visitors")
    unnamed = {visitor_id for visitor_id in everybody.alive if visitor_id.startswith(pendo_app.ANONYMOUS)}
    assert everybody.alive - named.alive == unnamed != set()
    events = {anonymous: landed(connect("pendo", anonymous=anonymous), "page_events").all for anonymous in (False, True)}
    assert {row["visitor_id"] in unnamed for row in events[True].values()} == {False, True}
    assert not any(row["visitor_id"] in unnamed for row in events[False].values())


def test_a_visitor_of_several_accounts_has_them_all(running: Running, connect: Connect) -> None:
    visitor = next(running.world.alive("visitor"))
    accounts = [account["accountId"] for account in running.world.alive("pendo_account")][:3]
    running.world.change("visitor", visitor["visitorId"], accountids=accounts)
    row = landed(connect("pendo"), "visitors").all[(visitor["visitorId"],)]
    assert (json.loads(row["account_ids"]), row["account_id"]) == (accounts, accounts[-1])


@pytest.mark.parametrize("name", ["features", "pages", "guides", "feature_events", "guide_events"])
def test_all_applications_are_read(running: Running, connect: Connect, name: str) -> None:
    world = running.world
    page = world.create("pendo_page", name="Phone", appId=pendo_app.MOBILE)
    visitor, guide = next(world.alive("visitor")), next(g for g in world.alive("guide") if g["appId"] == pendo_app.MOBILE)
    about = {"visitorId": visitor["visitorId"], "guideId": guide["id"], "pageId": page["id"], "appId": pendo_app.MOBILE}
    world.create("action", at=world.now - timedelta(hours=2), source="guideEvents", **about)
    landing = landed(connect("pendo"), name)
    assert {row["app_id"] for row in landing.all.values()} == {pendo_app.WEB, pendo_app.MOBILE}


def test_questions_come_with_their_guides_in_one_request(running: Running, connect: Connect) -> None:
    connector = connect("pendo")
    landing = landed(connector, "guides")
    assert connector.requests == 1
    assert set(landing.rows["polls"]) == set(CASES["polls"].rows(running.world)) != set()
    (guides,) = [each for each in connector.reads if each.name == "guides"]
    only_polls = type(guides)("guides", guides.streams[1:])
    (batch,) = connector.batches(only_polls, None)
    assert set(batch.rows) == set(batch.present) == {"polls"}


def test_a_salesforce_id_can_be_mapped_from_any_group_of_the_metadata(running: Running, connect: Connect) -> None:
    account = next(running.world.alive("pendo_account"))
    running.world.change("pendo_account", account["accountId"], custom={"sfdcid": "001Qm000000100A"})
    for path in ("custom.sfdcid", "metadata.custom.sfdcid"):
        fields = {"accounts": {"salesforce_id": path}}
        row = landed(connect("pendo", choices=Choices(fields)), "accounts").all[(account["accountId"],)]
        assert row["salesforce_id"] == "001Qm000000100A"


def test_a_column_that_nobody_wants_costs_no_row(running: Running, connect: Connect) -> None:
    whole = landed(connect("pendo"), "guide_events")
    without = frozenset({"visitor_id", "remoteIp", "latitude"})
    landing = landed(connect("pendo", choices=Choices(without={"guide_events": without})), "guide_events")
    assert landing.all.keys() == whole.all.keys()
    assert {(row["visitor_id"], row["remote_ip"]) for row in landing.all.values()} == {(None, None)}
    assert all("latitude" not in row["extra"] and "longitude" in row["extra"] for row in landing.all.values())


def test_every_field_of_the_metadata_is_a_row(running: Running, connect: Connect) -> None:
    account = next(running.world.alive("pendo_account"))
    running.world.change("pendo_account", account["accountId"], custom={"tier": "gold"})
    landing = landed(connect("pendo"), "metadata")
    assert landing.all[("account", "custom", "tier")]["display_name"] == "Tier"
    assert landing.all.keys() == CASES["metadata"].rows(running.world).keys()


# what goes wrong ----------------------------------------------------------------------------------------------------


def test_a_key_that_is_refused_is_named_and_not_shown(connect: Connect) -> None:
    connector = connect("pendo", integration_key="no-such-key-at-all")
    with pytest.raises(SourceError, match="PENDO_INTEGRATION_KEY") as caught:
        landed(connector, "accounts")
    assert not caught.value.transient
    assert "no-such-key" not in str(caught.value)
    findings = list(connector.check())
    assert [finding.ok for finding in findings] == [False]
    assert "no-such-key" not in findings[0].message


def test_check_names_every_stream_and_asks_five_times(connect: Connect) -> None:
    connector = connect("pendo")
    findings = list(connector.check())
    assert all(finding.ok for finding in findings), findings
    names = {stream.name for each in connector.reads for stream in each.streams} - {"polls"}
    assert {finding.subject for finding in findings} == {"login", *names}
    assert connector.requests == 5


def test_check_tells_what_a_key_may_not_read(running: Running, connect: Connect) -> None:
    running.pendo.forbidden = frozenset({"/api/v1/aggregation"})
    failing = {finding.subject for finding in connect("pendo").check() if not finding.ok}
    assert failing == {"accounts", "visitors", *EVENTS}


def test_an_estimate_is_what_a_first_read_then_takes(running: Running, connect: Connect) -> None:
    for estimate in connect("pendo").estimate(connect("pendo").reads):
        connector = connect("pendo")
        landing = landed(connector, estimate.read)
        assert connector.requests == estimate.requests
        assert estimate.read == "metadata" or len(landing.all) == estimate.records


def test_a_record_of_the_wrong_shape_is_put_aside_and_its_page_goes_on(running: Running, connect: Connect) -> None:
    good = {"visitorId": "v", "metadata": {"auto": {"firstvisit": 0, "lastvisit": 1_790_000_000_000}}}
    odd = {"visitorId": "w", "metadata": {"auto": {"firstvisit": "yesterday", "lastvisit": 10**18}}}
    running.pendo.faults.answer(200, "aggregation", body={"results": [{"count": 4}]})
    running.pendo.faults.answer(200, "aggregation", body={"results": [good, {"visitorId": None}, "nobody", odd]})
    landing = landed(connect("pendo"), "visitors")
    assert landing.alive == {"v", "w"}
    assert landing.all[("v",)]["first_visit"] is None
    assert {(reject.record_id, reject.column) for reject in landing.rejects} == {
        (None, None),
        ("w", "first_visit"),
        ("w", "last_visit"),
    }


@pytest.mark.parametrize("body", [{"results": [{"day": "today", "rows": 1}]}, {"results": 5}, []])
def test_a_reply_that_is_no_result_is_an_error(running: Running, connect: Connect, body: Any) -> None:
    running.pendo.faults.answer(200, "aggregation", times=9, body=body)
    with pytest.raises(SourceError, match="unexpected reply"):
        landed(connect("pendo"), "feature_events")


def test_a_page_with_a_row_twice_brings_it_once(running: Running, connect: Connect) -> None:
    whole = landed(connect("pendo"), "feature_events")
    running.pendo.faults.plan(1.0, 3, ("doubled", "reordered"))
    landing = landed(connect("pendo"), "feature_events")
    assert landing.all == whole.all
    assert landing.cursor == whole.cursor
    assert running.pendo.faults.done["doubled"]


def test_what_was_put_aside_can_be_opened_again(connect: Connect) -> None:
    connector = connect("pendo")
    (accounts,) = read(connector, "accounts").streams
    batch = connector.opened(accounts, b'[{"accountId": "a", "metadata": {"agent": {"name": "A"}}}]')
    assert isinstance(batch.rows["accounts"], pa.Table)
    assert batch.rows["accounts"]["name"].to_pylist() == ["A"]


# people that are not all given -------------------------------------------------------------------------------------


def test_visitors_that_pendo_counts_and_does_not_give_are_not_taken_for_gone(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = landed(connect("pendo"), "visitors")
    known = landing.alive
    fewer = {**aggregation._STEPS, "limit": lambda rows, most, _: rows[: min(most, len(known) - 3)]}
    monkeypatch.setattr(aggregation, "_STEPS", fewer)
    with pytest.raises(SourceError, match=rf"counts {len(known)} visitors and gives {len(known) - 3}"):
        landing.read_on(connect("pendo"))
    assert landing.alive == known


def test_who_comes_while_visitors_are_read_is_no_difference(running: Running, connect: Connect) -> None:
    landing = landed(connect("pendo"), "visitors")
    known = landing.alive
    posts = [entry for entry in running.pendo.log if "aggregation" in entry.target]
    assert len(posts) == 2
    running.pendo.faults.run(lambda: CASES["visitors"].make(running.world, 1), "aggregation")  # type: ignore[misc]
    landing.read_on(connect("pendo"))
    assert landing.alive > known
