"""A model or a rule against what stands, before it takes its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.synced import raw_tables
from tests.warehouse.things import rows_of
from warehouse import migrate, models, trial
from warehouse.engine import Warehouse, WarehouseError, verbatim
from warehouse.selects import ModelError
from warehouse.trial import GapChange, RuleTrial, TableTrial

RULE = """\
-- title: Deal with an amount
-- severity: high
-- owner: product operations
-- fix: Mend it.
-- inputs: salesforce/opportunities
-- entity: opportunity
select
    deal.id as entity_id,
    cast(null as text) as customer_id,
    cast(null as text) as feature_id,
    deal.name as title,
    cast(null as text) as detail,
    cast(null as text) as owner,
    deal.amount as stake_amount,
    'pipeline' as stake_kind,
    cast(null as text) as url
from salesforce.opportunities as deal
where deal.amount > 10
"""


@pytest.fixture
def standing(warehouse: Warehouse) -> Warehouse:
    """Two deals, a and b; the table issue_keys as it was made of two issues; a gap of the rule in RULE that is gone since."""
    migrate.prepare(warehouse, raw_tables())
    with warehouse.begin("what stands") as connection:
        for statement in (
            "insert into settings.clock values (timestamptz '2026-03-01', date '2026-03-01', 'UTC')",
            "insert into settings.options (fresh_hours) values (26)",
            "insert into settings.reads values ('salesforce', 'opportunities', true)",
            "insert into salesforce.opportunities (id, name, amount) values ('a', 'A', 5), ('b', 'B', 700)",
            "insert into unified.gaps (gap_id, rule, title, stake_amount, stake_kind, status)"
            " values ('g_old', 'deals', 'Old', 40, 'pipeline', 'open'), ('g_done', 'deals', 'Done', 1, 'pipeline', 'resolved')",
        ):
            connection.execute(verbatim(statement))
    return warehouse


MODEL = """\
-- One row per deal.
-- key: deal_id
-- deal_id text: The deal.
-- title text: Its name.
-- amount decimal: What it brings.
select
    deal.id as deal_id,
    deal.name as title,
    deal.amount
from salesforce.opportunities as deal
"""


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_model_shows_what_it_would_add_remove_and_change(standing: Warehouse, tmp_path: Path) -> None:
    path = written(tmp_path, "sums.sql", MODEL)
    new = trial.run(standing, path, raw_tables())
    assert isinstance(new, TableTrial)
    assert (new.stands, new.rows) == (False, 2)

    with standing.begin("last night") as connection:
        models.build(connection, models.read_model(path), models.library().shape(raw_tables()))
        connection.execute(verbatim("update salesforce.opportunities set name = 'B2' where id = 'b'"))
        connection.execute(verbatim("insert into salesforce.opportunities (id, name) values ('c', 'C')"))
        connection.execute(verbatim("delete from salesforce.opportunities where id = 'a'"))
    found = trial.run(standing, path, raw_tables())

    assert isinstance(found, TableTrial)
    assert found.counts == {"added": 1, "removed": 1, "changed": 1}
    assert found.examples == {
        "added": [("c", {})],
        "removed": [("a", {})],
        "changed": [("b", {"title": ("B", "B2")})],
    }
    assert rows_of(standing, "select deal_id, title from unified.sums order by 1") == [("a", "A"), ("b", "B")]

    wider = MODEL.replace("-- amount decimal: What it brings.", "-- kind text: Which.").replace("deal.amount", "'x' as kind")
    columns = trial.run(standing, written(tmp_path, "sums.sql", wider), raw_tables())
    assert isinstance(columns, TableTrial)
    assert (columns.columns_added, columns.columns_removed) == (["kind"], ["amount"])


def test_a_rule_shows_which_gaps_would_open_and_close_and_what_is_at_stake(standing: Warehouse, tmp_path: Path) -> None:
    found = trial.run(standing, written(tmp_path, "deals.sql", RULE), raw_tables())

    assert isinstance(found, RuleTrial)
    assert [(gap.title, gap.stake_amount, gap.stake_kind) for gap in found.opens] == [("B", 700, "pipeline")]
    assert found.closes == [GapChange("g_old", "Old", found.closes[0].stake_amount, "pipeline")]
    assert found.closes[0].stake_amount == 40
    assert found.note == "It would close nothing while salesforce/opportunities is late."
    assert rows_of(standing, "select count(*) from unified.gap_events") == [(0,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MODEL.replace("deal.amount", "deal.amuont as amount"), r"x\.sql:9: .*amuont"),
        (RULE.replace("salesforce.opportunities", "salesforce.deals"), r"x\.sql:17: reads salesforce\.deals, which does not"),
        (RULE.replace("-- severity: high\n", ""), r"x\.sql:1: lacks severity"),
        ("drop table unified.gaps", r"x\.sql:1: "),
        (MODEL.replace("deal.name as", "pg_read_file('x') as"), r"x\.sql:8: uses pg_read_file"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(standing: Warehouse, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        trial.run(standing, written(tmp_path, "x.sql", text), raw_tables())


def test_a_file_that_is_not_there_is_told_in_one_line(standing: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"none\.sql cannot be read: No such file"):
        trial.run(standing, tmp_path / "none.sql", raw_tables())
