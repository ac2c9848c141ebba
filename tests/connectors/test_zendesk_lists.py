"""What Zendesk only lists: whole lists page by page, ratings by weeks, schedules with holidays, links of both kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from landing import Landing, landed, read

from connectors.base import Connector, Read, SourceError, Unavailable
from connectors.sandbox.desk_settings import EXTERNAL_ID
from connectors.sandbox.serve import Running
from tests.truth.raw_zendesk import CASES

Connect = Callable[..., Connector]
LINKS, NEWER_LINKS = "/api/v2/jira/links", f"/api/v2/integrations/jira/{EXTERNAL_ID}/links"


def asked(running: Running) -> list[str]:
    return [entry.target.partition("?")[0] for entry in running.zendesk.log if "oauth" not in entry.target]


# lists ----------------------------------------------------------------------------------------------------------------


def test_a_list_is_asked_for_once_for_each_hundred(running: Running, connect: Connect) -> None:
    running.zendesk.page_size = None
    for number in range(201 - len(list(running.world.alive("group")))):
        running.world.create("group", name=f"Group {number}")
    assert len(landed(connect("zendesk"), "groups").alive) == 201
    assert asked(running) == ["/api/v2/groups.json"] * 3


@pytest.mark.parametrize("name", ["brands", "ticket_forms", "sla_policies", "custom_statuses", "ticket_fields"])
def test_every_way_of_paging_brings_all(running: Running, connect: Connect, name: str) -> None:
    CASES[name].make(running.world, 7)  # type: ignore[misc]
    landing = landed(connect("zendesk"), name)
    assert landing.alive == {key[0] for key in CASES[name].rows(running.world)}
    assert len(asked(running)) == (1 if name == "custom_statuses" else -(-len(landing.alive) // 3))


def test_groups_that_were_deleted_before_are_there_and_marked(running: Running, connect: Connect) -> None:
    gone = running.world.create("group", name="Night shift")["id"]
    running.world.delete("group", gone)
    landing = landed(connect("zendesk"), "groups")
    assert landing.all[(gone,)]["_deleted_at"] == landing.all[(gone,)]["updated_at"]
    assert landing.alive == {key[0] for key in CASES["groups"].rows(running.world)}


@pytest.mark.parametrize(("name", "kind", "later"), [
    ("ticket_forms", "ticket_form", "ticket_forms.*page=2"), ("jira_links", "jira_link", "jira/links.since_id"),
])  # fmt: skip
def test_what_goes_while_a_list_is_read_takes_nothing_else_with_it(
    running: Running, connect: Connect, name: str, kind: str, later: str
) -> None:
    running.zendesk.page_size = 2
    CASES[name].make(running.world, 9 - len(list(running.world.alive(kind))))  # type: ignore[misc]
    first = min((each["id"] for each in running.world.alive(kind)), key=int)
    landing = landed(connect("zendesk"), name)
    assert len(landing.alive) == 9
    running.zendesk.faults.run(lambda: running.world.delete(kind, first), later)
    landing.read_on(connect("zendesk"))
    assert landing.alive >= {each["id"] for each in running.world.alive(kind)}
    landing.read_on(connect("zendesk"))
    assert landing.alive == {each["id"] for each in running.world.alive(kind)}


def test_a_list_that_never_adds_up_takes_nothing_for_gone(running: Running, connect: Connect) -> None:
    running.zendesk.page_size = 2
    CASES["ticket_forms"].make(running.world, 5)  # type: ignore[misc]
    landing = landed(connect("zendesk"), "ticket_forms")
    known = landing.alive
    cut = {"ticket_forms": [], "next_page": None, "count": len(known)}
    running.zendesk.faults.answer(200, "ticket_forms.*page=2", times=3, body=cut)
    with pytest.raises(SourceError, match="counts other ticket_forms than it lists"):
        landing.read_on(connect("zendesk"))
    assert landing.alive == known


@pytest.mark.parametrize("name", ["organization_memberships", "satisfaction_ratings"])
def test_a_list_that_breaks_off_deletes_nothing(running: Running, connect: Connect, name: str) -> None:
    CASES[name].make(running.world, 7)  # type: ignore[misc]
    landing = Landing(read(connect("zendesk"), name)).read_on(connect("zendesk"), only=2)
    before = landing.alive
    running.zendesk.faults.answer(404, "page%5Bafter%5D")
    with pytest.raises(SourceError) as caught:
        landing.read_on(connect("zendesk"))
    assert not isinstance(caught.value, Unavailable)  # there is such a list: its beginning was shown
    assert landing.alive == before


def test_the_next_page_is_nowhere_but_on_the_configured_host(running: Running, connect: Connect) -> None:
    page = {"groups": [], "meta": {"has_more": True}, "links": {"next": "https://elsewhere.example/api/v2/groups.json"}}
    running.zendesk.faults.answer(200, "groups", body=page)
    with pytest.raises(SourceError, match=r"points to https://elsewhere\.example"):
        landed(connect("zendesk"), "groups")


def test_a_next_page_that_is_the_same_is_an_error_and_no_endless_read(running: Running, connect: Connect) -> None:
    def again(number: int) -> dict[str, object]:
        url = f"{running.zendesk.base_url}/api/v2/groups.json?page={number}"
        return {"groups": [], "meta": {"has_more": True}, "links": {"next": url}}

    for _ in range(9):
        running.zendesk.faults.answer(200, "groups", body=again(1))
    with pytest.raises(SourceError, match="does not move on"):
        landed(connect("zendesk"), "groups")


@pytest.mark.parametrize("name", ["sla_policies", "custom_statuses", "ticket_forms", "satisfaction_ratings", "schedules"])
@pytest.mark.parametrize("status", [403, 404])
def test_what_the_plan_does_not_hold_is_unavailable(running: Running, connect: Connect, name: str, status: int) -> None:
    stream = read(connect("zendesk"), name).streams[0]
    running.zendesk.faults.answer(status, stream.source.partition("?")[0])
    with pytest.raises(Unavailable, match=f"no {name} to this account"):
        landed(connect("zendesk"), name)


def test_a_list_that_every_account_has_is_not_unavailable(running: Running, connect: Connect) -> None:
    running.zendesk.forbidden = frozenset({"/api/v2/groups"})
    with pytest.raises(SourceError, match="the permission is missing") as caught:
        landed(connect("zendesk"), "groups")
    assert not isinstance(caught.value, Unavailable)


def test_an_account_without_a_help_center_has_no_articles(running: Running, connect: Connect) -> None:
    running.zendesk.faults.answer(404, "help_center", body=b"")
    with pytest.raises(Unavailable):
        landed(connect("zendesk"), "articles")


def test_an_article_that_is_gone_is_missed_though_its_export_hides_it(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "articles")
    gone = next(iter(landing.alive))
    running.world.delete("article", gone)
    running.world.tick(180)
    assert gone not in landing.read_on(connect("zendesk")).alive


@pytest.mark.parametrize("seconds", [0, 30, 59])
def test_an_article_that_changed_in_the_last_minute_is_not_taken_for_gone(
    running: Running, connect: Connect, seconds: int
) -> None:
    CASES["articles"].make(running.world, 5)  # type: ignore[misc]
    running.world.tick(3600)
    landing = landed(connect("zendesk"), "articles")
    *changed, gone = sorted(landing.alive)[:5]
    running.world.tick(3600)
    for article in changed:  # more than a page of the list
        running.world.change("article", article, body="<p>New</p>")
    running.world.delete("article", gone)
    running.world.tick(seconds)
    landing.read_on(connect("zendesk"))
    assert landing.alive == {article["id"] for article in running.world.alive("article")}
    assert all(landing.all[(article,)]["body"] == "<p>New</p>" for article in changed)


def test_an_article_that_changes_while_the_export_is_read_is_not_taken_for_gone(running: Running, connect: Connect) -> None:
    CASES["articles"].make(running.world, 5)  # type: ignore[misc]
    running.world.tick(3600)
    landing = landed(connect("zendesk"), "articles")
    last = max(running.world.alive("article"), key=lambda article: (article["updated_at"], article["id"]))
    running.zendesk.faults.run(lambda: running.world.change("article", last["id"], body="<p>New</p>"), "incremental", after=1)
    landing.read_on(connect("zendesk"))
    assert landing.alive == {article["id"] for article in running.world.alive("article")}


@pytest.mark.parametrize("later", [0, 4])
def test_a_second_with_more_articles_than_a_page_is_read_whole(running: Running, connect: Connect, later: int) -> None:
    running.zendesk.crowded_seconds = True
    CASES["articles"].make(running.world, 3 * 3 + 1)  # type: ignore[misc]
    running.world.tick(300)
    if later:
        CASES["articles"].make(running.world, later)  # type: ignore[misc]
        running.world.tick(300)
    landing = landed(connect("zendesk"), "articles")
    assert landing.alive == {article["id"] for article in running.world.alive("article")}


# schedules ------------------------------------------------------------------------------------------------------------


def test_holidays_are_asked_for_once_for_each_schedule(running: Running, connect: Connect) -> None:
    running.world.create("schedule", name="Weekend")
    landing = landed(connect("zendesk"), "schedules")
    assert len(asked(running)) == 1 + len(landing.alive) == 3
    assert {row["schedule_id"] for row in landing.rows["holidays"].values()} <= landing.alive


def test_who_wants_no_holidays_asks_for_none(running: Running, connect: Connect) -> None:
    connector = connect("zendesk")
    schedules, holidays = read(connector, "schedules").streams
    assert list(connector.batches(Read("schedules", (schedules,)), None))
    assert asked(running) == ["/api/v2/business_hours/schedules.json"]
    (batch,) = connector.batches(Read("schedules", (holidays,)), None)
    assert batch.rows.keys() == {"holidays"}


def test_a_schedule_that_goes_while_its_holidays_are_read_has_none(running: Running, connect: Connect) -> None:
    schedule = next(running.world.alive("schedule"))["id"]
    running.zendesk.faults.run(lambda: running.world.delete("schedule", schedule), "holidays")
    assert landed(connect("zendesk"), "schedules").rows["holidays"] == {}


# ratings --------------------------------------------------------------------------------------------------------------


def rate(running: Running, number: int) -> None:
    CASES["satisfaction_ratings"].make(running.world, number)  # type: ignore[misc]


def test_only_ratings_of_the_last_weeks_are_read_again(running: Running, connect: Connect) -> None:
    rate(running, 7)
    landing = landed(connect("zendesk"), "satisfaction_ratings")
    running.world.tick(timedelta(days=40).total_seconds())
    for _ in range(2):  # all, for it was a week ago; and then the last weeks
        landing.read_on(connect("zendesk"))
    rate(running, 2)
    running.zendesk.log.clear()
    landing.read_on(connect("zendesk"))
    assert asked(running) == ["/api/v2/satisfaction_ratings.json", "/api/v2/satisfaction_ratings/count.json"]
    assert landing.alive == {key[0] for key in CASES["satisfaction_ratings"].rows(running.world)}


def test_a_score_that_changes_after_weeks_is_read_within_a_week(running: Running, connect: Connect) -> None:
    rate(running, 4)
    landing = landed(connect("zendesk"), "satisfaction_ratings")
    running.world.tick(timedelta(days=40).total_seconds())
    landing.read_on(connect("zendesk"))
    landing.read_on(connect("zendesk"))
    old = next(key for (key,), row in landing.all.items() if row["score"] != "bad")
    running.world.change("satisfaction_rating", old, score="bad")
    asked_for_all = []
    for _ in range(15):
        running.world.tick(timedelta(days=1).total_seconds())
        running.zendesk.log.clear()
        landing.read_on(connect("zendesk"))
        asked_for_all.append("/api/v2/satisfaction_ratings/count.json" not in asked(running))
    assert landing.all[(old,)]["score"] == "bad"
    assert [night for night, whole in enumerate(asked_for_all, 1) if whole] == [7, 14]


def test_an_old_rating_that_went_is_found_by_the_count_and_all_are_read(running: Running, connect: Connect) -> None:
    rate(running, 4)
    connector = connect("zendesk")
    ratings = read(connector, "satisfaction_ratings")
    landing = landed(connector, "satisfaction_ratings")
    running.world.tick(timedelta(days=40).total_seconds())
    for _ in range(2):  # all, for it was a week ago; and then the last weeks
        landing.read_on(connector)
    old = next(iter(landing.alive))
    running.world.delete("satisfaction_rating", old)
    *_, last = batches = list(connector.batches(ratings, landing.cursor))
    landing.land(batches)
    assert last.counted["satisfaction_ratings"].rows == len(landing.alive) - 1
    landing.land(connector.again(ratings, landing.cursor, {}))
    assert old not in landing.alive


def test_a_count_that_zendesk_is_still_making_proves_nothing(running: Running, connect: Connect) -> None:
    running.zendesk.exact_up_to = 1
    rate(running, 4)
    landing = landed(connect("zendesk"), "satisfaction_ratings")
    *_, last = connect("zendesk").batches(landing.read, landing.cursor)
    assert not last.counted
    assert last.present["satisfaction_ratings"].span is not None


# links to Jira --------------------------------------------------------------------------------------------------------


def test_links_of_both_integrations_stand_in_one_table(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk", jira_integration=EXTERNAL_ID), "jira_links")
    first = {link["id"] for link in running.world.alive("jira_link")}
    newer = {link["id"] for link in running.world.alive("integration_link")}
    assert landing.alive == first | newer
    assert {key[0] for key, row in landing.all.items() if row["integration"] == EXTERNAL_ID} == newer
    link = next(running.world.alive("integration_link"))
    row = landing.all[(link["id"],)]
    assert (row["ticket_id"], row["issue_id"], row["issue_key"]) == (
        int(link["ticket_id"]),
        link["issue_id"],
        link["issue_key"],
    )


def test_a_link_of_the_newer_integration_comes_and_goes(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk", jira_integration=EXTERNAL_ID), "jira_links")
    gone = next(running.world.alive("integration_link"))["id"]
    running.world.delete("integration_link", gone)
    ticket, issue = list(running.world.tickets)[-1], list(running.world.issues)[-1]
    new = running.world.create("integration_link", ticket_id=ticket, issue_id=issue)["id"]
    landing.read_on(connect("zendesk", jira_integration=EXTERNAL_ID))
    assert gone not in landing.alive
    assert new in landing.alive


@pytest.mark.parametrize(("forbidden", "shown"), [(LINKS, "integration_link"), (NEWER_LINKS, "jira_link")])
def test_who_has_one_integration_only_gets_its_links(running: Running, connect: Connect, forbidden: str, shown: str) -> None:
    running.zendesk.forbidden = frozenset({forbidden})
    landing = landed(connect("zendesk", jira_integration=EXTERNAL_ID), "jira_links")
    assert landing.alive == {link["id"] for link in running.world.alive(shown)}


def test_that_fewer_links_come_than_zendesk_counts_is_an_error_and_no_deletion(running: Running, connect: Connect) -> None:
    landing = landed(connect("zendesk"), "jira_links")
    known = landing.alive
    assert len(known) > 3
    running.zendesk.faults.answer(200, LINKS, after=1, body={"links": [], "total": len(known)})
    with pytest.raises(SourceError, match="so none is taken for gone") as raised:
        landing.read_on(connect("zendesk"))
    assert raised.value.transient
    assert landing.alive == known


def test_who_has_no_integration_at_all_has_no_links(running: Running, connect: Connect) -> None:
    running.zendesk.forbidden = frozenset({LINKS, NEWER_LINKS})
    with pytest.raises(Unavailable):
        landed(connect("zendesk", jira_integration=EXTERNAL_ID), "jira_links")


def test_links_cost_one_request_for_each_thousand(running: Running, connect: Connect) -> None:
    running.zendesk.page_size = None
    landed(connect("zendesk"), "jira_links")
    assert asked(running) == [LINKS]


def test_a_read_of_links_that_dies_deletes_nothing_and_begins_again(running: Running, connect: Connect) -> None:
    landing = Landing(read(connect("zendesk"), "jira_links")).read_on(connect("zendesk"), only=1)
    assert json.loads(json.dumps(landing.cursor)) == {}
    landing.read_on(connect("zendesk"))
    assert landing.alive == {link["id"] for link in running.world.alive("jira_link")}
