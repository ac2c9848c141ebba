"""What the proof finds and mends in the warehouse itself: records purged, shared anew, lost, restored, archived."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import landing
import pyarrow as pa
import pytest
from contract import SETTLED, Stream, complete

from connectors import salesforce
from connectors.base import Connector
from connectors.sandbox import salesforce_org
from connectors.sandbox.salesforce import Salesforce
from connectors.sandbox.serve import Running
from tests.night import Company

Open = Callable[[str], Stream]


def server(one: Stream) -> Salesforce:
    return one.ours.running.salesforce


def asked(one: Stream, part: str) -> int:
    return sum(part in entry.target for entry in server(one).log)


def lose(one: Stream, record_id: str) -> None:
    with one.ours.warehouse.loading("lose a row") as bulk:
        bulk.execute(f"delete from salesforce.{one.name} where id = $1", [record_id])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("accounts", "account"),
        ("contacts", "contact"),
        ("tasks", "salesforce_task"),
        ("opportunity_history", "opportunity_history"),
    ],
)
def test_what_is_deleted_for_good_is_marked(opened: Open, name: str, kind: str) -> None:
    one = opened(name)
    gone = next(one.world.alive(kind))["Id"]
    salesforce_org.purge(one.world, kind, gone)
    one.world.tick(SETTLED)
    complete(one.sync(), name)
    one.check()
    assert one.table()[(gone,)]["_deleted_at"] is not None


def test_what_is_shared_later_is_brought_though_it_has_not_changed(opened: Open) -> None:
    one = opened("opportunities")
    ids = list(one.world.opportunities)[:4]
    server(one).unseen = set(ids)
    one.world.tick(86_400)
    complete(one.sync(), one.name)
    assert all(one.table()[(record_id,)]["_deleted_at"] for record_id in ids)
    server(one).unseen = set()
    one.world.tick(86_400)
    complete(one.sync(), one.name)
    one.check()


def test_a_row_that_the_warehouse_lost_comes_back_the_same_night(opened: Open) -> None:
    one = opened("contacts")
    lose(one, next(one.world.alive("contact"))["Id"])
    complete(one.sync(), one.name)
    one.check()


def test_a_difference_costs_as_many_pages_as_there_are(opened: Open) -> None:
    one = opened("contacts")
    server(one).page_size = None
    lose(one, next(one.world.alive("contact"))["Id"])
    server(one).log.clear()
    one.sync()
    assert asked(one, "queryAll?") == 3  # what has changed, the count, everything once more


def test_of_a_large_object_only_the_ids_are_asked_for_and_then_what_is_missing(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened("contacts")
    monkeypatch.setattr(salesforce, "LARGE", 5)
    lost, purged, *_, too = (contact["Id"] for contact in one.world.alive("contact"))
    lose(one, lost)
    for record_id in (purged, too):
        salesforce_org.purge(one.world, "contact", record_id)
    one.world.tick(SETTLED)
    server(one).log.clear()
    complete(one.sync(), one.name)
    one.check()
    assert one.table()[(purged,)]["_deleted_at"] is not None
    assert asked(one, "results") > 0  # the ids, by a Bulk job
    assert asked(one, "Id+IN+") == 1
    server(one).log.clear()
    complete(one.sync(), one.name)
    assert (asked(one, "Id+IN+"), asked(one, "results"), asked(one, "COUNT")) == (0, 0, 1)


def test_differences_that_cancel_each_other_are_found_within_a_week(opened: Open) -> None:
    one = opened("contacts")
    lost, purged, *_ = (contact["Id"] for contact in one.world.alive("contact"))
    lose(one, lost)
    salesforce_org.purge(one.world, "contact", purged)
    one.world.tick(SETTLED)
    complete(one.sync(), one.name)  # as many here as there, and yet not the same
    one.world.tick(7 * 86_400)
    complete(one.sync(), one.name)
    one.check()


def test_what_salesforce_cannot_count_in_time_is_listed(running: Running, connect: Callable[..., Connector]) -> None:
    too_long = [{"message": "Your query request was running for too long.", "errorCode": "QUERY_TIMEOUT"}]
    running.salesforce.faults.answer(400, "COUNT", times=4, body=too_long)
    connector = connect("salesforce")
    (*_, last) = connector.batches(landing.read(connector, "contacts"), None)
    ids = last.present["contacts"].keys["id"].to_pylist()
    assert sorted(ids) == sorted(contact["Id"] for contact in running.world.alive("contact"))


def test_ids_that_are_asked_for_are_escaped(opened: Open) -> None:
    one = opened("contacts")
    connector = one.connector()
    read = one.read_of(connector)
    list(connector.batches(read, None))
    lost = next(one.world.alive("contact"))["Id"]
    server(one).log.clear()
    batches = list(connector.again(read, None, {one.name: pa.table({"id": [lost, "x' OR Id != '"]})}))
    (query,) = [entry.target for entry in server(one).log if "Id+IN+" in entry.target]
    assert "x%5C%27+OR+Id+%21%3D+%5C%27" in query
    assert [record_id for batch in batches for rows in batch.rows.values() for record_id in rows["id"].to_pylist()] == [lost]
    assert one.name in batches[-1].counted


def test_archived_tasks_are_read_and_counted(opened: Open) -> None:
    one = opened("tasks")
    old = salesforce_org.time(one.world.now - timedelta(days=500))[:10]
    owner = next(iter(one.world.salesforce_users))
    task = one.world.create("salesforce_task", Subject="Old call", ActivityDate=old, Status="Completed", OwnerId=owner)
    one.world.tick(SETTLED)
    server(one).log.clear()
    complete(one.sync(), one.name)
    one.check()
    assert one.table()[(task["Id"],)]["_deleted_at"] is None
    assert asked(one, "/query") == 2  # nothing differed


def test_what_is_made_and_changed_at_once_is_no_difference(opened: Open) -> None:
    """A record that was made in time and changed while we read must not be left out."""
    one = opened("contacts")
    contact = one.world.create("contact", LastName="Quick", OwnerId=next(iter(one.world.salesforce_users)))
    one.world.tick(65)
    one.world.change("contact", contact["Id"], Title="Changed just now")
    server(one).log.clear()
    complete(one.sync(), one.name)
    one.check()
    assert asked(one, "queryAll?") == 2


def test_what_is_made_while_we_read_is_no_difference(opened: Open) -> None:
    one = opened("contacts")
    make = lambda: one.world.create("contact", LastName="New", OwnerId=next(iter(one.world.salesforce_users)))  # noqa: E731
    server(one).faults.run(make, "COUNT")
    server(one).log.clear()
    complete(one.sync(), one.name)
    assert asked(one, "/query") == 2


def test_a_restored_deal_brings_its_history_back(opened: Open) -> None:
    one = opened("opportunity_field_history")
    deal = next(one.world.alive("opportunity"))["Id"]
    for act in (one.world.delete, one.world.undelete):
        act("opportunity", deal)
        one.world.tick(86_400 * 2)
        complete(one.sync(), one.name)
        one.check()


def test_a_permission_that_was_lost_deletes_nothing(opened: Open) -> None:
    one = opened("contacts")
    before = one.table()
    server(one).unseen = set(one.world.contacts)
    one.world.tick(SETTLED)
    with pytest.raises(Exception, match="permission was lost"):
        one.sync()
    assert one.table() == before
    server(one).unseen = set()
    complete(one.sync(), one.name)
    one.check()


def test_a_read_that_takes_long_reads_on_before_it_counts(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one = opened("contacts")
    one.forget()
    server(one).page_size = 2

    def meanwhile() -> None:
        one.world.tick(3_600)
        one.world.delete("contact", next(one.world.alive("contact"))["Id"])
        one.world.tick(3_600)

    server(one).faults.run(meanwhile, "queryAll/", after=1)
    server(one).log.clear()
    complete(one.sync(), one.name)
    one.check()
    assert asked(one, "COUNT") == 1
    assert asked(one, "SystemModstamp+%3E%3D") == 1  # and the difference was none


def test_a_field_keeps_the_names_that_it_has_had(opened: Open) -> None:
    one = opened("fields")
    server(one).labels["Account.Success_Plan__c"] = "Plan for this year"
    one.sync()
    named = {key[2]: row["_deleted_at"] for key, row in one.table().items() if key[:2] == ("Account", "Success_Plan__c")}
    assert named["Plan for this year"] is None
    assert named["Success Plan"] is not None


def test_what_is_younger_than_the_lists_of_ids_look_is_not_taken_for_gone(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened("contacts")
    owner = next(iter(one.world.salesforce_users))
    one.world.tick(8 * 86_400)  # so that the ids are listed
    young = one.world.create("contact", LastName="Fresh", OwnerId=owner)["Id"]
    one.world.tick(20)
    complete(one.sync(), one.name)
    assert one.table()[(young,)]["_deleted_at"] is None

    monkeypatch.setattr(salesforce, "LARGE", 3)
    salesforce_org.purge(one.world, "contact", next(one.world.alive("contact"))["Id"])  # so that a difference is mended by ids
    younger = one.world.create("contact", LastName="Fresher", OwnerId=owner)["Id"]
    one.world.tick(20)
    complete(one.sync(), one.name)
    assert one.table()[(younger,)]["_deleted_at"] is None


def test_formulas_bring_nothing_that_is_older_than_the_day_to_begin_at(ours: Company, opened: Open) -> None:
    stamps = sorted(account["SystemModstamp"] for account in ours.world.alive("account"))
    day = stamps[len(stamps) // 2][:10]
    ours.chosen = {"salesforce": {"since": day}}
    one = opened("accounts")
    for _ in range(2):
        one.world.tick(8 * 86_400)
        complete(one.sync(), one.name)
        assert {key for (key,) in one.table()} == {
            account["Id"] for account in ours.world.alive("account") if account["SystemModstamp"] >= day
        }


def test_a_list_that_is_shorter_than_its_count_takes_nothing_for_gone(opened: Open) -> None:
    one = opened("opportunity_stages")
    stages = list(one.world.alive("opportunity_stage"))
    short = {"totalSize": len(stages), "done": True, "records": stages[1:]}
    server(one).faults.answer(200, "FROM\\+OpportunityStage", body=short)
    complete(one.sync(), one.name)
    one.check()

    lose(one, stages[0]["Id"])
    server(one).faults.answer(200, "FROM\\+OpportunityStage", times=2, body=short)
    proof = one.sync().proofs[one.name]
    assert (proof.source_rows, proof.stored_rows) == (len(stages), len(stages) - 1)
    complete(one.sync(), one.name)
    one.check()


@pytest.fixture
def history(opened: Open) -> Stream:
    """Of fields, some of it older than Salesforce keeps it, read when it was not."""
    one = opened("opportunity_field_history")
    server(one).history_kept = timedelta(days=730)
    one.world.tick(300 * 86_400)
    return one


def old(one: Stream) -> set[str]:
    border = one.world.now - timedelta(days=730)
    return {key for (key,), row in one.table().items() if row["created_date"] < border}


def test_history_that_is_kept_no_longer_is_no_difference_and_not_deleted(history: Stream) -> None:
    gone = old(history)
    assert gone
    assert len(gone) < len(history.table())
    for days in (1, 1, 8):  # the last time by ids
        history.world.tick(days * 86_400)
        server(history).log.clear()
        complete(history.sync(), history.name)
        assert {row["_deleted_at"] for row in history.table().values()} == {None}
        assert asked(history, "queryAll?") == 2  # what has changed, and the proof


@pytest.mark.parametrize("large", [salesforce.LARGE, 1])
def test_history_that_is_lost_or_purged_is_found_beside_what_is_kept_no_longer(
    history: Stream, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(salesforce, "LARGE", large)  # by pages, or by a Bulk job
    lost, purged = (
        history.world.create("opportunity", Name=name, CloseDate="2027-12-01", AccountId=next(iter(history.world.accounts)))[
            "Id"
        ]
        for name in ("Lost", "Purged")
    )
    history.world.tick(SETTLED)
    complete(history.sync(), history.name)
    before = history.table()
    of = {deal: {key for key, row in before.items() if row["opportunity_id"] == deal} for deal in (lost, purged)}
    assert all(of.values())
    for (key,) in of[lost]:
        lose(history, key)
    salesforce_org.purge(history.world, "opportunity", purged)
    history.world.create("opportunity", Name="More", CloseDate="2027-12-01", AccountId=next(iter(history.world.accounts)))
    history.world.tick(SETTLED)
    complete(history.sync(), history.name)
    after = history.table()
    assert {key for key in before if after[key]["_deleted_at"]} == of[purged]


def test_a_permission_that_was_lost_deletes_no_history(history: Stream) -> None:
    history.sync()
    before = history.table()
    server(history).unseen = set(history.world.store("opportunity_field_history"))
    history.world.tick(SETTLED)
    with pytest.raises(Exception, match="permission was lost"):
        history.sync()
    assert history.table() == before
