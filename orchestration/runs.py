"""Dagster's jobs, executed in this process on the same instance that the UI shows, and what came of them.

Here belongs the way from a command to a run. Not here: what is printed about it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from filelock import FileLock

from orchestration import settings
from orchestration.definitions import definitions
from orchestration.settings import Settings
from orchestration.synced import TRIGGER

DAGSTER_YAML = """\
# Written by fullpicture because there was none; change it as you like. See docs.dagster.io, "dagster.yaml".
telemetry:
  enabled: false
nux:  # no invitation to a newsletter before the first look
  enabled: false
run_monitoring:  # ends runs that hang, and those whose process died
  enabled: true
  free_slots_after_run_end_seconds: 300
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days: {skipped: 7, failure: 30, success: 90}
"""


@dataclass
class Table:
    """One table that a run wrote. `metadata` is what Dagster shows of it, as plain values."""

    name: str
    metadata: Mapping[str, Any]


@dataclass
class Outcome:
    """What came of one run. `failures`: step → one line that says why; `skipped`: steps that build on those."""

    job: str
    succeeded: bool
    seconds: float
    run_id: str
    tables: list[Table] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def prepare_home(current: Settings) -> Path:
    """Makes Dagster's home, with telemetry off, and tells Dagster where it is; returns it."""
    current.dagster_home.mkdir(parents=True, exist_ok=True)
    file = current.dagster_home / "dagster.yaml"
    if not file.exists():
        file.write_text(DAGSTER_YAML, encoding="utf-8")
    settings.put({"DAGSTER_HOME": str(current.dagster_home)})
    return current.dagster_home


def steps(job: str) -> int:
    """How many steps a job has."""
    return len(definitions().resolve_job_def(job).nodes)


@contextmanager
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """What Dagster keeps in its home. One process after the other: two that make its tables at once fail."""
    with FileLock(home / "instance.lock"):
        kept = dg.DagsterInstance.get()
    with kept:
        yield kept


def execute(
    job: str, home: Path, *, config: Mapping[str, Any] | None = None, tables: Sequence[str] = (), verbose: bool = False
) -> Outcome:
    """Runs a job to its end, or only these tables of it (`zendesk/tickets`), in the home that was prepared. What fails in it
    is in the outcome, not raised."""
    level = "INFO" if verbose else "CRITICAL"
    run_config = {**(config or {}), "loggers": {"console": {"config": {"log_level": level}}}}
    with _quiet(verbose), instance(home) as kept:
        definition = definitions().resolve_job_def(job)
        result = definition.execute_in_process(
            instance=kept,
            run_config=run_config,
            tags={TRIGGER: "cli"},
            raise_on_error=False,
            asset_selection=[dg.AssetKey(table.split("/")) for table in tables] or None,
        )
        record = kept.get_run_record_by_id(result.run_id)
    seconds = (record.end_time or 0) - (record.start_time or 0) if record else 0.0
    outcome = Outcome(job, result.success, seconds, result.run_id)
    _read(result.all_events, outcome)
    ended = {event.step_key for event in result.all_events if event.is_step_success or event.is_step_failure}
    outcome.skipped = [_shown(node.name) for node in definition.nodes if node.name not in ended and not tables]
    return outcome


def _read(events: Sequence[dg.DagsterEvent], outcome: Outcome) -> None:
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            values = {name: value.value for name, value in made.metadata.items()}
            outcome.tables.append(Table("/".join(made.asset_key.path), values))
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            outcome.failures[_shown(event.step_key)] = _reason(event.step_failure_data)
    if not outcome.succeeded and not outcome.failures:
        last = next(event for event in reversed(events) if event.is_failure)
        outcome.failures[outcome.job] = _innermost(getattr(last.event_specific_data, "error", None))


def _shown(step: str | None) -> str:
    return (step or "").replace("__", "/")


def _reason(data: Any) -> str:
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    return _innermost(data.error)


def _innermost(error: Any) -> str:
    while error is not None and error.cause is not None:
        error = error.cause
    return " ".join(f"{error.message if error else 'unknown'} (a fault in fullpicture: --verbose shows where)".split())


@contextmanager
def _quiet(verbose: bool) -> Iterator[None]:
    """Dagster's own log lines and warnings are for those who develop with it."""
    if verbose:
        yield
        return
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
