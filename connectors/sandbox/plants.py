"""The flaws of the first day, each several times and each with near misses that look alike and are none.

Here belongs what somebody ought to find in the demo. Not here: the rules that find it, or any list of what was planted.
"""
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from connectors.sandbox.world import World

def plant(world: World) -> None: ...
