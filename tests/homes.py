"""Dagster homes for tests that run jobs and ask Dagster nothing about those that are over."""

from __future__ import annotations

from pathlib import Path

IN_MEMORY = """\
telemetry:
  enabled: false
event_log_storage:
  module: dagster._core.storage.event_log
  class: InMemoryEventLogStorage
"""


def keep_no_events(dagster_home: Path) -> None:
    """Dagster keeps the events of a run in memory until it ends: to write them down is a third of a small job."""
    dagster_home.mkdir(parents=True, exist_ok=True)
    (dagster_home / "dagster.yaml").write_text(IN_MEMORY, encoding="utf-8")
