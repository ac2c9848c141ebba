"""When things run by themselves: every tool at the same hour of the night, and the refresh once when they have ended.

Here belongs what decides that a run starts. Not here: what a run does.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from orchestration import settings
from orchestration.config import TOOLS, Config, ToolSection
from orchestration.settings import SettingsError

NIGHT = "fullpicture/night"
REFRESH = "refresh"
ALL_STARTED = timedelta(minutes=2)  # the schedules' ticks come within seconds of each other
TABLE_GROUPS = ("customers", "features", "facts", "health", "gaps", "publish")


def sync_job_name(tool: str) -> str:
    return f"sync_{tool}"


def jobs(groups: Set[str]) -> list[dg.UnresolvedAssetJobDefinition]:
    """One job per tool, and the refresh of everything that is made from them. `groups`: those that hold an asset."""
    config = settings.config_or_defaults()
    syncs = [
        dg.define_asset_job(
            sync_job_name(tool),
            selection=dg.AssetSelection.groups(tool),
            description=f"Reads what changed in {section.label}.",
            # A net below the time bound of each read; the daemon ends what still hangs then.
            tags={"dagster/max_runtime": str(config.night.read_minutes * 60 * (len(config.tool(tool).reads()) + 1))},
        )
        for tool, section in TOOLS.items()
        if tool in groups
    ]
    refresh = dg.define_asset_job(
        REFRESH,
        selection=dg.AssetSelection.groups(*[group for group in TABLE_GROUPS if group in groups]),
        description="Rebuilds every unified table from what the tools delivered, reviews the gaps, publishes the copy.",
    )
    return [*syncs, refresh]


def schedules(groups: Set[str]) -> list[dg.ScheduleDefinition]:
    config = settings.config_or_defaults()
    return [_schedule(section, config) for tool, section in TOOLS.items() if tool in groups]


def _schedule(section: type[ToolSection], config: Config) -> dg.ScheduleDefinition:
    starts = config.night.starts

    @dg.schedule(
        name=f"{section.tool}_every_night",
        job_name=sync_job_name(section.tool),
        cron_schedule=f"{starts.minute} {starts.hour} * * *",
        execution_timezone=config.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Reads {section.label} at night.starts of the settings; a new hour counts after a reload.",
    )
    def every_night(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            if settings.load().tools[section.tool].off:
                return dg.SkipReason(f"{section.label} is off: none of its variables are set.")
        except SettingsError:
            pass  # the run that starts now fails with the reason, where it is seen
        night = context.scheduled_execution_time.date().isoformat()
        return dg.RunRequest(run_key=night, tags={NIGHT: night})

    return every_night


def clock() -> datetime:
    return datetime.now(UTC)


@dg.sensor(
    name="refresh_when_synced",
    job_name=REFRESH,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the refresh once a night: when all syncs have ended, well or badly, or at the deadline.",
)
def refresh_when_synced(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    config = settings.config_or_defaults()
    now = clock()
    today = now.astimezone(ZoneInfo(config.timezone)).date()
    nights = [today.isoformat(), (today - timedelta(days=1)).isoformat()]
    for night in nights:
        records = context.instance.get_run_records(dg.RunsFilter(tags={NIGHT: night}))
        syncs = [record for record in records if record.dagster_run.job_name != REFRESH]
        if syncs:
            return _decide(night, syncs, now, timedelta(hours=config.night.refresh_after_hours))
    return dg.SkipReason(f"No sync of {nights[0]} has started yet.")


def _decide(night: str, syncs: Sequence[dg.RunRecord], now: datetime, patience: timedelta) -> dg.RunRequest | dg.SkipReason:
    started = min(record.create_timestamp for record in syncs)
    waiting = sorted(record.dagster_run.job_name for record in syncs if not record.dagster_run.is_finished)
    settled = now - max(record.create_timestamp for record in syncs) > ALL_STARTED
    if now - started > patience or (settled and not waiting):
        return dg.RunRequest(run_key=night, tags={NIGHT: night})
    return dg.SkipReason(f"Night of {night}: waiting for {', '.join(waiting) or 'the other tools to start'}.")
