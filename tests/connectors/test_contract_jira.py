"""The contract of every stream of Jira."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contract import Contract, Stream, stream

from tests.truth.raw_jira import CASES


@pytest.fixture
def one(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Stream]:
    database, name = request.param
    url = new_database() if database == "postgresql" else None
    with stream("jira", name, CASES[name], tmp_path, url) as made:
        yield made


@pytest.mark.parametrize("one", [("duckdb", name) for name in CASES], ids=CASES, indirect=True)
class TestJira(Contract):
    tool = "jira"
