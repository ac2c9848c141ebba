"""The stand-ins over a small world, and connectors to them that wait milliseconds where the real ones wait seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from connectors.base import Connector
from connectors.http import Limiter, Patience
from connectors.jira import Jira
from connectors.salesforce import Salesforce
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import World
from connectors.zendesk import Zendesk

QUICK = Patience(tries=4, first_wait=0.01, longest_wait=5)


@pytest.fixture
def running() -> Iterator[Running]:
    with serve(World(size="tiny")) as running:
        for server in running.servers:
            server.page_size = 3
        yield running
    Limiter._all.clear()  # ports come again


@pytest.fixture
def connect(running: Running) -> Callable[..., Connector]:
    """A connector as orchestration makes it: `connect("jira")`, any argument replaced by what is given."""
    kinds = {"salesforce": Salesforce, "jira": Jira, "zendesk": Zendesk}

    def connect(tool: str, **changed: object) -> Connector:
        prefix = f"{tool.upper()}_"
        settings = {
            name.removeprefix(prefix).lower(): value for name, value in running.environment.items() if name.startswith(prefix)
        }
        fields = running.fields.get(tool, {})
        return kinds[tool](**{**settings, "fields": fields, "patience": QUICK, **changed})

    return connect
