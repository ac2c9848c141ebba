"""What Pendo brings when it is asked once more: all days anew, what came too late, rows and pages that look alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from contract import Stream, complete
from landing import landed
from test_pendo_connector import asked, is_as_it_should_be

from connectors import pendo as ours
from connectors.base import Choices, Connector, SourceError
from connectors.sandbox.serve import Running
from connectors.sandbox.world import World
from tests.night import company
from tests.truth.raw_pendo import CASES
from warehouse import load

Connect = Callable[..., Connector]

# all days anew ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", ["a resync", "another choice"])
def test_days_that_were_known_are_read_anew_as_well_though_a_first_read_would_not_go_back_so_far(
    tmp_path: Path, cause: str
) -> None:
    with company(World(size="tiny"), tmp_path) as known:
        one = Stream(known, "pendo", "feature_events", CASES["feature_events"])
        one.forget()
        one.sync()
        one.world.tick(30 * 86_400)
        oldest = min(one.table().values(), key=lambda row: row["day"])
        one.world.delete("visitor", oldest["visitor_id"])
        if cause == "a resync":
            load.rewind(known.warehouse, "pendo", "feature_events", None)
        else:
            known.chosen = {"pendo": {"without": ["feature_events.session"]}}
        complete(one.sync(), one.name)
        one.check()
        assert one.table()[(oldest["id"],)]["_deleted_at"] is not None


def test_a_beginning_that_is_not_chosen_any_more_gives_way_to_an_earlier_one(running: Running, connect: Connect) -> None:
    late, early = (Choices(since=datetime(2026, month, 20, tzinfo=UTC)) for month in (10, 9))
    landing = landed(connect("pendo", choices=late), "feature_events")
    begun = {"from": landing.cursor["from"]} if landing.cursor else None
    for choices, first in ((early, "2026-09-20"), (Choices(), "2026-08-04")):
        landing.cursor = begun
        landing.read_on(connect("pendo", choices=choices))
        assert landing.cursor["from"] == first
    is_as_it_should_be(landing, running, "feature_events")


# what takes too long ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 504])
def test_a_single_row_that_takes_too_long_is_asked_for_again_a_few_times(
    running: Running, connect: Connect, status: int
) -> None:
    landing = landed(connect("pendo"), "poll_events")
    running.world.tick(10 * 86_400)
    landing.read_on(connect("pendo"))
    visitor, at = next(running.world.alive("visitor"))["visitorId"], running.world.now + timedelta(hours=12)
    running.world.tick(86_400)
    running.world.create("action", at=at, source="pollEvents", visitorId=visitor, pollResponse=7)
    for stalls, ended in ((99, False), (3, True)):
        before = len(asked(running))
        running.pendo.faults.answer(status, "aggregation", after=1, times=stalls)
        if ended:
            landing.read_on(connect("pendo"))
        else:
            with pytest.raises(SourceError, match="trying again later can help"):
                landing.read_on(connect("pendo"))
            running.pendo.faults._ordered.clear()
        assert len(asked(running)) - before == 5  # the sums, two days at once, and one day three times
    is_as_it_should_be(landing, running, "poll_events")


# what looks alike ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        [{"tabId": "one"}, {"tabId": "two"}],
        [{"tabId": 1}, {"tabId": 2}],
        [{"properties": {"rows": 1}}, {"properties": {"rows": 2}}],
        [{"tabId": "one", "latitude": 1.5}, {"tabId": "one", "latitude": 2.5}],
    ],
)
def test_what_nobody_declared_tells_rows_of_a_day_apart(running: Running, connect: Connect, told: list[dict[str, Any]]) -> None:
    landing = landed(connect("pendo"), "feature_events")
    visitor, feature = (next(running.world.alive(kind)) for kind in ("visitor", "pendo_feature"))
    about = {"source": "featureEvents", "visitorId": visitor["visitorId"], "featureId": feature["id"], "userAgent": "UA"}
    at = running.world.now - timedelta(hours=1)
    for clicks, more in zip((3, 4), told, strict=True):
        running.world.create("action", at=at, clicks=clicks, appId=-323232, server="s", remoteIp="1", **about, **more)
    running.world.tick(2 * 86_400)
    running.pendo.faults.plan(1.0, 3, ("doubled",))
    landing.read_on(connect("pendo"))
    found = [row for row in landing.all.values() if row["user_agent"] == "UA" and row["_deleted_at"] is None]
    assert sorted(row["num_events"] for row in found) == [3, 4]
    requests = len(asked(running))
    landing.read_on(connect("pendo"))
    assert len(asked(running)) - requests == 2  # the day is as Pendo counts it, and is not read every night


def test_what_only_an_unnamed_difference_splits_keeps_all_its_uses(running: Running, connect: Connect) -> None:
    row = {"day": 1_793_505_600_000, "featureId": "f", "visitorId": "v", "accountId": "a", "numMinutes": 1}
    batch = connect("pendo").opened(
        next(read for read in connect("pendo").reads if read.name == "feature_events").streams[0],
        msgspec.json.encode([{**row, "numEvents": number} for number in (3, 4, 4)]),
    )
    found = dict(zip(*(batch.rows["feature_events"][name].to_pylist() for name in ("id", "num_events")), strict=True))
    assert sorted(found.values()) == [3, 4]


# pages --------------------------------------------------------------------------------------------------------------


def visitors(*ids: str) -> dict[str, Any]:
    return {"results": [{"visitorId": each, "metadata": {}} for each in ids]}


def test_after_rows_without_an_id_only_those_with_one_are_asked_for(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "MOST", 3)
    for body in ({"results": [{"count": 3}]}, visitors("", "", "a"), visitors("a", "b")):
        running.pendo.faults.answer(200, "aggregation", body=body)
    assert landed(connect("pendo"), "visitors").alive == {"a", "b"}
    assert {"filter": 'visitorId > ""'} in asked(running)[-1]


@pytest.mark.parametrize("ids", [("", "", "a"), ("a", "b", "c")])
def test_a_page_that_comes_again_and_again_is_an_error_and_no_endless_read(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch, ids: tuple[str, ...]
) -> None:
    monkeypatch.setattr(ours, "MOST", 3)
    running.pendo.faults.answer(200, "aggregation", body={"results": [{"count": 4}]})
    running.pendo.faults.answer(200, "aggregation", body=visitors(*ids), times=50)
    with pytest.raises(SourceError, match="visitorId does not rise"):
        landed(connect("pendo"), "visitors")
    assert len(asked(running)) == 3
