"""Joins everything that Dagster sees. Loading it reads no network and no database, and no setting can break it.

Nothing else belongs here: what a thing is stands in the module that makes it.
"""

from functools import cache

import dagster as dg

from orchestration import schedules, synced, unified


@cache
def assets() -> list[dg.AssetsDefinition]:
    return [*synced.assets(), *unified.assets()]


@dg.definitions
def definitions() -> dg.Definitions:
    made = assets()
    groups = {group for asset in made for group in asset.group_names_by_key.values()}
    return dg.Definitions(
        assets=made,
        jobs=schedules.jobs(groups),
        schedules=schedules.schedules(),
        sensors=[schedules.refresh_when_synced],
        resources={"tools": synced.Tools(), "refresh": unified.Refresh()},
        # The runs are short steps over one database: a process per step would cost 2.5 s each and fight over the file.
        executor=dg.in_process_executor,
    )
