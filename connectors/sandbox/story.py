from __future__ import annotations
from datetime import timedelta
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from connectors.sandbox.world import World

def advance(world: World, days: int) -> None:
    world.now += timedelta(days=days)
