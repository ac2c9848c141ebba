"""Nights over the stand-ins, through Dagster's own jobs and the command line: HTTP in, tables out."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from connectors.sandbox.serve import Running
from connectors.sandbox.world import World
from orchestration import query, settings
from orchestration.cli import app
from tests.homes import keep_no_events
from tests.night import Company, Row, company
from tests.test_picture import KEYS, agree
from tests.truth.picture import Nights
from tests.truth.raw import TABLES, Shown, check


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A company that has seen one whole night."""
    with company(World(), tmp_path_factory.mktemp("home"), processes=True) as ours:
        settings.put(ours.environment)
        for command in ("sync", "refresh"):
            result = run(command)
            assert result.exit_code == 0, result.stderr
        yield ours


@pytest.fixture
def running(ours: Company) -> Running:
    return ours.running


@pytest.fixture
def home(ours: Company) -> Path:
    return ours.home


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def ask(sql: str) -> object:
    return query.ask(settings.load(), sql).rows


def test_a_night_fills_the_tables_and_publishes_them(home: Path) -> None:
    assert (home / "published" / "fullpicture.duckdb").exists()
    assert ask("select count(*) > 0 from unified.customers") == [(True,)]
    assert ask("select count(*) > 0 from unified.gaps where status = 'open'") == [(True,)]


def test_the_jobs_fill_the_tables_with_what_is_true(home: Path, running: Running) -> None:
    raw, picture = Shown(running.world).tonight(), Nights(running.world).tonight()
    with settings.load().warehouse().begin("a test asks") as connection:

        def rows(table: str) -> list[Row]:
            return [dict(row) for row in connection.execute(sa.text(f"select * from {table}")).mappings()]

        for table in TABLES:
            check(table, rows(table), raw[table])
        for table in KEYS.keys() - {"gaps", "ticket_issue_links"}:
            agree(getattr(picture, table), rows(f"unified.{table}"), KEYS[table])
        agree(picture.gaps, [row for row in rows("unified.gaps") if row["status"] == "open"], KEYS["gaps"])


def test_a_second_sync_with_nothing_changed_writes_no_row(home: Path) -> None:
    result = run("sync", "jira")
    assert result.exit_code == 0
    written = {line.split()[0]: line.split()[2:] for line in result.stdout.splitlines() if line.startswith("jira/")}
    assert {"jira/fields", "jira/issues", "jira/projects"} <= set(written)
    assert all(counts == ["0", "0", "0", "0"] for counts in written.values())


def test_a_run_from_the_command_line_stands_in_the_ui_with_its_trigger(home: Path) -> None:
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="refresh"))
        assert runs
        assert runs[-1].tags["fullpicture/trigger"] == "cli"
        assert instance.get_latest_materialization_event(dg.AssetKey(["unified", "customers"]))


def test_a_wrong_credential_fails_the_sync_in_one_line_that_names_the_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIRA_API_TOKEN", "wrong-token")
    result = run("sync", "jira")
    assert result.exit_code == 1
    assert "JIRA_API_TOKEN" in result.stderr
    assert "wrong-token" not in result.stderr
    assert "Traceback" not in result.stderr


def test_a_tool_that_is_off_fails_at_once_and_says_which_variables_to_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JIRA_URL", "JIRA_EMAIL", "JIRA_API_TOKEN"):
        monkeypatch.delenv(name)
    result = run("sync", "jira")
    assert result.exit_code == 1
    assert "Jira is off: set JIRA_URL JIRA_EMAIL JIRA_API_TOKEN, or JIRA_URL JIRA_ACCESS_TOKEN to read it" in result.stderr


