"""The demo writes where the demo belongs, whatever the user's own settings name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from connectors.http import Limiter
from connectors.sandbox.world import World
from orchestration import cli, demo, settings
from orchestration.cli import app
from tests.homes import keep_no_events


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A small world on free ports, of which one tool is enough here; what the demo sets is then taken back."""
    monkeypatch.setattr(demo, "PORTS", (0, 0, 0, 0))
    monkeypatch.setattr(demo, "World", partial(World, size="tiny"))
    start = demo.started

    @contextmanager
    def started(**chosen: Any) -> Iterator[list[str]]:
        with start(**chosen):
            keep_no_events(settings.load().dagster_home)
            yield ["jira"]

    monkeypatch.setattr(demo, "started", started)
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    Limiter._all.clear()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_demo_leaves_the_users_own_warehouse_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", f"duckdb:///{tmp_path / 'real.duckdb'}")
    result = run("demo")
    assert result.exit_code == 0, result.stderr
    assert not (tmp_path / "real.duckdb").exists()
    assert (tmp_path / "data" / "demo" / "work" / "warehouse.duckdb").exists()
    assert "FULLPICTURE_HOME=data/demo WAREHOUSE_URL= " in result.stdout  # or the next command would ask the real one


def test_the_demo_writes_to_a_warehouse_that_is_named_for_it(tmp_path: Path) -> None:
    url = f"duckdb:///{tmp_path / 'given.duckdb'}"
    result = run("demo", "--warehouse", url)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "given.duckdb").exists()
    assert not (tmp_path / "data" / "demo" / "work" / "warehouse.duckdb").exists()
    assert f"dev --demo --warehouse {url}" in result.stdout


def test_the_ui_shows_the_demos_warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def dagster(*_: str) -> int:
        shown.append(settings.load().warehouse_url)
        return 0

    monkeypatch.setattr(cli, "_dagster", dagster)
    monkeypatch.setenv("WAREHOUSE_URL", f"duckdb:///{tmp_path / 'real.duckdb'}")
    given = f"duckdb:///{tmp_path / 'given.duckdb'}"
    assert run("dev", "--demo").exit_code == 0
    assert run("dev", "--demo", "--warehouse", given).exit_code == 0
    assert shown == [f"duckdb:///{tmp_path}/data/demo/work/warehouse.duckdb", given]


def test_a_warehouse_for_the_demo_goes_with_the_demo_and_must_be_one() -> None:
    assert "--warehouse goes with --demo" in run("dev", "--warehouse", "duckdb:///x.duckdb").stderr
    assert "WAREHOUSE_URL is not a database address" in run("demo", "--warehouse", "nonsense").stderr
