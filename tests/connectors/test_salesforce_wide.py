"""Objects whose fields are too many for one address: each record comes whole, and none that was seen is taken for gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from contract import SETTLED, Stream, complete
from landing import landed

from connectors import salesforce_api
from connectors.base import Connector, SourceError
from connectors.sandbox import salesforce_org
from connectors.sandbox.serve import Running

Connect = Callable[..., Connector]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salesforce_api, "_LONGEST_SELECT", 80)


def test_too_many_fields_for_one_address_are_asked_for_in_parts(
    running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts = landed(connect("salesforce"), "opportunities").all
    assert max(len(entry.target) for entry in running.salesforce.log) < 500
    monkeypatch.undo()
    assert landed(connect("salesforce"), "opportunities").all == in_parts


def test_what_changes_between_two_parts_comes_whole(running: Running, connect: Connect) -> None:
    landing = landed(connect("salesforce"), "accounts")
    record_id = next(iter(running.world.accounts))
    running.world.change("account", record_id, Name="First", Website="first.example")
    running.world.tick(120)
    change = partial(running.world.change, "account", record_id, at=running.world.now)
    running.salesforce.faults.run(lambda: change(Name="Second", Website="second.example"), "SELECT.*Website")
    landing.read_on(connect("salesforce"))
    assert (landing.all[(record_id,)]["name"], landing.all[(record_id,)]["website"]) == ("Second", "second.example")


def test_what_changes_at_every_question_ends_the_read_for_now(running: Running, connect: Connect) -> None:
    landing = landed(connect("salesforce"), "accounts")
    record_id = next(iter(running.world.accounts))
    running.world.change("account", record_id, Name="0")
    for number in range(9):
        change = partial(running.world.change, "account", record_id, at=running.world.now + timedelta(seconds=number + 1))
        running.salesforce.faults.run(partial(change, Name=str(number)), "SELECT.*Website", after=number)
    before = dict(landing.all)
    with pytest.raises(SourceError, match="Records of Account change faster than they can be read in") as caught:
        landing.read_on(connect("salesforce"))
    assert caught.value.transient
    assert landing.all == before


@pytest.mark.parametrize(
    ("name", "kind", "field"), [("accounts", "account", "Name"), ("opportunity_stages", "opportunity_stage", "Description")]
)
def test_what_changes_between_two_parts_is_not_taken_for_gone(
    opened: Callable[[str], Stream], name: str, kind: str, field: str
) -> None:
    one = opened(name)
    lost, changed = (record["Id"] for record in list(one.world.alive(kind))[:2])
    with one.ours.warehouse.loading("lose a row") as bulk:
        bulk.execute(f"delete from salesforce.{name} where id = $1", [lost])
    one.world.tick(SETTLED)
    change = partial(one.world.change, kind, changed, **{field: "Changed meanwhile"})
    one.ours.running.salesforce.faults.run(change, "SELECT.*LastModifiedDate.*Id\\+%3E%3D")
    complete(one.sync(), name)
    one.check()


def test_what_is_deleted_for_good_between_two_parts_is_gone_the_next_time(opened: Callable[[str], Stream]) -> None:
    one = opened("opportunity_stages")
    gone = next(one.world.alive("opportunity_stage"))["Id"]
    one.ours.running.salesforce.faults.run(
        lambda: salesforce_org.purge(one.world, "opportunity_stage", gone), "SELECT.*LastModifiedDate"
    )
    complete(one.sync(), one.name)
    assert one.table()[(gone,)]["_deleted_at"] is None  # fewer came than Salesforce had counted
    complete(one.sync(), one.name)
    one.check()
