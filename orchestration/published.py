"""Puts in place, at the end of each refresh and after each decision, everything that readers use.

Here belongs which of it the settings want. Not here: how any of it is made (warehouse/publish).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestration.settings import Settings
from orchestration.synced import raw_tables, vendor_fields
from warehouse.engine import Warehouse
from warehouse.publish import copy, dictionary, parquet, readers


@dataclass(frozen=True)
class Published:
    """Where it is; `note`: what somebody else has to do."""

    paths: tuple[Path, ...]
    note: str | None


def publish(current: Settings, warehouse: Warehouse) -> Published:
    """Puts the copy, the Parquet files, the data dictionary and the readers' role in place."""
    chosen, folder = current.config.publish, current.published
    note = readers.grant(warehouse, chosen.role)
    paths = [copy.publish(warehouse, folder, include_raw=chosen.raw)]
    if chosen.parquet:
        paths.append(parquet.publish(warehouse, folder))
    else:
        parquet.remove(folder)
    paths.append(dictionary.publish(warehouse, folder, raw_tables(current.config), vendor_fields(current.config)))
    return Published(tuple(path for path in paths if path), note)
