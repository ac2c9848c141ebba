"""What is Jira's own beside the issues: its lists, boards, people and logged work, its fields, what a check tells."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from conftest import QUICK
from landing import Landing, landed, read

from connectors.base import Choices, Connector, Count, SourceError, Unavailable
from connectors.http import Limiter
from connectors.jira import Jira
from connectors.jira_fields import chosen
from connectors.sandbox import jira as stand_in
from connectors.sandbox import jira_site
from connectors.sandbox.serve import Running
from connectors.sandbox.server import RateLimit
from tests.truth.raw_jira import CASES

Connect = Callable[..., Connector]


def asked(running: Running) -> list[str]:
    return [entry.target.partition("?")[0].removeprefix("/rest/api/3/") for entry in running.jira.log]


# fields -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_custom_field_is_mapped_by_its_name_or_its_id(running: Running, connect: Connect, by: str) -> None:
    field = next(field for field in running.world.fields.values() if field["name"] == "Product area")
    issue = next(issue for issue in running.world.alive("issue") if issue["fields"].get(field["id"]))
    landing = landed(connect("jira", choices=Choices({"issues": {"product_area": field[by]}})), "issues")
    assert landing.all[(issue["id"],)]["product_area"] == chosen(issue["fields"][field["id"]])


def test_the_fields_are_not_asked_for_where_the_settings_name_ids_only(running: Running, connect: Connect) -> None:
    landed(connect("jira", choices=Choices({"issues": {"customer": jira_site.CUSTOMER}})), "issues")
    assert "field" not in asked(running)


def test_a_name_that_two_fields_share_is_an_error_that_lists_their_ids(running: Running, connect: Connect) -> None:
    running.jira.faults.answer(
        200, "field", body=[{"id": "customfield_1", "name": "Customer"}, {"id": "customfield_2", "name": "customer"}]
    )
    with pytest.raises(SourceError, match="customfield_1, customfield_2"):
        landed(connect("jira", choices=Choices({"issues": {"customer": "Customer"}})), "issues")


@pytest.mark.parametrize("duplicate", [False, True])
def test_a_mapped_field_that_is_renamed_or_doubled_is_still_read_and_the_log_says_so(
    running: Running, connect: Connect, caplog: pytest.LogCaptureFixture, duplicate: bool
) -> None:
    chosen_fields = Choices({"issues": {"customer": "Customer"}})
    landing = landed(connect("jira", choices=chosen_fields), "issues")
    if duplicate:
        schema = {"type": "string", "custom": "com.atlassian.jira.plugin.system.customfieldtypes:textfield"}
        running.world.create("field", id="customfield_19999", name="Customer", schema=schema)
    else:
        running.world.change("field", jira_site.CUSTOMER, name="Asked by")
    issue = next(iter(running.world.alive("issue")))
    asker: Any = {jira_site.CUSTOMER: "Halvohavn"}
    running.world.change("issue", issue["id"], **asker)
    running.world.tick(180)
    with caplog.at_level(logging.WARNING):
        landing.read_on(connect("jira", choices=chosen_fields))
    assert landing.all[(issue["id"],)]["customer"] == "Halvohavn"
    assert jira_site.CUSTOMER in caplog.text


def test_a_mapped_field_that_is_not_there_is_null_and_check_names_it(connect: Connect) -> None:
    connector = connect("jira", choices=Choices({"issues": {"customer": "No such field"}}))
    assert {row["customer"] for row in landed(connector, "issues").all.values()} == {None}
    assert "No such field" in next(finding.message for finding in connector.check() if finding.subject == "fields")


# lists ------------------------------------------------------------------------------------------------------------------


def test_a_page_of_projects_without_any_is_no_end_of_them(running: Running, connect: Connect) -> None:
    landing = landed(connect("jira"), "projects")
    running.jira.faults.answer(200, "project/search", after=1, body={"values": [], "isLast": False})
    alive = landing.alive
    with pytest.raises(SourceError, match="unexpected reply"):
        landing.read_on(connect("jira"))
    assert landing.alive == alive


def test_a_list_that_moves_while_it_is_read_is_read_once_more(running: Running, connect: Connect) -> None:
    """One record goes from an earlier page: the place that was its own is taken by one that is then passed over."""
    running.jira.page_size = 2
    landing = landed(connect("jira"), "priorities")
    running.jira.faults.run(lambda: running.world.delete("issue_priority", "1"), "priority/search", after=1)
    landing.read_on(connect("jira"))
    assert landing.alive == {record["id"] for record in running.world.alive("issue_priority")} == {"2", "3", "4", "5"}


def test_a_project_that_goes_while_its_parts_are_read_costs_nobody_else(running: Running, connect: Connect) -> None:
    running.jira.page_size = None
    gone = next(iter(running.world.projects))
    running.jira.faults.answer(404, f"project/{gone}$")
    landing = landed(connect("jira"), "projects")
    assert {row["project_id"] for row in landing.rows["versions"].values()} == set(running.world.projects) - {gone}


def test_only_projects_are_asked_for_where_their_parts_are_switched_off(running: Running, connect: Connect) -> None:
    running.jira.page_size = None
    connector = connect("jira")
    whole = read(connector, "projects")
    list(connector.batches(type(whole)("projects", whole.streams[:1]), None))
    assert asked(running) == ["project/search"]


def test_a_short_page_of_people_is_no_end_of_them(running: Running, connect: Connect) -> None:
    for number in range(9):
        running.world.create("jira_user", displayName=f"Colleague {number}")
    running.jira.page_size = 2
    landing = landed(connect("jira"), "users")
    assert landing.alive == set(running.world.jira_users)
    pages = [entry for entry in running.jira.log if "users/search" in entry.target]
    assert len(pages) > len(running.world.jira_users) / 2


def test_people_are_left_out_where_they_may_not_be_seen(running: Running, connect: Connect) -> None:
    running.jira.browses_users = False
    with pytest.raises(Unavailable, match="users"):
        landed(connect("jira"), "users")
    (finding,) = [finding for finding in connect("jira").check() if finding.subject == "users"]
    assert finding.ok
    assert finding.message.startswith("left out: ")


def test_a_hidden_address_is_null(running: Running, connect: Connect) -> None:
    user = next(user for user in running.world.alive("jira_user") if user.get("emailAddress"))
    running.world.change("jira_user", user["accountId"], emailAddress=None)
    assert landed(connect("jira"), "users").all[(user["accountId"],)]["email_address"] is None


def test_boards_without_sprints_have_none_and_one_that_several_show_is_one_row(running: Running, connect: Connect) -> None:
    running.jira.page_size = None
    landing = landed(connect("jira"), "boards")
    assert {key[0] for key in landing.rows["sprints"]} == set(running.world.store("sprint"))
    kanban = {board["id"] for board in running.world.alive("board") if board["type"] == "kanban"}
    assert not any(f"board/{number}/sprint" in path for number in kanban for path in asked(running))
    assert 400 in {entry.status for entry in running.jira.log}


def test_a_site_without_boards_is_no_error(running: Running, connect: Connect) -> None:
    running.jira.software = False
    with pytest.raises(Unavailable, match="boards"):
        landed(connect("jira"), "boards")


# logged work ------------------------------------------------------------------------------------------------------------


def test_logged_work_that_changed_in_one_moment_at_the_border_of_a_page_is_not_lost(running: Running, connect: Connect) -> None:
    issue = next(iter(running.world.issues))
    for _ in range(7):
        running.world.create("worklog", issue=issue, timeSpentSeconds=60, timeSpent="1m")
    running.world.tick(120)
    running.jira.page_size = 10  # two of them stand on the first page
    landing = landed(connect("jira"), "worklogs")
    assert landing.alive == {log["id"] for log in running.world.alive("worklog")}


def test_work_that_went_with_its_issue_is_missed(running: Running, connect: Connect) -> None:
    landing = landed(connect("jira"), "worklogs")
    log = next(iter(running.world.alive("worklog")))
    running.world.delete("issue", log["issue"])
    running.world.tick(120)
    landing.read_on(connect("jira"))
    assert landing.alive == {log["id"] for log in running.world.alive("worklog")}


def test_work_that_is_listed_and_lacks_is_fetched_by_its_id_or_put_aside(running: Running, connect: Connect) -> None:
    landing = landed(connect("jira"), "worklogs")
    lost = sorted(landing.alive)[:2]
    for key in lost:
        del landing.all[(key,)]
    missing = {"worklogs": pa.table({"id": lost})}
    landing.land(connect("jira").again(landing.read, landing.cursor, missing))
    assert set(lost) <= landing.alive
    running.jira.faults.answer(200, "worklog/list", body=[])
    landing.land(connect("jira").again(landing.read, landing.cursor, missing))
    assert [reject.record_id for reject in landing.rejects] == lost


@pytest.mark.parametrize("seconds", [0, 30, 59])
def test_work_edited_in_the_last_minute_is_not_taken_for_gone(running: Running, connect: Connect, seconds: int) -> None:
    landing = landed(connect("jira"), "worklogs")
    log, gone, *_ = running.world.alive("worklog")
    running.world.tick(3600)
    running.world.change("worklog", log["id"], timeSpentSeconds=60)
    new = running.world.create("worklog", issue=log["issue"], timeSpentSeconds=60, timeSpent="1m")
    running.world.delete("worklog", gone["id"])
    running.world.tick(seconds)
    landing.read_on(connect("jira"))
    assert landing.alive == {log["id"] for log in running.world.alive("worklog")}
    assert landing.all[(log["id"],)]["time_spent_seconds"] == 60
    assert new["id"] in landing.alive
    assert gone["id"] not in landing.alive


def test_work_edited_while_the_list_is_read_is_not_taken_for_gone(running: Running, connect: Connect) -> None:
    landing = landed(connect("jira"), "worklogs")
    *_, log = sorted(running.world.alive("worklog"), key=lambda log: log["updated"])

    def edit() -> None:
        running.world.tick(120)
        running.world.change("worklog", log["id"], timeSpentSeconds=60)

    running.world.tick(3600)
    running.jira.faults.run(edit, after=1)
    landing.read_on(connect("jira"))
    assert landing.alive == {log["id"] for log in running.world.alive("worklog")}


def test_a_quiet_night_asks_for_the_list_of_logged_work_and_what_it_may_hide_only(running: Running, connect: Connect) -> None:
    running.jira.page_size = None
    landing = landed(connect("jira"), "worklogs")
    running.world.tick(timedelta(days=1).total_seconds())
    running.jira.log.clear()
    landing.read_on(connect("jira"))
    assert asked(running) == ["worklog/updated", "search/jql"]


# asking -----------------------------------------------------------------------------------------------------------------


def test_an_oauth_app_reads_the_site_behind_the_gateway(running: Running) -> None:
    url = running.jira.base_url + stand_in.GATEWAY
    connector = Jira(url, access_token=stand_in.ACCESS_TOKEN, patience=QUICK)
    assert landed(connector, "issues").alive == set(running.world.issues)
    assert landed(connector, "boards").alive == set(running.world.store("board"))
    assert all(entry.target.startswith(stand_in.GATEWAY) for entry in running.jira.log)
    assert all(finding.ok for finding in connector.check())
    assert "API token" not in next(connector.check()).message


def test_a_list_of_which_one_goes_and_another_comes_while_it_is_read_is_read_again(running: Running, connect: Connect) -> None:
    make = CASES["priorities"].make
    assert make
    make(running.world, 7 - len(list(running.world.alive("issue_priority"))))
    landing = landed(connect("jira"), "priorities")
    first = next(running.world.alive("issue_priority"))["id"]

    def swap() -> None:
        running.world.delete("issue_priority", first)
        make(running.world, 1)  # as many as before

    running.jira.faults.run(swap, "priority/search.*startAt=2")
    landing.read_on(connect("jira"))
    assert landing.alive == {each["id"] for each in running.world.alive("issue_priority")}


@pytest.mark.parametrize(("name", "kind"), [("priorities", "issue_priority"), ("projects", "project"), ("boards", "board")])
def test_of_a_list_that_is_short_of_its_count_nothing_is_taken_for_gone(
    running: Running, connect: Connect, name: str, kind: str
) -> None:
    landing = landed(connect("jira"), name)
    before = {stream: set(rows) for stream, rows in landing.rows.items()}
    known = [record["id"] for record in running.world.alive(kind)]
    running.jira.kept_back = {known[-1]}

    batches = list(connect("jira").batches(landing.read, landing.cursor))

    assert not any(batch.present for batch in batches)
    assert batches[-1].counted[name] == Count(len(known))
    landing.land(batches)
    alive = {stream: {key for key, row in rows.items() if row["_deleted_at"] is None} for stream, rows in landing.rows.items()}
    assert alive == before  # of what hangs on it as well

    running.jira.kept_back = set()
    running.world.delete(kind, known[-1])
    assert landing.read_on(connect("jira")).alive == set(known[:-1])


def test_a_reply_about_permissions_that_names_none_is_taken_for_a_refusal(running: Running, connect: Connect) -> None:
    running.jira.faults.answer(200, "mypermissions", body={"permissions": {}})
    found = {each.subject: each.message for each in connect("jira").check()}
    assert found["projects"].startswith("The user of JIRA")


def test_a_limit_of_one_endpoint_slows_that_one_only(running: Running, connect: Connect) -> None:
    running.jira.limits["/rest/api/3/issue/bulkfetch"] = RateLimit(3, seconds=1)
    landing = landed(connect("jira"), "issues")
    assert landing.alive == set(running.world.issues)
    assert {entry.target for entry in running.jira.log if entry.status == 429} <= {"/rest/api/3/issue/bulkfetch"}
    held = {bucket for (_, bucket), limiter in Limiter._all.items() if limiter._free_at > 0}
    assert held == {"/rest/api/{id}/issue/bulkfetch"}


def test_check_speaks_of_every_stream_and_of_the_limits_with_few_requests(running: Running, connect: Connect) -> None:
    connector = connect("jira")
    findings = list(connector.check())
    assert all(finding.ok for finding in findings)
    streams = [stream.name for each in connector.reads for stream in each.streams]
    assert [finding.subject for finding in findings] == ["login", *streams, "limits"]
    assert "Europe/Copenhagen" in findings[0].message
    assert "350 requests" in findings[-1].message
    assert len(running.jira.log) <= 8


def test_check_says_that_projects_may_not_be_browsed(running: Running, connect: Connect) -> None:
    body = {"permissions": {"BROWSE_PROJECTS": {"havePermission": False}}}
    running.jira.faults.answer(200, "mypermissions", body=body)
    findings = {finding.subject: finding for finding in connect("jira").check()}
    assert not findings["projects"].ok
    assert not findings["comments"].ok
    assert findings["statuses"].ok


@pytest.mark.parametrize("fields", [{}, {"issues": {"customer": "Customer", "product_area": "Product area"}}])
def test_check_asks_for_the_fields_at_most_once(running: Running, connect: Connect, fields: dict[str, dict[str, str]]) -> None:
    assert all(finding.ok for finding in connect("jira", choices=Choices(fields)).check())
    assert asked(running).count("field") == (1 if fields else 0)


def test_an_estimate_counts_issues_projects_and_boards_and_says_what_it_does_not_know(
    running: Running, connect: Connect
) -> None:
    connector = connect("jira")
    estimates = {estimate.read: estimate for estimate in connector.estimate(connector.reads)}
    assert estimates.keys() == {each.name for each in connector.reads}
    assert (estimates["issues"].records, estimates["issues"].requests) == (len(running.world.issues), 5)
    assert (estimates["projects"].records, estimates["projects"].requests) == (4, 5)
    assert estimates["boards"].records == len(running.world.store("board"))
    assert all(estimate.note for estimate in estimates.values())


def test_a_read_begins_at_a_moment_or_reads_everything(running: Running, connect: Connect) -> None:
    connector = connect("jira")
    moment = running.world.now - timedelta(days=1)
    for name in ("issues", "worklogs"):
        landing = Landing(read(connector, name))
        landing.cursor = connector.at(landing.read, moment)
        landing.read_on(connector)
        assert all(row["updated"] >= moment - timedelta(minutes=20) for row in landing.all.values())
    assert connector.at(read(connector, "projects"), moment) is None
