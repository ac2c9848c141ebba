"""An invented company to see everything work on: its stand-ins, its settings, its home, and the questions it answers.

Here belongs what the demo sets in place of the user's own settings, so that the two never mix. Not here: the company
itself (connectors.sandbox) or anything that a real run does differently, for nothing does.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from connectors.sandbox.serve import PORTS, Running, serve
from connectors.sandbox.world import World
from orchestration import settings
from orchestration.settings import SettingsError
from warehouse.engine import Warehouse

HOME = Path("data/demo")

PICTURE = {
    "Customers": """
        select lifecycle, count(*) as customers, sum(arr) as arr, sum(open_tickets) as open_tickets
        from unified.customers group by lifecycle order by sum(arr) desc nulls last, lifecycle
    """,
    "Features by demand": """
        select name, status, customers_requesting as customers, arr_requesting, pipeline_blocked
        from unified.features
        order by coalesce(arr_requesting, 0) + coalesce(pipeline_blocked, 0) desc, name limit 8
    """,
    "Gaps": """
        with counted as (  -- what a customer, or a deal, has at stake counts once
            select category, severity, stake_kind, stake_amount, row_number() over (
                partition by category, stake_kind, case when stake_kind = 'arr' then customer_id else entity_id end
                order by stake_amount desc nulls last, gap_id
            ) as place
            from unified.gaps where status = 'open' and suppressed_by is null
        )
        select category, count(*) as gaps, sum(case when severity in ('critical', 'high') then 1 else 0 end) as grave,
            sum(case when stake_kind = 'arr' and place = 1 then stake_amount end) as arr,
            sum(case when stake_kind = 'pipeline' and place = 1 then stake_amount end) as pipeline
        from counted group by category order by category
    """,
}


def what_next(warehouse: str | None) -> str:
    """Commands to paste. They name the warehouse where the user's own WAREHOUSE_URL would send them to another one."""
    home, ui = f"FULLPICTURE_HOME={HOME}", "make dev DEMO=1"
    if warehouse:
        shown = shlex.quote(Warehouse(warehouse, HOME).url.render_as_string(hide_password=True))
        home, ui = f"{home} WAREHOUSE_URL={shown}", f"{sys.argv[0]} dev --demo --warehouse {shown}"
    elif settings.warehouse_is_named():
        home = f"{home} WAREHOUSE_URL="
    return f"""\
All gaps:         {home} {sys.argv[0]} gaps
Your own query:   {home} {sys.argv[0]} sql "select name, arr, open_tickets from unified.customers limit 5"
In the Dagster UI, on this same data:   {ui}"""


@contextmanager
def stand_ins() -> Iterator[Running]:
    """The stand-ins, on the same ports every time: host and port are what tells one world's rows from another's."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(serve(World(), PORTS))
        except OSError as error:
            ports, reason = f"{PORTS[0]} to {PORTS[-1]}", os.strerror(error.errno or 0).lower()
            raise SettingsError(
                f"The stand-ins need this machine's ports {ports} ({reason}): end the other demo or sandbox first"
            ) from None
        yield running


@contextmanager
def started(*, fresh: bool, warehouse: str | None = None) -> Iterator[list[str]]:
    """Puts the invented company in place of the user's settings, here and in what is started here; yields its tools.

    The user's own WAREHOUSE_URL is never written to: only a `warehouse` that was named for this.
    """
    with stand_ins() as running:
        if fresh:
            shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir(parents=True, exist_ok=True)
        config = HOME / "fullpicture.yaml"
        config.write_text(_config(running), encoding="utf-8")
        settings.put(
            {
                **dict.fromkeys([*settings.VENDOR_VARIABLES, "DAGSTER_HOME"]),
                **running.environment,
                "WAREHOUSE_URL": warehouse,
                "FULLPICTURE_HOME": str(HOME.absolute()),
                "FULLPICTURE_CONFIG": str(config.absolute()),
                "FULLPICTURE_NOW": running.world.now.isoformat(),
            }
        )
        yield [tool.name for tool in settings.load().connected]


def _config(running: Running) -> str:
    """What the invented company would write into fullpicture.yaml."""
    chosen = {
        **{
            tool: {"fields": {stream: dict(columns) for stream, columns in streams.items()}}
            for tool, streams in running.fields.items()
        },
        "customers": {"internal_domains": list(running.world.internal_domains)},
        "features": {"values": dict(running.world.feature_values)},
    }
    return yaml.safe_dump(chosen, sort_keys=False)
