"""What becomes of Zendesk's records in a real warehouse when they are read once more, or again from a day on."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors.sandbox.world import World
from tests.night import Company, company
from warehouse import load


def cursor(ours: Company, read: str) -> dict[str, Any]:
    (row,) = ours.ask(f"select cursor from sync.cursors where read = '{read}'")
    known: dict[str, Any] = json.loads(row["cursor"])
    return known


def test_a_read_that_is_sent_back_to_a_day_keeps_the_fields_that_it_knew_by_title(tmp_path: Path) -> None:
    world = World(size="tiny")
    (field,) = (each for each in world.alive("ticket_field") if each["title"] == "Product area")
    with company(world, tmp_path) as ours:
        ours.chosen = {"zendesk": {"fields": {"tickets": {"feature": "Product area"}}}}
        ours.sync(("zendesk",))
        connector = ours.connector("zendesk")
        tickets = next(read for read in connector.reads if read.name == "tickets")
        to = connector.at(tickets, world.now - timedelta(days=9))
        load.rewind(ours.warehouse, "zendesk", "tickets", to, kept=connector.kept)
        assert cursor(ours, "tickets")["fields"] == {"Product area": str(field["id"])}
        world.change("ticket_field", field["id"], title="Part of the product")
        world.tick(300)
        ours.sync(("zendesk",))
        found = {row["id"]: row["feature"] for row in ours.rows("zendesk.tickets") if row["_deleted_at"] is None}
        assert any(found.values())
