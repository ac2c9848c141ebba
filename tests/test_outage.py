"""A tool that does not answer: what stays open, what is hidden, what is said of it, and what happens when it is given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from connectors.sandbox.world import Record, World
from orchestration.config import Jira
from tests.flaws import Hands
from tests.night import Company, Row, company
from warehouse.gaps import RuleReport

READS = tuple(f"jira/{read.name}" for read in Jira().reads())


@dataclass
class Outage:
    """Jira answers nobody for a day and a half, and some days later again.

    `open`: what was open before, during and after the first outage, during the second, and once Jira was given up; `reports`
    are of that last night. `already` was open before the
    first, `caused` came of it, `mended` went while it lasted, `between` opened after it and before the second.
    """

    already: str
    caused: str
    mended: str
    between: str
    open: list[dict[tuple[str, str], Row]]
    reports: dict[str, RuleReport]


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    with company(World(size="tiny"), tmp_path_factory.mktemp("outage")) as small:
        small.off = ("pendo",)
        hands = Hands(small.world)
        gone = hands.issue()
        already, mended = hands.ask(hands.any_organization()), hands.deal(hands.any_account(), Blocking_Feature__c="CORE-9999")
        hands.link(already, gone)
        past = hands.deal(hands.any_account(), closes_in=-5)
        small.world.delete("issue", gone["id"])
        small.world.tick(3600)
        small.night()
        found = [_open(small)]

        caused = _break_jira(small, lambda: _mend(hands, mended, past))
        found.append(_open(small))
        small.running.jira.faults.clear()
        small.night()
        found.append(_open(small))
        between = hands.deal(hands.any_account(), Blocking_Feature__c="CORE-9999")
        small.world.tick(3600)
        small.night()

        _break_jira(small, hours=60)
        found.append(_open(small))
        small.off = ("pendo", "jira")
        reports = {report.rule: report for report in small.refresh()}
        found.append(_open(small))
        yield Outage(str(already["id"]), caused, mended["Id"], between["Id"], found, reports)


def _break_jira(small: Company, meanwhile: Callable[[], None] = lambda: None, hours: int = 36) -> str:
    """A night with Jira down for so long, in which a ticket was linked to a new issue. Returns the ticket."""
    small.running.jira.faults.answer(401, times=1_000)
    hands = Hands(small.world)
    ticket = hands.ask(hands.any_organization())
    hands.link(ticket, hands.issue())
    meanwhile()
    small.world.tick(hours * 3600)
    small.night()
    return str(ticket["id"])


def _mend(hands: Hands, blocked: Record, past: Record) -> None:
    hands.world.change("opportunity", blocked["Id"], Blocking_Feature__c=None)
    hands.world.change("opportunity", past["Id"], CloseDate=hands.world.day(20))


def _open(small: Company) -> dict[tuple[str, str], Row]:
    return {(gap["rule"], gap["entity_id"]): gap for gap in small.rows("unified.gaps") if gap["status"] == "open"}


def test_an_outage_closes_no_gap_whose_rule_reads_that_tool(outage: Outage) -> None:
    before, during, after, *_ = outage.open
    blocked = ("blocker_without_issue", outage.mended)
    assert blocked in before
    assert blocked in during
    assert blocked not in after


def test_an_outage_keeps_no_gap_open_whose_rule_reads_other_tools(outage: Outage) -> None:
    before, during, *_ = outage.open
    assert [rule for rule, _ in before].count("deal_past_close_date") == 1
    assert [rule for rule, _ in during].count("deal_past_close_date") == 0


def test_what_did_not_arrive_is_itself_a_gap_while_it_lasts(outage: Outage) -> None:
    late = [{thing: gap["severity"] for (rule, thing), gap in found.items() if rule == "source_late"} for found in outage.open]
    assert late == [{}, dict.fromkeys(READS, "high"), {}, dict.fromkeys(READS, "critical"), {}]


def test_a_late_source_suppresses_the_gaps_that_it_causes_and_no_others(outage: Outage) -> None:
    _, during, after, again, _ = outage.open
    caused, already = ("link_to_missing_issue", outage.caused), ("link_to_missing_issue", outage.already)
    assert during[caused]["suppressed_by"] == during["source_late", "jira/issues"]["gap_id"]
    assert during[already]["suppressed_by"] is None
    assert caused not in after
    assert after[already]["suppressed_by"] is None
    assert again[already]["suppressed_by"] is None


def test_a_second_outage_suppresses_only_what_appeared_since_it_began(outage: Outage) -> None:
    again = outage.open[3]
    suppressed = {key for key, gap in again.items() if gap["suppressed_by"]}
    assert ("blocker_without_issue", outage.between) in again.keys() - suppressed
    assert [rule for rule, _ in suppressed] == ["link_to_missing_issue"]


def test_a_rule_whose_tool_is_off_does_not_run_and_says_so(outage: Outage) -> None:
    blocked = outage.reports["blocker_without_issue"]
    assert (blocked.ran, blocked.why_not) == (False, "jira not connected")
    assert ("blocker_without_issue", outage.between) in outage.open[4]
    assert outage.reports["lost_without_reason"].ran
