"""Each rule in a small company without flaws: a flaw is planted, beside things that look alike and are none, and mended.

All flaws are planted on one day and mended on the next, so that the rules are also seen to leave each other's things alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from connectors.sandbox.world import World
from tests.flaws import FLAWS, DealPastCloseDate
from tests.night import Row, company
from tests.truth.picture import Nights

REOPENED = DealPastCloseDate.rule
RULES = [flaw.rule for flaw in FLAWS]


@dataclass
class Course:
    """What the gaps were after each night: as it was, flaws planted, flaws mended, one flaw back."""

    planted: dict[str, dict[str, Row]]
    truth: list[set[tuple[str, str]]] = field(default_factory=list)
    gaps: list[list[Row]] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)

    def open(self, night: int, rule: str) -> dict[str, Row]:
        return {gap["entity_id"]: gap for gap in self.gaps[night] if gap["rule"] == rule and gap["status"] == "open"}

    def life(self, rule: str, thing: str) -> list[str]:
        ids = {gap["gap_id"] for gap in self.gaps[-1] if (gap["rule"], gap["entity_id"]) == (rule, thing)}
        events = sorted((event["happened_at"], event["event"]) for event in self.events if event["gap_id"] in ids)
        return [event for _, event in events]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    with company(World(size="tiny"), tmp_path_factory.mktemp("rules")) as small:
        flaws = {flaw.rule: flaw(small.world) for flaw in FLAWS}
        course, nights = Course({}), Nights(small.world)

        def night() -> None:
            small.world.tick(3600)
            small.night()
            course.truth.append(set(nights.tonight().gaps))
            course.gaps.append(small.rows("unified.gaps"))

        for flaw in flaws.values():
            flaw.before()
        night()
        course.planted = {rule: flaw.plant() for rule, flaw in flaws.items()}
        night()
        for flaw in flaws.values():
            flaw.mend()
        night()
        back = flaws[REOPENED]
        assert isinstance(back, DealPastCloseDate)
        back.relapse()
        night()
        course.events = small.rows("unified.gap_events")
        yield course


def test_a_company_without_flaws_has_no_gaps(course: Course) -> None:
    assert course.gaps[0] == []


@pytest.mark.parametrize("rule", RULES)
def test_a_planted_flaw_opens_a_gap_and_what_looks_alike_does_not(course: Course, rule: str) -> None:
    found = course.open(1, rule)
    assert found.keys() == course.planted[rule].keys()
    for thing, said in course.planted[rule].items():
        assert {name: found[thing][name] for name in said} == said
        assert found[thing]["title"]
        assert found[thing]["fix"]
        assert found[thing]["url"].startswith("http")


@pytest.mark.parametrize("rule", RULES)
def test_a_mended_flaw_is_resolved_and_stays_in_the_ledger(course: Course, rule: str) -> None:
    assert course.open(2, rule) == {}
    resolved = {gap["entity_id"]: gap for gap in course.gaps[2] if gap["rule"] == rule}
    assert resolved.keys() == course.planted[rule].keys()
    assert all(gap["resolved_at"] > gap["first_seen_at"] for gap in resolved.values())


@pytest.mark.parametrize("rule", RULES)
def test_the_events_of_a_gap_tell_its_life(course: Course, rule: str) -> None:
    expected = ["opened", "resolved", *(["reopened"] if rule == REOPENED else [])]
    assert {thing: course.life(rule, thing) for thing in course.planted[rule]} == dict.fromkeys(course.planted[rule], expected)


def test_a_flaw_that_comes_back_reopens_the_same_gap(course: Course) -> None:
    [(thing, again)] = course.open(3, REOPENED).items()
    first = course.open(1, REOPENED)[thing]
    assert (again["gap_id"], again["first_seen_at"]) == (first["gap_id"], first["first_seen_at"])
    assert (again["reopened_count"], again["resolved_at"]) == (1, None)


@pytest.mark.parametrize("night", range(4))
def test_the_truth_sees_the_same_gaps(course: Course, night: int) -> None:
    found = {(gap["rule"], gap["entity_id"]) for gap in course.gaps[night] if gap["status"] == "open"}
    assert found == course.truth[night]
