"""The stand-ins over a small world, and connectors to them that wait milliseconds where the real ones wait seconds."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import PAGE, Place, Stream

from connectors.base import Choices, Connector
from connectors.http import Limiter, Patience
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import World
from orchestration.config import TOOLS
from tests.night import Company, company
from tests.truth.raw_salesforce import CASES

QUICK = Patience(tries=4, first_wait=0.01, longest_wait=5, reply=2)


@pytest.fixture
def running() -> Iterator[Running]:
    with serve(World(size="tiny")) as running:
        for server in running.servers:
            server.page_size = 3
        yield running
    Limiter._all.clear()  # ports come again


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Company]:
    """A small company whose Salesforce gives few records at a time."""
    with company(World(size="tiny"), tmp_path) as ours:
        ours.running.salesforce.page_size = PAGE
        yield ours


@pytest.fixture
def opened(ours: Company) -> Callable[[str], Stream]:
    """One of its Salesforce streams that has been read once."""

    def opened(name: str) -> Stream:
        one = Stream(ours, "salesforce", name, CASES[name])
        one.forget()
        one.sync()
        return one

    return opened


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an empty one for notes, in a world without a network."""
    monkeypatch.setattr(socket.socket, "connect", None)
    (tmp_path / "notes").mkdir()
    return tmp_path


@pytest.fixture
def connect(running: Running, tmp_path: Path) -> Callable[..., Connector]:
    """A connector as orchestration makes it: `connect("jira")`, any argument replaced by what is given."""

    def connect(tool: str, **changed: Any) -> Connector:
        prefix = f"{tool.upper()}_"
        settings = {
            name.removeprefix(prefix).lower(): value for name, value in running.environment.items() if name.startswith(prefix)
        }
        fields = running.fields.get(tool, {})
        kind = TOOLS[tool].connector_class()
        chosen: dict[str, Any] = {"choices": Choices(fields)}
        if TOOLS[tool].daily_quota:
            chosen["quota_folder"] = tmp_path
        connector: Connector = kind(**{**settings, **chosen, "patience": QUICK, **changed})
        return connector

    return connect


@pytest.fixture(scope="class")
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stream]:
    """One stream of a small company, whose tests follow each other."""
    place: Place = request.param
    url = request.getfixturevalue("new_database")() if place.database == "postgresql" else None
    with place.opened(tmp_path_factory.mktemp(place.name), url) as stream:
        yield stream
