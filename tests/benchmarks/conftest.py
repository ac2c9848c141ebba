"""What the measurements share: where their figures go, and the account of 20,000 tickets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.benchmarks import measure
from tests.benchmarks.stand_in import running

TICKETS = 20_000


@pytest.fixture(scope="session")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Mapping[str, Mapping[str, object]]], None]:
    """Prints a table of figures and adds it to this run's JSON file."""
    folder = tmp_path_factory.mktemp("figures")
    return lambda name, figures: measure.report(name, figures, folder)


@pytest.fixture(scope="session")
def zendesk_account() -> Iterator[str]:
    """The address of an account of 20,000 tickets, 100 MB in 20 pages, which are made once and then served from memory."""
    with running("zendesk_pages", TICKETS) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[], Path]:
    """A new empty folder for each run that is measured."""
    made: list[Path] = []

    def new() -> Path:
        made.append(tmp_path / str(len(made)))
        made[-1].mkdir()
        return made[-1]

    return new
