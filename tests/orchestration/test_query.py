"""Somebody's SQL on PostgreSQL: it reads what the readers' role may read, for as long as it may, and does nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from orchestration import query, settings
from orchestration.cli import app
from orchestration.synced import raw_tables
from tests.warehouse.things import rows_of
from warehouse import migrate
from warehouse.engine import Warehouse, verbatim
from warehouse.publish import readers

WHO = """
    select current_user as who, has_schema_privilege('salesforce', 'usage') as sees_raw,
        has_schema_privilege('unified', 'create') as makes, current_setting('transaction_read_only') as read_only,
        current_setting('statement_timeout') as ends_after
"""
DENIED, BARRED, NO_SELECT = "permission denied", "is not allowed here: it can do more than read tables", "Give one SELECT"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]) -> Iterator[Warehouse]:
    warehouse = Warehouse(new_database(), tmp_path_factory.mktemp("work"))
    migrate.prepare(warehouse, raw_tables())
    with warehouse.begin("a refresh") as connection:
        connection.execute(verbatim("create table unified.customers as select 'Acme' as name"))
        connection.execute(verbatim("create table build.customers_a as select 'Acme' as name"))
        connection.execute(verbatim("insert into salesforce.users (id, name) values ('1', 'Ann Example')"))
        connection.execute(verbatim("insert into unified.gaps (gap_id, status, title) values ('g_1', 'open', 'No owner')"))
    readers.grant(warehouse, role(warehouse))
    yield warehouse
    with warehouse.begin("clean") as connection:
        connection.execute(verbatim(f"drop owned by {role(warehouse)} cascade"))
        connection.execute(verbatim(f"drop role {role(warehouse)}"))


def role(warehouse: Warehouse) -> str:
    return f"reader_of_{warehouse.url.database}"


@pytest.fixture
def choose(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets who reads."""
    for name in settings.VENDOR_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WAREHOUSE_URL", warehouse.url.render_as_string(hide_password=False))
    monkeypatch.setenv("FULLPICTURE_HOME", str(tmp_path))
    monkeypatch.setenv("FULLPICTURE_CONFIG", str(tmp_path / "fullpicture.yaml"))

    def put(role: str) -> None:
        (tmp_path / "fullpicture.yaml").write_text(yaml.dump({"publish": {"role": role}}))

    put(role(warehouse))
    return put


def run(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == exit_code, result.stdout + result.stderr
    return result


@pytest.mark.usefixtures("choose")
def test_it_runs_as_the_readers_role_in_a_transaction_that_only_reads_and_ends(warehouse: Warehouse) -> None:
    [who] = json.loads(run("sql", "--json", WHO).stdout)
    wanted = {"sees_raw": False, "makes": False, "read_only": "on", "ends_after": "1min"}
    assert who == {"who": role(warehouse), **wanted}
    assert json.loads(run("sql", "--json", "select name from unified.customers where name like 'A%'").stdout) == [
        {"name": "Acme"}
    ]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("select * from salesforce.users", DENIED),
        ("select * from sync.rejects", DENIED),
        ("select * from build.customers_a", DENIED),
        ("select rolpassword from pg_authid", DENIED),
        ("with a as (select 1), b as (select * from salesforce.users) select * from b", DENIED),
        ("set role none", NO_SELECT),
        ("set session authorization default", NO_SELECT),
        ("reset role; select * from salesforce.users", NO_SELECT),
        ("select 1; reset role", NO_SELECT),
        ("do $$ begin reset role; end $$", NO_SELECT),
        ("explain analyze delete from unified.gaps", NO_SELECT),
        ("copy unified.gaps to program 'cat'", NO_SELECT),
        ("with gone as (delete from unified.gaps returning 1) select * from gone", NO_SELECT),
        ("select 1 into unified.mine", NO_SELECT),
        ("select * from unified.gaps for update", "read-only transaction"),
        ("select set_config('role', 'none', false)", BARRED),
        ("select * from (select pg_catalog.set_config('transaction_read_only', 'off', true)) as a", BARRED),
        ("select query_to_xml('select set_config(''role'', ''none'', false)', true, true, '')", BARRED),
        ("select * from crosstab('select set_config(''role'', ''none'', false)') as (a text)", BARRED),
        ("select pg_advisory_lock(1)", BARRED),
    ],
)
@pytest.mark.usefixtures("choose")
def test_it_can_do_nothing_else(warehouse: Warehouse, statement: str, reason: str) -> None:
    said = run("sql", statement, exit_code=1)
    assert reason in said.stderr
    assert len(said.stderr.splitlines()) == 1
    assert "Ann Example" not in said.stdout
    assert rows_of(warehouse, "select count(*) from unified.gaps") == [(1,)]


@pytest.mark.usefixtures("choose")
def test_what_the_parser_takes_for_one_statement_and_the_database_for_two_is_refused(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "one_select", lambda sql, _: sql)
    assert "multiple commands" in run("sql", "reset role; select name from salesforce.users", exit_code=1).stderr


@pytest.mark.usefixtures("choose")
def test_what_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "SECONDS", 1)
    endless = "select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b"
    assert "There is no answer within 1 s: ask for less" in run("sql", endless, exit_code=1).stderr


def test_without_the_role_nobodys_sql_runs_unless_the_settings_want_none(choose: Callable[[str], None]) -> None:
    choose("readers_of_nobody")
    said = run("sql", "select name from salesforce.users", exit_code=1)
    assert "readers_of_nobody" in said.stderr
    assert "Ann Example" not in said.stdout
    [gap] = json.loads(run("gaps", "--json").stdout)  # our own questions go on
    assert gap["title"] == "No owner"
    choose("")
    assert "Ann Example" in run("sql", "select name from salesforce.users").stdout


@pytest.mark.usefixtures("choose")
def test_our_own_questions_see_what_the_role_does_not() -> None:
    assert "0 put aside" in run("rejects").stdout
