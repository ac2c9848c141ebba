"""The commands that copy a warehouse and bring it back, as people type them, and the backup that each refresh makes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from connectors.sandbox.world import World
from orchestration import settings
from orchestration.cli import app
from tests.homes import keep_no_events
from tests.night import Company, company


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A company that uses Jira alone, after one night."""
    with company(World(size="tiny"), tmp_path_factory.mktemp("home")) as ours:
        ours.off = ("salesforce", "zendesk", "pendo")
        keep_no_events(ours.home / "dagster")
        settings.put(ours.environment)
        ours.sync()
        result = run("refresh")
        assert result.exit_code == 0, result.stderr
        yield ours


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def moved_to(ours: Company, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new home with nothing in it."""
    keep_no_events(home / "dagster")
    monkeypatch.setenv("FULLPICTURE_HOME", str(home))
    monkeypatch.setenv("WAREHOUSE_URL", f"duckdb:///{home / 'warehouse.duckdb'}")
    monkeypatch.delenv("DAGSTER_HOME")


def test_each_refresh_makes_a_backup_and_forgets_old_runs(ours: Company) -> None:
    before = {path.name for path in (ours.home / "backup").iterdir()}
    assert len(before) == 1
    with ours.warehouse.begin("set up") as connection:
        for run_id, years in (("long ago", 3), ("longer ago", 4)):
            connection.execute(
                sa.text(
                    "insert into sync.runs (run_id, tool, read, status, started_at) values (:id, 'jira', 'issues', 'failed',"
                    f" now() - interval '{years} years')"
                ),
                {"id": run_id},
            )

    assert run("refresh").exit_code == 0

    assert len({path.name for path in (ours.home / "backup").iterdir()} - before) == 1
    assert ours.ask("select run_id from sync.runs where status = 'failed'") == [{"run_id": "long ago"}]


def test_a_backup_is_restored_into_a_new_home_and_refreshed_only_after_a_sync(
    ours: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run("backup")
    assert made.exit_code == 0, made.stderr
    folder = made.stdout.strip()
    features = ours.rows("unified.features_history")
    moved_to(ours, tmp_path, monkeypatch)

    result = run("restore", folder)
    assert result.exit_code == 0, result.stderr
    assert "Next: fullpicture sync, then fullpicture refresh" in result.stdout
    early = run("refresh")
    assert early.exit_code == 1
    assert "was restored, and they have not been read since. Run fullpicture sync first" in early.stderr
    assert len(early.stderr.strip().splitlines()) == 2  # the reason, and what was not rebuilt

    assert [run(command).exit_code for command in ("sync", "refresh")] == [0, 0]
    with settings.load().warehouse().begin("look") as connection:
        found = connection.execute(sa.text("select * from unified.features_history")).mappings()
        assert sorted(map(dict, found), key=repr) == sorted(features, key=repr)


def test_with_all_a_refresh_is_enough(ours: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run("backup", "--all").stdout.strip()
    moved_to(ours, tmp_path, monkeypatch)

    assert "Next: fullpicture refresh" in run("restore", folder).stdout
    assert run("refresh").exit_code == 0
    again = run("restore", folder)

    assert again.exit_code == 1
    assert "holds rows already" in again.stderr
    assert "--replace" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1


def test_what_is_no_backup_is_told_in_one_line(ours: Company, tmp_path: Path) -> None:
    result = run("restore", str(tmp_path))

    assert result.exit_code == 1
    assert f"{tmp_path} is no backup: manifest.json cannot be read" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
