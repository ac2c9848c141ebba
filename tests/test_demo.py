"""The first thing that anybody tries: `fullpicture demo`, and then the Dagster UI on its data, in a real browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import opened_page

COMMAND = [str(Path(sys.executable).parent / "fullpicture")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in which the demo has run."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run([*COMMAND, "demo"], cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "said").write_text(done.stdout)
    return folder


def ask(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "FULLPICTURE_HOME": str(folder / "data" / "demo")}
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_the_demo_shows_the_picture_and_how_to_go_on(folder: Path) -> None:
    said = (folder / "said").read_text()

    for expected in ("Customers", "Features by demand", "paying", "critical", "make dev DEMO=1"):
        assert expected in said


def test_its_tables_answer_questions(folder: Path) -> None:
    counted = json.loads(ask(folder, "sql", "select count(*) as gaps from unified.gaps where status = 'open'", "--json"))
    listed = json.loads(ask(folder, "gaps", "--json"))

    assert counted == [{"gaps": len(listed)}]
    assert len({gap["rule"] for gap in listed}) == 9  # all ten but source_late


@pytest.fixture(scope="module")
def ui(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (folder / "dev.log").open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, "dev", "--demo", "--port", str(port)], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            for _ in range(120):
                try:
                    urllib.request.urlopen(f"{url}/server_info", timeout=2).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "dev.log").read_text()
                    time.sleep(0.5)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def page(ui: str) -> Iterator[Page]:
    with opened_page(viewport={"width": 2400, "height": 1500}, base_url=ui) as page:
        yield page


def test_the_ui_shows_the_graph_in_its_groups(page: Page, folder: Path) -> None:
    page.goto("/asset-groups")
    for group in ("salesforce", "jira", "zendesk", "facts", "customers", "features", "gaps", "publish"):
        page.get_by_text(group, exact=True).filter(visible=True).nth(1).wait_for()  # in the list, and in the graph
    page.keyboard.press("Alt+e")  # opens every group
    page.wait_for_url("**expanded=**")
    page.get_by_text("deals", exact=True).filter(visible=True).first.wait_for()

    page.screenshot(path=folder / "graph.png")


def test_the_ui_shows_what_a_table_is_and_how_many_rows_it_has(page: Page, folder: Path) -> None:
    [row] = json.loads(ask(folder, "sql", "select count(*) as customers from unified.customers", "--json"))

    page.goto("/assets/unified/customers")

    page.get_by_text("One row per customer: who it is", exact=False).first.wait_for()
    page.get_by_text("The customer; the id never changes.", exact=True).first.wait_for()
    page.get_by_text("Row count", exact=True).first.wait_for()
    page.get_by_text(str(row["customers"]), exact=True).first.wait_for()


def test_the_ui_shows_green_and_yellow_checks(page: Page, folder: Path) -> None:
    page.goto("/assets/unified/gaps?view=checks")

    page.get_by_text("account_without_organization", exact=True).first.wait_for()
    page.get_by_text("source_late", exact=True).first.wait_for()
    assert page.get_by_text("Failed", exact=True).count() >= 9
    assert page.get_by_text("Succeeded", exact=True).count() >= 1
    page.screenshot(path=folder / "checks.png")
    page.goto("/assets/unified/customers?view=checks")
    page.get_by_text("key_is_unique", exact=True).first.wait_for()
    assert page.get_by_text("Succeeded", exact=True).count() >= 3
