"""The commands by which people say what is one customer, as they type them: what waits, and what comes of their word."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from connectors.sandbox.world import Record, World
from orchestration import cli_customers, published, settings
from orchestration.cli import app
from tests.night import Company, Row, company


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=pytest.mark.soak)])
def ours(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Company]:
    """A company after a night, two accounts of which have an organization of the same name at another domain."""
    new_database: Callable[[], str] = request.getfixturevalue("new_database")
    with company(World(size="tiny"), tmp_path, new_database() if request.param == "postgresql" else None) as ours:
        ours.off = ("jira", "pendo")
        settings.put(ours.environment)
        for number, name in enumerate(("Brackenhurst Foods", "=Vexley Mills")):
            ours.world.create("account", Name=f"{name} Ltd", Website=f"one{number}.example", OwnerId=owner(ours.world))
            ours.world.create("organization", name=name, domain_names=[f"two{number}.example"])
        night(ours)
        yield ours


def owner(world: World) -> str:
    account: Record = next(world.alive("account"))
    found: str = account["OwnerId"]
    return found


def night(ours: Company) -> None:
    ours.world.tick(300)
    ours.night()
    published.publish(ours.settings(), ours.warehouse)


def run(*arguments: str, said: str = "") -> Result:
    return CliRunner().invoke(app, ["customers", "review", *arguments], input=said)


def link(ours: Company, name: str) -> Row:
    rows = ours.rows("unified.records")
    (organization,) = (row["record_id"] for row in rows if row["tool"] == "zendesk" and row["name"] == name)
    (found,) = (row for row in ours.rows("unified.customer_links") if row["record_id"] == organization and not row["valid_to"])
    return found


@pytest.mark.parametrize("ours", ["duckdb", "postgresql"], indirect=True)
def test_pairs_go_through_a_file_and_come_back_decided(ours: Company, tmp_path: Path) -> None:
    listed = run()
    assert listed.exit_code == 0, listed.stderr
    assert "2 pairs wait for a decision" in listed.stdout
    file = tmp_path / "pairs.csv"
    assert run("--to", str(file)).exit_code == 0
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert {row["left_name"] for row in rows} == {"Brackenhurst Foods", "'=Vexley Mills"}  # which no spreadsheet runs
    for row in rows:
        row["decision"] = "Always" if row["left_name"].startswith("B") else "never"
    with file.open("w", newline="", encoding="utf-8-sig") as opened:  # as a spreadsheet writes it in Europe
        writer = csv.DictWriter(opened, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)

    assert "2 decided" in run("--from", str(file)).stdout

    assert "No pair waits" in run().stdout
    assert link(ours, "Brackenhurst Foods")["method"] == "alone"
    for _ in range(2):
        night(ours)
        assert (link(ours, "Brackenhurst Foods")["method"], link(ours, "=Vexley Mills")["method"]) == ("override", "alone")
        assert ours.rows("unified.match_candidates") == []


def test_pairs_are_asked_for_one_by_one(ours: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_customers, "interactive", lambda: True)

    asked = run(said="maybe\nskip\nyes\n")
    assert asked.exit_code == 0, asked.stderr
    assert "1 decided" in asked.stdout
    assert "1 of 1" in (again := run(said="q\n")).stdout
    assert "Nothing was decided" in again.stdout
    night(ours)
    assert sorted(link(ours, name)["method"] for name in ("Brackenhurst Foods", "=Vexley Mills")) == ["alone", "override"]


WRONG = {
    "left,right\na,b\n": "has no column decision",
    "left,right,decision\na,b,perhaps\n": "line 2: write always or never, or leave it empty; not 'perhaps'",
    "left,right,decision\nzendesk/organization/1,salesforce/account/2,never\n": "There is no record zendesk/organization/1",
}


def test_a_file_that_says_nothing_is_told_in_one_line(ours: Company, tmp_path: Path) -> None:
    for text, message in WRONG.items():
        (tmp_path / "pairs.csv").write_text(text)

        said = run("--from", str(tmp_path / "pairs.csv"))

        assert said.exit_code == 1
        assert message in said.stderr
        assert len(said.stderr.splitlines()) == 1
    assert ours.rows("unified.match_overrides") == []

    run("--to", str(tmp_path / "pairs.csv"))
    with (tmp_path / "pairs.csv").open(newline="") as opened:
        first = next(iter(csv.DictReader(opened)))
    text = f"left,right,decision\n{first['left']},{first['right']},never\nzendesk/organization/1,{first['right']},never\n"
    (tmp_path / "pairs.csv").write_text(text)
    assert "There is no record zendesk/organization/1" in run("--from", str(tmp_path / "pairs.csv")).stderr
    assert "1 pairs wait" in run().stdout  # what stands above the mistake is decided, and asked for no more
