"""Joins everything that Dagster sees. Loading it reads no network and no database, and no setting can break it.

Nothing else belongs here: what a thing is stands in the module that makes it.
"""

import dagster as dg

from orchestration import schedules, settings, synced, unified

_made: dict[str, list[dg.AssetsDefinition]] = {}  # by the settings; making them costs time, and loading asks for them often


def assets() -> list[dg.AssetsDefinition]:
    config = settings.config_or_defaults()
    chosen = config.model_dump_json()
    if chosen not in _made:
        _made[chosen] = [*synced.assets(config), *unified.assets()]
    return _made[chosen]


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
