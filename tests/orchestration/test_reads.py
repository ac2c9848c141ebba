"""What becomes of a read through Dagster's jobs: tried how often, recorded how, read anew when, on either database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from connectors.sandbox.world import World
from orchestration import settings, synced
from orchestration.cli import app
from tests.homes import keep_no_events
from tests.night import Company, company
from warehouse.engine import Warehouse


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Company]:
    with company(World(size="tiny"), tmp_path) as tiny:
        settings.put(tiny.environment)
        yield tiny


def run(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == exit_code, result.stdout + result.stderr
    return result


def listed(*arguments: str) -> list[dict[str, Any]]:
    gaps: list[dict[str, Any]] = json.loads(run("gaps", "--json", *arguments).stdout)
    return gaps


def ask(sql: str) -> list[Any]:
    with settings.load().warehouse().begin("a test asks") as connection:
        return [tuple(row) for row in connection.execute(sa.text(sql))]


def test_a_map_that_stays_as_it_is_reads_nothing_anew(tiny: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    cursors: list[object] = []
    actual = synced.load.cursor

    def cursor(*arguments: Any, **named: Any) -> Any:
        cursors.append(actual(*arguments, **named))
        return cursors[-1]

    monkeypatch.setattr(synced.load, "cursor", cursor)
    run("sync", "salesforce")
    assert not any(cursors)
    cursors.clear()
    run("sync", "salesforce")
    assert cursors
    assert cursors.count(None) == 2  # what an org with one currency does not have


def test_a_tool_that_is_half_set_is_a_failed_read_whose_gap_says_what_to_set(tiny: Company) -> None:
    settings.put({"JIRA_API_TOKEN": None})
    run("sync", "jira", exit_code=1)
    tiny.refresh()

    line = "Jira is only half set: set JIRA_API_TOKEN too, or unset JIRA_URL and JIRA_EMAIL"
    assert set(ask("select tool, status, error from sync.runs where status = 'failed'")) == {("jira", "failed", line)}
    late = ask("select detail from unified.gaps where rule = 'source_late' and entity_id like 'jira/%'")
    assert late
    assert all(detail.endswith(f"The last try: {line}") for (detail,) in late)


def test_what_an_account_lacks_is_known_as_of_the_tools_own_clock(tiny: Company) -> None:
    run("sync", "salesforce")
    known = ask("select read, covered_until from sync.runs where status = 'unavailable' order by read")
    assert [read for read, _ in known] == ["currency_types", "dated_conversion_rates"]
    assert all(abs((at - tiny.world.now).total_seconds()) < 60 for _, at in known)


def test_an_error_nobody_foresaw_is_tried_once_and_kept_without_anybodys_data(
    tiny: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def choke(*_: object, read: str, **__: object) -> None:
        tries.append(read)
        email = "ann@acme.example"
        reason = ValueError(f'Duplicate key "{email}"\nDETAIL: ({email})')
        raise sa.exc.IntegrityError("insert into x values (:email)", {"email": email}, reason)  # the line of code is kept

    monkeypatch.setattr(synced.load, "load", choke)
    result = run("sync", "jira", exit_code=1)  # with the waits of a night this would take minutes

    assert len(tries) == len(set(tries)) > 1
    assert "ValueError: Duplicate key … (a fault in fullpicture: --verbose shows where)" in result.stderr
    assert set(ask("select status, error from sync.runs")) == {("failed", "ValueError: Duplicate key …")}
    kept = b"".join(file.read_bytes() for file in (tmp_path / "dagster").rglob("*") if file.is_file())
    assert b"Duplicate key" in kept
    assert b"in choke" in kept  # the place in the code
    assert b"ann@acme" not in kept


def test_the_refresh_keeps_nobodys_data_either(tiny: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import unified

    def choke(*_: object) -> None:
        name = "ann@acme.example"
        raise ValueError(f"cannot read '{name}'")  # the line of code is kept

    monkeypatch.setattr(unified.identity, "resolve", choke)
    result = run("refresh", exit_code=1)
    assert "ValueError: cannot read … (a fault in fullpicture: --verbose shows where)" in result.stderr
    kept = b"".join(file.read_bytes() for file in (tmp_path / "dagster").rglob("*") if file.is_file())
    assert b"cannot read" in kept
    assert b"ann@acme" not in kept


def test_the_jobs_run_on_postgresql(tmp_path: Path, new_database: Callable[[], str]) -> None:
    with company(World(size="tiny"), tmp_path, new_database()) as ours:
        keep_no_events(tmp_path / "dagster")
        settings.put(ours.environment)
        for command in (["gaps"], ["sql", "select * from unified.customers"]):
            said = run(*command, exit_code=1).stderr
            assert said == "There are no tables yet: run fullpicture sync and fullpicture refresh first.\n"
        run("sync")
        assert "There are no tables yet" in run("gaps", exit_code=1).stderr  # not that there are none
        run("refresh")
        assert "can be written" in run("check").stdout
        assert ask("select count(*) > 0 from unified.customers") == [(True,)]
        standing = "select count(*) as gaps from unified.gaps where status = 'open' and suppressed_by is null"
        assert json.loads(run("sql", "--json", standing).stdout) == [{"gaps": len(listed())}]
        assert "0 put aside" in run("rejects").stdout
        nobody_who_is_gone_stands_anywhere(ours)


def nobody_who_is_gone_stands_anywhere(ours: Company) -> None:
    """Whom a tool deleted, and whom somebody erased; not in the versions that the views do not show either."""
    agent = next(user for user in ours.world.alive("zendesk_user") if user["role"] == "agent")
    seller = ours.world.salesforce_users[next(ours.world.alive("opportunity"))["OwnerId"]]
    theirs = [value.lower() for value in (agent["name"], agent["email"], seller["Name"], seller["Email"])]
    before = "\n".join(ours.told().values())
    assert all(value in before for value in theirs)

    ours.world.delete("zendesk_user", agent["id"])
    ours.world.tick(4000)
    run("sync", "zendesk")
    run("privacy", "erase", seller["Email"], "--yes")

    assert {place for place, text in ours.told().items() if any(value in text for value in theirs)} == set()


def test_check_finds_that_a_warehouse_cannot_be_written(
    tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*settings.VENDOR_VARIABLES, "FULLPICTURE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    owner = Warehouse(new_database(), tmp_path)
    reader = f"reader_of_{owner.url.database}"
    with owner.begin("a test") as connection:
        connection.execute(sa.text(f"create role {reader} login password 'hush'"))
    try:
        url = owner.url.set(username=reader, password="hush").render_as_string(hide_password=False)
        monkeypatch.setenv("WAREHOUSE_URL", url)
        said = run("check", exit_code=1).stdout
        assert "cannot be written: permission denied for database" in said
        assert "Let its user create schemas and tables." in said
        assert "hush" not in said
    finally:
        with owner.begin("a test") as connection:
            connection.execute(sa.text(f"drop role {reader}"))
