"""The night: every tool that is on at one hour, and one refresh when they have ended, or at the deadline."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from orchestration import schedules
from orchestration.config import TOOLS
from orchestration.definitions import definitions
from orchestration.schedules import NIGHT

NOW = datetime.now(UTC)
TONIGHT = NOW.date().isoformat()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three minutes on: all schedules have had their tick."""
    monkeypatch.setattr(schedules, "clock", lambda: datetime.now(UTC) + timedelta(minutes=3))


def run(instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus, night: str = TONIGHT) -> None:
    instance.create_run_for_job(definitions().resolve_job_def(job), status=status, tags={NIGHT: night})


def sense(instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    result = schedules.refresh_when_synced(dg.build_sensor_context(instance))
    assert isinstance(result, dg.RunRequest | dg.SkipReason)
    return result


def test_nothing_is_refreshed_before_a_sync_of_the_night(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "clock", lambda: NOW)
    assert sense(instance) == dg.SkipReason(f"No sync of {TONIGHT} has started yet.")


def test_the_refresh_waits_for_the_slowest_tool(instance: dg.DagsterInstance, later: None) -> None:
    run(instance, "sync_zendesk", dg.DagsterRunStatus.SUCCESS)
    run(instance, "sync_jira", dg.DagsterRunStatus.STARTED)
    assert sense(instance) == dg.SkipReason(f"Night of {TONIGHT}: waiting for sync_jira.")


def test_the_refresh_waits_until_every_schedule_had_its_tick(instance: dg.DagsterInstance) -> None:
    run(instance, "sync_zendesk", dg.DagsterRunStatus.SUCCESS)
    assert sense(instance) == dg.SkipReason(f"Night of {TONIGHT}: waiting for the other tools to start.")


def test_the_refresh_starts_once_when_all_have_ended_well_or_badly(instance: dg.DagsterInstance, later: None) -> None:
    run(instance, "sync_zendesk", dg.DagsterRunStatus.SUCCESS)
    run(instance, "sync_jira", dg.DagsterRunStatus.FAILURE)
    run(instance, "sync_salesforce", dg.DagsterRunStatus.CANCELED)
    request = sense(instance)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == TONIGHT  # Dagster starts no second run of one key
    assert request.tags[NIGHT] == TONIGHT


def test_the_refresh_starts_at_the_deadline_whatever_still_runs(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(instance, "sync_zendesk", dg.DagsterRunStatus.STARTED, night=(NOW + timedelta(hours=5)).date().isoformat())
    monkeypatch.setattr(schedules, "clock", lambda: NOW + timedelta(hours=5))
    assert isinstance(sense(instance), dg.RunRequest)


def test_a_sync_by_hand_starts_no_refresh(instance: dg.DagsterInstance, later: None) -> None:
    instance.create_run_for_job(definitions().resolve_job_def("sync_jira"), status=dg.DagsterRunStatus.SUCCESS)
    assert isinstance(sense(instance), dg.SkipReason)


def schedule_of(tool: str) -> dg.ScheduleDefinition:
    return next(made for made in schedules.schedules(set(TOOLS)) if made.name == f"{tool}_every_night")


def tick(tool: str) -> object:
    at = datetime(2026, 11, 2, 2, tzinfo=UTC)
    return schedule_of(tool)(dg.build_schedule_context(scheduled_execution_time=at))


def test_a_tool_that_is_off_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JIRA_URL", "JIRA_EMAIL", "JIRA_API_TOKEN", "JIRA_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert tick("jira") == dg.SkipReason("Jira is off: none of its variables are set.")


def test_a_tool_that_is_on_runs_with_the_tag_of_the_night(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIRA_URL", "https://acme.atlassian.net")
    request = tick("jira")
    assert isinstance(request, dg.RunRequest)
    assert request.tags[NIGHT] == "2026-11-02"


def test_with_broken_settings_the_run_starts_and_fails_where_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FULLPICTURE_CONFIG", "/nowhere/fullpicture.yaml")
    assert isinstance(tick("jira"), dg.RunRequest)


def test_the_hour_and_the_zone_come_from_the_settings(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "fullpicture.yaml"
    file.write_text('timezone: Europe/Berlin\nnight: {starts: "23:45"}\n')
    monkeypatch.setenv("FULLPICTURE_CONFIG", str(file))
    found = schedule_of("zendesk")
    assert (found.cron_schedule, found.execution_timezone) == ("45 23 * * *", "Europe/Berlin")
    assert found.default_status is dg.DefaultScheduleStatus.RUNNING
