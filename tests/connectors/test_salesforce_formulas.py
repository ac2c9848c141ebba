"""Formulas, which change without a change of their record: looked at by schedule, and only what has changed read again."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest
from landing import Landing, landed

from connectors import salesforce_formulas
from connectors.base import Choices, Connector
from connectors.salesforce_formulas import Block, Blocks
from connectors.sandbox.serve import Running

Connect = Callable[..., Connector]
WEEK = 7 * 86_400


@pytest.fixture
def accounts(running: Running, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Landing:
    """Nine accounts, read once and hashed once, in blocks of two."""
    monkeypatch.setattr(salesforce_formulas, "BLOCK", 2)
    for number in range(3):
        running.world.create("account", Name=f"More {number}", OwnerId=next(iter(running.world.salesforce_users)))
    running.world.tick(120)
    landing = landed(connect("salesforce"), "accounts")
    running.world.tick(WEEK)
    return landing.read_on(connect("salesforce"))


def pipelines(landing: Landing) -> dict[str, float]:
    return {record_id: json.loads(row["extra"])["Open_Pipeline__c"] for (record_id,), row in landing.all.items()}


def true_pipelines(running: Running) -> dict[str, float]:
    sums = dict.fromkeys(running.world.accounts, 0.0)
    for deal in running.world.alive("opportunity"):
        if not deal["IsClosed"]:
            sums[deal["AccountId"]] += deal["Amount"]
    return sums


def win(running: Running, account: str) -> None:
    """Moves the account's open pipeline, and no stamp of the account."""
    running.world.create("opportunity", AccountId=account, Name="More", CloseDate="2027-01-01", Amount=500.0)


def asked(running: Running, part: str) -> list[str]:
    return [entry.target for entry in running.salesforce.log if part in entry.target]


def test_a_formula_that_changes_unnoticed_is_read_within_the_week(
    running: Running, connect: Connect, accounts: Landing
) -> None:
    account = sorted(running.world.accounts)[4]
    win(running, account)
    running.world.tick(6 * 86_400)
    running.salesforce.log.clear()
    accounts.read_on(connect("salesforce"))
    assert pipelines(accounts)[account] != true_pipelines(running)[account]
    assert not asked(running, "SELECT+Id%2COpen_Pipeline__c")
    running.world.tick(86_400 + 60)
    accounts.read_on(connect("salesforce"))
    assert pipelines(accounts) == true_pipelines(running)


def test_how_often_is_a_choice(running: Running, connect: Connect, accounts: Landing) -> None:
    account = sorted(running.world.accounts)[4]
    win(running, account)
    running.world.tick(86_400)
    assert pipelines(accounts.read_on(connect("salesforce", formulas_days=2))) != true_pipelines(running)
    assert pipelines(accounts.read_on(connect("salesforce", formulas_days=1))) == true_pipelines(running)


def test_only_the_block_that_has_changed_is_read_in_full(running: Running, connect: Connect, accounts: Landing) -> None:
    running.salesforce.page_size = None
    ids = sorted(running.world.accounts)
    win(running, ids[4])
    running.world.tick(WEEK)
    running.salesforce.log.clear()
    accounts.read_on(connect("salesforce"))
    assert len(asked(running, "SELECT+Id%2COpen_Pipeline__c")) == 1
    (block,) = asked(running, "Id+%3E%3D+")
    assert f"Id+%3E%3D+%27{ids[4]}%27+AND+Id+%3C%3D+%27{ids[5]}%27" in block


def test_what_comes_and_goes_changes_its_own_block_alone(running: Running, connect: Connect, accounts: Landing) -> None:
    running.salesforce.page_size = None
    ids = sorted(running.world.accounts)
    running.world.delete("account", ids[0])
    new = running.world.create("account", Name="New", OwnerId=next(iter(running.world.salesforce_users)))["Id"]
    running.world.tick(WEEK)
    running.salesforce.log.clear()
    accounts.read_on(connect("salesforce"))
    blocks = asked(running, "Id+%3E%3D+")
    assert len(blocks) == 2  # the first, and the last, which had a place left
    assert ids[1] in blocks[0]
    assert new in blocks[1]
    assert pipelines(accounts) | {ids[0]: 0.0} == true_pipelines(running) | {ids[0]: 0.0}


