"""Joins everything that Dagster sees. Loading it reads no network and no database, and no setting can break it.

Nothing else belongs here: what a thing is stands in the module that makes it.
"""

from functools import cache

import dagster as dg

from orchestration import schedules, settings, synced, unified
from orchestration.config import Config


@cache
def _assets(config: str) -> list[dg.AssetsDefinition]:
    return [*synced.assets(Config.model_validate_json(config)), *unified.assets()]


def assets() -> list[dg.AssetsDefinition]:
    return _assets(settings.config_or_defaults().model_dump_json())


@dg.definitions
def definitions() -> dg.Definitions:
    made = assets()
    groups = {group for asset in made for group in asset.group_names_by_key.values()}
    return dg.Definitions(
        assets=made,
        jobs=schedules.jobs(groups),
        schedules=schedules.schedules(groups),
        sensors=[schedules.refresh_when_synced],
        resources={"tools": synced.Tools(), "refresh": unified.Refresh()},
        # The runs are short steps over one database: a process per step would cost 2.5 s each and fight over the file.
        executor=dg.in_process_executor,
    )