def test_another_world_is_refused(home: Path, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIRA_URL", running.environment["ZENDESK_URL"])
    result = run("sync", "jira")
    assert result.exit_code == 1
    assert "Two worlds must not mix" in result.stderr


def test_accepting_a_table_that_does_not_exist_names_the_nearest(home: Path) -> None:
    result = run("refresh", "--accept", "customrs")
    assert result.exit_code == 1
    assert "customrs is not a table that is rebuilt; did you mean customers?" in result.stderr


@pytest.mark.parametrize("command", ["sync", "refresh", "check"])
def test_a_home_that_cannot_be_made_is_one_line(
    home: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FULLPICTURE_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    result = run(command)

    assert result.exit_code == 1
    assert "FULLPICTURE_HOME" in result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout


def test_a_gap_that_somebody_snoozes_or_acknowledges_leaves_the_list(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.setenv("FULLPICTURE_HOME", str(tmp_path / "copy"))

    def listed() -> list[str]:
        return [gap["gap_id"] for gap in json.loads(run("gaps", "--json").stdout)]

    first, second, *rest = listed()
    assert run("gaps", "snooze", first, "--until", "2099-12-31").exit_code == 0
    assert run("gaps", "acknowledge", second).exit_code == 0
    assert listed() == rest

    refused = run("gaps", "acknowledge", "g_nope")
    assert refused.exit_code == 1
    assert "There is no open gap g_nope" in refused.stderr


def test_a_table_that_lost_most_of_its_rows_keeps_its_old_version_until_somebody_accepts_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.setenv("FULLPICTURE_HOME", str(tmp_path / "copy"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    keep_no_events(tmp_path / "dagster")
    warehouse = settings.load().warehouse()
    with warehouse.begin("lose most links") as connection:
        connection.execute(sa.text("delete from zendesk.jira_links where id not like '%0'"))
        connection.execute(sa.text("update sync.versions set version = version + 1"))  # as loading does

    def links() -> int:
        with warehouse.begin("count") as connection:
            return int(connection.execute(sa.text("select count(*) from unified.links")).scalar_one())

    before = links()
    published = settings.load().published / "fullpicture.duckdb"
    published_before = published.stat().st_mtime_ns
    result = run("refresh")
    assert result.exit_code == 1
    assert "unified.links keeps its old version: it would shrink" in result.stderr
    assert "Not rebuilt, since they build on it:" in result.stderr
    assert "unified/records" in result.stdout  # what does not build on links goes on
    assert published.stat().st_mtime_ns > published_before  # and reaches those who read
    assert links() == before

    result = run("refresh", "--accept", "links")
    assert "unified.links keeps" not in result.stderr
    assert links() < before / 2


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("drop table unified.customers", "Give one SELECT: nothing here can be changed."),
        ("select 1; select 2", "Give one SELECT: nothing here can be changed."),
        ("selec 1", "This is not valid SQL"),
        ("select * from read_csv('/etc/passwd')", "file system operations are disabled"),
        ("select nope from unified.customers", 'Referenced column "nope" not found'),
    ],
)
def test_sql_answers_one_select_and_nothing_else(home: Path, sql: str, message: str) -> None:
    result = run("sql", sql)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_text_that_a_spreadsheet_would_run_is_defused_in_csv(home: Path) -> None:
    assert run("sql", "--csv", "select '=1+1' as a, -3 as b").stdout.splitlines() == ["a,b", "'=1+1,-3"]


def test_a_query_that_takes_too_long_is_stopped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "SECONDS", 1)
    result = run("sql", "select count(*) from range(10000000) as a, range(10000000) as b")
    assert result.exit_code == 1
    assert result.stderr == "There is no answer within 1 s: ask for less, or narrow it down.\n"


@pytest.mark.parametrize(
    "call",
    [
        "pg_advisory_lock(1)",
        "pg_catalog.pg_advisory_xact_lock(1)",
        '"pg_terminate_backend"(1)',
        "pg_read_file('/etc/passwd')",
        "PG_Sleep(1)",
        "set_config('statement_timeout', '0', false)",
        "lo_import('/etc/passwd')",
        "dblink('host=elsewhere', 'select 1')",
        "dblink_exec('host=elsewhere', 'select 1')",
        "query_to_xml('select pg_advisory_lock(1)', true, true, '')",
        'U&"pg\\005fadvisory_lock"(1)',
    ],
)
@pytest.mark.parametrize("place", ["select {}", "select * from {}", "with a as (select {}) select * from a"])
def test_a_function_that_does_more_than_read_is_refused_on_postgresql(call: str, place: str) -> None:
    with pytest.raises(query.QueryError, match=r"is not allowed here: it can do more than read tables|not valid SQL"):
        query.one_select(place.format(call), "postgres")


@pytest.mark.parametrize("call", ["pg_typeof(1)", "pg_table_size('unified.customers')", "lower('A')", "my_own(1)", "count(*)"])
def test_a_function_that_only_reads_is_fine_on_postgresql(call: str) -> None:
    assert query.one_select(f"select {call}", "postgres")


@pytest.mark.parametrize("arguments", [["gaps"], ["gaps", "--json"], ["sql", "select 1", "--csv"]])
def test_a_reader_that_goes_away_hears_nothing_of_it(home: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-c", "from orchestration.cli import main; main()", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    process.stdout.close()  # as `| head` does, only sooner
    assert process.stderr
    assert process.stderr.read() == b""
    assert process.wait(30) == 1


@pytest.mark.parametrize(("statement", "code"), [("select 1", 0), ("drop table x", 1)])
def test_the_command_ends_with_a_code_that_says_whether_it_worked(home: Path, statement: str, code: int) -> None:
    command = [sys.executable, "-c", "from orchestration.cli import main; main()", "sql", statement]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, bool(done.stdout), bool(done.stderr)) == (code, not code, bool(code))


def test_gaps_can_be_narrowed_to_one_rule(home: Path) -> None:
    result = run("gaps", "--rule", "customer_without_owner", "--json")
    assert result.exit_code == 0
    assert result.stdout.count('"rule": "customer_without_owner"') == result.stdout.count('"rule"') > 0


def test_check_tries_every_tool(home: Path) -> None:
    result = run("check")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert "zendesk" in result.stdout
