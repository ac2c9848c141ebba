"""How the tests of Jira's issues let a night pass: the sweep included, and what the warehouse asks for again."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from landing import Landing, read

from connectors.base import Connector
from connectors.sandbox.serve import Running
from connectors.sandbox.world import Record


def night(landing: Landing, connector: Connector) -> Landing:
    """Reads on, and asks once more for what the vendor named and the table lacks, as the warehouse does."""
    swept: dict[str, pa.Table] = {}
    cursor = landing.cursor

    def watched(batches: Any) -> Any:
        for batch in batches:
            swept.update({name: part.keys for name, part in batch.present.items() if part.within is None})
            yield batch

    landing.land(watched(connector.batches(landing.read, cursor)))
    missing = [key for key in swept["issues"]["id"].to_pylist() if key not in landing.alive]
    if missing:
        landing.land(connector.again(landing.read, cursor, {"issues": pa.table({"id": missing})}))
    return landing


def first(connector: Connector) -> Landing:
    return night(Landing(read(connector, "issues")), connector)


def one_of(running: Running) -> Record:
    """An issue with a history."""
    return running.world.issues[next(running.world.alive("issue_history"))["issue"]]
