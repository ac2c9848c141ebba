"""The data dictionary: what it tells, what it keeps to itself, and that hostile text stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestration import settings
from orchestration.synced import raw_tables, vendor_fields
from tests.browser import opened_page
from warehouse import migrate, models
from warehouse.engine import Warehouse, verbatim
from warehouse.publish import dictionary
from warehouse.publish.catalog import catalog

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def page(warehouse: Warehouse, tmp_path: Path) -> Callable[[], str]:
    """Publishes the dictionary over one issue of Jira, and the tables made from it."""
    migrate.prepare(warehouse, raw_tables())
    library = models.library()
    with warehouse.begin("a night") as connection:
        connection.execute(verbatim("insert into settings.clock values (timestamptz '2026-03-01', date '2026-03-01', 'UTC')"))
        connection.execute(verbatim("insert into settings.options (fresh_hours) values (26)"))
        connection.execute(
            sa.text(
                "insert into jira.issues (id, key, summary, assignee_account_id, assignee_name, assignee_email, issue_type)"
                " values ('7', 'APP-7', :text, 'a1', 'Ann Example', 'ann@acme.example', 'Bug')"
            ),
            {"text": HOSTILE},
        )
        for model in library:
            models.build(connection, model, library.shape(raw_tables()))
    fields = vendor_fields(settings.config_or_defaults())
    return lambda: dictionary.publish(warehouse, tmp_path / "published", raw_tables(), fields).read_text(encoding="utf-8")


def test_every_table_and_column_stands_in_it_with_its_meaning_and_where_it_comes_from(page: Callable[[], str]) -> None:
    text = page()

    for entry in catalog():
        section = text.split(f'<section id="{entry.name}">')[1].split("</section>")[0]
        assert set(re.findall(r"<td><code>(\w+)</code>", section)) == {column.name for column in entry.columns}
    issues = text.split('<section id="issues">')[1].split("</section>")[0]
    assert "jira.issues.key (" in issues
    assert "1 rows" in issues
    assert "APP-7" in issues


def test_no_example_tells_of_a_person(page: Callable[[], str]) -> None:
    text = page().lower()

    assert "ann example" not in text
    assert "ann@acme.example" not in text


def test_it_is_one_file_that_asks_nobody_for_anything(page: Callable[[], str]) -> None:
    text = page()

    assert not re.findall(r"(?:src|href)=[\"']?(?!#)\w", text)
    assert "default-src 'none'" in text


def test_hostile_text_stays_text(page: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = [replace(entry, description=HOSTILE) if entry.name == "gaps" else entry for entry in catalog()]
    monkeypatch.setattr(dictionary, "catalog", lambda: told)

    text = page()

    assert HOSTILE not in text
    assert "&lt;script&gt;alert" in text


def test_it_is_searched_and_read_in_a_browser_by_keys_alone_wide_and_narrow(tmp_path: Path) -> None:
    warehouse = Warehouse(f"duckdb:///{tmp_path}/w.duckdb", tmp_path)
    migrate.prepare(warehouse, raw_tables())
    path = dictionary.publish(warehouse, tmp_path / "published", raw_tables(), {})
    tables = ["customer_links", "customers_daily", "gap_decisions", "gap_events", "gaps"]
    with opened_page(viewport={"width": 1200, "height": 800}, color_scheme="dark") as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
        assert set(tables) <= set(page.locator("nav a:visible").all_inner_texts())

        page.keyboard.press("/")
        page.keyboard.type("gaps nowhere")
        assert page.locator("nav a:visible").all_inner_texts() == []
        assert "Nothing holds all of these words" in page.get_by_role("status").inner_text()
        page.keyboard.press("Escape")
        page.keyboard.type("decided DAY")
        assert page.locator("section:visible h2").all_inner_texts() == ["unified.gap_decisions"]
        assert page.locator("tr.column:visible td:first-child").all_inner_texts() == ["until"]
        assert page.get_by_role("status").inner_text() == "1 column in 1 table"
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.wait_for_url("**#gap_decisions")
        page.keyboard.press("Escape")
        assert len(page.locator("section:visible").all()) > len(tables)

        page.emulate_media(color_scheme="light")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 247, 249)"
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        sideways = "[...document.querySelectorAll('.wide')].filter(box => box.scrollWidth > box.clientWidth).length"
        assert page.evaluate(sideways) == 0
        assert complaints == []
