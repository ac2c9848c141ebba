"""The commands about the tools: what a first read will cost, reading again, what was put aside, what is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from connectors.sandbox.world import World
from orchestration import settings
from orchestration.cli import app
from tests.homes import keep_no_events
from tests.night import Company, company


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Company]:
    with company(World(size="tiny"), tmp_path) as tiny:
        keep_no_events(tmp_path / "dagster")
        settings.put(tiny.environment)
        yield tiny


def run(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == exit_code, result.stdout + result.stderr
    return result


def ask(sql: str) -> list[Any]:
    with settings.load().warehouse().begin("a test asks") as connection:
        return [tuple(row) for row in connection.execute(sa.text(sql))]


def change(sql: str) -> None:
    with settings.load().warehouse().begin("a test spoils a row") as connection:
        connection.execute(sa.text(sql))


def choose(tiny: Company, tool: str, **chosen: object) -> None:
    tiny.chosen = {tool: chosen}
    settings.put(tiny.environment)


def requests_of(tiny: Company, tool: str) -> int:
    return len([entry for entry in getattr(tiny.running, tool).log if "token" not in entry.target])


@pytest.mark.parametrize("tool", ["salesforce", "jira", "zendesk", "pendo"])
def test_an_estimate_comes_close_to_what_the_first_read_then_takes(tiny: Company, tool: str) -> None:
    said = run("estimate", tool).stdout
    [line] = [line for line in said.splitlines() if line.startswith("all")]
    estimated = int(line.split()[1].replace(",", ""))
    before = requests_of(tiny, tool)
    run("sync", tool)
    taken = requests_of(tiny, tool) - before
    assert 0.5 * taken <= estimated <= 2 * taken, said


def test_a_command_leaves_the_next_one_what_it_learned_of_the_days_requests(tiny: Company) -> None:
    tiny.running.salesforce.daily_requests = 30
    for command in ("sync", "estimate"):
        result = run(command, "salesforce", exit_code=1)
        assert "24 of 30 requests of the day are used" in " ".join((result.stdout + result.stderr).split())
    assert tiny.running.salesforce.used == 24


def test_a_table_is_read_again_as_a_whole_and_mended(tiny: Company) -> None:
    tiny.sync(["zendesk"])
    [(before,)] = ask("select count(*) from zendesk.tickets")
    change("update zendesk.tickets set subject = 'spoilt'")
    tiny.sync(["zendesk"])
    assert ask("select distinct subject from zendesk.tickets") == [("spoilt",)]  # nothing changed in Zendesk

    assert "zendesk/tickets" in run("resync", "zendesk.tickets").stdout
    assert ask("select count(*) from zendesk.tickets where subject = 'spoilt'") == [(0,)]
    assert ask("select count(*) from zendesk.tickets") == [(before,)]


@pytest.mark.parametrize("since", [(), ("--since", "2026-01-01")])
def test_a_table_that_was_never_read_is_read_as_a_whole(tiny: Company, since: tuple[str, ...]) -> None:
    run("resync", "zendesk.tickets", *since)
    assert ask("select count(*) from zendesk.tickets where _deleted_at is null") == [(len(list(tiny.world.alive("ticket"))),)]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("rejects",), "There are no tables yet: run fullpicture sync and fullpicture refresh first."),
        (("rejects", "replay", "zendesk"), "zendesk: nothing is put aside"),
        (("gaps", "snooze", "none", "--until", "2027-01-01"), "There is no open gap none"),
    ],
)
def test_a_command_before_anything_was_read_says_so_in_one_line(tiny: Company, command: tuple[str, ...], said: str) -> None:
    result = run(*command, exit_code=0 if "replay" in command else 1)
    (line,) = (result.stdout + result.stderr).splitlines()
    assert said in line


def test_a_table_is_read_again_since_a_day(tiny: Company) -> None:
    tiny.sync(["salesforce"])
    change("update salesforce.contacts set title = 'spoilt'")
    rows = ask("select id, system_modstamp from salesforce.contacts order by system_modstamp")
    day = rows[len(rows) // 2][1].date()

    run("resync", "salesforce/contacts", "--since", day.isoformat())

    mended = {row[0] for row in ask("select id from salesforce.contacts where title is distinct from 'spoilt'")}
    assert {id_ for id_, at in rows if at.date() >= day} <= mended < {id_ for id_, _ in rows}


def test_what_is_read_again_since_a_day_knows_what_it_knew(tiny: Company) -> None:
    """Which fields there were and were named how, and when formulas were last looked at."""
    org, world = tiny.running.salesforce, tiny.world
    choose(tiny, "salesforce", fields={"accounts": {"segment": "Success Plan"}})
    org.hidden = {"Account.Website"}
    tiny.sync(["salesforce"])
    account = next(iter(world.accounts))
    org.labels = {"Account.Success_Plan__c": "Plan"}
    world.tick(8 * 86_400)
    for each in list(world.accounts):
        world.create("opportunity", AccountId=each, Name="More", CloseDate="2027-01-01", Amount=500.0)
    world.change("account", account, Success_Plan__c="Grow")
    world.tick(300)

    again = ("resync", "salesforce.accounts", "--since", world.day(0))
    run(*again)
    assert ask(f"select segment from salesforce.accounts where id = '{account}'") == [("Grow",)]
    pipelines = {id_: json.loads(extra)["Open_Pipeline__c"] for id_, extra in ask("select id, extra from salesforce.accounts")}
    sums = dict.fromkeys(world.accounts, 0.0)
    for deal in world.alive("opportunity"):
        if not deal["IsClosed"]:
            sums[deal["AccountId"]] += deal["Amount"]
    assert pipelines == sums

    org.hidden = set()
    run(*again)
    websites = dict(ask("select id, website from salesforce.accounts"))
    assert websites == {id_: found["Website"] for id_, found in world.accounts.items()}


def test_a_table_that_is_none_is_refused_with_the_nearest(tiny: Company) -> None:
    said = run("resync", "zendesk.ticket", exit_code=1).stderr
    assert said == "zendesk.ticket is not a table that is read from a tool; did you mean zendesk.tickets?\n"


def test_what_was_lost_with_a_permission_is_believed_after_a_resync(tiny: Company) -> None:
    tiny.sync(["jira"])
    for project in tiny.world.projects.values():
        tiny.running.jira.hidden_projects.add(project["key"])
    said = run("sync", "jira", exit_code=1).stderr
    assert "probably a permission was lost" in said
    assert "fullpicture resync jira.issues" in said
    assert ask("select count(*) > 0 from jira.issues where _deleted_at is null") == [(True,)]

    run("resync", "jira.issues")
    assert ask("select count(*) from jira.issues where _deleted_at is null") == [(0,)]


def test_what_was_put_aside_is_listed_and_loaded_from_its_original_once_it_can_be(tiny: Company) -> None:
    ticket = next(tiny.world.alive("ticket"))
    ticket["due_at"] = "some day"
    tiny.world.changed("ticket")
    tiny.sync(["zendesk"])
    run("refresh")
    [listed] = json.loads(run("rejects", "--json").stdout)
    assert (listed["table_name"], listed["record_id"], listed["column_name"]) == (
        "zendesk.tickets",
        str(ticket["id"]),
        "due_at",
    )
    assert "zendesk.tickets: 0 loaded, 1 still put aside" in run("rejects", "replay", "zendesk").stdout

    change("update sync.rejects set original = '\"2026-12-01T00:00:00Z\"'")  # as if the column had learnt to hold it
    asked = requests_of(tiny, "zendesk")
    assert "zendesk.tickets: 1 loaded, 0 still put aside" in run("rejects", "replay", "zendesk").stdout
    assert requests_of(tiny, "zendesk") == asked
    [(due, extra)] = ask(f"select due_at, extra from zendesk.tickets where id = {ticket['id']}")
    assert due.date().isoformat() == "2026-12-01"
    assert "due_at" not in json.loads(extra or "{}")
    assert ask("select count(*) from sync.rejects") == [(0,)]


def test_a_table_and_a_field_that_are_switched_off_are_not_asked_for_and_not_kept(tiny: Company) -> None:
    tiny.sync(["salesforce"])
    assert ask("select count(*) from salesforce.contacts where email is not null") != [(0,)]
    assert ask("select count(*) from salesforce.contacts where extra like '%MailingCity%' or phone is not null") is not None

    choose(tiny, "salesforce", without=["tasks", "contacts.email"])
    tiny.running.salesforce.log.clear()
    said = run("sync", "salesforce").stdout
    assert "salesforce/tasks" not in said
    assert ask("select count(*) from salesforce.contacts where email is not null or extra like '%\"Email\"%'") == [(0,)]
    targets = [entry.target for entry in tiny.running.salesforce.log]
    assert not any("FROM+Task" in target or "FROM%20Task" in target for target in targets)
    assert not any(("FROM+Contact" in t or "FROM%20Contact" in t) and "Email" in t for t in targets)


def test_a_first_read_may_begin_at_a_day_and_is_complete_from_there(tiny: Company) -> None:
    stamps = sorted(issue["fields"]["updated"] for issue in tiny.world.alive("issue"))
    day = stamps[len(stamps) // 2][:10]
    choose(tiny, "jira", since=day)
    tiny.sync(["jira"])
    updated = [at for (at,) in ask("select updated from jira.issues")]
    assert len(updated) == sum(stamp[:10] >= day for stamp in stamps)
    assert ask("select distinct reconciled from sync.counts where stream = 'issues'") == [(True,)]


def test_a_day_to_begin_at_may_move_back_and_not_forward(tiny: Company) -> None:
    tiny.sync(["jira"])
    issues = ask("select count(*) from jira.issues where _deleted_at is null")
    choose(tiny, "jira", since="2026-06-01")
    for again in ("sync", "resync"):
        said = run(again, "jira" if again == "sync" else "jira.issues", exit_code=1).stderr
        assert "jira.since now names the later 2026-06-01. Set it back" in said
    assert ask("select count(*) from jira.issues where _deleted_at is null") == issues
    choose(tiny, "jira")
    run("resync", "jira.issues")
    assert ask("select count(*) from jira.issues where _deleted_at is null") == issues


def test_check_proves_every_table_and_says_what_is_left(tiny: Company) -> None:
    said = run("check").stdout
    reads = [(tool.name, read) for tool in settings.load().connected for read in tool.section.reads()]
    for tool, read in reads:
        assert any(f"{tool}: {stream.name}" in said for stream in read.streams), (tool, read.name)
    assert "requests of the day left" in said


def test_every_table_has_a_check_that_its_counts_reconcile(tiny: Company) -> None:
    from orchestration.definitions import definitions

    checks = {key.name: key.asset_key for key in definitions().resolve_asset_graph().asset_check_keys}
    assert "counts_reconcile" in checks
    tiny.sync()
    rows = ask("select tool, stream, reconciled from sync.counts")
    counted = {(tool, stream) for tool, stream, _ in rows}
    assert all(reconciled for _, _, reconciled in rows)
    there = {
        (tool.name, stream.name)
        for tool in settings.load().connected
        for read in tool.section.reads()
        for stream in read.streams
    } - {tuple(row) for row in ask("select tool, read from sync.runs where status = 'unavailable'")}
    assert there <= counted