def test_a_look_that_is_killed_goes_on_where_it_was(running: Running, connect: Connect, accounts: Landing) -> None:
    before, cursor = {key: dict(row) for key, row in accounts.all.items()}, accounts.cursor
    for account in list(running.world.accounts)[1::3]:
        win(running, account)
    running.world.tick(WEEK)
    whole = accounts.read_on(connect("salesforce")).batches
    expected = dict(accounts.all)
    for killed_after in range(1, whole):
        landing = Landing(accounts.read)
        landing.rows["accounts"], landing.cursor = {key: dict(row) for key, row in before.items()}, cursor
        landing.read_on(connect("salesforce"), only=killed_after)
        landing.cursor = json.loads(json.dumps(landing.cursor))
        running.salesforce.log.clear()
        landing.read_on(connect("salesforce"))
        assert landing.all == expected
        if killed_after > whole // 2:
            (narrow, *_) = asked(running, "SELECT+Id%2COpen_Pipeline__c") or ["Id+%3E+"]
            assert "Id+%3E+" in narrow  # not from the beginning


def test_a_second_look_finds_nothing(running: Running, connect: Connect, accounts: Landing) -> None:
    running.world.tick(WEEK)
    running.salesforce.log.clear()
    accounts.read_on(connect("salesforce"))
    assert asked(running, "SELECT+Id%2COpen_Pipeline__c")
    assert not asked(running, "Id+%3E%3D+")


def test_formulas_that_nobody_wants_are_not_looked_at(running: Running, connect: Connect) -> None:
    choices = Choices(without={"accounts": frozenset({"Open_Pipeline__c"})})
    landing = landed(connect("salesforce", choices=choices), "accounts")
    running.world.tick(WEEK)
    running.salesforce.log.clear()
    landing.read_on(connect("salesforce", choices=choices))
    assert not asked(running, "Open_Pipeline__c")


# blocks ----------------------------------------------------------------------------------------------------------------


def page(*ids: str, **values: int) -> bytes:
    return msgspec.json.encode([{"attributes": {}, "Id": record_id, "F": values.get(record_id, 0)} for record_id in ids])


def cut(blocks: Blocks, *pages: bytes) -> list[Block]:
    return [*(block for each in pages for block in blocks.add(each)), *blocks.rest()]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salesforce_formulas, "BLOCK", 3)


def test_blocks_are_cut_where_they_were_cut_before() -> None:
    blocks = Blocks(())
    first = cut(blocks, page("a", "b"), page("c", "d", "e"), page("f", "g"))
    assert [(block.first, block.last, block.changed) for block in first] == [
        ("a", "c", True),
        ("d", "f", True),
        ("g", "g", True),
    ]
    again = Blocks(json.loads(json.dumps(blocks.known)))
    second = cut(again, page("b", "c"), page("d", "e", "f"), page("g", "h", g=1))
    assert [(block.first, block.last, block.changed) for block in second] == [
        ("b", "c", True),
        ("d", "f", False),
        ("g", "h", True),
    ]


def test_the_order_of_a_page_and_doubles_in_it_do_not_matter() -> None:
    blocks = Blocks(())
    cut(blocks, page("a", "b", "c"), page("d"))
    assert not any(block.changed for block in cut(Blocks(blocks.known), page("c", "a", "b", "a"), page("d", "d")))


def test_a_look_can_go_on_after_any_block() -> None:
    blocks = Blocks(())
    pages = [page("a", "b", "c", "d"), page("e", "f", "g", "h")]
    found = iter([block for each in pages for block in blocks.add(each)])
    assert next(found).last == "c"
    known = json.loads(json.dumps(blocks.known))
    rest = Blocks(known)
    assert [(block.first, block.last) for block in cut(rest, page("d"), page("e", "f", "g", "h"))] == [("d", "f"), ("g", "h")]
    assert not any(block.changed for block in cut(Blocks(rest.known), page("a", "b", "c", "d"), page("e", "f", "g", "h")))
